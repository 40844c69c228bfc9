//! Two systems' records of eight fields: reconciled by the declared boundary, by hand,
//! and as maps of values.

use std::collections::BTreeMap;
use std::hint::black_box;

use integration_automation_patterns::boundary;
use integration_automation_patterns::sync::{
    Base, Capability, Contract, Question, Slot, System, Verdict,
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
    (contact::Snapshot<Crm>, contact::Snapshot<Erp>, contact::Agreed);

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
    (of_crm, of_erp, agreed)
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

/// One entry of a plan, as one would keep it by hand: both sides, the base, and what to
/// do.
struct Entry<'a, T> {
    sides: [&'a Slot<T>; 2],
    base: &'a Base<T>,
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
pub(crate) fn by_hand((a, b, base): &Snapshots) -> usize {
    fn entry<'a, T>(
        a: &'a Slot<T>,
        b: &'a Slot<T>,
        base: &'a Base<T>,
        verdict: Verdict,
    ) -> Entry<'a, T> {
        Entry { sides: [a, b], base, verdict }
    }
    let plan = black_box(Plan {
        email: entry(
            &a.email,
            &b.email,
            &base.email,
            owned(&a.email, &b.email, &base.email, 0),
        ),
        phone: entry(
            &a.phone,
            &b.phone,
            &base.phone,
            owned(&a.phone, &b.phone, &base.phone, 0),
        ),
        owner: entry(
            &a.owner,
            &b.owner,
            &base.owner,
            owned(&a.owner, &b.owner, &base.owner, 0),
        ),
        address: entry(
            &a.address,
            &b.address,
            &base.address,
            owned(&b.address, &a.address, &base.address, 1),
        ),
        terms: entry(
            &a.terms,
            &b.terms,
            &base.terms,
            owned(&b.terms, &a.terms, &base.terms, 1),
        ),
        nickname: entry(
            &a.nickname,
            &b.nickname,
            &base.nickname,
            shared(&a.nickname, &b.nickname, &base.nickname),
        ),
        segment: entry(
            &a.segment,
            &b.segment,
            &base.segment,
            shared(&a.segment, &b.segment, &base.segment),
        ),
        status: entry(&a.status, &b.status, &base.status, manual(&a.status, &b.status)),
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
    base: &Base<T>,
    place: usize,
) -> Verdict {
    match (owner, other, base) {
        (Slot::Unread, _, _) => Verdict::Unread,
        (_, Slot::Unread, _) => Verdict::Agreed(place),
        (owner, other, _) if owner == other => Verdict::Agreed(0),
        (Slot::Empty, _, Base::Never) => Verdict::Ask(Question::BlankOwner),
        _ => Verdict::Write(place),
    }
}

fn shared<T: PartialEq>(a: &Slot<T>, b: &Slot<T>, base: &Base<T>) -> Verdict {
    match (a, b) {
        (Slot::Unread, Slot::Unread) => Verdict::Unread,
        (Slot::Unread, _) => Verdict::Agreed(1),
        (_, Slot::Unread) => Verdict::Agreed(0),
        (a, b) if a == b => Verdict::Agreed(0),
        (a, b) => match (base.is_edited(a), base.is_edited(b)) {
            (true, false) => Verdict::Write(0),
            (false, true) => Verdict::Write(1),
            _ => Verdict::Ask(Question::Conflict),
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
    let agreed_text = |base: &Base<String>| match base {
        Base::Known(agreed) => agreed.clone().into(),
        Base::Never => serde_json::Value::Null,
    };
    let agreed_number = |base: &Base<u64>| match base {
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
