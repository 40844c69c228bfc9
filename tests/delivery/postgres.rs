//! The suite on PostgreSQL, each test in a schema of its own. What is PostgreSQL's own
//! stands in `tests/delivery_postgres`.

use chrono::{DateTime, Utc};
use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{
    self, Forestalled, Handled, HandlerError, Remembered,
};
use integration_automation_patterns::outbox::postgres::{self, Outbox};
use integration_automation_patterns::outbox::{Migration, Recalled, StoreError};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope, EventId};
use tokio_postgres::{Client, Config, NoTls};

use crate::forestall::{self, Participant};
use crate::suite::{self, Database};

pub(crate) struct Postgres {
    pub(crate) config: Config,
    outbox: Outbox,
    pub(crate) schema: String,
}

fn server() -> Config {
    crate::servers::postgres().parse().unwrap()
}

pub(crate) async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

impl Database for Postgres {
    type Outbox = Outbox;

    async fn fresh() -> Self {
        let schema = format!("suite_{}", uuid::Uuid::now_v7().simple());
        let admin = connect(&server()).await;
        admin.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        let mut config = server();
        config
            .options(format!("-c search_path={schema}"))
            .application_name(schema.as_str());
        let outbox = Outbox::connect(config.clone()).await.unwrap();
        Self { config, outbox, schema }
    }

    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn scripts() -> Vec<Migration> {
        postgres::migrations().collect()
    }

    const MIGRATIONS: &'static str = "src/outbox/postgres/migrations";
    const PLAIN_ENQUEUE: &'static str = "SELECT outbox_enqueue(id => 'plain', event_type => 'crm.lead.created', \
         source_system => 'crm', payload => '{}')";

    async fn open(&self) -> Result<Outbox, StoreError> {
        Outbox::connect(self.config.clone()).await
    }

    async fn drop_tables(&self) {
        self.sql(&format!("DROP SCHEMA {0} CASCADE; CREATE SCHEMA {0}", self.schema))
            .await;
    }

    async fn enqueue(&self, events: Vec<Envelope<Pending>>, commit: bool) {
        let mut client = connect(&self.config).await;
        let transaction = client.transaction().await.unwrap();
        for event in events {
            postgres::enqueue(&transaction, event).await.unwrap();
        }
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }

    async fn recall(&self, id: &EventId, decision: Decision, commit: bool) -> Recalled {
        let mut client = connect(&self.config).await;
        let transaction = client.transaction().await.unwrap();
        let recalled = postgres::recall(&transaction, id, &decision).await.unwrap();
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        recalled
    }

    async fn sql(&self, sql: &str) {
        connect(&self.config).await.batch_execute(sql).await.unwrap();
    }

    fn moment(at: DateTime<Utc>) -> String {
        format!("'{}'::timestamptz", at.to_rfc3339())
    }
}

impl Participant for Postgres {
    async fn with_inbox() -> Self {
        let database = Self::fresh().await;
        let mut client = connect(&database.config).await;
        inbox::postgres::install(&mut client).await.unwrap();
        database.sql("CREATE TABLE effect (id text)").await;
        database
    }

    async fn handle(
        &self,
        delivery: Delivery<()>,
        then: Result<(), HandlerError>,
    ) -> Handled<()> {
        let mut client = connect(&self.config).await;
        let config = forestall::inbox_config();
        let handled = inbox::postgres::process(
            &mut client,
            delivery,
            &config,
            async |transaction, event| {
                let id = event.id().to_string();
                transaction.execute("INSERT INTO effect VALUES ($1)", &[&id]).await?;
                then
            },
        );
        handled.await.unwrap()
    }

    async fn forestall(
        &self,
        id: &str,
        asked_at: DateTime<Utc>,
        commit: bool,
    ) -> Forestalled {
        let mut client = connect(&self.config).await;
        let transaction = client.transaction().await.unwrap();
        let (id, config) = (suite::id(id), forestall::inbox_config());
        let was = inbox::postgres::forestall(&transaction, "crm", &id, asked_at, &config);
        let was = was.await.unwrap();
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        was
    }

    async fn discard(&self, id: &str, decision: Decision) -> bool {
        let (mut client, silent) = (connect(&self.config).await, forestall::silent());
        inbox::postgres::discard(&mut client, &suite::event(id), decision, &silent)
            .await
            .unwrap()
    }

    async fn inbox_counts(&self) -> inbox::Counts {
        let client = connect(&self.config).await;
        inbox::postgres::counts(&client, std::time::Duration::ZERO).await.unwrap()
    }

    async fn remembered(&self, id: &str) -> Option<Remembered> {
        let client = connect(&self.config).await;
        inbox::postgres::get(&client, "crm", &suite::id(id)).await.unwrap()
    }

    async fn number(&self, sql: &str) -> i64 {
        connect(&self.config).await.query_one(sql, &[]).await.unwrap().get(0)
    }
}

impl Drop for Postgres {
    /// Drops the schema, from a thread with a runtime of its own: the test's is about to
    /// end.
    fn drop(&mut self) {
        let sql = format!("DROP SCHEMA {} CASCADE", self.schema);
        let dropping = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| {
                runtime.block_on(async {
                    connect(&server()).await.batch_execute(&sql).await
                })
            })
        });
        let _ = dropping.join();
    }
}

suite!(Postgres, "needs PostgreSQL");
