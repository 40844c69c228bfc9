//! Who a program is to the server: each way to sign in reaches it, and a refusal says
//! which one it was.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};
use nkeys::KeyPair;

use super::super::suite::in_time;
use super::event;
use super::own::{JETSTREAM, Own};

const WINDOW: Duration = Duration::from_secs(60);

/// Stores an event, with the settings and with the login in the address.
async fn signs_in(own: &Own, login: &str, config: impl Fn(NatsConfig) -> NatsConfig) {
    let broker = Nats::new(
        &format!("nats://{login}{}", own.address()),
        config(NatsConfig::new("crm")),
    )
    .unwrap();
    broker.create_stream(WINDOW).await.unwrap();
    broker.send(&event("crm.lead.created")).await.unwrap();
}

/// What a send without luck says: nothing was sent, as whom, and no secret.
async fn is_refused(
    own: &Own,
    login: &str,
    config: impl Fn(NatsConfig) -> NatsConfig,
    told: &str,
) {
    let broker = Nats::new(
        &format!("nats://{login}{}", own.address()),
        config(NatsConfig::new("crm")),
    )
    .unwrap();
    let refused = broker.send(&event("crm.lead.created")).await.unwrap_err();
    let shown = format!("{refused} {refused:?} {broker:?}");
    assert_eq!(refused.kind(), BrokerErrorKind::Unreachable, "{shown}");
    let wanted = format!(
        "nats://{} {told}: authorization violation: the server knows no such login",
        own.address()
    );
    assert!(refused.reason() == wanted, "{shown}");
    assert!(!shown.contains("wr0ng") && !shown.contains("s3cr3t"), "{shown}");
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_user_with_a_password_of_odd_characters_signs_in() {
    in_time(async {
        let users = r#"authorization { users = [ { user: "app:1", password: "p@s3cr3t:w/rd,%" } ] }"#;
        let own = Own::start(&format!("{JETSTREAM}\n{users}")).await;
        signs_in(&own, "app%3A1:p%40s3cr3t%3Aw%2Frd%2C%25@", |config| config).await;
        signs_in(&own, "", |config| config.user("app:1", "p@s3cr3t:w/rd,%")).await;
        let anyone = r#"as the user "app" with a password"#;
        is_refused(&own, "app:wr0ng@", |config| config, anyone).await;
        is_refused(&own, "", |config| config.user("app", "wr0ng"), anyone).await;
        is_refused(&own, "", |config| config, "without credentials").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_token_signs_in() {
    in_time(async {
        let own =
            Own::start(&format!("{JETSTREAM}\nauthorization {{ token: \"s3cr3t/+@\" }}"))
                .await;
        signs_in(&own, "s3cr3t%2F+%40@", |config| config).await;
        signs_in(&own, "", |config| config.token("s3cr3t/+@")).await;
        is_refused(&own, "wr0ng@", |config| config, "with a token").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn an_nkey_signs_in() {
    in_time(async {
        let (known, unknown) = (KeyPair::new_user(), KeyPair::new_user());
        let users =
            format!("authorization {{ users = [ {{ nkey: {} }} ] }}", known.public_key());
        let own = Own::start(&format!("{JETSTREAM}\n{users}")).await;
        signs_in(&own, "", |config| config.nkey(&known.seed().unwrap()).unwrap()).await;
        let told = format!("with the nkey {}", unknown.public_key());
        is_refused(
            &own,
            "",
            |config| config.nkey(&unknown.seed().unwrap()).unwrap(),
            &told,
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn a_login_needs_what_the_guide_says() {
    in_time(async {
        let user = |name: &str, publish: &str| {
            format!(
                "{{ user: {name}, password: a, permissions: {{ publish: {{ allow: [{publish}] }}, subscribe: \"_INBOX.>\" }} }}"
            )
        };
        let sender = user("sender", r#""crm.>""#);
        let listener = user(
            "listener",
            r#""$JS.API.CONSUMER.INFO.crm.erp", "$JS.API.CONSUMER.CREATE.crm.erp.>", "$JS.API.CONSUMER.MSG.NEXT.crm.erp", "$JS.ACK.crm.erp.>""#,
        );
        let users = format!("authorization {{ users = [ {sender}, {listener}, {{ user: admin, password: a }} ] }}");
        let own = Own::start(&format!("{JETSTREAM}\n{users}")).await;
        let broker = |user: &str| own.broker(NatsConfig::new("crm").user(user, "a"));
        broker("admin").create_stream(WINDOW).await.unwrap();
        for _ in 0..2 {
            broker("sender").send(&event("crm.lead.created")).await.unwrap();
        }
        let mut listener = broker("listener").listen("erp").unwrap();
        for again in [false, true] {
            let delivery = listener.next().await.unwrap().unwrap();
            assert_eq!(delivery.is_redelivered(), again);
        }
    })
    .await;
}

/// A JWT as `nsc` signs it.
fn jwt(issuer: &KeyPair, subject: &KeyPair, claims: serde_json::Value) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(serde_json::json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let (iss, sub) = (issuer.public_key(), subject.public_key());
    let claims = part(
        serde_json::json!({ "jti": "1", "iat": 1, "iss": iss, "sub": sub, "name": "test", "nats": claims }),
    );
    let signature = URL_SAFE_NO_PAD
        .encode(issuer.sign(format!("{header}.{claims}").as_bytes()).unwrap());
    format!("{header}.{claims}.{signature}")
}

#[tokio::test]
#[ignore = "needs nats-server"]
async fn a_file_of_credentials_signs_in() {
    in_time(async {
        let (operator, account, system) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
        let limits = serde_json::json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
            "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let claims = serde_json::json!({ "limits": limits, "type": "account", "version": 2 });
        let system_claims = serde_json::json!({ "limits": { "conn": -1, "subs": -1 }, "type": "account", "version": 2 });
        let operators = jwt(&operator, &operator, serde_json::json!({ "type": "operator", "version": 2 }));
        let own = Own::start(&format!(
            "{JETSTREAM}\noperator: {operators}\nsystem_account: {0}\nresolver: MEMORY\nresolver_preload: {{ {0}: {1}, {2}: {3} }}",
            system.public_key(),
            jwt(&operator, &system, system_claims),
            account.public_key(),
            jwt(&operator, &account, claims),
        ))
        .await;
        let creds = |issuer: &KeyPair, user: &KeyPair| {
            let claims = serde_json::json!({ "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
            let (jwt, seed) = (jwt(issuer, user, claims), user.seed().unwrap());
            format!(
                "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n\
                 ------END USER NKEY SEED------\n"
            )
        };
        let user = KeyPair::new_user();
        signs_in(&own, "", |config| config.credentials(&creds(&account, &user)).unwrap()).await;
        let stranger = creds(&KeyPair::new_account(), &user);
        let told = format!("with the JWT of {}", user.public_key());
        is_refused(&own, "", |config| config.credentials(&stranger).unwrap(), &told).await;
    })
    .await;
}
