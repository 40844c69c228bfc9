//! Which stream, who this program is to the server, and how long to wait: checked when an
//! adapter gets them.

use std::time::Duration;

use super::credentials::Credentials;
use super::subject::{NAME, is_name};
use crate::broker::ConfigError;
pub(super) use crate::broker::wait::{LONGEST_WAIT, check_wait};
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Which stream, who this program is to the server, and how long to wait for it.
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until it is passed to `Nats::new`"]
pub struct NatsConfig {
    pub(super) stream: String,
    pub(super) prefix: String,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) credentials: Credentials,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl NatsConfig {
    /// The stream of this name, with subjects that begin with its name; 3 s to connect,
    /// and 5 s for an answer.
    ///
    /// A relay waits 10 s for a send where nothing else is said. Stay below it: a send
    /// that it gives up counts as an attempt, and one that finds the server gone does
    /// not.
    pub fn new(stream: impl Into<String>) -> Self {
        let stream = stream.into();
        Self {
            prefix: stream.clone(),
            stream,
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
            credentials: Credentials::None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// What subjects begin with, in place of the stream's name.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// How long a connection may take to be made.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How long the server may take to answer. Then the attempt has failed.
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Signs in as a user with a password. The address can say so too.
    pub fn user(self, name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            credentials: Credentials::User {
                name: name.into(),
                password: password.into(),
            },
            ..self
        }
    }

    /// Signs in with a token. The address can say so too.
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { credentials: Credentials::Token(token.into()), ..self }
    }

    /// Signs in with the nkey of this seed, `SU...`. The seed stays here: what is sent is
    /// a signature.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is no seed of a user. The seed is not shown.
    ///
    /// ```
    /// use integration_automation_patterns::broker::nats::NatsConfig;
    ///
    /// let refused = NatsConfig::new("crm").nkey("SUNOSEED").unwrap_err();
    /// assert!(
    ///     refused
    ///         .to_string()
    ///         .starts_with("the nkey: expected the seed of a user, SU...")
    /// );
    /// ```
    pub fn nkey(self, seed: &str) -> Result<Self, ConfigError> {
        Ok(Self { credentials: Credentials::of_seed(seed)?, ..self })
    }

    /// Signs in with the text of a `.creds` file, as `nsc` writes it: a JWT, and the seed
    /// that signs for it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where either is missing. Neither is shown.
    ///
    /// ```
    /// use integration_automation_patterns::broker::nats::NatsConfig;
    ///
    /// let refused = NatsConfig::new("crm")
    ///     .credentials("-----BEGIN NATS USER JWT-----")
    ///     .unwrap_err();
    /// assert!(refused.to_string().starts_with("the credentials: expected"));
    /// ```
    pub fn credentials(self, creds: &str) -> Result<Self, ConfigError> {
        Ok(Self { credentials: Credentials::of_creds(creds)?, ..self })
    }

    /// Speaks TLS, whatever the scheme of the address says, and nothing else: a server
    /// that offers none is refused before a word is said to it.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    pub(super) fn check(self) -> Result<Self, ConfigError> {
        is_name(&self.stream)
            .then_some(())
            .ok_or_else(|| ConfigError::new("stream", NAME, &self.stream))?;
        let is_prefix =
            self.prefix.split('.').all(is_name) && self.prefix.len() <= LONGEST_PREFIX;
        is_prefix
            .then_some(())
            .ok_or_else(|| ConfigError::new("prefix", PREFIX, &self.prefix))?;
        for (what, wait) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            check_wait(what, wait, SHORTEST_WAIT)?;
        }
        Ok(self)
    }
}

const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_PREFIX: usize = 256;
const PREFIX: &str = "names of printable ASCII without * > / \\ %, with dots between, 256 bytes at the most";
