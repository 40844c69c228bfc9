// An instance of `orders` at every stage that the table has. Included by the tests of both
// kinds of store.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::{DateTime, Utc};
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    AnyRuling, Choice, Driven, InstanceId, InstanceRecord, Status, Workflow,
};
use integration_automation_patterns::{Envelope, RawEvent};

use crate::orders::order_to_cash::{self, This};
use crate::orders::*;

pub(crate) fn id() -> InstanceId<This> {
    InstanceId::of("order 4711").unwrap()
}

pub(crate) fn now() -> DateTime<Utc> {
    "2026-01-05T08:00:00Z".parse().unwrap()
}

fn stored(store: &Memory) -> &InstanceRecord {
    store.record(id().as_event_id()).unwrap()
}

/// A store for each stage, with one order of this total that has reached it.
pub(crate) fn every_stage(total: u64) -> BTreeMap<(Status, Option<String>), Memory> {
    let mut store = Memory::default();
    let anna = login::seat::<Sales>("anna").unwrap();
    store.begin(order_to_cash::start(id(), Order::of(total), &anna), now()).unwrap();
    let (mut left, mut reached) = (vec![store], BTreeMap::new());
    while let Some(store) = left.pop() {
        let row = stored(&store);
        let stage = (row.status, row.step.clone());
        if let Entry::Vacant(place) = reached.entry(stage) {
            left.extend(next(&store));
            place.insert(store);
        }
    }
    reached
}

/// What may follow: each reply, the deadline, and what people say.
pub(crate) fn next(store: &Memory) -> Vec<Memory> {
    let row = stored(store);
    let mut next = Vec::new();
    if let Some(step) = row.step.as_deref().and_then(|name| This::DEFINITION.step(name)) {
        let asked = [(step.done, "do"), (step.refused, "do"), (step.undone, "undo")];
        for (reply, part) in asked {
            let Some(reply) = reply else { continue };
            let mut store = store.clone();
            let to = format!("order_to_cash/{}/{}/{part}", row.id, step.name);
            let reply = Envelope::builder("erp", RawEvent::new(reply, b"{}"));
            let reply = reply.correlation_id(to).build().unwrap();
            let _late_or_moved = store.receive::<This>(&reply, now()).unwrap();
            next.push(store);
        }
        let mut late = store.clone();
        late.run_due(&id(), row.due_at.unwrap()).unwrap();
        next.push(late);
    }
    let seen = row.question.as_ref().map(|question| question.seen());
    let controller = login::seat::<Controller>("carl").unwrap();
    let billing = login::seat::<BillingDesk>("dora").unwrap();
    let approve = seen.map(|seen| {
        (Choice::Approve(seen), AnyRuling::from(controller.decide("fine").unwrap()))
    });
    let give_up = (Choice::GiveUp, AnyRuling::from(billing.decide("lost").unwrap()));
    for (choice, ruling) in approve.into_iter().chain([give_up]) {
        let (mut store, at) = (store.clone(), store.load(&id()).unwrap().unwrap());
        if let Ok(step) = This::decide(at, choice, ruling) {
            store.store(step, now()).unwrap();
            next.push(store);
        }
    }
    next
}
