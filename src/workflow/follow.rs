//! `Follows`: how the instances that run under an earlier version of a table go on.

use std::marker::PhantomData;

use super::approval::{Clearance, Question};
use super::definition::{Definition, Kind, Step};
use super::drive;
use super::id::Seen;
use super::instance::Instance;
use super::made::{Drive, Visitor};
use super::record::{InstanceRecord, RecordError};
use super::stage::{Stage, Status, Workflow};

/// Leads the instances of an earlier version of a table over to this one.
///
/// The table names the earlier one, `version 2 follows v1::order_to_cash`, and every load
/// of an instance that was stored under it goes through here. The row changes with the
/// next step that is stored.
///
/// Match every stage: the compiler names one that is forgotten. The guide's chapter
/// [`workflow`](crate::guide::workflow#a-new-version) has an example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how the instances of `{Old}` go on",
    label = "needs `impl Follows<{Old}> for {Self}`, with an arm for each stage"
)]
pub trait Follows<Old: Workflow>: Workflow {
    /// The stage of this version at which an instance of the earlier one goes on.
    ///
    /// # Errors
    ///
    /// [`RecordError`], from [`Follow::refuse`] and [`Follow::stage`].
    fn follow(old: Old::Any, to: Follow<Self>) -> Result<Self::Any, RecordError>;
}

/// An instance on its way to another version: it is placed once, or refused.
#[must_use = "place the instance at a stage, or refuse it"]
#[derive(Debug)]
pub struct Follow<W> {
    /// What it was, without the data.
    record: InstanceRecord,
    table: Definition,
    to: PhantomData<fn() -> W>,
}

impl<W: Workflow> Follow<W> {
    /// Places the instance at a stage of this version, with its data in the new form.
    ///
    /// Nothing is sent, and the deadline stays: a stage that waits for a reply waits for
    /// the one to the command that is out. An approval stands where the new table shows
    /// the same for it. An open question about something else loses its votes, and is
    /// asked again when its deadline passes.
    ///
    /// # Errors
    ///
    /// [`RecordError::LedAstray`] where the stage waits for another command,
    /// [`RecordError::UndoForgotten`] where a step that was done is not before it, and
    /// [`RecordError::ClearanceMissing`] where an approval before it does not stand.
    pub fn stage<S>(self, data: W::Data) -> Result<W::Any, RecordError>
    where
        S: Stage<Workflow = W>,
    {
        let Self { mut record, table, .. } = self;
        let step = S::STEP;
        let old = record.step.as_deref().and_then(|name| table.step(name));
        if !is_same_wait((record.status, old), (S::STATUS, step)) {
            let from = (record.status, record.step.unwrap_or_default());
            let to = (S::STATUS, step.map_or("", |step| step.name));
            return Err(RecordError::LedAstray { from, to });
        }
        check_undos(&table, old, &W::DEFINITION, step)?;
        carry_clearances::<W>(&mut record, step, &data)?;
        let asked_anew = carry_question::<W>(&mut record, S::STATUS, step, &data)?;
        record.version = W::VERSION;
        record.fingerprint = W::FINGERPRINT;
        record.status = S::STATUS;
        record.step = step.map(|step| step.name.to_owned());
        drive::check::<W>(&record)?;
        drive::place::<W>(&record, data, asked_anew)
    }

    /// Refuses the instance: its row stays as it is, and every load gives the reason.
    ///
    /// # Errors
    ///
    /// [`RecordError::NotFollowed`], always.
    pub fn refuse(self, reason: impl Into<String>) -> Result<W::Any, RecordError> {
        let version = self.record.version;
        Err(RecordError::NotFollowed { version, reason: reason.into() })
    }
}

/// The instance of a record of an earlier version, in this one.
pub(super) fn lead<Old, W>(record: &InstanceRecord) -> Result<W::Any, RecordError>
where
    Old: Workflow,
    W: Follows<Old>,
{
    let (old, record) = Old::visit(drive::stored::<Old>(record)?, Taken);
    W::follow(old, Follow { record, table: Old::DEFINITION, to: PhantomData })
}

/// What an instance is, at whatever stage, without its data.
struct Taken;

impl<W: Workflow> Visitor<W> for Taken {
    type Out = (W::Any, InstanceRecord);

    fn visit<S: Drive<Workflow = W>>(self, at: Instance<S>) -> Self::Out {
        let facts = &*at.facts;
        let record = InstanceRecord {
            workflow: W::NAME.to_owned(),
            version: W::VERSION,
            fingerprint: W::FINGERPRINT,
            id: facts.id.clone(),
            revision: facts.revision,
            status: S::STATUS,
            step: S::STEP.map(|step| step.name.to_owned()),
            awaits: None,
            due_at: facts.due_at,
            round: facts.round,
            question: facts.question.clone(),
            cleared: facts.cleared.clone(),
            requested_by: facts.requested_by.clone(),
            data: Vec::new(),
        };
        (S::any(at), record)
    }
}

/// Whether two stages listen for the replies to one command, or both wait for an approval,
/// or are one end.
fn is_same_wait(
    (from, old): (Status, Option<&Step>),
    (to, new): (Status, Option<&Step>),
) -> bool {
    let is_of_undo = |status| matches!(status, Status::Undoing | Status::Stuck);
    match (old, new) {
        (None, None) => from == to,
        (Some(old), Some(new)) => {
            let is_approval = |step: &Step| step.kind == Kind::Approval;
            let same_step = old.name == new.name || is_approval(old);
            is_approval(old) == is_approval(new)
                && same_step
                && is_of_undo(from) == is_of_undo(to)
        }
        _ => false,
    }
}

/// Every step that may still have to be undone stands before the new stage too.
fn check_undos(
    old: &Definition,
    from: Option<&Step>,
    new: &Definition,
    to: Option<&Step>,
) -> Result<(), RecordError> {
    let (Some(from), Some(to)) = (from, to) else { return Ok(()) };
    let mut done = old.before(from.name);
    let is_behind_pivot = old.before(from.name).any(|step| step.kind == Kind::Pivot);
    if is_behind_pivot || from.kind == Kind::Retriable {
        return Ok(());
    }
    let is_kept = |step: &Step| {
        let mut before = new.before(to.name);
        before.any(|one| one.name == step.name && one.kind == Kind::Compensatable)
    };
    match done.find(|step| step.kind == Kind::Compensatable && !is_kept(step)) {
        Some(step) => Err(RecordError::UndoForgotten { step: step.name }),
        None => Ok(()),
    }
}

/// Keeps the clearances under which the new table shows the same. Those of a command that
/// has left are history: what was approved is what was sent.
fn carry_clearances<W: Workflow>(
    record: &mut InstanceRecord,
    to: Option<&Step>,
    data: &W::Data,
) -> Result<(), RecordError> {
    let is_sent =
        to.is_none_or(|step| matches!(step.kind, Kind::Pivot | Kind::Retriable));
    let mut cleared = Vec::new();
    for one in std::mem::take(&mut record.cleared) {
        let now = shown::<W>(&one.approval, data)?;
        if now.is_some_and(|now| is_sent || is_same(&one, &now)) {
            cleared.push(one);
        }
    }
    record.cleared = cleared;
    Ok(())
}

fn is_same(clearance: &Clearance, now: &[u8]) -> bool {
    Seen::of(&clearance.shown) == Seen::of(now)
}

/// Keeps the question that is open, with its votes where it shows the same; says whether
/// people have not been asked it yet.
fn carry_question<W: Workflow>(
    record: &mut InstanceRecord,
    status: Status,
    to: Option<&Step>,
    data: &W::Data,
) -> Result<bool, RecordError> {
    let approval = to.filter(|step| step.kind == Kind::Approval);
    let shown = match approval {
        Some(step) => shown::<W>(step.name, data)?,
        None => None,
    };
    let asks = approval.is_some() || matches!(status, Status::Parked | Status::Stuck);
    if !asks {
        record.question = None;
        return Ok(false);
    }
    let is_same_step = to.map(|step| step.name) == record.step.as_deref();
    let is_same = |question: &Question| question.shown == shown && is_same_step;
    if record.question.as_ref().is_some_and(is_same) {
        return Ok(false);
    }
    record.question = Some(Question { shown, ..Question::default() });
    Ok(true)
}

/// What the new table shows for an approval; nothing where it has no such approval.
fn shown<W: Workflow>(
    approval: &str,
    data: &W::Data,
) -> Result<Option<Vec<u8>>, RecordError> {
    W::shown(approval, data).transpose().map_err(|cause| {
        let approval = approval.to_owned();
        RecordError::Shown { approval, cause }
    })
}
