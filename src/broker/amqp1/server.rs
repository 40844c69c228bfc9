//! Where the server is and who signs in, as an address says it, with nothing in it that
//! is not kept.

use std::fmt;
#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use rustls::{ClientConfig, pki_types::ServerName};

use super::config::Amqp1Config;
use crate::broker::ConfigError;
use crate::broker::percent::decoded;
#[cfg(feature = "tls")]
use crate::reason::reason;
#[cfg(feature = "tls")]
use crate::tls::Tls;

const ADDRESS: &str = "address of the server";
const FORM: &str = "amqp://user:password@host:5672, with what is not a letter or digit \
                    in user and password percent-encoded";

/// A server, and how it is spoken to.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) virtual_host: String,
    pub(super) login: Login,
    /// Where TLS is spoken: with whom, and by whose word.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
}

/// How a program signs in, by its mechanism in SASL.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    Anonymous,
    Plain { user: String, password: String },
}

impl Server {
    /// What was found is not shown: it may hold a password.
    pub(super) fn new(address: &str, config: &Amqp1Config) -> Result<Self, ConfigError> {
        let unreadable = || ConfigError::hidden(ADDRESS, FORM);
        let (scheme, rest) = address.split_once("://").ok_or_else(unreadable)?;
        let secure = match scheme {
            "amqp" => false,
            "amqps" => true,
            _ => return Err(unreadable()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(ConfigError::hidden(
                ADDRESS,
                format!("{FORM}, and nothing behind the port: see `virtual_host`"),
            ));
        }
        let (login, place) = match authority.rsplit_once('@') {
            None => (Login::Anonymous, authority),
            Some((login, place)) => (plain(login)?, place),
        };
        let (host, port) = host_and_port(place).ok_or_else(unreadable)?;
        let port = port.unwrap_or(if secure { 5671 } else { 5672 });
        let server = Self {
            host: host.to_owned(),
            port,
            virtual_host: config.virtual_host.clone().unwrap_or_else(|| host.to_owned()),
            login,
            #[cfg(feature = "tls")]
            tls: None,
        };
        server.with_tls(secure, config)
    }

    #[cfg(feature = "tls")]
    fn with_tls(self, secure: bool, config: &Amqp1Config) -> Result<Self, ConfigError> {
        if !secure {
            if config.tls.is_some() {
                return Err(ConfigError::new(
                    ADDRESS,
                    "amqps://..., since the settings are for TLS",
                    "amqp://...",
                ));
            }
            return Ok(self);
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| {
            ConfigError::new(
                ADDRESS,
                format!("a host that a certificate can name: {}", reason(&error)),
                &self.host,
            )
        })?;
        let tls = config.tls.clone().map_or_else(Tls::system, Ok);
        let tls = tls.and_then(|tls| tls.config()).map_err(|error| {
            ConfigError::new("tls", "one that can be set up", reason(&error))
        })?;
        Ok(Self { tls: Some((name, Arc::new(tls))), ..self })
    }

    #[cfg(not(feature = "tls"))]
    fn with_tls(self, secure: bool, _: &Amqp1Config) -> Result<Self, ConfigError> {
        if !secure {
            return Ok(self);
        }
        Err(ConfigError::new(
            ADDRESS,
            "amqp://..., as this program is built without the feature `tls` of \
             integration-automation-patterns",
            "amqps://...",
        ))
    }

    const fn scheme(&self) -> &'static str {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return "amqps";
        }
        "amqp"
    }
}

fn plain(login: &str) -> Result<Login, ConfigError> {
    let (user, password) =
        login.split_once(':').ok_or_else(|| ConfigError::hidden(ADDRESS, FORM))?;
    let unusable = |_| ConfigError::hidden(ADDRESS, FORM);
    let is_encoded = |part: &str| !part.is_empty() && !part.contains(['@', ':']);
    if !is_encoded(user) || !is_encoded(password) {
        return Err(ConfigError::hidden(ADDRESS, FORM));
    }
    Ok(Login::Plain {
        user: decoded(user).map_err(unusable)?,
        password: decoded(password).map_err(unusable)?,
    })
}

/// The host, without the brackets of an address of IPv6, and the port where one is said.
fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map(|port| port.parse().ok().filter(|port| *port != 0));
    match port {
        Some(None) => None,
        _ if host.is_empty() => None,
        port => Some((host, port.flatten())),
    }
}

impl fmt::Display for Server {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = (self.scheme(), &self.host, self.port);
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str) -> Result<Server, ConfigError> {
        Server::new(address, &Amqp1Config::queue("orders"))
    }

    #[test]
    fn an_address_is_read_as_it_is_written_and_shown_without_its_secrets() {
        for (address, host, port, shown) in [
            ("amqp://127.0.0.1", "127.0.0.1", 5672, "amqp://127.0.0.1:5672"),
            (
                "amqp://u:s3cr3t%2Fp%40ss@mq.example:7/",
                "mq.example",
                7,
                "amqp://mq.example:7",
            ),
            ("amqp://[::1]:7", "::1", 7, "amqp://[::1]:7"),
            ("amqp://u:p@[::1]", "::1", 5672, "amqp://[::1]:5672"),
        ] {
            let server =
                server(address).unwrap_or_else(|refused| unreachable!("{refused}"));
            assert_eq!(
                (server.host.as_str(), server.port, server.to_string().as_str()),
                (host, port, shown)
            );
            assert_eq!(server.virtual_host, host);
        }
        let login =
            server("amqp://a%40b:s3cr3t%2F%2Bp%40ss@h").map(|server| server.login);
        let wanted =
            Login::Plain { user: "a@b".to_owned(), password: "s3cr3t/+p@ss".to_owned() };
        assert!(login.is_ok_and(|login| login == wanted), "percent-decoded");
    }

    #[test]
    fn what_cannot_be_kept_is_refused_and_not_shown() {
        for address in [
            "",
            "127.0.0.1",
            "amqp://",
            "http://h",
            "amqp://h:port",
            "amqp://h:0",
            "amqp://h:70000",
            "amqp://[::1",
            "amqp://[::1]7",
            "amqp://h/vhost",
            "amqp://h?idle=5",
            "amqp://s3cr3t@h",
            "amqp://u:@h",
            "amqp://u:s3cr3t/x@h",
            "amqp://u:s3cr3t#x@h",
            "amqp://u:s3cr3t@x@h",
            "amqp://u:s3cr3t:x@h",
            "amqp://u:s3cr3t%zz@h",
        ] {
            let refused = server(address).err().map(|refused| refused.to_string());
            assert!(
                refused.as_ref().is_some_and(|refused| !refused.contains("s3cr3t")),
                "{address:?} {refused:?}"
            );
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_that_is_not_there_is_refused_and_the_feature_named() {
        let refused = server("amqps://h").err().map(|refused| refused.to_string());
        assert!(
            refused.as_ref().is_some_and(|why| why.contains("without the feature `tls`")),
            "{refused:?}"
        );
    }
}
