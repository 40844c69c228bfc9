//! Sends to SQS and deliveries from it, as ElasticMQ speaks it, beside the bare loops of
//! AWS's own client, in tens.

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Builder};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use aws_types::SdkConfig;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use integration_automation_patterns::broker::sqs::{Sqs, SqsConfig};
use integration_automation_patterns::broker::{Broker as _, Consumer as _};
use integration_automation_patterns::cloudevents::CloudEvent;
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::{Envelope, EventId, RetryPolicy, state};

use self::aws::queue;
use super::sqlite::{begin, connect, fresh};
use super::{Amount, Outcome, event, ratio, servers};

#[path = "../../examples/support/aws.rs"]
mod aws;

/// How many are on their way at once.
const IN_FLIGHT: usize = 100;
const TEN: usize = 10;

pub(super) async fn measure(amount: Amount) -> Outcome {
    let host = format!("127.0.0.1:{}", servers::sqs());
    let (url, aws) = queue(&host, &format!("bench-{}", EventId::generate()));
    let config = SqsConfig::default().max_message_size(256 * 1024);
    let sqs = Sqs::new(&url, &aws, config)?;
    sqs.create_queue().await?;
    let bare = Bare::new(&aws, &url);
    let (pairs, events) = (amount.pairs / 15, 1_000);
    let fresh = || (0..events).map(|_| event().dispatch()).collect::<Vec<_>>();
    let by_us = async || {
        let events = fresh();
        in_flight(events.iter().map(async |event| Ok(sqs.send(event).await?)), IN_FLIGHT)
            .await
    };
    let sent = ratio(pairs, by_us, async || bare.send(&fresh()).await).await?;
    println!(
        "| SQS: events per second sent with {IN_FLIGHT} in flight, beside the bare client \
         in tens | {sent:.2} | at least 0.7 |"
    );
    let by_us = async || {
        bare.send(&fresh()).await?;
        consume(&sqs, events).await
    };
    let by_hand = async || {
        bare.send(&fresh()).await?;
        bare.consume(events).await
    };
    let taken = ratio(pairs / 3, by_us, by_hand).await?;
    println!(
        "| SQS: events per second into a SQLite inbox, beside the bare client in tens and \
         the bare statement | {taken:.2} | at least 0.7 |"
    );
    bare.client.delete_queue().queue_url(&url).send().await?;
    Ok(())
}

/// As many as may be on their way, until all have ended; how long that takes.
async fn in_flight<S: Future<Output = Outcome>>(
    mut work: impl Iterator<Item = S>,
    most: usize,
) -> Outcome<Duration> {
    let (start, mut on_their_way) = (Instant::now(), FuturesUnordered::new());
    loop {
        on_their_way.extend(work.by_ref().take(most - on_their_way.len()));
        let Some(ended) = on_their_way.next().await else { return Ok(start.elapsed()) };
        ended?;
    }
}

/// Handles as many events as there are, each in a transaction of its own.
async fn consume(sqs: &Sqs, events: usize) -> Outcome<Duration> {
    let mut erp = connect(&fresh("sqs")?)?;
    inbox::install(&mut erp)?;
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
    let mut listener = sqs.listen();
    let (start, mut acks) = (Instant::now(), FuturesUnordered::new());
    for _ in 0..events {
        let delivery = listener.next().await?.ok_or("a delivery")?;
        let handled = inbox::process(&mut erp, delivery, &config, |_, _| Ok(()))?;
        acks.push(handled.settle());
        while acks.len() >= IN_FLIGHT {
            acks.next().await.transpose()?;
        }
    }
    while acks.next().await.transpose()?.is_some() {}
    Ok(start.elapsed())
}

/// The client alone.
struct Bare {
    client: Client,
    url: String,
}

impl Bare {
    fn new(aws: &SdkConfig, url: &str) -> Self {
        let config = Builder::from(aws).behavior_version(BehaviorVersion::latest());
        Self { client: Client::from_conf(config.build()), url: url.to_owned() }
    }

    async fn send(&self, events: &[Envelope<state::Dispatched>]) -> Outcome<Duration> {
        let request = async |ten: &[Envelope<state::Dispatched>]| {
            let mut request = self.client.send_message_batch().queue_url(&self.url);
            for (place, event) in ten.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_body(CloudEvent::of(event).to_json());
                request = request.entries(entry.build()?);
            }
            request.send().await?;
            Ok(())
        };
        in_flight(events.chunks(TEN).map(request), IN_FLIGHT / TEN).await
    }

    async fn consume(&self, events: usize) -> Outcome<Duration> {
        let mut erp = connect(&fresh("sqs-bare")?)?;
        erp.execute_batch("CREATE TABLE seen (id TEXT PRIMARY KEY, body TEXT)")?;
        let (start, mut taken) = (Instant::now(), 0);
        while taken < events {
            let request = self.client.receive_message().queue_url(&self.url);
            let answer = request.max_number_of_messages(10).send().await?;
            let mut request = self.client.delete_message_batch().queue_url(&self.url);
            for (place, message) in answer.messages().iter().enumerate() {
                let entry =
                    DeleteMessageBatchRequestEntry::builder().id(place.to_string());
                let transaction = begin(&mut erp)?;
                let row = (message.message_id(), message.body());
                transaction.execute("INSERT INTO seen VALUES (?1, ?2)", row)?;
                transaction.commit()?;
                let handle = message.receipt_handle().unwrap_or_default();
                request = request.entries(entry.receipt_handle(handle).build()?);
            }
            if !answer.messages().is_empty() {
                request.send().await?;
            }
            taken += answer.messages().len();
        }
        Ok(start.elapsed())
    }
}
