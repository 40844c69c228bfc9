//! What a stream deleted before its consumer had read it is reported, once.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use integration_automation_patterns::broker::nats::{Acker, Listener};
use integration_automation_patterns::broker::{
    Broker, BrokerErrorKind, Consumer, Delivery, Lost,
};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
use rusqlite::Connection;

use super::super::suite::{Server, in_time};
use super::JetStream;

/// A stream that keeps three messages, and how to send it so many.
async fn short() -> JetStream {
    let server = JetStream::without_a_stream().await;
    let short = Config {
        name: server.stream.clone(),
        subjects: vec![format!("{}.>", server.stream)],
        max_messages: 3,
        duplicate_window: Duration::from_secs(60),
        ..Config::default()
    };
    server.context.create_stream(short).await.unwrap();
    server
}

async fn send(server: &JetStream, events: std::ops::RangeInclusive<u32>) {
    let broker = server.broker(server.address());
    for number in events {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .id(number.to_string().parse().unwrap());
        broker.send(&event.build().unwrap().dispatch()).await.unwrap();
    }
}

async fn ack(delivery: Delivery<Acker>) {
    let mut inbox = Connection::open_in_memory().unwrap();
    inbox::install(&mut inbox).unwrap();
    let config =
        InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT).unwrap();
    let handled = inbox::process(&mut inbox, delivery, &config, |_, _| Ok(()));
    handled.unwrap().settle().await.unwrap();
}

/// The next event, acked; or what is gone before it.
async fn next(listener: &mut Listener) -> Result<String, Lost> {
    match listener.next().await {
        Ok(delivery) => {
            let delivery = delivery.unwrap();
            let id = delivery.facts().id().to_string();
            ack(delivery).await;
            Ok(id)
        }
        Err(error) => {
            assert_eq!(error.kind(), BrokerErrorKind::Permanent, "{error}");
            Err(error.loss().unwrap_or_else(|| panic!("{error}")).clone())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn what_was_deleted_while_nobody_listened_is_reported_once() {
    in_time(async {
        let server = short().await;
        let broker = server.broker(server.address());
        let mut listener = broker.listen("erp").unwrap();
        send(&server, 1..=2).await;
        assert_eq!(next(&mut listener).await, Ok("1".to_owned()));
        assert_eq!(next(&mut listener).await, Ok("2".to_owned()));
        drop(listener);

        send(&server, 3..=8).await; // 3, 4 and 5 are gone
        let mut listener = broker.listen("erp").unwrap();
        let lost = next(&mut listener).await.unwrap_err();
        assert_eq!((lost.from, lost.to, lost.count()), (3, 5, 3), "{lost}");
        for left in ["6", "7", "8"] {
            assert_eq!(next(&mut listener).await, Ok(left.to_owned()));
        }
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn a_consumer_that_begins_late_or_reads_some_of_it_has_lost_nothing() {
    in_time(async {
        let server = short().await;
        send(&server, 1..=8).await; // before there was a consumer
        let broker = server.broker(server.address());
        let mut listener = broker.listen("erp").unwrap();
        assert_eq!(next(&mut listener).await, Ok("6".to_owned()));
        drop(listener);

        let mut some = broker.listen("some").unwrap().filter_subject("crm.>").unwrap();
        assert_eq!(next(&mut some).await, Ok("6".to_owned()));
        send(&server, 9..=14).await;
        while next(&mut some).await.expect("what is gone may be for another") != "14" {}
        server.remove().await;
    })
    .await;
}
