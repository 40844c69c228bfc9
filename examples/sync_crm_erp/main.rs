//! Keeps two systems' tables in step, durably: plan, enqueue, relay, consume once, apply.
//!
//! ```text
//! cargo run --example sync_crm_erp --features sqlite,serde,signal [-- --folder FOLDER]
//! ```
//!
//! A CRM and an ERP hold the same records, each in a database of its own: real records of
//! state legislators, as in the example `reconcile`. What one of them must tell the other
//! is enqueued in its own transaction, carried over by a relay, and applied once, in the
//! other's transaction. What a person must decide is put into a review queue, and
//! answered with a name and a reason:
//!
//! ```text
//! sync_crm_erp questions
//! sync_crm_erp answer ocd-person/... email erp --by ada --reason "their own site says so"
//! sync_crm_erp answer all status leave --by ada --reason "nobody keeps it"
//! ```
//!
//! Stop it by a signal, or kill it, at any moment and start it again: it ends the same.
//! Run it again when it is done: it has nothing to do. The databases stand in
//! `target/sync_crm_erp`; change a record there (`UPDATE record SET email = '...',
//! revision = revision + 1 WHERE id = '...'`), run it again, and the change arrives on
//! the other side.
//!
//! On real servers (with the features `postgres`, `nats`, `amqp`, `amqp1`, `kafka`,
//! `pubsub`, `sqs`), or by webhooks from one system to the other (`webhook`):
//!
//! ```text
//! cargo run --example sync_crm_erp --features sqlite,serde,signal,postgres,nats -- \
//!     --database postgres://postgres@127.0.0.1/test --broker nats://127.0.0.1:4222
//! ```

#[macro_use]
#[path = "../support/say.rs"]
mod say;

mod answer;
mod contract;
mod database;
mod deliver;
mod effect;
#[cfg(feature = "postgres")]
#[path = "../support/line.rs"]
mod line;
mod options;
#[path = "../support/places.rs"]
mod places;
#[cfg(feature = "postgres")]
mod postgres;
#[path = "../support/reason.rs"]
mod reason;
mod report;
mod seed;
#[cfg(feature = "webhook")]
#[path = "../support/serve.rs"]
mod serve;
mod sqlite;
mod step;
mod stop;
mod view;
#[path = "../support/ways.rs"]
mod ways;
#[cfg(feature = "webhook")]
#[path = "../support/webhook.rs"]
mod webhook;

use std::error::Error;
use std::process::ExitCode;

use database::Database;
use integration_automation_patterns::broker::{Broker, Consumer};
use options::{Command, Options};
use places::{BrokerAt, DatabaseAt};
use reason::chain;
use stop::{Stop, Stopped};
use ways::{Names, Ways};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let options = match options::read(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            say!("{}", options::HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n(`sync_crm_erp --help` says what there is)");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Stopped>() => {
            report::stopped(&error.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    };
    // What a step that was given up has begun ends with the process.
    runtime.shutdown_background();
    code
}

async fn run(options: &Options) -> Outcome<()> {
    let stop = Stop::listen()?;
    let (folder, is_run) = (&options.folder, matches!(options.command, Command::Run));
    if is_run {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    match &options.database {
        DatabaseAt::Files => {
            if !is_run && !folder.join("crm.db").exists() {
                return Err(
                    format!("no run has its files in {}", folder.display()).into()
                );
            }
            let [crm, erp] = ["crm.db", "erp.db"].map(|name| options.folder.join(name));
            let open = tokio::task::spawn_blocking(move || {
                Outcome::Ok((sqlite::Sqlite::open(&crm)?, sqlite::Sqlite::open(&erp)?))
            });
            let (crm, erp) = stop.or(async { open.await? }).await?;
            over(crm, erp, options, stop).await
        }
        #[cfg(feature = "postgres")]
        DatabaseAt::Postgres(url) => {
            if !is_run && !stop.or(postgres::Postgres::is_there(url)).await? {
                return Err("no run has its schemas in this database".into());
            }
            let open = |system| stop.or(postgres::Postgres::open(url, system));
            let (crm, erp) = (open("crm").await?, open("erp").await?);
            over(crm, erp, options, stop).await
        }
    }
}

/// What a person asks or answers needs no broker; a run goes over the one that is meant,
/// which is reached before anything is written.
async fn over<D: Database>(
    mut crm: D,
    mut erp: D,
    options: &Options,
    stop: Stop,
) -> Outcome<()> {
    match &options.command {
        Command::Run => {}
        Command::Questions => {
            report::questions(&stop.or(crm.questions()).await?);
            return Ok(());
        }
        Command::Answer(wanted) => {
            let contract = contract::contract()?;
            let answered = answer::answer(&mut crm, &mut erp, &contract, wanted);
            return report::answered(&stop.or(answered).await?);
        }
    }
    match &options.broker {
        BrokerAt::InProcess => {
            between(crm, erp, ways::in_process(names()), options, stop).await
        }
        #[cfg(feature = "testing")]
        BrokerAt::Files(folder) => {
            between(crm, erp, ways::files(folder, names())?, options, stop).await
        }
        #[cfg(feature = "nats")]
        BrokerAt::Nats(url) => {
            between(crm, erp, stop.or(ways::nats(url, names())).await?, options, stop)
                .await
        }
        #[cfg(feature = "amqp")]
        BrokerAt::Amqp(url) => {
            between(crm, erp, stop.or(ways::amqp(url, names())).await?, options, stop)
                .await
        }
        #[cfg(feature = "amqp1")]
        BrokerAt::Amqp1(url) => {
            between(crm, erp, stop.or(ways::amqp1(url, names())).await?, options, stop)
                .await
        }
        #[cfg(feature = "kafka")]
        BrokerAt::Kafka(servers) => {
            between(
                crm,
                erp,
                stop.or(ways::kafka(servers, names())).await?,
                options,
                stop,
            )
            .await
        }
        #[cfg(feature = "pubsub")]
        BrokerAt::PubSub { address, project } => {
            let ways = stop.or(ways::pubsub(address, project, names())).await?;
            between(crm, erp, ways, options, stop).await
        }
        #[cfg(feature = "sqs")]
        BrokerAt::Sqs(host) => {
            between(crm, erp, stop.or(ways::sqs(host, names())).await?, options, stop)
                .await
        }
        #[cfg(feature = "webhook")]
        BrokerAt::Webhook(host) => {
            between(crm, erp, stop.or(webhook::ways(host, names())).await?, options, stop)
                .await
        }
    }
}

/// What the two directions are called.
fn names() -> [Names; 2] {
    let names = |name, source: &str, listener: &str| Names {
        name,
        source: source.to_owned(),
        queue: format!("{source}_to_{listener}"),
        listener: listener.to_owned(),
    };
    [names("crm to erp", "sync_crm", "erp"), names("erp to crm", "sync_erp", "crm")]
}

async fn between<D: Database, B: Broker, C: Consumer + 'static>(
    mut crm: D,
    mut erp: D,
    ways: Ways<B, C>,
    options: &Options,
    stop: Stop,
) -> Outcome<()> {
    let (contract, folder) = (contract::contract()?, &options.folder);
    stop.or(seed::seed(&mut crm, &mut erp, &contract)).await?;
    let planned = stop.or(step::plan(&mut crm, &mut erp, &contract)).await?;
    report::planned(&planned);
    let delivered = deliver::deliver(&crm, &erp, ways, folder, &stop).await?;
    report::delivered(&delivered);
    let closed = stop.or(step::close(&mut crm, &mut erp, &contract)).await?;
    let tables = match &options.database {
        DatabaseAt::Files => folder.display().to_string(),
        #[cfg(feature = "postgres")]
        DatabaseAt::Postgres(_) => "the schemas sync_crm and sync_erp".to_owned(),
    };
    report::closed(&closed, &tables, folder);
    Ok(())
}
