//! `Write`: one value that a plan or an answer writes to one system, what the system must
//! still show, and the edit that is overridden by it.

use super::plan::FieldPlan;
use super::reconcile::{NonOwnerEdits, Rule, is_edit};
use super::slot::Content;
use crate::Decision;

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

impl<T> Clone for Write<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Write<'_, T> {}

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

    /// The edit that this write overrides: a change that its system made since it last
    /// agreed with the others. On a first synchronisation, what the write replaces is
    /// no edit: see [`expects`](Self::expects).
    pub fn lost(&self) -> Option<Content<&'a T>> {
        self.overrides_edit.then_some(self.expects.into())
    }

    /// The edit that [`NonOwnerEdits::Reject`] refuses: report it to the system that
    /// this write goes to.
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

    /// Whether it changes nothing, and only checks that the system still shows what it
    /// did: a person's answer makes one for each system that it leaves as it is.
    pub fn is_check(&self) -> bool
    where
        T: PartialEq,
    {
        self.value == self.expects
    }

    /// The check that the system still shows what this write expects.
    pub(super) fn without_change(self) -> Self {
        Self { value: self.expects, overrides_edit: false, ..self }
    }

    /// The write that takes this one back, from a system that now holds this: what was
    /// written, or what the system [kept](super::Kept) instead.
    ///
    /// For a [store](super::Store) of your own that carries out an answer itself, where a
    /// system has moved on after others were written: see
    /// [`Settled::checks`](super::Settled::checks).
    pub fn reversed<'h>(&self, held: Option<&'h T>) -> Write<'h, T>
    where
        'a: 'h,
    {
        Write { value: self.expects, expects: held, ..*self }
    }

    /// The writes of one value to every system that said something.
    pub(super) fn of_all(
        value: Option<&'a T>,
        decision: Option<&'a Decision>,
        plan: &FieldPlan<'a, T>,
    ) -> impl Iterator<Item = Self> + use<'a, T>
    where
        T: PartialEq,
    {
        let plan = *plan;
        let refuses = matches!(plan.rule(), Rule::Owner(_, NonOwnerEdits::Reject));
        plan.slots().iter().enumerate().filter_map(move |(to, slot)| {
            let expects = slot.read()?.into_option();
            let overrides_edit =
                expects != value && is_edit(slot, plan.base(to), plan.agreed());
            Some(Self { to, value, expects, overrides_edit, refuses, decision })
        })
    }
}
