//! Servers of a test's own that are frozen, killed, or left without replicas.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use integration_automation_patterns::broker::{
    Broker as _, BrokerErrorKind, Consumer as _,
};
use integration_automation_patterns::outbox::sqlite as outbox;
use integration_automation_patterns::relay::{Incident, Relay, RelayConfig};
use integration_automation_patterns::{Envelope, RawEvent};
use uuid::Uuid;

use super::cluster::{Cluster, ack, event, id, next};
use crate::servers;

/// A cluster that only one test has.
struct Own {
    folder: PathBuf,
    port: u16,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/kafka");

impl Own {
    async fn start(nodes: usize) -> Self {
        let folder =
            std::env::temp_dir().join(format!("kafka-{}", Uuid::now_v7().simple()));
        let tls = servers::certificate("authority.pem").parent().unwrap().to_owned();
        let mut start = Command::new(SCRIPT);
        start
            .arg("start")
            .arg(&folder)
            .arg(tls)
            .arg(nodes.to_string())
            .stdin(Stdio::null());
        let started =
            tokio::task::spawn_blocking(move || start.status()).await.unwrap().unwrap();
        assert!(started.success(), "Kafka does not start: {}", folder.display());
        let env = std::fs::read_to_string(folder.join("env")).unwrap();
        let port = env
            .split("TEST_KAFKA_PORT=")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        Self { folder, port }
    }

    fn signal(&self, node: usize, signal: &str) {
        let pid =
            std::fs::read_to_string(self.folder.join(format!("{node}/pid"))).unwrap();
        assert!(
            Command::new("kill").args([signal, pid.trim()]).status().unwrap().success()
        );
    }

    /// Starts a node that was killed, with its data.
    fn start_again(&self, node: usize) {
        let mut node = Command::new(self.folder.join(format!("{node}/run")))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::spawn(move || node.wait());
    }

    async fn topic(&self, replicas: i32, config: &[(&str, &str)]) -> Cluster {
        let cluster = Cluster::at(self.port);
        cluster.create(1, replicas, config).await;
        cluster
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = Command::new(SCRIPT).arg("stop").arg(&self.folder).status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn within<T>(seconds: u64, what: &str, work: impl Future<Output = T>) -> T {
    let time = Duration::from_secs(seconds);
    tokio::time::timeout(time, work)
        .await
        .unwrap_or_else(|_| panic!("{what} takes longer than {time:?}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_server_that_is_frozen_holds_nobody_up_and_loses_nothing() {
    let own = Own::start(1).await;
    let cluster = own.topic(1, &[]).await;
    let kafka = cluster.kafka();
    for number in 0..3 {
        kafka.send(&event(&number.to_string(), "lead-7")).await.unwrap();
    }
    let mut listener = cluster.listener();
    let (first, second) = (next(&mut listener).await, next(&mut listener).await);
    own.signal(1, "-STOP");
    within(5, "an answer", ack(first)).await;
    within(5, "an answer", ack(second)).await;
    // A program that is told to stop, in the middle of connecting, sending and receiving:
    // its runtime ends too.
    let (unconnected, mut unjoined) =
        (cluster.kafka(), cluster.kafka().listen("another").unwrap());
    let program = move || {
        let (runtime, again) =
            (tokio::runtime::Runtime::new().unwrap(), event("2", "lead-7"));
        runtime.block_on(async {
            tokio::select! {
                sent = unconnected.send(&again) => panic!("{sent:?}"),
                next = unjoined.next() => panic!("{next:?}"),
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
        });
    };
    let ended = tokio::task::spawn_blocking(move || std::thread::spawn(program).join());
    within(5, "the end of a program", ended).await.unwrap().unwrap();
    let sent = within(12, "a send", kafka.send(&event("3", "lead-7"))).await.unwrap_err();
    assert_ne!(sent.kind(), BrokerErrorKind::Permanent, "{sent}");
    let asked = within(12, "the lag", listener.lag()).await.unwrap_err();
    assert_eq!(asked.kind(), BrokerErrorKind::Unreachable, "{asked}");
    within(8, "the end of a listener", listener.close()).await;
    own.signal(1, "-CONT");

    within(60, "all of it", async {
        while let Err(refused) = kafka.send(&event("4", "lead-7")).await {
            assert_ne!(refused.kind(), BrokerErrorKind::Permanent, "{refused}");
        }
        let mut listener = cluster.listener();
        let mut found = String::new();
        while found != "4" {
            let delivery = next(&mut listener).await;
            found = id(&delivery);
            ack(delivery).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_server_that_is_killed_and_started_again_has_every_event_that_was_confirmed() {
    let own = Own::start(1).await;
    let cluster = own.topic(1, &[]).await;
    let kafka = cluster.kafka();
    let send_all = async {
        for number in 0..300 {
            if number == 100 {
                own.signal(1, "-KILL");
                own.start_again(1);
            }
            while let Err(refused) =
                kafka.send(&event(&format!("{number:03}"), "lead-7")).await
            {
                assert_ne!(refused.kind(), BrokerErrorKind::Permanent, "{refused}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let receive_all = async {
        let (mut listener, mut ids) = (cluster.listener(), Vec::new());
        while ids.last().is_none_or(|last| last != "299") {
            let delivery = next(&mut listener).await;
            ids.push(id(&delivery));
            ack(delivery).await;
        }
        ids
    };
    let (mut ids, ()) =
        within(150, "all of it", async { tokio::join!(receive_all, send_all) }).await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids, (0..300).map(|number| format!("{number:03}")).collect::<Vec<_>>());
}

/// How long a cluster lacks its replicas: 25 s, or as many as `OUTAGE_SECONDS` says in a
/// long run by hand.
fn outage() -> Duration {
    Duration::from_secs(
        std::env::var("OUTAGE_SECONDS")
            .map_or(25, |seconds| seconds.parse().expect("seconds")),
    )
}

/// Five hundred events, and a cluster that takes none of them for want of a replica: no
/// dead letter, one outage with its reason, and everything is sent once the replica is
/// back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_cluster_without_its_replicas_makes_no_dead_letter_and_says_what_is_missing() {
    let own = Own::start(2).await;
    let cluster = own.topic(2, &[("min.insync.replicas", "2")]).await;
    let kafka = cluster.kafka();
    // The leader stays: the topic's only partition is led by the node that the test can
    // reach.
    within(30, "a first event", async {
        while kafka.send(&event("first", "")).await.is_err() {}
    })
    .await;
    own.signal(2, "-KILL");
    let missing = within(120, "the reason", async {
        loop {
            let refused = join_all(
                (0..10).map(|_| async { kafka.send(&event("probe", "")).await }),
            )
            .await;
            let unavailable =
                |error: &integration_automation_patterns::broker::BrokerError| {
                    error.kind() == BrokerErrorKind::Unavailable
                        && error.reason().contains("min.insync.replicas")
                };
            if let Some(Err(refused)) =
                refused.into_iter().find(|sent| sent.as_ref().is_err_and(unavailable))
            {
                return refused;
            }
        }
    })
    .await;
    assert!(missing.reason().contains("has 1 of the 2 replicas in sync"), "{missing}");

    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("replicas-{}.db", Uuid::now_v7().simple()));
    let mut crm = rusqlite::Connection::open(&file).unwrap();
    outbox::install(&mut crm).unwrap();
    let business = crm.transaction().unwrap();
    for number in 0..500 {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
        outbox::enqueue(
            &business,
            event.ordering_key(format!("lead-{}", number % 20)).build().unwrap(),
        )
        .unwrap();
    }
    business.commit().unwrap();
    let outages = Arc::<Mutex<Vec<String>>>::default();
    let told = Arc::clone(&outages);
    let store = outbox::Outbox::open(&file).unwrap();
    let relay = Relay::new("relay-1", store, kafka, RelayConfig::default())
        .unwrap()
        .on_incident(move |incident| {
            if matches!(incident, Incident::Outage(_)) {
                told.lock().unwrap().push(incident.to_string());
            }
        });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let relay =
        tokio::spawn(async move { relay.run(async { drop(stopped.await) }).await });
    let mut listener = cluster.listener();
    let acknowledged = || -> i64 {
        let count = "SELECT count(*) FROM outbox_event WHERE status = 'acknowledged'";
        crm.query_row(count, [], |row| row.get(0)).unwrap()
    };
    let lasts = outage();
    tokio::time::sleep(lasts).await;
    assert_eq!(acknowledged(), 0);
    own.start_again(2);
    within(120, "all of it", async {
        while acknowledged() < 500 {
            let _ =
                tokio::time::timeout(Duration::from_millis(200), listener.next()).await;
        }
    })
    .await;
    drop(stop);
    let summary = relay.await.unwrap();
    assert_eq!((summary.acknowledged, summary.failed), (500, 0), "{summary:?}");
    let outages = outages.lock().unwrap();
    println!("{lasts:?} without replicas: {summary:?}\n{}", outages.join("\n"));
    assert!(
        outages.iter().any(|told| told.contains("min.insync.replicas")),
        "{outages:?}"
    );
    let minutes = usize::try_from(lasts.as_secs() / 60).unwrap();
    assert!(
        outages.len() <= 3 + minutes,
        "one outage, and no more than a line for it, and one a minute: {outages:?}"
    );
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}
