//! Leading a record over past the table's own versions
//@ code: E0308
//@ error: mismatched types
//@ twin: forged => key

mod table;

use integration_automation_patterns::workflow::{
    Follow, Follows, InstanceRecord, RecordError, made,
};
use table::order_to_cash::{Any, Key, This};

impl Follows<This> for This {
    fn follow(old: Any, _: Follow<Self>) -> Result<Any, RecordError> {
        Ok(old)
    }
}

pub fn sneak(record: &InstanceRecord, forged: &(), key: &Key) -> Result<Any, RecordError> {
    let _ = (forged, key);
    made::lead::<This, This>(record, forged) //@ here
}
