//! What an endpoint takes from each service, and what it does not: nothing is delivered
//! whose sender is not known.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, StatusCode};
use integration_automation_patterns::broker::webhook::{
    Acker, Endpoint, EndpointConfig, Hooks, Route, Scheme, endpoint,
};
use integration_automation_patterns::broker::{Consumer, Delivery};
use proptest::prelude::*;
use serde_json::Value;

use super::signed::{SCHEMES, TEXT, body, now, path, request, routes};
use super::{OTHER, SECRET};

fn all() -> (Endpoint, Hooks) {
    endpoint(routes(), EndpointConfig::default()).unwrap()
}

/// An event that came of a request.
#[derive(Debug)]
struct Taken {
    id: String,
    source: String,
    event_type: String,
    created_at: String,
    tags: BTreeMap<String, String>,
    body: Vec<u8>,
    is_redelivered: bool,
}

/// Hands a request over, and confirms the event that comes of it.
async fn delivered(
    (endpoint, hooks): &mut (Endpoint, Hooks),
    request: &Request<Vec<u8>>,
) -> Result<Taken, (StatusCode, String)> {
    let worker = async {
        let delivery = hooks.next().await.unwrap().unwrap();
        let facts = delivery.facts();
        let taken = Taken {
            id: facts.id().to_string(),
            source: facts.source_system().to_owned(),
            event_type: facts.event_type().to_owned(),
            created_at: facts.created_at().to_rfc3339(),
            tags: facts.tags().clone(),
            body: facts.payload().bytes().to_vec(),
            is_redelivered: delivery.is_redelivered(),
        };
        confirm(delivery).await;
        taken
    };
    tokio::select! {
        biased;
        answer = endpoint.receive(request) => {
            Err((answer.status(), answer.into_body()))
        }
        taken = worker => Ok(taken),
    }
}

/// Acks it, as an inbox does that has it already.
async fn confirm(delivery: Delivery<Acker>) {
    let mut inbox = super::worker::inbox();
    super::worker::process(&mut inbox, delivery).settle().await.unwrap();
}

#[tokio::test]
async fn each_service_is_understood() {
    let mut ends = all();
    for (scheme, id, source, event_type, at) in [
        (Scheme::Standard, "msg_1", "billing", "invoice.paid", true),
        (Scheme::Svix, "msg_1", "payroll", "invoice.paid", true),
        (Scheme::Stripe, "evt_1", "stripe", "stripe.invoice.paid", true),
        (
            Scheme::GitHub,
            "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "github",
            "github.issues.opened",
            false,
        ),
        (
            Scheme::Shopify,
            "98880550-7158-44d4-b7cd-2c97c8a091b5/orders/create",
            "shopify",
            "shopify.orders.create",
            true,
        ),
        (Scheme::Slack, "Ev1", "slack", "slack.message", true),
        (Scheme::CloudEvents, "1", "//crm.example.com", "crm.lead.created", false),
    ] {
        let sent = request(scheme, body(scheme).as_bytes(), now());
        let taken = delivered(&mut ends, &sent).await.unwrap();
        assert_eq!(taken.id, id, "{scheme:?}");
        assert_eq!((&*taken.source, &*taken.event_type), (source, event_type));
        assert_eq!(taken.body, body(scheme).as_bytes());
        let stated = taken.created_at == "2026-01-05T08:00:00+00:00";
        assert_eq!(stated, at, "{scheme:?} {}", taken.created_at);
        assert!(taken.is_redelivered, "no service says that it is the first");
        let tags: Vec<&str> = taken.tags.keys().map(String::as_str).collect();
        let shop = "header.x-shopify-shop-domain";
        assert_eq!(tags.contains(&shop), scheme == Scheme::Shopify, "{tags:?}");
        assert!(tags.iter().all(|tag| !tag.contains("hmac")), "{tags:?}");
    }
}

/// GitHub can send forms: the handler must see that the body is one.
#[tokio::test]
async fn a_content_type_other_than_json_is_kept() {
    let mut ends = all();
    for (content_type, kept) in [
        ("application/json; charset=utf-8", None),
        ("application/x-www-form-urlencoded", Some("application/x-www-form-urlencoded")),
    ] {
        let mut sent = request(Scheme::GitHub, b"payload=%7B%7D", now());
        sent.headers_mut().insert("content-type", content_type.parse().unwrap());
        let taken = delivered(&mut ends, &sent).await.unwrap();
        assert_eq!(taken.tags.get("datacontenttype").map(String::as_str), kept);
        assert_eq!(taken.event_type, "github.issues");
    }
}

/// What another has signed, what was changed on the way, and what is sent again later.
#[tokio::test]
async fn what_is_not_signed_as_it_should_be_is_refused() {
    let mut ends = all();
    for scheme in SCHEMES {
        let body = body(scheme);
        let mut changed = request(scheme, body.as_bytes(), now());
        changed.body_mut().push(b' ');
        let mut to_another = request(scheme, body.as_bytes(), now());
        *to_another.uri_mut() = match scheme {
            Scheme::Stripe => path(Scheme::GitHub).parse().unwrap(),
            _ => path(Scheme::Stripe).parse().unwrap(),
        };
        let mut refused = vec![changed, to_another];
        if !matches!(scheme, Scheme::GitHub | Scheme::Shopify) {
            refused.push(request(scheme, body.as_bytes(), now() - 301));
            refused.push(request(scheme, body.as_bytes(), now() + 310));
            refused.push(request(scheme, body.as_bytes(), i64::MAX));
            refused.push(request(scheme, body.as_bytes(), i64::MIN));
        }
        let mut all = request(scheme, body.as_bytes(), now());
        let names: Vec<_> = all.headers().keys().cloned().collect();
        let is_of_signature = |name: &str| {
            name.contains("signature") || name.contains("hmac") || name.contains("stamp")
        };
        for name in names.iter().filter(|name| is_of_signature(name.as_str())) {
            let value = all.headers_mut().remove(name).unwrap();
            refused.push(all.clone());
            all.headers_mut().insert(name, value);
        }
        for request in refused {
            let refused = delivered(&mut ends, &request).await.unwrap_err();
            assert_eq!(refused.0, StatusCode::UNAUTHORIZED, "{request:?}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_second_secret_is_taken_while_a_sender_changes_it() {
    for scheme in SCHEMES {
        let known = match scheme {
            Scheme::Standard | Scheme::Svix | Scheme::CloudEvents => [OTHER, SECRET],
            _ => ["another text", TEXT],
        };
        let route = |secret| {
            let route = Route::new(path(scheme), scheme, secret);
            match scheme {
                Scheme::Standard | Scheme::Svix => route.source("billing"),
                _ => route,
            }
        };
        let sent = request(scheme, body(scheme).as_bytes(), now());
        let both = route(known[0]).secret(known[1]);
        let mut ends = endpoint([both], EndpointConfig::default()).unwrap();
        delivered(&mut ends, &sent).await.unwrap();
        let mut ends = endpoint([route(known[0])], EndpointConfig::default()).unwrap();
        let refused = delivered(&mut ends, &sent).await.unwrap_err();
        assert_eq!(refused.0, StatusCode::UNAUTHORIZED, "{scheme:?}");
    }
}

/// Signed, and yet no event: an invoice of Stripe has an id too.
#[tokio::test]
async fn what_is_signed_and_no_event_is_refused_with_a_reason() {
    let mut ends = all();
    for (scheme, body, why) in [
        (Scheme::Stripe, r#"{"id":"in_1","object":"invoice","type":"x"}"#, "no event"),
        (Scheme::Stripe, r#"{"object":"event","type":"x"}"#, "no text at /id"),
        (Scheme::Stripe, "no JSON", "no text at /object"),
        (Scheme::Slack, r#"{"event":{"type":"message"}}"#, "no text at /event_id"),
        (Scheme::Slack, r#"{"type":"url_verification"}"#, "no text at /challenge"),
        (Scheme::Slack, r#"{"type":"app_rate_limited"}"#, "/minute_rate_limited"),
    ] {
        let sent = request(scheme, body.as_bytes(), now());
        let (status, said) = delivered(&mut ends, &sent).await.unwrap_err();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(said.contains(why), "{said}");
    }
    for (scheme, header) in [
        (Scheme::GitHub, "x-github-delivery"),
        (Scheme::GitHub, "x-github-event"),
        (Scheme::Shopify, "x-shopify-event-id"),
        (Scheme::Shopify, "x-shopify-topic"),
        (Scheme::CloudEvents, "ce-id"),
        (Scheme::CloudEvents, "ce-type"),
        (Scheme::CloudEvents, "ce-specversion"),
    ] {
        let mut sent = request(scheme, body(scheme).as_bytes(), now());
        sent.headers_mut().remove(header);
        let (status, said) = delivered(&mut ends, &sent).await.unwrap_err();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{header}: {said}");
        let attribute = header.trim_start_matches("ce-");
        assert!(said.contains(attribute), "{header}: {said}");
    }
}

#[tokio::test]
async fn slack_is_answered_its_question_where_it_has_signed_it() {
    let mut ends = all();
    let question = br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let asked = request(Scheme::Slack, question, now());
    let answer = delivered(&mut ends, &asked).await.unwrap_err();
    assert_eq!(answer, (StatusCode::OK, "3eZbrw1a".to_owned()));
    let forged = Request::post("/Slack").body(question.to_vec()).unwrap();
    let refused = delivered(&mut ends, &forged).await.unwrap_err();
    assert_eq!(refused.0, StatusCode::UNAUTHORIZED);
}

/// It has no id, and says that events are missing: the same one each time that it is sent.
#[tokio::test]
async fn slack_says_that_it_sends_no_more_for_a_minute() {
    let mut ends = all();
    let limited = br#"{"token":"x","type":"app_rate_limited","team_id":"T1",
        "minute_rate_limited":1767600000,"api_app_id":"A1"}"#;
    let sent = request(Scheme::Slack, limited, now());
    let taken = delivered(&mut ends, &sent).await.unwrap();
    assert_eq!(taken.id, "app_rate_limited/A1/T1/1767600000");
    assert_eq!(taken.event_type, "slack.app_rate_limited");
    assert_eq!(taken.created_at, "2026-01-05T08:00:00+00:00");
}

/// Else who knows the secret of one route takes ids from the sender of another, whose
/// events are duplicates then.
#[tokio::test]
async fn no_sender_of_cloud_events_speaks_for_another() {
    let open = |path: &str| Route::unsigned(path);
    let routes = [
        open("/any"),
        open("/erp").source("erp"),
        Route::new("/github", Scheme::GitHub, TEXT),
    ];
    let mut ends = endpoint(routes, EndpointConfig::default()).unwrap();
    for (path, source, may) in [
        ("/any", "crm", true),
        ("/any", "erp", false),
        ("/any", "github", false),
        ("/erp", "erp", true),
        ("/erp", "crm", false),
        ("/erp", "ERP", false),
        ("/erp", "github", false),
    ] {
        let mut sent = request(Scheme::CloudEvents, b"{}", now());
        *sent.uri_mut() = path.parse().unwrap();
        sent.headers_mut().insert("ce-source", source.parse().unwrap());
        let found = delivered(&mut ends, &sent).await.map(|taken| taken.source);
        match found {
            Ok(found) => assert_eq!((found.as_str(), may), (source, true), "{path}"),
            Err((status, said)) => {
                assert_eq!(
                    (status, may),
                    (StatusCode::FORBIDDEN, false),
                    "{path} {said}"
                );
                assert!(said.contains(source), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn a_sender_of_cloud_events_may_send_where_its_origin_is_allowed() {
    let route = |origin: &str| {
        Route::new("/events", Scheme::CloudEvents, SECRET).allow_origin(origin)
    };
    for (allowed, origin, wanted) in [
        ("eventgrid.azure.net", "eventgrid.azure.net", Some("eventgrid.azure.net")),
        ("eventgrid.azure.net", "other.example.com", None),
        ("*", "other.example.com", Some("other.example.com")),
    ] {
        let (endpoint, _hooks) =
            endpoint([route(allowed)], EndpointConfig::default()).unwrap();
        let asked = Request::options("/events")
            .header("webhook-request-origin", origin)
            .header("webhook-request-rate", "120")
            .body(Vec::new())
            .unwrap();
        let answer = endpoint.receive(&asked).await;
        let header =
            |name| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("webhook-allowed-origin"), wanted);
        assert_eq!(header("webhook-allowed-rate"), wanted.map(|_| "*"));
        assert_eq!(header("allow"), Some("POST, OPTIONS"));
    }
}

#[tokio::test]
async fn a_token_is_shown_in_the_header_or_in_the_address() {
    let route = Route::bearer("/events", "t0ken").secret("n3w").secret("a+b/c==");
    let mut ends = endpoint([route], EndpointConfig::default()).unwrap();
    for (query, header, known) in [
        ("", Some("Bearer t0ken"), true),
        ("", Some("Bearer n3w"), true),
        ("", Some("bearer t0ken"), true),
        ("", Some("Basic t0ken"), false),
        ("?access_token=t0ken", None, true),
        ("?a=b&access_token=n3w", None, true),
        ("", Some("Bearer a+b/c=="), true),
        ("?access_token=a+b/c==", None, true),
        ("?access_token=a%2Bb%2Fc%3D%3D", None, true),
        ("?access_token=a%2Bb%2Fc%3D%3", None, false),
        ("", Some("Bearer a%2Bb%2Fc%3D%3D"), false),
        ("", None, false),
        ("", Some("Bearer t0kem"), false),
        ("", Some("Bearer "), false),
        ("", Some("t0ken"), false),
        ("?access_token=", None, false),
        ("?token=t0ken", None, false),
    ] {
        let mut sent = request(Scheme::CloudEvents, b"{}", now());
        *sent.uri_mut() = format!("/events{query}").parse().unwrap();
        if let Some(header) = header {
            sent.headers_mut().insert("authorization", header.parse().unwrap());
        }
        let delivered = delivered(&mut ends, &sent).await;
        let status = delivered.map(|_| ()).map_err(|(status, _)| status);
        let wanted = if known { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) };
        assert_eq!(status, wanted, "{query} {header:?}");
    }
}

#[tokio::test]
async fn an_open_route_takes_cloud_events_from_anybody() {
    let mut ends =
        endpoint([Route::unsigned("/open")], EndpointConfig::default()).unwrap();
    let mut sent = request(Scheme::CloudEvents, b"{}", now());
    *sent.uri_mut() = "/open".parse().unwrap();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        sent.headers_mut().remove(name);
    }
    delivered(&mut ends, &sent).await.unwrap();
}

/// The signature of binary mode covers the `webhook-id` alone: with another `ce-id` each
/// time, one recorded request would be many events.
#[tokio::test]
async fn the_id_of_an_event_is_the_one_that_was_signed() {
    let mut ends = all();
    let mut sent = request(Scheme::CloudEvents, b"{}", now());
    sent.headers_mut().insert("ce-id", "2".parse().unwrap());
    let refused = delivered(&mut ends, &sent).await.unwrap_err();
    assert_eq!(refused.0, StatusCode::UNAUTHORIZED, "{}", refused.1);
}

#[tokio::test]
async fn a_cloud_event_whose_whole_is_in_the_body_is_one_too() {
    let mut ends = all();
    let whole = br#"{"specversion":"1.0","id":"7","source":"/crm","type":"t","data":{}}"#;
    let structured = |content_type: &str| {
        let mut sent = request(Scheme::CloudEvents, whole, now());
        for name in ["ce-id", "ce-type", "ce-source", "ce-specversion"] {
            sent.headers_mut().remove(name);
        }
        sent.headers_mut().insert("content-type", content_type.parse().unwrap());
        sent
    };
    let sent = structured("application/cloudevents+json; charset=utf-8");
    let one = delivered(&mut ends, &sent).await;
    if cfg!(feature = "serde") {
        let one = one.unwrap();
        assert_eq!(one.id, "7");
    } else {
        assert_eq!(one.unwrap_err().0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let batch = structured("application/cloudevents-batch+json");
    let (status, said) = delivered(&mut ends, &batch).await.unwrap_err();
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{said}");
}

#[tokio::test]
async fn only_a_post_to_a_route_is_a_webhook_and_only_up_to_a_size() {
    let config = EndpointConfig::default().largest_body(100);
    let mut ends = endpoint(routes(), config).unwrap();
    let at = |path: &str| {
        let mut sent = request(Scheme::GitHub, b"{}", now());
        *sent.uri_mut() = path.parse().unwrap();
        sent
    };
    for path in ["/", "/github", "/GitHub/", "/GitHub/x"] {
        let refused = delivered(&mut ends, &at(path)).await.unwrap_err();
        assert_eq!(refused.0, StatusCode::NOT_FOUND, "{path}");
    }
    delivered(&mut ends, &at("/GitHub?installation=1")).await.unwrap();
    for method in ["GET", "PUT", "OPTIONS"] {
        let mut sent = at("/GitHub");
        *sent.method_mut() = method.parse().unwrap();
        let refused = delivered(&mut ends, &sent).await.unwrap_err();
        assert_eq!(refused.0, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    for scheme in SCHEMES {
        let mut sent = request(scheme, b"{}", now());
        *sent.method_mut() = http::Method::GET;
        let refused = ends.0.receive(&sent).await;
        let allowed = match scheme {
            Scheme::CloudEvents => "POST, OPTIONS",
            _ => "POST",
        };
        assert_eq!(refused.headers()["allow"], allowed, "{scheme:?}");
    }
    let large = request(Scheme::GitHub, &[b' '; 101], now());
    let refused = delivered(&mut ends, &large).await.unwrap_err();
    assert_eq!(refused.0, StatusCode::PAYLOAD_TOO_LARGE);
}

/// Bodies as GitHub and Stripe send them: `examples/data/events.jsonl`.
#[tokio::test]
async fn real_payloads_arrive_as_they_are() {
    let mut ends = all();
    let mut counts = BTreeMap::<&str, usize>::new();
    for line in include_str!("../../../examples/data/events.jsonl").lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let body = recorded["payload"].to_string();
        let (scheme, name) = match recorded["provider"].as_str().unwrap() {
            "github" => (Scheme::GitHub, "github"),
            "stripe" => (Scheme::Stripe, "stripe"),
            _ => continue,
        };
        let mut sent = request(scheme, body.as_bytes(), now());
        let recorded_type = recorded["type"].as_str().unwrap();
        if scheme == Scheme::GitHub {
            let event = recorded_type.split('.').next().unwrap();
            sent.headers_mut().insert("x-github-event", event.parse().unwrap());
        }
        let taken = delivered(&mut ends, &sent).await.unwrap();
        assert_eq!(taken.body, body.as_bytes());
        assert_eq!(taken.event_type, format!("{name}.{recorded_type}"));
        *counts.entry(name).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([("github", 9), ("stripe", 7)]));
}

#[test]
fn a_route_that_cannot_be_kept_is_refused() {
    let config = EndpointConfig::default;
    let github = || Route::new("/github", Scheme::GitHub, TEXT);
    for (setting, routes, config) in [
        ("path", vec![Route::new("github", Scheme::GitHub, TEXT)], config()),
        ("path", vec![Route::new("/a?b=c", Scheme::GitHub, TEXT)], config()),
        ("path", vec![github(), github()], config()),
        (
            "source",
            vec![github(), Route::new("/other", Scheme::GitHub, "another secret")],
            config(),
        ),
        ("secret", vec![Route::new("/a", Scheme::GitHub, " ")], config()),
        ("secret", vec![Route::new("/a", Scheme::CloudEvents, TEXT)], config()),
        ("secret", vec![github().secret("")], config()),
        ("secret", vec![Route::unsigned("/a").secret(SECRET)], config()),
        ("token", vec![Route::bearer("/a", "two words")], config()),
        ("token", vec![Route::bearer("/a", "t0=ken")], config()),
        ("source", vec![Route::new("/a", Scheme::Standard, SECRET)], config()),
        ("source", vec![github().source(" ")], config()),
        ("source", vec![Route::unsigned("/a").source(" ")], config()),
        (
            "source",
            vec![
                Route::unsigned("/a").source("crm"),
                Route::new("/b", Scheme::CloudEvents, SECRET).source("crm"),
            ],
            config(),
        ),
        ("allow_origin", vec![github().allow_origin("*")], config()),
        ("answer_timeout", vec![], config().answer_timeout(Duration::ZERO)),
        ("tolerance", vec![], config().tolerance(Duration::MAX)),
        ("largest_body", vec![], config().largest_body(0)),
        ("capacity", vec![], config().capacity(0)),
        ("capacity", vec![], config().capacity(usize::MAX)),
    ] {
        let refused = endpoint(routes, config).unwrap_err();
        assert_eq!(refused.setting(), setting, "{refused}");
        assert!(!refused.to_string().contains(TEXT), "{refused}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let (endpoint, hooks) = all();
    for shown in [format!("{:?}", routes()), format!("{endpoint:?} {hooks:?}")] {
        for secret in [TEXT, SECRET, "MfKQ9r8"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

/// Whether an event came of a request: without a worker, its sender would have to come
/// again.
fn is_delivered(request: &Request<Vec<u8>>) -> bool {
    let (endpoint, hooks) = all();
    drop(hooks);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let answer = runtime.unwrap().block_on(endpoint.receive(request));
    answer.status() == StatusCode::SERVICE_UNAVAILABLE
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let names = SCHEMES.map(|scheme| request(scheme, b"", 0).headers().clone());
    let names: Vec<String> =
        names.iter().flat_map(|all| all.keys().map(ToString::to_string)).collect();
    let now = now().to_string();
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        "(v1,|v0=|sha256=|t=1,v1=|application/cloudevents\\+json)?[0-9a-fA-F=+/]{0,64}"
            .prop_map(String::into_bytes),
        Just(now.clone().into_bytes()),
        Just(format!("t={now},v1=00").into_bytes()),
    ];
    proptest::collection::vec((proptest::sample::select(names), value), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever arrives, it ends in an answer, and without a signature in no event.
    #[test]
    fn nothing_that_is_not_signed_is_delivered(
        scheme in proptest::sample::select(&SCHEMES[..]),
        headers in headers(),
        body: Vec<u8>,
        method in "POST|OPTIONS|GET",
    ) {
        let mut sent = Request::new(body);
        *sent.method_mut() = method.parse().unwrap();
        *sent.uri_mut() = path(scheme).parse().unwrap();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                sent.headers_mut().append(name, value);
            }
        }
        prop_assert!(!is_delivered(&sent));
    }

    /// Of what is signed, not one byte can be changed.
    #[test]
    fn a_signed_request_is_delivered_and_one_that_was_changed_is_not(
        scheme in proptest::sample::select(&SCHEMES[..]),
        body: Vec<u8>,
        place: proptest::sample::Index,
        bit in 0..8_u32,
    ) {
        let body = if matches!(scheme, Scheme::Stripe | Scheme::Slack) || body.is_empty() {
            self::body(scheme).as_bytes().to_vec()
        } else {
            body
        };
        let sent = request(scheme, &body, now());
        prop_assert!(is_delivered(&sent));
        let mut changed = sent;
        let place = place.index(changed.body().len());
        changed.body_mut()[place] ^= 1 << bit;
        prop_assert!(!is_delivered(&changed));
    }
}
