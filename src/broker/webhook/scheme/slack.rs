//! Slack's Events API, and the question by which Slack finds out whose an address is.

use std::time::Duration;

use serde_json::Value;

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
    let facts = match text(&body, "/type").as_deref() {
        Some(APP_RATE_LIMITED) => rate_limited(&body)?,
        _ => Facts {
            id: wanted(&body, "/event_id")?,
            event_type: format!("slack.{}", wanted(&body, "/event/type")?),
            at: seconds(&body, "/event_time"),
            headers: None,
        },
    };
    facts.event(source, verified)
}

const APP_RATE_LIMITED: &str = "app_rate_limited";

/// For a minute, a workspace had more events than Slack sends. It gives this no id: the
/// app, the workspace and the minute are one.
fn rate_limited(body: &Value) -> Result<Facts, Refusal> {
    let at = seconds(body, "/minute_rate_limited").ok_or_else(|| {
        Refusal::unreadable("the body has no moment at /minute_rate_limited in its JSON")
    })?;
    let [app, team] = [wanted(body, "/api_app_id")?, wanted(body, "/team_id")?];
    Ok(Facts {
        id: format!("{APP_RATE_LIMITED}/{app}/{team}/{}", at.timestamp()),
        event_type: format!("slack.{APP_RATE_LIMITED}"),
        at: Some(at),
        headers: None,
    })
}
