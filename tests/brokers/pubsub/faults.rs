//! A server of the test's own that is frozen, and one that is killed: both sides notice
//! it, and use it once it is there again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};

use super::answers::{answer, event};
use super::*;
use crate::suite::in_time;

/// The emulator in a folder of its own, which ends with it.
struct Own {
    folder: PathBuf,
    address: SocketAddr,
}

impl Own {
    fn start() -> Self {
        let name = format!("cloudbox-{}", Uuid::now_v7().simple());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        script("start", &folder);
        let env = std::fs::read_to_string(folder.join("env")).unwrap();
        let port = env
            .split_whitespace()
            .find_map(|word| word.strip_prefix("TEST_PUBSUB_PORT="));
        Self { folder, address: local(port.unwrap().parse().unwrap()) }
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        let sent = Command::new("kill").args([signal, pid.trim()]).status();
        assert!(sent.unwrap().success());
    }

    /// The same server, with its topics: it keeps no message.
    fn run_again(&self) {
        let mut server = Command::new(self.folder.join("run"));
        let mut server = server.stdin(Stdio::null()).spawn().unwrap();
        std::thread::spawn(move || server.wait());
    }

    /// Its topic and a consumer, which are connected.
    async fn orders(&self) -> (PubSub, Listener) {
        let config = PubSubConfig::default().request_timeout(Duration::from_secs(2));
        let address = self.address.to_string();
        let orders = PubSub::at_emulator(&address, &name("orders"), config).unwrap();
        orders.create_topic().await.unwrap();
        orders.create_subscription("erp").await.unwrap();
        let mut listener = orders.listen("erp").unwrap();
        orders.send(&event("0", None)).await.unwrap();
        answer(listener.next().await.unwrap().unwrap()).await.unwrap();
        (orders, listener)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        script("stop", &self.folder);
    }
}

fn script(verb: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/cloudbox");
    let ran = Command::new(script).arg(verb).arg(folder).status().unwrap();
    assert!(ran.success(), "the server does not {verb}");
}

/// Sends an event until it is confirmed, whatever happens to the server.
async fn send(orders: &PubSub, id: &str) {
    while let Err(error) = orders.send(&event(id, None)).await {
        assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Receives until all of these have come, each of them acked.
async fn receive(listener: &mut Listener, wanted: &[&str]) {
    let mut ids = BTreeSet::new();
    while !wanted.iter().all(|id| ids.contains(*id)) {
        let Ok(delivery) = listener.next().await else { continue };
        let delivery = delivery.unwrap();
        ids.insert(delivery.facts().id().to_string());
        answer(delivery).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pub/Sub"]
async fn a_frozen_server_is_noticed_on_both_sides_and_used_once_it_thaws() {
    in_time(async {
        let server = Own::start();
        let (orders, mut listener) = server.orders().await;
        server.signal("-STOP");
        let failed = listener.next().await.unwrap_err();
        assert_eq!(failed.kind(), BrokerErrorKind::Unreachable, "{failed}");
        assert!(failed.reason().contains("no answer within 2s"), "{failed}");
        let failed = orders.send(&event("1", None)).await.unwrap_err();
        assert_eq!(failed.kind(), BrokerErrorKind::Transient, "{failed}");
        server.signal("-CONT");
        send(&orders, "2").await;
        receive(&mut listener, &["2"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pub/Sub"]
async fn a_killed_server_is_used_again_once_it_is_there() {
    in_time(async {
        let server = Own::start();
        let (orders, mut listener) = server.orders().await;
        server.signal("-KILL");
        let failed = listener.next().await.unwrap_err();
        assert_eq!(failed.kind(), BrokerErrorKind::Unreachable, "{failed}");
        let failed = orders.send(&event("1", None)).await.unwrap_err();
        assert_ne!(failed.kind(), BrokerErrorKind::Permanent, "{failed}");
        server.run_again();
        for id in ["2", "3", "4"] {
            send(&orders, id).await;
        }
        receive(&mut listener, &["2", "3", "4"]).await;
    })
    .await;
}

/// A handler that works for longer than the deadline of the subscription keeps its
/// message, and an order of a key is no reason to keep others.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pub/Sub"]
async fn the_deadline_of_what_is_in_hand_is_renewed() {
    in_time(async {
        let topic = Topic::create(true).await;
        let home = local(servers::pubsub());
        let orders = topic.broker(home);
        let listener = topic.listener(home);
        let mut listener = listener.ack_deadline(Duration::from_secs(10)).unwrap();
        for (id, key) in [("1", "slow"), ("2", "slow"), ("3", "quick")] {
            orders.send(&event(id, Some(key))).await.unwrap();
        }
        let slow = listener.next().await.unwrap().unwrap();
        assert_eq!(slow.facts().id().to_string(), "1");
        receive(&mut listener, &["3"]).await;
        // Past its deadline; nothing else may come, from this consumer or another.
        let mut other = topic.listener(home);
        let past = tokio::time::sleep(Duration::from_secs(12));
        tokio::select! {
            () = past => {}
            next = listener.next() => panic!("{next:?}"),
            next = other.next() => panic!("{next:?}"),
        }
        drop(other);
        answer(slow).await.unwrap();
        receive(&mut listener, &["2"]).await;
        drop(listener);
        topic.delete().await;
    })
    .await;
}
