//! What others leave in a queue: an event, also where SNS has wrapped it, or a dead letter
//! that keeps the whole body.

use integration_automation_patterns::broker::{Consumer, UNREADABLE};
use integration_automation_patterns::cloudevents::CloudEvent;
use integration_automation_patterns::{Envelope, RawEvent};

use super::answers::event;
use super::*;
use crate::suite::in_time;
use integration_automation_patterns::broker::Broker as _;

const EVENT: &str = r#"{"specversion":"1.0","id":"A234-1234-1234","source":"//shop.example.com/orders","type":"com.example.order.placed","datacontenttype":"application/json","data":{"order":7}}"#;
const BY_SNS: &str = include_str!("../../data/sns_event.json");
const TEXT_BY_SNS: &str = include_str!("../../data/sns_text.json");

fn wrapped(message: &str) -> String {
    serde_json::json!({
        "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:t", "Message": message,
    })
    .to_string()
}

#[tokio::test]
#[ignore = "needs SQS"]
async fn an_event_is_read_however_it_came() {
    in_time(async {
        let queue = Queue::create(".fifo").await;
        let binary = [
            ("ce-specversion", "1.0"),
            ("ce-id", "A234-1234-1234"),
            ("ce-source", "//shop.example.com/orders"),
            ("ce-type", "com.example.order.placed"),
            ("content-type", "application/json"),
        ];
        let structured =
            [("content-type", "application/cloudevents+json; charset=utf-8")];
        let bodies: [(&[(&str, &str)], &str); 4] = [
            (&structured, EVENT),
            (&[], EVENT), // as SNS delivers it raw
            (&[], BY_SNS),
            (&binary, r#"{"order":7}"#),
        ];
        let mut listener = queue.listener(local(servers::sqs()));
        for (attributes, body) in bodies {
            queue.put(attributes, body).await;
            let delivery = listener.next().await.unwrap().unwrap();
            let found = delivery.facts();
            assert_eq!(found.id().to_string(), "A234-1234-1234", "{body}");
            assert_eq!(found.event_type(), "com.example.order.placed");
            assert_eq!(found.source_system(), "//shop.example.com/orders");
            assert_eq!(found.payload().bytes(), br#"{"order":7}"#);
            acked(delivery).await;
        }
        queue.delete().await;
    })
    .await;
}

async fn acked<A: integration_automation_patterns::broker::Ack>(
    delivery: integration_automation_patterns::broker::Delivery<A>,
) {
    super::answers::answer(delivery).await.unwrap();
}

#[tokio::test]
#[ignore = "needs SQS"]
async fn what_is_no_event_is_a_dead_letter_with_its_whole_body() {
    in_time(async {
        let queue = Queue::create(".fifo").await;
        let twice = wrapped(&wrapped(EVENT));
        let broken = wrapped(r#"{"specversion":"1.0","id":"1"}"#);
        let of_s3 = wrapped(r#"{"Records":[]}"#);
        let unconfirmed =
            BY_SNS.replace("\"Notification\"", "\"SubscriptionConfirmation\"");
        let bodies = [
            "hello",
            "[1]",
            "aGVsbG8=",
            r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#,
            r#"{"Records":[{"eventSource":"aws:s3"},{"eventSource":"aws:s3"}]}"#,
            r#"{"id":"1","detail-type":"Order Placed","source":"com.shop","detail":{}}"#,
            r#"{"Type":"Notification","TopicArn":"x","id":7}"#,
            TEXT_BY_SNS,
            &unconfirmed,
            &twice,
            &broken,
            &of_s3,
        ];
        let mut listener = queue.listener(local(servers::sqs()));
        let mut ids = std::collections::BTreeSet::new();
        for body in bodies {
            queue.put(&[], body).await;
            let delivery = listener.next().await.unwrap().unwrap();
            let found = delivery.facts();
            assert_eq!(found.event_type(), UNREADABLE, "{body}");
            assert_eq!(found.payload().bytes(), body.as_bytes());
            assert_eq!(found.source_system(), queue.name);
            assert!(found.tags()["unreadable"].contains("specversion"), "{body}");
            ids.insert(found.id().to_string());
            acked(delivery).await;
        }
        assert_eq!(ids.len(), bodies.len(), "each message is an event of its own");
        queue.delete().await;
    })
    .await;
}

/// Characters that SQS refuses in a body and in an attribute.
#[tokio::test]
#[ignore = "needs SQS"]
async fn an_event_with_characters_that_sqs_refuses_arrives() {
    in_time(async {
        let queue = Queue::create("").await;
        let broker = queue.broker(local(servers::sqs()));
        let text = "\u{fffe}\u{ffff}\u{1}\u{7f}\u{1f600}";
        let sent = Envelope::builder(
            text.to_owned(),
            RawEvent::new(text.to_owned(), format!(r#"{{"a":"{}"}}"#, '\u{fffe}')),
        )
        .id(format!("1{text}").parse().unwrap())
        .tag("note", text)
        .build()
        .unwrap()
        .dispatch();
        broker.send(&sent).await.unwrap();
        broker.send(&event("2")).await.unwrap();
        let mut listener = queue.listener(local(servers::sqs()));
        loop {
            let delivery = listener.next().await.unwrap().unwrap();
            let found = delivery.facts();
            if found.id() != sent.id() {
                continue;
            }
            assert_eq!(found.event_type(), text);
            assert_eq!(found.source_system(), text);
            assert_eq!(found.tags(), sent.tags());
            let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes);
            let payloads = (found.payload().bytes(), sent.payload().bytes());
            assert_eq!(read(payloads.0).unwrap(), read(payloads.1).unwrap());
            break;
        }
        queue.delete().await;
    })
    .await;
}

/// What we send is a CloudEvent to whoever reads the body.
#[tokio::test]
#[ignore = "needs SQS"]
async fn a_message_is_a_cloud_event_in_structured_mode() {
    in_time(async {
        let queue = Queue::create("").await;
        let sent = event("1");
        queue.broker(local(servers::sqs())).send(&sent).await.unwrap();
        let request = queue.client.receive_message().queue_url(queue.url());
        let answer = request.message_attribute_names("All").send().await.unwrap();
        let message = &answer.messages()[0];
        let body = CloudEvent::from_json(message.body().unwrap().as_bytes()).unwrap();
        assert_eq!(body, CloudEvent::of(&sent));
        let attributes = message.message_attributes().unwrap();
        let text = |name: &str| attributes[name].string_value();
        assert_eq!(text("content-type"), Some("application/cloudevents+json"));
        assert_eq!(text("ce-type"), Some("crm.lead.created"));
        queue.delete().await;
    })
    .await;
}
