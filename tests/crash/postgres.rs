//! The roles on PostgreSQL: source and target are tables of one schema.

use std::error::Error;
use std::io;
use std::time::Duration;

use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::inbox::{Forestalled, InboxConfig};
use integration_automation_patterns::outbox::{DeadLetter, Filter};
use integration_automation_patterns::testing::{Account, FileBroker, Random};
use integration_automation_patterns::{inbox, outbox};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::forestall::undone_by;
use crate::poison::taste;
use crate::{Side, change, inbox_config};

const SCHEMA: &str = "CRASH_SCHEMA";
const PORT: &str = "CRASH_PORT";

type Attempt<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Clone)]
pub(crate) struct Schema {
    name: String,
    port: u16,
}

impl Schema {
    /// A schema of this process, on the server that all tests share.
    pub(crate) fn new(name: &str) -> Self {
        Self::on(crate::servers::postgres_port(), name)
    }

    pub(crate) fn on(port: u16, name: &str) -> Self {
        Self { name: format!("{name}_{}", std::process::id()), port }
    }

    /// What a started process must be told, to find the schema.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![(SCHEMA, self.name.clone()), (PORT, self.port.to_string())]
    }

    pub(crate) fn of_environment() -> Option<Self> {
        let name = std::env::var(SCHEMA).ok()?;
        Some(Self { name, port: std::env::var(PORT).unwrap().parse().unwrap() })
    }

    fn config(&self) -> Config {
        let mut config: Config =
            "host=127.0.0.1 user=postgres dbname=postgres".parse().unwrap();
        config.port(self.port).options(format!("-c search_path={}", self.name));
        config
    }

    async fn try_connect(&self) -> Attempt<Client> {
        let (client, connection) = self.config().connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn connect(&self) -> Client {
        let answer = self.try_connect().await;
        answer.unwrap_or_else(|error| {
            panic!("PostgreSQL answers on 127.0.0.1:{}: {error}", self.port)
        })
    }

    /// A connection as soon as there is a server.
    async fn reconnect(&self) -> Client {
        loop {
            match self.try_connect().await {
                Ok(client) => return client,
                Err(error) => assert!(server_went_away(&*error), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn drop(&self) {
        self.connect()
            .await
            .batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name))
            .await
            .unwrap();
    }

    async fn try_produce(&self, client: &mut Client, events: u32) -> Attempt<()> {
        // One that was killed may have its transaction open for a moment yet: the lock
        // waits for it.
        client.batch_execute("SELECT pg_advisory_lock(4711)").await?;
        let (mut done, mut random) =
            (count(client).await?, Random::new(u64::from(std::process::id())));
        while done < events {
            let transaction = client.transaction().await?;
            for _ in 0..(1 + random.below(5)).min((events - done) as usize) {
                let (key, id, event) = change(done);
                transaction
                    .execute("INSERT INTO change (key, id) VALUES ($1, $2)", &[&key, &id])
                    .await?;
                let enqueued = outbox::postgres::enqueue(&transaction, event).await;
                enqueued.map_err(|refused| refused.into_cause())?;
                done += 1;
            }
            if random.below(7) == 0 {
                transaction.rollback().await?;
                done = count(client).await?;
            } else {
                transaction.commit().await?;
            }
            tokio::time::sleep(random.between(Duration::ZERO, Duration::from_millis(40)))
                .await;
        }
        Ok(())
    }
}

/// Whether an error says that the server has ended, or that it has not begun yet.
fn server_went_away(error: &(dyn Error + 'static)) -> bool {
    use SqlState as State;
    let said = |error: &tokio_postgres::Error| {
        let codes =
            [State::ADMIN_SHUTDOWN, State::CRASH_SHUTDOWN, State::CANNOT_CONNECT_NOW];
        error.is_closed() || error.code().is_some_and(|code| codes.contains(code))
    };
    error.is::<io::Error>()
        || error.downcast_ref().is_some_and(said)
        || error.source().is_some_and(server_went_away)
}

async fn count(client: &Client) -> Attempt<u32> {
    let count: i64 = client.query_one("SELECT count(*) FROM change", &[]).await?.get(0);
    Ok(u32::try_from(count)?)
}

impl Side for Schema {
    type Outbox = outbox::postgres::Outbox;

    async fn work(
        &self,
        inbox: InboxConfig,
        consumer: impl Consumer<Acker: 'static>,
        config: WorkerConfig,
    ) {
        let handlers =
            inbox::postgres::handlers().otherwise(async |transaction, event| {
                let key = event.ordering_key().unwrap_or_default();
                let id = event.id().to_string();
                let sql = "INSERT INTO effect (key, id) VALUES ($1, $2)";
                transaction.execute(sql, &[&key, &id]).await?;
                if let Some(id) = undone_by(&id) {
                    let (now, config) = (chrono::Utc::now(), inbox_config());
                    let was = inbox::postgres::forestall(
                        transaction,
                        "source",
                        &id,
                        now,
                        &config,
                    );
                    assert_eq!(was.await?, Forestalled::NeverWill);
                }
                taste(event);
                Ok(())
            });
        let worker = inbox::postgres::Worker::connect(
            self.config(),
            inbox,
            consumer,
            handlers,
            config,
        );
        worker.await.unwrap().run(std::future::pending::<()>()).await;
    }

    async fn set_up(&self) {
        let mut client = self.connect().await;
        client.batch_execute(&format!("CREATE SCHEMA {}", self.name)).await.unwrap();
        outbox::postgres::install(&mut client).await.unwrap();
        inbox::postgres::install(&mut client).await.unwrap();
        let columns = "(number bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, key text, id text)";
        let tables =
            format!("CREATE TABLE change {columns}; CREATE TABLE effect {columns};");
        client.batch_execute(&tables).await.unwrap();
    }

    async fn outbox(&self) -> Self::Outbox {
        outbox::postgres::Outbox::connect(self.config()).await.unwrap()
    }

    async fn produce(&self, events: u32) {
        let mut client = self.connect().await;
        // A server that goes away may have committed what it did not answer: what is
        // there is counted anew.
        while let Err(error) = self.try_produce(&mut client, events).await {
            assert!(server_went_away(&*error), "{error}");
            client = self.reconnect().await;
        }
    }

    async fn consume(&self, broker: FileBroker) {
        if crate::is_a_worker() {
            let config = WorkerConfig::default().lanes(1);
            return self.work(inbox_config(), broker.listen(), config).await;
        }
        let (mut consumer, mut target, inbox_config) =
            (broker.listen(), self.connect().await, inbox_config());
        loop {
            let Ok(Some(delivery)) = consumer.next().await else { continue };
            let handled = inbox::postgres::process(
                &mut target,
                delivery,
                &inbox_config,
                async |transaction, event| {
                    let (key, id) = (
                        event.ordering_key().unwrap_or_default(),
                        event.id().to_string(),
                    );
                    transaction
                        .execute(
                            "INSERT INTO effect (key, id) VALUES ($1, $2)",
                            &[&key, &id],
                        )
                        .await?;
                    taste(event);
                    Ok(())
                },
            );
            match handled.await {
                Ok(handled) => drop(handled.settle().await),
                Err(_) => target = self.reconnect().await,
            }
        }
    }

    async fn account(&self) -> Account {
        let (client, mut account) = (self.connect().await, Account::default());
        for row in
            client.query("SELECT key, id FROM change ORDER BY number", &[]).await.unwrap()
        {
            account.committed(row.get::<_, String>(0), row.get::<_, String>(1));
        }
        for row in
            client.query("SELECT key, id FROM effect ORDER BY number", &[]).await.unwrap()
        {
            account.effect(row.get::<_, String>(0), row.get::<_, String>(1));
        }
        account
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        inbox::postgres::dead_letters(&self.connect().await, &Filter::default(), 100)
            .await
            .unwrap()
    }

    async fn count(&self, sql: &str) -> i64 {
        self.connect().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn execute(&self, sql: &str) {
        self.connect().await.batch_execute(sql).await.unwrap();
    }

    async fn end_leases(&self) {
        self.execute(
            "UPDATE outbox_event SET due_at = 'epoch' WHERE status = 'dispatched'",
        )
        .await;
    }
}
