//! `Scheme`: how each service signs its webhooks, and where it says which event one is.

mod cloudevents;
mod github;
mod shopify;
mod slack;
mod standard;
mod stripe;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::delivered::{Delivered, Refusal, Verified};
use super::signature::Key;
use crate::broker::ConfigError;
use crate::state::Pending;
use crate::{Envelope, RawEvent};

/// How a service signs its webhooks, and where it says which event one is.
///
/// | scheme | signature | event id | event type |
/// |---|---|---|---|
/// | `Standard` | `webhook-signature` | `webhook-id` | `type` of the body, or `webhook` |
/// | `Svix` | `svix-signature` | `svix-id` | the same |
/// | `Stripe` | `stripe-signature` | `id` of the body | `stripe.` and `type` of the body |
/// | `GitHub` | `x-hub-signature-256` | `x-github-delivery` | `github.`, `x-github-event`, and `action` of the body, as in `github.issues.opened` |
/// | `Shopify` | `x-shopify-hmac-sha256` | `x-shopify-event-id` with the topic | `shopify.` and `x-shopify-topic`, as in `shopify.orders.create` |
/// | `Slack` | `x-slack-signature` | `event_id` of the body, or app, workspace and minute of an `app_rate_limited` | `slack.` and the type of the body's `event`, or `slack.app_rate_limited` |
/// | `CloudEvents` | as `Standard` | `ce-id` | `ce-type` |
///
/// Those with a time in their signature (all but GitHub and Shopify) are refused outside
/// [`tolerance`](super::EndpointConfig::tolerance). The headers `x-github-*` and
/// `x-shopify-*` are kept as tags under their names behind `header.`, and a content type
/// other than JSON, such as that of a form, as the tag `datacontenttype`.
///
/// Slack's `url_verification` and the handshake of CloudEvents (`OPTIONS`) are answered,
/// and are no events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// The Standard Webhooks specification.
    Standard,
    /// The same under Svix's own header names.
    Svix,
    /// Stripe.
    Stripe,
    /// GitHub.
    GitHub,
    /// Shopify.
    Shopify,
    /// Slack's Events API.
    Slack,
    /// CloudEvents over HTTP, in binary mode or, with the feature `serde`, in structured
    /// mode: what [`Webhook`](super::Webhook) sends.
    CloudEvents,
}

/// What a request says.
#[derive(Debug)]
pub(super) enum Read {
    Event(Envelope<Pending>),
    /// A question that has this answer, and is no event.
    Challenge(String),
}

impl Scheme {
    /// The key of a secret, as the service hands it out.
    pub(super) fn key(self, secret: &str) -> Result<Key, ConfigError> {
        match self {
            Self::Standard | Self::Svix | Self::CloudEvents => Key::of_standard(secret),
            Self::Stripe | Self::GitHub | Self::Shopify | Self::Slack => {
                Key::of_text(secret)
            }
        }
    }

    /// The system that its events come from, where nothing else is said.
    pub(super) const fn source(self) -> Option<&'static str> {
        match self {
            Self::Stripe => Some("stripe"),
            Self::GitHub => Some("github"),
            Self::Shopify => Some("shopify"),
            Self::Slack => Some("slack"),
            Self::Standard | Self::Svix | Self::CloudEvents => None,
        }
    }

    /// The methods that a sender may use, as the header `allow` lists them.
    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::CloudEvents => "POST, OPTIONS",
            Self::Standard
            | Self::Svix
            | Self::Stripe
            | Self::GitHub
            | Self::Shopify
            | Self::Slack => "POST",
        }
    }

    /// The request, where one of these keys has signed it.
    pub(super) fn verify<'r>(
        self,
        delivered: Delivered<'r>,
        keys: &[Key],
        tolerance: Duration,
    ) -> Result<Verified<'r>, Refusal> {
        match self {
            Self::Standard | Self::CloudEvents => {
                standard::verify("webhook", delivered, keys, tolerance)
            }
            Self::Svix => standard::verify("svix", delivered, keys, tolerance),
            Self::Stripe => stripe::verify(delivered, keys, tolerance),
            Self::GitHub => github::verify(delivered, keys),
            Self::Shopify => shopify::verify(delivered, keys),
            Self::Slack => slack::verify(delivered, keys, tolerance),
        }
    }

    /// What it says.
    pub(super) fn read(
        self,
        source: &str,
        verified: &Verified<'_>,
    ) -> Result<Read, Refusal> {
        match self {
            Self::Standard => {
                standard::read("webhook", verified)?.event(source, verified)
            }
            Self::Svix => standard::read("svix", verified)?.event(source, verified),
            Self::Stripe => stripe::read(verified)?.event(source, verified),
            Self::GitHub => github::read(verified)?.event(source, verified),
            Self::Shopify => shopify::read(verified)?.event(source, verified),
            Self::Slack => slack::read(source, verified),
            Self::CloudEvents => cloudevents::read(verified),
        }
    }
}

/// What an event is built of, beside its payload.
struct Facts {
    id: String,
    event_type: String,
    /// When it happened, where the service says so.
    at: Option<DateTime<Utc>>,
    /// The headers that are kept begin with this.
    headers: Option<&'static str>,
}

impl Facts {
    fn event(self, source: &str, verified: &Verified<'_>) -> Result<Read, Refusal> {
        let id = self.id.parse();
        let id = id.map_err(|_| Refusal::unreadable("the id of the event is empty"))?;
        let payload = RawEvent::new(self.event_type, verified.body());
        let mut event = Envelope::builder(source.to_owned(), payload).id(id);
        let is_json = |stated: &&str| stated.trim_start().starts_with("application/json");
        let stated = verified.header("content-type").filter(|stated| !is_json(stated));
        if let Some(stated) = stated {
            event = event.tag("datacontenttype", stated);
        }
        if let Some(prefix) = self.headers {
            for (name, value) in verified.headers() {
                let name = name.as_str();
                let is_kept = name.starts_with(prefix) && !name.contains("hmac");
                if let (true, Ok(value)) = (is_kept, value.to_str()) {
                    event = event.tag(format!("header.{name}"), value);
                }
            }
        }
        let event = event.build_at(self.at.unwrap_or(verified.now()));
        event.map(Read::Event).map_err(|refused| Refusal::unreadable(refused.to_string()))
    }
}

/// The text of a field, where it is one that is not empty.
fn text(body: &Value, pointer: &str) -> Option<String> {
    let text = body.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// The same, of a field without which a body is no event.
fn wanted(body: &Value, pointer: &str) -> Result<String, Refusal> {
    text(body, pointer).ok_or_else(|| {
        Refusal::unreadable(format!("the body has no text at {pointer} in its JSON"))
    })
}

/// The moment of a field that counts seconds.
fn seconds(body: &Value, pointer: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(body.pointer(pointer)?.as_i64()?, 0)
}
