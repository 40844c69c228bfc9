//! Sending: an event as a signed request to its receiver.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Full;

use super::absence::Absence;
use super::address::Address;
use super::answer::{Quotes, judge};
use super::client::{Client, client, failed};
use super::config::WebhookConfig;
use super::signature::Key;
use crate::broker::{Broker, BrokerError, Capabilities, ConfigError, RetryWait};
use crate::cloudevents::{Binding, CloudEvent};
use crate::reason::reason;
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

const SENDER: &str =
    concat!("integration-automation-patterns/", env!("CARGO_PKG_VERSION"));

/// A receiver of webhooks: each event is a `POST` to its address, in CloudEvents binary
/// mode, signed as the Standard Webhooks specification says. A clone shares the
/// connections.
///
/// A send succeeds with a status from 200 to 299. While a receiver is out of order, the
/// relay pauses, and its events keep their attempts: the guide's chapter
/// [`webhooks`](crate::guide::webhooks) says when that is. Put many receivers behind
/// [`Routes`](crate::broker::Routes), each for its own types of event: so one that is down
/// holds up no other. Two relays of one outbox do not tell them apart: each sends any event
/// of it.
#[derive(Clone)]
pub struct Webhook {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    keys: Vec<Key>,
    authorization: Option<HeaderValue>,
    client: Client,
    /// For connection and answer together.
    within: Duration,
    quotes_answers: bool,
    absence: Absence,
}

impl Webhook {
    /// The receiver at this address, `https://host/path`. Nothing is connected before it
    /// is needed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the address or a setting is none that can be kept: an
    /// address inside the own network, say, or a secret that is too short.
    ///
    /// ```
    /// use integration_automation_patterns::broker::webhook::{Webhook, WebhookConfig};
    ///
    /// let config = WebhookConfig::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    /// assert!(Webhook::new("https://shop.example.com/hooks", config.clone()).is_ok());
    /// let refused = Webhook::new("https://169.254.169.254/", config).unwrap_err();
    /// assert_eq!(refused.found(), Some("169.254.169.254"));
    /// ```
    pub fn new(url: &str, config: WebhookConfig) -> Result<Self, ConfigError> {
        config.check_waits()?;
        let address = Address::read(url, &config)?;
        let (keys, authorization) = (config.keys()?, config.authorization()?);
        let client = client(&config)
            .map_err(|error| ConfigError::new("tls", "usable", reason(&error)))?;
        let within = config.connect_timeout.saturating_add(config.request_timeout);
        let quotes_answers = config.quote_answers;
        let absence = Absence::default();
        let inner = Inner {
            address,
            keys,
            authorization,
            client,
            within,
            quotes_answers,
            absence,
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for Webhook {
    /// The scheme and the host of the address, and nothing secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Webhook").field(&self.inner.address).finish()
    }
}

impl Inner {
    /// The request of an event, signed at this moment.
    fn request(
        &self,
        event: &Envelope<Dispatched>,
        now: DateTime<Utc>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let event = CloudEvent::of(event);
        let mut request = Request::post(self.address.uri.clone());
        request = request.header(USER_AGENT, SENDER);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        // As in the header `ce-id`: where an id is not printable ASCII, a receiver would
        // read other bytes than were signed.
        let mut id = String::new();
        for (name, value) in event.headers(Binding::Http) {
            if name == "ce-id" {
                id = value.to_string();
            }
            request = request.header(name, &*value);
        }
        let body = event.into_data();
        if !self.keys.is_empty() {
            let at = now.timestamp().to_string();
            let parts = [id.as_bytes(), b".", at.as_bytes(), b".", &body];
            let sign = |key: &Key| format!("v1,{}", key.sign(&parts));
            let signatures: Vec<String> = self.keys.iter().map(sign).collect();
            request = request
                .header("webhook-id", &id)
                .header("webhook-timestamp", at)
                .header("webhook-signature", signatures.join(" "));
        }
        request.body(Full::new(Bytes::from(body)))
    }

    fn quotes(&self) -> Quotes<'_> {
        if !self.quotes_answers {
            return Quotes::Nothing;
        }
        let token = self.authorization.as_ref().and_then(|shown| shown.to_str().ok());
        Quotes::Beginning { token: token.and_then(|shown| shown.strip_prefix("Bearer ")) }
    }
}

impl Broker for Webhook {
    const SYSTEM: &'static str = "webhook";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let inner = &*self.inner;
        let request = inner.request(event, Utc::now()).map_err(|error| {
            BrokerError::permanent(format!("no request can carry it: {}", reason(&error)))
        })?;
        let to = inner.address.shown();
        let answer = async {
            let answer = inner.client.request(request).await;
            answer.map_err(|error| failed(to, &error))
        };
        let sent = judge(to, inner.quotes(), inner.within, answer).await;
        inner.absence.judge(event.id(), sent)
    }

    fn destination(&self, _: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        Some(self.inner.address.shown().into())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            marks_redeliveries: Some(false),
            retry_waits_at: Some(RetryWait::Sender),
            ..Capabilities::UNKNOWN
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use http::HeaderMap;
    use proptest::prelude::*;

    use super::super::delivered::{Delivered, Refusal};
    use super::super::scheme::{Read, Scheme};
    use super::*;
    use crate::state::Pending;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// Made once: the authorities of the system are many.
    fn webhook() -> Result<&'static Webhook, TestCaseError> {
        static MADE: LazyLock<Result<Webhook, ConfigError>> = LazyLock::new(|| {
            Webhook::new("https://example.com/", WebhookConfig::new(SECRET))
        });
        MADE.as_ref().map_err(|error| TestCaseError::fail(error.to_string()))
    }

    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Envelope<Pending>, Refusal> {
        let scheme = Scheme::CloudEvents;
        let keys: Vec<Key> = scheme.key(SECRET).into_iter().collect();
        let delivered = Delivered::new(headers, body, Utc::now());
        let verified = scheme.verify(delivered, &keys, Duration::from_secs(60))?;
        match scheme.read("", &verified)? {
            Read::Event(event) => Ok(event),
            Read::Challenge(asked) => Err(Refusal::unreadable(asked)),
        }
    }

    proptest! {
        /// Whatever an event says about itself, a receiver reads the same, and takes the
        /// signature for good.
        #[test]
        fn what_is_sent_is_what_is_received(
            (id, source, event_type, version) in (".+", ".+", ".+", ".+"),
            correlation_id in ".*",
            tags in proptest::collection::btree_map(".+", ".*", 0..4),
            body: Vec<u8>,
        ) {
            let payload = RawEvent::new(event_type, body).with_schema_version(version);
            let mut event = Envelope::builder(source, payload).correlation_id(correlation_id);
            if let Ok(id) = id.parse() {
                event = event.id(id);
            }
            let event = tags.into_iter().fold(event, |event, (name, tag)| event.tag(name, tag));
            let Ok(event) = event.build() else { return Ok(()) };
            let sent = event.dispatch();
            let request = webhook()?.inner.request(&sent, Utc::now());
            let request = request.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let got = read(request.headers(), sent.payload().bytes());
            let got = got.map_err(|refused| TestCaseError::fail(format!("{refused:?}")))?;
            prop_assert_eq!(got.id(), sent.id());
            prop_assert_eq!(got.source_system(), sent.source_system());
            prop_assert_eq!(got.event_type(), sent.event_type());
            prop_assert_eq!(got.schema_version(), sent.schema_version());
            prop_assert_eq!(got.correlation_id(), sent.correlation_id());
            prop_assert_eq!(got.tags(), sent.tags());
            prop_assert_eq!(got.payload().bytes(), sent.payload().bytes());
        }
    }
}
