//! Two systems' records of eight fields: reconciled by the declared boundary, by hand,
//! and as maps of values.

use std::collections::BTreeMap;
use std::hint::black_box;

use integration_automation_patterns::boundary;
use integration_automation_patterns::sync::{
    Base, Bases, Capability, Contract, Question, Slot, System, Verdict,
};

pub(crate) enum Crm {}
pub(crate) enum Erp {}
pub(crate) struct Key(());

impl System for Crm {
    const NAME: &'static str = "crm";
    type Key = Key;
}

impl System for Erp {
    const NAME: &'static str = "erp";
    type Key = Key;
}

boundary! {
    pub(crate) mod contact between Crm and Erp {
        email: String => Crm,
        phone: String => Crm,
        owner: u64 => Crm,
        address: String => Erp,
        terms: u64 => Erp,
        nickname: String => Shared,
        segment: u64 => Shared,
        status: u64 => Manual,
    }
}

pub(crate) type Snapshots =
    (contact::Snapshot<Crm>, contact::Snapshot<Erp>, contact::Bases);

/// A record on which the systems agree, or one in which every field was changed by both.
pub(crate) fn snapshots(number: u64, conflicting: bool) -> Snapshots {
    let text = |who: &str| Slot::Value(format!("{who} {number}"));
    let (mut of_crm, mut of_erp) = (
        contact::Snapshot::by(&Capability::mint(&Key(()))),
        contact::Snapshot::by(&Capability::mint(&Key(()))),
    );
    let (one, other) = if conflicting { ("crm", "erp") } else { ("both", "both") };
    (of_crm.email, of_crm.phone, of_crm.address, of_crm.nickname) =
        (text(one), text(one), text(one), text(one));
    (of_erp.email, of_erp.phone, of_erp.address, of_erp.nickname) =
        (text(other), text(other), text(other), text(other));
    let numbers = |add: u64| Slot::Value(number + add);
    (of_crm.owner, of_crm.terms, of_crm.segment, of_crm.status) =
        (numbers(1), numbers(1), numbers(1), numbers(1));
    let add = if conflicting { 2 } else { 1 };
    (of_erp.owner, of_erp.terms, of_erp.segment, of_erp.status) =
        (numbers(add), numbers(add), numbers(add), numbers(add));
    let agreed = |slot: &Slot<String>| {
        Base::Known(slot.value().map(|text| format!("{text} before")))
    };
    let agreed = contact::Agreed {
        email: agreed(&of_crm.email),
        phone: agreed(&of_crm.phone),
        owner: Base::Known(Some(number)),
        address: agreed(&of_crm.address),
        terms: Base::Known(Some(number)),
        nickname: agreed(&of_crm.nickname),
        segment: Base::Known(Some(number)),
        status: Base::Known(Some(number)),
    };
    (of_crm, of_erp, agreed.into())
}

/// The number of fields that are written or asked.
fn count(verdicts: [Verdict; 8]) -> usize {
    verdicts
        .iter()
        .filter(|verdict| matches!(verdict, Verdict::Write(_) | Verdict::Ask(_)))
        .count()
}

pub(crate) fn declared((of_crm, of_erp, agreed): &Snapshots) -> usize {
    let plan = black_box(contact::reconcile(of_crm, of_erp, agreed));
    count([
        plan.email.verdict(),
        plan.phone.verdict(),
        plan.owner.verdict(),
        plan.address.verdict(),
        plan.terms.verdict(),
        plan.nickname.verdict(),
        plan.segment.verdict(),
        plan.status.verdict(),
    ])
}

/// One entry of a plan, as one would keep it by hand: both sides, what is known in
/// common, and what to do.
struct Entry<'a, T> {
    sides: [&'a Slot<T>; 2],
    known: &'a Bases<T>,
    verdict: Verdict,
}

struct Plan<'a> {
    email: Entry<'a, String>,
    phone: Entry<'a, String>,
    owner: Entry<'a, u64>,
    address: Entry<'a, String>,
    terms: Entry<'a, u64>,
    nickname: Entry<'a, String>,
    segment: Entry<'a, u64>,
    status: Entry<'a, u64>,
}

/// The same, with the rules for two systems written out as one would by hand.
pub(crate) fn by_hand((a, b, known): &Snapshots) -> usize {
    macro_rules! owned {
        ($field:ident by $owner:ident, $other:ident, $place:literal) => {
            Entry {
                sides: [&a.$field, &b.$field],
                known: &known.$field,
                verdict: owned(&$owner.$field, &$other.$field, &known.$field, $place),
            }
        };
    }
    let plan = black_box(Plan {
        email: owned!(email by a, b, 0),
        phone: owned!(phone by a, b, 0),
        owner: owned!(owner by a, b, 0),
        address: owned!(address by b, a, 1),
        terms: owned!(terms by b, a, 1),
        nickname: Entry {
            sides: [&a.nickname, &b.nickname],
            known: &known.nickname,
            verdict: shared(&a.nickname, &b.nickname, &known.nickname),
        },
        segment: Entry {
            sides: [&a.segment, &b.segment],
            known: &known.segment,
            verdict: shared(&a.segment, &b.segment, &known.segment),
        },
        status: Entry {
            sides: [&a.status, &b.status],
            known: &known.status,
            verdict: manual(&a.status, &b.status),
        },
    });
    count([
        plan.email.verdict,
        plan.phone.verdict,
        plan.owner.verdict,
        plan.address.verdict,
        plan.terms.verdict,
        plan.nickname.verdict,
        plan.segment.verdict,
        plan.status.verdict,
    ])
}

fn owned<T: PartialEq>(
    owner: &Slot<T>,
    other: &Slot<T>,
    known: &Bases<T>,
    place: usize,
) -> Verdict {
    match (owner, other) {
        (Slot::Unread, _) => Verdict::Unread,
        (_, Slot::Unread) => Verdict::Agreed(place),
        (owner, other) if owner == other => Verdict::Agreed(0),
        (Slot::Empty, _) if *known.of(place) == Base::Never => {
            Verdict::Ask(Question::BlankOwner)
        }
        _ => Verdict::Write(place),
    }
}

fn shared<T: PartialEq>(a: &Slot<T>, b: &Slot<T>, known: &Bases<T>) -> Verdict {
    let agreed = &known.agreed;
    let holds = |slot: &Slot<T>| match (agreed, slot) {
        (Base::Known(Some(agreed)), Slot::Value(value)) => agreed == value,
        (Base::Known(None), Slot::Empty) => true,
        _ => false,
    };
    let is_news = |slot, place| known.of(place).is_edited(slot) && !holds(slot);
    let alone = |place| {
        if known.of(place) == agreed {
            Verdict::Write(place)
        } else {
            Verdict::Ask(Question::Conflict)
        }
    };
    match (a, b) {
        (Slot::Unread, Slot::Unread) => Verdict::Unread,
        (Slot::Unread, _) => Verdict::Agreed(1),
        (_, Slot::Unread) => Verdict::Agreed(0),
        (a, b) if a == b => Verdict::Agreed(0),
        (a, b) => match (is_news(a, 0), is_news(b, 1)) {
            (true, false) => alone(0),
            (false, true) => alone(1),
            (false, false) => Verdict::Behind,
            (true, true) => Verdict::Ask(Question::Conflict),
        },
    }
}

fn manual<T: PartialEq>(a: &Slot<T>, b: &Slot<T>) -> Verdict {
    match (a, b) {
        (Slot::Unread, Slot::Unread) => Verdict::Unread,
        (Slot::Unread, _) => Verdict::Agreed(1),
        (_, Slot::Unread) => Verdict::Agreed(0),
        (a, b) if a == b => Verdict::Agreed(0),
        _ => Verdict::Ask(Question::Manual),
    }
}

/// A record as a map from field names to values, as it comes out of JSON.
pub(crate) type Maps = [BTreeMap<String, serde_json::Value>; 3];

pub(crate) fn maps((of_crm, of_erp, agreed): &Snapshots) -> Maps {
    let text = |slot: &Slot<String>| slot.value().cloned().into();
    let number = |slot: &Slot<u64>| slot.value().copied().into();
    macro_rules! map {
        ($from:ident, $text:ident, $number:ident) => {
            BTreeMap::from([
                ("email".to_owned(), $text(&$from.email)),
                ("phone".to_owned(), $text(&$from.phone)),
                ("owner".to_owned(), $number(&$from.owner)),
                ("address".to_owned(), $text(&$from.address)),
                ("terms".to_owned(), $number(&$from.terms)),
                ("nickname".to_owned(), $text(&$from.nickname)),
                ("segment".to_owned(), $number(&$from.segment)),
                ("status".to_owned(), $number(&$from.status)),
            ])
        };
    }
    let agreed_text = |known: &Bases<String>| match &known.agreed {
        Base::Known(agreed) => agreed.clone().into(),
        Base::Never => serde_json::Value::Null,
    };
    let agreed_number = |known: &Bases<u64>| match &known.agreed {
        Base::Known(agreed) => (*agreed).into(),
        Base::Never => serde_json::Value::Null,
    };
    [
        map!(of_crm, text, number),
        map!(of_erp, text, number),
        map!(agreed, agreed_text, agreed_number),
    ]
}

/// The same over maps, with the rules looked up in the contract at run time.
pub(crate) fn dynamic(contract: &Contract, maps: &Maps) -> usize {
    let slot =
        |map: &BTreeMap<String, serde_json::Value>, field: &str| match map.get(field) {
            None => Slot::Unread,
            Some(serde_json::Value::Null) => Slot::Empty,
            Some(value) => Slot::Value(value.clone()),
        };
    let decided = |field: &&str| {
        let (of_crm, of_erp) = (slot(&maps[0], field), slot(&maps[1], field));
        let (slots, base) =
            ([&of_crm, &of_erp], Base::Known(maps[2].get(*field).cloned()));
        let plan = contract.plan(field, &slots, &base);
        plan.is_ok_and(|plan| {
            matches!(plan.verdict(), Verdict::Write(_) | Verdict::Ask(_))
        })
    };
    contract.synced_fields().filter(decided).count()
}
