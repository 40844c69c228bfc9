//! GitHub: the signature of the body alone. The event's id is in a header, and stays the
//! same when the event is redelivered.

use super::{Facts, text};
use crate::broker::webhook::delivered::{Delivered, Refusal, Verified};
use crate::broker::webhook::signature::{Key, of_hex};

pub(super) fn verify<'r>(
    delivered: Delivered<'r>,
    keys: &[Key],
) -> Result<Verified<'r>, Refusal> {
    let signature = delivered.header("x-hub-signature-256")?.strip_prefix("sha256=");
    let signatures: Vec<Vec<u8>> = signature.and_then(of_hex).into_iter().collect();
    delivered.verify(keys, &[], &signatures)
}

pub(super) fn read(verified: &Verified<'_>) -> Result<Facts, Refusal> {
    let header = |name: &str| {
        let missing = || Refusal::unreadable(format!("the header {name} is missing"));
        verified.header(name).map(str::to_owned).ok_or_else(missing)
    };
    let event = header("x-github-event")?;
    let event_type = match text(&verified.json(), "/action") {
        Some(action) => format!("github.{event}.{action}"),
        None => format!("github.{event}"),
    };
    let id = header("x-github-delivery")?;
    Ok(Facts { id, event_type, at: None, headers: Some("x-github-") })
}
