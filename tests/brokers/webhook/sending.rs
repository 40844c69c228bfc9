//! What is sent, what each answer makes of it, and where nothing is sent to.

use std::time::Duration;

use integration_automation_patterns::broker::webhook::{Webhook, WebhookConfig};
use integration_automation_patterns::broker::{Broker, BrokerError, BrokerErrorKind};
use tokio::net::TcpListener;

use super::peer::Receiver;
use super::{OTHER, SECRET, event};
use crate::suite::{in_time, refusal};

fn inside(config: WebhookConfig) -> WebhookConfig {
    config.allow_http().allow_private()
}

fn webhook(url: &str) -> Webhook {
    Webhook::new(url, inside(WebhookConfig::new(SECRET))).unwrap()
}

#[tokio::test]
async fn an_event_is_a_post_with_its_attributes_and_a_signature_for_each_secret() {
    let receiver = Receiver::start().await;
    let config = WebhookConfig::new(SECRET).secret(OTHER).bearer_token("t0ken");
    let webhook = Webhook::new(&receiver.url("204"), inside(config)).unwrap();
    webhook.send(&event("evt 1/ü")).await.unwrap();
    let got = receiver.got();
    let [got] = &got[..] else { panic!("{got:?}") };
    assert_eq!((got.method.as_str(), got.path.as_str()), ("POST", "/204"));
    assert_eq!(got.body, br#"{"lead":7}"#[..]);
    for (name, wanted) in [
        ("ce-id", "evt%201/%C3%BC"),
        ("ce-source", "crm"),
        ("ce-type", "crm.lead.created"),
        ("content-type", "application/json"),
        ("webhook-id", "evt%201/%C3%BC"),
        ("authorization", "Bearer t0ken"),
    ] {
        assert_eq!(got.header(name), wanted, "{name}");
    }
    let signatures: Vec<&str> = got.header("webhook-signature").split(' ').collect();
    assert!(matches!(signatures[..], [one, two] if one != two), "{signatures:?}");
    assert!(signatures.iter().all(|one| one.starts_with("v1,")), "{signatures:?}");
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let receiver = Receiver::start().await;
    let config = inside(WebhookConfig::unsigned());
    let webhook = Webhook::new(&receiver.url("204"), config).unwrap();
    webhook.send(&event("1")).await.unwrap();
    let got = receiver.got();
    assert!(got[0].headers.keys().all(|name| !name.as_str().starts_with("webhook-")));
    assert_eq!(got[0].header("authorization"), "");
}

#[tokio::test]
async fn the_answer_decides_what_becomes_of_the_event() {
    use BrokerErrorKind::{Permanent, Transient, Unavailable};
    let receiver = Receiver::start().await;
    let address = receiver.address;
    for (path, wanted, said) in [
        ("200", None, ""),
        ("204", None, ""),
        ("404", Some(Permanent), "answered 404 Not Found"),
        ("410", Some(Permanent), "stop sending to it"),
        ("413", Some(Permanent), "too large"),
        ("moved", Some(Permanent), "a redirect is not followed"),
        ("503", Some(Transient), "answered 503 Service Unavailable"),
        ("later", Some(Unavailable), "answered 429 Too Many Requests"),
        ("cut", Some(Transient), "connection"),
    ] {
        let sent = webhook(&receiver.url(path)).send(&event("1")).await;
        assert_eq!(refusal(&sent), wanted, "{path}: {sent:?}");
        let reason = sent.as_ref().err().map_or("", BrokerError::reason);
        assert!(reason.contains(said), "{path}: {reason}");
        let to = format!("http://{address}");
        assert!(sent.is_ok() || reason.starts_with(&to), "{path}: {reason}");
        let asked = sent.err().and_then(|error| error.retry_after());
        let wanted = (path == "later").then_some(Duration::from_secs(7));
        assert_eq!(asked, wanted, "{path}");
    }
    let paths: Vec<String> = receiver.got().into_iter().map(|got| got.path).collect();
    assert_eq!(paths.iter().filter(|path| *path == "/204").count(), 1, "{paths:?}");
}

#[tokio::test]
async fn an_answer_has_an_end_in_time_and_in_length() {
    in_time(async {
        let receiver = Receiver::start().await;
        let config = inside(WebhookConfig::new(SECRET));
        let config = config.request_timeout(Duration::from_millis(50));
        let config = config.connect_timeout(Duration::from_secs(1));
        let hangs = Webhook::new(&receiver.url("hang"), config).unwrap();
        let sent = hangs.send(&event("1")).await;
        assert_eq!(refusal(&sent), Some(BrokerErrorKind::Transient), "{sent:?}");

        let sent = webhook(&receiver.url("large")).send(&event("1")).await;
        assert_eq!(refusal(&sent), Some(BrokerErrorKind::Transient));
        let reason = sent.unwrap_err();
        assert!(reason.reason().len() < 400, "{reason}");
    })
    .await;
}

/// Protects logs, audit trails and dead letters from the payload: a receiver repeats in its
/// answer what it was sent.
#[tokio::test]
async fn what_a_receiver_repeats_stands_in_a_reason_only_where_it_is_asked_for() {
    let receiver = Receiver::start().await;
    let url = receiver.url("echo");
    let config = || inside(WebhookConfig::new(SECRET));
    let refused = webhook(&url).send(&event("1")).await.unwrap_err();
    assert_eq!(refused.kind(), BrokerErrorKind::Permanent);
    let wanted = format!("http://{} answered 400 Bad Request", receiver.address);
    assert_eq!(refused.reason(), wanted);
    assert!(!format!("{refused:?}").contains("lead"), "{refused:?}");
    let quotes = Webhook::new(&url, config().quote_answers()).unwrap();
    let quoted = quotes.send(&event("1")).await.unwrap_err();
    assert_eq!(quoted.reason(), wanted + r#": {"lead":7}"#);
}

#[tokio::test]
async fn a_server_that_says_nothing_to_tls_is_unreachable_in_the_time_for_connecting() {
    in_time(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", silent.local_addr().unwrap());
        let config = inside(WebhookConfig::new(SECRET));
        let config = config.connect_timeout(Duration::from_millis(100));
        let sent = Webhook::new(&url, config).unwrap().send(&event("1")).await;
        assert_eq!(refusal(&sent), Some(BrokerErrorKind::Unreachable), "{sent:?}");
    })
    .await;
}

/// The names that only the resolver makes an address of: the receiver is there, and is not
/// even connected to.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_anything_is_connected() {
    let receiver = Receiver::start().await;
    let port = receiver.address.port();
    for host in ["localhost", "2130706433", "0x7f.1", "0177.1", "127.1"] {
        let url = format!("http://{host}:{port}/204");
        let config = WebhookConfig::new(SECRET).allow_http();
        let sent = Webhook::new(&url, config).unwrap().send(&event("1")).await;
        assert_eq!(
            refusal(&sent),
            Some(BrokerErrorKind::Unavailable),
            "{host}: {sent:?}"
        );
        let reason = sent.unwrap_err();
        assert!(reason.reason().contains("`allow_private`"), "{reason}");
    }
    assert_eq!(receiver.connections(), 0);
    let named = format!("http://localhost:{port}/204");
    webhook(&named).send(&event("1")).await.unwrap();
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn events_one_after_another_share_a_connection() {
    let receiver = Receiver::start().await;
    let webhook = webhook(&receiver.url("200"));
    for id in ["1", "2", "3"] {
        webhook.send(&event(id)).await.unwrap();
    }
    assert_eq!((receiver.got().len(), receiver.connections()), (3, 1));
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let receiver = Receiver::start().await;
    let config = WebhookConfig::new(SECRET).secret(OTHER).bearer_token("t0ken");
    let config = inside(config);
    let shown = format!("{config:?}");
    let config = config.quote_answers();
    let webhook = Webhook::new(&receiver.url("500?key=t0ken"), config).unwrap();
    let failed = webhook.send(&event("1")).await.unwrap_err();
    for shown in [shown, format!("{webhook:?}"), format!("{failed:?} {failed}")] {
        for secret in ["whsec_", "MfKQ9r8", "t0ken"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn a_setting_that_cannot_be_kept_is_refused() {
    let config = || WebhookConfig::new(SECRET);
    for (setting, config) in [
        ("secret", WebhookConfig::new("swordfish")),
        ("secret", config().secret("")),
        ("bearer_token", config().bearer_token("two words")),
        ("bearer_token", config().bearer_token("")),
        ("connect_timeout", config().connect_timeout(Duration::ZERO)),
        ("request_timeout", config().request_timeout(Duration::MAX)),
    ] {
        let refused = Webhook::new("https://example.com/", config).unwrap_err();
        assert_eq!(refused.setting(), setting, "{refused}");
    }
}
