//! Keeps two systems' tables in step, durably: plan, enqueue, relay, consume once, apply.
//!
//! ```text
//! cargo run --example sync_crm_erp --features sqlite [-- --folder FOLDER]
//! ```
//!
//! A CRM and an ERP hold the same records, each in a database of its own: real records of state legislators, as in the
//! example `reconcile`. What one of them must tell the other is enqueued in its own transaction, carried over by a relay,
//! and applied once, in the other's transaction. What a person must decide is put into a review queue.
//!
//! Kill it at any moment and start it again: it ends the same. Run it again when it is done: it has nothing to do. The
//! databases stand in `target/sync_crm_erp`; change a record there (`UPDATE record SET email = '...', revision = revision +
//! 1 WHERE id = '...'`), run it again, and the change arrives on the other side.
//!
//! On real servers (with the features `postgres`, `nats`, `amqp`):
//!
//! ```text
//! cargo run --example sync_crm_erp --features sqlite,postgres,nats -- \
//!     --database postgres://postgres@127.0.0.1/test --broker nats://127.0.0.1:4222
//! ```

mod broker;
mod contract;
mod database;
#[cfg(feature = "postgres")]
mod postgres;
mod report;
mod sqlite;
mod step;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use database::Database;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What the command line says.
struct Options {
    folder: PathBuf,
    database: Option<String>,
    broker: Option<String>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\nusage: sync_crm_erp [--folder FOLDER] [--database postgres://...] [--broker URL]");
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
    match runtime.block_on(run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    let mut options = Options { folder: PathBuf::from("target/sync_crm_erp"), database: None, broker: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--folder" => options.folder = PathBuf::from(value()?),
            "--database" => options.database = Some(value()?),
            "--broker" => options.broker = Some(value()?),
            _ => return Err(format!("unknown argument {argument:?}").into()),
        }
    }
    Ok(options)
}

async fn run(options: &Options) -> Outcome<()> {
    std::fs::create_dir_all(&options.folder).map_err(|error| format!("{}: {error}", options.folder.display()))?;
    match options.database.as_deref() {
        None => {
            let open = |name: &str| sqlite::Sqlite::open(&options.folder.join(format!("{name}.db")));
            between(open("crm")?, open("erp")?, options).await
        }
        #[cfg(feature = "postgres")]
        Some(url) if url.starts_with("postgres") => {
            let (crm, erp) = (postgres::Postgres::open(url, "crm").await?, postgres::Postgres::open(url, "erp").await?);
            between(crm, erp, options).await
        }
        Some(url) => {
            Err(format!("{url}: a database is postgres://..., and the program built with the feature `postgres`")
                .into())
        }
    }
}

async fn between<D: Database>(mut crm: D, mut erp: D, options: &Options) -> Outcome<()> {
    let (contract, folder) = (contract::contract()?, &options.folder);
    step::seed(&mut crm, &mut erp, &contract).await?;
    let planned = step::plan(&mut crm, &mut erp, &contract).await?;
    report::planned(&planned);
    let delivered = match options.broker.as_deref() {
        None => step::deliver(&crm, &erp, broker::in_process(), folder).await?,
        #[cfg(feature = "nats")]
        Some(url) if url.starts_with("nats") => step::deliver(&crm, &erp, broker::nats(url).await?, folder).await?,
        #[cfg(feature = "amqp")]
        Some(url) if url.starts_with("amqp") => step::deliver(&crm, &erp, broker::amqp(url).await?, folder).await?,
        Some(url) => {
            let wanted = "a broker is nats://... or amqp://..., and the program built with the feature of that name";
            return Err(format!("{url}: {wanted}").into());
        }
    };
    report::delivered(&delivered);
    let closed = step::close(&mut crm, &mut erp, &contract).await?;
    report::closed(&closed, folder);
    Ok(())
}
