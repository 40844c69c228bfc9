//! Sending: an event is sent when Pub/Sub has given it an id. Those without an ordering
//! key that are sent at once go in one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use google_cloud_pubsub::client::{BasePublisher, Publisher};
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message;
use tokio::time::{Instant, timeout_at};

use super::server::Server;
use super::verdict;
use crate::broker::link::Link;
use crate::broker::{BrokerError, BrokerErrorKind};

/// So many requests in a row without an answer are no accident of one event.
const SILENT: u32 = 3;

/// How long an event without an ordering key waits for others to go with it.
const FOR_OTHERS: Duration = Duration::from_millis(5);

pub(super) struct Sender {
    topic: String,
    about: String,
    server: Arc<Server>,
    link: Link<Arc<Connection>>,
    /// How many requests in a row got no answer.
    unanswered: AtomicU32,
}

struct Connection {
    publisher: BasePublisher,
    /// For events without an ordering key, many in one request.
    together: Publisher,
    /// How many of its requests in a row got no answer: one that is half open is made
    /// anew, since the client would go on with it.
    unanswered: AtomicU32,
}

impl Sender {
    pub(super) fn new(topic: String, about: String, server: Arc<Server>) -> Self {
        let (link, unanswered) = (Link::default(), AtomicU32::new(0));
        Self { topic, about, server, link, unanswered }
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), BrokerError> {
        let within = self.server.within;
        let until = crate::sleep::after(within);
        let connection = self.connection(within).await?;
        if message.ordering_key.is_empty() {
            let together = &connection.together;
            let sent = self.publish(&connection, together, message.clone(), until).await;
            match sent {
                // A request is refused as a whole: alone, each event has its own verdict.
                Err(failed) if failed.kind() == BrokerErrorKind::Permanent => {}
                sent => return sent,
            }
        }
        // A publisher for this event alone. Of one ordering key, the client keeps a task
        // for as long as its publisher lives, and after a failure refuses all that follow;
        // the relay keeps the order of keys itself.
        let alone = connection
            .publisher
            .publisher(self.topic.as_str())
            .set_message_count_threshold(1_u32)
            .set_delay_threshold(Duration::ZERO)
            .build();
        self.publish(&connection, &alone, message, until).await
    }

    async fn publish(
        &self,
        connection: &Connection,
        publisher: &Publisher,
        message: Message,
        until: Instant,
    ) -> Result<(), BrokerError> {
        let failed = match timeout_at(until, publisher.publish(message)).await {
            Ok(Ok(_id)) => {
                self.unanswered.store(0, Ordering::Relaxed);
                connection.unanswered.store(0, Ordering::Relaxed);
                return Ok(());
            }
            Ok(Err(PublishError::Rpc(error))) if !verdict::is_silence(&error) => {
                self.unanswered.store(0, Ordering::Relaxed);
                connection.unanswered.store(0, Ordering::Relaxed);
                return Err(verdict::of(&self.about, &error));
            }
            Ok(Err(PublishError::Rpc(_))) | Err(_) => {
                format!("{}: no answer within {:?}", self.about, self.server.within)
            }
            Ok(Err(error)) => {
                let why = crate::reason::reason(&error);
                return Err(BrokerError::transient(format!("{}: {why}", self.about)));
            }
        };
        // A server that answers nobody is out of order, and no event is to pay for that
        // with its attempts. What it may have stored it gets again.
        connection.unanswered.fetch_add(1, Ordering::Relaxed);
        let before = self.unanswered.fetch_add(1, Ordering::Relaxed);
        Err(match before < SILENT {
            true => BrokerError::transient(failed),
            false => BrokerError::unavailable(failed),
        })
    }

    async fn connection(&self, within: Duration) -> Result<Arc<Connection>, BrokerError> {
        let (server, topic) = (Arc::clone(&self.server), self.topic.clone());
        let is_alive = |connection: &Arc<Connection>| {
            connection.unanswered.load(Ordering::Relaxed) < SILENT
        };
        let connect = async move {
            let publisher = server.publisher().await?;
            let together = publisher.publisher(topic).set_delay_threshold(FOR_OTHERS);
            Ok::<_, google_cloud_gax::client_builder::Error>(Arc::new(Connection {
                together: together.build(),
                publisher,
                unanswered: AtomicU32::new(0),
            }))
        };
        self.link.get(is_alive, within, connect).await
    }
}
