//! What a program decides: which queue or topic, what the server needs to be told, how
//! long to wait for it, and how large a message may be.

use std::time::Duration;

use crate::broker::ConfigError;
use crate::broker::wait::check_wait;
#[cfg(feature = "tls")]
use crate::tls::Tls;

const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Which queue or topic, and what its server needs to be told.
///
/// ```
/// use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
///
/// let news = Amqp1Config::topic("news").topic_prefix("topic://"); // ActiveMQ Classic
/// assert!(Amqp1::new("amqp://127.0.0.1", news).is_ok());
///
/// let orders = Amqp1Config::queue("orders").topic_prefix("topic://");
/// assert_eq!(
///     Amqp1::new("amqp://127.0.0.1", orders).unwrap_err().to_string(),
///     "the topic_prefix: expected none, since this is a queue, found \"topic://\""
/// );
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until it is passed to `Amqp1::new`"]
pub struct Amqp1Config {
    pub(super) address: String,
    pub(super) kind: Kind,
    pub(super) topic_prefix: String,
    pub(super) virtual_host: Option<String>,
    pub(super) duplicate_ids: bool,
    pub(super) partition_keys: bool,
    pub(super) nack_as: NackAs,
    pub(super) connect_timeout: Duration,
    pub(super) max_message_size: usize,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

/// A server that is asked for neither may make up either: ActiveMQ Artemis takes events
/// for a topic that it makes on the spot, accepts them, and keeps none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Queue,
    Topic,
}

impl Kind {
    /// The capability that asks for it, on both ends of a link.
    pub(super) const fn capability(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
        }
    }
}

/// What a listener answers to a delivery that it nacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NackAs {
    /// `released`: no server counts it but a quorum queue of RabbitMQ, so that no other
    /// takes the event away before the inbox has made all its attempts.
    #[default]
    Released,
    /// `modified`, with `delivery-failed`: the server counts it, and takes the event for
    /// a dead letter of its own when its limit is reached. Keep that limit above the
    /// inbox's attempts.
    Modified,
}

impl Amqp1Config {
    /// A queue, by the name that the server has for it. 3 s to connect, and no message
    /// larger than 16 MiB.
    ///
    /// A relay waits 10 s for a send where nothing else is said. Stay well below it: a
    /// send that it gives up counts as an attempt, and one that finds the server gone or
    /// silent does not.
    pub fn queue(name: impl Into<String>) -> Self {
        Self {
            address: name.into(),
            kind: Kind::Queue,
            topic_prefix: String::new(),
            virtual_host: None,
            duplicate_ids: false,
            partition_keys: false,
            nack_as: NackAs::Released,
            connect_timeout: Duration::from_secs(3),
            max_message_size: 16 * 1024 * 1024,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// A topic, whose subscriptions each get every event. The rest is as for a queue.
    ///
    /// A topic without a subscription accepts events, and keeps none.
    pub fn topic(name: impl Into<String>) -> Self {
        Self { kind: Kind::Topic, ..Self::queue(name) }
    }

    /// A queue or topic of Azure Service Bus: what is nacked is abandoned, so that the
    /// service counts it, and the ordering key is the partition key too. An address with
    /// a shared access key is `amqps://policy:key@namespace.servicebus.windows.net`, the
    /// key percent-encoded.
    pub fn azure_service_bus(name: impl Into<String>) -> Self {
        Self { nack_as: NackAs::Modified, partition_keys: true, ..Self::queue(name) }
    }

    /// What stands before the name of a topic at this server: `topic://` at ActiveMQ
    /// Classic, which else makes a queue of it. Only what is sent gets it: a listener
    /// names what it reads as the server spells it.
    pub fn topic_prefix(self, topic_prefix: impl Into<String>) -> Self {
        Self { topic_prefix: topic_prefix.into(), ..self }
    }

    /// The virtual host, where it is not called as the address calls the server: Qpid
    /// Broker-J and some services want its name. The name in the server's certificate is
    /// the address's all the same.
    pub fn virtual_host(self, virtual_host: impl Into<String>) -> Self {
        Self { virtual_host: Some(virtual_host.into()), ..self }
    }

    /// Whether each event carries its source and id as `_AMQ_DUPL_ID`, by which ActiveMQ
    /// Artemis recognises one that is sent again, and stores it once: within its cache,
    /// which holds the last 20,000 of an address by default.
    pub fn duplicate_ids(self, duplicate_ids: bool) -> Self {
        Self { duplicate_ids, ..self }
    }

    /// What is answered to a delivery that is nacked; `released` where nothing else is
    /// said.
    pub fn nack_as(self, nack_as: NackAs) -> Self {
        Self { nack_as, ..self }
    }

    /// How long a connection may take to be made, and a send may wait until the server
    /// takes it. A server that has taken events and answers none of them for twice as
    /// long counts as silent; a connection without a sign of it for three times as long,
    /// and at least 2 s, counts as broken. Between a millisecond and a year.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// The most bytes of a payload. Some servers say on a link what they take at most,
    /// and what is larger is refused; others (ActiveMQ, Artemis) say nothing.
    pub fn max_message_size(self, max_message_size: usize) -> Self {
        Self { max_message_size, ..self }
    }

    /// Which authorities an `amqps://` server is checked against, and which certificate
    /// it is shown. Where nothing is said, the authorities of the system.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Where events are sent to, as the server spells it.
    pub(super) fn target(&self) -> String {
        format!("{}{}", self.topic_prefix, self.address)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        is_name(self.kind.capability(), &self.address)?;
        if self.kind == Kind::Queue && !self.topic_prefix.is_empty() {
            return Err(ConfigError::new(
                "topic_prefix",
                "none, since this is a queue",
                &self.topic_prefix,
            ));
        }
        if let Some(virtual_host) = &self.virtual_host {
            is_name("virtual_host", virtual_host)?;
        }
        check_wait("connect_timeout", self.connect_timeout, SHORTEST_WAIT)?;
        if self.max_message_size == 0 {
            return Err(ConfigError::new("max_message_size", "more than none", "0"));
        }
        Ok(())
    }
}

pub(super) fn is_name(what: &'static str, name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(ConfigError::new(what, "a name without control characters", name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: Amqp1Config) -> Option<&'static str> {
        config.check().err().map(|error| error.setting())
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let orders = || Amqp1Config::queue("orders");
        assert_eq!(refused(orders()), None);
        assert_eq!(refused(Amqp1Config::queue("")), Some("queue"));
        assert_eq!(refused(Amqp1Config::topic("a\nb")), Some("topic"));
        assert_eq!(refused(orders().topic_prefix("topic://")), Some("topic_prefix"));
        assert_eq!(refused(Amqp1Config::topic("a").topic_prefix("topic://")), None);
        assert_eq!(refused(orders().virtual_host("")), Some("virtual_host"));
        for wait in [Duration::ZERO, Duration::MAX] {
            assert_eq!(refused(orders().connect_timeout(wait)), Some("connect_timeout"));
        }
        assert_eq!(refused(orders().max_message_size(0)), Some("max_message_size"));
    }

    #[test]
    fn a_topic_is_sent_to_by_its_prefix_and_asked_for_by_its_capability() {
        let news = Amqp1Config::topic("news").topic_prefix("topic://");
        assert_eq!(
            (news.target().as_str(), news.kind.capability()),
            ("topic://news", "topic")
        );
        let orders = Amqp1Config::queue("orders");
        assert_eq!(
            (orders.target().as_str(), orders.kind.capability()),
            ("orders", "queue")
        );
    }
}
