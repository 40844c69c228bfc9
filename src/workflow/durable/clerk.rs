//! The clerk: it takes the instances whose deadline has passed, one by one, whichever the
//! database.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::turn::{ClerkIncident, ClerkSummary, Turned};
use super::{WorkflowConfig, WorkflowDatabase};
use crate::reason::reason;
use crate::retry::Backoff;
use crate::store::StoreError;
use crate::workflow::Driven;
use crate::{ConfigError, RetryPolicy};

/// The longest pause of a clerk whose database does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Runs the deadlines of the workflows in one database.
///
/// It takes the instances whose deadline has passed in the order of these, each in a
/// transaction of its own. One that fails stays as it is, costs the others nothing, and is
/// looked at again. Any number of clerks may share the database.
///
/// `D` is the database: `workflow::sqlite::Clerk` and `workflow::postgres::Clerk` name it,
/// and [`WorkflowDatabase`] is either of them.
#[must_use = "a clerk does nothing before `run`"]
pub struct Clerk<D: WorkflowDatabase> {
    database: D,
    tables: Arc<Tables<D::Turn>>,
    retry_policy: RetryPolicy,
    poll_interval: Duration,
    on_incident: Arc<dyn Fn(&ClerkIncident) + Send + Sync>,
}

/// The workflows whose tables the program has, each with how an instance of it takes its
/// turn, and what the program knows of the company.
#[derive(Clone)]
pub(super) struct Tables<T> {
    pub(super) turns: BTreeMap<&'static str, T>,
    pub(super) config: WorkflowConfig,
}

/// A database whose workflows a clerk takes.
pub(super) trait Turns {
    /// How an instance of one workflow takes its turn.
    type Turn: Copy + Send + Sync + 'static;

    /// How an instance of this workflow does.
    fn turn_of<W: Driven>() -> Self::Turn;

    /// The turn of the instance that is due first, if one is.
    fn turn(
        &self,
        tables: &Arc<Tables<Self::Turn>>,
        retry_policy: RetryPolicy,
    ) -> impl Future<Output = Result<Option<Turned>, StoreError>> + Send;
}

impl<D: WorkflowDatabase> Clerk<D> {
    pub(super) fn new(database: D, config: WorkflowConfig) -> Self {
        let (base, max) = (Duration::from_secs(5), Duration::from_secs(600));
        Self {
            database,
            tables: Arc::new(Tables { turns: BTreeMap::new(), config }),
            retry_policy: RetryPolicy::retries(1, Backoff::Exponential { base, max }),
            poll_interval: Duration::from_secs(1),
            on_incident: Arc::new(|incident| {
                drop(writeln!(std::io::stderr(), "{incident}"));
            }),
        }
    }

    /// Takes the instances of this workflow, too. Those of a workflow that no clerk takes
    /// wait.
    pub fn of<W: Driven>(mut self) -> Self {
        let mut tables = Tables::clone(&self.tables);
        tables.turns.insert(W::NAME, D::turn_of::<W>());
        self.tables = Arc::new(tables);
        self
    }

    /// How long an instance whose turn has failed waits for the next look: 5 s, doubled up
    /// to 10 min, unless this says otherwise. The policy's number of attempts is no limit,
    /// since a clerk gives no instance up.
    pub fn retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self { retry_policy, ..self }
    }

    /// How often the clerk looks while nothing is due: once a second, unless this says
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where that is no time at all.
    pub fn poll_interval(self, poll_interval: Duration) -> Result<Self, ConfigError> {
        if poll_interval.is_zero() {
            return Err(ConfigError::new("poll_interval", "more than 0s", "0s"));
        }
        Ok(Self { poll_interval, ..self })
    }

    /// Calls `callback` with everything that goes wrong without stopping the clerk. The
    /// default writes to standard error.
    pub fn on_incident(
        self,
        callback: impl Fn(&ClerkIncident) + Send + Sync + 'static,
    ) -> Self {
        Self { on_incident: Arc::new(callback), ..self }
    }

    fn count(&self, summary: &mut ClerkSummary, turned: Turned) {
        match turned {
            Turned::Moved => summary.moved = summary.moved.saturating_add(1),
            Turned::Failed(incident) => {
                summary.failed = summary.failed.saturating_add(1);
                (self.on_incident)(&incident);
            }
        }
    }

    /// Works until `stop` is ready, whatever its output; the turn that it is at ends first.
    ///
    /// No error of the database ends it: it tries again, ever more slowly, and reports. A
    /// clerk that was given no table ends at once, and reports that
    /// ([`NoTable`](ClerkIncident::NoTable)).
    pub async fn run<F: Future>(self, stop: F) -> ClerkSummary {
        let (mut stop, mut summary) = (pin!(stop), ClerkSummary::default());
        if self.tables.turns.is_empty() {
            (self.on_incident)(&ClerkIncident::NoTable);
            return summary;
        }
        let mut pauses = Pauses::from(self.poll_interval);
        loop {
            let wait = match self.database.turn(&self.tables, self.retry_policy).await {
                Ok(Some(turned)) => {
                    self.count(&mut summary, turned);
                    pauses = Pauses::from(self.poll_interval);
                    Duration::ZERO
                }
                Ok(None) => {
                    pauses = Pauses::from(self.poll_interval);
                    self.poll_interval
                }
                Err(error) => {
                    let (pause, reason) = (pauses.next(), reason(&error));
                    (self.on_incident)(&ClerkIncident::Store { reason, pause });
                    pause
                }
            };
            tokio::select! {
                biased;
                _ = &mut stop => return summary,
                () = sleep(wait) => {}
            }
        }
    }

    /// Works until every deadline that has passed is taken: for a program that runs now
    /// and then. It ends too where an instance fails once more in the same run, as under a
    /// [`retry_policy`](Self::retry_policy) that does not wait.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn run_until_idle(&self) -> Result<ClerkSummary, StoreError> {
        let (mut summary, mut failed) = (ClerkSummary::default(), BTreeSet::new());
        while let Some(turned) =
            self.database.turn(&self.tables, self.retry_policy).await?
        {
            let instance = turned.failed().map(str::to_owned);
            self.count(&mut summary, turned);
            if instance.is_some_and(|instance| !failed.insert(instance)) {
                break;
            }
        }
        Ok(summary)
    }
}

/// The pauses while the database does not answer: doubled up to the longest.
struct Pauses(Duration);

impl Pauses {
    fn from(poll_interval: Duration) -> Self {
        Self(poll_interval.min(LONGEST_PAUSE))
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
    }
}

impl<D: WorkflowDatabase + fmt::Debug> fmt::Debug for Clerk<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk")
            .field("database", &self.database)
            .field("workflows", &self.tables.turns.keys())
            .field("retry_policy", &self.retry_policy)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects from a clerk that looks once an hour, and after a restart of its database
    /// rests for an hour, too.
    #[test]
    fn pauses_grow_to_the_longest_and_never_begin_above_it() {
        let first_three = |poll_interval| {
            let mut pauses = Pauses::from(Duration::from_secs(poll_interval));
            [pauses.next(), pauses.next(), pauses.next()].map(|pause| pause.as_secs())
        };
        assert_eq!(first_three(5), [5, 10, 15]);
        assert_eq!(first_three(3600), [15, 15, 15]);
    }
}
