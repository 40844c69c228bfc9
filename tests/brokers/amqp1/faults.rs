//! A server of the test's own, which is frozen, killed and started again, while events are
//! sent and received: what was confirmed is there, and nothing hangs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};

use super::{LOGIN, event};
use crate::servers::certificate;
use crate::suite::{Effects, in_time};

const QUEUE: &str = "test.own";

/// An ActiveMQ Artemis that nobody else uses.
struct Own {
    folder: PathBuf,
    port: u16,
}

impl Own {
    fn start() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("artemis-{}", uuid::Uuid::now_v7().simple()));
        let tls = certificate("");
        let started = script().arg("start").args([&folder, &tls]).arg("artemis").output();
        let started = started.expect("the script");
        assert!(started.status.success(), "{started:?}");
        let env = fs::read_to_string(folder.join("env")).unwrap();
        let port = env.split_once("TEST_ARTEMIS_PORT=").unwrap().1;
        let port = port.split_whitespace().next().unwrap().parse().unwrap();
        Self { folder, port }
    }

    fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.folder.join("artemis/pid")).unwrap();
        let sent = Command::new("kill").args([signal, pid.trim()]).status();
        assert!(sent.expect("kill").success());
    }

    /// With the data that it had.
    fn start_again(&self) {
        let run = self.folder.join("artemis/run");
        let started = Command::new("sh").args(["-c", "\"$0\" &"]).arg(run).status();
        assert!(started.expect("the server").success());
    }

    fn amqp1(&self) -> Amqp1 {
        let config = Amqp1Config::queue(QUEUE).connect_timeout(Duration::from_secs(1));
        Amqp1::new(&format!("amqp://{LOGIN}@127.0.0.1:{}", self.port), config).unwrap()
    }
}

fn script() -> Command {
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".ci/amqp1"))
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(&self.folder).output();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const SENDERS: usize = 20;

/// What senders and receivers have seen so far.
#[derive(Default)]
struct Seen {
    confirmed: Mutex<BTreeSet<String>>,
    came: Mutex<BTreeSet<String>>,
    failures: AtomicUsize,
    is_over: AtomicBool,
}

impl Seen {
    fn confirmed(&self) -> usize {
        self.confirmed.lock().unwrap().len()
    }

    fn failures(&self) -> usize {
        self.failures.load(Ordering::SeqCst)
    }

    /// Waits until so many more events than now are confirmed.
    async fn more(&self, events: usize) {
        let wanted = self.confirmed() + events;
        until(|| self.confirmed() >= wanted).await;
    }
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends events, each until it is confirmed.
async fn send(broker: Amqp1, sender: usize, seen: Arc<Seen>) {
    for number in 0.. {
        if seen.is_over.load(Ordering::SeqCst) {
            return;
        }
        let id = format!("{sender}-{number}");
        while let Err(error) = broker.send(&event(&id)).await {
            assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
            seen.failures.fetch_add(1, Ordering::SeqCst);
            // As a relay pauses.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        seen.confirmed.lock().unwrap().insert(id);
    }
}

/// Receives events, over as many links as it takes.
async fn receive(broker: Amqp1, seen: Arc<Seen>) {
    let (mut listener, mut effects) = (broker.listen(QUEUE).unwrap(), Effects::new());
    loop {
        match listener.next().await {
            Ok(delivery) => {
                let delivery = delivery.unwrap();
                let id = delivery.facts().id().to_string();
                seen.came.lock().unwrap().insert(id);
                // Where the answer is lost, the event comes again.
                let _ = effects.process(delivery).settle().await;
            }
            Err(error) => eprintln!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_server_that_is_killed_or_frozen_loses_nothing_confirmed_and_hangs_nobody() {
    let own = tokio::task::block_in_place(Own::start);
    in_time(async {
        let seen = Arc::<Seen>::default();
        let broker = own.amqp1();
        let receiver = tokio::spawn(receive(broker.clone(), Arc::clone(&seen)));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| tokio::spawn(send(broker.clone(), sender, Arc::clone(&seen))))
            .collect();
        seen.more(100).await;
        own.signal("-9");
        let failures = seen.failures();
        until(|| seen.failures() > failures + SENDERS).await;
        own.start_again();
        seen.more(100).await;
        own.signal("-STOP");
        let failures = seen.failures();
        until(|| seen.failures() > failures + SENDERS).await;
        own.signal("-CONT");
        seen.more(100).await;
        seen.is_over.store(true, Ordering::SeqCst);
        for sender in senders {
            sender.await.unwrap();
        }
        let confirmed = seen.confirmed.lock().unwrap().clone();
        until(|| confirmed.is_subset(&seen.came.lock().unwrap())).await;
        receiver.abort();
    })
    .await;
}
