//! Deadlines by any calendar: none goes back in time, and one that panics costs nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::workflow::Calendar;
use integration_automation_patterns::workflow::memory::Memory;
use proptest::prelude::*;

use crate::orders::order_to_cash;
use crate::orders::{Order, Sales, login};
use crate::walk::{id, now};

/// A calendar that gives any moment, and panics where it has none.
struct Moments(Vec<Option<i64>>);

impl Calendar for Moments {
    fn due(&self, from: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
        let at = span.as_secs() as usize % self.0.len();
        let seconds = self.0[at].expect("no such day");
        let moved = TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MIN);
        from.checked_add_signed(moved).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

fn seconds() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        2 => (-10_000_000..10_000_000_i64).prop_map(Some),
        1 => any::<i64>().prop_map(Some),
        1 => Just(None),
    ]
}

proptest! {
    /// Protects from a chain of deadlines that all pass at once, long ago, and from half a
    /// step where the calendar of a company has a fault.
    #[test]
    fn no_deadline_goes_back_in_time(moments in prop::collection::vec(seconds(), 1..5)) {
        let mut store = Memory::default().with_calendar(Moments(moments));
        let anna = login::seat::<Sales>("anna").unwrap();
        let mut at = now();
        let began = catch_unwind(AssertUnwindSafe(|| {
            store.begin(order_to_cash::start(id(), Order::of(900), &anna), at).unwrap()
        }));
        if began.is_err() {
            prop_assert!(store.record(id().as_event_id()).is_none());
            prop_assert!(store.commands().is_empty() && store.journal().is_empty());
            return Ok(());
        }
        for _ in 0..6 {
            let row = store.record(id().as_event_id()).unwrap().clone();
            let Some(due_at) = row.due_at else { break };
            prop_assert!(due_at >= at, "{} is before {}", due_at, at);
            at = due_at;
            let (sent, lines) = (store.commands().len(), store.journal().len());
            let ran = catch_unwind(AssertUnwindSafe(|| store.run_due(&id(), at).unwrap()));
            if ran.is_err() {
                prop_assert_eq!(store.record(id().as_event_id()), Some(&row));
                prop_assert_eq!(store.commands().len(), sent);
                prop_assert_eq!(store.journal().len(), lines);
                break;
            }
        }
    }
}
