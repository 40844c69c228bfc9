//! What costs no allocation: the whole way of a typed event without tags, its audit line,
//! the retry arithmetic, and the plan of a declared boundary.

use integration_automation_patterns::sync::{
    Base, Capability, Question, Slot, System, Verdict,
};
use integration_automation_patterns::{
    AfterFailure, Envelope, Event, EventId, RetryPolicy, boundary,
};

struct LeadCreated(u64);

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
}

fn allocations<T>(work: impl FnOnce() -> T) -> u64 {
    let mut result = None;
    let counted = allocation_counter::measure(|| result = Some(work()));
    drop(result);
    counted.count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| Box::new(7)), 1);
}

#[test]
fn creating_and_delivering_a_typed_event_allocates_nothing() {
    // With the feature `fast-ids`, the first id of a thread makes its generator.
    let _ = EventId::generate();
    let count = allocations(|| {
        let event = Envelope::builder("crm", LeadCreated(7)).build().ok()?;
        let done = event.dispatch().acknowledge().process();
        Some((done.attempts(), done.payload().0))
    });
    assert_eq!(count, 0);
}

#[test]
fn an_audit_line_allocates_nothing() {
    let Ok(event) = Envelope::builder("crm", LeadCreated(7)).build() else {
        panic!("the event is well formed")
    };
    let mut log = String::with_capacity(512);
    assert_eq!(allocations(|| event.audit_line().write_to(&mut log)), 0);
    assert!(log.ends_with("+00:00"));
}

#[test]
fn a_failure_costs_two_allocations_for_the_history_and_its_reason_and_a_retry_none() {
    let Ok(event) = Envelope::builder("crm", LeadCreated(7)).build() else {
        panic!("the event is well formed")
    };
    let sent = event.dispatch();
    let mut after = None;
    assert_eq!(allocations(|| after = Some(sent.fail("timeout"))), 2);
    let Some(AfterFailure::Retrying(event)) = after else {
        panic!("one of three attempts")
    };
    assert_eq!(allocations(|| event.dispatch().process().attempts()), 0);
}

#[test]
fn the_wait_of_a_retry_allocates_nothing() {
    assert_eq!(allocations(|| RetryPolicy::DEFAULT.wait(7)), 0);
}

mod systems {
    use super::System;

    pub(super) enum Crm {}
    pub(super) enum Erp {}
    pub(super) struct Key(pub(super) ());

    impl System for Crm {
        const NAME: &'static str = "crm";
        type Key = Key;
    }

    impl System for Erp {
        const NAME: &'static str = "erp";
        type Key = Key;
    }
}

use systems::{Crm, Erp, Key};

boundary! {
    mod contact between Crm and Erp {
        email: String => Crm,
        nickname: String => Shared,
        status: String => Manual,
    }
}

/// Whether the systems agree or not: a plan holds references, and what few plans need is
/// boxed only where one does.
#[test]
fn planning_a_record_allocates_nothing() {
    let crm = Capability::<Crm>::mint(&Key(()));
    let erp = Capability::<Erp>::mint(&Key(()));
    let says = |slots: &mut contact::Slots, text: &str| {
        for slot in [&mut slots.email, &mut slots.nickname, &mut slots.status] {
            *slot = Slot::Value(text.to_owned());
        }
    };
    let (mut in_crm, mut in_erp) =
        (contact::Snapshot::by(&crm), contact::Snapshot::by(&erp));
    let nickname = Base::Known(Some("before".to_owned()));
    let known = contact::Agreed { nickname, ..Default::default() }.into();
    for (of_erp, verdicts) in [
        ("one", [Verdict::Agreed(0); 3]),
        (
            "other",
            [
                Verdict::Write(0),
                Verdict::Ask(Question::Conflict),
                Verdict::Ask(Question::Manual),
            ],
        ),
    ] {
        says(&mut in_crm, "one");
        says(&mut in_erp, of_erp);
        let mut found = None;
        let count = allocations(|| {
            let plan = contact::reconcile(&in_crm, &in_erp, &known);
            found = Some([
                plan.email.verdict(),
                plan.nickname.verdict(),
                plan.status.verdict(),
            ]);
        });
        assert_eq!(found, Some(verdicts));
        assert_eq!(count, 0, "{verdicts:?}");
    }
}
