//! The clerk: it takes the instances whose deadline has passed, one by one, whichever the
//! database.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

use super::rhythm::Rhythm;
use super::turn::{ClerkIncident, ClerkSummary, Turned};
use super::{WorkflowConfig, WorkflowDatabase};
use crate::retry::Backoff;
use crate::store::StoreError;
use crate::workflow::Driven;
use crate::{ConfigError, RetryPolicy};

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
    grace: Duration,
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

    /// Whether the database answers, and lets a clerk write.
    fn answers(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

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
            grace: Duration::from_secs(10),
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

    /// How long [`run`](Self::run) leaves every deadline alone after it begins, and after
    /// its database has come back, if that failed more than once: 10 s, unless this says
    /// otherwise.
    ///
    /// While a program stands still, replies pile up in the broker, and deadlines pass. The
    /// grace lets the replies in first; a clerk that came before them would undo what has
    /// long been done. Set it to what a program needs to catch up with its queues. A
    /// deadline of less than this can pass that much later.
    ///
    /// ```
    /// # mod shop {
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
    /// # }
    /// # #[cfg(feature = "sqlite")]
    /// # fn clerk() -> Result<(), Box<dyn std::error::Error>> {
    /// # use shop::order_to_cash;
    /// use std::time::Duration;
    ///
    /// use integration_automation_patterns::workflow::{WorkflowConfig, sqlite};
    ///
    /// # let folder = std::env::temp_dir().join(format!("grace-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("crm.db");
    /// let clerk = sqlite::Clerk::open(&path, WorkflowConfig::default())?
    ///     .of::<order_to_cash::This>()
    ///     .grace(Duration::from_secs(120));
    /// assert!(format!("{clerk:?}").contains("grace: 120s"));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(feature = "sqlite")]
    /// # clerk()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
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
    /// It begins with its [grace](Self::grace).
    ///
    /// No error of the database ends it: it tries again, ever more slowly, and reports
    /// the outage and its end. A clerk that was given no table ends at once, and reports
    /// that ([`NoTable`](ClerkIncident::NoTable)).
    pub async fn run<F: Future>(self, stop: F) -> ClerkSummary {
        let (mut stop, mut summary) = (pin!(stop), ClerkSummary::default());
        if self.tables.turns.is_empty() {
            (self.on_incident)(&ClerkIncident::NoTable);
            return summary;
        }
        let (mut rhythm, mut next) = Rhythm::begin(self.poll_interval, self.grace);
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => return summary,
                () = sleep_until(next) => {}
            }
            let looked = self.look(rhythm.asks_for_an_answer()).await;
            let was_due = looked.as_ref().map(Option::is_some);
            let incident;
            (next, incident) = rhythm.looked(was_due);
            incident.iter().for_each(|incident| (self.on_incident)(incident));
            if let Ok(Some(turned)) = looked {
                self.count(&mut summary, turned);
            }
        }
    }

    /// The turn of the instance that is due first, if one is. After an outage, nothing but
    /// whether that is over.
    async fn look(&self, after_outage: bool) -> Result<Option<Turned>, StoreError> {
        if after_outage {
            return self.database.answers().await.map(|()| None);
        }
        self.database.turn(&self.tables, self.retry_policy).await
    }

    /// Works until every deadline that has passed is taken, without a grace: for a program
    /// that runs now and then. It ends too where an instance fails once more in the same run, as under a
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

impl<D: WorkflowDatabase + fmt::Debug> fmt::Debug for Clerk<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk")
            .field("database", &self.database)
            .field("workflows", &self.tables.turns.keys())
            .field("retry_policy", &self.retry_policy)
            .field("poll_interval", &self.poll_interval)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
