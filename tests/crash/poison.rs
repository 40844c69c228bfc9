//! An effect ends its process whenever it is tried: the event becomes a dead letter, and
//! the rest of the queue goes on.

use std::time::Duration;

use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{Facts, RawEvent};

use crate::batch::KNOWS_NO_FIRST;
use crate::process::{Process, until};
use crate::sqlite::Files;
use crate::{Place, Side, runtime};

/// The event whose effect ends the consumer.
const POISON: &str = "CRASH_POISON";

const EVENTS: u32 = 20;

/// Who has the effects: a loop by hand or a worker, and a worker in any case.
const ROLES: [&str; 2] = ["consumer", crate::batch::ROLE];

/// Ends the process where this is the poison event. No other event is charged an attempt
/// for that: here it would fail, and be a dead letter too.
pub(crate) fn taste(event: &Facts<RawEvent>) {
    let Ok(poison) = std::env::var(POISON) else { return };
    if event.id().to_string() == poison {
        std::process::abort();
    }
    assert_eq!(event.attempts(), 1, "an attempt of {}", event.id());
}

/// How often the consumer tries: seldom where there is poison, and else more often than
/// it is killed.
pub(crate) fn policy() -> RetryPolicy {
    let attempts = if std::env::var_os(POISON).is_some() { 3 } else { 1000 };
    RetryPolicy::new(attempts, Backoff::Fixed(Duration::from_millis(5))).unwrap()
}

/// The policy has three attempts, and a first delivery is not counted. Where the broker
/// knows no first delivery, all of them are.
fn end_by_poison<S: Side>(role: &str, side: &S, place: &Place, knows_first: bool) {
    runtime().block_on(side.set_up());
    place.broker();
    assert!(place.role("producer", EVENTS)().status().unwrap().success());
    let _relay = Process::start("relay-1", place.role("relay-1", EVENTS)());
    let consumer = || {
        let mut command = place.role(role, EVENTS)();
        command.env(POISON, "change-7");
        if !knows_first {
            command.env(KNOWS_NO_FIRST, "");
        }
        Process::start(role, command)
    };
    for death in 1..=if knows_first { 4 } else { 3 } {
        let status = consumer().end();
        assert!(!status.success(), "death {death}: {status}");
    }
    let mut last = consumer();
    let effects = || runtime().block_on(side.account()).effects();
    until("every other event has its effect", || effects() >= (EVENTS - 1) as usize);
    let dead = runtime().block_on(side.dead_letters());
    let dead: Vec<_> = dead
        .iter()
        .map(|dead| (dead.event.id().to_string(), dead.event.attempts()))
        .collect();
    assert_eq!(dead, [("change-7".to_owned(), 3)]);
    assert_eq!(effects(), (EVENTS - 1) as usize);
    last.assert_running();
}

#[test]
fn an_effect_that_ends_its_process_is_a_dead_letter_and_the_queue_goes_on() {
    for role in ROLES {
        let place = Place::new(&format!("poison-{role}"), vec![]);
        end_by_poison(role, &Files(place.folder.clone()), &place, true);
    }
}

#[test]
fn an_effect_that_ends_its_process_is_found_among_others_that_may_be_redeliveries() {
    let place = Place::new("poison-among-redeliveries", vec![]);
    end_by_poison(crate::batch::ROLE, &Files(place.folder.clone()), &place, false);
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn an_effect_that_ends_its_process_is_a_dead_letter_and_the_queue_goes_on_on_postgres() {
    for role in ROLES {
        let side = crate::postgres::Schema::new(&format!("crash_poison_{role}"));
        let place = Place::new(&format!("poison-{role}-postgres"), side.environment());
        end_by_poison(role, &side, &place, true);
        runtime().block_on(side.drop());
    }
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn an_effect_on_postgres_is_found_among_others_that_may_be_redeliveries() {
    let side = crate::postgres::Schema::new("crash_poison_among_redeliveries");
    let place = Place::new("poison-among-redeliveries-postgres", side.environment());
    end_by_poison(crate::batch::ROLE, &side, &place, false);
    runtime().block_on(side.drop());
}
