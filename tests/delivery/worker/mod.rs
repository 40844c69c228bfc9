//! The worker, on each database by the same tests: what a handler is given, what becomes
//! of its failures, and how a worker rests and ends.

#[cfg(feature = "sqlite")]
mod chosen;
mod feed;
mod handling;
mod keys;
mod model;
mod order;
#[cfg(feature = "postgres")]
mod postgres;
mod refused;
mod resting;
mod shelf;
#[cfg(feature = "sqlite")]
mod sqlite;
mod upgrade;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::worker::{
    Health, Inbox, Received, Summary, Worker, WorkerConfig,
};
use integration_automation_patterns::outbox::{Migration, StoreError};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{
    Decision, DeliveryStatus, Envelope, Event, RawEvent, RetryPolicy,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::suite::{Database, at_once};

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A lead, and what its handler is to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct LeadCreated {
    name: String,
    does: Does,
}

impl Event for LeadCreated {
    const TYPE: &'static str = "crm.lead.created";
    const SCHEMA_VERSION: &'static str = "2.0";
}

/// Its older version, which only ever wrote.
#[derive(Serialize, Deserialize)]
pub(crate) struct LeadCreatedV1 {
    name: String,
}

impl Event for LeadCreatedV1 {
    const TYPE: &'static str = "crm.lead.created";
}

impl From<LeadCreatedV1> for LeadCreated {
    fn from(old: LeadCreatedV1) -> Self {
        Self { name: old.name, does: Does::Write }
    }
}

/// An event that is no JSON: the name alone.
pub(crate) struct LeadClosed(String);

impl Event for LeadClosed {
    const TYPE: &'static str = "crm.lead.closed";
}

fn text(bytes: &[u8]) -> Result<LeadClosed, std::str::Utf8Error> {
    Ok(LeadClosed(std::str::from_utf8(bytes)?.to_owned()))
}

/// What follows from a lead.
#[derive(Serialize, Deserialize)]
pub(crate) struct CustomerOpened {
    name: String,
}

impl Event for CustomerOpened {
    const TYPE: &'static str = "erp.customer.opened";
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq)]
enum Does {
    Write,
    /// Writes, and fails.
    Fail,
    /// Writes, and fails at so many attempts.
    FailFirst(u32),
    /// Writes, and says that no attempt can succeed.
    Refuse,
    /// Writes, and panics.
    Panic,
    /// Writes when the gate opens.
    Wait,
    /// Writes what the database refuses at the commit.
    Orphan,
    /// Meets a database that is busy, until the gate opens.
    Busy,
}

impl Does {
    /// The owner of the row: one that is not there is refused at the commit.
    fn owner(self) -> Option<&'static str> {
        (self == Self::Orphan).then_some("nobody")
    }
}

/// What a handler waits at, and how many have come to it.
#[derive(Clone)]
pub(crate) struct Gate {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    fn closed() -> Self {
        Self { open: watch::Sender::new(false), waiting: watch::Sender::new(0) }
    }

    async fn pass(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.expect("the gate stands");
    }

    fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns when so many have come to it.
    async fn until_waiting(&self, count: usize) {
        until(&self.waiting, |waiting| *waiting >= count).await;
    }
}

/// Runs a test on a runtime of its own. It is not waited for: a handler that blocks its
/// thread, since a test has failed before it opened the gate, would hide that failure.
pub(crate) fn in_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ends = async { tokio::time::timeout(Duration::from_secs(120), test).await };
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(ends)));
    runtime.shutdown_background();
    match ended {
        Ok(ended) => ended.expect("the test ends"),
        Err(failed) => resume_unwind(failed),
    }
}

/// Returns when it holds; panics when it does not in a time in which it must.
async fn until<T: Clone + std::fmt::Debug>(
    seen: &watch::Sender<T>,
    holds: impl FnMut(&T) -> bool,
) -> T {
    let mut receiver = seen.subscribe();
    let waited = tokio::time::timeout(Duration::from_secs(60), receiver.wait_for(holds));
    match waited.await {
        Ok(held) => held.expect("somebody sends").clone(),
        Err(_) => panic!("it did not come to hold: {:?}", seen.borrow()),
    }
}

/// The tables into which the handlers write; `{place}` counts up by itself.
fn tables(place: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS owner (name text PRIMARY KEY); \
         CREATE TABLE IF NOT EXISTS effect (place {place} PRIMARY KEY, name text, \
         owner text REFERENCES owner DEFERRABLE INITIALLY DEFERRED)"
    )
}

/// A database whose worker has the handlers of these tests: each writes the name of its
/// lead into `effect`, and the customer that follows into the outbox.
pub(crate) trait Works: Database + 'static {
    /// The most lanes that the database takes in these tests.
    const LANES: usize;

    /// Whether a handler that has begun goes on when its worker is dropped.
    const HANDLERS_BLOCK: bool;

    /// The trigger `refuse`: no attempt of a held event can begin.
    const REFUSE_ATTEMPTS: &'static str;
    /// Drops it.
    const ADMIT_ATTEMPTS: &'static str;

    /// The migrations of its inbox, in their order.
    fn inbox_migrations() -> Vec<Migration>;

    /// The tables, and the worker as a task: so that the compiler shows that it can be
    /// one.
    fn work<C>(
        &self,
        consumer: C,
        gate: Gate,
        how: How,
    ) -> impl Future<Output = Running> + Send
    where
        C: Consumer<Acker: 'static> + 'static;

    /// Discards a dead letter, or what waits, as a person does.
    fn discard(&self, event: Envelope<Pending>) -> impl Future<Output = bool> + Send;

    /// The ids of the events that the inbox holds, each with that which it waits for.
    fn held(&self) -> impl Future<Output = Vec<(String, Option<String>)>> + Send;

    /// The texts that a query of one column gives.
    fn texts(&self, sql: &str) -> impl Future<Output = Vec<String>> + Send;
}

/// How a worker of these tests works.
#[derive(Clone)]
pub(crate) struct How {
    inbox: InboxConfig,
    config: WorkerConfig,
    until_idle: bool,
}

impl Default for How {
    fn default() -> Self {
        let inbox = InboxConfig::new(WEEK, RetryPolicy::DEFAULT).unwrap();
        Self {
            inbox: inbox.retry_policy(at_once(3)),
            config: WorkerConfig::default(),
            until_idle: false,
        }
    }
}

/// A worker at work.
pub(crate) struct Running {
    worker: Arc<dyn Watched>,
    task: JoinHandle<Summary>,
    stop: oneshot::Sender<()>,
    incidents: watch::Sender<Vec<String>>,
}

impl Running {
    /// Tells it to stop, and says what it did.
    async fn end(self) -> Summary {
        drop(self.stop);
        finished(self.task).await
    }

    /// What it did, when it has ended by itself.
    async fn ended(self) -> Summary {
        finished(self.task).await
    }
}

async fn finished(task: JoinHandle<Summary>) -> Summary {
    let ended = tokio::time::timeout(Duration::from_secs(60), task).await;
    ended.expect("it ends").expect("it does not panic")
}

type Redriven<'w> =
    Pin<Box<dyn Future<Output = Result<Option<DeliveryStatus>, StoreError>> + 'w>>;

trait Watched: Send + Sync {
    fn progress(&self) -> Summary;
    fn health(&self) -> Health;
    fn redrive(&self, event: Envelope<Pending>, decision: Decision) -> Redriven<'_>;
}

impl<I: Inbox, C: Consumer<Acker: 'static>> Watched for Worker<I, C> {
    fn progress(&self) -> Summary {
        self.progress()
    }

    fn health(&self) -> Health {
        self.health()
    }

    fn redrive(&self, event: Envelope<Pending>, decision: Decision) -> Redriven<'_> {
        Box::pin(self.redrive(event, decision))
    }
}

/// Starts a worker of a database as a task.
macro_rules! start {
    ($worker:expr, $how:expr) => {{
        let incidents = tokio::sync::watch::Sender::new(Vec::new());
        let told = incidents.clone();
        let worker = std::sync::Arc::new($worker.on_incident(move |incident| {
            told.send_modify(|told: &mut Vec<String>| told.push(incident.to_string()));
        }));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (running, until_idle) = (std::sync::Arc::clone(&worker), $how.until_idle);
        let task = tokio::spawn(async move {
            if until_idle {
                running.run_until_idle(stopped).await
            } else {
                running.run(stopped).await
            }
        });
        $crate::worker::Running { worker, task, stop, incidents }
    }};
}
use start;

/// What every handler of a lead does before it writes, apart from waiting.
fn fails(
    lead: &Received<'_, LeadCreated>,
) -> Result<(), integration_automation_patterns::inbox::HandlerError> {
    use integration_automation_patterns::inbox::Classify;
    match lead.payload.does {
        Does::Write | Does::Wait | Does::Orphan | Does::Busy => Ok(()),
        Does::FailFirst(attempts) if lead.attempts() > attempts => Ok(()),
        // As a helper of a program gives it, or `anyhow`.
        Does::Fail | Does::FailFirst(_) => {
            let error: Box<dyn std::error::Error + Send + Sync> =
                "no such country".into();
            Err(error)?
        }
        Does::Refuse => Err("an unlawful lead").permanent(),
        Does::Panic => panic!("a lead that nobody can read"),
    }
}

/// What the handler of a lead enqueues.
fn follow_up(lead: &Received<'_, LeadCreated>) -> Envelope<Pending> {
    let opened = CustomerOpened { name: lead.payload.name.clone() };
    let opened = lead.follow("erp", "opened", opened).build().unwrap();
    opened.encode(serde_json::to_vec).unwrap()
}

fn lead(id: &str, does: Does) -> Envelope<Pending> {
    keyed_lead(id, "", does)
}

fn keyed_lead(id: &str, key: &str, does: Does) -> Envelope<Pending> {
    Envelope::builder("crm", LeadCreated { name: id.to_owned(), does })
        .id(id.parse().unwrap())
        .ordering_key(key)
        .retry_policy(at_once(3))
        .build()
        .unwrap()
        .encode(serde_json::to_vec)
        .unwrap()
}

fn raw(id: &str, payload: RawEvent) -> Envelope<Pending> {
    Envelope::builder("crm", payload).id(id.parse().unwrap()).build().unwrap()
}

/// All tests of the worker, on one database. A new test is named here, once.
macro_rules! worker_suite {
    ($database:ty $(, $needs:literal)?) => {
        worker_suite! { @ $database $(, $needs)?;
            handling: each_event_reaches_its_handler_as_its_type
            handling: what_no_handler_can_read_is_a_dead_letter_that_says_why
            handling: what_follows_carries_its_cause_and_is_made_once
            handling: a_failing_handler_is_tried_as_often_as_its_policy_says
            handling: a_dead_letter_is_redriven_by_its_handler
            handling: events_that_share_a_transaction_fail_alone
            handling: what_was_delivered_twice_has_its_effect_once
            handling: what_is_too_old_is_purged
            handling: a_relay_and_a_worker_deliver_every_event_once
            handling: what_the_database_refuses_at_the_commit_falls_alone
            keys: events_of_one_key_are_handled_in_their_order
            order: an_early_event_waits_for_the_one_before_it
            order: a_held_event_that_fails_is_tried_again_and_blocks_its_key
            order: a_dead_letter_is_passed_by_where_that_is_declared
            order: what_the_inbox_has_no_room_for_stays_at_the_broker
            order: a_missing_event_is_waited_for_as_long_as_declared
            order: a_person_frees_what_is_held
            order: without_the_setting_nothing_waits
            order: an_attempt_that_never_ended_is_counted
            order: what_the_database_refuses_spends_no_attempt_of_a_held_event
            order: what_waits_behind_a_waiting_event_is_left_alone
            order: a_held_event_whose_handler_is_left_spends_no_attempt
            upgrade: rows_of_an_older_program_are_read_right
            model: whatever_comes_and_fails_every_effect_is_there_once
            resting: a_worker_that_stops_ends_what_it_has_begun_and_nothing_else
            resting: a_handler_that_outlasts_the_shutdown_is_left
            resting: a_worker_rests_while_the_database_fails
            resting: a_worker_rests_while_the_broker_is_away
            resting: an_outage_ends_a_run_that_is_to_end_when_idle
            resting: what_keeps_held_events_from_their_handler_shows_in_the_health
            resting: a_consumer_at_its_end_ends_the_run
            resting: a_broker_that_takes_no_answer_holds_nothing_up
        }
    };
    (@ $database:ty; $($module:ident: $name:ident)*) => {
        $(#[test]
        fn $name() {
            $crate::worker::in_time($crate::worker::$module::$name::<$database>());
        })*
    };
    (@ $database:ty, $needs:literal; $($module:ident: $name:ident)*) => {
        $(#[test]
        #[ignore = $needs]
        fn $name() {
            $crate::worker::in_time($crate::worker::$module::$name::<$database>());
        })*
    };
}
use worker_suite;
