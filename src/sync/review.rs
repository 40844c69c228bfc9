//! What a person answers to a question, and the writes that only such an answer permits.

use std::fmt;

use super::bases::Bases;
use super::plan::{FieldPlan, Write};
use super::reconcile::{Question, Verdict};
use super::slot::Base;
use crate::{Decision, Refused};

/// What a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<T> {
    /// What the system at this place says.
    Side(usize),
    /// Something else: this value, or nothing in the field.
    Other(Option<T>),
}

/// One question, as a row of a review queue.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::sync::{
///     Answer, Authority, Base, Choice, Contract, Slot,
/// };
///
/// let contract = Contract::builder("contact")
///     .system("crm")
///     .system("erp")
///     .field("status", Authority::Manual)
///     .build()?;
/// let (crm, erp) = (Slot::Value("active"), Slot::Value("closed"));
/// let (slots, base) = ([&crm, &erp], Base::Known(Some("active")));
/// let plan = contract.plan("status", &slots, &base)?;
/// let row = plan.review("C-1", "status", contract.systems()).ok_or("it is asked")?;
/// assert_eq!((row.record_id.as_str(), row.sides[1].system.as_str()), ("C-1", "erp"));
///
/// // The answer comes a day later. The ERP says something else by then, and nobody has
/// // decided on that.
/// let decision = Decision::new("on-call", "the customer has left")?;
/// let answer = Answer::to(&row, Choice::Side(1), decision);
/// let erp = Slot::Value("deleted");
/// let slots = [&crm, &erp];
/// let later = contract.plan("status", &slots, &base)?.settle(answer);
/// assert_eq!(
///     later.map(|_| ()).unwrap_err().to_string(),
///     "an answer is to what the systems said when it was asked, and they say something \
///      else by now"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Review<V> {
    /// The record.
    pub record_id: String,
    /// The field; `None` if the question is about the record as a whole.
    pub field: Option<String>,
    /// Why a person must decide.
    pub question: Question,
    /// What the systems last agreed on.
    pub base: Base<V>,
    /// What each system says that said something.
    pub sides: Vec<Shown<V>>,
}

/// What one system shows, in a row for review.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown<V> {
    /// The place of the system.
    pub place: usize,
    /// Its name.
    pub system: String,
    /// The value, or nothing in the field.
    pub value: Option<V>,
}

impl<V> Review<V> {
    /// The question whether a record that these systems have, by their names, is to be
    /// deleted, as the others have it.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Question, Review};
    ///
    /// let row = Review::<String>::deletion("C-1", [("crm", true), ("erp", false)]);
    /// assert_eq!((row.question, row.field), (Question::Deletion, None));
    /// assert_eq!(
    ///     row.sides.iter().map(|side| side.system.as_str()).collect::<Vec<_>>(),
    ///     ["crm"]
    /// );
    /// ```
    pub fn deletion<'s>(
        record_id: impl Into<String>,
        present: impl IntoIterator<Item = (&'s str, bool)>,
    ) -> Self {
        let there = present.into_iter().enumerate().filter(|(_, (_, has))| *has);
        let sides = there.map(|(place, (system, _))| Shown {
            place,
            system: system.to_owned(),
            value: None,
        });
        Self {
            record_id: record_id.into(),
            field: None,
            question: Question::Deletion,
            base: Base::Never,
            sides: sides.collect(),
        }
    }

    /// The same row with its values in another form: for a queue that holds rows of many
    /// fields.
    pub fn map<W>(self, mut convert: impl FnMut(V) -> W) -> Review<W> {
        let Self { record_id, field, question, base, sides } = self;
        let base = match base {
            Base::Never => Base::Never,
            Base::Known(value) => Base::Known(value.map(&mut convert)),
        };
        let shown = |Shown { place, system, value }| Shown {
            place,
            system,
            value: value.map(&mut convert),
        };
        Review {
            record_id,
            field,
            question,
            base,
            sides: sides.into_iter().map(shown).collect(),
        }
    }
}

/// What a person answers to a question: the choice, and who made it why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What the field is to hold.
    pub choice: Choice<T>,
    /// Who decided, why, and when.
    pub decision: Decision,
    pub(crate) seen: Option<Vec<(usize, Option<T>)>>,
}

impl<T> Answer<T> {
    /// An answer to a plan that is at hand.
    pub fn new(choice: Choice<T>, decision: Decision) -> Self {
        Self { choice, decision, seen: None }
    }

    /// An answer to a row that was put to a person: it is refused where the systems say
    /// something else by then.
    pub fn to(row: &Review<T>, choice: Choice<T>, decision: Decision) -> Self
    where
        T: Clone,
    {
        let seen =
            row.sides.iter().map(|side| (side.place, side.value.clone())).collect();
        Self { choice, decision, seen: Some(seen) }
    }

    /// What the field is to hold everywhere.
    pub(super) fn outcome<'a>(&'a self, plan: &FieldPlan<'a, T>) -> Option<&'a T> {
        match &self.choice {
            Choice::Side(place) => plan.slots().get(*place).and_then(|slot| slot.value()),
            Choice::Other(value) => value.as_ref(),
        }
    }
}

/// A question that a person has answered: the writes, and the decision that permits them.
///
/// It is made by [`FieldPlan::settle`], and by nothing else.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::sync::{
///     Answer, Base, Choice, FieldPlan, Rule, Slot,
/// };
///
/// let (crm, erp) = (Slot::Value("active"), Slot::Value("closed"));
/// let (slots, base) = ([&crm, &erp], Base::Known(Some("active")));
/// let asked = FieldPlan::new(Rule::Manual, &slots, &base);
/// assert_eq!(asked.writes().count(), 0);
///
/// let decision = Decision::new("on-call", "the customer has left")?;
/// let settled = asked.settle(Answer::new(Choice::Side(1), decision))?;
/// let write = settled.writes().next().ok_or("the CRM says something else")?;
/// assert_eq!(
///     (write.to(), write.value(), write.expects()),
///     (0, Some(&"closed"), Some(&"active"))
/// );
/// let audit = write.audit("C-1", "status", "crm").ok_or("a person decided")?;
/// assert_eq!(
///     (audit.old, audit.new, audit.decision.reason()),
///     (Some("active"), Some("closed"), "the customer has left")
/// );
/// assert_eq!(settled.next_base(), Base::Known(Some("closed")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an answer writes nothing itself"]
pub struct Settled<'a, T> {
    plan: FieldPlan<'a, T>,
    answer: Answer<T>,
}

impl<'a, T> FieldPlan<'a, T> {
    /// The question, as a row for a person, with the systems by their names; `None` if
    /// nothing is asked.
    pub fn review<'s>(
        &self,
        record_id: impl Into<String>,
        field: impl Into<String>,
        systems: impl IntoIterator<Item = &'s str>,
    ) -> Option<Review<T>>
    where
        T: Clone,
    {
        let Verdict::Ask(question) = self.verdict() else { return None };
        let named = self.slots().iter().zip(systems).enumerate();
        let sides = named.filter_map(|(place, (slot, system))| {
            let value = slot.read()?.into_option().cloned();
            Some(Shown { place, system: system.to_owned(), value })
        });
        let (record_id, field) = (record_id.into(), Some(field.into()));
        Some(Review {
            record_id,
            field,
            question,
            base: self.agreed().clone(),
            sides: sides.collect(),
        })
    }

    /// The plan that follows from a person's answer. The decision goes with its writes,
    /// for the audit.
    ///
    /// A person may decide what no program may: that an owner's blank field is filled, or
    /// that all were wrong.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] where nothing was asked, the chosen system did not say anything,
    /// or the systems say something else than what the answer is to; with the answer
    /// given back.
    pub fn settle(
        self,
        answer: Answer<T>,
    ) -> Result<Settled<'a, T>, Refused<Answer<T>, AnswerError>>
    where
        T: Eq,
    {
        match self.why_not(&answer) {
            Some(cause) => Err(Refused::new(answer, cause)),
            None => Ok(Settled { plan: self, answer }),
        }
    }

    pub(super) fn why_not(&self, answer: &Answer<T>) -> Option<AnswerError>
    where
        T: Eq,
    {
        let unread = |place: usize| {
            self.slots().get(place).is_none_or(|slot| slot.read().is_none())
        };
        let as_seen = |seen: &Vec<(usize, Option<T>)>| {
            self.sides().eq(seen.iter().map(|(place, value)| (*place, value.as_ref())))
        };
        match (self.verdict(), &answer.choice) {
            (Verdict::Ask(_), _) if !answer.seen.as_ref().is_none_or(as_seen) => {
                Some(AnswerError::MovedOn)
            }
            (Verdict::Ask(_), &Choice::Side(place)) if unread(place) => {
                Some(AnswerError::SaysNothing { place })
            }
            (Verdict::Ask(_), _) => None,
            _ => Some(AnswerError::NothingAsked),
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
        self.answer.outcome(&self.plan)
    }

    /// What is to be written where, each with what the system must still show, the edit
    /// that it overrides, and the decision.
    pub fn writes(&self) -> impl Iterator<Item = Write<'_, T>>
    where
        T: Eq,
    {
        Write::to_all(self.outcome(), Some(&self.answer.decision), &self.plan)
    }

    /// The common state once every write is carried out; as it was where a system was not
    /// read.
    pub fn next_base(&self) -> Base<T>
    where
        T: Clone,
    {
        self.plan.common_after(Some(self.outcome()))
    }

    /// What is known in common once every write is carried out, but those to the systems
    /// at these places: as [`FieldPlan::next_without`].
    pub fn next_without(&self, not_made: &[usize]) -> Bases<T>
    where
        T: Eq + Clone,
    {
        self.plan.after(Some(self.outcome()), not_made)
    }

    pub(super) fn base(&self) -> &Base<T> {
        self.plan.agreed()
    }
}

/// What a person's answer changed in one system: for the audit.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Audited<V> {
    /// The record.
    pub record_id: String,
    /// The field.
    pub field: String,
    /// The system that was written to.
    pub system: String,
    /// What it held.
    pub old: Option<V>,
    /// What it holds now.
    pub new: Option<V>,
    /// Who decided, why, and when.
    pub decision: Decision,
}

impl<T: Clone> Write<'_, T> {
    /// The audit entry for this write; `None` if no person decided on it.
    pub fn audit(
        &self,
        record_id: impl Into<String>,
        field: impl Into<String>,
        system: impl Into<String>,
    ) -> Option<Audited<T>> {
        Some(Audited {
            record_id: record_id.into(),
            field: field.into(),
            system: system.into(),
            old: self.expects().cloned(),
            new: self.value().cloned(),
            decision: self.decision()?.clone(),
        })
    }
}

/// An answer that does not fit the question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// The plan asks nothing.
    NothingAsked,
    /// The chosen system was not read, or there is no such system.
    SaysNothing {
        /// The place that was chosen.
        place: usize,
    },
    /// The systems say something else than what the person saw.
    MovedOn,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingAsked => {
                f.write_str("an answer wants a question, and this plan asks nothing")
            }
            Self::SaysNothing { place } => {
                write!(
                    f,
                    "an answer chooses a system that said something, and the one at \
                     place {place} did not"
                )
            }
            Self::MovedOn => f.write_str(
                "an answer is to what the systems said when it was asked, and they say \
                 something else by now",
            ),
        }
    }
}

impl std::error::Error for AnswerError {}
