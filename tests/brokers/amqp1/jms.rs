//! Another program at the other end: Qpid JMS, which ActiveMQ Artemis ships.

use std::path::Path;
use std::process::Command;

use integration_automation_patterns::broker::{Broker, Consumer};
use integration_automation_patterns::{Envelope, RawEvent};

use super::artemis::Artemis;
use super::{Peer, Queue, ack};
use crate::suite::{Server, in_time};

/// What the program printed.
fn jms(verbs: &[&str], queue: &Queue<Artemis>) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let jars = std::env::var("TEST_ARTEMIS_JARS")
        .expect("TEST_ARTEMIS_JARS, as `.ci/amqp1` sets it");
    let ran = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-cp", &jars]) // it lives for a second
        .arg(root.join("tests/support/Amqp1Peer.java"))
        .args([&Artemis::port().to_string(), &queue.name])
        .args(verbs)
        .output()
        .expect("java");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("UTF-8")
}

/// Texts and bytes are events. What else JMS has is a dead letter with its value kept, and
/// blocks nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis and its Qpid JMS"]
async fn every_kind_of_message_that_jms_sends_is_an_event_or_a_dead_letter() {
    in_time(async {
        let queue = Queue::<Artemis>::fresh().await;
        jms(&["send"], &queue);
        let mut listener = queue.consumer().await.prefetch(1).unwrap();
        for (id, body) in [("jms-text", r#"{"lead":7}"#), ("jms-bytes", r#"{"lead":8}"#)]
        {
            let delivery = listener.next().await.unwrap().unwrap();
            let found = delivery.facts();
            assert_eq!((&*found.id().to_string(), found.source_system()), (id, "java"));
            assert_eq!(found.payload().bytes(), body.as_bytes());
            let tags = ["count", "vip"].map(|name| found.tags()[name].clone());
            assert_eq!(tags, ["7", "true"], "never as Rust shows them");
            ack(delivery).await.unwrap();
        }
        let mut ids = std::collections::BTreeSet::new();
        for said in ["a map", "a sequence", "specversion", "specversion"] {
            let delivery = listener.next().await.unwrap().unwrap();
            let found = delivery.facts();
            assert_eq!(found.event_type(), "unreadable");
            let why = &found.tags()["unreadable"];
            assert!(why.contains(said), "{said}: {why}");
            ids.insert(found.id().to_string());
            ack(delivery).await.unwrap();
        }
        assert_eq!(ids.len(), 4, "each is a dead letter of its own");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis and its Qpid JMS"]
async fn jms_reads_our_events_and_selects_by_their_attributes() {
    in_time(async {
        let queue = Queue::<Artemis>::fresh().await;
        let broker = queue.broker(queue.address());
        for (id, key) in [("first", "lead-7"), ("second", "lead-8")] {
            let lead = RawEvent::new("crm.lead.created", br#"{"lead":7}"#);
            let event = Envelope::builder("crm", lead)
                .id(id.parse().unwrap())
                .ordering_key(key)
                .correlation_id("import-7");
            broker.send(&event.build().unwrap().dispatch()).await.unwrap();
        }
        let second = "cloudEvents_id = 'second' AND JMSType = 'crm.lead.created'";
        let taken = jms(&[second, "take"], &queue);
        let wanted = [("second", "lead-8"), ("first", "lead-7")].map(|(id, group)| {
            format!("text|crm.lead.created|{group}|{id}|import-7|{{\"lead\":7}}\n")
        });
        assert_eq!(taken, wanted.concat());
    })
    .await;
}
