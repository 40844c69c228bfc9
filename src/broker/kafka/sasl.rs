//! Who this program is to a cluster that asks by SASL.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rdkafka::client::OAuthToken;
use rdkafka::config::ClientConfig;

/// Who this program is to a cluster that asks by SASL. Nothing of it is shown by `Debug`.
///
/// ```
/// use integration_automation_patterns::broker::kafka::{Kafka, KafkaConfig, Sasl};
///
/// let config = KafkaConfig::new("crm").sasl(Sasl::scram_sha_256("app", "secret"));
/// assert!(!format!("{config:?}").contains("secret"));
/// assert!(Kafka::new("kafka.example.com:9094", config).is_ok());
/// ```
#[derive(Clone)]
pub struct Sasl(Mechanism);

#[derive(Clone)]
enum Mechanism {
    Password { mechanism: &'static str, user: String, password: String },
    Bearer(Bearer),
}

/// A token that an authority gave this program.
#[derive(Clone)]
pub struct Token {
    /// As it is sent.
    pub text: String,
    /// Whom it names.
    pub principal: String,
    /// When it ends. Another one is asked for at four fifths of the time until then.
    pub expires: DateTime<Utc>,
}

/// A function that gives a token.
#[derive(Clone)]
pub(super) struct Bearer(
    Arc<dyn Fn() -> Result<Token, Box<dyn Error + Send + Sync>> + Send + Sync>,
);

impl Sasl {
    /// PLAIN: the password itself, within TLS.
    pub fn plain(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::password("PLAIN", user, password)
    }

    /// SCRAM-SHA-256: proof of the password.
    pub fn scram_sha_256(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::password("SCRAM-SHA-256", user, password)
    }

    /// SCRAM-SHA-512: proof of the password.
    pub fn scram_sha_512(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::password("SCRAM-SHA-512", user, password)
    }

    /// OAUTHBEARER: a token of an authority. The function gives it when the client first
    /// connects, and again before it ends. It must not block: let a task of the program
    /// fetch tokens, and the function hand the last one out.
    pub fn oauth_bearer(
        token: impl Fn() -> Result<Token, Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Mechanism::Bearer(Bearer(Arc::new(token))))
    }

    fn password(
        mechanism: &'static str,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self(Mechanism::Password {
            mechanism,
            user: user.into(),
            password: password.into(),
        })
    }

    pub(super) fn set(&self, client_config: &mut ClientConfig) {
        match &self.0 {
            Mechanism::Password { mechanism, user, password } => {
                client_config
                    .set("sasl.mechanism", *mechanism)
                    .set("sasl.username", user)
                    .set("sasl.password", password);
            }
            Mechanism::Bearer(_) => {
                client_config.set("sasl.mechanism", "OAUTHBEARER");
            }
        }
    }

    pub(super) fn bearer(&self) -> Option<Bearer> {
        match &self.0 {
            Mechanism::Bearer(bearer) => Some(bearer.clone()),
            Mechanism::Password { .. } => None,
        }
    }
}

impl Bearer {
    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let Token { text, principal, expires } =
            (self.0)().map_err(|error| crate::reason::reason(&*error))?;
        Ok(OAuthToken {
            token: text,
            principal_name: principal,
            lifetime_ms: expires.timestamp_millis(),
        })
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl").finish_non_exhaustive()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("principal", &self.principal)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
