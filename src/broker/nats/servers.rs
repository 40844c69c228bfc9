//! The addresses of a cluster: where its servers are, whether they are spoken to over
//! TLS, and who signs in.

use std::error::Error;
use std::fmt;

use async_nats::ServerAddr;
use async_nats::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::config::NatsConfig;
use super::credentials::Credentials;
use crate::broker::ConfigError;
use crate::broker::percent::decoded;
use crate::reason::reason;

#[derive(Clone)]
pub(super) struct Servers {
    /// Without what is secret.
    pub(super) addresses: Vec<ServerAddr>,
    pub(super) credentials: Credentials,
    /// Whether no word is to be said in clear.
    pub(super) only_tls: bool,
}

impl Servers {
    /// What was found is not shown where an address cannot be used: it may hold a
    /// password.
    pub(super) fn read(servers: &str, config: &NatsConfig) -> Result<Self, ConfigError> {
        let (mut addresses, mut credentials, mut only_tls) =
            (Vec::new(), config.credentials.clone(), false);
        for server in servers.split(',') {
            let address: ServerAddr = server.trim().parse().map_err(|_| unreadable())?;
            let mut url = address.into_inner();
            if !matches!(url.scheme(), "nats" | "tls")
                || url.host_str().is_none_or(str::is_empty)
            {
                return Err(unreadable());
            }
            if !matches!(url.path(), "" | "/")
                || url.query().is_some()
                || url.fragment().is_some()
            {
                return Err(unusable("something behind the port"));
            }
            only_tls |= url.scheme() == "tls";
            let found = match (url.username(), url.password()) {
                ("", None) => Credentials::None,
                (token, None) => Credentials::Token(decoded(token).map_err(unusable)?),
                (name, Some(password)) => Credentials::User {
                    name: decoded(name).map_err(unusable)?,
                    password: decoded(password).map_err(unusable)?,
                },
            };
            if !found.is_none() {
                if !credentials.is_none() && !same(&credentials, &found) {
                    return Err(ConfigError::new(
                        "login",
                        "one, for all servers",
                        "another one in an address",
                    ));
                }
                credentials = found;
            }
            url.set_username("")
                .and_then(|()| url.set_password(None))
                .map_err(|()| unreadable())?;
            addresses.push(ServerAddr::from_url(url).map_err(|_| unreadable())?);
        }
        #[cfg(feature = "tls")]
        let only_tls = only_tls || config.tls.is_some();
        #[cfg(not(feature = "tls"))]
        if only_tls {
            return Err(ConfigError::new(
                ADDRESS,
                "nats://host:4222; for tls://, let integration-automation-patterns have its feature tls",
                "tls://",
            ));
        }
        Ok(Self { addresses, credentials, only_tls })
    }

    /// What servers are trusted that speak TLS, with the cryptography of ring, whatever
    /// else the program has.
    #[cfg(feature = "tls")]
    pub(super) fn client_config(
        config: &NatsConfig,
    ) -> Result<ClientConfig, crate::tls::TlsError> {
        match &config.tls {
            Some(tls) => tls.config(),
            None => crate::tls::Tls::system().and_then(|tls| tls.config()),
        }
    }

    /// Without the feature `tls`, no server is trusted.
    #[cfg(not(feature = "tls"))]
    pub(super) fn client_config(
        _: &NatsConfig,
    ) -> Result<ClientConfig, async_nats::rustls::Error> {
        trusting_nobody()
    }
}

/// Who is trusted where a server speaks TLS.
#[derive(Clone)]
pub(super) struct Trust {
    pub(super) config: Option<ClientConfig>,
    /// Why nobody is, where that was not wanted.
    pub(super) nobody: Option<String>,
}

impl Trust {
    pub(super) fn of<E: Error + 'static>(config: Result<ClientConfig, E>) -> Self {
        match config {
            Ok(config) => Self { config: Some(config), nobody: None },
            Err(error) => {
                Self { config: trusting_nobody().ok(), nobody: Some(reason(&error)) }
            }
        }
    }
}

/// What nobody is trusted with.
fn trusting_nobody() -> Result<ClientConfig, async_nats::rustls::Error> {
    let builder = ClientConfig::builder_with_provider(std::sync::Arc::new(
        ring::default_provider(),
    ));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, address) in self.addresses.iter().enumerate() {
            let scheme = if self.only_tls { "tls" } else { "nats" };
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{scheme}://{}:{}", address.host(), address.port())?;
        }
        write!(f, " {}", self.credentials)
    }
}

const ADDRESS: &str = "address of a server";
const FORM: &str = "nats://user:password@host:4222 or tls://token@host:4222";

fn unusable(found: &str) -> ConfigError {
    ConfigError::new(ADDRESS, FORM, found)
}

fn unreadable() -> ConfigError {
    ConfigError::hidden(ADDRESS, FORM)
}

fn same(one: &Credentials, other: &Credentials) -> bool {
    use Credentials::{Token, User};
    match (one, other) {
        (User { name: n, password: p }, User { name, password }) => {
            (n, p) == (name, password)
        }
        (Token(token), Token(other)) => token == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(servers: &str) -> Result<Servers, ConfigError> {
        Servers::read(servers, &NatsConfig::new("crm"))
    }

    #[test]
    fn who_signs_in_is_read_from_the_address_and_gone_from_what_is_connected_to()
    -> Result<(), ConfigError> {
        let servers = read("nats://app:p%40ss%3Aw%2Frd%2C%25@one:4222, nats://two")?;
        let Credentials::User { name, password } = &servers.credentials else {
            unreachable!("{}", servers)
        };
        assert_eq!((name.as_str(), password.as_str()), ("app", "p@ss:w/rd,%"));
        let told = servers.to_string();
        assert_eq!(
            told,
            r#"nats://one:4222,nats://two:4222 as the user "app" with a password"#
        );
        assert!(
            servers.addresses.iter().all(|address| !address.as_url_str().contains("ss"))
        );
        let Credentials::Token(token) = read("s%40cret@one")?.credentials else {
            unreachable!("a token")
        };
        assert_eq!(token, "s@cret");
        Ok(())
    }

    #[test]
    fn what_cannot_be_kept_is_refused_and_not_shown() {
        for servers in [
            "",
            "nats://",
            "http://host",
            "ws://host",
            "nats://host:70000",
            "nats://host/?tls=1",
            "nats://host/vhost",
            "nats://s3cr3t:%zz@host",
            "nats://a:s3cr3t@one,nats://b:s3cr3t@two",
        ] {
            let refused =
                read(servers).map(|_| ()).map_err(|refused| refused.to_string());
            assert!(
                refused.as_ref().is_err_and(|refused| !refused.contains("s3cr3t")),
                "{servers:?} {refused:?}"
            );
        }
        let config = NatsConfig::new("crm").token("one");
        assert!(Servers::read("nats://two@host", &config).is_err(), "two logins");
        assert!(Servers::read("nats://one@host", &config).is_ok(), "the same twice");
    }
}
