//! Relay and consumer on Kafka, beside its bare client.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use integration_automation_patterns::RetryPolicy;
use integration_automation_patterns::broker::kafka::{Kafka, KafkaConfig};
use integration_automation_patterns::broker::{Broker as _, Consumer as _};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::outbox::sqlite::Outbox;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rusqlite::params;

use super::sqlite::{begin, connect, fill, fresh};
use super::{Amount, EventId, Outcome, PAYLOAD, event, servers, side_by_side};

const BESIDE: &str = "the bare client";

/// How many are on their way at once, of either.
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
    let (pairs, events) = (amount.pairs / 15, amount.pairs * 60);
    relay(&kafka, &config, &topic, pairs, events).await?;
    consume(&kafka, &config, &topic, pairs, events).await?;
    admin.delete_topics(&[&topic], &AdminOptions::new()).await?;
    Ok(())
}

async fn relay(
    kafka: &Kafka,
    config: &ClientConfig,
    topic: &str,
    pairs: usize,
    events: usize,
) -> Outcome {
    let file = fresh("relay_kafka")?;
    let (mut business, store) = (connect(&file)?, Outbox::open(&file)?);
    let producer: FutureProducer =
        config.clone().set("enable.idempotence", "true").create()?;
    let by_us = async || {
        fill(&mut business, events)?;
        let config = RelayConfig::default()
            .in_flight(IN_FLIGHT)
            .poll_interval(Duration::from_millis(1));
        let relay = Relay::new("bench", store.clone(), kafka.clone(), config)?;
        let start = Instant::now();
        let summary = relay.run_until_idle(std::future::pending()).await;
        assert_eq!(summary.acknowledged, u64::try_from(events)?);
        Ok(start.elapsed())
    };
    let by_hand = async || {
        let start = Instant::now();
        let (mut on_their_way, mut sent) = (FuturesUnordered::new(), 0);
        while sent < events || !on_their_way.is_empty() {
            while sent < events && on_their_way.len() < IN_FLIGHT {
                let key = EventId::generate().to_string();
                let record = FutureRecord::to(topic).key(&key).payload(PAYLOAD);
                on_their_way
                    .push(producer.send_result(record).map_err(|(error, _)| error)?);
                sent += 1;
            }
            if let Some(delivered) = on_their_way.next().await {
                delivered?.map_err(|(error, _)| error)?;
            }
        }
        Ok(start.elapsed())
    };
    let what = format!("from a SQLite outbox through a relay with {IN_FLIGHT} in flight");
    side_by_side("Kafka", &what, BESIDE, pairs, by_us, by_hand).await
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
    // What the relay has sent has keys and headers; what the bare client has sent is
    // unreadable.
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
    side_by_side("Kafka", "into a SQLite inbox", BESIDE, pairs, by_us, by_hand).await
}
