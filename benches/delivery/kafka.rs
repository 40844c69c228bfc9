//! Relay and consumer on Kafka, beside its bare client.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use integration_automation_patterns::RetryPolicy;
use integration_automation_patterns::broker::kafka::{Kafka, KafkaConfig};
use integration_automation_patterns::broker::{Broker as _, Consumer as _};
use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::outbox::sqlite::Outbox;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rusqlite::params;

use super::sqlite::{BareRelay, begin, connect, fill, fresh};
use super::{Amount, EventId, Outcome, PAYLOAD, event, ratio, servers};

/// How many are on their way at once, on each side.
const IN_FLIGHT: usize = 100;

pub(super) async fn measure(amount: Amount) -> Outcome {
    let servers = format!("127.0.0.1:{}", servers::kafka());
    let topic = format!("bench-{}", EventId::generate());
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &servers);
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
    admin.create_topics([&new], &AdminOptions::new()).await?;
    let kafka = Kafka::new(&servers, KafkaConfig::new(&topic))?;
    kafka.send(&event().dispatch()).await?;
    let (pairs, events) = (amount.pairs / 15, amount.pairs / 5 * 300);
    let bare = Bare::new(&config, &topic)?;
    send(&kafka, &bare, pairs, events).await?;
    relay(&kafka, &bare, pairs, events).await?;
    consume(&kafka, &config, &topic, pairs, events).await?;
    admin.delete_topics(&[&topic], &AdminOptions::new()).await?;
    Ok(())
}

fn tell(what: &str, beside: &str, ratio: f64, reach: &str) {
    println!(
        "| Kafka: events per second {what}, beside {beside} | {ratio:.2} | {reach} |"
    );
}

/// The client alone, with the adapter's settings that cost or save time.
struct Bare {
    producer: FutureProducer,
    topic: String,
    /// Those of an event, but for its id.
    headers: Vec<(String, String)>,
}

impl Bare {
    fn new(config: &ClientConfig, topic: &str) -> Outcome<Self> {
        let event = CloudEvent::of(&event());
        let headers = event.headers(Binding::Kafka).filter(|(name, _)| name != "ce_id");
        Ok(Self {
            producer: config
                .clone()
                .set("acks", "all")
                .set("enable.idempotence", "true")
                .set("linger.ms", "1")
                .create()?,
            topic: topic.to_owned(),
            headers: headers.map(|(name, value)| (name, value.into_owned())).collect(),
        })
    }

    /// Sends the records of events, and waits until each is confirmed.
    async fn send(&self, mut ids: impl Iterator<Item = String>) -> Outcome {
        let mut on_their_way = FuturesUnordered::new();
        loop {
            while on_their_way.len() < IN_FLIGHT
                && let Some(id) = ids.next()
            {
                let mut headers =
                    OwnedHeaders::new().insert(Header { key: "ce_id", value: Some(&id) });
                for (name, value) in &self.headers {
                    headers = headers.insert(Header { key: name, value: Some(value) });
                }
                let record = FutureRecord::to(&self.topic)
                    .key(&id)
                    .payload(PAYLOAD)
                    .headers(headers);
                on_their_way
                    .push(self.producer.send_result(record).map_err(|(error, _)| error)?);
            }
            let Some(delivered) = on_their_way.next().await else { return Ok(()) };
            delivered?.map_err(|(error, _)| error)?;
        }
    }

    async fn send_fresh(&self, events: usize) -> Outcome<Duration> {
        let start = Instant::now();
        self.send((0..events).map(|_| EventId::generate().to_string())).await?;
        Ok(start.elapsed())
    }
}

/// The adapter's sending side alone.
async fn send(kafka: &Kafka, bare: &Bare, pairs: usize, events: usize) -> Outcome {
    let by_us = async || {
        let events: Vec<_> = (0..events).map(|_| event().dispatch()).collect();
        let (mut sends, mut on_their_way) =
            (events.iter().map(|event| kafka.send(event)), FuturesUnordered::new());
        let start = Instant::now();
        loop {
            on_their_way.extend(sends.by_ref().take(IN_FLIGHT - on_their_way.len()));
            let Some(confirmed) = on_their_way.next().await else {
                return Ok(start.elapsed());
            };
            confirmed?;
        }
    };
    let sent = ratio(pairs, by_us, async || bare.send_fresh(events).await).await?;
    tell(
        &format!("sent with {IN_FLIGHT} in flight"),
        "the bare client",
        sent,
        "at least 0.8",
    );
    Ok(())
}

/// A relay of ours, one by hand, the client without a database, and the statements
/// without a broker.
async fn relay(kafka: &Kafka, bare: &Bare, pairs: usize, events: usize) -> Outcome {
    let (file, bare_file) = (fresh("relay_kafka")?, fresh("relay_kafka_bare")?);
    let (mut business, store) = (connect(&file)?, Outbox::open(&file)?);
    let (mut bare_business, bare_relay) =
        (connect(&bare_file)?, BareRelay::new(connect(&bare_file)?));
    let mut by_us = async || {
        fill(&mut business, events)?;
        let config = RelayConfig::default()
            .in_flight(IN_FLIGHT)
            .poll_interval(Duration::from_millis(1));
        let relay = Relay::new("bench", store.clone(), kafka.clone(), config)?;
        let start = Instant::now();
        let summary = relay.run_until_idle(std::future::pending::<()>()).await;
        assert_eq!(summary.acknowledged, u64::try_from(events)?);
        Ok(start.elapsed())
    };
    let mut by_hand = async |sends: bool| {
        fill(&mut bare_business, events)?;
        let start = Instant::now();
        for _ in 0..events / IN_FLIGHT {
            let (token, claims) = bare_relay.claim(IN_FLIGHT).await?;
            if sends {
                bare.send(claims.iter().map(|claim| claim.id.clone())).await?;
            }
            bare_relay.settle(token, claims).await?;
        }
        Ok(start.elapsed())
    };
    let mut client = async || bare.send_fresh(events).await;
    let ours = format!("from a SQLite outbox through a relay with {IN_FLIGHT} in flight");
    let beside_both = ratio(pairs, &mut by_us, async || by_hand(true).await).await?;
    tell(
        &ours,
        "the bare statements and the bare client in turn",
        beside_both,
        "at least 0.8",
    );
    let beside_client = ratio(pairs, &mut by_us, &mut client).await?;
    tell(
        &ours,
        "the bare client, which reads and writes no rows",
        beside_client,
        "at least 0.8",
    );
    let statements = ratio(pairs, async || by_hand(false).await, &mut client).await?;
    tell(
        "of the bare statements alone",
        "the bare client",
        statements,
        "a bound for the row above",
    );
    Ok(())
}

/// The time from the first event of a new group on: both write the same row in a
/// transaction of its own, and have offsets committed in the background.
async fn consume(
    kafka: &Kafka,
    config: &ClientConfig,
    topic: &str,
    pairs: usize,
    events: usize,
) -> Outcome {
    let (mut ours, mut bare) =
        (connect(&fresh("consume_ours")?)?, connect(&fresh("consume_bare")?)?);
    let inbox_config =
        InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)?;
    let by_us = async || {
        ours.execute("DELETE FROM inbox_event", [])?;
        let mut listener = kafka.listen(EventId::generate().to_string())?;
        let mut start = None;
        for _ in 0..=events {
            let delivery = listener.next().await?.ok_or("no delivery")?;
            start.get_or_insert_with(Instant::now);
            inbox::process(&mut ours, delivery, &inbox_config, |_, _| Ok(()))?
                .settle()
                .await?;
        }
        let time = start.map(|start| start.elapsed()).unwrap_or_default();
        listener.close().await;
        Ok(time)
    };
    let by_hand = async || {
        bare.execute("DELETE FROM inbox_event", [])?;
        let mut config = config.clone();
        config
            .set("group.id", EventId::generate().to_string())
            .set("auto.offset.reset", "earliest");
        config
            .set("enable.auto.offset.store", "false")
            .set("auto.commit.interval.ms", "100");
        let consumer: StreamConsumer = config.create()?;
        consumer.subscribe(&[topic])?;
        let mut start = None;
        for _ in 0..=events {
            let message = consumer.recv().await?;
            start.get_or_insert_with(Instant::now);
            let transaction = begin(&mut bare)?;
            let id = format!("{} {}", message.partition(), message.offset());
            let millis = message.timestamp().to_millis();
            transaction
                .prepare_cached(
                    "INSERT INTO inbox_event (source_system, id, received_at, status, attempts) \
                     VALUES ('crm', ?1, ?2, 'processed', 1) ON CONFLICT DO NOTHING",
                )?
                .execute(params![id, millis])?;
            transaction.commit()?;
            consumer.store_offset_from_message(&message)?;
        }
        let time = start.map(|start| start.elapsed()).unwrap_or_default();
        tokio::task::spawn_blocking(move || drop(consumer)).await?;
        Ok(time)
    };
    let received = ratio(pairs, by_us, by_hand).await?;
    tell(
        "into a SQLite inbox",
        "the bare client and the bare statement",
        received,
        "at least 0.9",
    );
    Ok(())
}
