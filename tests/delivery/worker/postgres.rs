//! The worker's tests on PostgreSQL, and what is PostgreSQL's own of it.

use std::time::Duration;

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::Filter;
use integration_automation_patterns::inbox::postgres::{
    Worker, discard, handlers, held, migrations,
};
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::outbox::Migration;
use integration_automation_patterns::outbox::postgres::enqueue;

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope};

use super::feed::{Told, feed};
use super::order::named;
use super::{
    Does, Gate, How, LeadClosed, LeadCreated, LeadCreatedV1, Running, Works, fails,
    follow_up, lead, start, tables, text, worker_suite,
};
use crate::postgres::Postgres;
use crate::suite::Database;

impl Works for Postgres {
    const LANES: usize = 4;

    const HANDLERS_BLOCK: bool = false;

    const REFUSE_ATTEMPTS: &'static str = "CREATE FUNCTION refuse() RETURNS trigger \
         LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$; \
         CREATE TRIGGER refuse BEFORE UPDATE ON inbox_event FOR EACH ROW \
         WHEN (NEW.last_attempt = 'begun') EXECUTE FUNCTION refuse()";

    const ADMIT_ATTEMPTS: &'static str = "DROP TRIGGER refuse ON inbox_event";

    fn inbox_migrations() -> Vec<Migration> {
        migrations().collect()
    }

    async fn work<C>(&self, consumer: C, gate: Gate, how: How) -> Running
    where
        C: Consumer<Acker: 'static> + 'static,
    {
        self.sql(&tables("bigserial")).await;
        let handlers = handlers()
            .on::<LeadCreated>()
            .or::<LeadCreatedV1>()
            .effect(async move |transaction, lead| {
                if lead.payload.does == Does::Wait {
                    gate.pass().await;
                }
                if lead.payload.does == Does::Busy && !gate.is_open() {
                    let deadlock = "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$";
                    transaction.batch_execute(deadlock).await?;
                }
                let sql = "INSERT INTO effect (name, owner) VALUES ($1, $2)";
                let owner = lead.payload.does.owner();
                transaction.execute(sql, &[&lead.payload.name, &owner]).await?;
                fails(&lead)?;
                let _new = enqueue(transaction, follow_up(&lead)).await?;
                Ok(())
            })
            .on::<LeadClosed>()
            .decode(text)
            .effect(async |transaction, lead| {
                let sql = "INSERT INTO effect (name) VALUES ('closed ' || $1::text)";
                transaction.execute(sql, &[&lead.payload.0]).await?;
                Ok(())
            });
        let worker = Worker::connect(
            self.config.clone(),
            how.inbox,
            consumer,
            handlers,
            how.config,
        );
        start!(worker.await.unwrap(), how)
    }

    async fn discard(&self, event: Envelope<Pending>) -> bool {
        let decision = Decision::new("on-call", "given up").unwrap();
        let mut inbox = crate::postgres::connect(&self.config).await;
        discard(&mut inbox, &event, decision, &AuditTrail::silent()).await.unwrap()
    }

    async fn held(&self) -> Vec<(String, Option<String>)> {
        let inbox = crate::postgres::connect(&self.config).await;
        named(held(&inbox, &Filter::default(), 100).await.unwrap())
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let client = crate::postgres::connect(&self.config).await;
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

worker_suite!(Postgres, "needs PostgreSQL");

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_handler_that_takes_too_long_has_failed() {
    let (database, (feed, fed)) = (Postgres::fresh().await, feed());
    let how = How {
        config: WorkerConfig::default().handler_timeout(Duration::from_millis(20)),
        ..How::default()
    };
    let worker = database.work(fed, Gate::closed(), how).await;
    feed.deliver(lead("1", Does::Wait));
    assert_eq!(feed.told(1).await, [Told::Nack("1".into(), Duration::ZERO)]);
    assert_eq!(worker.end().await.retrying, 1);
    let reasons = database.texts("SELECT failure_reason FROM inbox_event").await;
    assert_eq!(reasons, ["the handler did not end within 20ms"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn events_without_a_key_are_handled_side_by_side() {
    let (database, (feed, fed)) = (Postgres::fresh().await, feed());
    let gate = Gate::closed();
    let how = How { config: WorkerConfig::default().lanes(3), ..How::default() };
    let worker = database.work(fed, gate.clone(), how).await;
    for id in ["1", "2", "3"] {
        feed.deliver(lead(id, Does::Wait));
    }
    gate.until_waiting(3).await;
    gate.open();
    feed.told(3).await;
    assert_eq!(worker.end().await.processed, 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_lost_connection_is_made_anew() {
    let (database, (feed, fed)) = (Postgres::fresh().await, feed());
    let gate = Gate::closed();
    let how = How { config: WorkerConfig::default().lanes(1), ..How::default() };
    let worker = database.work(fed, gate.clone(), how).await;
    feed.deliver(lead("1", Does::Wait));
    gate.until_waiting(1).await;
    let schema = &database.schema;
    let sql = format!(
        "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
         WHERE application_name = '{schema}' AND pid <> pg_backend_pid()"
    );
    assert!(!database.texts(&sql).await.is_empty());
    gate.open();
    assert_eq!(feed.told(1).await, [Told::Dropped("1".into())]);
    feed.deliver_again(lead("1", Does::Write));
    assert_eq!(feed.told(2).await[1], Told::Ack("1".into()));
    assert_eq!(worker.end().await.processed, 1);
    assert_eq!(database.texts("SELECT name FROM effect").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn many_events_share_a_transaction_while_a_worker_has_much_to_do() {
    for again in [false, true] {
        share_transactions(again).await;
    }
}

async fn share_transactions(again: bool) {
    let (database, (feed, fed)) = (Postgres::fresh().await, feed());
    for n in 0..100 {
        feed.deliver_as(again, lead(&n.to_string(), Does::Write));
    }
    let how = How { config: WorkerConfig::default().lanes(1), ..How::default() };
    let worker = database.work(fed, Gate::closed(), how).await;
    feed.told(100).await;
    assert_eq!(worker.end().await.processed, 100);
    let sql = "SELECT count(DISTINCT xmin::text)::text FROM inbox_event";
    let transactions: usize = database.texts(sql).await[0].parse().unwrap();
    // Each handler's savepoint is a transaction of its own; the memory is the batch's.
    assert!(transactions < 50, "{transactions} transactions for 100 events");
}
