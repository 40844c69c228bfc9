//! What an operator changes of a wait, whatever the stage: when it ends, and whom it asks.

use chrono::{DateTime, Utc};

use super::advance::{Advance, AnyAdvance};
use super::approval::NotDecidedError;
use super::instance::{Instance, chain};
use super::journal::{Cause, Entry};
use super::made::{Drive, Visitor, closed};
use super::question;
use super::stage::Workflow;
use crate::{Decision, Refused};

/// An operator's change of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Intervention {
    /// The deadline is at this moment, be it earlier or later: of a question, the end of
    /// the level that is asked, which is not reminded any more. What was asked stays asked:
    /// nothing leaves.
    Postpone(DateTime<Utc>),
    /// The next level of the chain is asked at once, as though the time of this one had
    /// passed: the question is closed, and a new one asked. The votes stand. (For one who
    /// is away, a [`Seat`](super::Seat) decides in their place.)
    Reassign,
}

impl Intervention {
    /// The verb.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Postpone(_) => "postpone",
            Self::Reassign => "reassign",
        }
    }
}

/// An intervention, with the decision behind it, on its way to the stage.
pub(super) struct Intervened {
    pub(super) intervention: Intervention,
    pub(super) decision: Decision,
}

impl<W: Workflow> Visitor<W> for Intervened {
    type Out = Result<AnyAdvance<W>, Refused<W::Any, NotDecidedError>>;

    fn visit<S: Drive<Workflow = W>>(self, at: Instance<S>) -> Self::Out {
        let Self { intervention, decision } = self;
        let taken = match intervention {
            Intervention::Postpone(until) => postpone(at, until, decision),
            Intervention::Reassign => reassign(at, decision),
        };
        taken.map(Into::into).map_err(|refused| {
            let (at, cause) = refused.into_parts();
            Refused::new(S::any(at), cause)
        })
    }
}

type Taken<S> = Result<Advance<S>, Refused<Instance<S>, NotDecidedError>>;

fn postpone<S: Drive>(
    mut at: Instance<S>,
    until: DateTime<Utc>,
    decision: Decision,
) -> Taken<S> {
    if at.facts.due_at.is_none() {
        return Err(closed(at, Intervention::Postpone(until).as_str()));
    }
    if let Some(question) = &mut at.facts.question {
        question.reminded = true;
    }
    let step = S::STEP.map(|step| step.name);
    let entry = Entry::new(Cause::Postponed, step, Some(decision.into()));
    Ok(Advance::stay_until(at, entry, until))
}

fn reassign<S: Drive>(mut at: Instance<S>, decision: Decision) -> Taken<S> {
    let (chain, facts) = (chain::<S>(), &mut *at.facts);
    let (Some(question), Some(step)) = (&mut facts.question, S::STEP) else {
        return Err(closed(at, Intervention::Reassign.as_str()));
    };
    if !question.ask_next(chain) {
        let role = question.level_of(chain).map_or("nobody", |level| level.role);
        return Err(Refused::new(at, NotDecidedError::LastLevel { role }));
    }
    let revision = facts.revision.saturating_add(1);
    let name = S::Workflow::NAME;
    facts.commands.push(question::closed(name, &facts.id, revision, step.name));
    let entry = Entry::new(Cause::Reassigned, Some(step.name), Some(decision.into()));
    Ok(Advance::enter(at, entry))
}
