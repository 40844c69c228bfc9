//! Where the tables stand and what carries the events, as the command line says it.

/// Where the tables stand.
pub(crate) enum DatabaseAt {
    Files,
    #[cfg(feature = "postgres")]
    Postgres(String),
}

/// What carries the events.
pub(crate) enum BrokerAt {
    InProcess,
    #[cfg(feature = "testing")]
    Files(std::path::PathBuf),
    #[cfg(feature = "nats")]
    Nats(String),
    #[cfg(feature = "amqp")]
    Amqp(String),
    #[cfg(feature = "amqp1")]
    Amqp1(String),
    #[cfg(feature = "kafka")]
    Kafka(String),
    #[cfg(feature = "pubsub")]
    PubSub {
        address: String,
        project: String,
    },
    #[cfg(feature = "sqs")]
    Sqs(String),
    #[cfg(feature = "webhook")]
    Webhook(String),
}

/// The feature behind each scheme of a database.
const DATABASES: &[(&str, &str)] =
    &[("postgres", "postgres"), ("postgresql", "postgres")];

/// The feature behind each scheme of a broker.
const BROKERS: &[(&str, &str)] = &[
    ("nats", "nats"),
    ("tls", "nats"),
    ("amqp", "amqp"),
    ("amqps", "amqp"),
    ("amqp1", "amqp1"),
    ("amqp1s", "amqp1"),
    ("kafka", "kafka"),
    ("pubsub", "pubsub"),
    ("sqs", "sqs"),
    ("webhook", "webhook"),
    ("file", "testing"),
];

impl DatabaseAt {
    pub(crate) fn read(url: &str) -> Result<Self, String> {
        match parts(url) {
            #[cfg(feature = "postgres")]
            ("postgres" | "postgresql", _) => Ok(Self::Postgres(url.to_owned())),
            (found, _) => Err(unknown("database", found, DATABASES)),
        }
    }
}

impl BrokerAt {
    pub(crate) fn read(url: &str) -> Result<Self, String> {
        match parts(url) {
            #[cfg(feature = "testing")]
            ("file", folder) => Ok(Self::Files(folder.into())),
            #[cfg(feature = "nats")]
            ("nats" | "tls", _) => Ok(Self::Nats(url.to_owned())),
            #[cfg(feature = "amqp")]
            ("amqp" | "amqps", _) => Ok(Self::Amqp(url.to_owned())),
            #[cfg(feature = "amqp1")]
            ("amqp1" | "amqp1s", _) => Ok(Self::Amqp1(url.replacen("amqp1", "amqp", 1))),
            #[cfg(feature = "kafka")]
            ("kafka", servers) => Ok(Self::Kafka(servers.to_owned())),
            #[cfg(feature = "pubsub")]
            ("pubsub", place) => match place.split_once('/') {
                Some((address, project)) => Ok(Self::PubSub {
                    address: address.to_owned(),
                    project: project.to_owned(),
                }),
                None => Err(format!("wanted pubsub://host:port/project; found {url:?}")),
            },
            #[cfg(feature = "sqs")]
            ("sqs", host) => Ok(Self::Sqs(host.to_owned())),
            #[cfg(feature = "webhook")]
            ("webhook", host) => Ok(Self::Webhook(host.to_owned())),
            (found, _) => Err(unknown("broker", found, BROKERS)),
        }
    }
}

/// The scheme of an address, which may be shown, and the rest, which may hold a password.
fn parts(url: &str) -> (&str, &str) {
    url.split_once("://").unwrap_or_default()
}

fn unknown(what: &str, found: &str, schemes: &[(&str, &str)]) -> String {
    match schemes.iter().find(|(scheme, _)| *scheme == found) {
        Some((_, feature)) => format!(
            "{found}://... is a {what} of the feature `{feature}`, which is off: add it \
             to --features"
        ),
        None => {
            let known: Vec<_> =
                schemes.iter().map(|(scheme, _)| format!("{scheme}://...")).collect();
            let known = known.join(", ");
            format!("wanted one of {known} as a {what}; found the scheme {found:?}")
        }
    }
}
