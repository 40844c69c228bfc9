//! The database's server stops or crashes while everybody works, and is started again:
//! the relays go on by themselves.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use integration_automation_patterns::relay::Relay;
use integration_automation_patterns::testing::FileBroker;

use crate::cluster::Cluster;
use crate::postgres::Schema;
use crate::process::{Process, until};
use crate::{Place, Side, assert_balanced, hasty, is_done, runtime};

pub(crate) const FIRST: &str = "relay-that-goes-on-1";
pub(crate) const SECOND: &str = "relay-that-goes-on-2";

const EVENTS: u32 = 700;

/// A relay that writes down what goes wrong.
pub(crate) async fn play<S: Side>(
    role: &str,
    side: &S,
    broker: FileBroker,
    folder: &Path,
) {
    let incidents = OpenOptions::new()
        .create(true)
        .append(true)
        .open(incidents(folder, role))
        .unwrap();
    let relay = Relay::new(role, side.outbox().await, broker, hasty()).unwrap();
    let relay = relay.on_incident(move |incident| {
        let line = incident.to_string().replace('\n', " ");
        (&incidents).write_all(format!("{line}\n").as_bytes()).unwrap();
    });
    relay.run(std::future::pending::<()>()).await;
}

fn incidents(folder: &Path, role: &str) -> PathBuf {
    folder.join(format!("{role}.incidents"))
}

#[test]
#[ignore = "needs the binaries of a PostgreSQL server"]
fn relays_outlive_the_server_of_their_database() {
    let cluster = Cluster::new(
        Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("cluster-{}", std::process::id())),
    );
    let side = Schema::on(cluster.port, "restart");
    let place = Place::new("restart", side.environment());
    runtime().block_on(side.set_up());
    place.broker();
    let start = |role: &str| Process::start(role, place.role(role, EVENTS)());
    let (producer, mut others) =
        (start("producer"), [FIRST, SECOND, "consumer"].map(start));
    let count = |sql: &str| runtime().block_on(side.count(sql));
    let told = |role: &str| {
        std::fs::read_to_string(incidents(&place.folder, role)).unwrap_or_default()
    };
    let mut more = 0;
    for (outage, mode) in ["immediate", "fast"].into_iter().cycle().take(6).enumerate() {
        more += 100;
        until("the work goes on", || {
            others.iter_mut().for_each(Process::assert_running);
            count("SELECT count(*) FROM effect") >= more
        });
        let before = [FIRST, SECOND].map(|role| told(role).len());
        cluster.stop(mode);
        for (role, before) in [FIRST, SECOND].into_iter().zip(before) {
            let says_so = || told(role)[before..].contains("onnection refused");
            until(&format!("{role} tells of outage {outage} ({mode})"), says_so);
        }
        cluster.start();
    }
    until("everything has its effect", || is_done(&side, EVENTS));
    until("everything is settled", || {
        count("SELECT count(*) FROM outbox_event WHERE status = 'acknowledged'")
            == i64::from(EVENTS)
    });
    assert!(producer.end().success());
    others.iter_mut().for_each(Process::assert_running);
    for role in [FIRST, SECOND] {
        for line in told(role).lines() {
            let store = "the store failed, and is tried again: ";
            let slow = "the store did not answer in time, and is tried again: ";
            let told = [
                store,
                slow,
                "the relay goes on: the store answers again at ",
                "the lease on ",
            ];
            assert!(told.iter().any(|what| line.starts_with(what)), "{role}: {line}");
        }
        println!("{role}: {} incidents", told(role).lines().count());
    }
    assert_balanced(&side, EVENTS);
}
