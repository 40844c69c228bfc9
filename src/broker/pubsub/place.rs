//! What is sent to and read from: the names of topics and subscriptions, and the server
//! that has them, checked where they are stated.

use crate::broker::ConfigError;

/// A topic, by its project and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) full_name: String,
    project: String,
    pub(super) id: String,
}

const TOPIC: &str = "projects/PROJECT/topics/TOPIC";
const SUBSCRIPTION: &str = "SUBSCRIPTION or projects/PROJECT/subscriptions/SUBSCRIPTION";

impl Topic {
    pub(super) fn new(full_name: &str) -> Result<Self, ConfigError> {
        let refused = || ConfigError::new("topic", TOPIC, full_name);
        let (project, id) = parts(full_name, "topics").ok_or_else(refused)?;
        Ok(Self {
            full_name: full_name.to_owned(),
            project: project.to_owned(),
            id: id.to_owned(),
        })
    }

    /// The full name of a subscription; one without a project is of the topic's.
    pub(super) fn subscription(&self, name: &str) -> Result<String, ConfigError> {
        if is_id(name) {
            return Ok(format!("projects/{}/subscriptions/{name}", self.project));
        }
        match parts(name, "subscriptions") {
            Some(_) => Ok(name.to_owned()),
            None => Err(ConfigError::new("subscription", SUBSCRIPTION, name)),
        }
    }
}

/// The project and the id of a full name.
fn parts<'n>(full_name: &'n str, collection: &str) -> Option<(&'n str, &'n str)> {
    let rest = full_name.strip_prefix("projects/")?;
    let (project, rest) = rest.split_once('/')?;
    let (found, id) = rest.split_once('/')?;
    (found == collection && is_project(project) && is_id(id)).then_some((project, id))
}

fn is_project(project: &str) -> bool {
    let is_plain =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c);
    !project.is_empty() && project.chars().all(is_plain)
}

/// Whether Pub/Sub takes it for the name of a topic or a subscription.
fn is_id(id: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~+%".contains(c);
    (3..=255).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
        && !id.starts_with("goog")
        && id.chars().all(is_plain)
}

/// An endpoint over TLS: credentials go there.
pub(super) fn check_endpoint(endpoint: &str) -> Result<(), ConfigError> {
    let place = endpoint.strip_prefix("https://").unwrap_or_default();
    if is_host_and_port(place) || is_host(place) {
        return Ok(());
    }
    let wanted = "https://HOST, as https://europe-west1-pubsub.googleapis.com; an \
                  emulator goes to `PubSub::at_emulator`";
    Err(refused("endpoint", wanted, endpoint))
}

/// An address that is none, shown where it holds no password.
fn refused(setting: &'static str, wanted: &str, address: &str) -> ConfigError {
    match address.contains(['@', '?', '#']) {
        true => ConfigError::hidden(setting, wanted),
        false => ConfigError::new(setting, wanted, address),
    }
}

/// The endpoint of an emulator, which speaks plain text and asks for no credentials.
pub(super) fn emulator(address: &str) -> Result<String, ConfigError> {
    if is_host_and_port(address) {
        return Ok(format!("http://{address}"));
    }
    let wanted = "HOST:PORT, as PUBSUB_EMULATOR_HOST has it";
    Err(refused("emulator", wanted, address))
}

fn is_host_and_port(place: &str) -> bool {
    let parts = place.rsplit_once(':');
    parts.is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
}

/// A name, an address, or one of IPv6 in its brackets.
fn is_host(host: &str) -> bool {
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let (inner, marks) = in_brackets.map_or((host, "-._"), |inner| (inner, ":."));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    !inner.is_empty() && inner.chars().all(is_plain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_a_project_and_so_have_its_subscriptions() {
        let topic = Topic::new("projects/example.com:shop-1/topics/orders").unwrap();
        assert_eq!(topic.id, "orders");
        let erp = "projects/example.com:shop-1/subscriptions/erp";
        assert_eq!(topic.subscription("erp").unwrap(), erp);
        let other = "projects/other/subscriptions/erp";
        assert_eq!(topic.subscription(other).unwrap(), other);
        for name in ["", "er", "google", "1erp", "a b", "projects/shop/topics/orders"] {
            assert!(topic.subscription(name).is_err(), "{name}");
        }
        for name in [
            "",
            "orders",
            "projects/shop/orders",
            "projects//topics/orders",
            "projects/Shop/topics/orders",
            "projects/shop/topics/",
            "projects/shop/topics/or",
            "projects/shop/topics/goog-orders",
            "projects/shop/topics/or/ders",
            "projects/shop/topics/-orders",
            "projects/shop/subscriptions/orders",
        ] {
            assert!(Topic::new(name).is_err(), "{name}");
        }
        let longest = format!("projects/shop/topics/{}", "a".repeat(255));
        assert!(Topic::new(&longest).is_ok());
        assert!(Topic::new(&format!("{longest}a")).is_err());
    }

    #[test]
    fn credentials_go_nowhere_but_over_tls() {
        assert!(check_endpoint("https://europe-west1-pubsub.googleapis.com").is_ok());
        assert!(check_endpoint("https://pubsub.example.com:8443").is_ok());
        assert!(check_endpoint("https://[::1]").is_ok());
        for endpoint in [
            "",
            "pubsub",
            "https://",
            "http://127.0.0.1:8085",
            "https://a/b",
            "https://a:",
            "https://a:b",
            "https://a:70000",
        ] {
            assert!(check_endpoint(endpoint).is_err(), "{endpoint}");
        }
        let refused = check_endpoint("https://user:secret@host").unwrap_err();
        assert_eq!(refused.found(), None);
    }

    #[test]
    fn an_emulator_has_a_host_and_a_port() {
        assert_eq!(emulator("127.0.0.1:8085").unwrap(), "http://127.0.0.1:8085");
        assert_eq!(emulator("[::1]:8085").unwrap(), "http://[::1]:8085");
        for address in [
            "",
            ":8085",
            "http://127.0.0.1:8085",
            "host:port",
            "host:70000",
            // Without a port, it would lead to that of the web.
            "127.0.0.1",
            "[::1]",
        ] {
            assert!(emulator(address).is_err(), "{address}");
        }
        let refused = emulator("user:secret@host").unwrap_err();
        assert_eq!(refused.found(), None);
    }
}
