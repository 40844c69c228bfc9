//! `Past`: older values that the systems had in common, so that one that comes back
//! does not pass for news.

use std::collections::VecDeque;

use super::slot::{Base, Content};

/// The latest values that the systems had in common before the present one.
///
/// A system that is restored from a backup shows yesterday's values, and to a plan they
/// are its newest edits. Store this beside what is known of the field.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Base, FieldPlan, Past, Question, Rule, Slot, Verdict,
/// };
///
/// let mut past = Past::new(8);
/// let agreed = Base::Known(Some("today"));
/// past.replaced(&Base::Known(Some("yesterday")), &agreed);
///
/// // The CRM was restored from last night's backup.
/// let (crm, erp) = (Slot::Value("yesterday"), Slot::Value("today"));
/// let slots = [&crm, &erp];
/// let plan = FieldPlan::new(Rule::Shared, &slots, &agreed);
/// assert_eq!(plan.verdict(), Verdict::Write(0), "as if somebody had edited it");
/// assert_eq!(plan.goes_back(&past), Some(0));
///
/// let asked = plan.ask_before_going_back(&past);
/// assert_eq!(asked.verdict(), Verdict::Ask(Question::GoesBack));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past<T> {
    most: usize,
    values: VecDeque<Option<T>>,
}

impl<T: PartialEq> Past<T> {
    /// An empty past, which keeps at most this many values and drops the oldest first.
    pub fn new(most: usize) -> Self {
        Self { most, values: VecDeque::new() }
    }

    /// Notes that a common value was replaced: it is a past value from now on, and the
    /// present one no longer is.
    pub fn replaced(&mut self, before: &Base<T>, now: &Base<T>)
    where
        T: Clone,
    {
        if let (Base::Known(before), Base::Known(now)) = (before, now) {
            if before != now {
                self.values.retain(|value| value != before && value != now);
                self.values.push_back(before.clone());
            }
            let excess = self.values.len().saturating_sub(self.most);
            self.values.drain(..excess);
        }
    }

    /// The values, the oldest first, to be stored.
    pub fn values(&self) -> impl Iterator<Item = Option<&T>> {
        self.values.iter().map(Option::as_ref)
    }

    pub(super) fn contains(&self, content: Content<&T>) -> bool {
        self.values().any(|value| value == content.into_option())
    }
}
