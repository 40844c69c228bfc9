//! `RecordPlan`: what is to be done about one record as a whole, in which system, and what
//! a person answers where that is asked.

use std::fmt;

use super::bases::Bases;
use super::existence::{Existence, RecordRules};
use super::plan::FieldPlan;
use super::presence::{Existed, Presence, RecordBase};
use super::reconcile::{Question, Rule};
use crate::{Decision, Refused};

/// What is to be done about one record as a whole: made by a [run](super::RecordRun)
/// alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a plan writes nothing itself"]
pub struct RecordPlan<E> {
    presence: Vec<Presence<E>>,
    base: RecordBase,
    known: Bases<()>,
    existence: Existence,
    question: Option<Question>,
}

/// What is to be done about a record in one system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordWrite<'p, E> {
    /// The system gets the record, with the
    /// [initial value](super::FieldPlan::initial_value) of each field.
    Create {
        /// The place of the system.
        to: usize,
    },
    /// The system deletes the record, if it still shows what the plan was made on.
    Delete {
        /// The place of the system.
        to: usize,
        /// What it must still show.
        expects: &'p E,
    },
}

impl<E> RecordPlan<E> {
    pub(super) fn new(
        rules: &RecordRules,
        presence: Vec<Presence<E>>,
        base: &RecordBase,
        edited: bool,
    ) -> Self {
        let known = rules.known(&presence, base);
        let (existence, question) = rules.decide(&presence, base, &known, edited);
        Self { presence, base: base.clone(), known, existence, question }
    }

    /// What is to be done.
    pub fn existence(&self) -> Existence {
        self.existence
    }

    /// What each system says, in their order.
    pub fn presence(&self) -> &[Presence<E>] {
        &self.presence
    }

    /// Why a person must decide, where one must.
    pub fn question(&self) -> Option<Question> {
        self.question
    }

    /// Whether the record is new: what is known of the fields of an earlier one under the
    /// same key does not hold for it.
    pub fn is_new(&self) -> bool {
        self.base.agreed != Existed::There
            && matches!(self.existence, Existence::Create | Existence::Everywhere)
    }

    /// Whether a system no longer has the record that was not known of yet.
    pub(super) fn has_vanished(&self) -> bool {
        self.base.agreed == Existed::There
            && self.presence.iter().enumerate().any(|(place, says)| {
                matches!(says, Presence::Absent) && self.base.of(place) == Existed::There
            })
    }

    /// What is to be done in which system; nothing where a person must decide.
    pub fn writes(&self) -> impl Iterator<Item = RecordWrite<'_, E>> {
        self.writes_of(self.existence)
    }

    fn writes_of(&self, outcome: Existence) -> impl Iterator<Item = RecordWrite<'_, E>> {
        self.presence.iter().enumerate().filter_map(move |(to, says)| {
            match (outcome, says) {
                (Existence::Create, Presence::Absent | Presence::Merged) => {
                    Some(RecordWrite::Create { to })
                }
                (Existence::Delete, Presence::There(expects)) => {
                    Some(RecordWrite::Delete { to, expects })
                }
                _ => None,
            }
        })
    }

    /// What is known of the record in common once all of that is done, but not in the
    /// systems at these places.
    pub fn next_without(&self, not_made: &[usize]) -> RecordBase {
        self.next_of(self.existence, not_made)
    }

    fn next_of(&self, outcome: Existence, not_made: &[usize]) -> RecordBase {
        let outcome = match outcome {
            Existence::Everywhere | Existence::Create => Some(Some(&())),
            Existence::Gone | Existence::Delete => Some(None),
            Existence::Detach | Existence::Ask => {
                let places = 0..self.presence.len();
                let confirmed = places.map(|place| self.noticed(place)).collect();
                return RecordBase { agreed: self.base.agreed, confirmed };
            }
            Existence::Unread | Existence::Local => return self.base.clone(),
        };
        let slots = self.presence.iter().map(Presence::slot).collect::<Vec<_>>();
        let slots = slots.iter().collect::<Vec<_>>();
        let next = FieldPlan::with_bases(Rule::Shared, &slots, &self.known)
            .after(outcome, not_made);
        let was_made = |place: usize| match self.presence.get(place) {
            Some(Presence::There(_)) => true,
            Some(Presence::Absent | Presence::Merged) => !not_made.contains(&place),
            _ => false,
        };
        let bases = next.confirmed.into_iter().map(Existed::from).enumerate();
        let confirmed = bases.map(|(place, known)| match known {
            Existed::There if !was_made(place) => self.noticed(place),
            known => known,
        });
        RecordBase { confirmed: confirmed.collect(), agreed: next.agreed.into() }
    }

    /// What a system last showed, noted where it no longer has the record: it is not
    /// counted as gone a second time.
    fn noticed(&self, place: usize) -> Existed {
        match (self.presence.get(place), self.base.of(place)) {
            (Some(Presence::Absent), Existed::There) => Existed::Missing,
            (_, known) => known,
        }
    }

    /// What follows from a person's answer: the record is made again
    /// ([`Create`](Existence::Create)), deleted, or detached.
    ///
    /// # Errors
    ///
    /// [`RecordAnswerError`] if nothing is asked, or what was chosen is not an action on
    /// a record; with the decision given back.
    pub fn settle(
        &self,
        chosen: Existence,
        decision: Decision,
    ) -> Result<SettledRecord<'_, E>, Refused<Decision, RecordAnswerError>> {
        match (self.existence, chosen) {
            (
                Existence::Ask,
                Existence::Create | Existence::Delete | Existence::Detach,
            ) => Ok(SettledRecord { plan: self, outcome: chosen, decision }),
            (Existence::Ask, _) => {
                Err(Refused::new(decision, RecordAnswerError::NothingToDo { chosen }))
            }
            _ => Err(Refused::new(decision, RecordAnswerError::NothingAsked)),
        }
    }
}

/// What a person has decided about a record: the token that permits it.
///
/// It is made by [`RecordPlan::settle`], and by nothing else.
/// [`Review::deletion`](super::Review::deletion) is the row that puts the question.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::sync::{
///     Deletions, Existed, Existence, Presence, RecordBase, RecordRules, RecordWrite,
/// };
///
/// let rules = RecordRules::new(Deletions::Ask, 50);
/// let mut run = rules.run();
/// let both = RecordBase::common(Existed::There, 2);
/// run.plan("C-1", vec![Presence::There("v7"), Presence::Absent], &both, false);
/// let (_, plan) = run.finish()?.remove(0);
///
/// let decision = Decision::new("on-call", "the contract has ended")?;
/// let settled = plan.settle(Existence::Delete, decision.clone())?;
/// let writes = settled.writes().collect::<Vec<_>>();
/// assert_eq!(writes, [RecordWrite::Delete { to: 0, expects: &"v7" }]);
/// assert_eq!(settled.next_without(&[]), RecordBase::common(Existed::Gone, 2));
///
/// let refused = plan.settle(Existence::Gone, decision.clone()).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "an answer about a record is to create, delete or detach it, and found Gone"
/// );
/// assert_eq!(refused.into_value(), decision);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an answer changes nothing itself"]
pub struct SettledRecord<'p, E> {
    plan: &'p RecordPlan<E>,
    outcome: Existence,
    decision: Decision,
}

impl<E> SettledRecord<'_, E> {
    /// What is to be done: [`Create`](Existence::Create), [`Delete`](Existence::Delete)
    /// or [`Detach`](Existence::Detach).
    pub fn outcome(&self) -> Existence {
        self.outcome
    }

    /// Who decided, why, and when.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What is to be done in which system.
    pub fn writes(&self) -> impl Iterator<Item = RecordWrite<'_, E>> {
        self.plan.writes_of(self.outcome)
    }

    /// What is known of the record in common once all of that is done, but not in the
    /// systems at these places.
    pub fn next_without(&self, not_made: &[usize]) -> RecordBase {
        self.plan.next_of(self.outcome, not_made)
    }
}

/// An answer that does not fit the question about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordAnswerError {
    /// Nothing is asked about it.
    NothingAsked,
    /// What was chosen is not an action on a record.
    NothingToDo {
        /// What was chosen.
        chosen: Existence,
    },
}

impl fmt::Display for RecordAnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingAsked => f.write_str(
                "an answer about a record wants a question, and about this one nothing \
                 is asked",
            ),
            Self::NothingToDo { chosen } => {
                write!(
                    f,
                    "an answer about a record is to create, delete or detach it, and \
                     found {chosen:?}"
                )
            }
        }
    }
}

impl std::error::Error for RecordAnswerError {}
