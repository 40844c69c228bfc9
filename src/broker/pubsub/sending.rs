//! Sending: an event is sent when Pub/Sub has given it an id. Those without an ordering
//! key that are sent at once go in one request.

use std::sync::Arc;
use std::time::Duration;

use google_cloud_gax::client_builder::Error;
use google_cloud_pubsub::client::{BasePublisher, Publisher};
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message;
use tokio::time::{Instant, timeout_at};

use super::server::Server;
use super::silence::{Mark, Silence};
use super::verdict;
use crate::broker::link::Link;
use crate::broker::{BrokerError, BrokerErrorKind};

/// How long an event without an ordering key waits for others to go with it.
const FOR_OTHERS: Duration = Duration::from_millis(5);

pub(super) struct Sender {
    topic: String,
    about: String,
    server: Arc<Server>,
    link: Link<Arc<Connection>>,
    silence: Silence,
}

struct Connection {
    publisher: BasePublisher,
    /// For events without an ordering key, many in one request.
    together: Publisher,
    /// Once it is half open, it is made anew: the client would go on with it.
    made: Mark,
}

impl Sender {
    pub(super) fn new(topic: String, about: String, server: Arc<Server>) -> Self {
        let (link, silence) = (Link::default(), Silence::default());
        Self { topic, about, server, link, silence }
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), BrokerError> {
        let within = self.server.within;
        let until = crate::sleep::after(within);
        let connection = self.connection(within).await?;
        if message.ordering_key.is_empty() {
            let (together, shared) = (&connection.together, Some(self.silence.mark()));
            let sent = publish(together, message.clone(), until).await;
            match self.judge(shared, sent) {
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
        self.judge(None, publish(&alone, message, until).await)
    }

    /// What came of a request; `shared` is when it began, where others may be in it.
    fn judge(
        &self,
        shared: Option<Mark>,
        sent: Option<Result<String, PublishError>>,
    ) -> Result<(), BrokerError> {
        let silent = match sent {
            Some(Ok(_id)) => {
                self.silence.end();
                return Ok(());
            }
            Some(Err(PublishError::Rpc(error))) if !verdict::is_silence(&error) => {
                self.silence.end();
                return Err(verdict::of(&self.about, &error));
            }
            Some(Err(PublishError::Rpc(_))) | None => {
                format!("{}: no answer within {:?}", self.about, self.server.within)
            }
            Some(Err(error)) => {
                let why = crate::reason::reason(&error);
                return Err(BrokerError::transient(format!("{}: {why}", self.about)));
            }
        };
        // A server that answers nobody is out of order, and no event is to pay for that
        // with its attempts. What it may have stored it gets again.
        Err(match self.silence.grow(shared) {
            false => BrokerError::transient(silent),
            true => BrokerError::unavailable(silent),
        })
    }

    async fn connection(&self, within: Duration) -> Result<Arc<Connection>, BrokerError> {
        let (server, topic) = (Arc::clone(&self.server), self.topic.clone());
        let is_alive =
            |connection: &Arc<Connection>| !self.silence.is_half_open(connection.made);
        let made = self.silence.mark();
        let connect = async move {
            let publisher = server.publisher().await?;
            let together = publisher.publisher(topic).set_delay_threshold(FOR_OTHERS);
            let together = together.build();
            Ok::<_, Error>(Arc::new(Connection { publisher, together, made }))
        };
        self.link.get(is_alive, within, connect).await
    }
}

/// What the client says, where it says something in time.
async fn publish(
    publisher: &Publisher,
    message: Message,
    until: Instant,
) -> Option<Result<String, PublishError>> {
    timeout_at(until, publisher.publish(message)).await.ok()
}
