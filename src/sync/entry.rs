//! `Entry`: the plan for one field of a declared boundary, whose shape follows from who
//! decides about the field.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use chrono::{DateTime, Utc};
use static_assertions::assert_eq_size;

use super::answer::{Answer, AnswerError};
use super::bases::Bases;
use super::conflict::Stamp;
use super::failed_writes::FailedWrites;
use super::kept::KeptForms;
use super::kind::{Kind, Ruled, SettledByRule, Written};
use super::past::Past;
use super::plan::{FieldPlan, Known, Write};
use super::progress::Step;
use super::reconcile::{Question, Rule, Verdict, decide};
use super::refusal::Refusal;
use super::review::Review;
use super::settled::{Settled, answered};
use super::slot::{Base, Content, Slot};
use crate::Refused;

/// The plan for one field. Its type names the field, so that no other field's plan can
/// take its place.
pub struct Entry<'a, F: Ruled<T>, T, K: Kind, const N: usize> {
    slots: [&'a Slot<F::Value>; N],
    known: &'a Bases<F::Value>,
    verdict: Verdict,
    amended: Option<Box<Amended<'a, F::Value>>>,
    marker: PhantomData<fn() -> (F, K)>,
}

// Beside its slots an entry has four words, whatever the type of its values.
const _: () = {
    enum Wide {}

    impl Ruled<[u8; 200]> for Wide {
        type Value = [u8; 200];
        const RULE: Rule = Rule::Shared;
    }

    assert_eq_size!(Entry<'static, Wide, [u8; 200], super::kind::Shared, 3>, [usize; 7]);
};

/// What few plans have, and no new one: boxed, so that an entry stays small.
struct Amended<'a, T> {
    /// What a function has made of the edits.
    merged: Option<Content<T>>,
    refusals: &'a [Refusal<T>],
    /// Whether nothing is left of the verdict for that.
    is_refused: bool,
}

impl<F: Ruled<T>, T, K: Kind, const N: usize> fmt::Debug for Entry<'_, F, T, K, N> {
    /// What is to be done; never the values, which may be what no log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("verdict", &self.verdict()).finish_non_exhaustive()
    }
}

impl<'a, F: Ruled<T>, T, K: Kind, const N: usize> Entry<'a, F, T, K, N> {
    #[inline(always)]
    pub(crate) fn new(
        slots: [&'a Slot<F::Value>; N],
        known: &'a Bases<F::Value>,
    ) -> Self {
        let verdict = decide(F::RULE, &slots, |place| known.of(place), &known.agreed);
        Self { slots, known, verdict, amended: None, marker: PhantomData }
    }

    /// What is to be done.
    #[inline]
    pub fn verdict(&self) -> Verdict {
        if self.is_refused() { Verdict::Ask(Question::Refused) } else { self.verdict }
    }

    /// Why a person must decide, where one must.
    pub fn question(&self) -> Option<Question> {
        match self.verdict() {
            Verdict::Ask(question) => Some(question),
            _ => None,
        }
    }

    /// What each system says: its place, and the value or nothing.
    pub fn sides(&self) -> impl Iterator<Item = (usize, Option<&F::Value>)> {
        self.plan().sides()
    }

    /// What is to be written where.
    pub fn writes(&self) -> EntryWrites<'_, F::Value>
    where
        K: Written,
    {
        EntryWrites { plan: self.plan(), given: 0 }
    }

    /// What is known in common once the plan is carried out.
    pub fn next(&self) -> Bases<F::Value> {
        self.plan().next()
    }

    /// The question, as a row for a person: as [`FieldPlan::review`].
    pub fn review<'s>(
        &self,
        record_id: impl Into<String>,
        field: impl Into<String>,
        systems: impl IntoIterator<Item = &'s str>,
    ) -> Option<Review<F::Value>> {
        self.plan().review(record_id, field, systems)
    }

    /// What follows from a person's answer: as [`FieldPlan::settle`].
    ///
    /// # Errors
    ///
    /// [`AnswerError`], with the answer given back.
    #[allow(clippy::type_complexity, reason = "as `FieldPlan::settle` spells it")]
    pub fn settle(
        &self,
        record_id: &str,
        field: &str,
        answer: Answer<F::Value>,
    ) -> Result<Settled<'_, F::Value>, Refused<Answer<F::Value>, AnswerError>> {
        self.plan().settle(record_id, field, answer)
    }

    pub(crate) fn plan(&self) -> FieldPlan<'_, F::Value> {
        let amended = self.amended.as_deref();
        let merged = amended.and_then(|amended| amended.merged.as_ref());
        let known = Known::Each(self.known);
        FieldPlan::decided(self.verdict, &self.slots, known, merged, F::RULE)
            .with_refusals(self.refusals(), self.is_refused())
    }

    /// Why an answer does not fit; `None` if it does, or if there is none.
    pub(crate) fn misfit(
        &self,
        record_id: Option<&str>,
        field: &str,
        answer: Option<&Answer<F::Value>>,
    ) -> Option<AnswerError> {
        let answer = answer?;
        match record_id {
            Some(record_id) => self.plan().misfit(record_id, field, answer),
            None => Some(AnswerError::NoRecord),
        }
    }

    /// Leaves out what a system has refused before: as [`FieldPlan::after_refusals`].
    pub(crate) fn leave_out(&mut self, refusals: &'a [Refusal<F::Value>]) {
        let (_, is_refused) = self.plan().after_refusals(refusals).before_refusals();
        let merged = self.amended.take().and_then(|amended| amended.merged);
        if merged.is_some() || !refusals.is_empty() {
            self.amended = Some(Box::new(Amended { merged, refusals, is_refused }));
        }
    }

    /// Has a rule settle it.
    fn settle_by(
        &mut self,
        rule: impl for<'p> FnOnce(FieldPlan<'p, F::Value>) -> FieldPlan<'p, F::Value>,
    ) {
        let (verdict, is_refused) = rule(self.plan()).before_refusals();
        self.verdict = verdict;
        if let Some(amended) = &mut self.amended {
            amended.is_refused = is_refused;
        }
    }

    fn refusals(&self) -> &'a [Refusal<F::Value>] {
        self.amended.as_ref().map_or(&[], |amended| amended.refusals)
    }

    fn is_refused(&self) -> bool {
        self.amended.as_ref().is_some_and(|amended| amended.is_refused)
    }

    /// What a step writes to one system, or checks there: for the answer if there is one,
    /// else for the plan.
    pub(crate) fn write<'p>(
        &'p self,
        answer: Option<&'p Answer<F::Value>>,
        to: usize,
        step: Step,
    ) -> Option<Write<'p, F::Value>> {
        let plan = self.plan();
        let Some(answer) = answer else {
            let mut writes = plan.writes().filter(|_| step == Step::Write);
            return writes.find(|write| write.to() == to);
        };
        let write = answered(&plan, answer).find(|write| write.to() == to)?;
        match step {
            Step::Before => Some(write.without_change()),
            Step::Write => Some(write).filter(|write| !write.is_check()),
            Step::Check => Some(write).filter(Write::is_check),
            Step::TakeBack => None,
        }
    }

    /// What takes the write of an answer back from one system.
    pub(crate) fn take_back<'p>(
        &'p self,
        answer: &'p Answer<F::Value>,
        to: usize,
        kept: &'p KeptForms<F::Value>,
    ) -> Option<Write<'p, F::Value>> {
        let write = self.write(Some(answer), to, Step::Write)?;
        let held = kept.held(to, write.value()).unwrap_or(write.value());
        Some(write.reversed(held))
    }

    /// What is known in common after the writes, except those to the systems at these
    /// places. An answer that was not carried out everywhere moves nothing: it can be
    /// given again while the systems still show what it is to.
    pub(crate) fn next_without(
        &self,
        answer: Option<&Answer<F::Value>>,
        not_made: &[usize],
    ) -> Bases<F::Value> {
        let plan = self.plan();
        let is_left = |to: &usize| self.write(answer, *to, Step::Write).is_some();
        match answer {
            Some(_) if not_made.iter().any(is_left) => self.known.clone(),
            Some(answer) => plan.after(answer.outcome(&plan), not_made),
            None => plan.next_without(not_made),
        }
    }
}

/// What an [`Entry`] writes: at most one value for each system.
// An opaque type would hold the bound of `writes`, and a loop would ask for it thrice.
pub struct EntryWrites<'p, T> {
    plan: FieldPlan<'p, T>,
    given: usize,
}

impl<T> fmt::Debug for EntryWrites<'_, T> {
    /// Never the values, which may be what no log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryWrites").finish_non_exhaustive()
    }
}

impl<'p, T: PartialEq> Iterator for EntryWrites<'p, T> {
    type Item = Write<'p, T>;

    fn next(&mut self) -> Option<Self::Item> {
        let write = self.plan.writes().nth(self.given)?;
        self.given = self.given.saturating_add(1);
        Some(write)
    }
}

/// One field of a plan, for declared rules to settle: a conflict on a shared field, a
/// blank, a value that comes back. No rule outweighs an owner, and none decides in a
/// person's place.
pub struct FieldRules<'p, 'a, F: Ruled<T>, T, K: Kind, const N: usize>(
    &'p mut Entry<'a, F, T, K, N>,
);

impl<F: Ruled<T>, T, K: Kind, const N: usize> fmt::Debug
    for FieldRules<'_, '_, F, T, K, N>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FieldRules").field(&self.0).finish()
    }
}

impl<'p, 'a, F: Ruled<T>, T, K: Kind, const N: usize> FieldRules<'p, 'a, F, T, K, N> {
    pub(crate) fn new(entry: &'p mut Entry<'a, F, T, K, N>) -> Self {
        Self(entry)
    }

    /// A blank decides nothing: as [`FieldPlan::unless_blank`].
    pub fn unless_blank(self)
    where
        K: Written,
    {
        self.0.settle_by(|plan| plan.unless_blank());
    }

    /// Asks where an older common value has come back: as
    /// [`FieldPlan::ask_before_going_back`].
    pub fn ask_before_going_back(self, past: &Past<F::Value>)
    where
        K: Written,
    {
        self.0.settle_by(|plan| plan.ask_before_going_back(past));
    }

    /// Asks where its write has failed twice: as [`FieldPlan::ask_if_stuck`].
    pub fn ask_if_stuck(self, failed: &FailedWrites<F::Value>)
    where
        K: Written,
    {
        self.0.settle_by(|plan| plan.ask_if_stuck(failed));
    }

    /// Settles it in favour of a system, by its place: as [`FieldPlan::prefer`].
    pub fn prefer(self, place: usize)
    where
        K: SettledByRule,
    {
        self.0.settle_by(|plan| plan.prefer(place));
    }

    /// Settles it in favour of a system, unless its field is blank: as
    /// [`FieldPlan::prefer_unless_blank`].
    pub fn prefer_unless_blank(self, place: usize)
    where
        K: SettledByRule,
    {
        self.0.settle_by(|plan| plan.prefer_unless_blank(place));
    }

    /// Settles it in favour of the last writer: as [`FieldPlan::prefer_last_writer`].
    pub fn prefer_last_writer(
        self,
        stamps: &[Stamp; N],
        tolerance: Duration,
        now: DateTime<Utc>,
    ) where
        K: SettledByRule,
    {
        self.0.settle_by(|plan| plan.prefer_last_writer(stamps, tolerance, now));
    }

    /// Settles it by a function that makes one value of all edits: as
    /// [`FieldPlan::merge`].
    pub fn merge(
        self,
        merge: impl FnOnce(&Base<F::Value>, &[Option<&F::Value>]) -> Option<Content<F::Value>>,
    ) where
        K: SettledByRule,
    {
        if let Some(value) = self.0.plan().merge(merge).into_value() {
            let (merged, refusals, is_refused) = (Some(value), self.0.refusals(), false);
            self.0.amended = Some(Box::new(Amended { merged, refusals, is_refused }));
            self.0.verdict = Verdict::Merge;
            self.0.leave_out(refusals);
        }
    }
}

/// What a setter takes for a field of type `T`: a value, or an `Option`, where `None`
/// clears the field.
///
/// ```
/// use integration_automation_patterns::sync::Slot;
/// use integration_automation_patterns::sync::declared::IntoSlot;
///
/// assert_eq!(IntoSlot::<u64>::into_slot(7), Slot::Value(7));
/// assert_eq!(IntoSlot::<String>::into_slot("Al"), Slot::Value("Al".to_owned()));
/// assert_eq!(IntoSlot::<String>::into_slot(None), Slot::Empty);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no value for a field of type `{T}`",
    label = "wanted `{T}`, or an `Option` of it, where `None` clears the field"
)]
pub trait IntoSlot<T> {
    /// The slot for the field.
    fn into_slot(self) -> Slot<T>;
}

impl<T> IntoSlot<T> for T {
    fn into_slot(self) -> Slot<T> {
        Slot::Value(self)
    }
}

impl<T> IntoSlot<T> for Option<T> {
    fn into_slot(self) -> Slot<T> {
        Slot::from(self)
    }
}

impl IntoSlot<String> for &str {
    fn into_slot(self) -> Slot<String> {
        Slot::Value(self.to_owned())
    }
}
