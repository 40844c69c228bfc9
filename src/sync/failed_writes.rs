//! `FailedWrites`: how often the same write has failed, so that a person is asked about
//! a plan that gets nowhere.

/// How often the same write of one field of one record has failed in a row, for each
/// system.
///
/// Two records that swap a unique value (a login, a position in a list) cannot be written
/// one after the other: each waits for the other, in every run. What has failed twice is
/// [asked about](super::FieldPlan::ask_if_stuck), until something changes.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Base, FailedWrites, FieldPlan, Question, Rule, Slot, Verdict,
/// };
///
/// let (crm, erp) = (Slot::Value("bob"), Slot::Value("ann"));
/// let (slots, base) = ([&crm, &erp], Base::Known(Some("ann")));
/// let plan = FieldPlan::new(Rule::Shared, &slots, &base);
/// let mut failed = FailedWrites::default();
/// for _ in 0..2 {
///     assert_eq!(plan.ask_if_stuck(&failed).verdict(), Verdict::Write(0));
///     for write in plan.writes() {
///         failed.failed(write.to(), write.value()); // "bob" is another record's login
///     }
/// }
/// assert_eq!(plan.ask_if_stuck(&failed).verdict(), Verdict::Ask(Question::Stuck));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedWrites<T> {
    writes: Vec<(usize, Option<T>, u32)>,
}

impl<T> Default for FailedWrites<T> {
    fn default() -> Self {
        Self { writes: Vec::new() }
    }
}

impl<T: PartialEq + Clone> FailedWrites<T> {
    /// Notes that a write of this value, or of nothing, to the system at this place has
    /// failed.
    pub fn failed(&mut self, to: usize, value: Option<&T>) {
        let times = self.times(to, value).saturating_add(1);
        self.made(to);
        self.writes.push((to, value.cloned(), times));
    }

    /// Notes that a write to the system at this place was made: earlier failures are
    /// over.
    pub fn made(&mut self, to: usize) {
        self.writes.retain(|(place, _, _)| *place != to);
    }

    /// How often a write of this value to the system at this place has failed in a row.
    pub fn times(&self, to: usize, value: Option<&T>) -> u32 {
        let failed = self.writes.iter();
        let mut same =
            failed.filter(|(place, tried, _)| *place == to && tried.as_ref() == value);
        same.next().map_or(0, |(_, _, times)| *times)
    }

    /// The place, the value and the number of failures of each write, to be stored.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Option<&T>, u32)> {
        self.writes.iter().map(|(to, value, times)| (*to, value.as_ref(), *times))
    }
}

impl<T> FromIterator<(usize, Option<T>, u32)> for FailedWrites<T> {
    /// From what was stored.
    fn from_iter<I: IntoIterator<Item = (usize, Option<T>, u32)>>(writes: I) -> Self {
        Self { writes: writes.into_iter().collect() }
    }
}
