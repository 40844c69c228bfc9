//! `Refusal`: a write that a system refused, in its own words, and the plan that does not
//! try it again.

use super::plan::FieldPlan;
use super::reconcile::Verdict;
use super::write::Write;

/// What a system refused to take, in its own words: a rule of its own, a locked field, a
/// value that is too long.
///
/// Store it with the record and its field ([`Refusals`]). A plan that is given it
/// ([`FieldPlan::after_refusals`]) does not make the same write again: it asks a
/// person, until the value changes, or what the system shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal<T> {
    /// The place of the system.
    pub place: usize,
    /// What was to be written: a value, or nothing in the field.
    pub value: Option<T>,
    /// What the system showed when it refused.
    pub shown: Option<T>,
    /// Why, in the system's words.
    pub why: String,
}

impl<T> Refusal<T> {
    /// The refusal of this write by its system.
    pub fn of(write: &Write<'_, T>, why: impl Into<String>) -> Self
    where
        T: Clone,
    {
        Self {
            place: write.to(),
            value: write.value().cloned(),
            shown: write.expects().cloned(),
            why: why.into(),
        }
    }
}

/// What systems have refused of one field, the latest of each write: what is stored
/// between runs, by the [names](super::Named) of the systems.
///
/// ```
/// use integration_automation_patterns::sync::{Refusal, Refusals};
///
/// let refusal = |why: &str| Refusal {
///     place: 1,
///     value: Some("none"),
///     shown: Some("12"),
///     why: why.to_owned(),
/// };
/// let mut refused = Refusals::default();
/// refused.add(refusal("locked"));
/// refused.add(refusal("a district has a number"));
/// assert_eq!(refused.as_slice(), [refusal("a district has a number")]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals<T>(pub(crate) Vec<Refusal<T>>);

impl<T> Default for Refusals<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Refusals<T> {
    /// All of them, as [`FieldPlan::after_refusals`] takes them.
    pub fn as_slice(&self) -> &[Refusal<T>] {
        &self.0
    }
}

impl<T: PartialEq> Refusals<T> {
    /// Adds a refusal, in place of an earlier one of the same write.
    pub fn add(&mut self, refusal: Refusal<T>) {
        let is_same = |old: &Refusal<T>| {
            (old.place, &old.value, &old.shown)
                == (refusal.place, &refusal.value, &refusal.shown)
        };
        self.0.retain(|old| !is_same(old));
        self.0.push(refusal);
    }
}

impl<T: PartialEq> Write<'_, T> {
    /// Whether one of these refusals is of this very write.
    pub fn is_refused(&self, refusals: &[Refusal<T>]) -> bool {
        refusals.iter().any(|refusal| {
            (refusal.place, refusal.value.as_ref(), refusal.shown.as_ref())
                == (self.to(), self.value(), self.expects())
        })
    }
}

impl<'a, T> FieldPlan<'a, T> {
    /// The same plan, without the writes that a system has refused before. Where nothing
    /// else is left to write, it asks a person
    /// ([`Question::Refused`](super::Question::Refused)), and the
    /// [`review`](Self::review) has the system's words.
    ///
    /// Whether it is given before the rules (`prefer`, `merge`) or after them makes no
    /// difference: it looks at what they write. A person may choose another value, what the refusing system says, or the same
    /// value once more.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, NonOwnerEdits, Question, Refusal, Rule, Slot, Verdict,
    /// };
    ///
    /// let (crm, erp) = (Slot::Value("0"), Slot::Value("12"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some("12")));
    /// let plan = FieldPlan::new(Rule::Owner(0, NonOwnerEdits::Reject), &slots, &base);
    /// let write = plan.writes().next().ok_or("the owner has changed it")?;
    ///
    /// let refusals = [Refusal::of(&write, "a district is at least 1")];
    /// let asks = plan.after_refusals(&refusals);
    /// assert_eq!(asks.verdict(), Verdict::Ask(Question::Refused));
    /// assert_eq!(asks.writes().count(), 0);
    /// let row = asks.review("L-1", "district", ["crm", "erp"]).ok_or("it is asked")?;
    /// assert_eq!(row.sides[1].refused.as_deref(), Some("a district is at least 1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this gives the plan without the refused writes"]
    pub fn after_refusals(self, refusals: &'a [Refusal<T>]) -> Self
    where
        T: PartialEq,
    {
        let before = self.with_refusals(&[], false);
        let plan = self.with_refusals(refusals, false);
        let is_refused = before.writes().any(|write| write.is_refused(refusals))
            && plan.writes().next().is_none();
        self.with_refusals(refusals, is_refused)
    }

    /// The same plan with another rule: what systems refused is left out of what the rule
    /// makes of it.
    pub(super) fn by_rule(self, rule: impl FnOnce(Self) -> Self) -> Self
    where
        T: PartialEq,
    {
        let refusals = self.refusals();
        rule(self.with_refusals(&[], false)).after_refusals(refusals)
    }

    /// The refusal by the system at this place of what a side says or a function
    /// merged, if a person is asked; whether a rule or an earlier answer wanted it
    /// written.
    pub(super) fn refusal_by(&self, place: usize) -> Option<&'a Refusal<T>>
    where
        T: PartialEq,
    {
        let shown = self.slots().get(place)?.read()?.into_option();
        let is_meant = |value: Option<&T>| {
            let merged = self.merged().map(|content| content.as_ref().into_option());
            merged == Some(value) || self.sides().any(|(_, side)| side == value)
        };
        let is_asked = matches!(self.verdict(), Verdict::Ask(_));
        self.refusals().iter().filter(|_| is_asked).find(|refusal| {
            (refusal.place, refusal.shown.as_ref()) == (place, shown)
                && is_meant(refusal.value.as_ref())
        })
    }
}
