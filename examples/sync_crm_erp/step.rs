//! The steps of a run in their order, but for the delivery between them: each may be
//! interrupted, and does the rest when it is begun again.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::sync::{
    Base, Contract, Existence, Question, Review, Verdict,
};
use integration_automation_patterns::{Envelope, Event, EventId};

use crate::Outcome;
use crate::contract::{Change, RecordChanged, RecordCreated};
use crate::database::{Agreed, Announcement, Database, Findings, Known};
use crate::view::{SYSTEMS, View};

/// Another attempt after a tenth of a second, then twice as long.
pub(crate) const POLICY: RetryPolicy = RetryPolicy::retries(
    7,
    Backoff::Exponential {
        base: Duration::from_millis(100),
        max: Duration::from_secs(5),
    },
);

/// What the systems have to tell one another.
#[derive(Default)]
pub(crate) struct Planned {
    pub(crate) records: usize,
    pub(crate) fields: usize,
    pub(crate) events: [usize; 2],
    pub(crate) new: [usize; 2],
    pub(crate) lost: usize,
}

/// Plans, and enqueues what follows: in each system's own transaction, for the other one.
pub(crate) async fn plan<D: Database>(
    crm: &mut D,
    erp: &mut D,
    contract: &Contract,
) -> Outcome<Planned> {
    let view = View::of(crm, erp).await?;
    let mut planned = Planned::default();
    let (mut announcements, mut agreed) = ([Vec::new(), Vec::new()], Agreed::new());
    let mut restored = BTreeMap::new();
    for (record, whole) in view.records()? {
        let record = record.as_str();
        planned.records += 1;
        let known = view.known(record);
        if known.back.contains(&true) {
            restored.insert(record.to_owned(), known);
        }
        match whole.existence() {
            Existence::Create => {
                let from = usize::from(!whole.presence()[0].is_there());
                let row = view.systems[from].get(record);
                let fields = row.map(|row| row.fields.clone()).unwrap_or_default();
                planned.fields += fields.len();
                let fields = fields.into_iter().collect();
                let created = RecordCreated { record: record.to_owned(), fields };
                announcements[from].push(announce(&view, from, record, created)?);
            }
            Existence::Everywhere => {
                let changes =
                    changes(&view, record, contract, &mut planned, &mut agreed)?;
                let told = changes.into_iter().enumerate();
                for (from, changes) in told.filter(|(_, changes)| !changes.is_empty()) {
                    let (name, decision) = (record.to_owned(), None);
                    let changed = RecordChanged { record: name, changes, decision };
                    announcements[from].push(announce(&view, from, record, changed)?);
                }
            }
            _ => {}
        }
    }
    planned.events = announcements.each_ref().map(Vec::len);
    let [from_crm, from_erp] = announcements;
    let from_crm = crm.announce(from_crm, agreed, restored).await?;
    let from_erp = erp.announce(from_erp, Agreed::new(), BTreeMap::new()).await?;
    planned.new = [from_crm, from_erp];
    Ok(planned)
}

/// What each system has to tell the other about a record, and what is agreed by that: the
/// one that is told is behind until it shows it.
fn changes(
    view: &View,
    record: &str,
    contract: &Contract,
    planned: &mut Planned,
    agreed: &mut Agreed,
) -> Outcome<[Vec<Change>; 2]> {
    let mut changes = [Vec::new(), Vec::new()];
    let is_planned = |field: &&str| !view.is_under_way(record, field);
    for field in contract.synced_fields().filter(is_planned) {
        view.field(record, field).plan(contract, field, |plan| {
            for write in plan.writes() {
                planned.fields += 1;
                planned.lost += usize::from(write.lost().is_some());
                changes[1 - write.to()].push(Change::of(field, &write));
                let next = plan.next_without(&[write.to()]);
                agreed.insert((record.to_owned(), field.to_owned()), next);
            }
        })?;
    }
    Ok(changes)
}

/// The event of a record as it is now: the same state of it is the same event, however
/// often it is planned. A system that was restored shows an old state anew, and that is
/// another one.
fn announce<P: Event + serde::Serialize + Send + Sync + 'static>(
    view: &View,
    from: usize,
    record: &str,
    payload: P,
) -> Outcome<Announcement> {
    let known = view.known(record);
    let [crm, erp] = known.revisions;
    let state = format!("{record}@{crm}/{erp}#{}", known.epoch);
    let event = Envelope::builder(SYSTEMS[from], payload)
        .id(EventId::derived(SYSTEMS[from], &state)?)
        .ordering_key(record)
        .retry_policy(POLICY)
        .build()?;
    let event = event.encode(|payload| serde_json::to_vec(payload))?;
    let revision = known.revisions[from];
    Ok(Announcement { record: record.to_owned(), revision, event })
}

/// What stands between the systems when all is delivered.
#[derive(Default)]
pub(crate) struct Closed {
    pub(crate) agreed: usize,
    pub(crate) waiting: usize,
    /// Fields that a person leaves different.
    pub(crate) left: usize,
    pub(crate) review: Vec<Review<String>>,
}

/// Stores what both systems agree on now, and the questions that are left.
pub(crate) async fn close<D: Database>(
    crm: &mut D,
    erp: &mut D,
    contract: &Contract,
) -> Outcome<Closed> {
    let view = View::of(crm, erp).await?;
    let (mut closed, mut findings) = (Closed::default(), Findings::default());
    for (record, whole) in view.records()? {
        let record = record.as_str();
        match whole.existence() {
            Existence::Gone => {
                findings.gone.push(record.to_owned());
                continue;
            }
            Existence::Everywhere => {
                for field in contract.synced_fields() {
                    compare(&view, record, field, contract, &mut closed, &mut findings)?;
                }
            }
            Existence::Ask => findings.review.extend(whole.review(record, SYSTEMS)),
            _ => {}
        }
        let base = whole.next_without(&[0, 1]);
        let goes_back = |row: &Review<String>| {
            row.record_id == record && row.question == Question::GoesBack
        };
        let known = Known { base, ..view.known(record) };
        let known = match findings.review.iter().any(goes_back) {
            true => known,
            false => Known { back: [false; 2], ..known },
        };
        findings.known.insert(record.to_owned(), known);
    }
    closed.review = findings.review.clone();
    crm.close(findings).await?;
    Ok(closed)
}

/// Notes whether a field agrees, is to be written, or is a question.
fn compare(
    view: &View,
    record: &str,
    field: &str,
    contract: &Contract,
    closed: &mut Closed,
    findings: &mut Findings,
) -> Outcome<()> {
    let cell = (record.to_owned(), field.to_owned());
    view.field(record, field).plan(contract, field, |plan| {
        let is_left = view
            .left(record, field)
            .map(|answer| plan.settle(record, field, answer.clone()).is_ok());
        if is_left == Some(false) {
            findings.expired.push(cell.clone());
        }
        match plan.verdict() {
            Verdict::Agreed(_) | Verdict::Unread => closed.agreed += 1,
            Verdict::Ask(_) if is_left == Some(true) => closed.left += 1,
            Verdict::Ask(_) => {
                findings.review.extend(plan.review(record, field, SYSTEMS));
            }
            _ => closed.waiting += 1,
        }
        let next = plan.next_without(&[0, 1]);
        if next.agreed != Base::Never {
            findings.agreed.insert(cell, next);
        }
    })?;
    Ok(())
}
