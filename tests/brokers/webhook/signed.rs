//! Requests, signed as each service does it: by code of the test's own, apart from that
//! which is tested.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use integration_automation_patterns::broker::webhook::{Route, Scheme};
use sha2::Sha256;

use super::SECRET;

/// The secret of services that take any text for one.
pub(super) const TEXT: &str = "whsec_of a service";

pub(super) fn mac(key: &[u8], signed: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(signed);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn standard_key() -> Vec<u8> {
    STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap()
}

pub(super) fn now() -> i64 {
    Utc::now().timestamp()
}

pub(super) const SCHEMES: [Scheme; 7] = [
    Scheme::Standard,
    Scheme::Svix,
    Scheme::Stripe,
    Scheme::GitHub,
    Scheme::Shopify,
    Scheme::Slack,
    Scheme::CloudEvents,
];

pub(super) fn path(scheme: Scheme) -> String {
    format!("/{scheme:?}")
}

/// A route for each scheme.
pub(super) fn routes() -> Vec<Route> {
    let route = |scheme: Scheme| match scheme {
        Scheme::Standard => Route::new(path(scheme), scheme, SECRET).source("billing"),
        Scheme::Svix => Route::new(path(scheme), scheme, SECRET).source("payroll"),
        Scheme::CloudEvents => Route::new(path(scheme), scheme, SECRET),
        _ => Route::new(path(scheme), scheme, TEXT),
    };
    SCHEMES.map(route).into()
}

/// A body as the service sends it.
pub(super) fn body(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Standard | Scheme::Svix => {
            r#"{"type":"invoice.paid","timestamp":"2026-01-05T08:00:00Z","data":{}}"#
        }
        Scheme::Stripe => {
            r#"{"id":"evt_1","object":"event","type":"invoice.paid","created":1767600000}"#
        }
        Scheme::GitHub => r#"{"action":"opened","issue":{"number":1}}"#,
        Scheme::Shopify => r#"{"id":820982911946154508}"#,
        Scheme::Slack => {
            r#"{"type":"event_callback","event_id":"Ev1","event_time":1767600000,"event":{"type":"message"}}"#
        }
        _ => r#"{"lead":7}"#,
    }
}

/// A request of the service, signed at this time.
pub(super) fn request(scheme: Scheme, body: &[u8], at: i64) -> Request<Vec<u8>> {
    let at = at.to_string();
    let over = |parts: &[&[u8]]| [parts, &[body]].concat().concat();
    let mut request = Request::post(path(scheme));
    let standard = |id: &str| {
        let signed = over(&[id.as_bytes(), b".", at.as_bytes(), b"."]);
        format!("v1,{}", STANDARD.encode(mac(&standard_key(), &signed)))
    };
    let text = TEXT.as_bytes();
    let headers: Vec<(&str, String)> = match scheme {
        Scheme::Standard => vec![
            ("webhook-id", "msg_1".to_owned()),
            ("webhook-timestamp", at.clone()),
            ("webhook-signature", standard("msg_1")),
        ],
        Scheme::Svix => vec![
            ("svix-id", "msg_1".to_owned()),
            ("svix-timestamp", at.clone()),
            ("svix-signature", format!("v1,AAAA {} v1a,x", standard("msg_1"))),
        ],
        Scheme::Stripe => {
            let signature = hex(&mac(text, &over(&[at.as_bytes(), b"."])));
            vec![("stripe-signature", format!("t={at},v1=00,v1={signature},v0=1"))]
        }
        Scheme::GitHub => vec![
            ("x-hub-signature-256", format!("sha256={}", hex(&mac(text, body)))),
            ("x-github-event", "issues".to_owned()),
            ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned()),
            ("x-github-hook-id", "292430182".to_owned()),
        ],
        Scheme::Shopify => vec![
            ("x-shopify-hmac-sha256", STANDARD.encode(mac(text, body))),
            ("x-shopify-topic", "orders/create".to_owned()),
            ("x-shopify-event-id", "98880550-7158-44d4-b7cd-2c97c8a091b5".to_owned()),
            ("x-shopify-shop-domain", "shop.example.com".to_owned()),
            ("x-shopify-triggered-at", "2026-01-05T08:00:00Z".to_owned()),
        ],
        Scheme::Slack => {
            let signature = hex(&mac(text, &over(&[b"v0:", at.as_bytes(), b":"])));
            vec![
                ("x-slack-request-timestamp", at.clone()),
                ("x-slack-signature", format!("v0={signature}")),
            ]
        }
        _ => vec![
            ("webhook-id", "1".to_owned()),
            ("webhook-timestamp", at.clone()),
            ("webhook-signature", standard("1")),
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", "1".to_owned()),
            ("ce-source", "//crm.example.com".to_owned()),
            ("ce-type", "crm.lead.created".to_owned()),
            ("content-type", "application/json".to_owned()),
        ],
    };
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(body.to_vec()).unwrap()
}
