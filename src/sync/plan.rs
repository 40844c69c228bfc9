//! `FieldPlan`: the plan for one field, and what follows from it. It only holds references,
//! and writes nothing itself.

use super::bases::Bases;
use super::reconcile::{Question, Rule, Verdict, decide, holds, is_news, is_same};
use super::refusal::Refusal;
use super::slot::{Base, Content, Slot};
use super::write::Write;

/// The plan for one field: the [verdict](super::verdict()), and the writes that follow
/// from it. It holds references only.
#[doc(alias("three-way merge", "conflict resolution"))]
#[derive(Debug)]
pub struct FieldPlan<'a, T> {
    slots: &'a [&'a Slot<T>],
    known: Known<'a, T>,
    verdict: Verdict,
    merged: Option<&'a Content<T>>,
    rule: Rule,
    refusals: &'a [Refusal<T>],
    /// Whether a system has refused what the verdict would write, and nothing else is
    /// left of it.
    is_refused: bool,
}

/// What is known in common: what was agreed, and what each system has of it.
#[derive(Debug)]
pub(super) enum Known<'a, T> {
    /// One base for all: each of them has what was agreed.
    Common(&'a Base<T>),
    /// A base of its own for each.
    Each(&'a Bases<T>),
}

/// A derive would demand `Clone` and `Copy` of the values, to which these only hold
/// references.
macro_rules! copies {
    ($($type:ident)*) => {
        $(
            impl<T> Clone for $type<'_, T> {
                fn clone(&self) -> Self {
                    *self
                }
            }

            impl<T> Copy for $type<'_, T> {}
        )*
    };
}

copies! { FieldPlan Known }

impl<'a, T> Known<'a, T> {
    fn agreed(self) -> &'a Base<T> {
        match self {
            Self::Common(agreed) => agreed,
            Self::Each(known) => &known.agreed,
        }
    }

    fn base(self, place: usize) -> &'a Base<T> {
        match self {
            Self::Common(agreed) => agreed,
            Self::Each(known) => known.of(place),
        }
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
        Self::planned(rule, slots, Known::Common(base))
    }

    /// Plans one field with a base of its own for each system, in the order of the
    /// slots: what that system was last known to have of what was agreed. See
    /// [`verdict_with_bases`](super::verdict_with_bases), and [`Bases`] for what to
    /// store.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, Bases, FieldPlan, Rule, Slot, Verdict,
    /// };
    ///
    /// // The ERP was away when "new" was agreed, and still shows what it had.
    /// let (crm, erp) = (Slot::Value("new"), Slot::Value("old"));
    /// let (slots, agreed) = ([&crm, &erp], Base::Known(Some("new")));
    /// let of_erp = Base::Known(Some("old"));
    /// let known = Bases { agreed, confirmed: vec![agreed, of_erp] };
    /// let plan = FieldPlan::with_bases(Rule::Shared, &slots, &known);
    /// assert_eq!(plan.verdict(), Verdict::Behind);
    ///
    /// let write = plan.writes().next().ok_or("the ERP is behind")?;
    /// assert_eq!((write.to(), write.value(), write.lost()), (1, Some(&"new"), None));
    /// assert_eq!(plan.next().confirmed, [agreed, agreed]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_bases(rule: Rule, slots: &'a [&'a Slot<T>], known: &'a Bases<T>) -> Self
    where
        T: Eq,
    {
        Self::planned(rule, slots, Known::Each(known))
    }

    fn planned(rule: Rule, slots: &'a [&'a Slot<T>], known: Known<'a, T>) -> Self
    where
        T: PartialEq,
    {
        let verdict = decide(rule, slots, |place| known.base(place), known.agreed());
        Self::decided(verdict, slots, known, None, rule)
    }

    pub(super) fn decided(
        verdict: Verdict,
        slots: &'a [&'a Slot<T>],
        known: Known<'a, T>,
        merged: Option<&'a Content<T>>,
        rule: Rule,
    ) -> Self {
        Self { slots, known, verdict, merged, rule, refusals: &[], is_refused: false }
    }

    /// Who decides about the field.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The same plan with another verdict.
    pub(super) fn with(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }

    /// The same plan, to write what a function made of the edits.
    pub(super) fn with_merged<'m>(&'m self, merged: &'m Content<T>) -> FieldPlan<'m, T>
    where
        T: PartialEq,
    {
        let plan = FieldPlan { verdict: Verdict::Merge, merged: Some(merged), ..*self };
        plan.after_refusals(self.refusals)
    }

    /// Whether the system at a place says something new: neither what it was known to
    /// have nor what was agreed.
    pub(super) fn is_news(&self, place: usize) -> bool
    where
        T: PartialEq,
    {
        let slot = self.slots.get(place);
        slot.is_some_and(|slot| is_news(slot, self.known.base(place), self.agreed()))
    }

    /// Whether the system at a place says something new, without knowing what was
    /// agreed last.
    pub(super) fn is_stale(&self, place: usize) -> bool
    where
        T: PartialEq,
    {
        self.is_news(place) && !is_same(self.known.base(place), self.agreed())
    }

    /// The same plan, with what systems refused before, and whether nothing is left of
    /// its verdict for that.
    pub(super) fn with_refusals(
        self,
        refusals: &'a [Refusal<T>],
        is_refused: bool,
    ) -> Self {
        Self { refusals, is_refused, ..self }
    }

    /// The verdict but for what systems refused, and whether nothing is left of it for
    /// that.
    pub(super) fn before_refusals(&self) -> (Verdict, bool) {
        (self.verdict, self.is_refused)
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

    /// What the systems agreed on last.
    pub(super) fn agreed(&self) -> &'a Base<T> {
        self.known.agreed()
    }

    /// What the system at a place was last known to have.
    pub(super) fn base(&self, place: usize) -> &'a Base<T> {
        self.known.base(place)
    }

    /// What is to be done.
    pub fn verdict(&self) -> Verdict {
        if self.is_refused { Verdict::Ask(Question::Refused) } else { self.verdict }
    }

    /// What all systems that said something hold once the plan is carried out; `None`
    /// if that is not decided.
    pub fn outcome(&self) -> Option<Content<&'a T>> {
        match self.verdict() {
            Verdict::Agreed(place) | Verdict::Write(place) => {
                self.slots.get(place)?.read()
            }
            Verdict::Merge => self.merged.map(Content::as_ref),
            Verdict::Behind => match self.agreed() {
                Base::Known(agreed) => Some(agreed.as_ref().into()),
                Base::Never => None,
            },
            Verdict::Unread | Verdict::Ask(_) => None,
        }
    }

    /// What is to be written: at most one value for each system, and none that changes
    /// nothing.
    pub fn writes(&self) -> impl Iterator<Item = Write<'a, T>> + use<'a, T>
    where
        T: PartialEq,
    {
        let outcome = self.outcome().filter(|_| {
            matches!(self.verdict(), Verdict::Write(_) | Verdict::Merge | Verdict::Behind)
        });
        let refusals = self.refusals;
        outcome
            .map(|outcome| Write::of_all(outcome.into_option(), None, self))
            .into_iter()
            .flatten()
            .filter(move |write| !write.is_check() && !write.is_refused(refusals))
    }

    /// What this field gets in a system where the record is created, if the others
    /// agree on it. For this plan, that system says [`Slot::Unsupported`].
    ///
    /// It gives no blank: a default that the system sets itself stays, and is nobody's
    /// edit. Nor does it give a field that the system owns.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, Bases, FieldPlan, NonOwnerEdits, Rule, Slot, Verdict,
    /// };
    ///
    /// // The record is to be made in the second system.
    /// let (crm, erp) = (Slot::Value("ACME"), Slot::Unsupported);
    /// let (slots, never) = ([&crm, &erp], Bases::common(Base::Never, 2));
    /// let plan = |rule| FieldPlan::with_bases(rule, &slots, &never);
    /// assert_eq!(plan(Rule::Shared).initial_value(), Some(&"ACME"));
    ///
    /// let of_erp = plan(Rule::Owner(1, NonOwnerEdits::Reject));
    /// assert_eq!(of_erp.initial_value(), None, "its owner fills it");
    ///
    /// let acme = Base::Known(Some("ACME"));
    /// assert_eq!(plan(Rule::Shared).next_created(&[1]), Bases::common(acme, 2));
    /// ```
    pub fn initial_value(&self) -> Option<&'a T> {
        self.outcome().and_then(Content::into_option)
    }

    /// What is known in common once the record is made in the systems at these places
    /// with its [initial value](Self::initial_value); nothing new if that is blank.
    pub fn next_created(&self, places: &[usize]) -> Bases<T>
    where
        T: PartialEq + Clone,
    {
        let outcome = self.initial_value().map(Some);
        let mut next = self.after(outcome, &[]);
        if outcome.is_some() {
            for place in places {
                if let Some(base) = next.confirmed.get_mut(*place) {
                    *base = next.agreed.clone();
                }
            }
        }
        next
    }

    /// What each system says, for the person who is asked: the place of the system, and
    /// the value or nothing.
    pub fn sides(&self) -> impl Iterator<Item = (usize, Option<&'a T>)> + use<'a, T> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(place, slot)| Some((place, slot.read()?.into_option())))
    }

    /// The common state once every write of the plan is carried out, for a plan with
    /// one base for all systems.
    ///
    /// It stays as it was if nothing was decided, or if a system was not read: what
    /// that system holds is not known to be common. (A system that has no such field
    /// says [`Slot::Unsupported`], and holds nothing up.) If a write was refused, keep
    /// the old one too, and plan again. [`next`](Self::next) waits for no system.
    pub fn next_base(&self) -> Base<T>
    where
        T: Clone,
    {
        self.common_after(self.outcome().map(Content::into_option))
    }

    /// The common state once all hold this; as it was if a system was not read.
    pub(super) fn common_after(&self, outcome: Option<Option<&T>>) -> Base<T>
    where
        T: Clone,
    {
        let unread = self.slots.iter().any(|slot| matches!(slot, Slot::Unread));
        match outcome {
            Some(outcome) if !unread => Base::Known(outcome.cloned()),
            _ => self.agreed().clone(),
        }
    }

    /// What is known in common once every write of the plan is carried out, with a base
    /// of its own for each system.
    ///
    /// A system that was not read keeps the base it had, and is behind from then on.
    pub fn next(&self) -> Bases<T>
    where
        T: PartialEq + Clone,
    {
        self.next_without(&[])
    }

    /// The same, where the writes to the systems at these places were not made: they
    /// failed, or the system had moved on. They are behind from then on, and their next
    /// plan does the rest.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, FieldPlan, Rule, Slot, Verdict};
    ///
    /// let (crm, erp, billing) = (Slot::Value(2), Slot::Value(1), Slot::Value(1));
    /// let (slots, one) = ([&crm, &erp, &billing], Base::Known(Some(1)));
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &one);
    /// let next = plan.next_without(&[2]);
    /// let two = Base::Known(Some(2));
    /// assert_eq!(next.agreed, two);
    /// assert_eq!(next.confirmed, [two, two, one]);
    /// ```
    pub fn next_without(&self, not_made: &[usize]) -> Bases<T>
    where
        T: PartialEq + Clone,
    {
        self.after(self.outcome().map(Content::into_option), not_made)
    }

    /// What is known in common once the systems hold this.
    pub(super) fn after(
        &self,
        outcome: Option<Option<&T>>,
        not_made: &[usize],
    ) -> Bases<T>
    where
        T: PartialEq + Clone,
    {
        let made = |(place, slot): (usize, &&Slot<T>)| {
            slot.read().is_some_and(|shown| {
                Some(shown.into_option()) == outcome || !not_made.contains(&place)
            })
        };
        let held = self.slots.iter().enumerate().any(made);
        let value = outcome.filter(|_| held).map(|value| Base::Known(value.cloned()));
        let confirmed = self.slots.iter().enumerate().map(|(place, slot)| match &value {
            Some(value) if made((place, slot)) => value.clone(),
            Some(_) if holds(self.agreed(), slot) => self.agreed().clone(),
            _ => self.base(place).clone(),
        });
        Bases {
            confirmed: confirmed.collect(),
            agreed: value.clone().unwrap_or_else(|| self.agreed().clone()),
        }
    }
}
