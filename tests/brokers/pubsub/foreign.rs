//! A program of another house, by Google's own library for Python: we read what it sends,
//! and it reads what we send.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use integration_automation_patterns::broker::{Broker, Consumer};
use serde_json::{Value, json};

use super::answers::{answer, event};
use super::*;
use crate::suite::in_time;

/// What the peer prints, one JSON value a line.
fn peer(verb: &str, place: &str, input: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brokers/pubsub");
    let mut peer = Command::new(servers::pubsub_python())
        .arg(folder.join("peer.py"))
        .args([verb, place])
        .env("PUBSUB_EMULATOR_HOST", local(servers::pubsub()).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    peer.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pub/Sub"]
async fn another_house_reads_what_we_send_and_we_what_it_sends() {
    in_time(async {
        let topic = Topic::create(true).await;
        let home = local(servers::pubsub());
        topic.broker(home).send(&event("1", Some("lead-7"))).await.unwrap();
        let received =
            tokio::task::block_in_place(|| peer("receive", &topic.subscription(), ""));
        let [message] = &received[..] else { panic!("{received:?}") };
        assert_eq!((&message["data"], &message["key"]), (&json!("{}"), &json!("lead-7")));
        let attributes = &message["attributes"];
        assert_eq!(attributes["ce-specversion"], "1.0");
        assert_eq!((&attributes["ce-id"], &attributes["ce-source"]), (&json!("1"), &json!("crm")));
        assert_eq!(attributes["content-type"], "application/json");

        let event = json!({
            "specversion": "1.0", "id": "A234", "source": "//shop.example.com/orders",
            "type": "com.example.order.placed", "data": { "order": 7 },
        });
        let structured = json!({
            "data": event.to_string(),
            "attributes": { "content-type": "application/cloudevents+json; charset=UTF-8" },
        });
        let binary = json!({
            "data": "<order/>",
            "attributes": {
                "ce-specversion": "1.0", "ce-id": "A235", "ce-source": "//shop.example.com",
                "ce-type": "com.example.order.placed", "ce-datacontenttype": "text/xml",
            },
        });
        let lines = format!("{structured}\n{binary}\n");
        tokio::task::block_in_place(|| peer("send", &topic.name(), &lines));
        let mut listener = topic.listener(home);
        for (id, data) in [("A234", r#"{"order":7}"#), ("A235", "<order/>")] {
            let delivery = listener.next().await.unwrap().unwrap();
            assert_eq!(delivery.facts().id().to_string(), id);
            assert_eq!(delivery.facts().event_type(), "com.example.order.placed");
            assert_eq!(delivery.facts().payload().bytes(), data.as_bytes());
            answer(delivery).await.unwrap();
        }
        drop(listener);
        topic.delete().await;
    })
    .await;
}
