//! The two databases as schemas in PostgreSQL.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::worker::{Summary, WorkerConfig};
use integration_automation_patterns::inbox::{self, HandlerError};
use integration_automation_patterns::outbox::postgres::Outbox;
use integration_automation_patterns::outbox::{self, Filter};
use integration_automation_patterns::service::Stop;
use integration_automation_patterns::state::Acknowledged;
use integration_automation_patterns::workflow::{
    Begun, ClerkSummary, InstanceHistory, InstanceId, InstanceView, QuestionAsked,
    QuestionClosed, StageCount, WorkflowConfig, postgres as workflows,
};
use integration_automation_patterns::{Envelope, Event};
use tokio_postgres::{Client, Config, Transaction};

use crate::Outcome;
use crate::database::{Database, LOOK_EVERY, inbox_config};
use crate::line::{self, Line};
use crate::orders::order_to_cash::{self, Any, This};
use crate::orders::{Sales, login};
use crate::question::{Decided, Question};
use crate::systems::{self, Known};
use crate::{key, people};

/// The schemas of the orders and of the systems.
#[derive(Clone)]
pub(crate) struct Schemas {
    orders: Config,
    systems: Config,
    desk: Arc<workflows::Desk>,
}

impl Schemas {
    /// Whether a run has made its schemas, whose names begin so.
    pub(crate) async fn are_in(url: &str, name: &str) -> Outcome<bool> {
        let sql = "SELECT to_regnamespace($1) IS NOT NULL";
        let server = connect(&line::config(url, None)?).await?;
        Ok(server.query_one(sql, &[&format!("{name}_orders")]).await?.try_get(0)?)
    }

    /// Opens the schemas whose names begin so, and makes what is missing.
    pub(crate) async fn open(url: &str, name: &str) -> Outcome<Self> {
        let server = line::config(url, None)?;
        let schema = |what| {
            let mut config = server.clone();
            config.options(format!("-c search_path={name}_{what}"));
            config
        };
        let (orders, systems) = (schema("orders"), schema("systems"));
        // One process after the other: `IF NOT EXISTS` alone does not tell two apart.
        let sql = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('{name}', 0));
             CREATE SCHEMA IF NOT EXISTS {name}_orders;
             CREATE SCHEMA IF NOT EXISTS {name}_systems;
             SET LOCAL search_path = {name}_systems; {}; COMMIT",
            systems::TABLES
        );
        connect(&server).await?.batch_execute(&sql).await?;
        let mut client = connect(&orders).await?;
        outbox::postgres::install(&mut client).await?;
        inbox::postgres::install(&mut client).await?;
        workflows::install(&mut client).await?;
        let mut client = connect(&systems).await?;
        outbox::postgres::install(&mut client).await?;
        inbox::postgres::install(&mut client).await?;
        let desk = workflows::Desk::connect(orders.clone()).await?.of::<This>();
        Ok(Self { orders, systems, desk: Arc::new(desk) })
    }

    async fn find(&self, id: &InstanceId<This>) -> Outcome<Option<Any>> {
        let mut orders = connect(&self.orders).await?;
        Ok(workflows::load(&orders.transaction().await?, id).await?)
    }

    /// Carl looks at the order that a question is about, and decides.
    async fn ask_carl(
        &self,
        systems: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
        config: &WorkflowConfig,
    ) -> Result<(), HandlerError> {
        let instance = people::asked_about(event)?;
        let row = systems.query_one(systems::FIND, &[&instance]).await?;
        let number = u32::try_from(row.try_get::<_, i64>(0)?)?;
        let Some(at) = self.find(&key(number)?).await? else { return Ok(()) };
        if let Some(decided) = people::carl(Question::of(&at, number))? {
            // Where he has answered before, the question is another one by now.
            self.take(decided, config).await?;
        }
        Ok(())
    }

    async fn take(&self, decided: Decided, config: &WorkflowConfig) -> Outcome<bool> {
        let mut orders = connect(&self.orders).await?;
        let desk = orders.transaction().await?;
        let Some(at) = workflows::load(&desk, &decided.id).await? else {
            return Ok(false);
        };
        let Some(step) = decided.step(at)? else { return Ok(false) };
        let stored = workflows::store(&desk, step, config).await;
        stored.map_err(|refused| refused.into_cause())?;
        desk.commit().await?;
        Ok(true)
    }
}

async fn connect(config: &Config) -> Outcome<Client> {
    Line::Plain.client(config).await
}

/// Few connections: every part is a process of its own, and all share the server.
fn lanes() -> WorkerConfig {
    WorkerConfig::default().lanes(2)
}

impl Database for Schemas {
    type Outbox = Outbox;

    async fn outboxes(&self) -> Outcome<[Outbox; 2]> {
        let orders = Outbox::connect(self.orders.clone()).await?;
        Ok([orders, Outbox::connect(self.systems.clone()).await?])
    }

    async fn begin(&self, count: u32, config: &WorkflowConfig) -> Outcome<u32> {
        let mut orders = connect(&self.orders).await?;
        let systems = connect(&self.systems).await?;
        let (anna, mut new) = (login::seat::<Sales>("anna")?, 0);
        for number in 0..count {
            let (id, order) = (key(number)?, systems::order(number));
            let (text, total) = (id.to_string(), i64::try_from(order.total)?);
            systems.execute(systems::ADD, &[&text, &i64::from(number), &total]).await?;
            let business = orders.transaction().await?;
            let first = order_to_cash::start(id, order, &anna);
            let begun = workflows::begin(&business, first, config).await;
            new +=
                u32::from(begun.map_err(|refused| refused.into_cause())? == Begun::New);
            business.commit().await?;
        }
        Ok(new)
    }

    async fn manage(
        self,
        replies: impl Consumer<Acker: 'static> + 'static,
        config: WorkflowConfig,
        stop: Stop,
    ) -> Outcome<Summary> {
        let handlers =
            inbox::postgres::handlers().otherwise(async move |orders, reply| {
                workflows::receive::<This, _, _>(orders, reply, &config).await.map(drop)
            });
        let worker = inbox::postgres::Worker::connect(
            self.orders,
            inbox_config()?,
            replies,
            handlers,
            lanes(),
        );
        Ok(worker.await?.run(stop).await)
    }

    async fn serve(
        self,
        commands: impl Consumer<Acker: 'static> + 'static,
        config: WorkflowConfig,
        carl_answers: bool,
        stop: Stop,
    ) -> Outcome<Summary> {
        let database = self.systems.clone();
        let handlers = inbox::postgres::handlers().otherwise(
            async move |systems, event| match event.event_type() {
                QuestionAsked::TYPE if carl_answers => {
                    self.ask_carl(systems, event, &config).await
                }
                QuestionAsked::TYPE | QuestionClosed::TYPE => Ok(()),
                _ => serve(systems, event).await,
            },
        );
        let (memory, settings) = (inbox_config()?, lanes());
        let worker = inbox::postgres::Worker::connect(
            database, memory, commands, handlers, settings,
        );
        let worker = worker.await?;
        worker.run(stop).await;
        worker.run_until_idle(pending::<()>()).await;
        Ok(worker.progress())
    }

    async fn keep_deadlines(
        self,
        config: WorkflowConfig,
        grace: Duration,
        stop: Stop,
    ) -> Outcome<ClerkSummary> {
        let clerk = workflows::Clerk::connect(self.orders, config).await?.of::<This>();
        Ok(clerk.grace(grace).poll_interval(LOOK_EVERY)?.run(stop).await)
    }

    async fn load(&self, id: &InstanceId<This>) -> Outcome<Option<Any>> {
        self.find(id).await
    }

    async fn decide(&self, decided: Decided, config: &WorkflowConfig) -> Outcome<bool> {
        self.take(decided, config).await
    }

    async fn counts(&self) -> Outcome<Vec<StageCount>> {
        Ok(self.desk.counts().await?)
    }

    async fn waiting(&self) -> Outcome<Vec<InstanceView>> {
        Ok(self.desk.stuck(Duration::ZERO, usize::MAX).await?)
    }

    async fn look(&self, id: &InstanceId<This>) -> Outcome<Option<InstanceHistory>> {
        Ok(self.desk.look(&id.to_string().parse()?).await?)
    }

    async fn findings(&self) -> Outcome<Vec<String>> {
        let amiss = self.desk.verify().await?;
        let mut findings: Vec<_> = amiss.iter().map(ToString::to_string).collect();
        for config in [&self.orders, &self.systems] {
            let (client, all) = (connect(config).await?, Filter::default());
            let dead = inbox::postgres::dead_letters(&client, &all, usize::MAX).await?;
            findings.extend(dead.iter().map(|letter| format!("{:?}", letter.event)));
        }
        Ok(findings)
    }

    async fn number(&self, sql: &'static str) -> Outcome<i64> {
        Ok(connect(&self.systems).await?.query_one(sql, &[]).await?.try_get(0)?)
    }
}

/// Has the effect of a command, and answers it, in the transaction that remembers it.
async fn serve(
    systems: &Transaction<'_>,
    command: &Envelope<Acknowledged>,
) -> Result<(), HandlerError> {
    let undo = workflows::undoing(systems, command, &inbox_config()?).await?;
    let instance = systems::instance(command)?;
    let row = systems.query_one(systems::FIND, &[&instance]).await?;
    let known = Known { undo, number: row.try_get(0)?, created: row.try_get(1)? };
    let act = systems::act(command, &known)?;
    if let Some(effect) = act.effect {
        match effect.total {
            Some(total) => systems.execute(effect.sql, &[&instance, &total]).await?,
            None => systems.execute(effect.sql, &[&instance]).await?,
        };
    }
    if let Some(reply) = act.reply {
        let enqueued = outbox::postgres::enqueue(systems, reply).await;
        enqueued.map_err(|refused| refused.into_cause())?;
    }
    Ok(())
}
