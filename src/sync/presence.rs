//! What one system says about a record as a whole, and what is known of that in common.

use super::bases::Bases;
use super::slot::{Base, Slot};

/// What one system says about a record as a whole.
///
/// As with a [field](Slot), a record that a list does not show and one that was deleted
/// are two different things, and one that a system does not keep is a third. `E` is
/// what a system shows of the record, for a deletion to expect: a row version, or the
/// fields.
///
/// ```
/// use integration_automation_patterns::sync::Presence;
///
/// assert_eq!(Presence::<u64>::default(), Presence::Unread);
/// assert_eq!(Presence::of(Some(7)), Presence::There(7));
/// assert_eq!(Presence::<u64>::of(None), Presence::Absent);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Presence<E> {
    /// The system did not say: it could not be reached, or was asked for other records.
    #[default]
    Unread,
    /// The system keeps no such record, or not this one: what its filter leaves out was
    /// not deleted. It is left out, as if it were no party.
    Unsupported,
    /// The system was asked for the record, and has none.
    Absent,
    /// The system has the record, and shows this of it.
    There(E),
    /// The system has merged the record into another one of its own.
    Merged,
}

impl<E> Presence<E> {
    /// The answer of a system that was asked for the record: it has it, or has none.
    pub fn of(shown: Option<E>) -> Self {
        shown.map_or(Self::Absent, Self::There)
    }

    /// Whether the system has the record.
    pub fn is_there(&self) -> bool {
        matches!(self, Self::There(_))
    }

    /// The same, as a field that is empty or not.
    pub(super) fn slot(&self) -> Slot<()> {
        match self {
            Self::Unread => Slot::Unread,
            Self::Unsupported => Slot::Unsupported,
            Self::Absent | Self::Merged => Slot::Empty,
            Self::There(_) => Slot::Value(()),
        }
    }
}

/// Whether a record existed when the systems last agreed about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existed {
    /// They have not agreed yet.
    #[default]
    Never,
    /// It existed.
    There,
    /// It had been deleted.
    Gone,
    /// A system that had the record has it no longer, and what follows is not decided:
    /// it does not count as gone a second time.
    Missing,
}

impl Existed {
    fn base(self) -> Base<()> {
        match self {
            Self::Never => Base::Never,
            Self::There | Self::Missing => Base::Known(Some(())),
            Self::Gone => Base::Known(None),
        }
    }
}

impl From<Base<()>> for Existed {
    fn from(base: Base<()>) -> Self {
        match base {
            Base::Never => Self::Never,
            Base::Known(Some(())) => Self::There,
            Base::Known(None) => Self::Gone,
        }
    }
}

/// What is known in common of a record as a whole: whether it existed when that was
/// agreed last, and what each system last showed of that.
///
/// Store it beside what is known of the record's fields, by the [names](super::Named) of
/// the systems. Whether a record existed cannot
/// be derived from these: a record may be agreed on while each of its fields is asked
/// about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBase {
    /// Whether it existed.
    pub agreed: Existed,
    /// What each system last showed, in the order of the systems.
    pub confirmed: Vec<Existed>,
}

impl RecordBase {
    /// The base of a record that this many systems have never synchronised.
    pub fn never(systems: usize) -> Self {
        Self::common(Existed::Never, systems)
    }

    /// What this many systems have in common.
    pub fn common(agreed: Existed, systems: usize) -> Self {
        Self { agreed, confirmed: vec![agreed; systems] }
    }

    /// What the system at a place last showed; one that is not in the list showed
    /// nothing.
    pub(super) fn of(&self, place: usize) -> Existed {
        self.confirmed.get(place).copied().unwrap_or_default()
    }

    /// Whether any system is known to have had it, and no deletion was agreed since.
    pub(super) fn has_existed(&self) -> bool {
        let had = [Existed::There, Existed::Missing];
        self.agreed == Existed::There
            || self.confirmed.iter().any(|known| had.contains(known))
    }

    pub(super) fn bases(&self, systems: usize) -> Bases<()> {
        Bases {
            agreed: self.agreed.base(),
            confirmed: (0..systems).map(|place| self.of(place).base()).collect(),
        }
    }
}
