//! `SyncConflict`: a field that was changed in two ways, and who changed it last as far
//! as the stamps can say.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::slot::{Base, Slot};

/// When a system changed a field, as exactly as it can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Stamp {
    /// It cannot say.
    #[default]
    Unknown,
    /// The record was last changed then: the field changed then or earlier.
    OfRecord(DateTime<Utc>),
    /// The field was changed then.
    OfField(DateTime<Utc>),
}

impl Stamp {
    /// Whether this change came after the other for certain, with clocks that may differ
    /// by the tolerance.
    ///
    /// A change is proved to be later only by a stamp of the field itself: a record's
    /// stamp says no more than "not after", and so can lose, but never win.
    ///
    /// ```
    /// use integration_automation_patterns::sync::Stamp;
    /// use std::time::Duration;
    ///
    /// let noon = "2026-01-05T12:00:00Z".parse()?;
    /// let later = "2026-01-05T12:00:09Z".parse()?;
    /// assert!(
    ///     Stamp::OfField(later).is_after(Stamp::OfRecord(noon), Duration::from_secs(5))
    /// );
    /// assert!(
    ///     !Stamp::OfField(later).is_after(Stamp::OfField(noon), Duration::from_secs(9)),
    ///     "within the tolerance"
    /// );
    /// assert!(
    ///     !Stamp::OfRecord(later).is_after(Stamp::OfField(noon), Duration::ZERO),
    ///     "the field may be older"
    /// );
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    pub fn is_after(self, other: Self, tolerance: Duration) -> bool {
        let (Self::OfField(this), Self::OfField(other) | Self::OfRecord(other)) =
            (self, other)
        else {
            return false;
        };
        TimeDelta::from_std(tolerance)
            .is_ok_and(|tolerance| this.signed_duration_since(other) > tolerance)
    }

    /// The same stamp, unless it lies in the future by more than clocks may differ: then
    /// that clock is wrong, and its stamp says nothing.
    ///
    /// ```
    /// use integration_automation_patterns::sync::Stamp;
    /// use std::time::Duration;
    ///
    /// let now = "2026-01-05T12:00:00Z".parse()?;
    /// let near = "2026-01-05T12:00:09Z".parse()?;
    /// let far = "2038-01-19T03:14:07Z".parse()?;
    /// let tolerance = Duration::from_secs(60);
    /// assert_eq!(Stamp::OfField(near).up_to(now, tolerance), Stamp::OfField(near));
    /// assert_eq!(Stamp::OfField(far).up_to(now, tolerance), Stamp::Unknown);
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    #[must_use = "this gives what is left of the stamp back"]
    pub fn up_to(self, now: DateTime<Utc>, tolerance: Duration) -> Self {
        let (Self::OfField(at) | Self::OfRecord(at)) = self else { return self };
        let ahead = at.signed_duration_since(now).to_std().unwrap_or_default();
        if ahead > tolerance { Self::Unknown } else { self }
    }
}

/// One system's side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side<V> {
    /// The system.
    pub system: String,
    /// What it says.
    pub slot: Slot<V>,
    /// When it changed the field.
    pub modified: Stamp,
}

/// A field that was changed in two ways since the last common state.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Authority, Base, Contract, Side, Slot, Stamp,
/// };
/// use std::time::Duration;
///
/// let contract = Contract::builder("contact")
///     .system("crm")
///     .system("erp")
///     .field("nickname", Authority::Shared)
///     .build()?;
/// let side = |system: &str, name: &'static str, modified| Side {
///     system: system.to_owned(),
///     slot: Slot::Value(name),
///     modified: Stamp::OfField(modified),
/// };
/// let sides = [
///     side("crm", "Al", "2026-01-05T12:00:00Z".parse()?),
///     side("erp", "Alan", "2026-01-05T13:00:00Z".parse()?),
/// ];
/// let conflict = contract
///     .detect_conflict("nickname", "C-1", &sides, &Base::Never)
///     .ok_or("two edits that differ")?;
/// let now = "2026-01-05T14:00:00Z".parse()?;
/// assert_eq!(conflict.last_writer(Duration::from_secs(60), now), Some("erp"));
/// assert_eq!(
///     conflict.last_writer(Duration::from_secs(7200), now),
///     None,
///     "clocks that differ by more prove nothing"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncConflict<V> {
    /// The record.
    pub record_id: String,
    /// The field.
    pub field: String,
    /// What the systems last agreed on.
    pub base: Base<V>,
    /// What each of them says now.
    pub sides: Vec<Side<V>>,
}

impl<V> SyncConflict<V> {
    /// The system that changed the field last, where the stamps prove it with clocks that
    /// may differ by the tolerance.
    ///
    /// Ties, missing stamps, stamps from the future and differences within the tolerance
    /// prove nothing. It is evidence for a person, or for a rule on shared fields; it
    /// never outweighs an owner.
    pub fn last_writer(&self, tolerance: Duration, now: DateTime<Utc>) -> Option<&str> {
        let stamp = |side: &Side<V>| side.modified.up_to(now, tolerance);
        let beats_all = |place: usize, side: &Side<V>| {
            let mut others =
                self.sides.iter().enumerate().filter(|(other, _)| *other != place);
            others.all(|(_, other)| stamp(side).is_after(stamp(other), tolerance))
        };
        let last = self
            .sides
            .iter()
            .enumerate()
            .find(|(place, side)| beats_all(*place, side))?
            .1;
        (self.sides.len() > 1).then_some(last.system.as_str())
    }
}

impl<V> fmt::Display for SyncConflict<V> {
    /// Record, field and systems; never the values, which may be what no log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} of record {:?} was changed in different ways in",
            self.field, self.record_id
        )?;
        for (index, side) in self.sides.iter().enumerate() {
            write!(f, "{} {:?}", if index == 0 { "" } else { "," }, side.system)?;
        }
        Ok(())
    }
}
