//! The suite on PostgreSQL, each test in a schema of its own.

use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::Handled;
use integration_automation_patterns::workflow::postgres::{
    self as workflows, Clerk, Desk,
};
use integration_automation_patterns::workflow::{
    AnyAdvance, AnyRuling, Begun, Choice, ClerkSummary, Driven, StepError, WorkflowConfig,
};
use integration_automation_patterns::{AnyEnvelope, inbox, outbox, testing};
use tokio_postgres::{Client, Config, NoTls};

use crate::orders::order_to_cash::{Any, This};
use crate::suite::{Answer, DAY, Database, act, config, first, id, inbox_config};

pub(crate) struct Postgres {
    pub(crate) config: Config,
    pub(crate) schema: String,
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

fn server() -> Config {
    crate::servers::postgres().parse().unwrap()
}

impl Postgres {
    /// A schema without tables.
    async fn empty() -> Self {
        let schema = format!("workflow_{}", uuid::Uuid::now_v7().simple());
        let admin = connect(&server()).await;
        admin.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        Self::at(&schema)
    }

    async fn install(&self) {
        let mut client = connect(&self.config).await;
        outbox::postgres::install(&mut client).await.unwrap();
        inbox::postgres::install(&mut client).await.unwrap();
        workflows::install(&mut client).await.unwrap();
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
            let drop = async { connect(&server()).await.batch_execute(&sql).await };
            runtime.map(|runtime| runtime.block_on(drop))
        });
        let _ = dropping.join();
    }
}

impl Database for Postgres {
    const SUITE: &'static str = "postgres";

    fn address(&self) -> String {
        self.schema.clone()
    }

    fn at(address: &str) -> Self {
        let (mut config, schema) = (server(), address.to_owned());
        config.options(format!("-c search_path={schema}"));
        Self { config, schema }
    }

    async fn fresh() -> Self {
        let database = Self::empty().await;
        database.install().await;
        database.sql("CREATE TABLE effect (instance text, step text)").await;
        database
    }

    async fn try_begin(
        &self,
        key: &str,
        total: u64,
        commit: bool,
    ) -> Result<Begun, StepError> {
        let mut client = connect(&self.config).await;
        let transaction = client.transaction().await.unwrap();
        let first = first(key, total);
        let begun = workflows::begin(&transaction, first, &config()).await;
        let begun = begun.map_err(|refused| refused.into_cause())?;
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        Ok(begun)
    }

    async fn sent_before_the_commit(&self, key: &str) -> usize {
        let mut client = connect(&self.config).await;
        let transaction = client.transaction().await.unwrap();
        let first = first(key, 900);
        let _ = workflows::begin(&transaction, first, &config()).await.unwrap();
        let seen = self.events().await.len();
        transaction.commit().await.unwrap();
        seen
    }

    async fn load(&self, key: &str) -> Result<Option<Any>, String> {
        let mut client = connect(&self.config).await;
        let transaction = client.transaction().await.unwrap();
        let loaded = workflows::load::<This, _, _>(&transaction, &id(key)).await;
        loaded.map_err(|error| error.to_string())
    }

    async fn store(&self, step: AnyAdvance<This>) -> Result<(), StepError> {
        let mut client = connect(&self.config).await;
        let transaction = client.transaction().await.unwrap();
        let stored = workflows::store(&transaction, step, &config()).await;
        stored.map_err(|refused| refused.into_cause())?;
        transaction.commit().await.unwrap();
        Ok(())
    }

    async fn decide(
        &self,
        key: &str,
        choice: Choice,
        ruling: AnyRuling,
        config: WorkflowConfig,
    ) -> Result<(), String> {
        let mut client = connect(&self.config).await;
        let transaction = client.transaction().await.unwrap();
        let at = workflows::load(&transaction, &id(key)).await.unwrap().unwrap();
        let step =
            This::decide(at, choice, ruling).map_err(|refused| refused.to_string())?;
        workflows::store(&transaction, step, &config)
            .await
            .map_err(|refused| refused.to_string())?;
        transaction.commit().await.unwrap();
        Ok(())
    }

    async fn events(&self) -> Vec<AnyEnvelope> {
        testing::postgres::enqueued(&connect(&self.config).await).await.unwrap()
    }

    async fn receive(
        &self,
        delivery: Delivery<()>,
        config: WorkflowConfig,
    ) -> Handled<()> {
        let mut client = connect(&self.config).await;
        let inbox_config = inbox_config();
        let handled = inbox::postgres::process(
            &mut client,
            delivery,
            &inbox_config,
            async |transaction, event| {
                let received =
                    workflows::receive::<This, _, _>(transaction, event, &config);
                received.await.map(drop)
            },
        );
        handled.await.unwrap()
    }

    async fn participate(&self, delivery: Delivery<()>, answer: Answer) -> Handled<()> {
        let mut client = connect(&self.config).await;
        let inbox_config = inbox_config();
        let handled = inbox::postgres::process(
            &mut client,
            delivery,
            &inbox_config,
            async |transaction, command| {
                let undo =
                    workflows::undoing(transaction, command, &inbox_config).await?;
                let act = act(command, undo, answer)?;
                if let Some(effect) = act.effect {
                    transaction.batch_execute(&effect).await?;
                }
                outbox::postgres::enqueue(transaction, act.reply)
                    .await
                    .map_err(|refused| refused.into_cause())?;
                Ok(())
            },
        );
        handled.await.unwrap()
    }

    async fn clerk(&self, config: WorkflowConfig) -> ClerkSummary {
        let clerk = Clerk::connect(self.config.clone(), config).await.unwrap();
        clerk.of::<This>().on_incident(|_| {}).run_until_idle().await.unwrap()
    }

    async fn pass_time(&self, time: Duration) {
        testing::postgres::pass_time(&connect(&self.config).await, time).await.unwrap();
    }

    async fn text(&self, sql: &str) -> String {
        connect(&self.config).await.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn sql(&self, sql: &str) {
        connect(&self.config).await.batch_execute(sql).await.unwrap();
    }

    fn migrations() -> Vec<&'static str> {
        workflows::migrations().map(|one| one.sql).collect()
    }
}

at_a_desk!(Postgres, "bytea", database => Desk::connect(database.config.clone()).await.unwrap());

suite!(Postgres, "needs PostgreSQL");

/// Protects the instances of an older program's tables from a clerk that leaves them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn instances_in_tables_of_the_first_version_go_on() {
    let (today, before) = (Postgres::fresh().await, Postgres::empty().await);
    let _ = today.begin("1", 900, true).await;
    before.sql(&workflows::migrations().next().unwrap().script()).await;
    let columns = "SELECT string_agg(column_name::text, ', ') \
         FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = 'workflow_instance'";
    let columns = before.text(columns).await;
    let rows = format!("SELECT {columns} FROM {}.workflow_instance", today.schema);
    before.sql(&format!("INSERT INTO workflow_instance ({columns}) {rows}")).await;
    before.install().await;
    before.pass_time(DAY).await;
    let clerk = Clerk::connect(before.config.clone(), config()).await.unwrap();
    let clerk = clerk.of::<This>().on_incident(|incident| panic!("{incident}"));
    assert_eq!(clerk.run_until_idle().await.unwrap().moved, 1);
}

/// Protects the customer from the words of a database that shows the row which it
/// refuses.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_row_that_is_refused_is_shown_nowhere() {
    let database = Postgres::fresh().await;
    let _ = database.begin("1", 31_415, true).await;
    let check = "ALTER TABLE workflow_instance ADD CHECK (status <> 'undoing')";
    database.sql(check).await;
    database.pass_time(DAY).await;
    assert_eq!(database.clerk(config()).await.failed, 1);
    let said = database.text("SELECT turn_failure FROM workflow_instance").await;
    assert!(said.contains("violates check constraint"), "{said}");
    let hexadecimal = "3331343135";
    assert!(!said.contains(hexadecimal) && !said.contains("row contains"), "{said}");
}

/// Protects what people ask and order from being read on the way; and the server's list
/// from calling each of them a worker.
#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL with TLS"]
async fn clerk_and_desk_work_over_tls_under_their_names() {
    use integration_automation_patterns::tls::Tls;

    let database = Postgres::fresh().await;
    let schema = &database.schema;
    let grants = format!(
        "GRANT USAGE, CREATE ON SCHEMA {schema} TO secure; \
         GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO secure; \
         GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO secure"
    );
    database.sql(&grants).await;
    let mut secure = database.config.clone();
    secure.user("secure").password("s3cr3t/p@ss:word");
    let authority = std::fs::read(crate::servers::certificate("authority.pem")).unwrap();
    let tls = Tls::with_authorities(&authority).unwrap();
    let clerk = Clerk::connect_tls(secure.clone(), &tls, config()).await.unwrap();
    let desk = Desk::connect_tls(secure, &tls).await.unwrap();
    assert_eq!(clerk.run_until_idle().await.unwrap().moved, 0);
    assert_eq!(desk.counts().await.unwrap(), []);
    let names = "SELECT string_agg(DISTINCT application_name, ', ') \
         FROM pg_stat_activity WHERE usename = 'secure' \
         AND application_name IN ('workflow clerk', 'workflow desk')";
    assert_eq!(database.text(names).await, "workflow clerk, workflow desk");
}
