//! Behind a pooler: PgBouncer, started by the test in each of its modes, in front of a
//! database of the test's own.

use crate::chain::Chain as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{self, Handled, InboxConfig};
use integration_automation_patterns::outbox::postgres::{
    Outbox, enqueue, enqueue_all, install,
};
use integration_automation_patterns::outbox::{Admin, Store};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::RetryPolicy;
use tokio_postgres::{Client, Config};

use crate::{Counting, DAY, FAR, connect, event, keyed, order, server, servers};

/// A pooler, and a database behind it.
struct Pooler {
    process: Child,
    folder: PathBuf,
    port: u16,
    database: String,
    admin: Client,
}

impl Pooler {
    async fn start(mode: &str) -> Self {
        let database = format!("test_{}", uuid::Uuid::now_v7().simple());
        let admin = connect(&server()).await;
        admin.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = std::env::temp_dir().join(&database);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("users"), "\"postgres\" \"\"\n").unwrap();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {folder}/users\npool_mode = {mode}\nlogfile = {folder}/log\n",
            servers::postgres_port(),
            folder = folder.display()
        );
        std::fs::write(folder.join("pgbouncer.ini"), settings).unwrap();
        let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        // It does not work for root.
        let mut command = if is_root {
            assert!(
                Command::new("chown")
                    .args(["-R", "postgres"])
                    .arg(&folder)
                    .status()
                    .unwrap()
                    .success()
            );
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--init-groups",
                "--",
                "pgbouncer",
            ]);
            command
        } else {
            Command::new("pgbouncer")
        };
        command
            .arg(folder.join("pgbouncer.ini"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().expect("pgbouncer, which `.ci/servers` installs");
        let pooler = Self { process, folder, port, database, admin };
        while pooler.config().connect(tokio_postgres::NoTls).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pooler
    }

    /// The way to the database through the pooler.
    fn config(&self) -> Config {
        Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user("postgres")
            .dbname(self.database.as_str())
            .to_owned()
    }

    /// What each session of the pooler holds that is not the server's own: of so many at
    /// once.
    async fn left_behind(&self, sessions: usize) -> Vec<String> {
        let mut clients = Vec::new();
        for _ in 0..sessions {
            let client = connect(&self.config()).await;
            client.batch_execute("BEGIN").await.unwrap();
            clients.push(client);
        }
        let sql = "SELECT name || ' = ' || setting FROM pg_settings WHERE source = 'session' \
               AND name IN ('search_path', 'jit', 'plan_cache_mode', 'statement_timeout', 'lock_timeout') \
               OR name LIKE 'enable_%' AND setting = 'off' AND source = 'session' \
             UNION ALL SELECT 'listens to ' || channel FROM pg_listening_channels() AS channel \
             UNION ALL SELECT 'prepared ' || name FROM pg_prepared_statements";
        let mut found = Vec::new();
        for client in &clients {
            found.extend(
                client
                    .query_typed(sql, &[])
                    .await
                    .unwrap()
                    .iter()
                    .map(|row| row.get::<_, String>(0)),
            );
        }
        found
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.database);
        let dropping = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                connect(&server()).await.batch_execute(&sql).await.unwrap()
            });
        });
        let _ = dropping.join();
    }
}

/// A pooler that gives each transaction another session is refused in words, and keeps
/// nothing of ours. Producers and consumers do with it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and PgBouncer"]
async fn a_pooler_of_transactions_is_refused() {
    let pooler = Pooler::start("transaction").await;
    install(&mut connect(&pooler.config()).await).await.unwrap();
    inbox::postgres::install(&mut connect(&pooler.config()).await).await.unwrap();
    let refused = Outbox::connect(pooler.config()).await.unwrap_err().chain();
    assert!(
        refused.contains("a pooler gives each transaction another session"),
        "{refused}"
    );
    // In use by others too.
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let config = pooler.config();
        others.spawn(async move {
            let client = connect(&config).await;
            loop {
                client.batch_execute("BEGIN; SELECT 1; COMMIT").await.unwrap();
            }
        });
    }
    for _ in 0..10 {
        let refused = Outbox::connect(pooler.config()).await.unwrap_err().chain();
        assert!(
            refused.contains("a pooler gives each transaction another session"),
            "{refused}"
        );
    }
    others.shutdown().await;

    let (mut producer, mut consumer) =
        (connect(&pooler.config()).await, connect(&pooler.config()).await);
    let business = producer.transaction().await.unwrap();
    enqueue(&business, keyed("1", "k")).await.unwrap();
    enqueue_all(&business, vec![event("2"), keyed("3", "k")]).await.unwrap();
    business.commit().await.unwrap();
    let inbox_config = InboxConfig::new(7 * DAY, RetryPolicy::DEFAULT).unwrap();
    let effect = inbox::postgres::process(
        &mut consumer,
        Delivery::new(event("1"), ()),
        &inbox_config,
        async |_, _| Ok(()),
    );
    assert!(matches!(effect.await.unwrap(), Handled::Processed(_)));
    assert_eq!(pooler.left_behind(4).await, [] as [String; 0]);
    let mut beside = server();
    beside.dbname(pooler.database.as_str());
    let outbox = Outbox::connect(beside).await.unwrap();
    assert_eq!(outbox.claim(&order("relay-1", 10)).await.unwrap().claims.len(), 2);
}

/// Behind a pooler that gives each connection a session of its own everything works, the
/// listening too, and the next program that gets the session finds nothing of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and PgBouncer"]
async fn behind_a_pooler_of_sessions_everything_works() {
    const EVENTS: usize = 200;
    let pooler = Pooler::start("session").await;
    let outbox = Outbox::connect(pooler.config()).await.unwrap();
    let mut producer = connect(&pooler.config()).await;
    // The first ring is that of the listener, which has just come; and a relay looks once
    // more after each.
    for _ in 0..2 {
        outbox.wait(FAR).await;
        assert!(outbox.claim(&order("relay-1", 10)).await.unwrap().claims.is_empty());
    }
    let business = producer.transaction().await.unwrap();
    enqueue_all(
        &business,
        (0..EVENTS).map(|number| event(&format!("e{number}"))).collect(),
    )
    .await
    .unwrap();
    business.commit().await.unwrap();
    outbox.wait(FAR).await;
    let (broker, settings) = (Counting::default(), RelayConfig::default().in_flight(20));
    let relay = Relay::new("relay-1", outbox.clone(), broker.clone(), settings).unwrap();
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    assert_eq!(
        (summary.acknowledged, broker.0.lock().unwrap().len()),
        (EVENTS as u64, EVENTS)
    );
    assert_eq!(outbox.counts().await.unwrap().total(), EVENTS as u64);
    assert_eq!(outbox.verify().await.unwrap(), []);
    drop((relay, outbox, producer));
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND state <> 'idle'";
    while pooler
        .admin
        .query_one(sessions, &[&pooler.database])
        .await
        .unwrap()
        .get::<_, i64>(0)
        > 0
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(pooler.left_behind(4).await, [] as [String; 0]);
}
