//! Every interleaving of one instance, on the real verbs: commands and replies that come
//! in any order and again, deadlines that pass at any time, people who cancel, decide,
//! settle, ask again and give up, for all shapes of up to four steps.
//!
//! Anybody may crash at any time. Before the commit, nothing has happened: the same turn
//! is taken later. Between the commit and its confirmation, what was taken in comes again,
//! however often and however late: at every state, everything that was ever taken in comes
//! again, and changes nothing. For the same reason, what is late is taken in at once: it
//! changes nothing now, and would change nothing later.

use std::collections::{BTreeSet, HashMap, VecDeque};

use chrono::{DateTime, Utc};
use integration_automation_patterns::RawEvent;
use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    AnyAdvance, AnyRuling, Choice, Correlation, Driven, InstanceId, InstanceRecord, Kind,
    NotStoredError, Part, Status, Verdict, Workflow,
};

use crate::orders::{Controller, ErpDesk, Sales, login};
use crate::shapes::{self, Trip, shapes};

/// A command: the step, what is asked, and how often it was.
type Command = (usize, Part, u32);

/// A participant's word, with the command that it answers.
type Reply = (&'static str, Command);

/// What the participant of a step has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Effect {
    Nothing,
    Done,
    Refused,
    Undone,
}

/// One instance with all that is under way around it.
#[derive(Debug, Clone)]
struct State {
    /// The manager's database: the row, and what has not left yet.
    store: Memory,
    /// What was sent, and that the participants' inboxes will take.
    sent: BTreeSet<Command>,
    /// What they will not take again.
    seen: BTreeSet<Command>,
    effects: Vec<Effect>,
    /// The replies that are under way.
    replies: BTreeSet<Reply>,
    /// The replies that the manager has taken in.
    taken: BTreeSet<Reply>,
}

struct Model<W> {
    id: InstanceId<W>,
}

fn now() -> DateTime<Utc> {
    "2026-01-05T08:00:00Z".parse().unwrap()
}

/// What tells states apart: what may still follow, and not how it came to be.
type Key = (
    (Status, Option<usize>, u32, Option<u32>),
    (BTreeSet<Command>, BTreeSet<Command>, bool),
    (Vec<Effect>, BTreeSet<Reply>),
);

fn key<W: Workflow>(state: &State, id: &InstanceId<W>) -> Key {
    let row = row(state, id);
    let (step, level) = (row.step.as_deref(), row.question.as_ref());
    let step = step.map(place::<W>);
    let State { sent, seen, effects, replies, store, .. } = state;
    let waiting = waiting::<W>(store);
    let will_not = step.is_some_and(|step| seen.contains(&(step, Part::Do, 1)));
    // Of a step that is over, it counts only whether it stands.
    let is_over = |place: usize| {
        let is_of = |command: &Command| command.0 == place;
        step != Some(place) && !sent.iter().chain(&waiting).any(is_of)
    };
    let effect = |(place, effect): (usize, &Effect)| match effect {
        Effect::Refused | Effect::Undone if is_over(place) => Effect::Nothing,
        effect => *effect,
    };
    let effects = effects.iter().enumerate().map(effect).collect();
    let level = level.map(|question| question.level);
    (
        (row.status, step, row.round, level),
        (waiting, sent.clone(), will_not),
        (effects, replies.clone()),
    )
}

/// The commands that wait to be sent; questions to people are none.
fn waiting<W: Workflow>(store: &Memory) -> BTreeSet<Command> {
    let ids = store.commands().iter().filter_map(|one| one.correlation_id.as_ref());
    ids.filter_map(|id| Some(command::<W>(&id.parse().ok()?))).collect()
}

fn command<W: Workflow>(to: &Correlation) -> Command {
    (place::<W>(to.step()), to.part(), to.round())
}

fn row<'s, W: Workflow>(state: &'s State, id: &InstanceId<W>) -> &'s InstanceRecord {
    state.store.record(id.as_event_id()).unwrap()
}

fn place<W: Workflow>(step: &str) -> usize {
    W::DEFINITION.steps.iter().position(|one| one.name == step).unwrap()
}

impl<W: Driven> Model<W> {
    fn correlation(&self, (step, part, round): Command) -> Correlation {
        let (name, step) = (W::NAME, W::DEFINITION.steps[step].name);
        let text = format!("{name}/{}/{step}/{}", self.id, part.as_str());
        let text = if round > 1 { format!("{text}/{round}") } else { text };
        text.parse().unwrap()
    }

    fn any(&self, state: &State) -> W::Any {
        state.store.load(&self.id).unwrap().unwrap()
    }

    /// The state after a step was stored; none where the store refuses to take a command
    /// back that has left.
    fn stored(&self, mut state: State, advance: AnyAdvance<W>) -> Option<State> {
        if let Err(refused) = state.store.store(advance, now()) {
            assert!(
                matches!(refused.cause(), NotStoredError::StillOut { .. }),
                "{refused}"
            );
            return None;
        }
        for command in state.store.commands() {
            let to = command.correlation_id.as_ref().unwrap().parse::<Correlation>();
            let Ok(to) = to else { continue };
            assert_eq!(command.id, to.command_id(), "one command, one id");
        }
        Some(state)
    }

    /// The relay sends what waits.
    fn relay(&self, state: &State) -> Option<State> {
        let mut next = state.clone();
        let taken = next.store.take_commands();
        for command in &taken {
            let Ok(to) = command.correlation_id().unwrap().parse::<Correlation>() else {
                continue;
            };
            let command = self::command::<W>(&to);
            assert!(next.sent.insert(command), "{command:?} leaves twice");
        }
        (!waiting::<W>(&state.store).is_empty()).then_some(next)
    }

    /// A participant takes a command in, in a transaction with its inbox.
    fn takes_in(&self, state: &State, command: Command) -> Vec<State> {
        let (step, part, round) = command;
        let mut base = state.clone();
        base.sent.remove(&command);
        base.seen.insert(command);
        // What the command takes the place of is forestalled first.
        let superseded = self.correlation(command).supersedes().collect::<Vec<_>>();
        let superseded = (1..=round).map(|round| (step, Part::Do, round)).filter(|one| {
            *one != command && superseded.contains(&self.correlation(*one).command_id())
        });
        base.seen.extend(superseded);
        base.sent.retain(|command| !base.seen.contains(command));
        let done = state.effects[step];
        if part == Part::Undo {
            let later = state.effects.iter().skip(step + 1);
            let stands = later.filter(|effect| **effect == Effect::Done).count();
            assert_eq!(stands, 0, "undone before what was done after it: {state:?}");
        }
        let with = |effect: Effect, reply: Option<&'static str>| {
            let mut next = base.clone();
            next.effects[step] = effect;
            next.replies.extend(reply.map(|reply| (reply, command)));
            next
        };
        match (part, done) {
            (Part::Do, Effect::Done) => vec![with(Effect::Done, Some("ok"))],
            (Part::Do, _) if W::DEFINITION.steps[step].kind == Kind::Retriable => {
                vec![with(Effect::Done, Some("ok"))]
            }
            (Part::Do, _) => {
                vec![with(Effect::Done, Some("ok")), with(Effect::Refused, Some("no"))]
            }
            (Part::Undo, Effect::Done | Effect::Undone) => {
                vec![with(Effect::Undone, Some("gone"))]
            }
            (Part::Undo, effect) => vec![with(effect, Some("gone"))],
            // Its own reply is under way, or was taken.
            (Part::Forestall, Effect::Done | Effect::Refused) => vec![with(done, None)],
            (Part::Forestall, _) => vec![with(done, Some("never"))],
        }
    }

    /// What the manager makes of a reply.
    fn verdict(&self, state: &State, (word, command): Reply) -> Verdict<W> {
        let step = &W::DEFINITION.steps[command.0];
        let event_type = match word {
            "ok" => step.done.unwrap(),
            "no" => step.refused.unwrap(),
            "gone" => step.undone.unwrap(),
            _ => "workflow.step.forestalled",
        };
        let event = RawEvent::new(event_type, b"");
        W::reply(self.any(state), &self.correlation(command), &event).unwrap()
    }

    /// The manager takes a reply.
    fn replied(&self, state: &State, reply: Reply) -> Option<State> {
        let Verdict::Moved(advance) = self.verdict(state, reply) else { return None };
        let mut next = state.clone();
        next.replies.remove(&reply);
        next.taken.insert(reply);
        self.stored(next, advance)
    }

    fn is_late(&self, state: &State, reply: Reply) -> bool {
        matches!(self.verdict(state, reply), Verdict::Late(..))
    }

    /// The state once every late reply has come.
    fn settled(&self, mut state: State) -> State {
        let replies = std::mem::take(&mut state.replies);
        let (late, awaited) =
            replies.into_iter().partition(|reply| self.is_late(&state, *reply));
        state.replies = awaited;
        state.taken.extend::<BTreeSet<_>>(late);
        state
    }

    /// What a person says who looks: the truth, and no more than what may be said.
    fn people(&self, state: &State) -> Vec<State> {
        let row = row(state, &self.id);
        let Some(step) = row.step.as_deref().map(place::<W>) else { return Vec::new() };
        let declared = &W::DEFINITION.steps[step];
        let effect = state.effects[step];
        let desk = login::seat::<ErpDesk>("dora").unwrap();
        let desk = || AnyRuling::from(desk.decide("looked").unwrap());
        let controller = login::seat::<Controller>("carl").unwrap();
        let controller = || AnyRuling::from(controller.decide("looked").unwrap());
        let happened = |event_type: Option<&'static str>| {
            Choice::Happened(RawEvent::new(event_type.unwrap(), b""))
        };
        let will_not = state.seen.contains(&(step, Part::Do, 1));
        let choices = match (row.status, declared.kind) {
            (Status::Awaiting, Kind::Approval) => {
                let seen = row.question.as_ref().unwrap().seen();
                [Choice::Approve(seen), Choice::Refuse, Choice::Cancel]
                    .map(|choice| (choice, controller()))
                    .to_vec()
            }
            (Status::Awaiting, Kind::Compensatable) => vec![(Choice::Cancel, desk())],
            (Status::Parked, Kind::Retriable) if effect == Effect::Done => {
                vec![(happened(declared.done), desk())]
            }
            (Status::Parked, Kind::Retriable) => {
                let mut choices = vec![(Choice::GiveUp, desk())];
                if row.round == 1 {
                    choices.push((Choice::AskAgain, desk()));
                }
                choices
            }
            (Status::Parked, _) if effect == Effect::Done => {
                vec![(happened(declared.done), desk())]
            }
            (Status::Parked, kind) => {
                let mut choices =
                    vec![(Choice::DidNotHappen { though_sent: will_not }, desk())];
                if kind == Kind::Compensatable {
                    choices.push((Choice::Cancel, desk()));
                }
                choices
            }
            (Status::Stuck, _) if effect != Effect::Done && will_not => {
                vec![(happened(declared.undone), desk())]
            }
            (Status::Stuck, _) if row.round == 1 => {
                vec![(Choice::AskAgain, desk()), (Choice::GiveUp, desk())]
            }
            _ => Vec::new(),
        };
        let choices = choices.into_iter().map(|choice| (state.clone(), choice));
        let mut choices = choices.collect::<Vec<_>>();
        // What has not left, a person may do by hand.
        let is_do = |command: &&Command| (command.0, command.1) == (step, Part::Do);
        let waits = waiting::<W>(&state.store).iter().any(|one| is_do(&one));
        if row.status == Status::Parked
            && waits
            && !state.sent.iter().any(|one| is_do(&one))
        {
            let mut by_hand = state.clone();
            by_hand.effects[step] = Effect::Done;
            choices.push((by_hand, (happened(declared.done), desk())));
        }
        let decided = choices.into_iter().filter_map(|(state, (choice, ruling))| {
            let advance = W::decide(self.any(&state), choice, ruling).unwrap();
            self.stored(state, advance)
        });
        decided.collect()
    }

    /// Every state that may follow.
    fn next(&self, state: &State) -> Vec<State> {
        let mut next = Vec::new();
        next.extend(self.relay(state));
        next.extend(state.sent.iter().flat_map(|one| self.takes_in(state, *one)));
        next.extend(state.replies.iter().filter_map(|one| self.replied(state, *one)));
        if let Verdict::Moved(advance) = W::due(self.any(state)) {
            next.extend(self.stored(state.clone(), advance));
        }
        next.extend(self.people(state));
        next.into_iter().map(|next| self.settled(next)).collect()
    }

    /// Walks to every state, and answers for the laws.
    fn explore(&self, first: AnyAdvance<W>) -> usize {
        let effects = vec![Effect::Nothing; W::DEFINITION.steps.len()];
        let (store, sent, seen) = (Memory::default(), BTreeSet::new(), BTreeSet::new());
        let (replies, taken) = (BTreeSet::new(), BTreeSet::new());
        let start = State { store, sent, seen, effects, replies, taken };
        let start = self.stored(start, first).unwrap();
        let mut places = HashMap::from([(key(&start, &self.id), 0)]);
        let (mut states, mut before) = (vec![self.judged(&start)], vec![Vec::new()]);
        let mut waiting = VecDeque::from([(0, start)]);
        while let Some((from, state)) = waiting.pop_front() {
            for next in self.next(&state) {
                let to = *places.entry(key(&next, &self.id)).or_insert(states.len());
                if to == states.len() {
                    states.push(self.judged(&next));
                    before.push(Vec::new());
                    waiting.push_back((to, next));
                }
                before[to].push(from);
            }
        }
        let mut ends = (0..states.len()).filter(|at| states[*at]).collect::<Vec<_>>();
        let mut reach = vec![false; states.len()];
        while let Some(at) = ends.pop() {
            if !std::mem::replace(&mut reach[at], true) {
                ends.extend(&before[at]);
            }
        }
        assert!(
            reach.iter().all(|reach| *reach),
            "an end can be reached from everywhere"
        );
        states.len()
    }

    /// Whether the instance is over; and if nothing is under way, whether it is rightly.
    fn judged(&self, state: &State) -> bool {
        let row = row(state, &self.id);
        assert_eq!(row.due_at.is_none(), row.status.is_end(), "a wait has a deadline");
        let again = state.taken.iter().find(|reply| !self.is_late(state, **reply));
        assert_eq!(again, None, "a reply counts twice: {state:?}");
        let waiting = waiting::<W>(&state.store);
        assert!(waiting.is_disjoint(&state.seen), "leaves twice: {state:?}");
        let is_left = |(step, part, _): &Command| {
            let is_here = row.step.as_deref().map(place::<W>) == Some(*step);
            let is_undo = matches!(row.status, Status::Undoing | Status::Stuck);
            // A participant may be asked about a step that is over: it does nothing.
            *part != Part::Forestall && (!is_here || is_undo != (*part == Part::Undo))
        };
        let left = waiting.iter().find(|command| is_left(command));
        assert_eq!(left, None, "what nobody waits for is still to leave: {state:?}");
        let is_quiet =
            state.sent.is_empty() && state.replies.is_empty() && waiting.is_empty();
        let steps = W::DEFINITION.steps.iter().zip(&state.effects);
        let mut steps = steps.filter(|(step, _)| step.kind != Kind::Approval);
        match row.status {
            Status::Completed if is_quiet => {
                let done = steps.all(|(_, effect)| *effect == Effect::Done);
                assert!(done, "completed, and not everything is done: {state:?}");
            }
            Status::Undone if is_quiet => {
                let done = steps.any(|(_, effect)| *effect == Effect::Done);
                assert!(!done, "undone, and something is done: {state:?}");
            }
            Status::GivenUp => {
                let entry = &state.store.journal().last().unwrap().entry;
                let listed = steps.all(|(step, effect)| {
                    let is_known = entry.standing.contains(&step.name);
                    *effect != Effect::Done || is_known || entry.step == Some(step.name)
                });
                assert!(listed, "given up, and what stands is not listed: {state:?}");
            }
            _ => {}
        }
        row.status.is_end()
    }
}

macro_rules! explore {
    ($($name:ident: $($kind:ident)+;)+) => { $(
        #[test]
        fn $name() {
            let (anna, id) = (login::seat::<Sales>("anna").unwrap(), InstanceId::of("trip 7").unwrap());
            let first = shapes::$name::trip::start(id.clone(), Trip, &anna);
            let states = Model { id }.explore(first.into());
            println!("{}: {states} states", stringify!($name));
            assert!(states > 9, "the model has {states} states");
        }
    )+ };
}

/// Completed is all done, undone is nothing done, and an end can be reached from
/// everywhere: a test for each shape.
mod completed_is_all_done_and_undone_is_nothing_done {
    use super::*;

    shapes!(explore);
}
