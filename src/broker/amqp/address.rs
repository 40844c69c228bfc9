//! Where the server is, as an address says it, with nothing in it that is not kept; and
//! names as the protocol has them.

use std::fmt;
#[cfg(feature = "tls")]
use std::sync::Arc;

use lapin::types::ShortString;
use lapin::uri::{AMQPScheme, AMQPUri};
#[cfg(feature = "tls")]
use rustls::ClientConfig;

use super::config::AmqpConfig;
use crate::broker::{BrokerError, ConfigError};
#[cfg(feature = "tls")]
use crate::reason::reason;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The longest short text of AMQP 0.9.1: a routing key, a name, most properties.
const LONGEST_SHORT: usize = 255;

const TOO_LONG: &str = "a name in AMQP has at most 255 bytes";

const ADDRESS: &str = "address of the server";
const FORM: &str = "amqp://user:password@host:5672/virtual-host";

/// The parameters of an address that are kept. Whoever writes another one means it, as
/// `cacertfile`.
const PARAMETERS: [&str; 4] = ["heartbeat", "frame_max", "channel_max", "auth_mechanism"];

/// A server, and how it is spoken to.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) uri: AMQPUri,
    /// Where TLS is spoken.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Server {
    /// What was found is shown only where it holds no password.
    pub(super) fn new(address: &str, config: &AmqpConfig) -> Result<Self, ConfigError> {
        if let Some(found) = of_a_password(address) {
            return Err(ConfigError::new(
                ADDRESS,
                "one with / ? # @ in a password as %2F %3F %23 %40",
                found,
            ));
        }
        let mut uri: AMQPUri =
            address.parse().map_err(|_| ConfigError::hidden(ADDRESS, FORM))?;
        if let Some(unknown) = parameters(address).find(|name| !PARAMETERS.contains(name))
        {
            let wanted = format!("one with no parameters but {}", PARAMETERS.join(", "));
            let is_name =
                unknown.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            return Err(ConfigError::new(
                ADDRESS,
                wanted,
                if is_name { unknown } else { "another one" },
            ));
        }
        if let Some(host) = in_brackets(address) {
            host.clone_into(&mut uri.authority.host);
        }
        // A server that has gone without a word is noticed within two of them.
        uri.query.heartbeat.get_or_insert(10);
        Self::with_tls(uri, config)
    }

    #[cfg(feature = "tls")]
    fn with_tls(uri: AMQPUri, config: &AmqpConfig) -> Result<Self, ConfigError> {
        let tls = match (&uri.scheme, &config.tls) {
            (AMQPScheme::AMQP, None) => None,
            (AMQPScheme::AMQP, Some(_)) => {
                return Err(ConfigError::new(
                    ADDRESS,
                    "amqps://..., since the settings are for TLS",
                    "amqp://...",
                ));
            }
            (AMQPScheme::AMQPS, tls) => {
                let config =
                    tls.clone().map_or_else(Tls::system, Ok).and_then(|tls| tls.config());
                let unusable = |error| {
                    ConfigError::new("tls", "one that can be set up", reason(&error))
                };
                Some(Arc::new(config.map_err(unusable)?))
            }
        };
        Ok(Self { uri, tls })
    }

    #[cfg(not(feature = "tls"))]
    fn with_tls(uri: AMQPUri, _settings: &AmqpConfig) -> Result<Self, ConfigError> {
        match uri.scheme {
            AMQPScheme::AMQP => Ok(Self { uri }),
            AMQPScheme::AMQPS => Err(ConfigError::new(
                ADDRESS,
                "amqp://..., as this program is built without the feature `tls` of integration-automation-patterns",
                "amqps://...",
            )),
        }
    }
}

impl fmt::Display for Server {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (&self.uri.scheme, &self.uri.authority);
        match authority.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", authority.host, authority.port),
            false => write!(f, "{scheme}://{}:{}", authority.host, authority.port),
        }
    }
}

fn parameters(address: &str) -> impl Iterator<Item = &str> {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split('=').next().unwrap_or_default())
}

/// What tells that a password is not encoded: the address seems to end in the middle of
/// it.
fn of_a_password(address: &str) -> Option<&'static str> {
    if address.contains('#') {
        return Some("#");
    }
    let address = address.split_once("://")?.1;
    let (authority, behind) = address.split_once(['/', '?']).unwrap_or((address, ""));
    if behind.contains('@') {
        return Some("@ behind / or ?");
    }
    authority.split_once('@')?.1.contains('@').then_some("a second @")
}

/// The host of an address of IPv6, which the client's parser takes for none.
fn in_brackets(address: &str) -> Option<&str> {
    let authority = address.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host.strip_prefix('[')?.split_once(']')?.0)
}

pub(super) fn is_name(what: &'static str, name: &str) -> Result<(), ConfigError> {
    let is_one = !name.is_empty() && name.len() <= LONGEST_SHORT;
    is_one
        .then_some(())
        .ok_or_else(|| ConfigError::new(what, "a name of 1 to 255 bytes", name))
}

pub(super) fn short(text: &str) -> Option<ShortString> {
    ShortString::try_new(text).ok()
}

/// A text as the protocol has names, or why no attempt with it can succeed.
pub(super) fn named(what: &str, text: &str) -> Result<ShortString, BrokerError> {
    short(text).ok_or_else(|| {
        BrokerError::permanent(format!("{TOO_LONG}, and {what} has {}", text.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str) -> Result<Server, ConfigError> {
        Server::new(address, &AmqpConfig::new("crm"))
    }

    fn refused(address: &str) -> String {
        server(address).err().map(|refused| refused.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_address_is_read_as_it_is_written_and_shown_without_its_secrets() {
        for (address, host, port, shown) in [
            ("amqp://127.0.0.1", "127.0.0.1", 5672, "amqp://127.0.0.1:5672"),
            (
                "amqp://u:s3cr3t%2Fp%40ss@rabbit.example:7/v",
                "rabbit.example",
                7,
                "amqp://rabbit.example:7",
            ),
            ("amqp://u:p@[::1]:7/v?heartbeat=5", "::1", 7, "amqp://[::1]:7"),
        ] {
            let server =
                server(address).unwrap_or_else(|refused| unreachable!("{refused}"));
            let authority = &server.uri.authority;
            assert_eq!(
                (authority.host.as_str(), authority.port, server.to_string().as_str()),
                (host, port, shown)
            );
        }
        let secret = server("amqp://u:s3cr3t%2Fp%40ss@h")
            .map(|server| server.uri.authority.userinfo.password);
        assert_eq!(secret.as_deref(), Ok("s3cr3t/p@ss"), "percent-decoded");
    }

    #[test]
    fn what_is_not_kept_is_refused() {
        let refusal = refused("amqp://u:secret@h/v?cacertfile=/etc/ca.pem&heartbeat=5");
        assert!(refusal.ends_with("found \"cacertfile\""), "{refusal}");
        assert!(
            refused("amqp://u:secret@h:port")
                .ends_with("(not shown: it may hold a password)")
        );
        assert!(!refused("amqp://u:secret@h/v?connection_timeout=5").contains("secret"));
        assert!(refused("amqp://u:secret@h/v#part").ends_with("found \"#\""));
    }

    #[test]
    fn a_password_that_is_not_encoded_is_not_shown() {
        for password in [
            "12?tops3cret",
            "12?topsecret",
            "12?topsecret=1",
            "12?topsecret&x",
            "12#tops3cret",
            "12/tops3cret",
            "12@tops3cret",
        ] {
            let refusal = refused(&format!("amqp://u:{password}@h"));
            assert!(
                !refusal.is_empty()
                    && !refusal.contains("secret")
                    && !refusal.contains("3cret"),
                "{refusal}"
            );
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_that_is_not_there_is_refused_and_the_feature_named() {
        assert!(
            refused("amqps://h").contains("without the feature `tls`"),
            "{}",
            refused("amqps://h")
        );
    }
}
