//! TLS, SASL, rights and settings: what is wrong is said, with its reason and without a
//! secret.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::Utc;
use integration_automation_patterns::broker::kafka::{
    Group, Kafka, KafkaConfig, Sasl, Token,
};
use integration_automation_patterns::broker::{
    Broker as _, BrokerError, BrokerErrorKind, Consumer as _,
};
use integration_automation_patterns::tls::Tls;

use super::cluster::{Cluster, ack, event, id, local, next};
use crate::servers;
use crate::suite::{Server as _, in_time};

const PASSWORD: &str = "s3cr3t/p@ss:word";

fn authority(name: &str) -> Tls {
    Tls::with_authorities(&std::fs::read(servers::certificate(name)).unwrap()).unwrap()
}

fn at(port: u16, config: KafkaConfig) -> Kafka {
    Kafka::new(&local(port).to_string(), config).unwrap()
}

/// What the cluster lets do everything with this topic, sent and read.
async fn works(kafka: &Kafka, cluster: &Cluster, what: &str) {
    kafka.send(&event(what, "")).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut listener =
        kafka.listen(Group::new(format!("{}-{what}", cluster.topic))).unwrap();
    let mut found = String::new();
    while found != what {
        let delivery =
            tokio::time::timeout(Duration::from_secs(15), next(&mut listener)).await;
        let delivery = delivery.unwrap_or_else(|_| panic!("{what}: nothing comes"));
        found = id(&delivery);
        ack(delivery).await;
    }
    let lag = listener.lag().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(lag.len(), 1, "{what}: {lag:?}");
    listener.close().await;
}

/// What both sides are told where the cluster cannot be spoken to.
async fn unreachable(kafka: &Kafka, wanted: &[&str]) {
    let is_told = |told: &BrokerError| {
        assert_eq!(told.kind(), BrokerErrorKind::Unreachable, "{told}");
        assert!(!told.reason().contains(PASSWORD), "{told}");
        wanted.iter().any(|wanted| told.reason().contains(wanted))
    };
    let refused = kafka.send(&event("1", "")).await.unwrap_err();
    assert!(is_told(&refused), "{refused}");
    let mut listener = kafka.listen("erp").unwrap();
    let told = listener.next().await.unwrap_err();
    assert!(is_told(&told), "{told}");
}

/// Lets `app` do an operation with a topic or group, or no more.
async fn rights(change: &str, of: &[&str], operations: &[&str]) {
    inbox_config(change, "--allow-principal", of, operations).await;
}

async fn inbox_config(change: &str, principal: &str, of: &[&str], operations: &[&str]) {
    let servers = local(servers::kafka()).to_string();
    let mut arguments =
        vec!["org.apache.kafka.tools.AclCommand", "--bootstrap-server", &servers, change];
    arguments.extend([principal, "User:app", "--force"]);
    arguments.extend(of);
    arguments.extend(operations.iter().flat_map(|operation| ["--operation", *operation]));
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let ran = move || {
        servers::kafka_tool(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    tokio::task::spawn_blocking(ran).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn tls_takes_the_right_authority_alone_and_the_reason_is_said() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let [tls, mutual, _] = servers::kafka_secure();
        let config = || cluster.config().connect_timeout(Duration::from_secs(2));
        works(&at(tls, config().tls(authority("authority.pem"))), &cluster, "tls").await;
        unreachable(
            &at(tls, config().tls(authority("stranger.pem"))),
            &["certificate verify failed"],
        )
        .await;
        unreachable(&at(tls, config()), &["security.protocol"]).await;

        let read = |file: &str| std::fs::read(servers::certificate(file)).unwrap();
        let program = authority("authority.pem")
            .client_certificate(&read("client.pem"), &read("client.key"))
            .unwrap();
        works(&at(mutual, config().tls(program)), &cluster, "mutual").await;
        unreachable(
            &at(mutual, config().tls(authority("authority.pem"))),
            &["certificate", "security.protocol"],
        )
        .await;
        cluster.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn sasl_says_who_this_is_and_a_wrong_password_is_said_and_never_shown() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let [_, _, sasl] = servers::kafka_secure();
        let config = |sasl: Sasl| {
            cluster
                .config()
                .connect_timeout(Duration::from_secs(2))
                .tls(authority("authority.pem"))
                .sasl(sasl)
        };
        rights("--add", &["--topic", &cluster.topic], &["Read", "Write"]).await;
        rights(
            "--add",
            &["--group", &cluster.topic, "--resource-pattern-type", "prefixed"],
            &["Read"],
        )
        .await;
        for (what, right, wrong) in [
            ("plain", Sasl::plain("app", PASSWORD), Sasl::plain("app", "wrong")),
            (
                "256",
                Sasl::scram_sha_256("app", PASSWORD),
                Sasl::scram_sha_256("app", "wrong"),
            ),
            (
                "512",
                Sasl::scram_sha_512("app", PASSWORD),
                Sasl::scram_sha_512("app", "wrong"),
            ),
        ] {
            works(&at(sasl, config(right)), &cluster, what).await;
            unreachable(
                &at(sasl, config(wrong)),
                &["Authentication failed", "authentication failed"],
            )
            .await;
        }
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let bearer = Sasl::oauth_bearer(|| {
            ASKED.fetch_add(1, Ordering::SeqCst);
            let expires = Utc::now() + chrono::TimeDelta::minutes(5);
            Ok(Token {
                text: token("app", expires.timestamp()),
                principal: "app".to_owned(),
                expires,
            })
        });
        works(&at(sasl, config(bearer.clone())), &cluster, "bearer").await;
        let another = KafkaConfig::new(format!("{}-another", cluster.topic))
            .tls(authority("authority.pem"))
            .sasl(bearer);
        let refused = at(sasl, another).create_topic(1, 1).await.unwrap_err();
        assert!(refused.reason().contains("no token (OAUTHBEARER)"), "{refused}");
        assert!(ASKED.load(Ordering::SeqCst) >= 2, "by the sender and by the listener");
        let none = Sasl::oauth_bearer(|| Err("the authority for tokens is down".into()));
        unreachable(&at(sasl, config(none)), &["the authority for tokens is down"]).await;
        cluster.remove().await;
    })
    .await;
}

/// An unsigned token, as the test's server takes it.
fn token(subject: &str, expires: i64) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as base64;
    let issued = Utc::now().timestamp();
    let claims = format!(r#"{{"sub":"{subject}","iat":{issued},"exp":{expires}}}"#);
    format!("{}.{}.", base64.encode(r#"{"alg":"none"}"#), base64.encode(claims))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_right_that_is_missing_is_said_spends_no_attempt_and_helps_once_it_is_given() {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let [_, _, sasl] = servers::kafka_secure();
        let app = Sasl::scram_sha_256("app", PASSWORD);
        let kafka = at(sasl, cluster.config().tls(authority("authority.pem")).sasl(app));
        let refused = kafka.send(&event("1", "")).await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}");
        assert!(refused.reason().contains("Topic authorization failed"), "{refused}");
        let mut listener = kafka.listen(cluster.group()).unwrap();
        let told = listener.next().await.unwrap_err();
        assert!(told.reason().contains("authorization failed"), "{told}");

        // Known, and still not to be written to.
        rights("--add", &["--topic", &cluster.topic], &["Read"]).await;
        for id in ["1", "2", "3"] {
            let refused = kafka.send(&event(id, "")).await.unwrap_err();
            assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}");
            assert!(refused.reason().contains("uthoriz"), "{refused}");
        }
        rights("--add", &["--topic", &cluster.topic], &["Write"]).await;
        while let Err(refused) = kafka.send(&event("1", "")).await {
            assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}");
        }
        rights("--add", &["--group", &cluster.topic], &["Read"]).await;
        let delivery =
            tokio::time::timeout(Duration::from_secs(30), next(&mut listener)).await;
        assert_eq!(
            id(&delivery.expect("a right that comes later helps within 30 s")),
            "1"
        );
        cluster.remove().await;
    })
    .await;
}

/// Whoever is on call may be let to see how far a group is behind, and to do nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn who_may_only_describe_sees_how_far_a_group_is_behind_and_who_may_not_is_told_why()
 {
    in_time(async {
        let cluster = Cluster::fresh().await;
        let [_, _, sasl] = servers::kafka_secure();
        cluster.kafka().send(&event("1", "")).await.unwrap();
        let app = Sasl::scram_sha_256("app", PASSWORD);
        let kafka = at(sasl, cluster.config().tls(authority("authority.pem")).sasl(app));
        let mut looks = kafka.listen(cluster.group()).unwrap();
        let refused = looks.lag().await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}");
        assert!(refused.reason().contains("uthoriz"), "{refused}");
        // Whatever the server lets it do with every group.
        inbox_config(
            "--add",
            "--deny-principal",
            &["--group", &cluster.topic],
            &["Describe"],
        )
        .await;
        rights("--add", &["--topic", &cluster.topic], &["Describe"]).await;
        while !looks
            .lag()
            .await
            .unwrap_err()
            .reason()
            .contains("Group authorization failed")
        {}
        inbox_config(
            "--remove",
            "--deny-principal",
            &["--group", &cluster.topic],
            &["Describe"],
        )
        .await;
        rights("--add", &["--group", &cluster.topic], &["Describe"]).await;
        let lag = loop {
            match looks.lag().await {
                Ok(lag) => break lag,
                Err(refused) => {
                    assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}")
                }
            }
        };
        assert_eq!(lag.iter().map(|lag| lag.behind).collect::<Vec<_>>(), [1]);
        cluster.remove().await;
    })
    .await;
}

#[test]
fn a_setting_that_cannot_be_kept_is_refused_where_it_is_made() {
    let refused =
        |config: KafkaConfig| Kafka::new("127.0.0.1:1", config).unwrap_err().to_string();
    let with =
        |name: &str, value: &str| KafkaConfig::new("crm").client_property(name, value);
    for ours in [
        "acks",
        "isolation.level",
        "transactional.id",
        "partitioner",
        "auto.offset.reset",
        "linger.ms",
    ] {
        assert_eq!(
            refused(with(ours, "1")),
            format!(
                "the client_property: expected one that this adapter does not set itself, found {ours:?}"
            )
        );
    }
    assert!(refused(with("no.such", "1")).contains("no.such"));
    assert!(refused(with("compression.type", "brotli")).contains("compression.type"));
    assert!(
        refused(
            with("security.protocol", "ssl")
                .client_property("ssl.ca.location", "/no/such")
        )
        .contains("ssl.ca.location")
    );
    let secret = refused(
        with("security.protocol", "ssl").client_property("ssl.key.pem", PASSWORD),
    );
    assert!(!secret.contains(PASSWORD), "{secret}");
    assert!(!format!("{:?}", with("sasl.password", PASSWORD)).contains(PASSWORD));
    let address = Kafka::new("kafka://user:s3cr3t@host:9092", KafkaConfig::new("crm"))
        .unwrap_err()
        .to_string();
    assert!(!address.contains("s3cr3t"), "{address}");
    let of_both = refused(
        with("security.protocol", "plaintext").sasl(Sasl::plain("app", PASSWORD)),
    );
    assert!(of_both.contains("security.protocol"), "{of_both}");

    let kafka = Kafka::new("127.0.0.1:1", KafkaConfig::new("crm")).unwrap();
    let refused = kafka
        .listen(Group::new("erp").session_timeout(Duration::from_secs(10_000_000)))
        .unwrap_err();
    assert!(refused.to_string().contains("session.timeout.ms"), "{refused}");
}

/// However often it is asked, a listener that reaches nobody says so once in a second,
/// with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_no_reason_to_spin() {
    in_time(async {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut listener = at(port, KafkaConfig::new("crm")).listen("erp").unwrap();
        let mut told = Vec::new();
        let asked = async {
            loop {
                told.push(listener.next().await.unwrap_err());
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(4), asked).await;
        assert!((1..=5).contains(&told.len()), "{told:?}");
        assert!(told[0].reason().contains("Connection refused"), "{}", told[0]);
    })
    .await;
}
