//! The stream: created, looked at, left alone; and what it has lost is sent again.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, RetentionPolicy, StorageType,
};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use integration_automation_patterns::{Envelope, RawEvent};

use super::super::suite::{Server, in_time, refusal};
use super::{JetStream, event};

const WINDOW: Duration = Duration::from_secs(60);

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn a_duplicate_that_the_stream_has_lost_is_stored_again_and_once() {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        broker.send(&event("crm.lead.created")).await.unwrap();
        server.context.get_stream(&server.stream).await.unwrap().purge().await.unwrap();
        for _ in 0..3 {
            broker.send(&event("crm.lead.created")).await.unwrap();
        }
        assert_eq!(server.stored().await, 1);
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn a_duplicate_that_was_consumed_is_no_second_event() {
    in_time(async {
        let server = JetStream::without_a_stream().await;
        let queue = Config {
            name: server.stream.clone(),
            subjects: vec![format!("{}.>", server.stream)],
            retention: RetentionPolicy::WorkQueue,
            duplicate_window: WINDOW,
            ..Config::default()
        };
        server.context.create_stream(queue).await.unwrap();
        let broker = server.broker(server.address());
        broker.create_stream(WINDOW).await.unwrap(); // it will do
        broker.send(&event("crm.lead.created")).await.unwrap();
        let stream = server.context.get_stream(&server.stream).await.unwrap();
        let erp = pull::Config {
            durable_name: Some("erp".to_owned()),
            ..pull::Config::default()
        };
        let erp = stream.create_consumer(erp).await.unwrap();
        let mut messages = erp.fetch().max_messages(1).messages().await.unwrap();
        let message =
            futures_util::StreamExt::next(&mut messages).await.unwrap().unwrap();
        message.double_ack().await.unwrap();
        broker.send(&event("crm.lead.created")).await.unwrap();
        assert_eq!(server.stored().await, 0, "it has had its effect");
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn a_stream_that_is_there_is_left_as_it_is() {
    in_time(async {
        let server = JetStream::without_a_stream().await;
        let made = |subjects: &str| Config {
            name: server.stream.clone(),
            subjects: vec![subjects.to_owned()],
            max_messages: 1000,
            max_age: Duration::from_secs(3600),
            duplicate_window: WINDOW,
            ..Config::default()
        };
        let narrow = format!("{}.crm.>", server.stream);
        let before = server
            .context
            .create_stream(made(&narrow))
            .await
            .unwrap()
            .cached_info()
            .config
            .clone();
        let refused = server.broker(server.address()).create_stream(WINDOW).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Permanent), "{refused:?}");
        let now = server
            .context
            .get_stream(&server.stream)
            .await
            .unwrap()
            .cached_info()
            .config
            .clone();
        assert_eq!(now, before);
        server.context.delete_stream(&server.stream).await.unwrap();

        server
            .context
            .create_stream(made(&format!("{}.>", server.stream)))
            .await
            .unwrap();
        let broker = server.broker(server.address());
        broker.create_stream(WINDOW).await.unwrap();
        for window in [Duration::from_secs(90), Duration::ZERO, Duration::MAX] {
            let refused = broker.create_stream(window).await;
            assert_eq!(
                refusal(&refused),
                Some(BrokerErrorKind::Permanent),
                "{refused:?}"
            );
        }
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn what_is_too_large_for_the_stream_alone_is_refused_for_good() {
    in_time(async {
        let server = JetStream::without_a_stream().await;
        let small = Config {
            name: server.stream.clone(),
            subjects: vec![format!("{}.>", server.stream)],
            max_message_size: 400,
            ..Config::default()
        };
        server.context.create_stream(small).await.unwrap();
        let broker = server.broker(server.address());
        let event = |body: &[u8]| {
            Envelope::builder("crm", RawEvent::new("crm.lead.created", body))
                .build()
                .unwrap()
                .dispatch()
        };
        let refused = broker.send(&event(&[b'x'; 400])).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Permanent), "{refused:?}");
        broker.send(&event(b"{}")).await.unwrap();
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn what_is_larger_than_a_whole_stream_is_refused_for_good_and_what_finds_no_room_is_not()
 {
    in_time(async {
        for storage in [StorageType::File, StorageType::Memory] {
            let server = JetStream::without_a_stream().await;
            let small = Config {
                name: server.stream.clone(),
                subjects: vec![format!("{}.>", server.stream)],
                max_bytes: 2000,
                discard: DiscardPolicy::New,
                storage,
                ..Config::default()
            };
            server.context.create_stream(small).await.unwrap();
            let broker = server.broker(server.address());
            let send = async |bytes: usize| {
                let body = vec![b'x'; bytes];
                let event =
                    Envelope::builder("crm", RawEvent::new("crm.lead.created", body))
                        .build()
                        .unwrap();
                broker.send(&event.dispatch()).await
            };
            let stream = server.context.get_stream(&server.stream).await.unwrap();
            let mut bytes = 1400; // with the headers, it fits well
            let refused = loop {
                match send(bytes).await {
                    Ok(()) => bytes += 1,
                    refused => break refused,
                }
                stream.purge().await.unwrap();
            };
            assert!((1401..2000).contains(&bytes));
            assert_eq!(
                refusal(&refused),
                Some(BrokerErrorKind::Permanent),
                "the first that never fits: {refused:?}"
            );
            send(1000).await.unwrap();
            let refused = send(1000).await;
            assert_eq!(
                refusal(&refused),
                Some(BrokerErrorKind::Unavailable),
                "{refused:?}"
            );
            server.remove().await;
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn what_a_stream_takes_of_one_type_it_takes_though_it_takes_no_other() {
    in_time(async {
        let server = JetStream::without_a_stream().await;
        let narrow = Config {
            name: server.stream.clone(),
            subjects: vec![format!("{}.crm.lead.>", server.stream)],
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            ..Config::default()
        };
        server.context.create_stream(narrow).await.unwrap();
        let broker = server.broker(server.address());
        let send = async |event_type: &'static str| {
            let event = Envelope::builder("crm", RawEvent::new(event_type, b"{}"))
                .build()
                .unwrap();
            refusal(&broker.send(&event.dispatch()).await)
        };
        assert_eq!(
            send("crm.order.placed").await,
            Some(BrokerErrorKind::Unroutable),
            "no stream has its subject"
        );
        assert_eq!(send("crm.lead.created").await, None);
        assert_eq!(
            send("crm.lead.created").await,
            Some(BrokerErrorKind::Unroutable),
            "its subject is full"
        );
        assert_eq!(send("crm.lead.updated").await, None);
        server.remove().await;
    })
    .await;
}
