//! The roles on SQLite: source and target are files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::inbox::{Forestalled, InboxConfig};
use integration_automation_patterns::outbox::{DeadLetter, Filter};
use integration_automation_patterns::testing::{Account, FileBroker, Random};
use integration_automation_patterns::{inbox, outbox};
use rusqlite::{Connection, TransactionBehavior};

use crate::forestall::undone_by;
use crate::poison::taste;
use crate::{Side, change, inbox_config};

pub(crate) fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
}

#[derive(Clone)]
pub(crate) struct Files(pub(crate) PathBuf);

impl Files {
    pub(crate) fn source(&self) -> PathBuf {
        self.0.join("source.db")
    }

    fn target(&self) -> PathBuf {
        self.0.join("target.db")
    }
}

impl Side for Files {
    type Outbox = outbox::sqlite::Outbox;

    async fn work(
        &self,
        inbox: InboxConfig,
        consumer: impl Consumer<Acker: 'static>,
        config: WorkerConfig,
    ) {
        let handlers = inbox::sqlite::handlers().otherwise(|transaction, event| {
            let key = event.ordering_key().unwrap_or_default();
            transaction.execute(
                "INSERT INTO effect (key, id) VALUES (?1, ?2)",
                [key, &event.id().to_string()],
            )?;
            if let Some(id) = undone_by(&event.id().to_string()) {
                let (now, config) = (chrono::Utc::now(), inbox_config());
                let was =
                    inbox::sqlite::forestall(transaction, "source", &id, now, &config)?;
                assert_eq!(was, Forestalled::NeverWill);
            }
            taste(event);
            Ok(())
        });
        let worker =
            inbox::sqlite::Worker::open(self.target(), inbox, consumer, handlers, config);
        worker.unwrap().run(std::future::pending::<()>()).await;
    }

    async fn set_up(&self) {
        let mut source = open(&self.source());
        outbox::sqlite::install(&mut source).unwrap();
        source
            .execute_batch(
                "CREATE TABLE change (number INTEGER PRIMARY KEY, key TEXT, id TEXT)",
            )
            .unwrap();
        let mut target = open(&self.target());
        inbox::sqlite::install(&mut target).unwrap();
        target
            .execute_batch(
                "CREATE TABLE effect (number INTEGER PRIMARY KEY, key TEXT, id TEXT)",
            )
            .unwrap();
    }

    async fn outbox(&self) -> Self::Outbox {
        outbox::sqlite::Outbox::open(self.source()).unwrap()
    }

    async fn produce(&self, events: u32) {
        let mut source = open(&self.source());
        let count = |source: &Connection| -> u32 {
            source.query_row("SELECT count(*) FROM change", [], |row| row.get(0)).unwrap()
        };
        let (mut done, mut random) =
            (count(&source), Random::new(u64::from(std::process::id())));
        while done < events {
            let transaction =
                source.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
            for _ in 0..(1 + random.below(5)).min((events - done) as usize) {
                let (key, id, event) = change(done);
                transaction
                    .execute("INSERT INTO change (key, id) VALUES (?1, ?2)", [&key, &id])
                    .unwrap();
                outbox::sqlite::enqueue(&transaction, event).unwrap();
                done += 1;
            }
            if random.below(7) == 0 {
                drop(transaction);
                done = count(&source);
            } else {
                transaction.commit().unwrap();
            }
            tokio::time::sleep(random.between(Duration::ZERO, Duration::from_millis(40)))
                .await;
        }
    }

    async fn consume(&self, broker: FileBroker) {
        if crate::is_a_worker() {
            let config = WorkerConfig::default();
            return self.work(inbox_config(), broker.listen(), config).await;
        }
        let (mut consumer, mut target) = (broker.listen(), open(&self.target()));
        loop {
            let Ok(Some(delivery)) = consumer.next().await else { continue };
            let handled = inbox::sqlite::process(
                &mut target,
                delivery,
                &inbox_config(),
                |transaction, event| {
                    let key = event.ordering_key().unwrap_or_default();
                    transaction.execute(
                        "INSERT INTO effect (key, id) VALUES (?1, ?2)",
                        [key, &event.id().to_string()],
                    )?;
                    taste(event);
                    Ok(())
                },
            );
            if let Ok(handled) = handled {
                let _ = handled.settle().await;
            }
        }
    }

    async fn account(&self) -> Account {
        let mut account = Account::default();
        let read = |path: &Path, table: &str| -> Vec<(String, String)> {
            let connection = open(path);
            let mut statement = connection
                .prepare(&format!("SELECT key, id FROM {table} ORDER BY number"))
                .unwrap();
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        read(&self.source(), "change")
            .into_iter()
            .for_each(|(key, id)| account.committed(key, id));
        read(&self.target(), "effect")
            .into_iter()
            .for_each(|(key, id)| account.effect(key, id));
        account
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        inbox::sqlite::dead_letters(&open(&self.target()), &Filter::default(), 100)
            .unwrap()
    }

    async fn count(&self, sql: &str) -> i64 {
        open(&self.source()).query_row(sql, [], |row| row.get(0)).unwrap()
    }

    async fn execute(&self, sql: &str) {
        open(&self.source()).execute_batch(sql).unwrap();
    }

    async fn end_leases(&self) {
        self.execute("UPDATE outbox_event SET due_at = 0 WHERE status = 'dispatched'")
            .await;
    }
}
