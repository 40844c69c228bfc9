//! CloudEvents over HTTP: the event in headers and body, or all of it in the body.

use http::StatusCode;

use super::Read;
use crate::broker::webhook::delivered::{Refusal, Verified};
use crate::cloudevents::{Binding, CloudEvent, ParseCloudEventError};

pub(super) fn read(verified: &Verified<'_>) -> Result<Read, Refusal> {
    let mut headers = Vec::new();
    for (name, value) in verified.headers() {
        match value.to_str() {
            Ok(value) => headers.push((name.as_str(), value)),
            Err(_) if Binding::Http.has_attribute(name.as_str()) => {
                let why = format!("the header {name} is not printable ASCII");
                return Err(Refusal::unreadable(why));
            }
            Err(_) => {}
        }
    }
    let body = verified.body().to_vec();
    let event = match CloudEvent::from_headers(Binding::Http, headers, body) {
        Ok(event) => {
            check_id(verified)?;
            event
        }
        Err(refused) => match refused.into_parts() {
            (body, ParseCloudEventError::Structured { content_type }) => {
                structured(&content_type, &body)?
            }
            (_, cause) => return Err(Refusal::unreadable(cause.to_string())),
        },
    };
    let event = event.into_envelope_at(verified.now());
    event.map(Read::Event).map_err(|refused| Refusal::unreadable(refused.to_string()))
}

/// In binary mode, the signature covers `webhook-id` and not `ce-id`: an attacker who has
/// recorded one request must not make many events of it.
fn check_id(verified: &Verified<'_>) -> Result<(), Refusal> {
    match (verified.header("webhook-id"), verified.header("ce-id")) {
        (Some(signed), Some(id)) if signed != id => {
            Err(Refusal::unauthorized("webhook-id, which is signed, is not the ce-id"))
        }
        _ => Ok(()),
    }
}

#[cfg(feature = "serde")]
fn structured(content_type: &str, body: &[u8]) -> Result<CloudEvent, Refusal> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/cloudevents+json") {
        return Err(not_understood(content_type, "application/cloudevents+json"));
    }
    CloudEvent::from_json(body).map_err(|error| Refusal::unreadable(error.to_string()))
}

#[cfg(not(feature = "serde"))]
fn structured(content_type: &str, _: &[u8]) -> Result<CloudEvent, Refusal> {
    Err(not_understood(content_type, "binary mode, with the headers ce-..."))
}

fn not_understood(content_type: &str, wanted: &str) -> Refusal {
    let why = format!("expected {wanted}, found {content_type}");
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)
}
