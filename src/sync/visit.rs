//! `Visit`: a walk over what is declared, field by field, for code that is written once
//! for every boundary.

use super::review::Review;

/// Visits one field after another of a declared boundary.
///
/// An `Item` is what the walk is over:
///
/// | the walk | an `Item` |
/// |---|---|
/// | a snapshot, `Slots` | `&Slot<T>`, or `&mut Slot<T>` to fill it |
/// | `Agreed` | `&Base<T>`, or `&mut Base<T>` |
/// | `Bases` | `&Bases<T>`, or `&mut Bases<T>` |
/// | `Refusals` | `&Refusals<T>`, or `&mut Refusals<T>` |
/// | `KeptForms` | `&KeptForms<T>`, or `&mut KeptForms<T>` |
/// | `Answers` | `&Option<Answer<T>>`, or `&mut Option<Answer<T>>` |
/// | a plan, `Entries` | [`FieldPlan<T>`](super::FieldPlan) |
/// | its `reviews` | [`Review<T>`] |
/// | changes, `Writes` | `&Option<Write<T>>` |
///
/// A visitor implements this for the items of every type that it can take; it demands
/// nothing of a field's type itself.
///
/// ```
/// # mod systems {
/// #     use integration_automation_patterns::sync::System;
/// #     pub enum Crm {}
/// #     pub enum Erp {}
/// #     impl System for Crm { const NAME: &'static str = "crm"; type Key = Crm; }
/// #     impl System for Erp { const NAME: &'static str = "erp"; type Key = Erp; }
/// # }
/// # use systems::{Crm, Erp};
/// use integration_automation_patterns::boundary;
/// use integration_automation_patterns::sync::{Base, declared::Visit};
///
/// boundary! {
///     pub mod contact between Crm and Erp {
///         email: String => Crm,
///         terms: u32 => Erp,
///     }
/// }
///
/// struct Lines(Vec<String>);
///
/// impl<T: ToString> Visit<&Base<T>> for Lines {
///     fn visit(&mut self, field: &'static str, base: &Base<T>) {
///         if let Base::Known(Some(value)) = base {
///             self.0.push(format!("{field}={}", value.to_string()));
///         }
///     }
/// }
///
/// # fn main() {
/// let agreed =
///     contact::Agreed { terms: Base::Known(Some(30)), ..Default::default() };
/// let mut lines = Lines(Vec::new());
/// agreed.each(&mut lines);
/// assert_eq!(lines.0, ["terms=30"]);
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not visit a field that has `{Item}`",
    label = "needs `impl Visit<{Item}> for {Self}`, or one for every type that it can take"
)]
pub trait Visit<Item> {
    /// Takes one field, by its name in the contract.
    fn visit(&mut self, field: &'static str, item: Item);
}

/// The rows of a review queue, with values in a form that all fields share.
#[diagnostic::do_not_recommend]
impl<T: Clone + Into<V>, V> Visit<Review<T>> for Vec<Review<V>> {
    fn visit(&mut self, _field: &'static str, row: Review<T>) {
        self.push(row.map(|value| value.clone().into()));
    }
}
