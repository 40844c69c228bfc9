//! The durable consumer: made where it is missing, its operator's where it is there.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Config, pull, push};
use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};
use integration_automation_patterns::{Envelope, RawEvent};

use super::super::suite::{Server, in_time};
use super::{JetStream, event};

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn what_an_operator_has_set_stays() {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        let stream = server.context.get_stream(&server.stream).await.unwrap();
        let made = pull::Config {
            durable_name: Some("erp".to_owned()),
            description: Some("made by the operator".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(60),
            max_deliver: 3,
            max_ack_pending: 7,
            filter_subject: format!("{}.crm.lead.>", server.stream),
            ..pull::Config::default()
        };
        let before =
            stream.create_consumer(made).await.unwrap().cached_info().config.clone();
        broker.send(&event("crm.lead.created")).await.unwrap();
        let mut listener =
            broker.listen("erp").unwrap().filter_subject("crm.lead.>").unwrap();
        assert!(listener.next().await.unwrap().is_some());
        assert_eq!(stream.consumer_info("erp").await.unwrap().config, before);
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn what_is_said_and_differs_is_refused_with_both_and_changes_nothing() {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        let stream = &server.stream;
        broker.send(&event("crm.lead.created")).await.unwrap();
        let mut leads = broker.listen("erp").unwrap().filter_subject("crm.lead.>").unwrap();
        drop(leads.next().await.unwrap());
        let refused = broker.listen("erp").unwrap().filter_subject("crm.order.>").unwrap().next().await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Permanent);
        let told = format!(
            "the consumer erp of the stream {stream} was to have the filter {stream}.crm.order.>, and has \
             {stream}.crm.lead.>: change it at the server, or what filter_subject says"
        );
        assert_eq!(refused.reason(), told);
        assert_eq!(leads.next().await.unwrap().unwrap().facts().event_type(), "crm.lead.created", "the first goes on");

        let push = push::Config {
            durable_name: Some("push".to_owned()),
            deliver_subject: "somewhere".to_owned(),
            ..push::Config::default()
        };
        let found = server.context.get_stream(stream).await.unwrap();
        let before: Config = found.create_consumer(push).await.unwrap().cached_info().config.clone();
        let refused = broker.listen("push").unwrap().next().await.unwrap_err();
        assert!(refused.reason().contains("was to be a pull consumer, and is a push consumer"), "{refused}");
        assert_eq!(found.consumer_info("push").await.unwrap().config, before);

        let patient = pull::Config {
            durable_name: Some("patient".to_owned()),
            max_deliver: 3,
            backoff: vec![Duration::from_secs(1), Duration::from_secs(60)],
            ..pull::Config::default()
        };
        let before = found.create_consumer(patient).await.unwrap().cached_info().config.clone();
        let minute = broker.listen("patient").unwrap().ack_wait(Duration::from_secs(60));
        let refused = minute.unwrap().next().await.unwrap_err();
        assert!(
            refused.reason().contains("was to have ack_wait 60s, and has 1s at the least, by its"),
            "{refused}"
        );
        assert_eq!(found.consumer_info("patient").await.unwrap().config, before);
        let second = broker.listen("patient").unwrap().ack_wait(Duration::from_secs(1));
        assert!(second.unwrap().next().await.unwrap().is_some());
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn a_consumer_that_is_deleted_is_made_anew() {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        let mut listener = broker.listen("erp").unwrap();
        broker.send(&event("crm.lead.created")).await.unwrap();
        drop(listener.next().await.unwrap());
        server
            .context
            .get_stream(&server.stream)
            .await
            .unwrap()
            .delete_consumer("erp")
            .await
            .unwrap();
        while listener.next().await.is_err() {}
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn settings_are_tried_where_they_are_made() {
    let broker = JetStream::without_a_stream()
        .await
        .broker(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let listener = || broker.listen("erp").unwrap();
    for pattern in ["", "a..b", "a b", "a.>.b"] {
        let refused = listener().filter_subject(pattern).unwrap_err().to_string();
        assert!(refused.contains(&format!("found {pattern:?}")), "{refused}");
    }
    for wait in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let refused = listener().ack_wait(wait).unwrap_err().to_string();
        assert!(refused.contains("between 100ms and a year"), "{refused}");
    }
    assert!(listener().max_ack_pending(0).is_err());
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn what_waits_for_an_answer_to_another_is_held_back_and_a_consumer_that_is_not_there_is_said()
 {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        for event_type in ["a", "b", "c"] {
            let event = Envelope::builder("crm", RawEvent::new(event_type, b"{}"));
            broker.send(&event.build().unwrap().dispatch()).await.unwrap();
        }
        let mut listener = server.consumer().await.max_ack_pending(1).unwrap();
        let missing = listener.lag().await.unwrap_err();
        assert_eq!(missing.kind(), BrokerErrorKind::Unavailable, "{missing}");
        assert!(
            missing.reason().contains("erp")
                && missing.reason().contains("is not there yet"),
            "{missing}"
        );
        let _held = listener.next().await.unwrap().unwrap();
        let lag = listener.lag().await.unwrap().remove(0);
        assert_eq!((lag.behind, lag.held_back), (3, 2), "{lag}");
        assert!(lag.waits_for.is_some_and(|it| it.contains("max_ack_pending")), "{lag}");
        server.remove().await;
    })
    .await;
}

/// Protects a worker whose handlers take longer than the server waits.
#[test]
fn a_listener_says_how_long_the_server_waits() {
    let address = "nats://127.0.0.1:4222";
    let nats = Nats::new(address, NatsConfig::new("crm")).unwrap();
    let listener = nats.listen("erp").unwrap();
    assert_eq!(Consumer::ack_wait(&listener), Some(Duration::from_secs(30)));
    let minute = Duration::from_secs(60);
    let patient = listener.ack_wait(minute).unwrap();
    assert_eq!(Consumer::ack_wait(&patient), Some(minute));
}
