//! The rules that settle a plan without a person: who wins a true conflict, and what a
//! blank says.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::conflict::Stamp;
use super::failed_writes::FailedWrites;
use super::past::Past;
use super::plan::FieldPlan;
use super::reconcile::{Question, Rule, Verdict, holds};
use super::slot::{Base, Content, Slot};
use super::write::Write;

impl<'a, T> FieldPlan<'a, T> {
    /// The same plan, with a conflict settled in favour of the system at this place; its
    /// edit is written to the others, and theirs are lost, on record.
    ///
    /// It settles only a true conflict on a shared field. It outweighs no owner, and
    /// decides no field that a person decides on.
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
    pub fn prefer(self, place: usize) -> Self
    where
        T: PartialEq,
    {
        let is_read = self.slots().get(place).is_some_and(|slot| slot.read().is_some());
        self.by_rule(|plan| {
            if plan.is_contested() && is_read {
                plan.with(Verdict::Write(place))
            } else {
                plan
            }
        })
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
    pub fn prefer_unless_blank(self, place: usize) -> Self
    where
        T: PartialEq,
    {
        match self.slots().get(place) {
            Some(Slot::Value(_)) => self.prefer(place),
            _ => self,
        }
    }

    /// The same plan, but a blank decides nothing: the owner's does not clear the
    /// others ("owner unless blank"), and a shared field that somebody has cleared is
    /// filled again ("not null"), with the edit on record as lost.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, NonOwnerEdits, Rule, Slot, Verdict,
    /// };
    ///
    /// let (crm, erp) = (Slot::Empty, Slot::Value("Alan"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some("Alan")));
    /// let plan = |rule| FieldPlan::new(rule, &slots, &base).unless_blank();
    /// let owned = plan(Rule::Owner(0, NonOwnerEdits::Reject));
    /// assert_eq!(owned.verdict(), Verdict::Unread, "the owner says nothing");
    ///
    /// let filled = plan(Rule::Shared).writes().next().ok_or("the CRM is blank")?;
    /// assert_eq!((filled.to(), filled.value()), (0, Some(&"Alan")));
    /// assert!(filled.lost().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("not null", "skip blanks"))]
    #[must_use = "this gives the plan back"]
    pub fn unless_blank(self) -> Self
    where
        T: PartialEq,
    {
        self.by_rule(Self::without_blanks)
    }

    fn without_blanks(self) -> Self
    where
        T: PartialEq,
    {
        let is_blank =
            |place: usize| matches!(self.slots().get(place), Some(Slot::Empty));
        let (writes, asks) = match self.verdict() {
            Verdict::Write(_) | Verdict::Behind => (true, false),
            Verdict::Ask(_) => (false, true),
            _ => (false, false),
        };
        match self.rule() {
            Rule::Owner(owner, _) if (writes || asks) && is_blank(owner) => {
                self.with(Verdict::Unread)
            }
            Rule::Shared if writes && self.outcome() == Some(Content::Empty) => {
                self.with_values_alone()
            }
            Rule::Shared if self.is_contested() => self.with_values_alone(),
            _ => self,
        }
    }

    /// The plan for a shared field from only those systems that show a value.
    fn with_values_alone(self) -> Self
    where
        T: PartialEq,
    {
        let shows_value =
            |place: &usize| matches!(self.slots().get(*place), Some(Slot::Value(_)));
        let news = self.contenders().into_iter().filter(|place| self.is_news(*place));
        let mut values = news.filter(shows_value);
        let first = values.next();
        let differ = values.any(|other| {
            first.is_some_and(|first| self.slots().get(first) != self.slots().get(other))
        });
        match (first, self.agreed()) {
            (Some(first), _) if differ || self.is_stale(first) => self,
            (Some(first), _) => self.with(Verdict::Write(first)),
            (None, Base::Known(Some(_))) => self.with(Verdict::Behind),
            (None, _) => self.with(Verdict::Unread),
        }
    }

    /// The place of the system whose value the plan would write over what was agreed
    /// since, if that is an older value that the systems [had in common](Past): a
    /// system shows one after a restore from a backup, or after somebody took an edit
    /// back.
    pub fn goes_back(&self, past: &Past<T>) -> Option<usize>
    where
        T: PartialEq,
    {
        let Verdict::Write(place) = self.verdict() else { return None };
        let outcome = self.outcome().filter(|outcome| past.contains(*outcome));
        outcome.filter(|_| self.is_news(place)).map(|_| place)
    }

    /// The same plan, which asks a person if it [goes back](Self::goes_back): for a
    /// system that was restored, and for fields that never return to what they were. No
    /// rule settles that question.
    #[must_use = "this gives the plan back"]
    pub fn ask_before_going_back(self, past: &Past<T>) -> Self
    where
        T: PartialEq,
    {
        self.by_rule(|plan| match plan.goes_back(past) {
            Some(_) => plan.with(Verdict::Ask(Question::GoesBack)),
            None => plan,
        })
    }

    /// The same plan, which asks a person if one of its writes has failed twice in a
    /// row: see [`FailedWrites`].
    #[must_use = "this gives the plan back"]
    pub fn ask_if_stuck(self, failed: &FailedWrites<T>) -> Self
    where
        T: PartialEq + Clone,
    {
        let is_stuck = |write: Write<'_, T>| failed.times(write.to(), write.value()) >= 2;
        self.by_rule(|plan| match plan.writes().any(is_stuck) {
            true => plan.with(Verdict::Ask(Question::Stuck)),
            false => plan,
        })
    }

    /// The same plan, with a conflict settled in favour of the last writer, where the
    /// stamps (one for each system) prove who that is, with clocks that may differ by
    /// the tolerance. A system that still shows the last common state wrote nothing,
    /// whatever its stamp. A stamp from the future comes from a wrong clock, and proves
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
        T: PartialEq,
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
    ) -> MergedPlan<'a, T>
    where
        T: PartialEq,
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
        MergedPlan { plan: self, value }
    }

    /// Whether a shared field is asked about: what a declared rule may settle.
    fn is_contested(&self) -> bool {
        matches!(
            self.verdict(),
            Verdict::Ask(Question::Conflict | Question::FirstDiffers)
        )
    }

    /// The places of the systems whose values stand against each other: those that say
    /// something new, and where one of them did not know what was agreed last, also
    /// those that show it.
    fn contenders(&self) -> Vec<usize>
    where
        T: PartialEq,
    {
        let places = 0..self.slots().len();
        let stale = places.clone().any(|place| self.is_stale(place));
        let agrees = |place: usize| {
            self.slots().get(place).is_some_and(|slot| holds(self.agreed(), slot))
        };
        places.filter(|place| self.is_news(*place) || (stale && agrees(*place))).collect()
    }
}

/// A plan, and the value that a function made of its edits, if it made one.
#[derive(Debug)]
#[must_use = "the value is in the plan that this gives"]
pub struct MergedPlan<'a, T> {
    plan: FieldPlan<'a, T>,
    value: Option<Content<T>>,
}

impl<'a, T> MergedPlan<'a, T> {
    /// The plan that writes the value, if there is one; else the plan as it was.
    pub fn plan(&self) -> FieldPlan<'_, T>
    where
        T: PartialEq,
    {
        match &self.value {
            Some(value) => self.plan.with_merged(value),
            None => self.plan,
        }
    }

    pub(super) fn into_value(self) -> Option<Content<T>> {
        self.value
    }
}
