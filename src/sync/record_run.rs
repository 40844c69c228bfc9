//! `RecordRun`: what is to be done about many records as a whole, and the brake on a run
//! in which too many of them are gone.

use std::fmt;

use super::existence::RecordRules;
use super::presence::{Presence, RecordBase};
use super::record_plan::RecordPlan;
use crate::{Decision, Refused};

type Plans<K, E> = Vec<(K, RecordPlan<E>)>;

/// A run over many records: what is to be done about each as a whole. It gives no plan
/// before it has seen all of them.
///
/// A list that comes back empty or short looks like many deletions. Where more records
/// are gone than the [rules](RecordRules) allow for one run, it ends in an error and
/// with no plan, whatever the rules say about one deletion.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Deletions, Existed, Presence, RecordBase, RecordRules,
/// };
///
/// let rules = RecordRules::new(Deletions::Propagate, 2);
/// let both = RecordBase::common(Existed::There, 2);
/// let mut run = rules.run();
/// for key in 1..=1_000 {
///     // The ERP has answered with an empty list.
///     run.plan(key, vec![Presence::There(()), Presence::Absent], &both, false)?;
/// }
/// let refused = run.finish().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "a run lets at most 2 records be gone, and of its 1000 found 1000 gone: read the \
///      systems again, or allow more for this one run"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a run gives its plans when it is finished"]
pub struct RecordRun<K, E> {
    rules: RecordRules,
    plans: Plans<K, E>,
}

impl<K, E> RecordRun<K, E> {
    pub(super) fn new(rules: RecordRules) -> Self {
        Self { rules, plans: Vec::new() }
    }

    /// Adds a record: what each system says about it, in their order, what is known of it
    /// in common, and whether a system that still has it has changed it since.
    ///
    /// # Errors
    ///
    /// [`PresenceError`], with the record given back, if there is not one presence for
    /// each system of the base: a system that is forgotten would pass for one in which
    /// the record is gone.
    #[allow(clippy::type_complexity, reason = "the record, as it was handed in")]
    pub fn plan(
        &mut self,
        key: K,
        presence: Vec<Presence<E>>,
        base: &RecordBase,
        edited: bool,
    ) -> Result<(), Refused<(K, Vec<Presence<E>>), PresenceError>> {
        let (wanted, found) = (base.confirmed.len(), presence.len());
        if found != wanted {
            return Err(Refused::new((key, presence), PresenceError { wanted, found }));
        }
        self.plans.push((key, RecordPlan::new(&self.rules, presence, base, edited)));
        Ok(())
    }

    /// The plans, in the order in which the records were added.
    ///
    /// # Errors
    ///
    /// [`TooManyGoneError`] if more records are gone than one run allows; with the run
    /// given back, for a person who [allows](Self::allow) it.
    pub fn finish(self) -> Result<Plans<K, E>, Refused<Self, TooManyGoneError>> {
        let count = self.count();
        if count.gone > count.most {
            Err(Refused::new(self, count))
        } else {
            Ok(self.plans)
        }
    }

    /// The plans of a run in which many records are gone, as a person has confirmed; with
    /// the decision, for the record.
    ///
    /// ```
    /// use integration_automation_patterns::Decision;
    /// use integration_automation_patterns::sync::{
    ///     Deletions, Existed, Presence, RecordBase, RecordRules,
    /// };
    ///
    /// let both = RecordBase::common(Existed::There, 2);
    /// let mut run = RecordRules::new(Deletions::Propagate, 0).run();
    /// run.plan("C-1", vec![Presence::There(()), Presence::Absent], &both, false)?;
    /// let refused = run.finish().unwrap_err();
    ///
    /// let decision = Decision::new("ada", "the campaign is over")?;
    /// let allowed = refused.into_value().allow(decision);
    /// assert_eq!((allowed.exceeded.gone, allowed.exceeded.most), (1, 0));
    /// assert_eq!((allowed.decision.by(), allowed.plans.len()), ("ada", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow(self, decision: Decision) -> AllowedRun<K, E> {
        AllowedRun { exceeded: self.count(), plans: self.plans, decision }
    }

    fn count(&self) -> TooManyGoneError {
        let gone = self.plans.iter().filter(|(_, plan)| plan.has_vanished()).count();
        TooManyGoneError { gone, of: self.plans.len(), most: self.rules.most_gone() }
    }
}

/// A run in which many records are gone, and which a person has allowed: the plans, and
/// what to put on record of it.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it has the plans, and who allowed them"]
pub struct AllowedRun<K, E> {
    /// The plans, in the order in which the records were added.
    pub plans: Vec<(K, RecordPlan<E>)>,
    /// How many records are gone, and how many may be without a person.
    pub exceeded: TooManyGoneError,
    /// Who allowed it, why, and when.
    pub decision: Decision,
}

/// More records are gone than one run allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyGoneError {
    /// How many are gone.
    pub gone: usize,
    /// How many the run has.
    pub of: usize,
    /// How many may be gone.
    pub most: usize,
}

impl fmt::Display for TooManyGoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gone, of, most } = self;
        write!(
            f,
            "a run lets at most {most} records be gone, and of its {of} found {gone} \
             gone: read the systems again, or allow more for this one run"
        )
    }
}

impl std::error::Error for TooManyGoneError {}

/// There is not one presence for each system of a record's base.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Deletions, Existed, Presence, RecordBase, RecordRules,
/// };
///
/// let both = RecordBase::common(Existed::There, 2);
/// let mut run = RecordRules::new(Deletions::Propagate, 50).run();
/// let refused =
///     run.plan("C-1", vec![Presence::<()>::Absent], &both, false).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "a record wants what each of the 2 systems of its base says, and found 1: a system \
///      that was not asked is `Unread`"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceError {
    /// The number of systems in the base.
    pub wanted: usize,
    /// The number of presences.
    pub found: usize,
}

impl fmt::Display for PresenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, found } = self;
        write!(
            f,
            "a record wants what each of the {wanted} systems of its base says, and found \
             {found}: a system that was not asked is `Unread`"
        )
    }
}

impl std::error::Error for PresenceError {}
