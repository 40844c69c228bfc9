//! `Bases`: what is known in common of one field, with a base of its own for each system.

use super::slot::Base;

/// What is known in common of one field: what was agreed last, and what each system was
/// last known to have of that.
///
/// Store it beside the record, by the [names](super::Named) of the systems, and plan the
/// next time [with it](super::FieldPlan::with_bases). With one base for all systems, a system that
/// is away holds up what the others agree on, and what we wrote before a failure looks
/// like somebody's edit afterwards.
///
/// ```
/// use integration_automation_patterns::sync::{Base, Bases, FieldPlan, Rule, Slot};
///
/// // The second system is away while the first one changes the field.
/// let known = Bases::common(Base::Known(Some("old")), 2);
/// let (crm, erp) = (Slot::Value("new"), Slot::Unread);
/// let slots = [&crm, &erp];
/// let plan = FieldPlan::with_bases(Rule::Shared, &slots, &known);
/// let next = plan.next();
/// assert_eq!(next.agreed, Base::Known(Some("new")));
/// assert_eq!(
///     next.confirmed,
///     [Base::Known(Some("new")), Base::Known(Some("old"))],
///     "the ERP has yet to hear of it"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bases<T> {
    /// What was agreed last.
    pub agreed: Base<T>,
    /// What each system was last known to have, in the order of the systems: what it
    /// showed when it agreed with the others, or was given since.
    pub confirmed: Vec<Base<T>>,
}

/// The bases of a field that was never synchronised.
impl<T> Default for Bases<T> {
    fn default() -> Self {
        Self { agreed: Base::Never, confirmed: Vec::new() }
    }
}

impl<T> Bases<T> {
    /// One state that this many systems have in common; [`Base::Never`] before the
    /// first synchronisation.
    pub fn common(agreed: Base<T>, systems: usize) -> Self
    where
        T: Clone,
    {
        Self { confirmed: vec![agreed.clone(); systems], agreed }
    }

    /// What the system at a place was last known to have; [`Base::Never`] if it is not
    /// in the list, since it was never synchronised then.
    #[inline(always)]
    pub fn of(&self, place: usize) -> &Base<T> {
        self.confirmed.get(place).unwrap_or(const { &Base::Never })
    }

    /// The state that all systems have in common, if they have one.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, Bases};
    ///
    /// let one = Base::Known(Some(1));
    /// let mut bases = Bases::common(one, 2);
    /// assert_eq!(bases.in_common(), Some(&one));
    /// bases.agreed = Base::Known(Some(2));
    /// assert_eq!(bases.in_common(), None, "both are behind");
    /// ```
    pub fn in_common(&self) -> Option<&Base<T>>
    where
        T: PartialEq,
    {
        self.confirmed.iter().all(|base| *base == self.agreed).then_some(&self.agreed)
    }
}
