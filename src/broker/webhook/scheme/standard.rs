//! The Standard Webhooks specification, and Svix, from which it comes.

use std::time::Duration;

use super::{Facts, text};
use crate::broker::webhook::delivered::{Delivered, Refusal, Verified};
use crate::broker::webhook::signature::{Key, of_base64};

/// The type of an event whose body names none.
const UNNAMED: &str = "webhook";

pub(super) fn verify<'r>(
    prefix: &str,
    delivered: Delivered<'r>,
    keys: &[Key],
    tolerance: Duration,
) -> Result<Verified<'r>, Refusal> {
    let header = |name: &str| delivered.header(&format!("{prefix}-{name}"));
    let (id, at, signature) = (header("id")?, header("timestamp")?, header("signature")?);
    delivered.check_time(at, tolerance)?;
    let signatures = signature.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let signatures: Vec<Vec<u8>> = signatures.filter_map(of_base64).collect();
    let before: [&[u8]; 4] = [id.as_bytes(), b".", at.as_bytes(), b"."];
    delivered.verify(keys, &before, &signatures)
}

pub(super) fn read(prefix: &str, verified: &Verified<'_>) -> Result<Facts, Refusal> {
    let body = verified.json();
    let at = text(&body, "/timestamp").and_then(|at| at.parse().ok());
    Ok(Facts {
        id: verified.header(&format!("{prefix}-id")).unwrap_or_default().to_owned(),
        event_type: text(&body, "/type").unwrap_or_else(|| UNNAMED.to_owned()),
        at,
        headers: None,
    })
}
