//! Which group a listener is a member of, where a new group begins, and how members know
//! of one another.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::config::ClientConfig;

/// A group of listeners that share the partitions of a topic.
///
/// ```
/// use integration_automation_patterns::broker::kafka::{
///     Begin, Group, Kafka, KafkaConfig,
/// };
/// use std::time::Duration;
///
/// let kafka = Kafka::new("127.0.0.1:9092", KafkaConfig::new("crm"))?;
/// let group = Group::new("erp")
///     .begin(Begin::Latest)
///     .session_timeout(Duration::from_secs(10));
/// assert!(kafka.listen(group).is_ok());
/// let refused = kafka
///     .listen(
///         Group::new("erp")
///             .session_timeout(Duration::from_secs(10))
///             .consumer_protocol(),
///     )
///     .unwrap_err();
/// assert!(
///     refused.to_string().contains("session.timeout.ms"),
///     "the servers have a setting for it then"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "consumer group")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a group does nothing until it is passed to `Kafka::listen`"]
pub struct Group {
    pub(super) name: String,
    pub(super) begin: Begin,
    session_timeout: Option<Duration>,
    member: Option<String>,
    consumer_protocol: bool,
}

/// Where a group begins that has read nothing of the topic yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Begin {
    /// At the first event that the topic still has.
    #[default]
    Earliest,
    /// At what is sent from now on. A partition that is added to the topic later is read
    /// from its beginning.
    Latest,
    /// At the first event that was sent at this time or later.
    At(DateTime<Utc>),
}

impl Group {
    /// The group of this name. A new one begins at the earliest event; a member that dies
    /// without a word keeps its partitions for 45 s.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            begin: Begin::default(),
            session_timeout: None,
            member: None,
            consumer_protocol: false,
        }
    }

    /// Where a new group begins.
    pub fn begin(self, begin: Begin) -> Self {
        Self { begin, ..self }
    }

    /// How long the partitions of a member that has died stand still before the others
    /// get them (`session.timeout.ms`). The servers have bounds for it: 6 s to 30 min,
    /// where nobody has changed them.
    pub fn session_timeout(self, session_timeout: Duration) -> Self {
        Self { session_timeout: Some(session_timeout), ..self }
    }

    /// The name of this very member (`group.instance.id`). Started again within the
    /// session's time, it gets its partitions back, and no other member gets any of them
    /// meanwhile. No two that run may have the same.
    pub fn instance_id(self, member: impl Into<String>) -> Self {
        Self { member: Some(member.into()), ..self }
    }

    /// Lets the servers share the partitions out (`group.protocol=consumer`), from Kafka
    /// 4.0 on: a member that joins stops no other. The servers say how long a session
    /// lasts, and a [`session_timeout`](Self::session_timeout) is refused.
    pub fn consumer_protocol(self) -> Self {
        Self { consumer_protocol: true, ..self }
    }

    pub(super) fn set(&self, client_config: &mut ClientConfig) {
        client_config.set("group.id", &self.name);
        if let Some(time) = self.session_timeout {
            client_config.set("session.timeout.ms", time.as_millis().to_string());
        }
        if let Some(member) = &self.member {
            client_config.set("group.instance.id", member);
        }
        if self.consumer_protocol {
            client_config.set("group.protocol", "consumer");
        }
    }
}

impl From<&str> for Group {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Group {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}
