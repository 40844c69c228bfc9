//! From enqueue to committed effect: through a relay, a broker and a worker, from one
//! database to another. Events per second; and milliseconds, one event at a time and at
//! half of that load.

mod brokers;
mod ends;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use integration_automation_patterns::RetryPolicy;
use integration_automation_patterns::audit::{Action, AuditRecord, AuditTrail};
use integration_automation_patterns::broker::{Broker, Consumer, in_process};
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use tokio::sync::watch;

use self::ends::Ends;
use crate::{Amount, Outcome, event};

/// The events of one transaction of the producer, where many wait.
const TOGETHER: usize = 100;

/// How often the producer enqueues at half load.
const TICK: Duration = Duration::from_millis(10);

pub(super) async fn measure(amount: Amount) -> Outcome {
    on::<ends::Sqlite>(amount).await?;
    #[cfg(feature = "postgres")]
    on::<ends::Postgres>(amount).await?;
    Ok(())
}

/// One database, through each broker.
async fn on<E: Ends>(amount: Amount) -> Outcome {
    let (broker, listener) = in_process(1_000);
    through::<E>("the in-process broker", broker, listener, amount).await?;
    #[cfg(feature = "nats")]
    {
        let place = brokers::Nats::new().await?;
        let (broker, listener) = place.ends()?;
        through::<E>("NATS", broker, listener, amount).await?;
        place.remove().await?;
    }
    #[cfg(feature = "amqp")]
    {
        let place = brokers::RabbitMq::new().await?;
        let (broker, listener) = place.ends()?;
        through::<E>("RabbitMQ", broker, listener, amount).await?;
        place.remove().await?;
    }
    #[cfg(feature = "amqp1")]
    {
        let (broker, listener) = brokers::artemis()?;
        through::<E>("ActiveMQ Artemis", broker, listener, amount).await?;
    }
    #[cfg(feature = "kafka")]
    {
        let place = brokers::Kafka::new().await?;
        let (broker, listener) = place.ends()?;
        through::<E>("Kafka", broker, listener, amount).await?;
        place.remove().await?;
    }
    Ok(())
}

async fn through<E: Ends>(
    name: &str,
    broker: impl Broker,
    listener: impl Consumer<Acker: 'static> + 'static,
    amount: Amount,
) -> Outcome {
    let (mut ends, effects) = (E::fresh().await?, Effects::default());
    let (stop, stopped) = watch::channel(());
    let until = |mut stopped: watch::Receiver<()>| async move {
        drop(stopped.changed().await);
    };
    let config = RelayConfig::default().in_flight(1_000);
    let relay = Relay::new("bench", ends.outbox().await?, broker, config)?;
    let relay = tokio::spawn(relay.run(until(stopped.clone())));
    let worker = ends.work(listener, effects.config()?, until(stopped)).await?;
    let figure = |what: &str, value: f64, digits: usize| {
        println!("| {}, {name}: {what} | {value:.digits$} | |", E::NAME);
    };
    // What connects first is connected then.
    alone(&mut ends, &effects, 5).await?;
    let mut times = alone(&mut ends, &effects, amount.pairs).await?;
    figure("milliseconds from enqueue to effect, idle, p50", times.percentile(50), 1);
    figure("milliseconds from enqueue to effect, idle, p99", times.percentile(99), 1);
    let events = amount.pairs * TOGETHER;
    let a_second = events as f64 / together(&mut ends, &effects, events).await?;
    figure("events per second, from enqueue to effect", a_second, 0);
    let mut times = paced(&mut ends, &effects, events, a_second / 2.0).await?;
    figure(
        "milliseconds from enqueue to effect, half load, p50",
        times.percentile(50),
        1,
    );
    figure(
        "milliseconds from enqueue to effect, half load, p99",
        times.percentile(99),
        1,
    );
    drop(stop);
    relay.await?;
    worker.await?;
    ends.remove().await
}

/// One event at a time, with a rest before each.
async fn alone(ends: &mut impl Ends, effects: &Effects, events: usize) -> Outcome<Times> {
    let mut times = Vec::with_capacity(events);
    for _ in 0..events {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (event, start) = (event(), Instant::now());
        let id = event.id().to_string();
        ends.enqueue(vec![event]).await?;
        times.push(effects.of(&id).await?.duration_since(start));
    }
    Ok(Times(times))
}

/// As many as there are, as soon as they can; the seconds that it takes.
async fn together(
    ends: &mut impl Ends,
    effects: &Effects,
    events: usize,
) -> Outcome<f64> {
    let (start, before) = (Instant::now(), effects.count());
    for _ in 0..events / TOGETHER {
        ends.enqueue((0..TOGETHER).map(|_| event()).collect()).await?;
    }
    effects.until(before + events).await?;
    Ok(start.elapsed().as_secs_f64())
}

/// So many a second.
async fn paced(
    ends: &mut impl Ends,
    effects: &Effects,
    events: usize,
    a_second: f64,
) -> Outcome<Times> {
    let (mut sent, mut tick) = (BTreeMap::new(), tokio::time::interval(TICK));
    let (start, before) = (Instant::now(), effects.count());
    while sent.len() < events {
        let at = tick.tick().await.into_std();
        let due = (at - start + TICK).as_secs_f64() * a_second;
        let now: Vec<_> =
            (sent.len()..events.min(due as usize)).map(|_| event()).collect();
        sent.extend(now.iter().map(|event| (event.id().to_string(), at)));
        if !now.is_empty() {
            ends.enqueue(now).await?;
        }
    }
    effects.until(before + events).await?;
    let of = |(id, start): (&String, &Instant)| {
        Some(effects.0.borrow().get(id)?.duration_since(*start))
    };
    Ok(Times(sent.iter().filter_map(of).collect()))
}

/// When each event had its effect committed: the inbox says so on its audit trail.
#[derive(Clone, Default)]
struct Effects(watch::Sender<BTreeMap<String, Instant>>);

impl Effects {
    fn config(&self) -> Outcome<InboxConfig> {
        let effects = self.clone();
        let observer = Arc::new(move |record: &AuditRecord| {
            if record.action == Action::Process {
                let (id, now) = (record.event_id.to_string(), Instant::now());
                effects.0.send_modify(|effects| {
                    effects.insert(id, now);
                });
            }
            Ok(())
        });
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
        Ok(config.with_audit_trail(AuditTrail::new("bench", observer)))
    }

    fn count(&self) -> usize {
        self.0.borrow().len()
    }

    async fn until(&self, effects: usize) -> Outcome {
        let mut seen = self.0.subscribe();
        drop(seen.wait_for(|seen| seen.len() >= effects).await?);
        Ok(())
    }

    async fn of(&self, id: &str) -> Outcome<Instant> {
        let mut seen = self.0.subscribe();
        let seen = seen.wait_for(|seen| seen.contains_key(id)).await?;
        Ok(*seen.get(id).ok_or("the effect was seen")?)
    }
}

struct Times(Vec<Duration>);

impl Times {
    /// In milliseconds.
    fn percentile(&mut self, percent: usize) -> f64 {
        self.0.sort();
        let place = (self.0.len() * percent / 100).min(self.0.len() - 1);
        self.0[place].as_secs_f64() * 1e3
    }
}
