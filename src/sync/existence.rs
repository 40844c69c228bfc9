//! Whether a record exists: what follows when one system has it and another has not.

/// What becomes of a record that one system has deleted. It is declared, never picked silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deletions {
    /// A person decides.
    Ask,
    /// The record is made again where it was deleted.
    Restore,
    /// The record is left as it is everywhere, and no longer synchronised.
    Detach,
    /// The record is deleted everywhere, unless somebody has edited it since; then a person decides.
    Propagate,
}

/// What is to be done about a record as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Existence {
    /// No system has it.
    Gone,
    /// Every system has it: its fields are planned.
    Everywhere,
    /// The systems that lack it get it: it is new, or is restored.
    Create,
    /// The systems that have it delete it.
    Delete,
    /// It stays where it is, and is no longer synchronised.
    Detach,
    /// A person must decide.
    Ask,
}

/// What is to be done about a record that these systems have and the others have not.
///
/// `existed` says whether all of them had it at the last common state, `edited` whether one that still has it has
/// changed it since.
///
/// ```
/// use integration_automation_patterns::sync::existence::{Deletions, Existence, existence};
///
/// assert_eq!(existence(Deletions::Ask, &[true, false], false, true), Existence::Create, "a new record");
/// assert_eq!(existence(Deletions::Ask, &[true, false], true, false), Existence::Ask);
/// assert_eq!(existence(Deletions::Propagate, &[true, false], true, false), Existence::Delete);
/// assert_eq!(existence(Deletions::Propagate, &[true, false], true, true), Existence::Ask, "deleted here, edited there");
/// ```
pub fn existence(deletions: Deletions, present: &[bool], existed: bool, edited: bool) -> Existence {
    let everywhere = present.iter().all(|has| *has);
    let nowhere = !present.iter().any(|has| *has);
    match deletions {
        _ if nowhere => Existence::Gone,
        _ if everywhere => Existence::Everywhere,
        _ if !existed => Existence::Create,
        Deletions::Restore => Existence::Create,
        Deletions::Detach => Existence::Detach,
        Deletions::Propagate if !edited => Existence::Delete,
        Deletions::Propagate | Deletions::Ask => Existence::Ask,
    }
}
