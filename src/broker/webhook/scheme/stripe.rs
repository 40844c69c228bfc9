//! Stripe: `t=...,v1=...` over time and body, and the event's id in the body.

use std::time::Duration;

use super::{Facts, seconds, wanted};
use crate::broker::webhook::delivered::{Delivered, Refusal, Verified};
use crate::broker::webhook::signature::{Key, of_hex};

pub(super) fn verify<'r>(
    delivered: Delivered<'r>,
    keys: &[Key],
    tolerance: Duration,
) -> Result<Verified<'r>, Refusal> {
    let header = delivered.header("stripe-signature")?;
    let pairs = header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let (mut at, mut signatures) = (None, Vec::new());
    for (name, value) in pairs {
        match name {
            "t" => at = at.or(Some(value)),
            "v1" => signatures.extend(of_hex(value)),
            _ => {}
        }
    }
    let at = at.ok_or_else(|| {
        Refusal::unauthorized("the header stripe-signature has no time t=...")
    })?;
    delivered.check_time(at, tolerance)?;
    delivered.verify(keys, &[at.as_bytes(), b"."], &signatures)
}

pub(super) fn read(verified: &Verified<'_>) -> Result<Facts, Refusal> {
    let body = verified.json();
    // Any other object has an id and a signature too: that of an invoice, taken for an
    // event's, would hide the event that comes later.
    let object = wanted(&body, "/object")?;
    if !matches!(object.as_str(), "event" | "v2.core.event") {
        return Err(Refusal::unreadable(format!(
            "the body is no event, but: {object:?}"
        )));
    }
    Ok(Facts {
        id: wanted(&body, "/id")?,
        event_type: format!("stripe.{}", wanted(&body, "/type")?),
        at: seconds(&body, "/created"),
        headers: None,
    })
}
