//! Who signs, who is trusted, and how long to wait: checked when an adapter gets them.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

use super::signature::Key;
use crate::broker::ConfigError;
use crate::broker::wait::check_wait;
use crate::tls::Tls;

/// Who signs for a receiver, whom this program trusts to be one, and how long to wait for
/// it.
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is passed to `Webhook::new`"]
pub struct WebhookConfig {
    secrets: Vec<String>,
    bearer_token: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) allow_http: bool,
    pub(super) allow_private: bool,
    pub(super) quote_answers: bool,
    pub(super) tls: Option<Tls>,
}

impl WebhookConfig {
    /// Signs with this secret, `whsec_...`, as the Standard Webhooks specification has it;
    /// 3 s to connect, and 5 s for an answer.
    ///
    /// A relay waits 10 s for a send where nothing else is said. Stay below it: a send
    /// that it gives up counts as an attempt, and one that finds the receiver gone does
    /// not.
    pub fn new(secret: impl Into<String>) -> Self {
        Self { secrets: vec![secret.into()], ..Self::unsigned() }
    }

    /// Signs nothing: for a receiver that knows its sender in another way.
    pub fn unsigned() -> Self {
        Self {
            secrets: Vec::new(),
            bearer_token: None,
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
            allow_http: false,
            allow_private: false,
            quote_answers: false,
            tls: None,
        }
    }

    /// Signs with this secret too, while a receiver changes from one to the next.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Sends this token in the header `authorization`, as `Bearer ...`.
    pub fn bearer_token(self, token: impl Into<String>) -> Self {
        Self { bearer_token: Some(token.into()), ..self }
    }

    /// How long a connection may take to be made, with its TLS.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How long the receiver may take to answer; what is left of
    /// [`connect_timeout`](Self::connect_timeout) is added. Then the attempt has failed.
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Accepts an address `http://`. Without TLS, events and tokens can be read and
    /// changed on the way.
    pub fn allow_http(self) -> Self {
        Self { allow_http: true, ..self }
    }

    /// Also sends to loopback, private and link-local addresses. Only for an address that
    /// you have chosen yourself: one that a customer enters may lead to your own machines.
    #[doc(alias = "SSRF")]
    pub fn allow_private(self) -> Self {
        Self { allow_private: true, ..self }
    }

    /// Quotes the beginning of a receiver's answer in the reason of a failure, 200
    /// characters without the bearer token; otherwise a reason has the status alone.
    ///
    /// Many receivers repeat in an error what they were sent. The reason stands in logs,
    /// audit trails and dead letters: set it only where the payload may stand there too.
    pub fn quote_answers(self) -> Self {
        Self { quote_answers: true, ..self }
    }

    /// The authorities that a receiver's certificate is checked against, and the one that
    /// this program shows; without this, the authorities that the system trusts.
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The keys of the secrets.
    pub(super) fn keys(&self) -> Result<Vec<Key>, ConfigError> {
        self.secrets.iter().map(|secret| Key::of_standard(secret)).collect()
    }

    /// The header that shows the token.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let Some(token) = &self.bearer_token else { return Ok(None) };
        let refused = || ConfigError::hidden("bearer_token", "printable ASCII, no blank");
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused());
        }
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| refused())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    pub(super) fn check_waits(&self) -> Result<(), ConfigError> {
        const SHORTEST: Duration = Duration::from_millis(1);
        check_wait("connect_timeout", self.connect_timeout, SHORTEST)?;
        check_wait("request_timeout", self.request_timeout, SHORTEST)
    }
}

impl fmt::Debug for WebhookConfig {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("secrets", &self.secrets.len())
            .field("bearer_token", &self.bearer_token.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("allow_http", &self.allow_http)
            .field("allow_private", &self.allow_private)
            .field("quote_answers", &self.quote_answers)
            .field("tls", &self.tls)
            .finish()
    }
}
