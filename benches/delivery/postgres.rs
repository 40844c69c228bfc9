//! The figures of PostgreSQL on 127.0.0.1: each side has a schema of its own, and both
//! the server's settings.

use std::time::{Duration, Instant};

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{InboxConfig, Receipt, postgres as inbox};
use integration_automation_patterns::outbox::Store;
use integration_automation_patterns::outbox::postgres::{
    self as outbox, Outbox, Statements,
};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, RetryPolicy};
use tokio_postgres::{Client, Config, IsolationLevel, NoTls, Statement};
use uuid::Uuid;

use super::{
    Amount, BARE, BareEvent, CLAIM, Outcome, RELAYED, THROUGH_RELAY, bare_event,
    claim_and_settle, claims_at_depths, event, median, order, put_aside, relay,
    side_by_side, timed,
};

const NAME: &str = "PostgreSQL";

pub(super) async fn measure(amount: Amount) -> Outcome {
    let measured = async {
        enqueue(amount).await?;
        settle(amount).await?;
        receive(amount).await?;
        depths(amount).await?;
        old_snapshot(amount).await
    };
    let measured = measured.await;
    for side in ["ours", "bare", "churn"] {
        drop_schema(side).await?;
    }
    for depth in amount.depths {
        drop_schema(&format!("depth_{depth}")).await?;
    }
    measured
}

fn server() -> Outcome<Config> {
    Ok(crate::servers::postgres().parse()?)
}

async fn connect(config: &Config) -> Outcome<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub(super) async fn drop_schema(name: &str) -> Outcome {
    let admin = connect(&server()?).await?;
    Ok(admin
        .batch_execute(&format!("SET client_min_messages = warning; DROP SCHEMA IF EXISTS bench_{name} CASCADE"))
        .await?)
}

/// A schema with the tables, made anew.
pub(super) async fn fresh(name: &str) -> Outcome<(Config, Client)> {
    drop_schema(name).await?;
    connect(&server()?)
        .await?
        .batch_execute(&format!("CREATE SCHEMA bench_{name}"))
        .await?;
    let mut config = server()?;
    config.options(format!("-c search_path=bench_{name}"));
    let mut client = connect(&config).await?;
    outbox::install(&mut client).await?;
    inbox::install(&mut client).await?;
    Ok((config, client))
}

/// A connection with the statements that a program by hand prepares.
struct Bare {
    client: Client,
    insert: Statement,
    insert_many: Statement,
    claim: Statement,
    settle: Statement,
    receive: Statement,
}

impl Bare {
    async fn new(client: Client) -> Outcome<Self> {
        Ok(Self {
            insert: client
                .prepare(
                    "INSERT INTO outbox_event (id, event_type, source_system, schema_version, correlation_id, payload, \
                     tags, retry_policy, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9) \
                     ON CONFLICT (id) DO NOTHING",
                )
                .await?,
            insert_many: client
                .prepare(
                    "INSERT INTO outbox_event (id, event_type, source_system, schema_version, correlation_id, payload, \
                     tags, retry_policy, created_at) SELECT id, event_type, source_system, schema_version, \
                     correlation_id, payload, tags::jsonb, retry_policy, created_at \
                     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], \
                       $8::text[], $9::timestamptz[]) AS event (id, event_type, source_system, schema_version, \
                       correlation_id, payload, tags, retry_policy, created_at) ON CONFLICT (id) DO NOTHING",
                )
                .await?,
            claim: client
                .prepare(
                    "UPDATE outbox_event SET status = 'dispatched', attempts = attempts + 1, token = $2, \
                     claimed_by = $3, claimed_at = now(), first_sent_at = coalesce(first_sent_at, now()), \
                     due_at = now() + interval '30 s' \
                     WHERE sequence = ANY (ARRAY(SELECT sequence FROM outbox_event \
                       WHERE status IN ('pending', 'retrying') AND NOT blocked AND due_at <= now() \
                       ORDER BY due_at, sequence LIMIT $1 \
                       FOR UPDATE SKIP LOCKED)) \
                     RETURNING sequence, id, event_type, source_system, schema_version, correlation_id, payload, \
                       tags::text, retry_policy, created_at, attempts",
                )
                .await?,
            settle: client
                .prepare(
                    "UPDATE outbox_event SET status = 'acknowledged', due_at = NULL, done_at = now(), token = NULL \
                     WHERE sequence = ANY ($1) AND token = $2",
                )
                .await?,
            receive: client
                .prepare(
                    "INSERT INTO inbox_event (source_system, id, status, attempts) VALUES ($1, $2, 'processed', 1) \
                     ON CONFLICT DO NOTHING",
                )
                .await?,
            client,
        })
    }

    async fn insert(&mut self, event: &BareEvent) -> Outcome {
        let business = self.client.transaction().await?;
        business
            .execute(
                &self.insert,
                &[
                    &event.id,
                    &event.event_type,
                    &event.source_system,
                    &event.schema_version,
                    &event.correlation_id,
                    &event.payload,
                    &event.tags,
                    &event.retry_policy,
                    &event.created_at,
                ],
            )
            .await?;
        Ok(business.commit().await?)
    }

    async fn insert_many(&mut self, events: &[BareEvent]) -> Outcome {
        fn each<T>(events: &[BareEvent], column: impl Fn(&BareEvent) -> T) -> Vec<T> {
            events.iter().map(column).collect()
        }
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let business = self.client.transaction().await?;
        business
            .execute(
                &self.insert_many,
                &[
                    &ids,
                    &each(events, |event| event.event_type),
                    &each(events, |event| event.source_system),
                    &each(events, |event| event.schema_version),
                    &each(events, |event| event.correlation_id),
                    &each(events, |event| event.payload),
                    &each(events, |event| event.tags),
                    &each(events, |event| event.retry_policy),
                    &each(events, |event| event.created_at),
                ],
            )
            .await?;
        Ok(business.commit().await?)
    }

    /// Two transactions, as the attempt must be stored before the send; each is one
    /// statement, and commits by itself.
    async fn claim_and_settle(&self, batch: usize) -> Outcome {
        let token = Uuid::now_v7();
        let rows = self
            .client
            .query(&self.claim, &[&i64::try_from(batch)?, &token, &"bench"])
            .await?;
        let mut claims = Vec::with_capacity(rows.len());
        for row in &rows {
            claims.push(BareClaim {
                sequence: row.try_get(0)?,
                id: row.try_get(1)?,
                event_type: row.try_get(2)?,
                source_system: row.try_get(3)?,
                schema_version: row.try_get(4)?,
                correlation_id: row.try_get(5)?,
                payload: row.try_get(6)?,
                tags: row.try_get(7)?,
                retry_policy: row.try_get(8)?,
                created_at: row.try_get(9)?,
                attempts: row.try_get(10)?,
            });
        }
        assert_eq!(claims.len(), batch);
        let sequences: Vec<i64> = claims.iter().map(|claim| claim.sequence).collect();
        let settled = self.client.execute(&self.settle, &[&sequences, &token]).await?;
        assert_eq!(settled, u64::try_from(batch)?);
        Ok(())
    }
}

/// What a claim hands out, as a row.
#[allow(dead_code, reason = "it is read from the database, and nobody sends it")]
struct BareClaim {
    sequence: i64,
    id: String,
    event_type: String,
    source_system: String,
    schema_version: String,
    correlation_id: Option<String>,
    payload: Vec<u8>,
    tags: String,
    retry_policy: String,
    created_at: chrono::DateTime<chrono::Utc>,
    attempts: i64,
}

async fn sides() -> Outcome<(Config, Client, Bare)> {
    let ((config, ours), (_, bare)) = (fresh("ours").await?, fresh("bare").await?);
    Ok((config, ours, Bare::new(bare).await?))
}

async fn enqueue(amount: Amount) -> Outcome {
    let (_, mut ours, mut bare) = sides().await?;
    let statements = Statements::new();
    let by_us = async || {
        let event = event();
        let enqueued = async {
            let business = ours.transaction().await?;
            outbox::enqueue(&statements.on(&business), event).await?;
            Ok(business.commit().await?)
        };
        timed(enqueued).await
    };
    let by_hand = async || timed(bare.insert(&bare_event())).await;
    let what = "enqueued, 1 in a transaction, with `Statements`";
    side_by_side(NAME, what, BARE, amount.pairs, by_us, by_hand).await?;
    let by_us = async || {
        let event = event();
        let enqueued = async {
            let business = ours.transaction().await?;
            outbox::enqueue(&business, event).await?;
            Ok(business.commit().await?)
        };
        timed(enqueued).await
    };
    let by_hand = async || timed(bare.insert(&bare_event())).await;
    let what = "enqueued, 1 in a transaction";
    side_by_side(NAME, what, BARE, amount.pairs, by_us, by_hand).await?;
    let by_us =
        async || timed(enqueue_all(&mut ours, (0..100).map(|_| event()).collect())).await;
    let by_hand = async || {
        let events: Vec<_> = (0..100).map(|_| bare_event()).collect();
        timed(bare.insert_many(&events)).await
    };
    side_by_side(
        NAME,
        "enqueued, 100 in a transaction",
        BARE,
        amount.pairs,
        by_us,
        by_hand,
    )
    .await
}

async fn enqueue_all(ours: &mut Client, events: Vec<Envelope<Pending>>) -> Outcome {
    let business = ours.transaction().await?;
    outbox::enqueue_all(&business, events).await?;
    Ok(business.commit().await?)
}

async fn settle(amount: Amount) -> Outcome {
    let (config, mut ours, mut bare) = sides().await?;
    let store = Outbox::connect(config).await?;
    for batch in [100, 1_000] {
        let by_us = async || {
            enqueue_all(&mut ours, (0..batch).map(|_| event()).collect()).await?;
            timed(claim_and_settle(&store, batch)).await
        };
        let by_hand = async || {
            bare.insert_many(&(0..batch).map(|_| bare_event()).collect::<Vec<_>>())
                .await?;
            timed(bare.claim_and_settle(batch)).await
        };
        let what = format!("claimed and settled, {batch} at a time");
        side_by_side(NAME, &what, BARE, amount.pairs / 3, by_us, by_hand).await?;
    }
    let by_us = async || {
        enqueue_all(&mut ours, (0..RELAYED).map(|_| event()).collect()).await?;
        relay(store.clone(), RELAYED).await
    };
    let by_hand = async || {
        bare.insert_many(&(0..RELAYED).map(|_| bare_event()).collect::<Vec<_>>()).await?;
        let all = async {
            bare.claim_and_settle(RELAYED / 2).await?;
            bare.claim_and_settle(RELAYED / 2).await
        };
        timed(all).await
    };
    side_by_side(NAME, THROUGH_RELAY, BARE, amount.pairs / 3, by_us, by_hand).await
}

async fn receive(amount: Amount) -> Outcome {
    let (_, mut ours, mut bare) = sides().await?;
    let inbox_config =
        InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)?;
    let by_us = async || {
        let delivery = Delivery::new(event(), ());
        let received = async {
            let Receipt::New(first) =
                inbox::receive(ours.transaction().await?, delivery, &inbox_config)
                    .await?
            else {
                return Err("the event was never received".into());
            };
            let _committed = first.commit().await?;
            Ok(())
        };
        timed(received).await
    };
    let by_hand = async || {
        let event = bare_event();
        let received = async {
            let transaction = bare.client.transaction().await?;
            transaction
                .execute(&bare.receive, &[&event.source_system, &event.id])
                .await?;
            Ok(transaction.commit().await?)
        };
        timed(received).await
    };
    side_by_side(
        NAME,
        "received and committed, 1 in a transaction",
        BARE,
        amount.pairs,
        by_us,
        by_hand,
    )
    .await
}

/// How a claim depends on what stands beside the events that it takes.
async fn depths(amount: Amount) -> Outcome {
    for (state, status, due, key) in [
        ("that are due", "'pending'", "now()", "NULL"),
        ("that wait for their retry", "'pending'", "now() + interval '1 day'", "NULL"),
        (
            "that wait behind a dead letter of their key",
            "CASE n WHEN 1 THEN 'failed' ELSE 'pending' END",
            "now() - interval '1 hour'",
            "'key'",
        ),
        ("that are done", "'acknowledged'", "NULL::timestamptz", "NULL"),
    ] {
        let mut stores = Vec::new();
        for depth in amount.depths {
            let (config, client) = fresh(&format!("depth_{depth}")).await?;
            let mut bare = Bare::new(client).await?;
            bare.insert_many(&(0..CLAIM).map(|_| bare_event()).collect::<Vec<_>>())
                .await?;
            bare.client
                .batch_execute(&format!(
                    "INSERT INTO outbox_event (id, event_type, source_system, payload, status, attempts, due_at, \
                       done_at, ordering_key) \
                     SELECT 'evt-' || n, 'crm.lead.created', 'crm', repeat('x', 250)::bytea, {status}, \
                       CASE {status} WHEN 'pending' THEN 0 ELSE 1 END, \
                       CASE {status} WHEN 'failed' THEN NULL ELSE {due} END, \
                       CASE {status} WHEN 'acknowledged' THEN now() END, {key} \
                     FROM generate_series(1, {depth}) AS n"
                ))
                .await?;
            let store = Outbox::connect(config).await?;
            put_aside(&store).await?;
            bare.client.batch_execute("VACUUM ANALYZE outbox_event").await?;
            stores.push(store);
        }
        claims_at_depths(NAME, state, amount, &stores).await?;
    }
    Ok(())
}

/// How a claim depends on a snapshot that was taken before all the events that have come
/// and gone since.
async fn old_snapshot(amount: Amount) -> Outcome {
    let young = claims_under_churn(amount, false).await?;
    let old = claims_under_churn(amount, true).await?;
    println!(
        "| {NAME}: a claim beside a snapshot that is {} events old, beside none | {:.2} | at most 1.5 |",
        amount.pairs * CLAIM,
        old / young
    );
    Ok(())
}

/// The median time of the last third of many claims, each of whose events is settled.
async fn claims_under_churn(amount: Amount, beside_old: bool) -> Outcome<f64> {
    let (config, mut ours) = fresh("churn").await?;
    let store = Outbox::connect(config.clone()).await?;
    let mut other = connect(&config).await?;
    let snapshot = other
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .await?;
    if beside_old {
        snapshot.query("SELECT count(*) FROM outbox_event", &[]).await?;
    }
    let mut times = Vec::with_capacity(amount.pairs);
    for _ in 0..amount.pairs {
        enqueue_all(&mut ours, (0..CLAIM).map(|_| event()).collect()).await?;
        let start = Instant::now();
        let claimed = store.claim(&order(CLAIM)).await?;
        times.push(start.elapsed().as_secs_f64());
        let settlements: Vec<_> =
            claimed.claims.into_iter().map(|claim| claim.acknowledge()).collect();
        assert!(store.settle(&settlements).await?.is_empty());
    }
    snapshot.commit().await?;
    Ok(median(times.split_off(amount.pairs * 2 / 3)))
}
