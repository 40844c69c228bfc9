//! Sending: how long an event is kept, what becomes of the neighbours of a bad one, and
//! what the cluster takes nothing of.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use futures_util::future::join_all;
use integration_automation_patterns::broker::kafka::Kafka;
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::Message as _;

use super::cluster::{Cluster, event};
use crate::servers;
use crate::suite::{Server as _, in_time, refusal};

fn of_size(number: usize, size: usize, key: Option<usize>) -> Envelope<Dispatched> {
    let payload = RawEvent::new("crm.lead.created", vec![b'x'; size]);
    let event = Envelope::builder("crm", payload).id(number.to_string().parse().unwrap());
    let event = key
        .into_iter()
        .fold(event, |event, key| event.ordering_key(format!("lead-{key}")));
    event.build().unwrap().dispatch()
}

async fn alter(cluster: &Cluster, name: &str, value: &str) {
    let change =
        AlterConfig::new(ResourceSpecifier::Topic(&cluster.topic)).set(name, value);
    cluster
        .admin()
        .alter_configs(&[change], &AdminOptions::new())
        .await
        .unwrap()
        .pop()
        .unwrap()
        .unwrap();
}

/// The cluster reckons by the time of a record how long it is kept: that of an old event
/// would have it deleted at once, and one of a clock that is fast would have it refused,
/// with all beside it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn no_clock_of_an_event_decides_how_long_it_is_kept_or_whether_it_is_taken() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let days = |days| Utc::now() + chrono::TimeDelta::days(days);
        let broker = cluster.kafka();
        let events: Vec<_> = [-4000, -8, 0, 1, 4000]
            .map(|at| {
                Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
                    .build_at(days(at))
                    .unwrap()
                    .dispatch()
            })
            .into();
        for sent in join_all(events.iter().map(|event| broker.send(event))).await {
            sent.unwrap();
        }
        let consumer: StreamConsumer = cluster
            .client_config()
            .set("group.id", "check")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        consumer.subscribe(&[&cluster.topic]).unwrap();
        for _ in 0..5 {
            let stored = consumer.recv().await.unwrap().timestamp().to_millis().unwrap();
            assert!(
                Utc::now().timestamp_millis().abs_diff(stored) < 60_000,
                "the time of the send: {stored}"
            );
        }
        let mut listener = cluster.listener();
        let mut held = Vec::new();
        while held.len() < 5 {
            held.push(super::cluster::next(&mut listener).await);
        }
        let mut created: Vec<_> =
            held.iter().map(|delivery| delivery.facts().created_at()).collect();
        created.sort();
        assert_eq!(
            created,
            events.iter().map(|event| event.created_at()).collect::<Vec<_>>()
        );
        cluster.remove().await;
    })
    .await;
}

/// Good events and ones that the topic does not take, in any order and number, with keys
/// and without: the good are stored, and each of the others is refused for good.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_batch_has_no_verdict_for_the_events_in_it() {
    in_time(async {
        let sizes = proptest::collection::vec(
            (
                prop_oneof![4 => Just(5_000_usize), 1 => Just(30_000)],
                proptest::option::of(0..3_usize),
            ),
            1..60,
        );
        let mut runner = TestRunner::deterministic();
        for asked in [true, false] {
            let cluster = Cluster::with(
                1,
                &[("max.message.bytes", if asked { "20000" } else { "1000000" })],
            )
            .await;
            let broker = cluster.kafka();
            broker.send(&event("first", "")).await.unwrap();
            if !asked {
                // Lowered while the producer runs: it finds out by its batches.
                alter(&cluster, "max.message.bytes", "20000").await;
            }
            for _ in 0..6 {
                let sizes = sizes.new_tree(&mut runner).unwrap().current();
                let events: Vec<_> = sizes
                    .iter()
                    .enumerate()
                    .map(|(number, (size, key))| of_size(number, *size, *key))
                    .collect();
                let sent = join_all(events.iter().map(|event| broker.send(event))).await;
                for ((size, _), sent) in sizes.iter().zip(&sent) {
                    let wanted = (*size > 20_000).then_some(BrokerErrorKind::Permanent);
                    assert_eq!(
                        refusal(sent),
                        wanted,
                        "of {size} bytes among {sizes:?}: {sent:?}"
                    );
                }
            }
            cluster.remove().await;
        }
    })
    .await;
}

/// Says until when a broker takes nothing, and as what.
async fn taken_nothing(broker: &Kafka, wanted: &str) {
    for id in ["1", "2"] {
        let refused = broker.send(&event(id, "lead-7")).await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}");
        assert!(refused.reason().contains(wanted), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_topic_that_is_missing_is_said_and_spends_no_attempt_and_one_that_is_made_takes_events()
 {
    in_time(async {
        let cluster = Cluster::without_a_topic();
        let broker = cluster.kafka();
        taken_nothing(&broker, "Unknown topic").await;
        cluster.create(1, 1, &[]).await;
        while let Err(refused) = broker.send(&event("1", "")).await {
            assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}");
        }
        // Deleted under a producer that runs, it is the same.
        cluster
            .admin()
            .delete_topics(&[&cluster.topic], &AdminOptions::new())
            .await
            .unwrap();
        loop {
            match broker.send(&event("2", "")).await {
                Ok(()) => {}
                Err(refused) if refused.kind() == BrokerErrorKind::Unavailable => {
                    assert!(refused.reason().contains("nknown topic"), "{refused}");
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_topic_is_made_where_it_is_missing_and_left_as_it_is_where_it_is_there() {
    in_time(async {
        let cluster = Cluster::without_a_topic();
        let broker = cluster.kafka();
        broker.create_topic(3, 1).await.unwrap();
        broker.send(&event("1", "")).await.unwrap();
        broker.create_topic(7, 1).await.unwrap();
        let refused =
            Cluster::without_a_topic().kafka().create_topic(1, 9).await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}");
        assert!(refused.reason().contains("replication factor"), "{refused}");
        let consumer: StreamConsumer = cluster.client_config().create().unwrap();
        let metadata = consumer
            .fetch_metadata(Some(&cluster.topic), Duration::from_secs(10))
            .unwrap();
        assert_eq!(metadata.topics()[0].partitions().len(), 3);
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn events_of_one_key_share_a_partition_whoever_sends_them() {
    in_time(async {
        let cluster = Cluster::with(8, &[]).await;
        let broker = cluster.kafka();
        for number in 0..20 {
            broker
                .send(&event(&number.to_string(), &format!("lead-{}", number % 5)))
                .await
                .unwrap();
        }
        let consumer: StreamConsumer = cluster
            .client_config()
            .set("group.id", "check")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        consumer.subscribe(&[&cluster.topic]).unwrap();
        let mut partitions = BTreeMap::new();
        for _ in 0..20 {
            let message = consumer.recv().await.unwrap();
            let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
            assert_eq!(
                *partitions.entry(key).or_insert(message.partition()),
                message.partition()
            );
        }
        assert_eq!(partitions.len(), 5);
        cluster.remove().await;
    })
    .await;
}

/// By the sender or by the topic, which compresses anew what came otherwise.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn every_compression_is_written_and_read() {
    in_time(async {
        for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let cluster = Cluster::with(1, &[]).await;
            let config =
                cluster.config().client_property("compression.type", compression);
            let broker = Kafka::new(&cluster.servers(), config).unwrap();
            broker.send(&of_size(1, 10_000, None)).await.unwrap();
            let delivery = super::cluster::next(&mut cluster.listener()).await;
            assert_eq!(delivery.facts().payload().bytes().len(), 10_000, "{compression}");
            cluster.remove().await;
            let topic = if compression == "none" { "uncompressed" } else { compression };
            let cluster = Cluster::with(1, &[("compression.type", topic)]).await;
            cluster.kafka().send(&event("2", "")).await.unwrap();
            assert_eq!(
                super::cluster::id(&super::cluster::next(&mut cluster.listener()).await),
                "2",
                "{compression}"
            );
            cluster.remove().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_tool_of_kafkas_own_reads_what_is_sent() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        cluster.kafka().send(&event("1", "lead-7")).await.unwrap();
        let (servers, topic) = (cluster.servers(), cluster.topic.clone());
        let read = tokio::task::spawn_blocking(move || {
            let tool = "org.apache.kafka.tools.consumer.ConsoleConsumer";
            let headers = [
                "--formatter-property",
                "print.headers=true",
                "--formatter-property",
                "print.key=true",
            ];
            let place = [
                "--bootstrap-server",
                &servers,
                "--topic",
                &topic,
                "--from-beginning",
                "--max-messages",
                "1",
            ];
            servers::kafka_tool(&[&[tool], &place[..], &headers[..]].concat())
        })
        .await
        .unwrap();
        for part in ["ce_id:1", "ce_type:crm.lead.created", "\tlead-7\t{}"] {
            assert!(read.contains(part), "{read}");
        }
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_hundred_sends_to_a_topic_that_is_missing_ask_for_it_together() {
    in_time(async {
        let broker = Cluster::without_a_topic().kafka();
        let events: Vec<_> =
            (0..100).map(|number| event(&number.to_string(), "")).collect();
        let sent = tokio::time::timeout(
            Duration::from_secs(20),
            join_all(events.iter().map(|event| broker.send(event))),
        );
        for sent in sent.await.expect("one after the other, they take minutes") {
            assert_eq!(refusal(&sent), Some(BrokerErrorKind::Unavailable), "{sent:?}");
        }
    })
    .await;
}
