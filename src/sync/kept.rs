//! `Kept`: what a system holds instead of what was written to it; and `KeptForms`, those
//! of one field.

use super::slot::{Base, Slot};
use super::write::Write;

/// What a system holds instead of what was written to it: its own form of the value.
///
/// Store it with the record and its field, one for each system ([`KeptForms`]), and read
/// by it
/// ([`Reading::as_kept`](super::Reading::as_kept)): otherwise the next run takes the
/// system's form for an edit, and writes the cut text back over the full one.
///
/// ```
/// use integration_automation_patterns::sync::{Base, Kept, Reading, Slot};
///
/// let base = Base::Known(Some("a long text"));
/// let kept = Kept { place: 1, written: Some("a long text"), held: Some("a long") };
/// let erp = |shown| Reading::plain(Slot::Value(shown)).as_kept(&kept, &base);
/// assert_eq!(erp("a long").slot(), &Slot::Value("a long text"), "our own write");
/// assert_eq!(erp("another").slot(), &Slot::Value("another"), "somebody's edit");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    /// The place of the system.
    pub place: usize,
    /// What was written: a value, or nothing in the field.
    pub written: Option<T>,
    /// What the system holds instead.
    pub held: Option<T>,
}

impl<T: Clone + PartialEq> Kept<T> {
    /// What a system holds instead of what this write says; `None` if it is the same.
    pub fn of(write: &Write<'_, T>, held: Option<T>) -> Option<Self> {
        (held.as_ref() != write.value()).then(|| Self {
            place: write.to(),
            written: write.value().cloned(),
            held,
        })
    }

    /// What its system shows, where our own write counts as what was written: as long as
    /// the system still shows what it held, and the systems agree on what was written.
    pub(super) fn in_place_of(&self, shown: Slot<T>, agreed: &Base<T>) -> Slot<T> {
        let is_ours = *agreed == Base::Known(self.written.clone())
            && shown == Slot::from(self.held.clone());
        if is_ours { Slot::from(self.written.clone()) } else { shown }
    }
}

/// What systems hold of one field instead of what was written to them, the latest of each
/// system: what is stored between runs, by the [names](super::Named) of the systems.
///
/// ```
/// use integration_automation_patterns::sync::{Kept, KeptForms};
///
/// let kept =
///     |written, held| Kept { place: 1, written: Some(written), held: Some(held) };
/// let mut forms = KeptForms::default();
/// forms.add(kept("a long text", "a long"));
/// forms.add(kept("another text", "anothe"));
/// assert_eq!(forms.as_slice(), [kept("another text", "anothe")]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptForms<T>(pub(crate) Vec<Kept<T>>);

impl<T> Default for KeptForms<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> KeptForms<T> {
    /// All of them.
    pub fn as_slice(&self) -> &[Kept<T>] {
        &self.0
    }

    /// Adds what a system holds, in place of what it held before.
    pub fn add(&mut self, kept: Kept<T>) {
        self.0.retain(|old| old.place != kept.place);
        self.0.push(kept);
    }

    /// Forgets what a system holds: it was taken back.
    pub(crate) fn forget(&mut self, place: usize) {
        self.0.retain(|kept| kept.place != place);
    }

    /// What the system at a place holds, if it was given this and holds something else.
    pub(crate) fn held(&self, place: usize, written: Option<&T>) -> Option<Option<&T>>
    where
        T: PartialEq,
    {
        let mut kept = self.0.iter();
        let kept = kept.find(|kept| kept.place == place)?;
        (kept.written.as_ref() == written).then_some(kept.held.as_ref())
    }

    /// What the system at a place shows, where our own write counts as what was written.
    pub(crate) fn in_place_of(
        &self,
        place: usize,
        shown: Slot<T>,
        agreed: &Base<T>,
    ) -> Slot<T>
    where
        T: Clone + PartialEq,
    {
        match self.0.iter().find(|kept| kept.place == place) {
            Some(kept) => kept.in_place_of(shown, agreed),
            None => shown,
        }
    }
}
