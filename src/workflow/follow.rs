//! `Follows`: how the instances that run under an earlier version of a table go on.

use std::marker::PhantomData;

use super::approval::{Clearance, Question};
use super::command::Command;
use super::definition::{Definition, Kind, Step};
use super::drive;
use super::id::Seen;
use super::instance::{self, Instance};
use super::made::{Drive, Visitor};
use super::question;
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

/// What people do not know yet of an instance that is led over, and what leaves with the
/// next step that is stored.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// Whether they have not been asked the question that is open.
    pub(super) asked_anew: bool,
    /// Which questions are closed.
    pub(super) commands: Vec<Command>,
}

/// An instance on its way to another version: it is placed once, or refused.
#[must_use = "place the instance at a stage, or refuse it"]
#[derive(Debug)]
pub struct Follow<W> {
    /// What it was, without the data.
    record: InstanceRecord,
    table: Definition,
    news: News,
    to: PhantomData<fn() -> W>,
}

impl<W: Workflow> Follow<W> {
    /// Places the instance at a stage of this version, with its data in the new form.
    ///
    /// No command is sent, and the deadline stays: a stage that waits for a reply waits for
    /// the one to the command that is out. An approval stands where the new table shows
    /// the same for it, or does not need it. An approval that does not stand is asked anew
    /// where the stage is an approval too, and no step is done between the two. An open
    /// question about something else loses its votes, and people are asked it with the
    /// next step that is stored.
    ///
    /// # Errors
    ///
    /// [`RecordError::LedAstray`] where the stage waits for another command,
    /// [`RecordError::UndoForgotten`] where a step that was done is not before it, and
    /// [`RecordError::ClearanceMissing`] where an approval before it does not stand, and
    /// cannot be asked anew.
    pub fn stage<S>(self, data: W::Data) -> Result<W::Any, RecordError>
    where
        S: Stage<Workflow = W>,
    {
        let Self { mut record, table, mut news, .. } = self;
        // The table says what the step is, not the stage.
        let step = S::STEP.and_then(|step| W::DEFINITION.step(step.name));
        let old = record.step.as_deref().and_then(|name| table.step(name));
        if !is_same_wait((record.status, old), (S::STATUS, step)) {
            let from = (record.status, record.step.unwrap_or_default());
            let to = (S::STATUS, step.map_or("", |step| step.name));
            return Err(RecordError::LedAstray { from, to });
        }
        check_undos(&table, old, &W::DEFINITION, step)?;
        record.status = S::STATUS;
        carry_clearances::<W>(&mut record, step, &data)?;
        let step = step.map(|step| asked_first(&W::DEFINITION, step, &record.cleared));
        carry_question::<W>(&mut record, &mut news, step, &data)?;
        record.version = W::VERSION;
        record.fingerprint = W::FINGERPRINT;
        record.step = step.map(|step| step.name.to_owned());
        let command =
            instance::asked(&W::DEFINITION, &record.id, S::STATUS, step, record.round);
        record.awaits = command.map(|command| command.command_id());
        // What is over was checked by the table that it ended under.
        if !S::STATUS.is_end() {
            drive::check::<W>(&record)?;
        }
        drive::place::<W>(&record, data, news)
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
    let (old, record, news) = Old::visit(drive::stored::<Old>(record)?, Taken);
    W::follow(old, Follow { record, table: Old::DEFINITION, news, to: PhantomData })
}

/// What an instance is, at whatever stage, without its data.
struct Taken;

impl<W: Workflow> Visitor<W> for Taken {
    type Out = (W::Any, InstanceRecord, News);

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
            amended_by: facts.amended_by.clone(),
            data: Vec::new(),
        };
        let (asked_anew, commands) = (facts.asked_anew, facts.commands.clone());
        (S::any(at), record, News { asked_anew, commands })
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

/// Keeps the clearances under which the new table shows the same, and clears what it does
/// not need. Those of a command that has left are history: what was approved is what was
/// sent.
fn carry_clearances<W: Workflow>(
    record: &mut InstanceRecord,
    to: Option<&Step>,
    data: &W::Data,
) -> Result<(), RecordError> {
    let given = std::mem::take(&mut record.cleared);
    let is_history = record.is_history(to);
    let is_on_its_way = record.is_on_its_way();
    let name = to.filter(|_| is_on_its_way).map_or("", |step| step.name);
    for step in W::DEFINITION.before(name) {
        let Some(shown) = shown::<W>(step.name, data)? else { continue };
        let stands = |one: &&Clearance| {
            let is_same = Seen::of(&one.shown) == Seen::of(&shown);
            one.approval == step.name && (is_history || is_same)
        };
        if let Some(stands) = given.iter().find(stands) {
            record.cleared.push(stands.clone());
        } else if is_on_its_way && !W::is_needed(step.name, data) {
            let (approval, votes) = (step.name.to_owned(), Vec::new());
            let amended = Clearance::amended(&record.amended_by);
            record.cleared.push(Clearance { approval, votes, shown, amended });
        }
    }
    Ok(())
}

/// The approval that people are asked: the first one that does not stand, where only
/// approvals lie between it and the one that the instance is led to.
fn asked_first(
    table: &Definition,
    to: &'static Step,
    cleared: &[Clearance],
) -> &'static Step {
    if to.kind != Kind::Approval {
        return to;
    }
    let is_cleared = |step: &Step| cleared.iter().any(|one| one.approval == step.name);
    let stands = |step: &&Step| step.kind != Kind::Approval || is_cleared(step);
    let mut open = table.before(to.name).skip_while(stands).peekable();
    let first = open.peek().copied();
    let is_alone = open.all(|step| step.kind == Kind::Approval);
    first.filter(|_| is_alone).unwrap_or(to)
}

/// Keeps the question that is open, with its votes where it shows the same; otherwise the
/// next step closes it, and asks the one that takes its place.
fn carry_question<W: Workflow>(
    record: &mut InstanceRecord,
    news: &mut News,
    to: Option<&'static Step>,
    data: &W::Data,
) -> Result<(), RecordError> {
    let approval = to.filter(|step| step.kind == Kind::Approval);
    let shown = match approval {
        Some(step) => shown::<W>(step.name, data)?,
        None => None,
    };
    let from = record.step.clone().unwrap_or_default();
    let is_same_step = to.is_some_and(|step| step.name == from);
    let asks =
        approval.is_some() || matches!(record.status, Status::Parked | Status::Stuck);
    let is_same = |question: &Question| question.shown == shown;
    if asks && is_same_step && record.question.as_ref().is_some_and(is_same) {
        return Ok(());
    }
    if record.question.is_some() && !(asks && is_same_step) {
        let closed = question::closed(W::NAME, &record.id, record.revision, &from);
        news.commands.push(closed);
    }
    record.question = asks.then(|| Question { shown, ..Question::default() });
    news.asked_anew = asks;
    Ok(())
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
