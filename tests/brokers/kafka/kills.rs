//! Relay and consumer as processes of their own, killed again and again: every event has
//! its effect once, and in order.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::inbox::sqlite as inbox;
use integration_automation_patterns::outbox::sqlite as outbox;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{Envelope, RawEvent};
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use super::cluster::{Cluster, inbox_config, next};

/// How many events there are for each life of both.
const FOR_EACH: u32 = 40;
const KEYS: u32 = 20;

/// How often each of both is killed: a hundred times, or as often as `KILLS` says in a
/// long run by hand.
fn kills() -> u32 {
    std::env::var("KILLS").map_or(100, |kills| kills.parse().expect("a number of kills"))
}

/// What a process of the test is to do: `relay` or `consumer`.
const PART: &str = "KILLS_PART";
const FOLDER: &str = "KILLS_FOLDER";
const TOPIC: &str = "KILLS_TOPIC";

fn open(folder: &Path, name: &str) -> Connection {
    let connection = Connection::open(folder.join(name)).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}

fn install(folder: &Path) {
    outbox::install(&mut open(folder, "crm.db")).unwrap();
    let mut erp = open(folder, "erp.db");
    inbox::install(&mut erp).unwrap();
    erp.execute_batch("CREATE TABLE effect (id TEXT NOT NULL)").unwrap();
}

fn enqueue(folder: &Path, numbers: std::ops::Range<u32>) {
    let mut crm = open(folder, "crm.db");
    let business = crm.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    for number in numbers {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .id(format!("{number:05}").parse().unwrap())
            .ordering_key(format!("lead-{}", number % KEYS))
            .retry_policy(
                RetryPolicy::new(1000, Backoff::Fixed(Duration::ZERO)).unwrap(),
            );
        outbox::enqueue(&business, event.build().unwrap()).unwrap();
    }
    business.commit().unwrap();
}

async fn relay(folder: &Path, cluster: &Cluster) {
    let store = outbox::Outbox::open(folder.join("crm.db")).unwrap();
    // After a kill, what was on its way is given out again when its lease ends.
    let config = RelayConfig::default()
        .in_flight(20)
        .poll_interval(Duration::from_millis(20))
        .store_timeout(Duration::from_millis(300))
        .lease(Duration::from_secs(2));
    Relay::new("relay-1", store, cluster.kafka(), config)
        .unwrap()
        .run(std::future::pending::<()>())
        .await;
}

async fn consume(folder: &Path, cluster: &Cluster) {
    let mut erp = open(folder, "erp.db");
    // By its name it has its partitions back at once.
    let mut listener =
        cluster.kafka().listen(cluster.group().instance_id("erp-1")).unwrap();
    loop {
        let delivery = next(&mut listener).await;
        let effect = |transaction: &rusqlite::Transaction<'_>, event: &Envelope<_>| {
            transaction
                .execute("INSERT INTO effect VALUES (?1)", [event.id().to_string()])?;
            Ok(())
        };
        let handled =
            inbox::process(&mut erp, delivery, &inbox_config(), effect).unwrap();
        if let Err(late) = handled.settle().await {
            eprintln!("{late}");
        }
    }
}

/// A process of the test below; without its part, nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn part() {
    let Ok(part) = std::env::var(PART) else { return };
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let mut cluster = Cluster::without_a_topic();
    cluster.topic = std::env::var(TOPIC).unwrap();
    match part.as_str() {
        "relay" => relay(&folder, &cluster).await,
        _ => consume(&folder, &cluster).await,
    }
}

struct Part {
    name: &'static str,
    folder: PathBuf,
    topic: String,
    process: Option<Child>,
}

impl Part {
    fn start(&mut self) {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kafka::kills::part", "--include-ignored"])
            .envs([
                (PART, self.name),
                (FOLDER, self.folder.to_str().unwrap()),
                (TOPIC, &self.topic),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka"]
async fn a_hundred_kills_of_each_cost_no_event_no_second_effect_and_no_order() {
    let (kills, events) = (kills(), kills() * FOR_EACH);
    let cluster = Cluster::with(3, &[]).await;
    let folder = std::env::temp_dir().join(format!("kills-{}", Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    install(&folder);
    let part = |name| Part {
        name,
        folder: folder.clone(),
        topic: cluster.topic.clone(),
        process: None,
    };
    let (mut relay, mut consumer) = (part("relay"), part("consumer"));
    let (crm, erp) = (open(&folder, "crm.db"), open(&folder, "erp.db"));
    let count = |of: &str| {
        let sql = format!("SELECT count(*) FROM outbox_event WHERE {of}");
        crm.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let done = || {
        erp.query_row("SELECT count(*) FROM effect", [], |row| row.get::<_, u32>(0))
            .unwrap()
    };
    relay.start();
    consumer.start();
    // At another moment of its life each time.
    for kill in 0..kills {
        enqueue(&folder, kill * FOR_EACH..(kill + 1) * FOR_EACH);
        tokio::time::sleep(Duration::from_millis(100 + 23 * u64::from(kill % 11))).await;
        relay.kill();
        relay.start();
        tokio::time::sleep(Duration::from_millis(100 + 27 * u64::from(kill % 7))).await;
        consumer.kill();
        consumer.start();
    }
    let all = async {
        while done() < events || count("status = 'acknowledged'") < events {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(120), all).await;
    assert!(
        ended.is_ok(),
        "{} effects and {} sends of {events}",
        done(),
        count("status = 'acknowledged'")
    );
    relay.kill();
    consumer.kill();
    let mut rows = erp.prepare("SELECT id FROM effect ORDER BY rowid").unwrap();
    let ids: Vec<String> =
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for key in 0..KEYS {
        let of_key = ids.iter().filter(|id| id.parse::<u32>().unwrap() % KEYS == key);
        assert!(
            of_key.is_sorted_by(|one, next| one < next),
            "the order of the key {key}, each once"
        );
    }
    assert_eq!(ids.len(), events as usize);
    assert_eq!(count("status = 'failed'"), 0);
    println!(
        "{kills} kills of each: {events} events, {} of them in more than one attempt",
        count("attempts > 1")
    );
    let _ = std::fs::remove_dir_all(&folder);
}
