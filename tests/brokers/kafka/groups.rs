//! Groups: what one partition loses costs the others nothing, members by name, and the
//! protocol that the servers keep.

use std::time::Duration;

use integration_automation_patterns::broker::kafka::{Kafka, KafkaConfig};
use integration_automation_patterns::broker::{BrokerErrorKind, Consumer as _};

use super::cluster::{Cluster, ack, id, next};
use crate::suite::{Server as _, in_time};

/// Where one partition must find a new place, another one goes on where it was, and what
/// has no answer there is not taken for confirmed.
async fn a_loss_in_one_partition(consumer_protocol: bool) {
    let cluster = Cluster::with(2, &[]).await;
    let group = || {
        if consumer_protocol {
            cluster.group().consumer_protocol()
        } else {
            cluster.group()
        }
    };
    for number in 0..20 {
        cluster.send_to(1, &format!("gone-{number}")).await;
    }
    let mut listener = cluster.kafka().listen(group()).unwrap();
    ack(next(&mut listener).await).await;
    while cluster.committed(1) != Some(1) {
        tokio::task::yield_now().await;
    }
    listener.close().await;
    cluster.send_to(0, "first").await;
    cluster.send_to(0, "second").await;
    cluster.delete_before(1, 20).await;

    let mut listener = cluster.kafka().listen(group()).unwrap();
    let (mut held, mut told) = (Vec::new(), Vec::new());
    while held.len() < 2 || told.is_empty() {
        match listener.next().await {
            Ok(delivery) => held.push(delivery.unwrap()),
            Err(error) => told.push(error),
        }
    }
    assert_eq!(held.iter().map(id).collect::<Vec<_>>(), ["first", "second"], "each once");
    assert_eq!(told[0].kind(), BrokerErrorKind::Permanent, "{told:?}");
    assert!(told[0].reason().contains("messages 1 to 19"), "{told:?}");
    cluster.send_to(0, "third").await;
    cluster.send_to(1, "fourth").await;
    let mut more = [id(&next(&mut listener).await), id(&next(&mut listener).await)];
    more.sort();
    assert_eq!(more, ["fourth", "third"], "both partitions go on");
    // Nothing of the other partition was confirmed, and so nothing of it is committed.
    std::mem::forget(held);
    listener.close().await;
    assert!(cluster.committed(0).unwrap_or_default() == 0, "{:?}", cluster.committed(0));
    assert_eq!(cluster.committed(1), Some(20));
    cluster.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_loss_in_one_partition_costs_another_nothing() {
    in_time(a_loss_in_one_partition(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_loss_in_one_partition_costs_another_nothing_in_a_group_that_the_servers_keep()
{
    in_time(a_loss_in_one_partition(true)).await;
}

/// A member with a name that ends keeps its partitions for its session's time, and no
/// longer.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn the_partitions_of_a_named_member_wait_for_it_for_as_long_as_its_session_lasts() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        cluster.send_to(0, "1").await;
        let member = |name: &str| {
            let group =
                cluster.group().instance_id(name).session_timeout(Duration::from_secs(6));
            cluster.kafka().listen(group).unwrap()
        };
        let mut first = member("erp-1");
        ack(next(&mut first).await).await;
        first.close().await;
        cluster.send_to(0, "2").await;
        let mut again = member("erp-1");
        let delivery = next(&mut again).await;
        assert_eq!(id(&delivery), "2");
        ack(delivery).await;
        again.close().await;
        cluster.send_to(0, "3").await;
        let mut other = member("erp-2");
        let delivery =
            tokio::time::timeout(Duration::from_secs(30), next(&mut other)).await;
        assert_eq!(id(&delivery.expect("45 s are the client's own")), "3");
        cluster.remove().await;
    })
    .await;
}

/// Two of one name: the cluster ends the first one's client for good. It says so, and a
/// new one goes on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_client_that_the_cluster_has_ended_is_told_and_replaced() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        cluster.send_to(0, "1").await;
        let member =
            || cluster.kafka().listen(cluster.group().instance_id("erp-1")).unwrap();
        let mut first = member();
        ack(next(&mut first).await).await;
        let mut second = member();
        let told = loop {
            // Each makes progress only while it is asked.
            tokio::select! {
                told = first.next() => if let Err(told) = told { break told },
                _ = second.next() => {}
            }
        };
        assert!(told.reason().contains("a new one begins"), "{told}");
        assert!(told.reason().contains("ence"), "{told}");
        second.close().await;
        cluster.send_to(0, "2").await;
        assert_eq!(id(&next(&mut first).await), "2");
        cluster.remove().await;
    })
    .await;
}

/// Protects a worker whose handlers take longer than a member may be silent.
#[tokio::test]
async fn a_listener_says_how_long_a_member_may_be_silent() {
    let wait = |config: KafkaConfig| {
        let kafka = Kafka::new("127.0.0.1:9092", config).unwrap();
        kafka.listen("erp").unwrap().ack_wait()
    };
    let config = || KafkaConfig::new("crm");
    assert_eq!(wait(config()), Some(Duration::from_secs(300)));
    let patient = config().client_property("max.poll.interval.ms", "600000");
    assert_eq!(wait(patient), Some(Duration::from_secs(600)));
}
