//! Sends to Pub/Sub and deliveries from it, as cloudbox speaks it, beside the bare loops
//! of Google's own client.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::{BasePublisher, Publisher, Subscriber};
use google_cloud_pubsub::model::Message;
use integration_automation_patterns::broker::pubsub::{PubSub, PubSubConfig};
use integration_automation_patterns::broker::{Broker as _, Consumer as _};
use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::{Envelope, EventId, RetryPolicy, state};

use super::sqlite::{begin, connect, fresh};
use super::{Amount, Outcome, event, ratio, servers};

/// How many are on their way at once.
const IN_FLIGHT: usize = 100;

pub(super) async fn measure(amount: Amount) -> Outcome {
    // Nobody subscribes to the first, so that the server keeps nothing of it.
    let [sent, received] = [topic().await?, topic().await?];
    received.topic.create_subscription(&received.subscription).await?;
    let (pairs, events) = (amount.pairs / 15, 1_000);
    let fresh = || (0..events).map(|_| event().dispatch()).collect::<Vec<_>>();
    let by_us = async || {
        let events = fresh();
        in_flight(events.iter().map(async |event| Ok(sent.topic.send(event).await?)))
            .await
    };
    let by_hand = async || sent.send(&fresh()).await;
    let out = ratio(pairs, by_us, by_hand).await?;
    println!(
        "| Pub/Sub: events per second sent with {IN_FLIGHT} in flight, beside the bare \
         client | {out:.2} | at least 0.7 |"
    );
    let by_us = async || {
        received.send(&fresh()).await?;
        received.consume(events).await
    };
    let by_hand = async || {
        received.send(&fresh()).await?;
        received.consume_by_hand(events).await
    };
    let taken = ratio(pairs / 3, by_us, by_hand).await?;
    println!(
        "| Pub/Sub: events per second into a SQLite inbox, beside the bare client and the \
         bare statement | {taken:.2} | at least 0.7 |"
    );
    Ok(())
}

/// As many as may be on their way, until all have ended; how long that takes.
async fn in_flight<S: Future<Output = Outcome>>(
    mut work: impl Iterator<Item = S>,
) -> Outcome<Duration> {
    let (start, mut on_their_way) = (Instant::now(), FuturesUnordered::new());
    loop {
        on_their_way.extend(work.by_ref().take(IN_FLIGHT - on_their_way.len()));
        let Some(ended) = on_their_way.next().await else { return Ok(start.elapsed()) };
        ended?;
    }
}

/// A topic, for both sides.
struct Topic {
    topic: PubSub,
    subscription: String,
    publisher: Publisher,
    subscriber: Subscriber,
}

async fn topic() -> Outcome<Topic> {
    let address = format!("127.0.0.1:{}", servers::pubsub());
    let id = format!("bench-{}", EventId::generate());
    let name = format!("projects/tests/topics/{id}");
    let topic = PubSub::at_emulator(&address, &name, PubSubConfig::default())?;
    topic.create_topic().await?;
    let endpoint = format!("http://{address}");
    let anonymous = || anonymous::Builder::new().build();
    let publisher = BasePublisher::builder().with_endpoint(&endpoint);
    let publisher = publisher.with_credentials(anonymous()).build().await?;
    let subscriber = Subscriber::builder().with_endpoint(&endpoint);
    Ok(Topic {
        subscription: format!("projects/tests/subscriptions/{id}"),
        publisher: publisher.publisher(&name).build(),
        subscriber: subscriber.with_credentials(anonymous()).build().await?,
        topic,
    })
}

impl Topic {
    /// By the client alone.
    async fn send(&self, events: &[Envelope<state::Dispatched>]) -> Outcome<Duration> {
        in_flight(events.iter().map(async |event| {
            self.publisher.publish(message(event)).await?;
            Ok(())
        }))
        .await
    }

    /// Handles as many events as there are, each in a transaction of its own.
    async fn consume(&self, events: usize) -> Outcome<Duration> {
        let mut erp = connect(&fresh("pubsub")?)?;
        inbox::install(&mut erp)?;
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
        let mut listener = self.topic.listen(&self.subscription)?;
        let start = Instant::now();
        for _ in 0..events {
            let delivery = listener.next().await?.ok_or("a delivery")?;
            let handled = inbox::process(&mut erp, delivery, &config, |_, _| Ok(()))?;
            handled.settle().await?;
        }
        let time = start.elapsed();
        listener.close().await;
        Ok(time)
    }

    async fn consume_by_hand(&self, events: usize) -> Outcome<Duration> {
        let mut erp = connect(&fresh("pubsub-bare")?)?;
        erp.execute_batch("CREATE TABLE seen (id TEXT PRIMARY KEY, body BLOB)")?;
        let start = Instant::now();
        let mut stream = self.subscriber.subscribe(&self.subscription).build();
        for _ in 0..events {
            let (message, handler) = stream.next().await.ok_or("a message")??;
            let id = message.attributes.get("ce-id").ok_or("an id")?;
            let transaction = begin(&mut erp)?;
            transaction
                .execute("INSERT INTO seen VALUES (?1, ?2)", (id, &message.data[..]))?;
            transaction.commit()?;
            handler.ack();
        }
        let time = start.elapsed();
        stream.shutdown_token().shutdown().await;
        Ok(time)
    }
}

fn message(event: &Envelope<state::Dispatched>) -> Message {
    let event = CloudEvent::of(event);
    let headers = event.headers(Binding::RabbitMq);
    let headers = headers.map(|(name, value)| (name, value.into_owned()));
    let message = Message::new().set_attributes(headers.collect::<Vec<_>>());
    message.set_data(event.into_data())
}
