//! Another program at the other end: Apache Qpid Proton.

use integration_automation_patterns::broker::{Broker, Consumer};
use integration_automation_patterns::{Envelope, RawEvent};

use super::activemq::ActiveMq;
use super::artemis::Artemis;
use super::qpid::Qpid;
#[cfg(feature = "amqp")]
use super::rabbitmq::BuiltIn;
use super::{Peer, Queue, ack, python, url};
use crate::suite::{Server, in_time};

/// What the program printed.
pub(super) fn proton(verb: &str, queue: &Queue<impl Peer>) -> String {
    let (url, name) = (url(queue.address()), queue.name.as_str());
    let ran = python("amqp1_peer.py").args([verb, &url, name]).output();
    let ran = ran.expect("python3");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("UTF-8")
}

async fn what_proton_sends_is_read<P: Peer>() {
    let queue = Queue::<P>::fresh().await;
    proton("send", &queue);
    let mut listener = queue.consumer().await;
    for id in ["proton-1", "proton-2", "proton-3", "proton-4"] {
        let delivery = listener.next().await.unwrap().unwrap();
        let found = delivery.facts();
        assert_eq!((found.id().to_string().as_str(), found.source_system()), (id, "py"));
        assert_eq!(found.payload().bytes(), br#"{"lead":7}"#);
        if id == "proton-3" {
            let at = found.created_at().to_rfc3339();
            assert_eq!(
                (at.as_str(), &*found.tags()["count"]),
                ("2026-01-05T08:00:00+00:00", "7")
            );
        }
        ack(delivery).await.unwrap();
    }
}

async fn what_we_send_proton_reads<P: Peer>() {
    let queue = Queue::<P>::fresh().await;
    let lead = RawEvent::new("crm.lead.created", br#"{"lead":7}"#);
    let event = Envelope::builder("crm", lead)
        .id("evt 1/ü".parse().unwrap())
        .ordering_key("lead-7")
        .correlation_id("import-7");
    let event = event.build().unwrap().dispatch();
    queue.broker(queue.address()).send(&event).await.unwrap();
    let found: serde_json::Value = serde_json::from_str(&proton("take", &queue)).unwrap();
    for (name, wanted) in [
        ("id", "evt 1/ü"),
        ("subject", "crm.lead.created"),
        ("content_type", "application/json"),
        ("group_id", "lead-7"),
        ("correlation_id", "import-7"),
        ("body", r#"{"lead":7}"#),
    ] {
        assert_eq!(found[name], wanted, "{name} of {found}");
    }
    assert_eq!(found["durable"], true);
    assert_eq!(found["properties"]["cloudEvents_id"], "evt 1/ü");
    assert_eq!(found["properties"]["cloudEvents_source"], "crm");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis and Qpid Proton"]
async fn proton_and_we_meet_at_artemis() {
    in_time(what_proton_sends_is_read::<Artemis>()).await;
    in_time(what_we_send_proton_reads::<Artemis>()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Classic and Qpid Proton"]
async fn proton_and_we_meet_at_activemq() {
    in_time(what_proton_sends_is_read::<ActiveMq>()).await;
    in_time(what_we_send_proton_reads::<ActiveMq>()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Qpid Broker-J and Qpid Proton"]
async fn proton_and_we_meet_at_qpid() {
    in_time(what_proton_sends_is_read::<Qpid>()).await;
    in_time(what_we_send_proton_reads::<Qpid>()).await;
}

#[cfg(feature = "amqp")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ 4 and Qpid Proton"]
async fn proton_and_we_meet_at_rabbitmq() {
    in_time(what_proton_sends_is_read::<BuiltIn>()).await;
    in_time(what_we_send_proton_reads::<BuiltIn>()).await;
}
