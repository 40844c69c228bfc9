//! A server of the test's own that is frozen, and one that is killed: what is confirmed
//! is there, and no event pays for a server that answers nobody.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};
use tokio::task::JoinSet;

use super::answers::{answer, event};
use super::*;
use crate::suite::{Effects, in_time, refusal};

/// ElasticMQ in a folder of its own, which ends with it.
struct Own {
    folder: PathBuf,
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Own {
    fn start() -> Self {
        let name = format!("elasticmq-{}", Uuid::now_v7().simple());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        script("start", &folder);
        let env = std::fs::read_to_string(folder.join("env")).unwrap();
        let port = env.trim().rsplit_once('=').unwrap().1.parse().unwrap();
        Self { folder, address: local(port), stopped: Arc::default() }
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        let sent = Command::new("kill").args([signal, pid.trim()]).status();
        assert!(sent.unwrap().success());
    }

    /// The same server, with its data, until it is stopped: the first try may find that
    /// the one which was killed has not let them go.
    fn run_again(&self) {
        let (run, stopped) = (self.folder.join("run"), Arc::clone(&self.stopped));
        std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) && Command::new(&run).status().is_ok() {
            }
        });
    }

    /// Its queue, made and used once with all the time that a cold server takes.
    async fn sqs(&self, request_timeout: Duration) -> Sqs {
        let new = |config| {
            Sqs::new("http://host/000000000000/orders", &aws(self.address), config)
        };
        let patient = new(config().request_timeout(Duration::from_secs(30))).unwrap();
        patient.create_queue().await.unwrap();
        patient.send(&event("0")).await.unwrap();
        let config = config().connect_timeout(request_timeout);
        new(config.request_timeout(request_timeout)).unwrap()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        script("stop", &self.folder);
    }
}

fn script(verb: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/elasticmq");
    let ran = Command::new(script).arg(verb).arg(folder).status().unwrap();
    assert!(ran.success(), "the server does not {verb}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ElasticMQ's jars, or Maven"]
async fn a_frozen_server_ends_each_request_and_pauses_the_relay() {
    in_time(async {
        let server = Own::start();
        let sqs = server.sqs(Duration::from_millis(500)).await;
        server.signal("-STOP");
        let mut kinds = Vec::new();
        for _ in 0..5 {
            kinds.extend(refusal(&sqs.send(&event("1")).await));
        }
        use BrokerErrorKind::{Transient, Unavailable, Unreachable};
        assert_eq!(kinds, [Transient, Transient, Transient, Unavailable, Unavailable]);
        let (second, listener) = (Duration::from_secs(1), sqs.listen());
        let listener = listener.visibility_timeout(3 * second).unwrap();
        let mut listener = listener.wait_time(second).unwrap();
        let asked = listener.lag().await;
        assert_eq!(asked.map_err(|error| error.kind()), Err(Unreachable));
        let failed = listener.next().await.unwrap_err();
        assert_eq!(failed.kind(), Transient, "{failed}");
        server.signal("-CONT");
        while let Err(error) = sqs.send(&event("2")).await {
            assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
        }
        let mut ids = BTreeSet::new();
        // What was there went to a request that nobody waits for, and comes after that.
        while !["0", "2"].iter().all(|id| ids.contains(*id)) {
            let Ok(delivery) = listener.next().await else { continue };
            let delivery = delivery.unwrap();
            ids.insert(delivery.facts().id().to_string());
            let _ = answer(delivery).await; // it may take long to thaw
        }
    })
    .await;
}

/// Ten senders and one consumer, and a server that is killed among them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ElasticMQ's jars, or Maven"]
async fn a_killed_server_loses_nothing_that_it_has_confirmed() {
    const EACH: usize = 6;
    in_time(async {
        let server = Own::start();
        let sqs = server.sqs(Duration::from_secs(2)).await;
        let confirmed = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for sender in 0..10 {
            let (sqs, confirmed) = (sqs.clone(), Arc::clone(&confirmed));
            senders.spawn(async move {
                for number in 0..EACH {
                    let event = event(&format!("{sender}-{number:02}"));
                    while let Err(error) = sqs.send(&event).await {
                        assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
                        // As a relay pauses.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    confirmed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let listener = sqs.listen().visibility_timeout(Duration::from_secs(3)).unwrap();
        let mut listener = listener.wait_time(Duration::from_secs(1)).unwrap();
        let (mut ids, mut effects) = (BTreeSet::new(), Effects::new());
        let mut killed = false;
        while ids.len() < 10 * EACH + 1 {
            if !killed && confirmed.load(Ordering::SeqCst) > 20 {
                killed = true;
                server.signal("-KILL");
                server.run_again();
            }
            let delivery = match listener.next().await {
                Ok(delivery) => delivery.unwrap(),
                Err(error) => {
                    eprintln!("{error}");
                    continue;
                }
            };
            let id = delivery.facts().id().to_string();
            if let Err(error) = effects.process(delivery).settle().await {
                eprintln!("an answer was lost: {error}");
            }
            ids.insert(id);
        }
        assert!(killed);
        while let Some(sender) = senders.join_next().await {
            sender.unwrap();
        }
    })
    .await;
}
