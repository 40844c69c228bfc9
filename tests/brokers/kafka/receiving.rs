//! Receiving: what is deleted unread is told, where a group begins, and what a topic may
//! become while it is read.

use std::time::Duration;

use chrono::Utc;
use integration_automation_patterns::audit::{AuditRecord, AuditTrail};
use integration_automation_patterns::broker::kafka::{Begin, Group, Listener};
use integration_automation_patterns::broker::{
    Broker as _, BrokerErrorKind, Consumer as _, Lag,
};
use integration_automation_patterns::inbox::{HandlerError, sqlite as inbox};
use integration_automation_patterns::outbox::Filter;
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{Decision, Envelope, RawEvent};
use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::cluster::{Behind, Cluster, ack, event, id, inbox_config, next};
use crate::suite::{Server as _, in_time, the_first_failing};

async fn send(cluster: &Cluster, numbers: std::ops::Range<usize>) {
    let broker = cluster.kafka();
    for number in numbers {
        broker
            .send(&event(&number.to_string(), &format!("lead-{number}")))
            .await
            .unwrap();
    }
}

/// Confirms deliveries up to the one of this id.
async fn read_until(listener: &mut Listener, last: usize) {
    loop {
        let delivery = next(listener).await;
        let found = id(&delivery);
        ack(delivery).await;
        if found == last.to_string() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn what_is_deleted_before_a_group_has_read_it_is_told_once_and_the_rest_comes() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        send(&cluster, 0..100).await;
        let mut listener = cluster.listener();
        read_until(&mut listener, 9).await;
        listener.close().await;
        assert_eq!(cluster.committed(0), Some(10), "closed, it has committed");
        cluster.delete_before(0, 50).await;

        let mut listener = cluster.listener();
        let told = listener.next().await.unwrap_err();
        assert_eq!(told.kind(), BrokerErrorKind::Permanent, "{told}");
        let topic = &cluster.topic;
        let wanted = format!(
            "partition 0 of {topic}: messages 10 to 49, 40 in all, were deleted before the group {topic} had read them"
        );
        assert!(told.reason().starts_with(&wanted), "{told}");
        let lost = told.loss().expect("a value, for programs");
        assert_eq!((lost.from, lost.to, lost.count()), (10, 49, 40), "{lost}");
        assert_eq!(id(&listener.next().await.unwrap().unwrap()), "50");
        listener.close().await;
        assert_eq!(cluster.committed(0), Some(50), "told once: the group goes on behind them");
        cluster.remove().await;
    })
    .await;
}

/// An event that waits for its retry and is deleted meanwhile: the loss is told and goes
/// on record, and the inbox lists the event for a person, who can give it up.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_retry_that_was_deleted_is_on_record_and_its_event_is_for_a_person_to_decide() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        send(&cluster, 0..3).await;
        let mut database = rusqlite::Connection::open_in_memory().unwrap();
        inbox::install(&mut database).unwrap();
        let mut listener = cluster.listener();
        let first = next(&mut listener).await;
        let busy = inbox::process(&mut database, first, &inbox_config(), |_, _| {
            Err(HandlerError::transient("the ERP is busy"))
        });
        drop(busy.unwrap());
        listener.close().await;
        let mut listener = cluster.listener();
        cluster.delete_before(0, 2).await;
        let mut told = listener.next().await;
        while told.is_ok() {
            // One was read ahead: it is not confirmed.
            told = listener.next().await;
        }
        let lost = told.unwrap_err().loss().cloned().expect("a loss");
        assert_eq!((lost.from, lost.to), (0, 1), "{lost}");
        let record = lost.record("erp", Utc::now());
        let line = record.to_string();
        assert_eq!(AuditRecord::parse(&line).unwrap(), record);
        assert!(
            line.contains("action=reject system=erp")
                && line.contains("messages 0 to 1, 2 in all"),
            "{line}"
        );

        let stalled =
            inbox::stalled(&database, &Filter::default(), Duration::ZERO, 10).unwrap();
        let [stalled] = stalled.as_slice() else { panic!("{stalled:?}") };
        assert_eq!(stalled.event.id().to_string(), "0");
        let decision = Decision::new("on-call", "deleted before it was read").unwrap();
        let trail = AuditTrail::silent();
        assert!(inbox::discard(&mut database, &stalled.event, decision, &trail).unwrap());
        assert!(
            inbox::stalled(&database, &Filter::default(), Duration::ZERO, 10)
                .unwrap()
                .is_empty()
        );
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn what_is_deleted_under_a_listener_that_runs_is_told_too() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let broker = cluster.kafka();
        let large = |number: usize| {
            let payload = RawEvent::new("crm.lead.created", vec![b'x'; 900_000]);
            let event = Envelope::builder("crm", payload);
            event
                .id(number.to_string().parse().unwrap())
                .ordering_key("lead-7")
                .build()
                .unwrap()
                .dispatch()
        };
        for number in 0..40 {
            broker.send(&large(number)).await.unwrap();
        }
        // More than it reads ahead.
        let mut listener = cluster.listener();
        ack(next(&mut listener).await).await;
        cluster.delete_before(0, 40).await;
        for number in 40..42 {
            broker.send(&large(number)).await.unwrap();
        }
        let mut last = 0;
        let told = loop {
            match listener.next().await {
                Ok(delivery) => {
                    let delivery = delivery.unwrap();
                    last = id(&delivery).parse::<i64>().unwrap();
                    ack(delivery).await;
                }
                Err(told) => break told,
            }
        };
        assert!(last < 39, "it had read all ahead: the test shows nothing");
        assert_eq!(told.kind(), BrokerErrorKind::Permanent, "{told}");
        assert!(
            told.reason().contains(&format!("messages {} to 39", last + 1)),
            "{told}"
        );
        assert_eq!(id(&next(&mut listener).await), "40");
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_new_group_begins_where_it_was_told_to_and_an_old_one_where_it_was() {
    in_time(async {
        let cluster = Cluster::with(3, &[]).await;
        send(&cluster, 0..10).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let between = Utc::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        send(&cluster, 10..20).await;
        let first_ids = async |begin: Begin, count: usize| {
            let group = format!("{}-{begin:?}", cluster.topic);
            let group = Group::new(group).begin(begin);
            let mut listener = cluster.kafka().listen(group).unwrap();
            let mut ids = Vec::<usize>::new();
            while ids.len() < count {
                let delivery = next(&mut listener).await;
                ids.push(id(&delivery).parse().unwrap());
                ack(delivery).await;
            }
            ids.sort_unstable();
            ids
        };
        assert_eq!(first_ids(Begin::Earliest, 20).await, (0..20).collect::<Vec<_>>());
        assert_eq!(first_ids(Begin::At(between), 10).await, (10..20).collect::<Vec<_>>());

        let group = cluster.group().begin(Begin::Latest);
        let mut latest = cluster.kafka().listen(group.clone()).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        send(&cluster, 20..21).await;
        assert_eq!(id(&next(&mut latest).await), "20");
        // Nothing was confirmed, and what comes while nobody listens is not left out.
        latest.close().await;
        send(&cluster, 21..22).await;
        let mut latest = cluster.kafka().listen(group).unwrap();
        let mut ids = [id(&next(&mut latest).await), id(&next(&mut latest).await)];
        ids.sort();
        assert_eq!(ids, ["20", "21"]);
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_topic_that_grows_is_read_whole_soon_also_by_a_group_that_began_at_its_end() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let mut listener =
            cluster.kafka().listen(cluster.group().begin(Begin::Latest)).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        send(&cluster, 0..1).await;
        ack(next(&mut listener).await).await;
        let more = NewPartitions::new(&cluster.topic, 4);
        cluster.admin().create_partitions(&[more], &AdminOptions::new()).await.unwrap();
        send(&cluster, 1..41).await;
        let mut ids = Vec::new();
        let all = async {
            while ids.len() < 40 {
                let delivery = next(&mut listener).await;
                ids.push(id(&delivery).parse::<usize>().unwrap());
                ack(delivery).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all)
            .await
            .expect("new partitions are found within 30 s");
        ids.sort_unstable();
        assert_eq!(ids, (1..41).collect::<Vec<_>>());
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_topic_that_is_deleted_is_told_and_read_when_it_is_made_anew() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let mut listener = cluster.listener();
        send(&cluster, 0..5).await;
        read_until(&mut listener, 4).await;
        cluster
            .admin()
            .delete_topics(&[&cluster.topic], &AdminOptions::new())
            .await
            .unwrap();
        let told = listener.next().await.unwrap_err();
        assert!(told.reason().contains(&cluster.topic), "{told}");
        cluster.create(1, 1, &[]).await;
        send(&cluster, 5..8).await;
        let again =
            tokio::time::timeout(Duration::from_secs(30), read_until(&mut listener, 7));
        again.await.expect("a topic that comes again is read within 30 s");
        cluster.remove().await;
    })
    .await;
}

/// The time of a record of another program in microseconds, on a topic that takes it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_record_of_the_year_57983_stops_nobody() {
    in_time(async {
        let cluster = Cluster::with(
            1,
            &[("message.timestamp.after.max.ms", "9223372036854775807")],
        )
        .await;
        let record = FutureRecord::<(), _>::to(&cluster.topic)
            .payload("hello")
            .timestamp(1_767_600_000_000_000);
        cluster.foreign_producer().send(record, Duration::from_secs(5)).await.unwrap();
        send(&cluster, 0..1).await;
        let mut listener = cluster.listener();
        let strange = next(&mut listener).await;
        assert_eq!(strange.facts().event_type(), "unreadable");
        ack(strange).await;
        assert_eq!(id(&next(&mut listener).await), "0");
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_retry_changes_no_order_within_its_partition() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let broker = cluster.kafka();
        for id in ["1", "2", "3"] {
            broker.send(&event(id, "lead-7")).await.unwrap();
        }
        let mut listener = cluster.listener();
        assert_eq!(the_first_failing(&mut listener, 4).await, ["1", "1", "2", "3"]);
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn what_is_dropped_is_delivered_again_to_the_same_listener() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let broker = cluster.kafka();
        for id in ["1", "2"] {
            broker.send(&event(id, "lead-7")).await.unwrap();
        }
        let mut listener = cluster.listener();
        let first = next(&mut listener).await;
        assert_eq!(id(&next(&mut listener).await), "2");
        drop(first);
        assert_eq!(id(&next(&mut listener).await), "1");
        cluster.remove().await;
    })
    .await;
}

/// An event whose effect ends its process must be the first of its partition soon,
/// whatever was confirmed just before it: only of the first is it known that it may have
/// begun.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn what_a_fresh_listener_confirms_first_is_committed_before_the_next_is_handed_out()
{
    in_time(async {
        let cluster = Cluster::fresh().await;
        send(&cluster, 0..5).await;
        let mut listener = cluster.listener();
        for offset in 1..=3 {
            ack(next(&mut listener).await).await;
            assert_eq!(cluster.committed(0), Some(offset));
        }
        cluster.remove().await;
    })
    .await;
}

/// What is confirmed is committed though nobody closes the listener, and it says how far
/// it is behind.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn what_is_confirmed_is_committed_in_the_background_and_the_lag_is_known() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        send(&cluster, 0..10).await;
        let mut listener = cluster.listener();
        for _ in 0..4 {
            ack(next(&mut listener).await).await;
        }
        while cluster.committed(0) != Some(4) {
            tokio::task::yield_now().await;
        }
        let wanted = Lag::new(format!("partition 0 of {}", cluster.topic), 6);
        assert_eq!(listener.lag().await, Ok(vec![wanted.clone()]));
        // Who only looks is no member of the group, and takes nothing from whoever is.
        assert_eq!(cluster.listener().lag().await, Ok(vec![wanted]));
        cluster.remove().await;
    })
    .await;
}

/// A transaction of another program that is left open holds back what was sent after it:
/// the lag says so.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn what_an_open_transaction_of_another_holds_back_is_known() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        send(&cluster, 0..1).await;
        let mut listener = cluster.listener();
        ack(next(&mut listener).await).await;
        let foreign: FutureProducer = cluster
            .client_config()
            .set("transactional.id", &cluster.topic)
            .create()
            .unwrap();
        foreign.init_transactions(Duration::from_secs(10)).unwrap();
        foreign.begin_transaction().unwrap();
        let headers =
            OwnedHeaders::new().insert(Header { key: "colour", value: Some("red") });
        let record =
            FutureRecord::<(), _>::to(&cluster.topic).payload("held").headers(headers);
        foreign.send(record, Duration::from_secs(5)).await.unwrap();
        send(&cluster, 1..4).await;
        let none =
            tokio::time::timeout(Duration::from_millis(500), listener.next()).await;
        assert!(none.is_err(), "nothing comes past an open transaction: {none:?}");
        let lag = listener.lag().await.unwrap().remove(0);
        assert_eq!((lag.behind, lag.held_back), (4, 4), "{lag}");
        assert!(
            lag.waits_for
                .is_some_and(|it| it.starts_with("a transaction of another program")),
            "{lag}"
        );
        foreign.abort_transaction(Duration::from_secs(10)).unwrap();
        assert_eq!(
            id(&next(&mut listener).await),
            "1",
            "and nothing of what was aborted comes"
        );
        cluster.remove().await;
    })
    .await;
}

/// A retry that waits reads no more of what is behind it than the client reads ahead
/// anyhow.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_retry_that_waits_reads_no_more_than_a_bound() {
    in_time(async {
        let behind = Behind::fresh().await;
        let proxy = behind.proxy().await;
        let producer = behind.cluster.foreign_producer();
        let body = vec![b'x'; 500_000];
        for _ in 0..200 {
            let record = FutureRecord::<(), _>::to(&behind.cluster.topic).payload(&body);
            producer.send(record, Duration::from_secs(5)).await.unwrap();
        }
        let mut listener =
            behind.broker(behind.address()).listen(behind.cluster.group()).unwrap();
        let first = next(&mut listener).await;
        let of = id(&first);
        let mut database = rusqlite::Connection::open_in_memory().unwrap();
        inbox::install(&mut database).unwrap();
        let policy = RetryPolicy::new(5, Backoff::Fixed(Duration::from_secs(4))).unwrap();
        let inbox_config = inbox_config().retry_policy(policy);
        let busy = inbox::process(&mut database, first, &inbox_config, |_, _| {
            Err(HandlerError::transient("the ERP is busy"))
        });
        busy.unwrap().settle().await.unwrap();
        assert_eq!(id(&next(&mut listener).await), of);
        let read = proxy.passed();
        assert!(
            read < 60_000_000,
            "{read} of 100,000,000 bytes were read while it waited"
        );
        behind.remove().await;
    })
    .await;
}
