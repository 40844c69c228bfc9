//! What a person answers to a question, and the writes that only such an answer permits.

use std::fmt;

use super::reconcile::{FieldPlan, Verdict, Write, common_after};
use super::slot::{Base, Slot};
use crate::{Decision, Refused};

/// What a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<T> {
    /// What the system at this place says.
    Side(usize),
    /// Something else: this value, or nothing in the field.
    Other(Option<T>),
}

/// What a person answers to a question: the choice, and who made it why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What the field is to hold.
    pub choice: Choice<T>,
    /// Who decided, why, and when.
    pub decision: Decision,
}

/// A question that a person has answered: the writes, and the decision that permits them.
///
/// It is made by [`FieldPlan::settle`], and by nothing else.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::sync::{Answer, Base, Choice, FieldPlan, Rule, Slot};
///
/// let (crm, erp) = (Slot::Value("active"), Slot::Value("closed"));
/// let (slots, base) = ([&crm, &erp], Base::Known(Some("active")));
/// let asked = FieldPlan::new(Rule::Manual, &slots, &base);
/// assert_eq!(asked.writes().count(), 0);
///
/// let decision = Decision::new("on-call", "the customer has left")?;
/// let settled = asked.settle(Answer { choice: Choice::Side(1), decision })?;
/// let write = settled.writes().next().ok_or("the CRM says something else")?;
/// assert_eq!((write.to, write.value, write.expects), (0, Some(&"closed"), Some(&"active")));
/// assert_eq!(settled.decision().reason(), "the customer has left");
/// assert_eq!(settled.next_base(), Base::Known(Some("closed")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an answer writes nothing itself"]
pub struct Settled<'a, T> {
    slots: &'a [&'a Slot<T>],
    base: &'a Base<T>,
    answer: Answer<T>,
}

impl<'a, T> FieldPlan<'a, T> {
    /// The plan that follows from a person's answer. The decision goes with its writes, for the audit.
    ///
    /// A person may decide what no program may: that an owner's blank field is filled, or that all were wrong.
    ///
    /// # Errors
    ///
    /// [`NotSettled`] where nothing was asked, or the chosen system did not say anything, with the answer given back.
    pub fn settle(self, answer: Answer<T>) -> Result<Settled<'a, T>, Refused<Answer<T>, NotSettled>> {
        let unread = |place: usize| self.slots().get(place).is_none_or(|slot| slot.read().is_none());
        match (self.verdict(), &answer.choice) {
            (Verdict::Ask(_), &Choice::Side(place)) if unread(place) => {
                Err(Refused::new(answer, NotSettled::SaysNothing { place }))
            }
            (Verdict::Ask(_), _) => Ok(Settled { slots: self.slots(), base: self.base(), answer }),
            _ => Err(Refused::new(answer, NotSettled::NothingAsked)),
        }
    }
}

impl<T> Settled<'_, T> {
    /// Who decided, why, and when.
    pub fn decision(&self) -> &Decision {
        &self.answer.decision
    }

    /// What the field is to hold everywhere: a value, or nothing.
    pub fn outcome(&self) -> Option<&T> {
        match &self.answer.choice {
            Choice::Side(place) => self.slots.get(*place).and_then(|slot| slot.read()).flatten(),
            Choice::Other(value) => value.as_ref(),
        }
    }

    /// What is to be written where, each with what the system must still show and the edit that it overrides.
    pub fn writes(&self) -> impl Iterator<Item = Write<'_, T>>
    where
        T: Eq,
    {
        Write::to_all(self.outcome(), self.slots, self.base)
    }

    /// The common state once every write is carried out; as it was where a system was not read.
    pub fn next_base(&self) -> Base<T>
    where
        T: Clone,
    {
        common_after(self.outcome(), self.slots, self.base)
    }
}

/// An answer that does not fit the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSettled {
    /// The plan asks nothing.
    NothingAsked,
    /// The chosen system was not read, or is none.
    SaysNothing {
        /// The place that was chosen.
        place: usize,
    },
}

impl fmt::Display for NotSettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingAsked => f.write_str("an answer wants a question, and this plan asks nothing"),
            Self::SaysNothing { place } => {
                write!(f, "an answer chooses a system that said something, and the one at place {place} did not")
            }
        }
    }
}

impl std::error::Error for NotSettled {}
