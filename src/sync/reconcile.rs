//! Slots, base and authority in; what to write, what to ask and what is lost out. A pure kernel: it does nothing but
//! compare.
//!
//! All systems are planned in one shot. To reconcile them pair by pair would depend on the order, and would write
//! before it sees the conflict.
//!
//! | the rule | the systems differ | the plan |
//! |---|---|---|
//! | [`Owner`](Rule::Owner) | the owner says something | its value is written to the others |
//! | | the owner is empty, and there is no common state yet | is asked: a first synchronisation clears nothing |
//! | | the owner was not read | nothing |
//! | [`Shared`](Rule::Shared) | one edit, or several that agree | it is written to the others |
//! | | edits that differ | are asked |
//! | [`Manual`](Rule::Manual) | in any way | is asked, and never written |

use std::time::Duration;

use super::conflict::Stamp;
use super::slot::{Base, Slot};

/// Who decides about a field, with the systems as places in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The system at this place. A place that no system has decides nothing: the field counts as unread.
    Owner(usize),
    /// Whichever system changes it.
    Shared,
    /// A person.
    Manual,
}

/// What is to be done about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing follows: nobody said anything, or the owner did not.
    Unread,
    /// All who said something agree; one of them stands at this place.
    Agreed(usize),
    /// What the system at this place says is written to all who say something else.
    Write(usize),
    /// A person must decide.
    Ask(Question),
}

/// Why a person must decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// A shared field was changed in two ways.
    Conflict,
    /// A field that only a person decides on differs.
    Manual,
    /// On the first synchronisation the owner's field is empty, and another system's is not.
    BlankOwner,
}

/// The verdict on one field, from what each system says and what they last agreed on.
///
/// Values are compared with `Eq`: bring floating-point numbers and times to one precision first, in a type that has it.
///
/// ```
/// use integration_automation_patterns::sync::reconcile::{Question, Rule, Verdict, verdict};
/// use integration_automation_patterns::sync::{Base, Slot};
///
/// let base = Base::Known(Some("Al"));
/// let (old, new, other) = (Slot::Value("Al"), Slot::Value("Alan"), Slot::Value("Ali"));
/// assert_eq!(verdict(Rule::Shared, &[&old, &new], &base), Verdict::Write(1));
/// assert_eq!(verdict(Rule::Shared, &[&other, &new], &base), Verdict::Ask(Question::Conflict));
/// assert_eq!(verdict(Rule::Owner(0), &[&other, &new], &base), Verdict::Write(0));
/// assert_eq!(verdict(Rule::Manual, &[&old, &new], &base), Verdict::Ask(Question::Manual));
/// ```
#[inline]
pub fn verdict<T: Eq>(rule: Rule, slots: &[&Slot<T>], base: &Base<T>) -> Verdict {
    let mut read = slots.iter().copied().enumerate().filter(|(_, slot)| !matches!(slot, Slot::Unread));
    let Some((first, shown)) = read.next() else { return Verdict::Unread };
    let agreed = read.all(|(_, other)| other == shown);
    match rule {
        Rule::Owner(owner) => match (slots.get(owner), base) {
            (None | Some(Slot::Unread), _) => Verdict::Unread,
            _ if agreed => Verdict::Agreed(first),
            (Some(Slot::Empty), Base::Never) => Verdict::Ask(Question::BlankOwner),
            _ => Verdict::Write(owner),
        },
        _ if agreed => Verdict::Agreed(first),
        Rule::Manual => Verdict::Ask(Question::Manual),
        Rule::Shared => {
            let mut edits = slots.iter().enumerate().filter(|(_, slot)| base.is_edited(slot));
            match edits.next() {
                Some((place, edit)) if edits.all(|(_, other)| other == edit) => Verdict::Write(place),
                _ => Verdict::Ask(Question::Conflict),
            }
        }
    }
}

/// The plan for one field: the [`verdict`], and the writes that follow from it. It holds references only.
#[derive(Debug, Clone, Copy)]
pub struct FieldPlan<'a, T> {
    slots: &'a [&'a Slot<T>],
    base: &'a Base<T>,
    verdict: Verdict,
}

/// One value that is to be written to one system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write<'a, T> {
    /// The place of the system.
    pub to: usize,
    /// What is written: a value, or nothing, which clears the field.
    pub value: Option<&'a T>,
    /// What the system must still show: where it shows something else by now, this write is refused and planned again.
    pub expects: Option<&'a T>,
    overrides_edit: bool,
}

impl<'a, T> Write<'a, T> {
    /// The edit that this write overrides, where the system's field was changed since the last common state.
    pub fn lost(&self) -> Option<Option<&'a T>> {
        self.overrides_edit.then_some(self.expects)
    }

    /// One value, for every system that said something else.
    pub(super) fn to_all(
        value: Option<&'a T>,
        slots: &'a [&'a Slot<T>],
        base: &'a Base<T>,
    ) -> impl Iterator<Item = Self> + use<'a, T>
    where
        T: Eq,
    {
        slots.iter().enumerate().filter_map(move |(to, slot)| {
            let expects = slot.read().filter(|shown| *shown != value)?;
            Some(Self { to, value, expects, overrides_edit: base.is_edited(slot) })
        })
    }
}

impl<'a, T> FieldPlan<'a, T> {
    /// Plans one field.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, FieldPlan, Rule, Slot, Verdict};
    ///
    /// let (crm, erp, billing) = (Slot::Value("gold"), Slot::Value("silver"), Slot::Value("gold"));
    /// let (slots, base) = ([&crm, &erp, &billing], Base::Known(Some("silver")));
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &base);
    /// assert_eq!(plan.verdict(), Verdict::Write(0));
    /// assert_eq!(plan.writes().map(|write| write.to).collect::<Vec<_>>(), [1]);
    /// assert_eq!(plan.next_base(), Base::Known(Some("gold")));
    /// ```
    pub fn new(rule: Rule, slots: &'a [&'a Slot<T>], base: &'a Base<T>) -> Self
    where
        T: Eq,
    {
        Self::decided(verdict(rule, slots, base), slots, base)
    }

    pub(super) fn decided(verdict: Verdict, slots: &'a [&'a Slot<T>], base: &'a Base<T>) -> Self {
        Self { slots, base, verdict }
    }

    /// The same plan, with a conflict settled in favour of the system at this place; its edit is written to the others,
    /// and theirs are lost, on record.
    ///
    /// Only a true conflict on a shared field is settled so. Nothing else changes: no owner is outweighed, and no field
    /// that a person decides on is decided.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, FieldPlan, Rule, Slot, Verdict};
    ///
    /// let (crm, erp) = (Slot::Value("Al"), Slot::Value("Alan"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(None));
    /// let settled = |rule| FieldPlan::new(rule, &slots, &base).prefer(1).verdict();
    /// assert_eq!(settled(Rule::Shared), Verdict::Write(1));
    /// assert_eq!(settled(Rule::Owner(0)), Verdict::Write(0), "an owner is not outweighed");
    /// ```
    #[must_use = "this gives the settled plan back"]
    pub fn prefer(self, place: usize) -> Self {
        let is_read = self.slots.get(place).is_some_and(|slot| slot.read().is_some());
        match self.verdict {
            Verdict::Ask(Question::Conflict) if is_read => Self { verdict: Verdict::Write(place), ..self },
            _ => self,
        }
    }

    /// The same plan, with a conflict settled in favour of the system at this place, unless its field is blank.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, FieldPlan, Question, Rule, Slot, Verdict};
    ///
    /// let (crm, erp) = (Slot::Empty, Slot::Value("Alan"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some("Al")));
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &base);
    /// assert_eq!(plan.prefer_unless_blank(0).verdict(), Verdict::Ask(Question::Conflict));
    /// assert_eq!(plan.prefer_unless_blank(1).verdict(), Verdict::Write(1));
    /// ```
    #[must_use = "this gives the settled plan back"]
    pub fn prefer_unless_blank(self, place: usize) -> Self {
        match self.slots.get(place) {
            Some(Slot::Value(_)) => self.prefer(place),
            _ => self,
        }
    }

    /// The same plan, with a conflict settled in favour of the last writer, where the stamps (one for each system) prove
    /// who that is, with clocks that may differ by the tolerance. A system that still shows the last common state wrote
    /// nothing, whatever its stamp.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, FieldPlan, Rule, Slot, Stamp, Verdict};
    /// use std::time::Duration;
    ///
    /// let (crm, erp) = (Slot::Value("Al"), Slot::Value("Alan"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(None));
    /// let stamps = [Stamp::OfField("2026-01-05T12:00:00Z".parse()?), Stamp::OfField("2026-01-05T13:00:00Z".parse()?)];
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &base).prefer_last_writer(&stamps, Duration::from_secs(60));
    /// assert_eq!(plan.verdict(), Verdict::Write(1));
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    #[must_use = "this gives the settled plan back"]
    pub fn prefer_last_writer(self, stamps: &[Stamp], tolerance: Duration) -> Self
    where
        T: Eq,
    {
        let edits = || self.slots.iter().zip(stamps).enumerate().filter(|(_, (slot, _))| self.base.is_edited(slot));
        let after_all = |place: usize, stamp: &Stamp| {
            edits().all(|(other, (_, of_other))| other == place || stamp.is_after(*of_other, tolerance))
        };
        match edits().find(|(place, (_, stamp))| after_all(*place, stamp)) {
            Some((last, _)) if stamps.len() == self.slots.len() => self.prefer(last),
            _ => self,
        }
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

    /// What all systems that said something hold once the plan is carried out, where that is decided.
    pub fn outcome(&self) -> Option<Option<&'a T>> {
        match self.verdict {
            Verdict::Agreed(place) | Verdict::Write(place) => self.slots.get(place)?.read(),
            Verdict::Unread | Verdict::Ask(_) => None,
        }
    }

    /// What is to be written: at most one value for each system, and none that changes nothing.
    pub fn writes(&self) -> impl Iterator<Item = Write<'a, T>> + use<'a, T>
    where
        T: Eq,
    {
        let Self { slots, base, verdict } = *self;
        let value = self.outcome().filter(|_| matches!(verdict, Verdict::Write(_)));
        value.into_iter().flat_map(move |value| Write::to_all(value, slots, base))
    }

    /// What each system says, for the person who is asked: the place of the system, and the value or nothing.
    pub fn sides(&self) -> impl Iterator<Item = (usize, Option<&'a T>)> + use<'a, T> {
        self.slots.iter().enumerate().filter_map(|(place, slot)| Some((place, slot.read()?)))
    }

    /// The common state once every write of the plan is carried out.
    ///
    /// It is as it was where nothing was decided, and where a system was not read: what that system holds is not known
    /// to be common. Where a write was refused, keep the old one too, and plan again.
    pub fn next_base(&self) -> Base<T>
    where
        T: Clone,
    {
        self.outcome().map_or_else(|| self.base.clone(), |outcome| common_after(outcome, self.slots, self.base))
    }
}

/// The common state once all hold a value; as it was where a system was not read.
pub(super) fn common_after<T: Clone>(value: Option<&T>, slots: &[&Slot<T>], base: &Base<T>) -> Base<T> {
    if slots.iter().all(|slot| slot.read().is_some()) { Base::Known(value.cloned()) } else { base.clone() }
}
