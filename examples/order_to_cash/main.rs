//! Orders go through credit, stock, ERP and billing: some are refused, some systems do not
//! answer, some orders need an approval. Whatever happens, the money that is reserved and
//! not released is that of the orders that were created. Killed and started again over the
//! same databases, the program ends the same: its clerk first lets in what the systems
//! have answered meanwhile, and takes then what is overdue.
//!
//! ```text
//! cargo run --example order_to_cash --features workflow,sqlite [-- --folder FOLDER]
//! ```
//!
//! With `--approve`, people answer in Carl's place: who they are, yes or no, and why. On
//! real servers (with the features `signal`, `postgres`, `nats`, `amqp`, `amqp1`, `kafka`, `pubsub`,
//! `sqs`):
//!
//! ```text
//! cargo run --example order_to_cash --features workflow,sqlite,postgres,nats -- \
//!     --database postgres://postgres@127.0.0.1/test --broker nats://127.0.0.1:4222
//! ```
//!
//! The table is `examples/support/order_to_cash.rs`, with its events in `orders.rs`.

#[macro_use]
#[path = "../support/say.rs"]
mod say;

mod account;
mod database;
mod hours;
#[cfg(feature = "postgres")]
#[path = "../support/line.rs"]
#[allow(dead_code, reason = "this program speaks to its database without TLS")]
mod line;
mod options;
#[path = "../support/orders.rs"]
#[allow(unreachable_pub, dead_code, reason = "the documentation shares it")]
mod orders;
mod people;
#[path = "../support/places.rs"]
mod places;
#[cfg(feature = "postgres")]
mod postgres;
mod prompt;
mod question;
#[path = "../support/reason.rs"]
mod reason;
#[cfg(feature = "webhook")]
#[path = "../support/serve.rs"]
mod serve;
mod sqlite;
mod systems;
#[path = "../support/ways.rs"]
mod ways;
#[cfg(feature = "webhook")]
#[path = "../support/webhook.rs"]
mod webhook;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use integration_automation_patterns::broker::{Broker, Consumer};
use integration_automation_patterns::outbox::OnDeadLetter;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::service::Service;
use integration_automation_patterns::workflow::{InstanceId, WorkflowConfig};

use database::Database;
use hours::ShortHours;
use options::{Command, Options, Part};
use orders::order_to_cash::This;
use places::{BrokerAt, DatabaseAt};
use reason::chain;
use ways::{Names, Ways};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options::read(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            say!("{}", options::HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n(`order_to_cash --help` says what there is)");
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The id of an order's instance, by its business key: it is begun once.
fn key(number: u32) -> Outcome<InstanceId<This>> {
    Ok(InstanceId::of(&format!("order {number}"))?)
}

async fn run(options: &Options) -> Outcome<()> {
    match &options.database {
        DatabaseAt::Files => {
            let name = format!("order-to-cash-{}", std::process::id());
            let given = options.folder.clone();
            let folder = given.unwrap_or_else(|| std::env::temp_dir().join(name));
            if options.command.only_answers() && !sqlite::Files::are_in(&folder) {
                return Err(
                    format!("no run has its files in {}", folder.display()).into()
                );
            }
            over(sqlite::Files::open(&folder)?, options).await?;
            if options.folder.is_none() {
                std::fs::remove_dir_all(&folder)?;
            }
            Ok(())
        }
        #[cfg(feature = "postgres")]
        DatabaseAt::Postgres(url) => {
            let name = &options.name;
            if options.command.only_answers()
                && !postgres::Schemas::are_in(url, name).await?
            {
                return Err(
                    format!("no run has its schemas under the name {name}").into()
                );
            }
            over(postgres::Schemas::open(url, name).await?, options).await
        }
    }
}

async fn over<D: Database>(database: D, options: &Options) -> Outcome<()> {
    let config = WorkflowConfig::default()
        .directory(people::directory()?)
        .calendar(ShortHours(options.hour));
    let (parts, people_answer) = match &options.command {
        Command::Run { parts, people_answer } => (parts.as_slice(), *people_answer),
        Command::Answer { number, answer } => {
            return prompt::answer(&database, *number, answer.clone(), &config).await;
        }
    };
    let Options { orders, hour, grace, .. } = *options;
    let run = Run { database, config, parts, people_answer, orders, hour, grace };
    let names = names(&options.name);
    match &options.broker {
        BrokerAt::InProcess => run.between(ways::in_process(names)).await,
        #[cfg(feature = "testing")]
        BrokerAt::Files(folder) => run.between(ways::files(folder, names)?).await,
        #[cfg(feature = "nats")]
        BrokerAt::Nats(url) => run.between(ways::nats(url, names).await?).await,
        #[cfg(feature = "amqp")]
        BrokerAt::Amqp(url) => run.between(ways::amqp(url, names).await?).await,
        #[cfg(feature = "amqp1")]
        BrokerAt::Amqp1(url) => run.between(ways::amqp1(url, names).await?).await,
        #[cfg(feature = "kafka")]
        BrokerAt::Kafka(url) => run.between(ways::kafka(url, names).await?).await,
        #[cfg(feature = "pubsub")]
        BrokerAt::PubSub { address, project } => {
            run.between(ways::pubsub(address, project, names).await?).await
        }
        #[cfg(feature = "sqs")]
        BrokerAt::Sqs(host) => run.between(ways::sqs(host, names).await?).await,
        #[cfg(feature = "webhook")]
        BrokerAt::Webhook(host) => run.between(webhook::ways(host, names).await?).await,
    }
}

/// What the two directions are called.
fn names(name: &str) -> [Names; 2] {
    [("commands", "systems"), ("replies", "manager")].map(|(what, listener)| {
        let source = format!("{name}_{what}");
        let listener = listener.to_owned();
        Names { name: what, queue: source.clone(), source, listener }
    })
}

/// One run of some parts.
struct Run<'a, D> {
    database: D,
    config: WorkflowConfig,
    parts: &'a [Part],
    people_answer: bool,
    orders: u32,
    hour: Duration,
    grace: Duration,
}

impl<D: Database> Run<'_, D> {
    /// Runs the parts until every instance has ended, or the process is told to stop; all
    /// together, they give account.
    async fn between<B: Broker, C: Consumer<Acker: 'static> + 'static>(
        self,
        Ways { there, back }: Ways<B, C>,
    ) -> Outcome<()> {
        let Self { database, config, parts, people_answer, orders, hour, grace } = self;
        if parts.contains(&Part::Sales) {
            let new = database.begin(orders, &config).await?;
            say!("{new} orders begin, {} were there before", orders - new);
        }
        let (mut service, copy) = (Service::new(), || (database.clone(), config.clone()));
        if parts.contains(&Part::Relay) {
            let [ours, theirs] = database.outboxes().await?;
            let sends = Relay::new("orders", ours, there.broker, hasty(hour))?;
            let answers = Relay::new("systems", theirs, back.broker, hasty(hour))?;
            service = service.part(there.name, |stop| sends.run(stop));
            service = service.part(back.name, |stop| answers.run(stop));
        }
        if parts.contains(&Part::Manager) {
            let (database, config) = copy();
            let replies = back.consumer;
            service =
                service.part("manager", |stop| database.manage(replies, config, stop));
        }
        if parts.contains(&Part::Systems) {
            let (database, config) = copy();
            let commands = there.consumer;
            service = service.part("systems", |stop| {
                database.serve(commands, config, !people_answer, stop)
            });
        }
        if parts.contains(&Part::Clerk) {
            let (database, config) = copy();
            let clerk = |stop| database.keep_deadlines(config, grace, stop);
            service = service.part("clerk", clerk);
        }
        let is_whole = parts == Part::ALL;
        if people_answer && is_whole {
            let (database, config) = copy();
            service = service
                .part("people", |stop| prompt::run(database, orders, config, stop));
        }
        let summary = service.run(until_the_end(&database, orders)?).await?;
        say!("{summary}\n");
        if !all_have_ended(&database, orders).await? {
            say!("stopped: what is left is for the next run");
            return Ok(());
        }
        if is_whole { account::print(&database, orders).await } else { Ok(()) }
    }
}

/// What a relay that is killed has in hand is sent again well before its deadline.
fn hasty(hour: Duration) -> RelayConfig {
    RelayConfig::default()
        .lease(hour / 3)
        .store_timeout(hour / 20)
        .send_timeout(hour / 6)
        .poll_interval(Duration::from_millis(100))
        .in_flight(8)
        .on_dead_letter(OnDeadLetter::Skip)
}

/// Ready once every order has an end, or SIGTERM or ctrl-c stops the process: it listens
/// to them with the feature `signal`.
fn until_the_end(
    database: &impl Database,
    orders: u32,
) -> std::io::Result<impl Future<Output = ()>> {
    let ended = async move {
        while !matches!(all_have_ended(database, orders).await, Ok(true)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    #[cfg(feature = "signal")]
    let ended = {
        let terminated = integration_automation_patterns::service::terminated()?;
        async {
            tokio::select! {
                () = ended => {}
                _ = terminated => {}
            }
        }
    };
    Ok(ended)
}

async fn all_have_ended(database: &impl Database, orders: u32) -> Outcome<bool> {
    let counts = database.counts().await?;
    let ends = counts.iter().filter(|count| count.status.is_end());
    Ok(ends.map(|count| count.instances).sum::<u64>() >= orders.into())
}
