//! The services' own libraries for Python check what we sign, and we take what they sign.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use integration_automation_patterns::broker::webhook::{
    EndpointConfig, Route, Scheme, Webhook, WebhookConfig, endpoint,
};
use integration_automation_patterns::broker::{Broker, Consumer};
use serde_json::{Value, json};

use super::peer::Receiver;
use super::signed::{TEXT, body};
use super::{OTHER, SECRET, event};
use crate::python;

const PACKAGES: [&str; 4] =
    ["standardwebhooks==1.1.0", "svix==2.9.1", "stripe==16.1.0", "slack_sdk==3.48.0"];

/// What the peer answers to each line.
fn peer(lines: &[Value]) -> Vec<Value> {
    let import = "import standardwebhooks, svix.webhooks, stripe, slack_sdk.signature";
    let python = python::with("webhooks", &PACKAGES, import);
    let mut peer = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/webhook_peer.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = peer.stdin.take().unwrap();
    for line in lines {
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
#[ignore = "needs Python, and packages from PyPI"]
async fn what_we_sign_is_good_to_the_libraries_of_the_standard() {
    let receiver = Receiver::start().await;
    let config = WebhookConfig::new(SECRET).secret(OTHER).allow_http().allow_private();
    let webhook = Webhook::new(&receiver.url("204"), config).unwrap();
    webhook.send(&event("evt 1/ü😀")).await.unwrap();
    let got = receiver.got().remove(0);
    let headers: BTreeMap<&str, &str> = got
        .headers
        .keys()
        .map(|name| (name.as_str(), got.header(name.as_str())))
        .collect();
    let mut asked = Vec::new();
    for library in ["standardwebhooks", "svix"] {
        for (secret, body) in [
            (SECRET, &got.body[..]),
            (OTHER, &got.body[..]),
            (SECRET, b"changed"),
            ("whsec_bm90IHRoZSBzZWNyZXQsIGJ1dCBhbm90aGVyIG9uZQ==", &got.body[..]),
        ] {
            asked.push(json!({
                "verify": library,
                "secret": secret,
                "headers": headers,
                "body": STANDARD.encode(body),
            }));
        }
    }
    let good = [json!("good"), json!("good"), json!("bad"), json!("bad")];
    assert_eq!(peer(&asked), [&good[..], &good[..]].concat());
}

#[tokio::test]
#[ignore = "needs Python, and packages from PyPI"]
async fn what_the_libraries_of_the_services_sign_is_good_to_us() {
    let schemes = [
        ("standardwebhooks", Scheme::Standard, SECRET),
        ("svix", Scheme::Svix, SECRET),
        ("stripe", Scheme::Stripe, TEXT),
        ("slack_sdk", Scheme::Slack, TEXT),
    ];
    let asked = schemes.map(|(library, scheme, secret)| {
        json!({ "sign": library, "secret": secret, "body": body(scheme) })
    });
    for (signed, (library, scheme, secret)) in peer(&asked).iter().zip(schemes) {
        for (known, wanted) in
            [(true, StatusCode::NO_CONTENT), (false, StatusCode::UNAUTHORIZED)]
        {
            let another = if secret == TEXT { "another" } else { OTHER };
            let route = Route::new("/hook", scheme, if known { secret } else { another });
            let route = route.source(library);
            let (endpoint, mut hooks) =
                endpoint([route], EndpointConfig::default()).unwrap();
            let mut request = Request::post("/hook");
            for (name, value) in signed.as_object().unwrap() {
                request = request.header(name, value.as_str().unwrap());
            }
            let request = request.body(body(scheme).as_bytes()).unwrap();
            let work = async {
                let delivery = hooks.next().await.unwrap().unwrap();
                let handled =
                    super::worker::process(&mut super::worker::inbox(), delivery);
                handled.settle().await.unwrap();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                answer = endpoint.receive(&request) => {
                    assert_eq!(answer.status(), wanted, "{library} {answer:?}");
                }
                () = work => unreachable!("it waits for ever"),
            }
        }
    }
}
