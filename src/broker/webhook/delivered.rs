//! A request, before its sender is known and after: only then can its body be read.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::signature::Key;

/// Why a request is not delivered, and what is answered to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// The sender is not known, or cannot show that it is who it says.
    pub(super) fn unauthorized(why: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, why)
    }

    /// The sender is known, and what it has sent is no event.
    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }
}

/// A request whose sender is not known yet. Its body cannot be read.
pub(super) struct Delivered<'r> {
    pub(super) headers: &'r HeaderMap,
    body: &'r [u8],
    now: DateTime<Utc>,
}

impl<'r> Delivered<'r> {
    pub(super) fn new(
        headers: &'r HeaderMap,
        body: &'r [u8],
        now: DateTime<Utc>,
    ) -> Self {
        Self { headers, body, now }
    }

    /// The header of this name that a signature needs.
    pub(super) fn header(&self, name: &str) -> Result<&'r str, Refusal> {
        text(self.headers, name)
            .ok_or_else(|| Refusal::unauthorized(format!("the header {name} is missing")))
    }

    /// Whether a time in seconds is no further away than this.
    pub(super) fn check_time(
        &self,
        seconds: &str,
        tolerance: Duration,
    ) -> Result<(), Refusal> {
        let at = seconds.parse().ok().and_then(|at| DateTime::from_timestamp(at, 0));
        let apart = at.map(|at| self.now.signed_duration_since(at).abs());
        if apart.is_some_and(|apart| apart.to_std().is_ok_and(|apart| apart <= tolerance))
        {
            return Ok(());
        }
        Err(Refusal::unauthorized(format!(
            "the signature's time is not within {tolerance:?} of now"
        )))
    }

    /// The request, where one of the signatures is that of what comes before the body and
    /// of the body, by one of the keys.
    pub(super) fn verify(
        self,
        keys: &[Key],
        before: &[&[u8]],
        signatures: &[Vec<u8>],
    ) -> Result<Verified<'r>, Refusal> {
        let parts: Vec<&[u8]> = before.iter().copied().chain([self.body]).collect();
        if keys.iter().any(|key| key.has_signed(&parts, signatures)) {
            return Ok(self.without_a_signature());
        }
        Err(Refusal::unauthorized("the signature is that of another secret or body"))
    }

    /// The request, where its sender is known by something else.
    pub(super) fn without_a_signature(self) -> Verified<'r> {
        let Self { headers, body, now } = self;
        Verified { headers, body, now }
    }
}

/// A request whose sender is known.
pub(super) struct Verified<'r> {
    headers: &'r HeaderMap,
    body: &'r [u8],
    now: DateTime<Utc>,
}

impl<'r> Verified<'r> {
    pub(super) const fn headers(&self) -> &'r HeaderMap {
        self.headers
    }

    pub(super) fn header(&self, name: &str) -> Option<&'r str> {
        text(self.headers, name)
    }

    pub(super) const fn body(&self) -> &'r [u8] {
        self.body
    }

    /// The body as JSON; null where it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    pub(super) const fn now(&self) -> DateTime<Utc> {
        self.now
    }
}

/// The first header of this name, where it is printable ASCII.
fn text<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
