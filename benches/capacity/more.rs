//! Producers, relays and lanes of a worker, until another one no longer helps.

use std::time::Instant;

use crate::cost::{enqueue, fill, handle, relay};
use crate::database::{connect, fresh};
use crate::{Amount, Outcome};

/// Twice as many are worth it while they bring at least so much more.
const HELPS: f64 = 1.1;
const MOST: usize = 16;

/// For how many seconds this machine, client and server, has to do with one event, with as
/// many at work as help.
#[derive(Clone, Copy)]
pub(crate) struct Seconds {
    pub(crate) enqueued: f64,
    pub(crate) relayed: f64,
    pub(crate) handled: f64,
}

pub(crate) async fn measure(amount: Amount) -> Outcome<Seconds> {
    println!("\n| how many | events a second, beside 1 |\n|---|---|");
    let events = amount.events;
    let producers = async |producers| {
        let config = fresh().await?;
        let start = Instant::now();
        let share = events / producers;
        side_by_side(producers, || {
            let config = config.clone();
            async move { enqueue(&config, share).await }
        })
        .await?;
        Ok(start.elapsed().as_secs_f64())
    };
    let relays = async |relays| {
        let config = fresh().await?;
        fill(&config, events).await?;
        connect(&config).await?.batch_execute("VACUUM ANALYZE outbox_event").await?;
        let start = Instant::now();
        side_by_side(relays, || {
            let config = config.clone();
            async move { relay(&config, events).await }
        })
        .await?;
        Ok(start.elapsed().as_secs_f64())
    };
    let lanes = async |lanes| {
        let config = fresh().await?;
        let client = connect(&config).await?;
        client.batch_execute("CREATE TABLE effect (lead bytea)").await?;
        let start = Instant::now();
        handle(&config, events, Some(lanes)).await?;
        Ok(start.elapsed().as_secs_f64())
    };
    let each = |seconds: f64| seconds / events as f64;
    Ok(Seconds {
        enqueued: each(
            doubled("producers, each event in a transaction", producers).await?,
        ),
        relayed: each(doubled("relays, 1000 in flight each", relays).await?),
        handled: each(
            doubled("lanes of a worker, 50 events in a transaction", lanes).await?,
        ),
    })
}

/// Has so many tasks do the same.
async fn side_by_side<F>(many: usize, work: impl Fn() -> F) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let tasks: Vec<_> = (0..many).map(|_| tokio::spawn(work())).collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// Measures 1, 2, 4 and so on, as long as that helps; the seconds of the quickest.
async fn doubled(
    what: &str,
    seconds: impl AsyncFn(usize) -> Outcome<f64>,
) -> Outcome<f64> {
    let alone = seconds(1).await?;
    let (mut many, mut quickest) = (1, alone);
    while many < MOST {
        let now = seconds(many * 2).await?;
        println!("| {} {what} | {:.2} |", many * 2, alone / now);
        if quickest / now < HELPS {
            break;
        }
        (many, quickest) = (many * 2, now);
    }
    println!("| the most that help: {what} | {many} |");
    Ok(quickest)
}
