//! `Review`: one question, as a row of a review queue.

use std::convert::Infallible;

use super::plan::FieldPlan;
use super::reconcile::{Question, Verdict};
use super::slot::Base;

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
/// let plan = contract.plan("status", &slots, &base)?;
/// assert_eq!(
///     plan.settle("C-1", "status", answer).unwrap_err().to_string(),
///     "an answer is to what the systems said when it was asked, and they say something \
///      else by now"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review<V> {
    /// The record.
    pub record_id: String,
    /// The field; `None` if the question is about the record as a whole.
    pub field: Option<String>,
    /// Why a person must decide.
    pub question: Question,
    /// What the systems last agreed on.
    pub base: Base<V>,
    /// What each system says; one that said nothing is left out.
    pub sides: Vec<Shown<V>>,
}

/// What one system shows, in a row for review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<V> {
    /// The place of the system.
    pub place: usize,
    /// Its name.
    pub system: String,
    /// The value, or nothing in the field. Of a record as a whole: what it shows of that.
    pub value: Option<V>,
    /// Why the system refused to take what another side says, in its own words: after a
    /// plan ([`Question::Refused`]), or after an earlier answer.
    pub refused: Option<String>,
}

impl<V> Review<V> {
    /// Whether another row asks the same about the same field, of whichever record: one
    /// decision can answer both ([`Answer::to_each`](super::Answer::to_each)).
    pub fn is_like(&self, other: &Self) -> bool
    where
        V: PartialEq,
    {
        let asks = |row: &Self| (row.field.clone(), row.question);
        asks(self) == asks(other)
            && (&self.base, &self.sides) == (&other.base, &other.sides)
    }

    /// The same row with its values in another form: for a queue that holds rows of many
    /// fields.
    pub fn map<W>(&self, mut convert: impl FnMut(&V) -> W) -> Review<W> {
        let Ok(row) = self.try_map(|value| Ok::<W, Infallible>(convert(value)));
        row
    }

    /// The same row with its values in another form, if each of them has one.
    ///
    /// # Errors
    ///
    /// The error of the first value that `convert` refuses.
    pub fn try_map<W, E>(
        &self,
        mut convert: impl FnMut(&V) -> Result<W, E>,
    ) -> Result<Review<W>, E> {
        let mut of = |value: &Option<V>| value.as_ref().map(&mut convert).transpose();
        let base = match &self.base {
            Base::Never => Base::Never,
            Base::Known(value) => Base::Known(of(value)?),
        };
        let mut sides = Vec::with_capacity(self.sides.len());
        for Shown { place, system, value, refused } in &self.sides {
            sides.push(Shown {
                place: *place,
                system: system.clone(),
                value: of(value)?,
                refused: refused.clone(),
            });
        }
        Ok(Review {
            record_id: self.record_id.clone(),
            field: self.field.clone(),
            question: self.question,
            base,
            sides,
        })
    }
}

impl<T> FieldPlan<'_, T> {
    /// The question, as a row for a person, with the systems by their names; `None` if
    /// nothing is asked.
    pub fn review<'s>(
        &self,
        record_id: impl Into<String>,
        field: impl Into<String>,
        systems: impl IntoIterator<Item = &'s str>,
    ) -> Option<Review<T>>
    where
        T: PartialEq + Clone,
    {
        let Verdict::Ask(question) = self.verdict() else { return None };
        let named = self.slots().iter().zip(systems).enumerate();
        let sides = named.filter_map(|(place, (slot, system))| {
            let value = slot.read()?.into_option().cloned();
            let refused = self.refusal_by(place).map(|refusal| refusal.why.clone());
            Some(Shown { place, system: system.to_owned(), value, refused })
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
}
