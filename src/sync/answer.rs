//! `Answer`: what a person answers to one question, and why an answer does not fit.

use std::fmt;

use super::plan::FieldPlan;
use super::reconcile::{Question, Verdict};
use super::review::Review;
use super::settled::Settled;
use crate::{Decision, Refused};

/// What a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<T> {
    /// What the system at this place says.
    Side(usize),
    /// Another value, or `None` for an empty field.
    Other(Option<T>),
    /// None of them: the systems stay different until one of them changes.
    Leave,
}

/// A person's answer to one question: the choice, who made it, and why.
///
/// It keeps the row that the person saw, and is stored with it: record, field, common
/// state and what each system said. A plan that asks anything else refuses the answer,
/// and gives it back.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::sync::{
///     Answer, AnswerError, Base, Choice, FieldPlan, Rule, Slot,
/// };
///
/// let (crm, erp) = (Slot::Value("active"), Slot::Value("closed"));
/// let (slots, base) = ([&crm, &erp], Base::Known(Some("active")));
/// let plan = FieldPlan::new(Rule::Manual, &slots, &base);
/// let row = plan.review("C-1", "status", ["crm", "erp"]).ok_or("it is asked")?;
///
/// let decision = Decision::new("on-call", "the customer has left")?;
/// let answer = Answer::to(&row, Choice::Side(1), decision);
/// assert!(plan.settle("C-1", "status", answer.clone()).is_ok());
///
/// // C-2 shows the same, and nobody has decided about it.
/// let refused = plan.settle("C-2", "status", answer.clone()).unwrap_err();
/// assert!(matches!(refused.cause(), AnswerError::OtherRecord { .. }));
/// assert_eq!(refused.into_value(), answer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    pub(crate) choice: Choice<T>,
    pub(crate) decision: Decision,
    pub(crate) seen: Review<T>,
}

impl<T> Answer<T> {
    /// The answer to a row of a review queue.
    pub fn to(row: &Review<T>, choice: Choice<T>, decision: Decision) -> Self
    where
        T: Clone,
    {
        Self { choice, decision, seen: row.clone() }
    }

    /// Answers many rows by one decision. Each answer stands or falls by itself.
    ///
    /// ```
    /// use integration_automation_patterns::Decision;
    /// use integration_automation_patterns::sync::{
    ///     Answer, Base, Choice, FieldPlan, Rule, Slot,
    /// };
    ///
    /// let (crm, erp) = (Slot::Value("active"), Slot::Value("closed"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some("active")));
    /// let plan = FieldPlan::new(Rule::Manual, &slots, &base);
    /// let rows = ["C-1", "C-2"]
    ///     .map(|record| plan.review(record, "status", ["crm", "erp"]));
    /// let rows = rows.iter().flatten().collect::<Vec<_>>();
    /// assert!(rows.iter().all(|row| row.is_like(rows[0])));
    ///
    /// let decision = Decision::new("on-call", "the campaign is over")?;
    /// let answers = Answer::to_each(rows, &Choice::Side(1), &decision);
    /// for (record, answer) in ["C-1", "C-2"].into_iter().zip(answers) {
    ///     assert!(plan.settle(record, "status", answer).is_ok());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_each<'r>(
        rows: impl IntoIterator<Item = &'r Review<T>>,
        choice: &Choice<T>,
        decision: &Decision,
    ) -> impl Iterator<Item = Self>
    where
        T: Clone + 'r,
    {
        rows.into_iter().map(|row| Self::to(row, choice.clone(), decision.clone()))
    }

    /// What the person chose.
    pub fn choice(&self) -> &Choice<T> {
        &self.choice
    }

    /// Who decided, why, and when.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The question that it answers, as the person saw it.
    pub fn seen(&self) -> &Review<T> {
        &self.seen
    }

    /// Converts the values of the answer: from the form of a queue back to that of the
    /// field.
    ///
    /// # Errors
    ///
    /// The error of the first value that `convert` refuses.
    pub fn try_map<W, E>(
        &self,
        mut convert: impl FnMut(&T) -> Result<W, E>,
    ) -> Result<Answer<W>, E> {
        let seen = self.seen.try_map(&mut convert)?;
        let choice = match &self.choice {
            Choice::Side(place) => Choice::Side(*place),
            Choice::Other(value) => {
                Choice::Other(value.as_ref().map(convert).transpose()?)
            }
            Choice::Leave => Choice::Leave,
        };
        Ok(Answer { choice, decision: self.decision.clone(), seen })
    }

    /// What every system must hold; `None` if they stay different.
    pub(super) fn outcome<'a>(
        &'a self,
        plan: &FieldPlan<'a, T>,
    ) -> Option<Option<&'a T>> {
        match &self.choice {
            Choice::Side(place) => {
                Some(plan.slots().get(*place).and_then(|slot| slot.value()))
            }
            Choice::Other(value) => Some(value.as_ref()),
            Choice::Leave => None,
        }
    }
}

impl<'a, T> FieldPlan<'a, T> {
    /// The plan that follows from a person's answer about this field of this record. The
    /// decision goes with its writes, for the audit.
    ///
    /// A person may decide what no program may: fill an owner's blank field, or
    /// overrule all systems. [`Choice::Leave`] writes nothing: keep the answer, and
    /// settle each later plan with it. It fits until a system changes; then it comes
    /// back, and the plan asks again.
    ///
    /// # Errors
    ///
    /// [`AnswerError`], with the answer given back, if it answers another question than
    /// this plan asks, or chooses a system that said nothing.
    pub fn settle(
        self,
        record_id: &str,
        field: &str,
        answer: Answer<T>,
    ) -> Result<Settled<'a, T>, Refused<Answer<T>, AnswerError>>
    where
        T: PartialEq,
    {
        match self.misfit(record_id, field, &answer) {
            Some(cause) => Err(Refused::new(answer, cause)),
            None => Ok(Settled::new(self, answer)),
        }
    }

    /// Why an answer does not fit; `None` if it does.
    pub(super) fn misfit(
        &self,
        record_id: &str,
        field: &str,
        answer: &Answer<T>,
    ) -> Option<AnswerError>
    where
        T: PartialEq,
    {
        let seen = &answer.seen;
        let found = seen.record_id.clone();
        if found != record_id {
            return Some(AnswerError::OtherRecord {
                wanted: record_id.to_owned(),
                found,
            });
        }
        if seen.field.as_deref() != Some(field) {
            let (wanted, found) = (field.to_owned(), seen.field.clone());
            return Some(AnswerError::OtherField { wanted, found });
        }
        let Verdict::Ask(question) = self.verdict() else {
            return Some(AnswerError::NothingAsked);
        };
        let sides = seen.sides.iter().map(|side| (side.place, side.value.as_ref()));
        if !self.sides().eq(sides) {
            return Some(AnswerError::MovedOn);
        }
        if seen.base != *self.agreed() {
            return Some(AnswerError::OtherBase);
        }
        if seen.question != question {
            let (wanted, found) = (question, seen.question);
            return Some(AnswerError::OtherQuestion { wanted, found });
        }
        match answer.choice {
            Choice::Side(place) if !self.sides().any(|(side, _)| side == place) => {
                Some(AnswerError::SaysNothing { place })
            }
            _ => None,
        }
    }
}

/// An answer that does not fit the question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is about another record.
    OtherRecord {
        /// The record that is planned.
        wanted: String,
        /// The record that was asked about.
        found: String,
    },
    /// The plan does not say which record it is about.
    NoRecord,
    /// It is about another field.
    OtherField {
        /// The field that is planned.
        wanted: String,
        /// The field that was asked about; `None` for the record as a whole.
        found: Option<String>,
    },
    /// The plan asks nothing.
    NothingAsked,
    /// The systems say something else than what the person saw.
    MovedOn,
    /// A system could not be asked whether it still shows what the person saw.
    Unchecked {
        /// Why, in the words of its store.
        why: String,
    },
    /// What the systems last agreed on is not what the person saw.
    OtherBase,
    /// The plan asks for another reason than the one that the person saw.
    OtherQuestion {
        /// The question now.
        wanted: Question,
        /// The question that was answered.
        found: Question,
    },
    /// The chosen system was not read, or there is no such system.
    SaysNothing {
        /// The place that was chosen.
        place: usize,
    },
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherRecord { wanted, found } => write!(
                f,
                "an answer is to the question about one record: wanted one about \
                 {wanted:?}, and found one about {found:?}"
            ),
            Self::NoRecord => f.write_str(
                "an answer is to the question about one record, and the plan does not \
                 say which one it is for: `about` says it",
            ),
            Self::OtherField { wanted, found } => {
                let found = found.as_deref().unwrap_or("the whole record");
                write!(
                    f,
                    "an answer is to the question about one field: wanted one about \
                     {wanted:?}, and found one about {found:?}"
                )
            }
            Self::NothingAsked => {
                f.write_str("an answer wants a question, and this plan asks nothing")
            }
            Self::MovedOn => f.write_str(
                "an answer is to what the systems said when it was asked, and they say \
                 something else by now",
            ),
            Self::Unchecked { why } => write!(
                f,
                "an answer is to what the systems still show, and one of them could not \
                 be asked ({why}): give it again"
            ),
            Self::OtherBase => f.write_str(
                "an answer is against what the systems last agreed on when it was \
                 asked, and they have agreed on something else since",
            ),
            Self::OtherQuestion { wanted, found } => write!(
                f,
                "an answer is to one question: wanted one to \"{wanted}\", and found \
                 one to \"{found}\""
            ),
            Self::SaysNothing { place } => {
                write!(
                    f,
                    "an answer chooses a system that said something, and the one at \
                     place {place} did not"
                )
            }
        }
    }
}

impl std::error::Error for AnswerError {}
