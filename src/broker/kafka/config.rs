//! Which topic, how the cluster is spoken to, and that all of it is tried before an
//! adapter has it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;

use super::blocking::aside;
use super::client::{Context, Watch};
use super::group::Group;
#[cfg(feature = "tls")]
use super::sasl::Sasl;
use crate::broker::ConfigError;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Which topic, how long to wait for the cluster, and how it is spoken to.
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is passed to `Kafka::new`"]
pub struct KafkaConfig {
    pub(super) topic: String,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) max_message_size: u32,
    client: Vec<(String, String)>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    #[cfg(feature = "tls")]
    pub(super) sasl: Option<Sasl>,
}

impl KafkaConfig {
    /// The topic of this name; 3 s to connect, 5 s for an answer, and no message larger
    /// than 1,000,000 bytes.
    ///
    /// A send takes no longer than both together. A relay waits 10 s for it where nothing
    /// else is said: stay below, since a send that the relay gives up counts as an
    /// attempt, and one that finds the cluster gone does not.
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
            max_message_size: 1_000_000,
            client: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            sasl: None,
        }
    }

    /// How long a connection may take to be made.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How long the cluster may take to answer, from one second up. Then the attempt has
    /// failed.
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// How long a send may take: to connect, and to be answered; as part of a batch, and
    /// alone where the batch is refused.
    pub(super) const fn send_within(&self) -> Duration {
        self.connect_timeout.saturating_add(self.request_timeout)
    }

    /// The most bytes of a message, headers included. What the topic allows
    /// (`max.message.bytes`) is asked of the cluster.
    pub fn max_message_size(self, max_message_size: u32) -> Self {
        Self { max_message_size, ..self }
    }

    /// A setting of the client library itself (librdkafka), such as `compression.type`.
    /// Those on which this adapter relies, or which it has a setting of its own for, are
    /// refused.
    pub fn client_property(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.client.push((name.into(), value.into()));
        self
    }

    /// Speaks TLS, and knows the brokers by these authorities.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Says by SASL who this program is. It goes over TLS, with the authorities that the
    /// system trusts where [`tls`](Self::tls) says nothing else.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn sasl(self, sasl: Sasl) -> Self {
        Self { sasl: Some(sasl), ..self }
    }

    /// What every client of this adapter has.
    pub(super) fn common(&self, servers: &str) -> Result<ClientConfig, ConfigError> {
        if servers.split(',').any(|server| !is_address(server.trim())) {
            return Err(ConfigError::hidden(
                "list of brokers",
                "host:9092, with commas between",
            ));
        }
        is_name(&self.topic)?;
        let mut client_config = ClientConfig::new();
        client_config
            .set("bootstrap.servers", servers)
            .set("socket.keepalive.enable", "true")
            // A right, a topic or a partition that comes later is found within this time.
            .set("topic.metadata.refresh.interval.ms", "10000");
        #[cfg(feature = "tls")]
        self.secure(&mut client_config);
        for (name, value) in &self.client {
            if OURS.contains(&name.as_str()) || client_config.get(name).is_some() {
                return Err(ConfigError::new(
                    "client_property",
                    "one that this adapter does not set itself",
                    name,
                ));
            }
            client_config.set(name, value);
        }
        if client_config.get("client.id").is_none() {
            client_config.set("client.id", program());
        }
        Ok(client_config)
    }

    #[cfg(feature = "tls")]
    fn secure(&self, client_config: &mut ClientConfig) {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => return,
            (_, Some(_)) => "sasl_ssl",
            (Some(_), None) => "ssl",
        };
        client_config.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            let pem = tls.pem();
            let texts = [
                ("ssl.ca.pem", &pem.authorities),
                ("ssl.certificate.pem", &pem.certificate),
                ("ssl.key.pem", &pem.key),
            ];
            for (name, text) in texts {
                if let Some(text) = text {
                    client_config.set(name, &**text);
                }
            }
        }
        if let Some(sasl) = &self.sasl {
            sasl.set(client_config);
        }
    }

    /// A sender's configuration.
    pub(super) fn producer(&self, common: &ClientConfig) -> ClientConfig {
        let mut client_config = common.clone();
        client_config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set(
                "message.timeout.ms",
                self.request_timeout.as_millis().max(1000).to_string(),
            )
            .set("message.max.bytes", self.max_message_size.to_string())
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.ms", "1");
        client_config
    }

    /// What a client says and is told beside its configuration.
    pub(super) fn context(&self, watch: &Arc<Watch>) -> Context {
        Context {
            watch: Arc::clone(watch),
            #[cfg(feature = "tls")]
            bearer: self.sasl.as_ref().and_then(Sasl::bearer),
        }
    }

    /// Makes a sender of the configuration that connects to nothing, to see whether the
    /// client library takes it.
    pub(super) fn try_producer(
        &self,
        client_config: &ClientConfig,
    ) -> Result<(), ConfigError> {
        try_as::<BaseProducer<Context>>(client_config, self.context(&Arc::default()))
    }

    /// The same for a member of a group.
    pub(super) fn try_consumer(
        &self,
        client_config: &ClientConfig,
    ) -> Result<(), ConfigError> {
        try_as::<BaseConsumer<Context>>(client_config, self.context(&Arc::default()))
    }

    /// The configuration of a group's member.
    pub(super) fn consumer(&self, common: &ClientConfig, group: &Group) -> ClientConfig {
        let mut client_config = common.clone();
        client_config
            .set("enable.auto.commit", "true")
            // What was confirmed is stored at once, and committed in the background, at
            // revoke and when the member leaves.
            .set("auto.commit.interval.ms", "100")
            .set("enable.auto.offset.store", "false")
            // Where there is no place to go on, this adapter says so and finds one:
            // `place`.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed");
        if client_config.get("queued.max.messages.kbytes").is_none() {
            // What is read ahead of a delivery that is to be retried is read again.
            client_config.set("queued.max.messages.kbytes", "16384");
        }
        group.set(&mut client_config);
        client_config
    }
}

/// What this adapter sets, or relies on as it is, under every name that the client
/// library knows for it.
const OURS: [&str; 27] = [
    "acks",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "batch.num.messages",
    "batch.size",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "linger.ms",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.broker.list",
    "partitioner",
    "queue.buffering.max.ms",
    "request.required.acks",
    "session.timeout.ms",
    "statistics.interval.ms",
    "transactional.id",
];

fn try_as<C: FromClientConfigAndContext<Context> + Send + 'static>(
    client_config: &ClientConfig,
    context: Context,
) -> Result<(), ConfigError> {
    let mut alone = client_config.clone();
    alone.remove("bootstrap.servers");
    match alone.create_with_context::<_, C>(context) {
        Ok(client) => {
            // It waits for its threads, which would block the runtime.
            aside(move || drop(client));
            Ok(())
        }
        Err(error) => Err(refused(client_config, error)),
    }
}

/// What the client library does not take, without what may be a secret.
fn refused(client_config: &ClientConfig, error: KafkaError) -> ConfigError {
    let (name, mut why) = match error {
        KafkaError::ClientConfig(_, why, name, _) => (name, why),
        KafkaError::ClientCreation(why) => (String::new(), why),
        other => (String::new(), other.to_string()),
    };
    for name in client_config.config_map().keys().filter(|name| is_secret(name)) {
        if let Some(secret) = client_config.get(name).filter(|secret| !secret.is_empty())
        {
            why = why.replace(secret, "...");
        }
    }
    let found = if name.is_empty() || why.contains(&name) {
        why
    } else {
        format!("{name}: {why}")
    };
    ConfigError::new("client_property", "one that the client library takes", found)
}

fn is_secret(name: &str) -> bool {
    ["password", "secret", "key", "pem", "token", "jaas"]
        .iter()
        .any(|word| name.contains(word))
}

fn is_address(server: &str) -> bool {
    !server.is_empty()
        && !server
            .contains(|found: char| found.is_whitespace() || found == '/' || found == '@')
}

fn is_name(topic: &str) -> Result<(), ConfigError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_one = (1..=249).contains(&topic.len()) && topic.bytes().all(is_plain);
    is_one.then_some(()).ok_or_else(|| {
        ConfigError::new("topic", "a name of 1 to 249 of a-z, A-Z, 0-9, . _ and -", topic)
    })
}

/// What the program is called, for the cluster's logs and quotas.
fn program() -> String {
    let program = std::env::current_exe().ok();
    let name = program
        .as_ref()
        .and_then(|program| program.file_stem())
        .and_then(|name| name.to_str());
    name.unwrap_or(env!("CARGO_PKG_NAME"))
        .replace(|found: char| !found.is_ascii_alphanumeric(), "-")
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client: Vec<&str> =
            self.client.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("KafkaConfig")
            .field("topic", &self.topic)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("max_message_size", &self.max_message_size)
            .field("client", &client)
            .finish_non_exhaustive()
    }
}
