//! A worker at each broker, on both databases: many deliveries in one transaction, and
//! every effect once.

use std::future::{Future, pending};

use integration_automation_patterns::inbox::worker::{
    Inbox, Summary, Worker, WorkerConfig,
};
use integration_automation_patterns::state::Acknowledged;

use super::*;

const EVENTS: usize = 200;

/// Fails at its first attempt.
const FAILS: &str = "0017";
/// Fails for good.
const POISON: &str = "0025";

/// The database of a worker: an inbox, and one row for each effect.
pub(crate) trait Target: Sized {
    fn fresh() -> impl Future<Output = Self>;
    /// Works until it has done so much.
    fn work<C: Consumer<Acker: 'static>>(
        &self,
        consumer: C,
        until: impl Fn(&Summary) -> bool + Send + Sync,
    ) -> impl Future<Output = Summary>;
    /// The ids of the events, in the order of their effects.
    fn effects(&self) -> impl Future<Output = Vec<String>>;
}

/// What the handler answers, once it has written.
fn answer(event: &Envelope<Acknowledged>) -> Result<(), HandlerError> {
    match event.id().to_string().as_str() {
        FAILS if event.attempts() == 1 => Err(HandlerError::transient("busy")),
        POISON => Err(HandlerError::permanent("no such country")),
        _ => Ok(()),
    }
}

fn config() -> InboxConfig {
    let policy = RetryPolicy::new(5, Backoff::Fixed(Duration::ZERO)).unwrap();
    inbox_config().retry_policy(policy)
}

async fn run<I: Inbox, C: Consumer<Acker: 'static>>(
    worker: Worker<I, C>,
    until: impl Fn(&Summary) -> bool + Send + Sync,
) -> Summary {
    let worker = worker.on_incident(|incident| eprintln!("{incident}"));
    let done = async {
        while !until(&worker.progress()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    worker.run(done).await
}

impl Target for File {
    async fn fresh() -> Self {
        let file = Self::new("worker");
        let table = "CREATE TABLE effect (place INTEGER PRIMARY KEY, id TEXT, key TEXT)";
        Connection::open(&file.0).unwrap().execute_batch(table).unwrap();
        file
    }

    async fn work<C: Consumer<Acker: 'static>>(
        &self,
        consumer: C,
        until: impl Fn(&Summary) -> bool + Send + Sync,
    ) -> Summary {
        let handlers = inbox::handlers().otherwise(|transaction, event| {
            let row = (event.id().to_string(), event.ordering_key());
            transaction.execute("INSERT INTO effect (id, key) VALUES (?1, ?2)", row)?;
            answer(event)
        });
        let as_usual = WorkerConfig::default();
        let worker = inbox::Worker::open(&self.0, config(), consumer, handlers, as_usual);
        run(worker.unwrap(), until).await
    }

    async fn effects(&self) -> Vec<String> {
        Effects(Connection::open(&self.0).unwrap()).ids()
    }
}

/// The events of the transaction, sent to the broker.
async fn sent<S: Server>(server: &S) {
    let file = File::new("sent");
    enqueue(&file, 0..EVENTS, RetryPolicy::DEFAULT);
    let store = outbox::Outbox::open(&file.0).unwrap();
    let broker = server.broker(server.address());
    let relay = Relay::new("relay-1", store, broker, RelayConfig::default()).unwrap();
    let summary = relay.run_until_idle(pending::<()>()).await;
    assert_eq!(summary.acknowledged, EVENTS as u64);
}

async fn a_failing_and_a_poison_one_fall_alone<S: Server, T: Target>() -> T {
    let (server, target) = (S::fresh().await, T::fresh().await);
    sent(&server).await;
    let consumer = server.consumer().await;
    let all = |done: &Summary| done.processed == 199 && done.dead_lettered == 1;
    let summary = target.work(consumer, all).await;
    assert_eq!((summary.retrying, summary.unstored), (1, 0), "{summary:?}");
    let effects = target.effects().await;
    let of_key = |key: u32| {
        let is_of_key = move |id: &&String| id.parse::<u32>().unwrap() % 10 == key;
        effects.iter().filter(is_of_key)
    };
    for key in (0..10).filter(|key| *key != 7) {
        assert!(of_key(key).is_sorted(), "the order of a key: {effects:?}");
    }
    each_once_but_the_poison(effects);
    server.remove().await;
    target
}

fn each_once_but_the_poison(mut effects: Vec<String>) {
    effects.sort();
    let wanted = (0..EVENTS).map(|number| format!("{number:04}"));
    assert_eq!(effects, wanted.filter(|id| id != POISON).collect::<Vec<_>>());
}

async fn a_connection_that_is_cut_costs_no_second_effect<S: Server, T: Target>() -> T {
    let (server, target) = (S::fresh().await, T::fresh().await);
    let proxy = server.proxy().await;
    sent(&server).await;
    let consumer = server.consumer_at(proxy.address).await;
    proxy.set(Mode::Flaky);
    let all = |done: &Summary| done.processed == 199 && done.dead_lettered >= 1;
    let summary = target.work(consumer, all).await;
    assert_eq!(summary.unstored, 0, "{summary:?}");
    each_once_but_the_poison(target.effects().await);
    server.remove().await;
    target
}

pub(crate) async fn a_worker_has_every_effect_once_and_what_fails_falls_alone<
    S: Server,
>() {
    drop(a_failing_and_a_poison_one_fall_alone::<S, File>().await);
}

pub(crate) async fn a_workers_connection_that_is_cut_costs_no_second_effect<S: Server>() {
    drop(a_connection_that_is_cut_costs_no_second_effect::<S, File>().await);
}

#[cfg(feature = "postgres")]
pub(crate) use self::on_postgres::*;

#[cfg(feature = "postgres")]
mod on_postgres {
    use integration_automation_patterns::inbox::postgres as inbox;
    use tokio_postgres::{Client, Config, NoTls};

    use super::*;
    use crate::servers;

    /// A schema of its own.
    struct Schema {
        name: String,
        config: Config,
        client: Client,
    }

    impl Target for Schema {
        async fn fresh() -> Self {
            let name = unique("brokers").replace('-', "_");
            let mut config: Config = servers::postgres().parse().unwrap();
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            let sql = format!(
                "CREATE SCHEMA {name}; SET search_path = {name}; CREATE TABLE effect \
                 (place bigserial PRIMARY KEY, id text, key text)"
            );
            client.batch_execute(&sql).await.unwrap();
            config.options(format!("-c search_path={name}"));
            Self { name, config, client }
        }

        async fn work<C: Consumer<Acker: 'static>>(
            &self,
            consumer: C,
            until: impl Fn(&Summary) -> bool + Send + Sync,
        ) -> Summary {
            let handlers = inbox::handlers().otherwise(async |transaction, event| {
                let sql = "INSERT INTO effect (id, key) VALUES ($1, $2)";
                let id = event.id().to_string();
                transaction.execute(sql, &[&id, &event.ordering_key()]).await?;
                answer(event)
            });
            let worker = inbox::Worker::connect(
                self.config.clone(),
                config(),
                consumer,
                handlers,
                // No longer than any of these brokers waits for an answer.
                WorkerConfig::default().handler_timeout(Duration::from_secs(1)),
            );
            run(worker.await.unwrap(), until).await
        }

        async fn effects(&self) -> Vec<String> {
            let sql = "SELECT id FROM effect ORDER BY place";
            let rows = self.client.query(sql, &[]).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
    }

    impl Schema {
        /// Whether some events shared a transaction.
        async fn shares(&self) -> bool {
            let sql = "SELECT count(DISTINCT xmin::text) < count(*) FROM inbox_event";
            self.client.query_one(sql, &[]).await.unwrap().get(0)
        }

        async fn remove(self) {
            let sql = format!("DROP SCHEMA {} CASCADE", self.name);
            self.client.batch_execute(&sql).await.unwrap();
        }
    }

    pub(crate) async fn a_worker_on_postgres_has_every_effect_once_and_what_fails_falls_alone<
        S: Server,
    >() {
        let schema = a_failing_and_a_poison_one_fall_alone::<S, Schema>().await;
        assert!(schema.shares().await, "each event had a transaction of its own");
        schema.remove().await;
    }

    pub(crate) async fn a_workers_connection_on_postgres_that_is_cut_costs_no_second_effect<
        S: Server,
    >() {
        a_connection_that_is_cut_costs_no_second_effect::<S, Schema>()
            .await
            .remove()
            .await;
    }
}
