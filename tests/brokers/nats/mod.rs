//! The suite on NATS, and what is JetStream's own.

mod durable;
mod frozen;
mod login;
mod loss;
mod messages;
mod own;
mod place;
mod released;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
mod without_tls;

use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use integration_automation_patterns::broker::nats::{Acker, Listener, Nats, NatsConfig};
use integration_automation_patterns::broker::{
    Broker, BrokerError, BrokerErrorKind, Consumer,
};
use integration_automation_patterns::{Envelope, RawEvent};
use uuid::Uuid;

use super::servers;
use super::suite::{Server, in_time, refusal, the_first_failing};

struct JetStream {
    stream: String,
    context: Context,
}

impl JetStream {
    async fn without_a_stream() -> Self {
        let client =
            async_nats::connect(format!("127.0.0.1:{}", servers::nats())).await.unwrap();
        Self {
            stream: format!("test-{}", Uuid::now_v7().simple()),
            context: jetstream::new(client),
        }
    }

    fn subject(&self, event_type: &str) -> String {
        format!("{}.{event_type}", self.stream)
    }

    async fn stored(&self) -> u64 {
        self.context.get_stream(&self.stream).await.unwrap().cached_info().state.messages
    }
}

impl Server for JetStream {
    type Broker = Nats;
    type Acker = Acker;
    type Consumer = Listener;
    const TOO_LARGE: usize = 1024 * 1024; // the server's default, and the headers go on top

    async fn fresh() -> Self {
        let server = Self::without_a_stream().await;
        server
            .broker(server.address())
            .create_stream(Duration::from_secs(60))
            .await
            .unwrap();
        server
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], servers::nats()))
    }

    fn broker(&self, address: SocketAddr) -> Nats {
        Nats::new(&address.to_string(), NatsConfig::new(&self.stream)).unwrap()
    }

    async fn consumer_at(&self, address: SocketAddr) -> Listener {
        self.broker(address)
            .listen("erp")
            .unwrap()
            .ack_wait(Duration::from_secs(2))
            .unwrap()
    }

    async fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) {
        let mut written = async_nats::HeaderMap::new();
        for (name, value) in headers {
            written.insert(*name, *value);
        }
        let subject = format!("{}.foreign", self.stream);
        self.context
            .publish_with_headers(subject, written, body.to_vec().into())
            .await
            .unwrap()
            .await
            .unwrap();
    }

    fn header(attribute: &str) -> String {
        format!("ce-{attribute}")
    }

    fn place(&self) -> [String; 2] {
        [format!("nats://{}", self.address()), format!("{}/erp", self.stream)]
    }

    async fn remove(self) {
        self.context.delete_stream(&self.stream).await.unwrap();
    }
}

crate::suite_on!(JetStream, #[ignore = "needs NATS with JetStream"]);
crate::suite_on!(counted JetStream, #[ignore = "needs NATS with JetStream"]);
crate::suite_on!(unordered JetStream, #[ignore = "needs NATS with JetStream"]);
crate::suite_on!(lossy JetStream, #[ignore = "needs NATS with JetStream"]);
#[cfg(feature = "postgres")]
crate::suite_on!(postgres JetStream, #[ignore = "needs NATS with JetStream and PostgreSQL"]);
#[cfg(feature = "postgres")]
crate::suite_on!(postgres lossy JetStream, #[ignore = "needs NATS with JetStream and PostgreSQL"]);

fn event(
    event_type: &'static str,
) -> Envelope<integration_automation_patterns::state::Dispatched> {
    Envelope::builder("crm", RawEvent::new(event_type, b"{}"))
        .id("1".parse().unwrap())
        .build()
        .unwrap()
        .dispatch()
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn a_second_send_within_the_window_is_stored_once() {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
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
async fn without_a_stream_the_reason_says_what_to_create() {
    in_time(async {
        let server = JetStream::without_a_stream().await;
        let broker = server.broker(server.address());
        let stream = &server.stream;
        let reason =
            format!("no stream takes in {stream}.a.b: create the stream {stream}, or let it have this subject");
        assert_eq!(broker.send(&event("a.b")).await, Err(BrokerError::unavailable(reason)));
        broker.create_stream(Duration::from_secs(60)).await.unwrap();
        broker.create_stream(Duration::from_secs(60)).await.unwrap(); // it is there
        broker.send(&event("a.b")).await.unwrap();
        let refused = broker.create_stream(Duration::from_secs(90)).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Permanent), "{refused:?}");
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn a_listener_for_some_types_gets_no_other() {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        broker.send(&event("crm.lead.created")).await.unwrap();
        let other = Envelope::builder("crm", RawEvent::new("crm.order.placed", b"{}"))
            .build()
            .unwrap()
            .dispatch();
        broker.send(&other).await.unwrap();
        let mut listener =
            broker.listen("billing").unwrap().filter_subject("crm.order.>").unwrap();
        let delivery = listener.next().await.unwrap().unwrap();
        assert_eq!(delivery.facts().event_type(), "crm.order.placed");
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS with JetStream"]
async fn with_one_unanswered_a_retry_changes_no_order() {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        for id in ["1", "2"] {
            let event =
                Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
                    .id(id.parse().unwrap());
            broker.send(&event.build().unwrap().dispatch()).await.unwrap();
        }
        let mut listener = server.consumer().await.max_ack_pending(1).unwrap();
        assert_eq!(the_first_failing(&mut listener, 3).await, ["1", "1", "2"]);
        server.remove().await;
    })
    .await;
}
