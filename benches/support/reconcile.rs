//! Two systems' records of eight fields: reconciled by the declared boundary, by hand,
//! and as maps of values.

use std::collections::BTreeMap;
use std::hint::black_box;

use integration_automation_patterns::boundary;
use integration_automation_patterns::sync::{
    Base, Bases, Capability, Contract, NonOwnerEdits, Question, Rule, Slot, System,
    Verdict, verdict_with_bases,
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

/// The same, with the rules for two systems written out as one would by hand: a base for
/// each of them, and every verdict that the crate knows.
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

fn is_read<T>(slot: &Slot<T>) -> bool {
    !matches!(slot, Slot::Unread | Slot::Unsupported)
}

fn owned<T: PartialEq>(
    owner: &Slot<T>,
    other: &Slot<T>,
    known: &Bases<T>,
    place: usize,
) -> Verdict {
    if !is_read(owner) {
        Verdict::Unread
    } else if !is_read(other) || owner == other {
        Verdict::Agreed(place)
    } else if *owner == Slot::Empty && *known.of(place) == Base::Never {
        Verdict::Ask(Question::BlankOwner)
    } else {
        Verdict::Write(place)
    }
}

fn shared<T: PartialEq>(a: &Slot<T>, b: &Slot<T>, known: &Bases<T>) -> Verdict {
    match (is_read(a), is_read(b)) {
        (false, false) => Verdict::Unread,
        (true, false) if *b == Slot::Unsupported => Verdict::Agreed(0),
        (false, true) if *a == Slot::Unsupported => Verdict::Agreed(1),
        (true, false) => shared_alone(a, known, 0),
        (false, true) => shared_alone(b, known, 1),
        (true, true) if a == b => Verdict::Agreed(0),
        (true, true) => {
            match (is_news(a, known.of(0), known), is_news(b, known.of(1), known)) {
                (true, true) => ask(&[known.of(0), known.of(1)]),
                (true, false) if *known.of(0) == known.agreed => Verdict::Write(0),
                (true, false) => ask(&[known.of(0)]),
                (false, true) if *known.of(1) == known.agreed => Verdict::Write(1),
                (false, true) => ask(&[known.of(1)]),
                (false, false) if known.agreed == Base::Never => ask(&[&known.agreed]),
                (false, false) => Verdict::Behind,
            }
        }
    }
}

/// What one system says, where the other was not read.
fn shared_alone<T: PartialEq>(slot: &Slot<T>, known: &Bases<T>, place: usize) -> Verdict {
    let base = known.of(place);
    match is_news(slot, base, known) {
        true if *base == known.agreed => Verdict::Agreed(place),
        true => ask(&[base]),
        false if known.agreed == Base::Never || holds(slot, &known.agreed) => {
            Verdict::Agreed(place)
        }
        false => Verdict::Behind,
    }
}

fn is_news<T: PartialEq>(slot: &Slot<T>, base: &Base<T>, known: &Bases<T>) -> bool {
    base.is_edited(slot) && !holds(slot, &known.agreed)
}

fn holds<T: PartialEq>(slot: &Slot<T>, agreed: &Base<T>) -> bool {
    match (agreed, slot) {
        (Base::Known(Some(agreed)), Slot::Value(value)) => agreed == value,
        (Base::Known(None), Slot::Empty) => true,
        _ => false,
    }
}

fn ask<T: PartialEq>(bases: &[&Base<T>]) -> Verdict {
    let is_first = bases.iter().any(|base| **base == Base::Never);
    Verdict::Ask(if is_first { Question::FirstDiffers } else { Question::Conflict })
}

fn manual<T: PartialEq>(a: &Slot<T>, b: &Slot<T>) -> Verdict {
    match (is_read(a), is_read(b)) {
        (false, false) => Verdict::Unread,
        (false, true) => Verdict::Agreed(1),
        (true, false) => Verdict::Agreed(0),
        (true, true) if a == b => Verdict::Agreed(0),
        (true, true) => Verdict::Ask(Question::Manual),
    }
}

/// Asserts that the rules by hand decide as the crate does, whatever two systems say and
/// are known to have: else the two would not be comparable.
pub(crate) fn assert_by_hand_decides_alike() {
    let slots = [Slot::Unread, Slot::Unsupported, Slot::Empty]
        .into_iter()
        .chain([1, 2, 3].map(Slot::Value))
        .collect::<Vec<Slot<u64>>>();
    let bases = [Base::Never, Base::Known(None)]
        .into_iter()
        .chain([1, 2, 3].map(|value| Base::Known(Some(value))))
        .collect::<Vec<_>>();
    let knowns = bases.iter().flat_map(|agreed| {
        let confirmed =
            bases.iter().flat_map(|a| bases.iter().map(move |b| vec![*a, *b]));
        confirmed.map(|confirmed| Bases { agreed: *agreed, confirmed })
    });
    for known in knowns {
        for (a, b) in slots.iter().flat_map(|a| slots.iter().map(move |b| (a, b))) {
            let decided = |rule| verdict_with_bases(rule, &[a, b], &known);
            let owner = |place| Rule::Owner(place, NonOwnerEdits::Reject);
            assert_eq!(
                owned(a, b, &known, 0),
                decided(owner(0)),
                "{a:?} {b:?} {known:?}"
            );
            assert_eq!(
                owned(b, a, &known, 1),
                decided(owner(1)),
                "{a:?} {b:?} {known:?}"
            );
            assert_eq!(
                shared(a, b, &known),
                decided(Rule::Shared),
                "{a:?} {b:?} {known:?}"
            );
            assert_eq!(manual(a, b), decided(Rule::Manual), "{a:?} {b:?}");
        }
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
