//! Orders go through credit, stock, ERP and billing: some are refused, some systems do not
//! answer, some orders need an approval. Whatever happens, the money that is reserved and
//! not released is that of the orders that were created. Killed and started again with the
//! same folder, the program ends the same.
//!
//! ```text
//! cargo run --example order_to_cash --features workflow,sqlite [folder]
//! ```

mod account;
mod people;
mod systems;
#[allow(unreachable_pub, reason = "a workflow is as visible as its types")]
mod table;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::inbox::{self, InboxConfig};
use integration_automation_patterns::outbox::OnDeadLetter;
use integration_automation_patterns::outbox::sqlite::Outbox;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::service::Service;
use integration_automation_patterns::workflow::{
    Begun, InstanceId, WorkflowConfig, sqlite as workflows,
};
use rusqlite::{Connection, TransactionBehavior};

use table::order_to_cash::{self, This};
use table::{Order, Sales, login};

const ORDERS: u32 = 24;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let name = format!("order-to-cash-{}", std::process::id());
    let folder = given.clone().unwrap_or_else(|| std::env::temp_dir().join(name));
    std::fs::create_dir_all(&folder)?;
    let (orders, systems) = (folder.join("orders.db"), folder.join("systems.db"));

    let config = WorkflowConfig::default().directory(people::directory()?);
    begin_orders(&orders, &config)?;
    run(&orders, &systems, config).await?;
    account::print(&open(&orders)?, &open(&systems)?)?;
    if given.is_none() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// A connection that waits for its turn: the two files have many users.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

/// The sales desk: an order, its instance and its first command are one transaction. An
/// order that is begun already is left alone.
fn begin_orders(path: &Path, config: &WorkflowConfig) -> Result<(), Box<dyn Error>> {
    let mut orders = open(path)?;
    integration_automation_patterns::outbox::sqlite::install(&mut orders)?;
    inbox::sqlite::install(&mut orders)?;
    workflows::install(&mut orders)?;
    let anna = login::seat::<Sales>("anna")?;
    let mut new = 0;
    for number in 0..ORDERS {
        let business =
            orders.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = InstanceId::of(&format!("order {number}"))?;
        let first = order_to_cash::start(id, Order::of(number), &anna);
        let begun = workflows::begin(&business, first, config);
        new += u32::from(begun.map_err(|refused| refused.into_cause())? == Begun::New);
        business.commit()?;
    }
    println!("{new} orders begin, {} were there before", ORDERS - new);
    Ok(())
}

/// Runs the manager's and the systems' sides until every instance has ended.
async fn run(
    orders: &Path,
    systems: &Path,
    config: WorkflowConfig,
) -> Result<(), Box<dyn Error>> {
    // A relay that is killed holds its events for a second more.
    let hasty = RelayConfig::default()
        .lease(Duration::from_secs(1))
        .store_timeout(Duration::from_millis(150))
        .send_timeout(Duration::from_millis(700))
        .poll_interval(Duration::from_millis(100))
        .on_dead_letter(OnDeadLetter::Skip);
    let (commands, participants) = in_process(16); // or NATS, RabbitMQ, Kafka
    let (replies, manager) = in_process(16);
    let sends = Relay::new("orders", Outbox::open(orders)?, commands, hasty.clone())?;
    let answers = Relay::new("systems", Outbox::open(systems)?, replies, hasty)?;

    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let patient = RetryPolicy::new(100, Backoff::Fixed(Duration::from_millis(100)))?;
    let memory = InboxConfig::new(week, RetryPolicy::DEFAULT)?.retry_policy(patient);
    let receiving = config.clone();
    let handlers = inbox::sqlite::handlers().otherwise(move |transaction, reply| {
        workflows::receive::<This, _>(transaction, reply, &receiving).map(drop)
    });
    let managing = inbox::sqlite::Worker::open(
        orders,
        memory.clone(),
        manager,
        handlers,
        Default::default(),
    )?;
    let handlers = systems::handlers(systems, orders, memory.clone(), config.clone())?;
    let serving = inbox::sqlite::Worker::open(
        systems,
        memory,
        participants,
        handlers,
        Default::default(),
    )?;
    let clerk = workflows::Clerk::open(orders, config)?
        .of::<This>()
        .poll_interval(Duration::from_millis(100))?;

    let summary = Service::new()
        .part("sends", |stop| sends.run(stop))
        .part("answers", |stop| answers.run(stop))
        .part("manager", |stop| managing.run(stop))
        .part("systems", |stop| serving.run(stop))
        .part("clerk", |stop| clerk.run(stop))
        .run(until_all_have_ended(open(orders)?))
        .await?;
    println!("{summary}\n");
    Ok(())
}

/// Ends when no instance waits for anything.
async fn until_all_have_ended(orders: Connection) {
    let waiting = "SELECT count(*) FROM workflow_instance WHERE due_at IS NOT NULL";
    let count = || orders.query_row(waiting, [], |row| row.get::<_, i64>(0));
    while count().is_ok_and(|waiting| waiting > 0) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
