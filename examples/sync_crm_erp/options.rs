//! The command line, read whole before anything is done.

use std::path::PathBuf;

use integration_automation_patterns::Decision;

use crate::Outcome;
use crate::answer::{Wanted, chosen};
use crate::places::{BrokerAt, DatabaseAt};

pub(crate) const HELP: &str = "\
Keeps two systems' tables in step: plan, enqueue, relay, consume once, apply.

sync_crm_erp [OPTIONS]                           one run
sync_crm_erp questions [OPTIONS]                 what waits for a person, all of it
sync_crm_erp answer RECORD FIELD CHOICE --by NAME --reason TEXT [OPTIONS]
                                                 answers one question; the next run carries it to the ERP

  RECORD            the record, or `all`: every question about the field, each checked by itself
  FIELD             the field, or `(record)` where a record was deleted in one system
  CHOICE            of a field: crm, erp, =TEXT (a value of your own; = alone is empty), or leave: they stay different until
                    one of them changes; of a record: restore, delete or detach
  --by NAME         who decides
  --reason TEXT     and why: both are kept with the answer

  --folder FOLDER   where the SQLite files and the audit log stand; target/sync_crm_erp where none is said
  --database URL    postgres://user:password@host/name, with the feature `postgres`: two schemas there instead of files;
                    with the feature `tls`, ?sslmode=require behind it asks for TLS, with a server that the system's
                    authorities vouch for, or those in the file that SSL_CERT_FILE names
  --broker URL      nats://host:port or tls://host:port, with the feature `nats`; amqp://user:password@host or amqps://...,
                    with the feature `amqp`; amqp1://user:password@host or amqp1s://..., for AMQP 1.0, with the feature
                    `amqp1`; kafka://host:port, with the feature `kafka`; pubsub://host:port/project of an emulator, with the
                    feature `pubsub`; sqs://host:port of a stand-in, with the feature `sqs`; webhook://127.0.0.1, with the
                    feature `webhook`: the address on which this process serves both systems' endpoints; file://FOLDER, with
                    the feature `testing`; within the process where none is said
  --help            this

SIGINT and SIGTERM stop it: what is on its way is finished or given back, and the next run goes on. The second one ends it at
once.

Exit codes: 0, done, or stopped; 130, ended by a second signal; 1, a database or a broker answered with an error, or a
question had changed before it was answered; 2, a wrong command line, and nothing was done.
";

/// What the command line says.
pub(crate) struct Options {
    pub(crate) command: Command,
    pub(crate) folder: PathBuf,
    pub(crate) database: DatabaseAt,
    pub(crate) broker: BrokerAt,
}

/// What is to be done.
pub(crate) enum Command {
    Run,
    Questions,
    Answer(Wanted),
}

/// Reads the command line; nothing where help is wanted.
pub(crate) fn read(
    mut arguments: impl Iterator<Item = String>,
) -> Outcome<Option<Options>> {
    let (mut folder, mut database, mut broker) =
        (PathBuf::from("target/sync_crm_erp"), DatabaseAt::Files, BrokerAt::InProcess);
    let (mut words, mut by, mut reason) = (Vec::new(), None, None);
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--folder" => folder = PathBuf::from(value()?),
            "--database" => database = DatabaseAt::read(&value()?)?,
            "--broker" => broker = BrokerAt::read(&value()?)?,
            "--by" => by = Some(value()?),
            "--reason" => reason = Some(value()?),
            word if word.starts_with('-') => {
                return Err(format!("unknown argument {word:?}").into());
            }
            _ => words.push(argument),
        }
    }
    let command = command(words, by.zip(reason))?;
    Ok(Some(Options { command, folder, database, broker }))
}

fn command(words: Vec<String>, decided: Option<(String, String)>) -> Outcome<Command> {
    let words = words.iter().map(String::as_str).collect::<Vec<_>>();
    match (words.as_slice(), decided) {
        ([], None) => Ok(Command::Run),
        (["questions"], None) => Ok(Command::Questions),
        (["answer", record, field, choice], Some((by, reason))) => {
            let record = Some(*record).filter(|record| *record != "all");
            Ok(Command::Answer(Wanted {
                record: record.map(str::to_owned),
                field: (*field).to_owned(),
                choice: chosen(field, choice)?,
                decision: Decision::new(by, reason)?,
            }))
        }
        (["answer", ..], _) => {
            let wanted =
                "an answer wants RECORD FIELD CHOICE, --by NAME and --reason TEXT";
            Err(format!("{wanted}; found {words:?}").into())
        }
        _ => Err(format!("unknown command {words:?}").into()),
    }
}
