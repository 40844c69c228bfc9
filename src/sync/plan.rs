//! `FieldPlan`: the plan for one field, what it writes where, and what is lost. It holds
//! references alone, and writes nothing itself.

use std::time::Duration;

use super::conflict::Stamp;
use super::reconcile::{NonOwnerEdits, Question, Rule, Verdict, verdict};
use super::refusal::Refusal;
use super::slot::{Base, Content, Slot};
use crate::Decision;

/// The plan for one field: the [`verdict`], and the writes that follow from it. It holds
/// references only.
#[doc(alias("three-way merge", "conflict resolution"))]
#[derive(Debug)]
pub struct FieldPlan<'a, T> {
    slots: &'a [&'a Slot<T>],
    base: &'a Base<T>,
    verdict: Verdict,
    merged: Option<&'a Content<T>>,
    refuses: bool,
    refusals: &'a [Refusal<T>],
}

/// One value that is to be written to one system.
#[doc(alias("upsert", "compare-and-swap", "optimistic locking"))]
#[derive(Debug, PartialEq, Eq)]
pub struct Write<'a, T> {
    to: usize,
    value: Option<&'a T>,
    expects: Option<&'a T>,
    overrides_edit: bool,
    refuses: bool,
    decision: Option<&'a Decision>,
}

// By hand, since they hold references alone: a value need not be `Copy` itself.
impl<T> Copy for FieldPlan<'_, T> {}
impl<T> Copy for Write<'_, T> {}

impl<T> Clone for FieldPlan<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Clone for Write<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T> Write<'a, T> {
    /// The place of the system.
    pub fn to(&self) -> usize {
        self.to
    }

    /// What is written: a value, or nothing, which clears the field.
    pub fn value(&self) -> Option<&'a T> {
        self.value
    }

    /// What the system must still show: where it shows something else by now, this write
    /// is refused and planned again.
    pub fn expects(&self) -> Option<&'a T> {
        self.expects
    }

    /// The edit that this write overrides, where the system's field was changed since the
    /// last common state.
    pub fn lost(&self) -> Option<Content<&'a T>> {
        self.overrides_edit.then_some(self.expects.into())
    }

    /// The edit that is refused, where [`NonOwnerEdits::Reject`] holds: to be reported to
    /// the system that this write goes to.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, Content, FieldPlan, NonOwnerEdits, Rule, Slot,
    /// };
    ///
    /// let (crm, erp) = (Slot::Value("a@x.org"), Slot::Value("b@x.org"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some("a@x.org")));
    /// let refused = |others| {
    ///     FieldPlan::new(Rule::Owner(0, others), &slots, &base)
    ///         .writes()
    ///         .map(|write| write.refused())
    ///         .collect::<Vec<_>>()
    /// };
    /// assert_eq!(refused(NonOwnerEdits::Reject), [Some(Content::Value(&"b@x.org"))]);
    /// assert_eq!(
    ///     refused(NonOwnerEdits::Overwrite),
    ///     [None],
    ///     "it is lost, and nobody had forbidden it"
    /// );
    /// assert_eq!(refused(NonOwnerEdits::Queue), [], "it is asked");
    /// ```
    pub fn refused(&self) -> Option<Content<&'a T>> {
        self.lost().filter(|_| self.refuses)
    }

    /// The decision that permits this write, where a person took one.
    pub fn decision(&self) -> Option<&'a Decision> {
        self.decision
    }

    /// Whether it changes nothing, and only wants the system to show what it did: made
    /// for the systems that a person's answer leaves as they are.
    pub fn is_check(&self) -> bool
    where
        T: PartialEq,
    {
        self.value == self.expects
    }

    /// The write that takes this one back.
    pub(super) fn reversed(self) -> Self {
        Self { value: self.expects, expects: self.value, ..self }
    }

    /// One value, for every system that said something.
    pub(super) fn of_all(
        value: Option<&'a T>,
        decision: Option<&'a Decision>,
        plan: &FieldPlan<'a, T>,
    ) -> impl Iterator<Item = Self> + use<'a, T>
    where
        T: Eq,
    {
        let &FieldPlan { slots, base, refuses, .. } = plan;
        slots.iter().enumerate().filter_map(move |(to, slot)| {
            let expects = slot.read()?.into_option();
            let overrides_edit = expects != value && base.is_edited(slot);
            Some(Self { to, value, expects, overrides_edit, refuses, decision })
        })
    }
}

impl<'a, T> FieldPlan<'a, T> {
    /// Plans one field.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, Rule, Slot, Verdict,
    /// };
    ///
    /// let (crm, erp, billing) =
    ///     (Slot::Value("gold"), Slot::Value("silver"), Slot::Value("gold"));
    /// let (slots, base) = ([&crm, &erp, &billing], Base::Known(Some("silver")));
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &base);
    /// assert_eq!(plan.verdict(), Verdict::Write(0));
    /// assert_eq!(plan.writes().map(|write| write.to()).collect::<Vec<_>>(), [1]);
    /// assert_eq!(plan.next_base(), Base::Known(Some("gold")));
    /// ```
    pub fn new(rule: Rule, slots: &'a [&'a Slot<T>], base: &'a Base<T>) -> Self
    where
        T: Eq,
    {
        let refuses = matches!(rule, Rule::Owner(_, NonOwnerEdits::Reject));
        let verdict = verdict(rule, slots, base);
        Self { slots, base, verdict, merged: None, refuses, refusals: &[] }
    }

    pub(super) fn decided(
        verdict: Verdict,
        slots: &'a [&'a Slot<T>],
        base: &'a Base<T>,
        merged: Option<&'a Content<T>>,
        refuses: bool,
    ) -> Self {
        Self { slots, base, verdict, merged, refuses, refusals: &[] }
    }

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
        let is_read = self.slots.get(place).is_some_and(|slot| slot.read().is_some());
        match self.verdict {
            Verdict::Ask(Question::Conflict) if is_read => {
                Self { verdict: Verdict::Write(place), ..self }
            }
            _ => self,
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
        match self.slots.get(place) {
            Some(Slot::Value(_)) => self.prefer(place),
            _ => self,
        }
    }

    /// The same plan, with a conflict settled in favour of the last writer, where the
    /// stamps (one for each system) prove who that is, with clocks that may differ by the
    /// tolerance. A system that still shows the last common state wrote nothing, whatever
    /// its stamp.
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
    ///     .prefer_last_writer(&stamps, Duration::from_secs(60));
    /// assert_eq!(plan.verdict(), Verdict::Write(1));
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    #[doc(alias("last write wins", "LWW"))]
    #[must_use = "this gives the settled plan back"]
    pub fn prefer_last_writer(self, stamps: &[Stamp], tolerance: Duration) -> Self
    where
        T: Eq,
    {
        let edits = || {
            self.slots
                .iter()
                .zip(stamps)
                .enumerate()
                .filter(|(_, (slot, _))| self.base.is_edited(slot))
        };
        let after_all = |place: usize, stamp: &Stamp| {
            edits().all(|(other, (_, of_other))| {
                other == place || stamp.is_after(*of_other, tolerance)
            })
        };
        match edits().find(|(place, (_, stamp))| after_all(*place, stamp)) {
            Some((last, _)) if stamps.len() == self.slots.len() => self.prefer(last),
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
        let value = match self.verdict {
            Verdict::Ask(Question::Conflict) => {
                let edits = self.slots.iter().filter(|slot| self.base.is_edited(slot));
                let edits = edits
                    .filter_map(|slot| slot.read().map(Content::into_option))
                    .collect::<Vec<_>>();
                merge(self.base, &edits).filter(|content| {
                    *content != Content::Empty || *self.base != Base::Never
                })
            }
            _ => None,
        };
        Merged { plan: self, value }
    }

    /// The same plan, to ask instead of to write.
    pub(super) fn asking(self, question: Question) -> Self {
        Self { verdict: Verdict::Ask(question), ..self }
    }

    /// The same plan, with what systems refused before.
    pub(super) fn with_refusals(self, refusals: &'a [Refusal<T>]) -> Self {
        Self { refusals, ..self }
    }

    pub(super) fn merged(&self) -> Option<&'a Content<T>> {
        self.merged
    }

    pub(super) fn refusals(&self) -> &'a [Refusal<T>] {
        self.refusals
    }

    pub(super) fn slots(&self) -> &'a [&'a Slot<T>] {
        self.slots
    }

    pub(super) fn base(&self) -> &'a Base<T> {
        self.base
    }

    /// What is to be done.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What all systems that said something hold once the plan is carried out, where that
    /// is decided.
    pub fn outcome(&self) -> Option<Content<&'a T>> {
        match self.verdict {
            Verdict::Agreed(place) | Verdict::Write(place) => {
                self.slots.get(place)?.read()
            }
            Verdict::Merge => self.merged.map(Content::as_ref),
            Verdict::Unread | Verdict::Ask(_) => None,
        }
    }

    /// What is to be written: at most one value for each system, and none that changes
    /// nothing.
    pub fn writes(&self) -> impl Iterator<Item = Write<'a, T>> + use<'a, T>
    where
        T: Eq,
    {
        let outcome = self
            .outcome()
            .filter(|_| matches!(self.verdict, Verdict::Write(_) | Verdict::Merge));
        let refusals = self.refusals;
        outcome
            .map(|outcome| Write::of_all(outcome.into_option(), None, self))
            .into_iter()
            .flatten()
            .filter(move |write| !write.is_check() && !write.is_refused(refusals))
    }

    /// What each system says, for the person who is asked: the place of the system, and
    /// the value or nothing.
    pub fn sides(&self) -> impl Iterator<Item = (usize, Option<&'a T>)> + use<'a, T> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(place, slot)| Some((place, slot.read()?.into_option())))
    }

    /// The common state once every write of the plan is carried out.
    ///
    /// It is as it was where nothing was decided, and where a system was not read: what
    /// that system holds is not known to be common. (A system that has no such field says
    /// [`Slot::Unsupported`], and holds nothing up.) Where a write was refused, keep the
    /// old one too, and plan again.
    pub fn next_base(&self) -> Base<T>
    where
        T: Clone,
    {
        self.outcome().map_or_else(
            || self.base.clone(),
            |outcome| common_after(outcome.into_option(), self.slots, self.base),
        )
    }
}

/// The common state once all hold a value; as it was where a system was not read.
pub(super) fn common_after<T: Clone>(
    value: Option<&T>,
    slots: &[&Slot<T>],
    base: &Base<T>,
) -> Base<T> {
    if slots.iter().all(|slot| !matches!(slot, Slot::Unread)) {
        Base::Known(value.cloned())
    } else {
        base.clone()
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
        let verdict =
            if self.value.is_some() { Verdict::Merge } else { self.plan.verdict };
        FieldPlan { verdict, merged: self.value.as_ref(), ..self.plan }
    }

    pub(super) fn into_value(self) -> Option<Content<T>> {
        self.value
    }
}
