//! The clerk: it takes the instances whose deadline has passed, one by one, whichever the
//! database.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::FIRING;
use super::turn::{ClerkIncident, ClerkSummary, Turned};
use crate::reason::reason;
use crate::relay::{OutageKind, Watch};
use crate::retry::Backoff;
use crate::sleep::after;
use crate::store::StoreError;
use crate::{ConfigError, RetryPolicy};

/// Runs the deadlines of the workflows in one database.
///
/// It takes the instances whose deadline has passed in the order of these, each in a
/// transaction of its own. One that fails stays as it is, costs the others nothing, and is
/// looked at again. Any number of clerks may share the database.
///
/// `D` is the database: `workflow::sqlite::Clerk` and `workflow::postgres::Clerk` name it.
#[must_use = "a clerk does nothing before `run`"]
pub struct Clerk<D> {
    pub(super) database: D,
    pub(super) retry_policy: RetryPolicy,
    poll_interval: Duration,
    grace: Duration,
    on_incident: Arc<dyn Fn(&ClerkIncident) + Send + Sync>,
}

/// A database whose workflows a clerk takes.
pub(super) trait Turns {
    /// Whether the table of any workflow is known.
    fn has_tables(&self) -> bool;

    /// Whether the database answers, and lets a clerk write.
    fn answers(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The turn of the instance that is due first, if one is.
    fn turn(
        &self,
        retry_policy: RetryPolicy,
    ) -> impl Future<Output = Result<Option<Turned>, StoreError>> + Send;
}

impl<D> Clerk<D> {
    pub(super) fn new(database: D) -> Self {
        let (base, max) = (Duration::from_secs(5), Duration::from_secs(600));
        Self {
            database,
            retry_policy: RetryPolicy::retries(1, Backoff::Exponential { base, max }),
            poll_interval: Duration::from_secs(1),
            grace: Duration::from_secs(10),
            on_incident: Arc::new(|incident| {
                drop(writeln!(std::io::stderr(), "{incident}"));
            }),
        }
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
    /// its database has come back: 10 s, unless this says otherwise.
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
}

#[allow(private_bounds, reason = "the databases of this crate are all there are")]
impl<D: Turns> Clerk<D> {
    /// Works until `stop` is ready, whatever its output; the turn that it is at ends first.
    /// It begins with its [grace](Self::grace).
    ///
    /// No error of the database ends it: it tries again, ever more slowly, and reports
    /// the outage and its end. A clerk that was given no table ends at once, and reports
    /// that ([`NoTable`](ClerkIncident::NoTable)).
    pub async fn run<F: Future>(self, stop: F) -> ClerkSummary {
        let (mut stop, mut summary) = (pin!(stop), ClerkSummary::default());
        if !self.database.has_tables() {
            (self.on_incident)(&ClerkIncident::NoTable);
            return summary;
        }
        let (mut database, mut next) = (Watch::default(), after(self.grace));
        for number in 0_u64.. {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = sleep_until(next) => {}
            }
            next = match self.look(database.pause.is_on()).await {
                Err(error) => {
                    let kind = OutageKind::Store(FIRING);
                    let outage = database.failed(number, kind, &reason(&error), None);
                    let outage = outage.map(ClerkIncident::Outage);
                    outage.iter().for_each(|outage| (self.on_incident)(outage));
                    let now = Instant::now();
                    database.pause.ends(now).unwrap_or(now)
                }
                Ok(turned) => match (database.over(number), turned) {
                    (Some(outage), _) => {
                        (self.on_incident)(&ClerkIncident::Recovered(outage));
                        after(self.grace)
                    }
                    (None, Some(turned)) => {
                        self.count(&mut summary, turned);
                        Instant::now()
                    }
                    (None, None) => after(self.poll_interval),
                },
            };
        }
        summary
    }

    /// A turn, if one is due. After an outage it is asked first whether that is over.
    async fn look(&self, after_outage: bool) -> Result<Option<Turned>, StoreError> {
        if after_outage {
            return self.database.answers().await.map(|()| None);
        }
        self.database.turn(self.retry_policy).await
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
        while let Some(turned) = self.database.turn(self.retry_policy).await? {
            let instance = turned.failed().map(str::to_owned);
            self.count(&mut summary, turned);
            if instance.is_some_and(|instance| !failed.insert(instance)) {
                break;
            }
        }
        Ok(summary)
    }
}

impl<D: fmt::Debug> fmt::Debug for Clerk<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk")
            .field("database", &self.database)
            .field("retry_policy", &self.retry_policy)
            .field("poll_interval", &self.poll_interval)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Mutex;

    use chrono::Utc;

    use super::*;

    /// One instance, which fails and is due again at once.
    struct Broken;

    impl Turns for Broken {
        fn has_tables(&self) -> bool {
            true
        }

        async fn answers(&self) -> Result<(), StoreError> {
            Ok(())
        }

        async fn turn(&self, _: RetryPolicy) -> Result<Option<Turned>, StoreError> {
            Ok(Some(Turned::Failed(ClerkIncident::Failed {
                workflow: "order_to_cash".to_owned(),
                instance: "4711".to_owned(),
                failures: 1,
                reason: "its version is unknown".to_owned(),
                again_at: Utc::now(),
            })))
        }
    }

    /// A database that fails at these of its calls, counted from 0, and whose instances
    /// are always due.
    struct Fails {
        at: &'static [usize],
        calls: Arc<Mutex<Vec<(&'static str, u64)>>>,
        since: Instant,
    }

    impl Fails {
        fn call(&self, what: &'static str) -> Result<(), StoreError> {
            let mut calls = self.calls.lock().unwrap();
            let fails = self.at.contains(&calls.len());
            calls.push((what, self.since.elapsed().as_secs()));
            if fails { Err(StoreError::new(FIRING, "locked")) } else { Ok(()) }
        }
    }

    impl Turns for Fails {
        fn has_tables(&self) -> bool {
            true
        }

        async fn answers(&self) -> Result<(), StoreError> {
            self.call("answers")
        }

        async fn turn(&self, _: RetryPolicy) -> Result<Option<Turned>, StoreError> {
            self.call("turn")?;
            // It takes its time.
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Some(Turned::Moved))
        }
    }

    /// Protects what has long been done from a clerk that comes before the replies which
    /// waited: at its start, and when its database is back. Each outage is reported once,
    /// and its end.
    #[tokio::test(start_paused = true)]
    async fn replies_come_in_before_a_deadline_is_taken() {
        let (calls, since) = (Arc::default(), Instant::now());
        let database = Fails { at: &[1, 2], calls: Arc::clone(&calls), since };
        let (reports, reported) = std::sync::mpsc::channel();
        let clerk = Clerk::new(database)
            .grace(Duration::from_secs(60))
            .on_incident(move |incident| reports.send(incident.to_string()).unwrap());
        let stop = tokio::time::sleep(Duration::from_millis(123_500));
        assert_eq!(clerk.run(stop).await.moved, 4);
        let calls = calls.lock().unwrap().clone();
        let expected = [
            ("turn", 60),
            ("turn", 61),
            ("answers", 61),
            ("answers", 61),
            ("turn", 121),
            ("turn", 122),
            ("turn", 123),
        ];
        assert_eq!(calls, expected);
        let reported: Vec<String> = reported.iter().collect();
        assert_eq!(
            reported,
            [
                "the store fails at taking an instance whose deadline has passed, and the \
                 clerk pauses: taking an instance whose deadline has passed: locked",
                "the database answers the clerk again, after 150ms and 2 failed tries",
            ]
        );
    }

    /// A database of which the clerk was given no table.
    struct Unknown;

    impl Turns for Unknown {
        fn has_tables(&self) -> bool {
            false
        }

        async fn answers(&self) -> Result<(), StoreError> {
            Ok(())
        }

        async fn turn(&self, _: RetryPolicy) -> Result<Option<Turned>, StoreError> {
            Ok(None)
        }
    }

    /// Protects from deadlines that nobody runs, where `of` is forgotten.
    #[tokio::test]
    async fn a_clerk_without_a_table_says_so_and_ends() {
        let (reports, reported) = std::sync::mpsc::channel();
        let clerk = Clerk::new(Unknown)
            .on_incident(move |incident| reports.send(incident.to_string()).unwrap());
        let summary = clerk.run(std::future::pending::<()>()).await;
        assert_eq!(summary, ClerkSummary::default());
        let reported: Vec<String> = reported.iter().collect();
        assert!(matches!(&reported[..], [one] if one.contains("`of`")), "{reported:?}");
    }

    /// Protects from a run without an end.
    #[tokio::test]
    async fn a_run_ends_where_an_instance_fails_again() {
        let clerk = Clerk::new(Broken).on_incident(|_| {});
        let summary = clerk.run_until_idle().await.unwrap();
        assert_eq!((summary.moved, summary.failed), (0, 2));
    }
}
