//! The command line, read whole before anything is done.

use std::path::PathBuf;
use std::time::Duration;

use crate::Outcome;
use crate::places::{BrokerAt, DatabaseAt};
use crate::question::Answer;

pub(crate) const HELP: &str = "\
Orders go through credit, stock, ERP and billing; some are refused, some systems do not answer, some orders want an approval.

order_to_cash [OPTIONS]             one run, to the end of every order; Carl answers what a controller is asked
order_to_cash --approve [OPTIONS]   the same, and people answer: who they are, yes or no, and why
order_to_cash --approve ORDER yes|no --by NAME --reason TEXT (--folder FOLDER | --database URL)
                                    answers what this order asks, once, beside a run

  --folder FOLDER   where the SQLite files stand, and stay; without it, a run leaves nothing behind
  --database URL    postgres://user@host/name, with the feature `postgres`: two schemas there instead of files
  --broker URL      nats://host:port or tls://host:port, with the feature `nats`; amqp://user:password@host or amqps://...,
                    with `amqp`; amqp1://user:password@host or amqp1s://..., for AMQP 1.0, with `amqp1`; kafka://host:port,
                    with `kafka`; pubsub://host:port/project of an emulator, with `pubsub`; sqs://host:port of a stand-in,
                    with `sqs`; webhook://127.0.0.1, with `webhook`; file://FOLDER, with `testing`; within the process where none is said
  --name NAME       what schemas, queues, streams and topics begin with; order_to_cash where none is said
  --orders COUNT    how many orders there are; 24 where none is said
  --hour SECONDS    how long an hour of the table takes, and the shortest deadline; 5 where none is said
  --grace SECONDS   how long the clerk waits, at its start, for what the systems have answered meanwhile; an hour of the table
                    where none is said
  --only PART       sales, relay, manager, systems or clerk: each a process of its own; again for another part
  --help            this

With the feature `signal`, SIGTERM and ctrl-c stop it: what is on its way is finished, and the next run goes on.

Exit codes: 0, every order has an end, and the account balances, or it was stopped; 1, it does not, or a database or a broker answered with an
error, or an answer was not taken; 2, a wrong command line, and nothing was done.
";

/// What the command line says.
pub(crate) struct Options {
    pub(crate) command: Command,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) database: DatabaseAt,
    pub(crate) broker: BrokerAt,
    pub(crate) name: String,
    pub(crate) orders: u32,
    pub(crate) hour: Duration,
    pub(crate) grace: Duration,
}

/// What is to be done.
pub(crate) enum Command {
    Run { parts: Vec<Part>, people_answer: bool },
    Answer { number: u32, answer: Answer },
}

impl Command {
    /// Whether it is about a run that was made before.
    pub(crate) const fn only_answers(&self) -> bool {
        matches!(self, Self::Answer { .. })
    }
}

/// A part of the program, which may be a process of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Sales,
    Relay,
    Manager,
    Systems,
    Clerk,
}

impl Part {
    pub(crate) const ALL: [Self; 5] =
        [Self::Sales, Self::Relay, Self::Manager, Self::Systems, Self::Clerk];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::Relay => "relay",
            Self::Manager => "manager",
            Self::Systems => "systems",
            Self::Clerk => "clerk",
        }
    }
}

/// The options as they were written, each at most once.
#[derive(Default)]
struct Written {
    folder: Option<String>,
    database: Option<String>,
    broker: Option<String>,
    name: Option<String>,
    orders: Option<String>,
    hour: Option<String>,
    grace: Option<String>,
    by: Option<String>,
    reason: Option<String>,
    only: Vec<String>,
    approve: bool,
    words: Vec<String>,
}

/// Reads the command line; nothing where help is wanted.
pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Outcome<Option<Options>> {
    let Some(written) = written(arguments)? else { return Ok(None) };
    misplaced(&written)?;
    let number = |text: &Option<String>, default| {
        text.as_deref().map_or(Ok(default), |text| {
            let number = text.parse().ok().filter(|number| *number > 0);
            let wanted = format!("wanted a whole number from 1 to {}", u32::MAX);
            number.ok_or_else(|| format!("{wanted}; found {text:?}"))
        })
    };
    let hour = Duration::from_secs(number(&written.hour, 5)?.into());
    let at = |text: &Option<String>| text.as_deref().map(DatabaseAt::read).transpose();
    let broker = written.broker.as_deref().map(BrokerAt::read).transpose()?;
    Ok(Some(Options {
        database: at(&written.database)?.unwrap_or(DatabaseAt::Files),
        broker: broker.unwrap_or(BrokerAt::InProcess),
        name: name(&written)?,
        orders: number(&written.orders, 24)?,
        hour,
        grace: grace(&written)?.unwrap_or(hour),
        folder: written.folder.clone().map(PathBuf::from),
        command: command(written)?,
    }))
}

/// It becomes part of a schema's name.
fn name(written: &Written) -> Outcome<String> {
    let name = written.name.as_deref().unwrap_or("order_to_cash");
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(is_plain) {
        let wanted = "wanted small letters, digits and _ as --name";
        return Err(format!("{wanted}; found {name:?}").into());
    }
    Ok(name.to_owned())
}

fn grace(written: &Written) -> Outcome<Option<Duration>> {
    let Some(text) = &written.grace else { return Ok(None) };
    let seconds = text
        .parse::<u32>()
        .map_err(|_| format!("wanted a number of seconds as --grace; found {text:?}"))?;
    Ok(Some(Duration::from_secs(seconds.into())))
}

fn written(mut arguments: impl Iterator<Item = String>) -> Outcome<Option<Written>> {
    let mut written = Written::default();
    while let Some(argument) = arguments.next() {
        let place = match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--approve" => {
                written.approve = true;
                continue;
            }
            "--folder" => &mut written.folder,
            "--database" => &mut written.database,
            "--broker" => &mut written.broker,
            "--name" => &mut written.name,
            "--orders" => &mut written.orders,
            "--hour" => &mut written.hour,
            "--grace" => &mut written.grace,
            "--by" => &mut written.by,
            "--reason" => &mut written.reason,
            "--only" => {
                let wants = "--only wants a part";
                written.only.push(arguments.next().ok_or(wants)?);
                continue;
            }
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option:?}").into());
            }
            _ => {
                written.words.push(argument);
                continue;
            }
        };
        let value =
            arguments.next().ok_or_else(|| format!("{argument} wants a value"))?;
        if place.replace(value).is_some() {
            return Err(format!("{argument} stands there twice").into());
        }
    }
    Ok(Some(written))
}

/// Refuses what would be read and not kept.
fn misplaced(written: &Written) -> Outcome<()> {
    let answers = written.approve && !written.words.is_empty();
    let is_signed = written.by.is_some() || written.reason.is_some();
    let (in_files, in_process) = (written.database.is_none(), written.broker.is_none());
    let wrong = if !written.approve && !written.words.is_empty() {
        Some(format!("unknown words {:?}", written.words))
    } else if is_signed && !answers {
        Some("--by and --reason belong to --approve ORDER yes|no".to_owned())
    } else if answers && (!in_process || !written.only.is_empty()) {
        Some("an answer needs neither --broker nor --only".to_owned())
    } else if answers && in_files && written.folder.is_none() {
        Some("an answer wants the --folder or --database of the run".to_owned())
    } else if written.folder.is_some() && !in_files {
        Some("wanted --folder or --database, and not both".to_owned())
    } else if written.name.is_some() && in_files && in_process {
        Some("--name belongs to --database or --broker".to_owned())
    } else if !written.only.is_empty() && in_process {
        Some("--only wants a --broker, which the other parts reach too".to_owned())
    } else if !written.only.is_empty() && in_files && written.folder.is_none() {
        Some("--only wants the --folder or --database of the other parts".to_owned())
    } else {
        None
    };
    wrong.map_or(Ok(()), |wrong| Err(wrong.into()))
}

fn command(written: Written) -> Outcome<Command> {
    let words: Vec<_> = written.words.iter().map(String::as_str).collect();
    let (number, yes) = match words.as_slice() {
        [] => return run(&written),
        [number, "yes"] => (number, true),
        [number, "no"] => (number, false),
        other => {
            let wanted = "wanted --approve ORDER yes|no";
            return Err(format!("{wanted}; found {other:?}").into());
        }
    };
    let number =
        number.parse().map_err(|_| format!("an order has a number; found {number:?}"))?;
    let (Some(by), Some(why)) = (written.by, written.reason) else {
        return Err("an answer wants --by NAME and --reason TEXT".into());
    };
    Ok(Command::Answer { number, answer: Answer { by, yes, why } })
}

fn run(written: &Written) -> Outcome<Command> {
    let part = |name: &String| {
        let named = |part: &Part| part.name() == name;
        let known = Part::ALL.map(Part::name).join(", ");
        Part::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| format!("wanted one of {known} as a part; found {name:?}"))
    };
    let mut parts = written.only.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        parts = Part::ALL.to_vec();
    }
    Ok(Command::Run { parts, people_answer: written.approve })
}
