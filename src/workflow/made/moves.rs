//! The moves from stage to stage, which take the table's key.

use super::*;
use crate::workflow::advance::{AdvanceError, Recall};
use crate::workflow::approval::{Clearance, Cleared, Escalation, Question, Vote};
use crate::workflow::command::Command;
use crate::workflow::definition::Wait;
use crate::workflow::id::{Correlation, InstanceId};
use crate::workflow::instance::{self, chain};
use crate::workflow::journal::Entry;
use crate::workflow::question;
use crate::workflow::role::Seat;
use crate::workflow::stage::{Escalated, Voted};

/// Who begins an instance: the people of a seat, or nobody in particular.
pub fn begin<W: Workflow, R>(
    id: InstanceId<W>,
    data: W::Data,
    requester: Option<&Seat<R>>,
    _: &W::Key,
) -> Instance<New<W>> {
    Instance::at(Box::new(Facts {
        id: id.into_event_id(),
        revision: 0,
        data,
        requested_by: requester.map(|seat| seat.actor().clone()),
        amended_by: Vec::new(),
        round: 1,
        due_at: None,
        question: None,
        cleared: Vec::new(),
        asked_anew: false,
        commands: Vec::new(),
        broken: None,
    }))
}

/// A stored instance at a stage.
pub fn load<S: Stage>(stored: Stored<S::Workflow>, _: &KeyOf<S>) -> Instance<S> {
    Instance::at(stored.facts)
}

/// The instance leaves one stage and enters another.
pub fn go<A, B>(at: Instance<A>, moved: Moved, key: &KeyOf<A>) -> Advance<B>
where
    A: Stage,
    B: Enter<Workflow = A::Workflow>,
{
    let same_command = is_of_undo(A::STATUS) == is_of_undo(B::STATUS)
        && A::STEP.map(|step| step.name) == B::STEP.map(|step| step.name);
    let is_given_up = gives_up::<B>(moved.cause, at.facts.round);
    let given_up = at.correlation().filter(|_| is_given_up);
    let mut facts = at.facts;
    if !same_command {
        facts.round = 1;
    }
    if facts.question.take().is_some() {
        let revision = facts.revision.saturating_add(1);
        let name = A::Workflow::NAME;
        facts.commands.push(question::closed(
            name,
            &facts.id,
            revision,
            super::name::<A>(),
        ));
    }
    facts.asked_anew = false;
    let mut at = Instance::<B>::at(facts);
    if matches!(B::STEP.map(|step| step.waits(B::STATUS)), Some(Wait::People(_))) {
        at.facts.question = Some(Question::default());
    }
    B::enter(&mut at, key);
    let entry = Entry::new(moved.cause, A::STEP.map(|step| step.name), moved.by);
    let advance = Advance::enter(at, entry);
    advance.giving_up(given_up.map(|command| command.command_id()))
}

/// Whether a move gives up the command that is awaited, which may not have left.
fn gives_up<B: Stage>(cause: Cause, round: u32) -> bool {
    match cause {
        // People who are asked about a silent step may still hear of it.
        Cause::TimedOut | Cause::Cancelled => {
            !matches!(B::STATUS, Status::Parked | Status::Stuck)
        }
        // It may have been done by hand.
        Cause::Happened => true,
        // The reply may be that to an earlier asking.
        Cause::Done | Cause::Undone => round > 1,
        _ => false,
    }
}

fn is_of_undo(status: Status) -> bool {
    matches!(status, Status::Undoing | Status::Stuck)
}

/// Sends the command of the stage that is entered.
pub fn send<S: Stage, E: Event + Wire>(at: &mut Instance<S>, event: &E, _: &KeyOf<S>) {
    let Facts { id, round, .. } = &*at.facts;
    let step = name::<S>();
    let correlation =
        instance::correlation::<S::Workflow>(id, S::STATUS, Some(step), *round);
    match correlation.map(|correlation| Command::new(&correlation, event)) {
        Some(Ok(command)) => at.facts.commands.push(command),
        Some(Err(cause)) => fail(at, AdvanceError::Command { step, cause }),
        None => {}
    }
}

/// Sends the command of a step.
pub fn send_do<S: Stage, N: Commanded>(
    at: &mut Instance<S>,
    command: &N::Do,
    key: &KeyOf<S>,
) {
    send(at, command, key);
}

/// Sends the command that undoes a step.
pub fn send_undo<S: Stage, N: Undoable>(
    at: &mut Instance<S>,
    command: &N::Undo,
    key: &KeyOf<S>,
) {
    send(at, command, key);
}

/// Sends the command of a step that needs an approval.
pub fn send_cleared<S: Stage, N: Commanded, A: Declared>(
    at: &mut Instance<S>,
    command: impl FnOnce(&DataOf<S>, &Cleared<A>) -> N::Do,
    key: &KeyOf<S>,
) {
    let approval = A::STEP.name;
    let found = at.facts.cleared.iter().find(|one| one.approval == approval);
    match found.map(Cleared::of) {
        Some(Ok(cleared)) => {
            let command = command(&at.facts.data, &cleared);
            send(at, &command, key);
        }
        Some(Err(cause)) => fail(at, AdvanceError::Shown { approval, cause }),
        None => fail(at, AdvanceError::NotCleared { approval }),
    }
}

fn fail<S: Stage>(at: &mut Instance<S>, cause: AdvanceError) {
    at.facts.broken.get_or_insert(cause);
}

/// Shows people what they are to approve.
pub fn show<S: Stage, A: Declared>(at: &mut Instance<S>, shown: &A::Shown, _: &KeyOf<S>) {
    let approval = A::STEP.name;
    match shown.write() {
        Ok(shown) => at.facts.question.get_or_insert_default().shown = Some(shown),
        Err(cause) => fail(at, AdvanceError::Shown { approval, cause }),
    }
}

/// The condition of an approval does not hold: it is cleared without votes.
pub fn not_needed<S: Stage, A: Declared>(
    at: &mut Instance<S>,
    shown: &A::Shown,
    _: &KeyOf<S>,
) {
    let approval = A::STEP.name;
    match shown.write() {
        Ok(shown) => clear(&mut at.facts, approval, Vec::new(), shown),
        Err(cause) => fail(at, AdvanceError::Shown { approval, cause }),
    }
}

fn clear<D>(facts: &mut Facts<D>, approval: &str, votes: Vec<Vote>, shown: Vec<u8>) {
    let (approval, amended) =
        (approval.to_owned(), Clearance::amended(&facts.amended_by));
    facts.cleared.push(Clearance { approval, votes, shown, amended });
}

/// The data, for what is learned of a reply.
pub fn learn<S: Stage>(
    at: &mut Instance<S>,
    learned: impl FnOnce(&mut DataOf<S>),
    _: &KeyOf<S>,
) {
    learned(&mut at.facts.data);
}

/// People approved, and it is enough.
pub fn approved<S: Stage, N>(
    mut at: Instance<S>,
    granted: Granted<S>,
    key: &KeyOf<S>,
) -> ThenOf<N>
where
    N: Next<Workflow = S::Workflow>,
{
    let approval = name::<S>();
    if let Some(question) = &mut at.facts.question {
        let votes = std::mem::take(&mut question.votes);
        let shown = question.shown.take().unwrap_or_default();
        clear(&mut at.facts, approval, votes, shown);
    }
    on::<S, N>(at, Moved::approved(granted), key)
}

/// A person approved; more may have to.
pub fn voted<S: Stage, N>(
    at: Instance<S>,
    granted: Granted<S>,
    key: &KeyOf<S>,
) -> Voted<S, ThenOf<N>>
where
    N: Next<Workflow = S::Workflow>,
{
    if granted.is_enough {
        return Voted::Enough(approved::<S, N>(at, granted, key));
    }
    let entry =
        Entry::new(Cause::Voted, S::STEP.map(|step| step.name), Some(granted.into()));
    Voted::Counted(Advance::stay(at, entry))
}

/// A person has taken their vote back.
pub(in crate::workflow) fn withdrawn<S: Stage>(
    at: Instance<S>,
    granted: Granted<S>,
) -> Advance<S> {
    let step = S::STEP.map(|step| step.name);
    Advance::stay(at, Entry::new(Cause::Withdrawn, step, Some(granted.into())))
}

/// What is asked is asked once more.
fn next_round<S: Stage>(at: &mut Instance<S>) {
    match at.facts.round.checked_add(1).filter(|next| *next <= Correlation::MOST_ROUNDS) {
        Some(next) => at.facts.round = next,
        None => fail(at, AdvanceError::NoRoundLeft { step: name::<S>() }),
    }
}

/// What is asked for has changed: the votes are void, and people are asked anew.
pub fn amended<S: Enter>(mut at: Instance<S>, by: By, key: &KeyOf<S>) -> Advance<S> {
    at.facts.question.get_or_insert_default().votes.clear();
    at.facts.amended(by.actor());
    next_round(&mut at);
    S::enter(&mut at, key);
    let step = S::STEP.map(|step| step.name);
    Advance::stay(at, Entry::new(Cause::Amended, step, Some(by)))
}

/// The time of a level has passed.
pub fn escalate<S, B>(mut at: Instance<S>, key: &KeyOf<S>) -> Escalated<S, B>
where
    S: Stage,
    B: Enter<Workflow = S::Workflow>,
{
    match next_level(&mut at) {
        Escalation::Reminded => Escalated::Asked(asked(at, Cause::Reminded)),
        Escalation::Escalated => Escalated::Asked(asked(at, Cause::Escalated)),
        Escalation::Over => Escalated::Refused(go(at, Moved::expired(), key)),
    }
}

/// The time of a level has passed, and somebody must answer: the last level is asked
/// again.
pub fn ask_on<S: Stage>(mut at: Instance<S>, _: &KeyOf<S>) -> Advance<S> {
    match next_level(&mut at) {
        Escalation::Escalated => asked(at, Cause::Escalated),
        Escalation::Reminded | Escalation::Over => asked(at, Cause::Reminded),
    }
}

/// Who is asked next. A question that a new version has changed is asked again first.
fn next_level<S: Stage>(at: &mut Instance<S>) -> Escalation {
    if std::mem::take(&mut at.facts.asked_anew) {
        return Escalation::Reminded;
    }
    at.facts.question.get_or_insert_default().next(chain::<S>())
}

fn asked<S: Stage>(at: Instance<S>, cause: Cause) -> Advance<S> {
    Advance::enter(at, Entry::new(cause, S::STEP.map(|step| step.name), None))
}

/// A person says that a step did not happen: its command is taken back.
pub fn did_not_happen<A, B>(
    at: Instance<A>,
    granted: Granted<A>,
    though_sent: bool,
    key: &KeyOf<A>,
) -> Advance<B>
where
    A: Stage,
    B: Enter<Workflow = A::Workflow>,
{
    let recall = recall(&at, &granted, though_sent);
    go(at, Moved::did_not_happen(granted), key).recalling(recall)
}

/// The command that a stage waits for is taken back.
fn recall<S: Stage>(
    at: &Instance<S>,
    granted: &Granted<S>,
    though_sent: bool,
) -> Option<Recall> {
    let command = at.correlation()?.command_id();
    let decision = granted.ruling.decision().clone();
    Some(Recall { command, decision, though_sent })
}

/// A person has a command sent under a new id: the earlier one is taken back where it has
/// not left.
pub fn ask_again<A, B>(
    mut at: Instance<A>,
    granted: Granted<A>,
    key: &KeyOf<A>,
) -> Advance<B>
where
    A: Stage,
    B: Enter<Workflow = A::Workflow>,
{
    let earlier = recall(&at, &granted, true);
    next_round(&mut at);
    go(at, Moved::asked_again(granted), key).recalling(earlier)
}

/// A person closes the instance: its last command is taken back where it has not left.
/// What stands is what was done before, and a step whose undo cannot be had.
pub fn give_up<S: Stage>(
    at: Instance<S>,
    granted: Granted<S>,
    key: &KeyOf<S>,
) -> Advance<GivenUp<S::Workflow>> {
    let table = S::Workflow::DEFINITION;
    let before = table.before(name::<S>());
    let done = before.filter(|step| step.kind != Kind::Approval);
    let not_undone = S::STEP.filter(|_| S::STATUS == Status::Stuck);
    let standing = done.chain(not_undone).map(|step| step.name).collect();
    let recall = recall(&at, &granted, true);
    go(at, Moved::given_up(granted), key).standing(standing).recalling(recall)
}
