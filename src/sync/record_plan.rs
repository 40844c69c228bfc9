//! `RecordPlan`: what is to be done about one record as a whole in each system, and
//! what follows from a person's answer.

use std::fmt;

use super::bases::Bases;
use super::existence::{Existence, RecordRules};
use super::plan::FieldPlan;
use super::presence::{Existed, Presence, RecordBase};
use super::reconcile::{Question, Rule};
use super::review::{Review, Shown};
use super::slot::Base;
use crate::{Decision, Refused};

/// What is to be done about one record as a whole. Only a [run](super::RecordRun) makes
/// it.
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

    /// Whether a system that had the record has newly lost it.
    pub(super) fn has_vanished(&self) -> bool {
        self.base.agreed == Existed::There
            && self.presence.iter().enumerate().any(|(place, says)| {
                matches!(says, Presence::Absent) && self.base.of(place) == Existed::There
            })
    }

    /// What is to be done in each system; nothing if a person must decide.
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

    /// What is known in common of the record once all of that is done, except in the
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

    /// What a system last showed; [`Existed::Missing`] if it no longer has the record,
    /// so that the next run does not count it as gone again.
    fn noticed(&self, place: usize) -> Existed {
        match (self.presence.get(place), self.base.of(place)) {
            (Some(Presence::Absent), Existed::There) => Existed::Missing,
            (_, known) => known,
        }
    }

    /// The question, as a row for a person, with the systems by their names; `None` if
    /// nothing is asked. Its sides are the systems that have the record, each with what
    /// it shows of it.
    pub fn review<'s>(
        &self,
        record_id: impl Into<String>,
        systems: impl IntoIterator<Item = &'s str>,
    ) -> Option<Review<E>>
    where
        E: Clone,
    {
        let named = self.sides().zip(systems);
        let sides = named.filter_map(|((place, shown), system)| {
            let (system, value) = (system.to_owned(), Some(shown?.clone()));
            Some(Shown { place, system, value, refused: None })
        });
        Some(Review {
            record_id: record_id.into(),
            field: None,
            question: self.question?,
            base: Base::Never,
            sides: sides.collect(),
        })
    }

    /// The place of each system, and what it shows where it has the record.
    fn sides(&self) -> impl Iterator<Item = (usize, Option<&E>)> {
        self.presence.iter().enumerate().map(|(place, says)| match says {
            Presence::There(shown) => (place, Some(shown)),
            _ => (place, None),
        })
    }

    /// What follows from a person's answer to a row of a review queue: the record is
    /// made again ([`Create`](Existence::Create)), deleted, or detached.
    ///
    /// # Errors
    ///
    /// [`RecordAnswerError`], with the decision given back, if the row asks another
    /// question than this plan, or what was chosen is no action on a record.
    pub fn settle(
        &self,
        record_id: &str,
        seen: &Review<E>,
        chosen: Existence,
        decision: Decision,
    ) -> Result<SettledRecord<'_, E>, Refused<Decision, RecordAnswerError>>
    where
        E: PartialEq,
    {
        match self.misfit(record_id, seen, chosen) {
            Some(cause) => Err(Refused::new(decision, cause)),
            None => Ok(SettledRecord { plan: self, outcome: chosen, decision }),
        }
    }

    /// Why an answer does not fit; `None` if it does.
    fn misfit(
        &self,
        record_id: &str,
        seen: &Review<E>,
        chosen: Existence,
    ) -> Option<RecordAnswerError>
    where
        E: PartialEq,
    {
        let Some(question) = self.question else {
            return Some(RecordAnswerError::NothingAsked);
        };
        if seen.record_id != record_id {
            let (wanted, found) = (record_id.to_owned(), seen.record_id.clone());
            return Some(RecordAnswerError::OtherRecord { wanted, found });
        }
        if seen.question != question {
            let (wanted, found) = (question, seen.question);
            return Some(RecordAnswerError::OtherQuestion { wanted, found });
        }
        let there = self.sides().filter(|(_, shown)| shown.is_some());
        if !there.eq(seen.sides.iter().map(|side| (side.place, side.value.as_ref()))) {
            return Some(RecordAnswerError::MovedOn);
        }
        let actions = [Existence::Create, Existence::Delete, Existence::Detach];
        (!actions.contains(&chosen)).then_some(RecordAnswerError::NothingToDo { chosen })
    }
}

/// What a person has decided about a record: the token that permits it.
///
/// Only [`RecordPlan::settle`] makes it.
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
/// run.plan("C-1", vec![Presence::There("v7"), Presence::Absent], &both, false)?;
/// let (_, plan) = run.finish()?.remove(0);
///
/// let decision = Decision::new("on-call", "the contract has ended")?;
/// let row = plan.review("C-1", ["crm", "erp"]).ok_or("it is asked")?;
/// let settled = plan.settle("C-1", &row, Existence::Delete, decision.clone())?;
/// let writes = settled.writes().collect::<Vec<_>>();
/// assert_eq!(writes, [RecordWrite::Delete { to: 0, expects: &"v7" }]);
/// assert_eq!(settled.next_without(&[]), RecordBase::common(Existed::Gone, 2));
///
/// // C-2 is deleted in one system too, and nobody has decided about it.
/// let refused = plan.settle("C-2", &row, Existence::Delete, decision.clone());
/// let refused = refused.unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "an answer is to the question about one record: wanted one about \"C-2\", and \
///      found one about \"C-1\""
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

    /// What is to be done in each system.
    pub fn writes(&self) -> impl Iterator<Item = RecordWrite<'_, E>> {
        self.plan.writes_of(self.outcome)
    }

    /// What is known in common of the record once all of that is done, except in the
    /// systems at these places.
    pub fn next_without(&self, not_made: &[usize]) -> RecordBase {
        self.plan.next_of(self.outcome, not_made)
    }
}

/// An answer that does not fit the question about a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordAnswerError {
    /// Nothing is asked about it.
    NothingAsked,
    /// It is about another record.
    OtherRecord {
        /// The record that is planned.
        wanted: String,
        /// The record that was asked about.
        found: String,
    },
    /// The plan asks for another reason than the one that the person saw.
    OtherQuestion {
        /// The question now.
        wanted: Question,
        /// The question that was answered.
        found: Question,
    },
    /// Other systems have the record now than the person saw, or they show something
    /// else of it.
    MovedOn,
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
            Self::OtherRecord { wanted, found } => write!(
                f,
                "an answer is to the question about one record: wanted one about \
                 {wanted:?}, and found one about {found:?}"
            ),
            Self::OtherQuestion { wanted, found } => write!(
                f,
                "an answer is to one question: wanted one to \"{wanted}\", and found \
                 one to \"{found}\""
            ),
            Self::MovedOn => f.write_str(
                "an answer about a record is to what the systems showed of it when it \
                 was asked, and they show something else by now",
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
