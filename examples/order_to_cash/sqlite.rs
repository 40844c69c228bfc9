//! The two databases as SQLite files.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::worker::{Summary, WorkerConfig};
use integration_automation_patterns::inbox::{self, HandlerError};
use integration_automation_patterns::outbox::sqlite::Outbox;
use integration_automation_patterns::outbox::{self, Filter};
use integration_automation_patterns::service::Stop;
use integration_automation_patterns::state::Acknowledged;
use integration_automation_patterns::workflow::{
    Begun, ClerkSummary, InstanceHistory, InstanceId, InstanceView, QuestionAsked,
    QuestionClosed, StageCount, WorkflowConfig, sqlite as workflows,
};
use integration_automation_patterns::{Envelope, Event};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::Outcome;
use crate::database::{Database, LOOK_EVERY, inbox_config};
use crate::orders::order_to_cash::{self, Any, This};
use crate::orders::{Sales, login};
use crate::question::{Decided, Question};
use crate::systems::{self, Known};
use crate::{key, people};

const ORDERS: &str = "orders.db";

/// The files of the orders and of the systems.
#[derive(Clone)]
pub(crate) struct Files {
    orders: PathBuf,
    systems: PathBuf,
    desk: Arc<workflows::Desk>,
}

impl Files {
    /// Whether a run has made its files in a folder.
    pub(crate) fn are_in(folder: &Path) -> bool {
        folder.join(ORDERS).exists()
    }

    /// Opens the files of a folder, and makes the tables that are missing.
    pub(crate) fn open(folder: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(folder)?;
        let [orders, systems] = [ORDERS, "systems.db"].map(|name| folder.join(name));
        let mut database = connect(&orders)?;
        outbox::sqlite::install(&mut database)?;
        inbox::sqlite::install(&mut database)?;
        workflows::install(&mut database)?;
        let mut database = connect(&systems)?;
        outbox::sqlite::install(&mut database)?;
        inbox::sqlite::install(&mut database)?;
        database.execute_batch(systems::TABLES)?;
        let desk = Arc::new(workflows::Desk::open(&orders)?.of::<This>());
        Ok(Self { orders, systems, desk })
    }

    fn find(&self, id: &InstanceId<This>) -> Outcome<Option<Any>> {
        let mut orders = connect(&self.orders)?;
        Ok(workflows::load(&orders.transaction()?, id)?)
    }

    /// Carl looks at the order that a question is about, and decides.
    fn ask_carl(
        &self,
        systems: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
        config: &WorkflowConfig,
    ) -> Result<(), HandlerError> {
        let instance = people::asked_about(event)?;
        let number = systems.query_row(systems::FIND, [instance], |row| row.get(0))?;
        let Some(at) = self.find(&key(number)?)? else { return Ok(()) };
        if let Some(decided) = people::carl(Question::of(&at, number))? {
            // Where he has answered before, the question is another one by now.
            self.take(decided, config)?;
        }
        Ok(())
    }

    fn take(&self, decided: Decided, config: &WorkflowConfig) -> Outcome<bool> {
        let mut orders = connect(&self.orders)?;
        let desk = orders.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(at) = workflows::load(&desk, &decided.id)? else { return Ok(false) };
        let Some(step) = decided.step(at)? else { return Ok(false) };
        workflows::store(&desk, step, config).map_err(|refused| refused.into_cause())?;
        desk.commit()?;
        Ok(true)
    }
}

/// A connection that waits for its turn: the files have many users.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

impl Database for Files {
    type Outbox = Outbox;

    async fn outboxes(&self) -> Outcome<[Outbox; 2]> {
        Ok([Outbox::open(&self.orders)?, Outbox::open(&self.systems)?])
    }

    async fn begin(&self, count: u32, config: &WorkflowConfig) -> Outcome<u32> {
        let (mut orders, systems) = (connect(&self.orders)?, connect(&self.systems)?);
        let (anna, mut new) = (login::seat::<Sales>("anna")?, 0);
        for number in 0..count {
            let (id, order) = (key(number)?, systems::order(number));
            let total = i64::try_from(order.total)?;
            systems.execute(systems::ADD, (id.to_string(), number, total))?;
            let immediate = TransactionBehavior::Immediate;
            let business = orders.transaction_with_behavior(immediate)?;
            let first = order_to_cash::start(id, order, &anna);
            let begun = workflows::begin(&business, first, config);
            new +=
                u32::from(begun.map_err(|refused| refused.into_cause())? == Begun::New);
            business.commit()?;
        }
        Ok(new)
    }

    async fn manage(
        self,
        replies: impl Consumer<Acker: 'static> + 'static,
        config: WorkflowConfig,
        stop: Stop,
    ) -> Outcome<Summary> {
        let handlers = inbox::sqlite::handlers().otherwise(move |orders, reply| {
            workflows::receive::<This, _>(orders, reply, &config).map(drop)
        });
        let (memory, settings) = (inbox_config()?, WorkerConfig::default());
        let worker = inbox::sqlite::Worker::open(
            &self.orders,
            memory,
            replies,
            handlers,
            settings,
        )?;
        Ok(worker.run(stop).await)
    }

    async fn serve(
        self,
        commands: impl Consumer<Acker: 'static> + 'static,
        config: WorkflowConfig,
        carl_answers: bool,
        stop: Stop,
    ) -> Outcome<Summary> {
        let path = self.systems.clone();
        let handlers = inbox::sqlite::handlers().otherwise(move |systems, event| {
            match event.event_type() {
                QuestionAsked::TYPE if carl_answers => {
                    self.ask_carl(systems, event, &config)
                }
                QuestionAsked::TYPE | QuestionClosed::TYPE => Ok(()),
                _ => serve(systems, event),
            }
        });
        let (memory, settings) = (inbox_config()?, WorkerConfig::default());
        let worker =
            inbox::sqlite::Worker::open(path, memory, commands, handlers, settings)?;
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
        let clerk = workflows::Clerk::open(&self.orders, config)?.of::<This>();
        Ok(clerk.grace(grace).poll_interval(LOOK_EVERY)?.run(stop).await)
    }

    async fn load(&self, id: &InstanceId<This>) -> Outcome<Option<Any>> {
        self.find(id)
    }

    async fn decide(&self, decided: Decided, config: &WorkflowConfig) -> Outcome<bool> {
        self.take(decided, config)
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
        for path in [&self.orders, &self.systems] {
            let database = connect(path)?;
            let all = Filter::default();
            let dead = inbox::sqlite::dead_letters(&database, &all, usize::MAX)?;
            findings.extend(dead.iter().map(|letter| format!("{:?}", letter.event)));
        }
        Ok(findings)
    }

    async fn number(&self, sql: &'static str) -> Outcome<i64> {
        Ok(connect(&self.systems)?.query_row(sql, [], |row| row.get(0))?)
    }
}

/// Has the effect of a command, and answers it, in the transaction that remembers it.
fn serve(
    systems: &Transaction<'_>,
    command: &Envelope<Acknowledged>,
) -> Result<(), HandlerError> {
    let undo = workflows::undoing(systems, command, &inbox_config()?)?;
    let instance = systems::instance(command)?;
    let (number, created) = systems
        .query_row(systems::FIND, [&instance], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let act = systems::act(command, &Known { undo, number, created })?;
    if let Some(effect) = act.effect {
        match effect.total {
            Some(total) => systems.execute(effect.sql, (instance, total))?,
            None => systems.execute(effect.sql, [instance])?,
        };
    }
    if let Some(reply) = act.reply {
        outbox::sqlite::enqueue(systems, reply)
            .map_err(|refused| refused.into_cause())?;
    }
    Ok(())
}
