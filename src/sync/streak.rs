//! `WriteStreak`: how often in a row the same value was written in place of the same
//! other.

use super::write::Write;

/// How many times in a row a field was written to the same value, in place of the same
/// other one: a system that does not keep what it is given.
///
/// Store it with the record and its field, one for each system. It counts, and decides
/// nothing: report a field that is [`flapping`](Self::is_flapping), and give its system a
/// [converter](super::convert::Convert).
///
/// ```
/// use integration_automation_patterns::sync::{
///     Base, FieldPlan, NonOwnerEdits, Rule, Slot, WriteStreak,
/// };
///
/// // The ERP turns "&" into "&amp;", in run after run.
/// let (crm, erp) = (Slot::Value("a & b"), Slot::Value("a &amp; b"));
/// let (slots, base) = ([&crm, &erp], Base::Known(Some("a & b")));
/// let plan = FieldPlan::new(Rule::Owner(0, NonOwnerEdits::Reject), &slots, &base);
/// let write = plan.writes().next().ok_or("they differ")?;
///
/// let mut streak = WriteStreak::default();
/// assert_eq!([streak.count(&write), streak.count(&write)], [1, 2]);
/// assert!(!streak.is_flapping());
/// assert_eq!(streak.count(&write), 3);
/// assert!(streak.is_flapping());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteStreak<T> {
    pub(crate) value: Option<T>,
    pub(crate) in_place_of: Option<T>,
    pub(crate) times: u32,
}

impl<T> Default for WriteStreak<T> {
    fn default() -> Self {
        Self { value: None, in_place_of: None, times: 0 }
    }
}

impl<T: Clone + PartialEq> WriteStreak<T> {
    /// From this many equal writes on, the system is taken for one that does not keep the
    /// value: one is a change, and a second may follow a crash.
    pub const FLAPPING: u32 = 3;

    /// Counts a write that was made, and returns the length of the streak so far.
    ///
    /// Another value, or one in place of another, begins a new streak.
    pub fn count(&mut self, write: &Write<'_, T>) -> u32 {
        let continues = (self.value.as_ref(), self.in_place_of.as_ref())
            == (write.value(), write.expects());
        if continues {
            self.times = self.times.saturating_add(1);
        } else {
            let in_place_of = write.expects().cloned();
            *self = Self { value: write.value().cloned(), in_place_of, times: 1 };
        }
        self.times
    }

    /// The length of the streak.
    pub fn times(&self) -> u32 {
        self.times
    }

    /// Whether the same write was made at least [`FLAPPING`](Self::FLAPPING) times.
    pub fn is_flapping(&self) -> bool {
        self.times >= Self::FLAPPING
    }
}
