//! The figures of SQLite: each side has a file of its own, in WAL mode, with every commit
//! on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use integration_automation_patterns::broker::{Consumer as _, Delivery, in_process};
use integration_automation_patterns::inbox::{
    Handled, InboxConfig, Receipt, sqlite as inbox,
};
use integration_automation_patterns::outbox::sqlite::{self as outbox, Outbox};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::{EventId, RetryPolicy};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    Amount, BARE, BareEvent, CLAIM, Outcome, RELAYED, THROUGH_RELAY, bare_event,
    claim_and_settle, claims_at_depths, event, median, put_aside, relay, side_by_side,
    timed,
};

const NAME: &str = "SQLite";

pub(super) async fn measure(amount: Amount) -> Outcome {
    enqueue(amount).await?;
    settle(amount).await?;
    receive(amount).await?;
    depths(amount).await?;
    idle(amount).await
}

/// An idle relay: how long an event takes from its commit to the commit of its effect,
/// and how often the relay's threads wake while there is none.
async fn idle(amount: Amount) -> Outcome {
    let (file, receiver) = (fresh("idle")?, fresh("idle_receiver")?);
    let (mut business, mut receiver) = (connect(&file)?, connect(&receiver)?);
    let (broker, mut listener) = in_process(16);
    let relay =
        Relay::new("bench", Outbox::open(&file)?, broker, RelayConfig::default())?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running =
        tokio::spawn(async move { relay.run(async { drop(stopped.await) }).await });
    let inbox_config =
        InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)?;
    let mut times = Vec::with_capacity(amount.pairs);
    for _ in 0..amount.pairs {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let transaction = begin(&mut business)?;
        outbox::enqueue(&transaction, event())?;
        transaction.commit()?;
        let committed = Instant::now();
        let delivery = listener.next().await?.ok_or("no delivery")?;
        let handled =
            inbox::process(&mut receiver, delivery, &inbox_config, |_, _| Ok(()))?;
        times.push(committed.elapsed().as_secs_f64() * 1e3);
        if let Handled::Processed(committed) = handled {
            committed.ack().await?;
        }
    }
    println!(
        "| {NAME}: milliseconds from commit to effect, through an idle relay | {:.1} | at most 5 |",
        median(times)
    );
    if let Some(before) = switches() {
        const SECONDS: u32 = 10;
        tokio::time::sleep(Duration::from_secs(SECONDS.into())).await;
        let each = f64::from(switches().unwrap_or(before).saturating_sub(before))
            / f64::from(SECONDS);
        println!(
            "| {NAME}: context switches a second of an idle relay | {each:.0} | at most 20 |"
        );
    }
    drop(stop);
    running.await?;
    Ok(())
}

/// The context switches of this process so far, as Linux counts them.
fn switches() -> Option<u32> {
    let mut sum = 0_u32;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        sum +=
            counts.filter_map(|(_, count)| count.trim().parse::<u32>().ok()).sum::<u32>();
    }
    Some(sum)
}

/// A new file, of a name that no other side has.
pub(super) fn fresh(name: &str) -> Outcome<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("delivery");
    fs::create_dir_all(&folder)?;
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.join(format!("{name}.db{suffix}")));
    }
    Ok(folder.join(format!("{name}.db")))
}

pub(super) fn connect(file: &Path) -> Outcome<Connection> {
    let mut connection = Connection::open(file)?;
    outbox::install(&mut connection)?;
    inbox::install(&mut connection)?;
    Ok(connection)
}

pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

const INSERT: &str = "INSERT INTO outbox_event (id, event_type, source_system, schema_version, correlation_id, payload, tags, \
     retry_policy, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING";

fn insert(transaction: &Transaction<'_>, event: &BareEvent) -> rusqlite::Result<usize> {
    transaction.prepare_cached(INSERT)?.execute(params![
        event.id,
        event.event_type,
        event.source_system,
        event.schema_version,
        event.correlation_id,
        event.payload,
        event.tags,
        event.retry_policy,
        event.created_at.timestamp_micros(),
    ])
}

async fn enqueue(amount: Amount) -> Outcome {
    let (mut ours, mut bare) =
        (connect(&fresh("enqueue_ours")?)?, connect(&fresh("enqueue_bare")?)?);
    for batch in [1, 100] {
        let what = format!("enqueued, {batch} in a transaction");
        let by_us = async || {
            let events: Vec<_> = (0..batch).map(|_| event()).collect();
            let enqueued = async {
                let business = begin(&mut ours)?;
                for event in events {
                    outbox::enqueue(&business, event)?;
                }
                Ok(business.commit()?)
            };
            timed(enqueued).await
        };
        let by_hand = async || {
            let events: Vec<_> = (0..batch).map(|_| bare_event()).collect();
            let inserted = async {
                let business = begin(&mut bare)?;
                for event in &events {
                    insert(&business, event)?;
                }
                Ok(business.commit()?)
            };
            timed(inserted).await
        };
        side_by_side(NAME, &what, BARE, amount.pairs, by_us, by_hand).await?;
    }
    Ok(())
}

/// Puts events into the outbox.
pub(super) fn fill(connection: &mut Connection, events: usize) -> Outcome {
    let business = begin(connection)?;
    for _ in 0..events {
        insert(&business, &bare_event())?;
    }
    Ok(business.commit()?)
}

/// What a claim hands out, as a row.
#[allow(dead_code, reason = "it is read from the database, and nobody sends it")]
pub(super) struct BareClaim {
    sequence: i64,
    pub(super) id: String,
    event_type: String,
    source_system: String,
    schema_version: String,
    correlation_id: Option<String>,
    pub(super) payload: Vec<u8>,
    tags: String,
    retry_policy: String,
    created_at: i64,
    attempts: i64,
}

const FIND: &str = "SELECT sequence, id, event_type, source_system, schema_version, correlation_id, payload, tags, \
     retry_policy, created_at, attempts FROM outbox_event WHERE status IN ('pending', 'retrying') AND blocked = 0 AND due_at <= ?1 \
     ORDER BY due_at, sequence LIMIT ?2";

const TAKE: &str = "UPDATE outbox_event SET status = 'dispatched', attempts = attempts + 1, token = ?1, claimed_by = ?2, \
     claimed_at = ?3, first_sent_at = coalesce(first_sent_at, ?3), due_at = ?4 WHERE sequence = ?5";

const SETTLE: &str = "UPDATE outbox_event SET status = 'acknowledged', due_at = NULL, done_at = ?1, token = NULL \
     WHERE sequence = ?2 AND token = ?3";

/// A claim by hand. (One `UPDATE` with `RETURNING` in place of the two statements is
/// slower.)
fn claim_bare(
    connection: &mut Connection,
    batch: usize,
) -> Outcome<(String, Vec<BareClaim>)> {
    let token = EventId::generate().to_string();
    let now = chrono::Utc::now().timestamp_micros();
    let transaction = begin(connection)?;
    let claims = {
        let mut find = transaction.prepare_cached(FIND)?;
        let rows = find.query_map(params![now, i64::try_from(batch)?], |row| {
            Ok(BareClaim {
                sequence: row.get(0)?,
                id: row.get(1)?,
                event_type: row.get(2)?,
                source_system: row.get(3)?,
                schema_version: row.get(4)?,
                correlation_id: row.get(5)?,
                payload: row.get(6)?,
                tags: row.get(7)?,
                retry_policy: row.get(8)?,
                created_at: row.get(9)?,
                attempts: row.get(10)?,
            })
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()?
    };
    assert_eq!(claims.len(), batch);
    {
        let mut take = transaction.prepare_cached(TAKE)?;
        for claim in &claims {
            take.execute(params![token, "bench", now, now + 30_000_000, claim.sequence])?;
        }
    }
    transaction.commit()?;
    Ok((token, claims))
}

/// The settlement of a claim by hand, in a transaction of its own: the attempt must be
/// stored before the send.
fn settle_bare(
    connection: &mut Connection,
    token: &str,
    claims: &[BareClaim],
) -> Outcome {
    let now = chrono::Utc::now().timestamp_micros();
    let transaction = begin(connection)?;
    {
        let mut settle = transaction.prepare_cached(SETTLE)?;
        for claim in claims {
            settle.execute(params![now, claim.sequence, token])?;
        }
    }
    Ok(transaction.commit()?)
}

/// What relays by hand: like ours it has a connection of its own, as it would have a
/// process, and is off the threads of the runtime, since SQLite blocks its thread.
pub(super) struct BareRelay(Arc<Mutex<Connection>>);

impl BareRelay {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Arc::new(Mutex::new(connection)))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let connection = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().expect("no bench has panicked"))
        })
        .await?
    }

    #[cfg(feature = "kafka")]
    pub(super) async fn claim(&self, batch: usize) -> Outcome<(String, Vec<BareClaim>)> {
        self.with(move |connection| claim_bare(connection, batch)).await
    }

    #[cfg(feature = "kafka")]
    pub(super) async fn settle(&self, token: String, claims: Vec<BareClaim>) -> Outcome {
        self.with(move |connection| settle_bare(connection, &token, &claims)).await
    }

    pub(super) async fn claim_and_settle(&self, batch: usize) -> Outcome {
        self.with(move |connection| {
            let (token, claims) = claim_bare(connection, batch)?;
            settle_bare(connection, &token, &claims)
        })
        .await
    }
}

async fn settle(amount: Amount) -> Outcome {
    let (file, bare) = (fresh("settle_ours")?, fresh("settle_bare")?);
    let (mut business, store) = (connect(&file)?, Outbox::open(&file)?);
    let (mut bare_business, bare) = (connect(&bare)?, BareRelay::new(connect(&bare)?));
    for batch in [100, 1_000] {
        let by_us = async || {
            fill(&mut business, batch)?;
            timed(claim_and_settle(&store, batch)).await
        };
        let by_hand = async || {
            fill(&mut bare_business, batch)?;
            timed(bare.claim_and_settle(batch)).await
        };
        let what = format!("claimed and settled, {batch} at a time");
        side_by_side(NAME, &what, BARE, amount.pairs, by_us, by_hand).await?;
    }
    let by_us = async || {
        fill(&mut business, RELAYED)?;
        relay(store.clone(), RELAYED).await
    };
    let by_hand = async || {
        fill(&mut bare_business, RELAYED)?;
        let all = async {
            bare.claim_and_settle(RELAYED / 2).await?;
            bare.claim_and_settle(RELAYED / 2).await
        };
        timed(all).await
    };
    side_by_side(NAME, THROUGH_RELAY, BARE, amount.pairs / 3, by_us, by_hand).await
}

async fn receive(amount: Amount) -> Outcome {
    let (mut ours, mut bare) =
        (connect(&fresh("receive_ours")?)?, connect(&fresh("receive_bare")?)?);
    let inbox_config =
        InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)?;
    let by_us = async || {
        let delivery = Delivery::new(event(), ());
        let received = async {
            let Receipt::New(first) =
                inbox::receive(begin(&mut ours)?, delivery, &inbox_config)?
            else {
                return Err("the event was never received".into());
            };
            let _committed = first.commit()?;
            Ok(())
        };
        timed(received).await
    };
    let by_hand = async || {
        let event = bare_event();
        let received = async {
            let transaction = begin(&mut bare)?;
            transaction
                .prepare_cached(
                    "INSERT INTO inbox_event (source_system, id, received_at, status, attempts) \
                     VALUES (?1, ?2, ?3, 'processed', 1) ON CONFLICT DO NOTHING",
                )?
                .execute(params![event.source_system, event.id, event.created_at.timestamp_micros()])?;
            Ok(transaction.commit()?)
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
        ("that are due", "'pending'", "enqueued_at", "NULL"),
        ("that wait for their retry", "'pending'", "enqueued_at + 86400000000", "NULL"),
        (
            "that wait behind a dead letter of their key",
            "iif(n = 1, 'failed', 'pending')",
            "enqueued_at - n",
            "'key'",
        ),
        ("that are done", "'acknowledged'", "NULL", "NULL"),
    ] {
        let mut stores = Vec::new();
        for depth in amount.depths {
            let file = fresh(&format!("depth_{depth}"))?;
            let mut connection = connect(&file)?;
            fill(&mut connection, CLAIM)?;
            connection.execute(
                &format!(
                    "WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < {depth}) \
                     INSERT INTO outbox_event (id, event_type, source_system, payload, status, attempts, enqueued_at, \
                       due_at, done_at, ordering_key) \
                     SELECT printf('evt-%09d', n), 'crm.lead.created', 'crm', ?1, {status}, \
                       iif({status} = 'pending', 0, 1), enqueued_at, iif({status} = 'failed', NULL, {due}), \
                       iif({status} = 'acknowledged', enqueued_at, NULL), {key} \
                     FROM number, (SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS enqueued_at)"
                ),
                [bare_event().payload],
            )?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            drop(connection);
            let store = Outbox::open(&file)?;
            put_aside(&store).await?;
            stores.push(store);
        }
        claims_at_depths(NAME, state, amount, &stores).await?;
    }
    Ok(())
}
