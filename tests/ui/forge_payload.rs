//! Carrying a payload without an event type
//@ code: E0277
//@ error: an envelope cannot carry `Blob`: it does not say which event it is
//@ label: needs `impl Event for Blob` with its TYPE, or to be carried as `RawEvent` bytes
//@ twin: Payload => Carried

use integration_automation_patterns::Payload;

pub trait Carried: Sized {
    type Body;
    fn event_type(&self) -> &str;
    fn schema_version(&self) -> &str;
}

pub fn carry<P: Payload>() {}

pub struct Blob;

impl Payload for Blob { //@ here
    type Body = Vec<u8>;

    fn event_type(&self) -> &str {
        ""
    }

    fn schema_version(&self) -> &str {
        ""
    }
}
