//! A program of another house, by AWS's own library for Python: we read what it sends,
//! and it reads what we send.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use integration_automation_patterns::broker::{Broker, Consumer};
use serde_json::{Value, json};

use super::answers::{answer, event};
use super::*;
use crate::python;
use crate::suite::in_time;

const PACKAGE: &str = "boto3==1.43.11";

/// What the peer prints, one JSON value a line.
fn peer(verb: &str, queue: &Queue, input: &str) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brokers/sqs/peer.py");
    let endpoint = format!("http://{}", local(servers::sqs()));
    let mut peer = Command::new(python::with("boto3", &[PACKAGE], "import boto3"))
        .arg(script)
        .args([verb, &endpoint, &queue.url()])
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
#[ignore = "needs SQS and PyPI"]
async fn another_house_reads_what_we_send_and_we_what_it_sends() {
    in_time(async {
        let queue = Queue::create("").await;
        queue.broker(local(servers::sqs())).send(&event("1")).await.unwrap();
        let received = tokio::task::block_in_place(|| peer("receive", &queue, ""));
        let [message] = &received[..] else { panic!("{received:?}") };
        let body = &message["body"];
        assert_eq!(body["specversion"], "1.0");
        assert_eq!((&body["id"], &body["source"]), (&json!("1"), &json!("crm")));
        assert_eq!(body["data"], json!({}));
        assert_eq!(message["attributes"]["content-type"], "application/cloudevents+json");
        assert_eq!(message["attributes"]["ce-type"], "crm.lead.created");

        let theirs = json!({
            "specversion": "1.0", "id": "A234", "source": "//shop.example.com/orders",
            "type": "com.example.order.placed", "data": { "order": 7 },
        });
        let line = json!({ "body": theirs.to_string(), "attributes": {} });
        tokio::task::block_in_place(|| peer("send", &queue, &format!("{line}\n")));
        let mut listener = queue.listener(local(servers::sqs()));
        let delivery = listener.next().await.unwrap().unwrap();
        let found = delivery.facts();
        assert_eq!(found.id().to_string(), "A234");
        assert_eq!(found.event_type(), "com.example.order.placed");
        assert_eq!(found.payload().bytes(), br#"{"order":7}"#);
        answer(delivery).await.unwrap();
        drop(listener);
        queue.delete().await;
    })
    .await;
}
