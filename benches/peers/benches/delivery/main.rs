//! The outbox on PostgreSQL beside `outbox-core` with its PostgreSQL store,
//! `graphile_worker` and `apalis`, on one server and in one run: each peer enqueues in
//! turn with ours, and then each drains.
//!
//! ```text
//! cargo bench --manifest-path benches/peers/Cargo.toml --bench delivery            # needs PostgreSQL on 127.0.0.1:5432
//! cargo bench --manifest-path benches/peers/Cargo.toml --bench delivery -- quick
//! cargo bench --manifest-path benches/peers/Cargo.toml --bench delivery -- enqueue # no drains
//! ```
//!
//! They do not promise the same, and none of the peers promises what ours does:
//!
//! | who | counted when | attempt stored before the send | history | fencing |
//! |---|---|---|---|---|
//! | ours | marked acknowledged, committed | yes, with the claim | every failed attempt, every decision | every write carries the claim's token |
//! | `outbox-core` | marked `Sent`, committed | no: it counts no attempts | none | none: `WHERE id = ANY`, whoever holds the lock |
//! | `graphile_worker` | deleted from the jobs | yes, with the lock | the last error | none: a completed job is deleted by its id |
//! | `apalis` | marked `Done`, committed | no: when its result is stored | the last result | by worker id |
//!
//! The last figures are ours to the committed effect, through the in-process broker and a
//! worker with its inbox, each effect a row in the transaction that remembers its event.
//! The handlers of the others do nothing: theirs have no such transaction.
//!
//! Each runs as its own documentation tells who wants throughput, with as many events at
//! a time as ours: 1000.

use std::error::Error;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

mod apalis_peer;
mod graphile_peer;
mod ours;
mod outbox_core_peer;

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The database that this run makes, and drops at its end.
pub const DATABASE: &str = "bench_peers";
pub const BATCH: usize = 1_000;
/// Some 250 bytes of JSON.
pub const PAYLOAD: &str = r#"{"name":"Ada Lovelace","company":"Analytical Engines","email":"ada@engines.example","phone":"+44 20 7946 0000","source":"fair","owner":"north","notes":"met at the stand; wants a call in the first week of next month, and a brochure by post"}"#;

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Lead {
    pub name: String,
    pub company: String,
    pub email: String,
    pub phone: String,
    pub source: String,
    pub owner: String,
    pub notes: String,
}

pub fn lead() -> Lead {
    serde_json::from_str(PAYLOAD).expect("the payload is a lead")
}

pub fn url(database: &str) -> String {
    let port = std::env::var("TEST_POSTGRES_PORT").unwrap_or_else(|_| "5432".to_owned());
    format!("postgres://postgres@127.0.0.1:{port}/{database}")
}

pub async fn connect(database: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(&url(database), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What is measured of each.
pub trait Peer {
    /// Enqueues one event in a transaction of its own.
    fn enqueue(&mut self) -> impl Future<Output = Outcome>;
    /// Puts many events in, by whatever way is quickest: this is not measured.
    fn fill(&mut self, events: usize) -> impl Future<Output = Outcome>;
    /// Delivers all events to a receiver that confirms at once, and stops; the time until
    /// the database says that none is left.
    fn drain(&mut self, events: usize) -> impl Future<Output = Outcome<Duration>>;
}

/// Asks the database every millisecond until a statement counts no more.
pub async fn until_none(client: &Client, count: &str) -> Outcome {
    loop {
        let left: i64 = client.query_one(count, &[]).await?.try_get(0)?;
        if left == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn enqueue(ours: &mut impl Peer, theirs: &mut impl Peer, pairs: usize) -> Outcome<f64> {
    let mut ratios = Vec::new();
    for pair in 0..=pairs {
        let (ours, theirs) = if pair % 2 == 0 {
            let time = timed(ours.enqueue()).await?;
            (time, timed(theirs.enqueue()).await?)
        } else {
            let time = timed(theirs.enqueue()).await?;
            (timed(ours.enqueue()).await?, time)
        };
        if pair > 0 {
            ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
        }
    }
    Ok(median(ratios))
}

async fn drain(ours: &mut impl Peer, theirs: &mut impl Peer, pairs: usize, events: usize) -> Outcome<f64> {
    let mut ratios = Vec::new();
    for pair in 0..=pairs {
        let (ours, theirs) = if pair % 2 == 0 {
            ours.fill(events).await?;
            let time = ours.drain(events).await?;
            theirs.fill(events).await?;
            (time, theirs.drain(events).await?)
        } else {
            theirs.fill(events).await?;
            let time = theirs.drain(events).await?;
            ours.fill(events).await?;
            (ours.drain(events).await?, time)
        };
        if pair > 0 {
            ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
        }
    }
    Ok(median(ratios))
}

async fn timed(work: impl Future<Output = Outcome>) -> Outcome<Duration> {
    let start = Instant::now();
    work.await?;
    Ok(start.elapsed())
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Amount {
    /// How often two sides enqueue, and how often they drain so many events.
    enqueues: usize,
    drains: usize,
    events: usize,
}

const IN_FULL: Amount = Amount { enqueues: 500, drains: 5, events: 20_000 };
const QUICK: Amount = Amount { enqueues: 50, drains: 1, events: 5_000 };
const ENQUEUE: Amount = Amount { drains: 0, ..IN_FULL };

async fn beside(name: &str, ours: &mut impl Peer, theirs: &mut impl Peer, amount: Amount) -> Outcome {
    let Amount { enqueues, drains, events } = amount;
    let ratio = enqueue(ours, theirs, enqueues).await?;
    println!("| events per second enqueued, 1 in a transaction, beside {name} | {ratio:.2} | above 1 |");
    // What enqueuing left goes first.
    ours.drain(enqueues + 1).await?;
    theirs.drain(enqueues + 1).await?;
    if drains == 0 {
        return Ok(());
    }
    let ratio = drain(ours, theirs, drains, events).await?;
    println!("| events per second drained, {events} at once, beside {name} | {ratio:.2} | above 1 |");
    Ok(())
}

fn main() -> Outcome {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    let amount = match (said("quick"), said("enqueue")) {
        (true, _) => QUICK,
        (_, true) => ENQUEUE,
        _ => IN_FULL,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let admin = connect("postgres").await?;
        let drop_it = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
        admin.batch_execute(&drop_it).await?;
        admin.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
        let measured = measure(amount).await;
        admin.batch_execute(&drop_it).await?;
        measured
    })
}

async fn measure(amount: Amount) -> Outcome {
    let mut ours = ours::Ours::new().await?;
    println!("| figure | measured | reach |");
    println!("|---|---|---|");
    let mut by_sqlx = ours::OnSqlx::new().await?;
    let mut theirs = outbox_core_peer::OutboxCore::new().await?;
    beside("`outbox-core`", &mut ours, &mut theirs, amount).await?;
    on_sqlx("`outbox-core`", &mut by_sqlx, &mut theirs, amount).await?;
    beside("`graphile_worker`", &mut ours, &mut graphile_peer::Graphile::new().await?, amount).await?;
    let mut theirs = apalis_peer::Apalis::new().await?;
    beside("`apalis`", &mut ours, &mut theirs, amount).await?;
    on_sqlx("`apalis`", &mut by_sqlx, &mut theirs, amount).await?;
    if amount.drains == 0 {
        return Ok(());
    }
    let mut ours = ours::ToEffect::new().await?;
    to_effect("`graphile_worker`", &mut ours, &mut graphile_peer::Graphile::new().await?, amount).await?;
    to_effect("`apalis`", &mut ours, &mut apalis_peer::Apalis::new().await?, amount).await
}

/// Ours enqueued by sqlx, beside peers that are: their statements are prepared once.
async fn on_sqlx(name: &str, ours: &mut ours::OnSqlx, theirs: &mut impl Peer, amount: Amount) -> Outcome {
    let enqueues = amount.enqueues;
    let ratio = enqueue(ours, theirs, enqueues).await?;
    println!("| events per second enqueued by sqlx, 1 in a transaction, beside {name} | {ratio:.2} | above 1 |");
    ours.drain(enqueues + 1).await?;
    theirs.drain(enqueues + 1).await?;
    Ok(())
}

/// Ours to the committed effect, beside handlers that do nothing.
async fn to_effect(name: &str, ours: &mut impl Peer, theirs: &mut impl Peer, amount: Amount) -> Outcome {
    let Amount { drains, events, .. } = amount;
    let ratio = drain(ours, theirs, drains, events).await?;
    println!("| events per second to a committed effect, {events} at once, beside {name} with an empty handler | {ratio:.2} | |");
    Ok(())
}
