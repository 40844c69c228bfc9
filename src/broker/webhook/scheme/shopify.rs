//! Shopify: the signature of the body alone; event, topic and shop in headers.

use super::Facts;
use crate::broker::webhook::delivered::{Delivered, Refusal, Verified};
use crate::broker::webhook::signature::{Key, of_base64};

pub(super) fn verify<'r>(
    delivered: Delivered<'r>,
    keys: &[Key],
) -> Result<Verified<'r>, Refusal> {
    let signature = of_base64(delivered.header("x-shopify-hmac-sha256")?);
    let signatures: Vec<Vec<u8>> = signature.into_iter().collect();
    delivered.verify(keys, &[], &signatures)
}

pub(super) fn read(verified: &Verified<'_>) -> Result<Facts, Refusal> {
    let header = |name: &str| {
        let missing = || Refusal::unreadable(format!("the header {name} is missing"));
        verified.header(name).ok_or_else(missing)
    };
    let (id, topic) = (header("x-shopify-event-id")?, header("x-shopify-topic")?);
    let at = verified.header("x-shopify-triggered-at").and_then(|at| at.parse().ok());
    Ok(Facts {
        // What a merchant does once may be an event of several topics.
        id: if id.is_empty() { String::new() } else { format!("{id}/{topic}") },
        event_type: format!("shopify.{}", topic.replace('/', ".")),
        at,
        headers: Some("x-shopify-"),
    })
}
