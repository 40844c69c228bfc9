//! The rules that settle a plan without a person: who wins a true conflict, and what a
//! blank says.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::conflict::Stamp;
use super::plan::FieldPlan;
use super::reconcile::{Question, Verdict, holds};
use super::slot::{Base, Content, Slot};

impl<'a, T> FieldPlan<'a, T> {
    /// The same plan, with a conflict settled in favour of the system at this place; its
    /// edit is written to the others, and theirs are lost, on record.
    ///
    /// Only a true conflict on a shared field is settled so. Nothing else changes: no
    /// owner is outweighed, and no field that a person decides on is decided.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, NonOwnerEdits, Rule, Slot, Verdict,
    /// };
    ///
    /// let (crm, erp) = (Slot::Value("Al"), Slot::Value("Alan"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(None));
    /// let settled = |rule| FieldPlan::new(rule, &slots, &base).prefer(1).verdict();
    /// assert_eq!(settled(Rule::Shared), Verdict::Write(1));
    /// assert_eq!(
    ///     settled(Rule::Owner(0, NonOwnerEdits::Reject)),
    ///     Verdict::Write(0),
    ///     "an owner is not outweighed"
    /// );
    /// ```
    #[must_use = "this gives the settled plan back"]
    pub fn prefer(self, place: usize) -> Self {
        let is_read = self.slots().get(place).is_some_and(|slot| slot.read().is_some());
        if self.is_contested() && is_read {
            self.with(Verdict::Write(place))
        } else {
            self
        }
    }

    /// The same plan, with a conflict settled in favour of the system at this place,
    /// unless its field is blank.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, Question, Rule, Slot, Verdict,
    /// };
    ///
    /// let (crm, erp) = (Slot::Empty, Slot::Value("Alan"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some("Al")));
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &base);
    /// assert_eq!(
    ///     plan.prefer_unless_blank(0).verdict(),
    ///     Verdict::Ask(Question::Conflict)
    /// );
    /// assert_eq!(plan.prefer_unless_blank(1).verdict(), Verdict::Write(1));
    /// ```
    #[must_use = "this gives the settled plan back"]
    pub fn prefer_unless_blank(self, place: usize) -> Self {
        match self.slots().get(place) {
            Some(Slot::Value(_)) => self.prefer(place),
            _ => self,
        }
    }

    /// The same plan, with a conflict settled in favour of the last writer, where the
    /// stamps (one for each system) prove who that is, with clocks that may differ by the
    /// tolerance. A system that still shows the last common state wrote nothing, whatever
    /// its stamp; and a stamp from the future is of a clock that is wrong, and proves
    /// nothing.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, Rule, Slot, Stamp, Verdict,
    /// };
    /// use std::time::Duration;
    ///
    /// let (crm, erp) = (Slot::Value("Al"), Slot::Value("Alan"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(None));
    /// let stamps = [
    ///     Stamp::OfField("2026-01-05T12:00:00Z".parse()?),
    ///     Stamp::OfField("2026-01-05T13:00:00Z".parse()?),
    /// ];
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &base)
    ///     .prefer_last_writer(
    ///         &stamps,
    ///         Duration::from_secs(60),
    ///         "2026-01-05T14:00:00Z".parse()?,
    ///     );
    /// assert_eq!(plan.verdict(), Verdict::Write(1));
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    #[doc(alias("last write wins", "LWW"))]
    #[must_use = "this gives the settled plan back"]
    pub fn prefer_last_writer(
        self,
        stamps: &[Stamp],
        tolerance: Duration,
        now: DateTime<Utc>,
    ) -> Self
    where
        T: Eq,
    {
        let stamp = |place: usize| {
            let stamp = stamps.get(place).copied().unwrap_or_default();
            stamp.up_to(now, tolerance)
        };
        let sides = self.contenders();
        let last = sides.iter().find(|last| {
            let mut others = sides.iter().filter(|place| place != last);
            others.all(|other| stamp(**last).is_after(stamp(*other), tolerance))
        });
        match last {
            Some(last) if sides.len() > 1 && stamps.len() == self.slots().len() => {
                self.prefer(*last)
            }
            _ => self,
        }
    }

    /// The same plan, with a conflict settled by a function that makes one value of all
    /// edits.
    ///
    /// It gets what the systems last agreed on and the edits, in the order of the
    /// systems, and returns what the field is to hold; or `None` for "ask a person". This
    /// is the only rule that writes what no system has said. As [`prefer`](Self::prefer),
    /// it settles true conflicts on shared fields alone; and it clears no field on a
    /// first synchronisation.
    ///
    /// A function that takes over its own result unchanged
    /// (`merge(merge(x, y), y) = merge(x, y)`: a union, a maximum) may be interrupted
    /// between two writes, and the next plan does the rest. Another one (a sum) may not.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, Rule, Slot, Verdict,
    /// };
    ///
    /// let (crm, erp) = (Slot::Value(5), Slot::Value(9));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some(1)));
    /// let merged = FieldPlan::new(Rule::Shared, &slots, &base)
    ///     .merge(|_, edits| Some(edits.iter().max()?.copied().into()));
    /// assert_eq!(merged.plan().verdict(), Verdict::Merge);
    /// assert_eq!(
    ///     merged
    ///         .plan()
    ///         .writes()
    ///         .map(|write| (write.to(), write.value()))
    ///         .collect::<Vec<_>>(),
    ///     [(0, Some(&9))]
    /// );
    /// ```
    pub fn merge(
        self,
        merge: impl FnOnce(&Base<T>, &[Option<&T>]) -> Option<Content<T>>,
    ) -> Merged<'a, T>
    where
        T: Eq,
    {
        let stale = (0..self.slots().len()).find(|place| self.is_stale(*place));
        let ancestor = stale.map_or(self.agreed(), |place| self.base(place));
        let edits = self
            .contenders()
            .into_iter()
            .filter_map(|place| self.slots().get(place)?.read().map(Content::into_option))
            .collect::<Vec<_>>();
        let value = if self.is_contested() { merge(ancestor, &edits) } else { None };
        let value = value.filter(|content| {
            *content != Content::Empty || *self.agreed() != Base::Never
        });
        Merged { plan: self, value }
    }

    /// Whether a shared field is asked about: what a declared rule may settle.
    fn is_contested(&self) -> bool {
        matches!(
            self.verdict(),
            Verdict::Ask(Question::Conflict | Question::FirstDiffers)
        )
    }

    /// The places of the systems whose values stand against each other: those that say
    /// something new, and where one of them did not know what was agreed last, also those
    /// that show that.
    fn contenders(&self) -> Vec<usize>
    where
        T: Eq,
    {
        let places = 0..self.slots().len();
        let stale = places.clone().any(|place| self.is_stale(place));
        let agrees = |place: usize| {
            self.slots().get(place).is_some_and(|slot| holds(self.agreed(), slot))
        };
        places.filter(|place| self.is_news(*place) || (stale && agrees(*place))).collect()
    }
}

/// A plan, and the value that a function made of its edits, where it did.
#[derive(Debug)]
#[must_use = "the value is in the plan that this gives"]
pub struct Merged<'a, T> {
    plan: FieldPlan<'a, T>,
    value: Option<Content<T>>,
}

impl<'a, T> Merged<'a, T> {
    /// The plan: to write the value, where there is one, and as it was otherwise.
    pub fn plan(&self) -> FieldPlan<'_, T> {
        match &self.value {
            Some(value) => self.plan.with_merged(value),
            None => self.plan,
        }
    }

    pub(super) fn into_value(self) -> Option<Content<T>> {
        self.value
    }
}
