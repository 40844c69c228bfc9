//! Slack's Events API, and the question by which Slack finds out whose an address is.

use std::time::Duration;

use super::{Facts, Read, seconds, text, wanted};
use crate::broker::webhook::delivered::{Delivered, Refusal, Verified};
use crate::broker::webhook::signature::{Key, of_hex};

pub(super) fn verify<'r>(
    delivered: Delivered<'r>,
    keys: &[Key],
    tolerance: Duration,
) -> Result<Verified<'r>, Refusal> {
    let at = delivered.header("x-slack-request-timestamp")?;
    let signature = delivered.header("x-slack-signature")?.strip_prefix("v0=");
    delivered.check_time(at, tolerance)?;
    let signatures: Vec<Vec<u8>> = signature.and_then(of_hex).into_iter().collect();
    delivered.verify(keys, &[b"v0:", at.as_bytes(), b":"], &signatures)
}

pub(super) fn read(source: &str, verified: &Verified<'_>) -> Result<Read, Refusal> {
    let body = verified.json();
    if text(&body, "/type").as_deref() == Some("url_verification") {
        return wanted(&body, "/challenge").map(Read::Challenge);
    }
    let facts = Facts {
        id: wanted(&body, "/event_id")?,
        event_type: format!("slack.{}", wanted(&body, "/event/type")?),
        at: seconds(&body, "/event_time"),
        headers: None,
    };
    facts.event(source, verified)
}
