//! The command line, read whole before anything is done.

use std::ffi::OsString;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::outbox::{Filter, Redrive};
use integration_automation_patterns::{Decision, EventId};

use crate::broker::Place as Reads;
use crate::command_line::{self, Given, duration, event_id, text};
use crate::place::Way;

pub(crate) const HELP: &str = "\
The admin of an outbox: what waits, what has failed and why, and what is decided about it.

outbox <DATABASE> <COMMAND> [--json] [--schema NAME] [--ca FILE]

<DATABASE> is a SQLite file, or with the feature `postgres` postgres://user:password@host/name. --schema NAME is the schema
of its tables, where that is not the first of the role's search path. With the feature `tls`, ?sslmode=require behind the
address asks for TLS, with a server that the system's authorities vouch for; --ca FILE names others, as PEM, and asks for
TLS too. What only looks needs no permission to write, and nothing but `migrate` makes or changes tables.

  counts                          how much there is in each state, and how long the oldest has been due
  list [FILTERS] [--limit 100]    the dead letters, the oldest first
  waiting [FILTERS] [--limit 100] what is under way, the one that has been due longest first
  show <ID> [--payload]           one event with all that happened to it
  redrive FILTERS | --all         send dead letters again, with all attempts of their policy
      --by NAME --reason TEXT     who decides, and why
      --dedup-window 7d           how long the consumers' inboxes remember an event
      --force                     redrive even what they may have forgotten: its effect may come twice
  discard FILTERS | --all         discard dead letters: they become `skipped`
      --by NAME --reason TEXT
  purge --older-than 30d [--batch 1000]
                                  remove what was done longer ago
  verify                          check rows and histories
  migrate                         bring the tables that are there up to date, those of an inbox and of workflows too: older
                                  programs may not be able to use them then, as the guide's chapter on operating has it
  inbox counts [--older-than 1h]  how much there is in a consumer's inbox, and how many events have been retrying for longer
      --broker URL --from NAME    and how far the consumer is behind, with the feature of the broker: nats://host:4222 and
                                  STREAM/CONSUMER, amqp://user:password@host and QUEUE, kafka://host:9092 and TOPIC/GROUP,
                                  sqs://host:9324 of a stand-in and QUEUE
  inbox list [FILTERS] [--limit 100]
                                  its dead letters
  inbox stalled [FILTERS] [--limit 100] [--older-than 1h]
                                  what has been retrying for longer: its broker may have dropped it
  inbox held [FILTERS] [--limit 100]
                                  what its worker holds, since another event of its key comes first, or for its next attempt
  inbox show --source SYSTEM --id ID [--payload]
                                  one dead letter or retrying event; of a message that is no event, why, and its headers; of an
                                  event that is done, when that was
  inbox discard --source SYSTEM --id ID --by NAME --reason TEXT
                                  discard one of them

FILTERS, which hold all at once: --id ID, --type TYPE, --source SYSTEM, --reason-contains TEXT, and --since 2h or
--since 2026-01-05T08:00:00Z for what has failed since.

A duration is a number and one of s, m, h, d, w: 90s, 15m, 7d.

--json prints one JSON document, or one for each line where there are many things to list.

Exit codes: 0, done or in order; 1, something waits for a person (verify found something, a redrive was refused, a
dead letter is no valid event, there is none of this id); 2, a wrong command line or an error of the database.
";

/// What was asked.
pub(crate) struct Request {
    pub(crate) database: OsString,
    pub(crate) way: Way,
    pub(crate) command: Command,
    pub(crate) as_json: bool,
}

pub(crate) enum Command {
    Outbox(Ask),
    Inbox(AskInbox),
    /// That the tables be brought up to date.
    Migrate,
}

/// What is asked of an inbox.
pub(crate) enum AskInbox {
    Counts { stalled_after: Duration, reads: Option<Reads> },
    List { filter: Filter, limit: usize },
    Stalled { filter: Filter, limit: usize, age: Duration },
    Held { filter: Filter, limit: usize },
    Show { source: String, id: EventId, with_payload: bool },
    Discard { source: String, id: EventId, decision: Decision },
}

/// What is asked of an outbox.
pub(crate) enum Ask {
    Counts,
    List { filter: Filter, limit: usize },
    Waiting { filter: Filter, limit: usize },
    Show { id: EventId, with_payload: bool },
    Redrive { filter: Filter, order: Redrive },
    Discard { filter: Filter, decision: Decision },
    Purge { age: Duration, batch: usize },
    Verify,
}

impl Ask {
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Redrive { .. } | Self::Discard { .. } | Self::Purge { .. })
    }
}

const FLAGS: [&str; 4] = ["json", "all", "payload", "force"];
const VALUES: [&str; 15] = [
    "id",
    "type",
    "source",
    "reason-contains",
    "since",
    "limit",
    "by",
    "reason",
    "dedup-window",
    "older-than",
    "batch",
    "ca",
    "schema",
    "broker",
    "from",
];

/// Reads the command line; nothing where help is wanted.
pub(crate) fn read(parser: lexopt::Parser) -> Result<Option<Request>, String> {
    let Some((words, mut given)) = command_line::read(parser, &FLAGS, &VALUES)? else {
        return Ok(None);
    };
    let as_json = given.has("json");
    let way = Way::given(&mut given)?;
    let mut words = words.into_iter();
    let database =
        words.next().ok_or("wanted a database: a SQLite file, or postgres://...")?;
    let name = text(words.next().ok_or("wanted a command behind the database")?)?;
    let command = command(&name, &mut words, &mut given)?;
    given.end(&name, words)?;
    Ok(Some(Request { database, way, command, as_json }))
}

fn command(
    name: &str,
    words: &mut impl Iterator<Item = OsString>,
    given: &mut Given,
) -> Result<Command, String> {
    Ok(Command::Outbox(match name {
        "counts" => Ask::Counts,
        "list" => Ask::List { filter: filter(given)?, limit: given.limit()? },
        "waiting" => Ask::Waiting { filter: filter(given)?, limit: given.limit()? },
        "show" => {
            let id = text(words.next().ok_or("wanted an id: `show <ID>`")?)?;
            Ask::Show { id: event_id(&id)?, with_payload: given.has("payload") }
        }
        "redrive" => {
            let filter = chosen(name, given)?;
            let order = Redrive::new(
                given.decision()?,
                duration(&given.wanted("dedup-window")?)?,
            );
            let force = given.has("force");
            Ask::Redrive { filter, order: if force { order.force() } else { order } }
        }
        "discard" => {
            Ask::Discard { filter: chosen(name, given)?, decision: given.decision()? }
        }
        "purge" => {
            let batch = given.number("batch", 1000)?;
            Ask::Purge { age: duration(&given.wanted("older-than")?)?, batch }
        }
        "verify" => Ask::Verify,
        "migrate" => return Ok(Command::Migrate),
        "inbox" => return inbox_command(words, given),
        _ => {
            return Err(format!(
                "wanted counts, list, waiting, show, redrive, discard, purge, verify, migrate or inbox, and found {name:?}"
            ));
        }
    }))
}

fn inbox_command(
    words: &mut impl Iterator<Item = OsString>,
    given: &mut Given,
) -> Result<Command, String> {
    let older_than = |given: &mut Given| {
        given.take("older-than").map_or(Ok(AN_HOUR), |text| duration(&text))
    };
    Ok(Command::Inbox(match words.next().map(text).transpose()?.as_deref() {
        Some("counts") => {
            AskInbox::Counts { stalled_after: older_than(given)?, reads: reads(given)? }
        }
        Some("list") => AskInbox::List { filter: filter(given)?, limit: given.limit()? },
        Some("stalled") => AskInbox::Stalled {
            filter: filter(given)?,
            limit: given.limit()?,
            age: older_than(given)?,
        },
        Some("held") => AskInbox::Held { filter: filter(given)?, limit: given.limit()? },
        Some("show") => {
            let (source, id) = (given.wanted("source")?, event_id(&given.wanted("id")?)?);
            AskInbox::Show { source, id, with_payload: given.has("payload") }
        }
        Some("discard") => {
            let (source, id) = (given.wanted("source")?, event_id(&given.wanted("id")?)?);
            AskInbox::Discard { source, id, decision: given.decision()? }
        }
        Some("redrive") => return Err(REDRIVE.to_owned()),
        other => {
            let found = other.unwrap_or_default();
            return Err(format!(
                "wanted `inbox counts`, `inbox list`, `inbox stalled`, `inbox held`, `inbox show` or `inbox discard`, and found {found:?}"
            ));
        }
    }))
}

const REDRIVE: &str = "a dead letter of an inbox is redriven by the consumer's own program, \
     which has its handler: there call `redrive` of its worker, or of \
     `inbox::sqlite` or `inbox::postgres` in the transaction of the effect";

const AN_HOUR: Duration = Duration::from_secs(60 * 60);

fn filter(given: &mut Given) -> Result<Filter, String> {
    Ok(Filter {
        id: given.take("id").map(|id| event_id(&id)).transpose()?,
        event_type: given.take("type"),
        source_system: given.take("source"),
        reason_contains: given.take("reason-contains"),
        failed_since: given.take("since").map(|since| moment(&since)).transpose()?,
    })
}

/// A filter that says something, or the word that it is meant to say nothing.
fn chosen(command: &str, given: &mut Given) -> Result<Filter, String> {
    let filter = filter(given)?;
    match (filter == Filter::default(), given.has("all")) {
        (true, false) => Err(format!(
            "wanted a filter or --all: `{command}` decides about no event unasked"
        )),
        (false, true) => Err("wanted a filter or --all, and found both".to_owned()),
        _ => Ok(filter),
    }
}

/// Where a consumer reads, if that is said.
fn reads(given: &mut Given) -> Result<Option<Reads>, String> {
    match (given.take("broker"), given.take("from")) {
        (None, None) => Ok(None),
        (Some(url), Some(from)) => Reads::new(url, &from).map(Some),
        (Some(_), None) => {
            Err("wanted --from NAME beside --broker: what the consumer reads".to_owned())
        }
        (None, Some(_)) => Err("wanted --broker URL beside --from".to_owned()),
    }
}

/// A moment as in RFC 3339, or one that is so long ago by this machine's clock.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    let ago = duration(text).ok().and_then(|ago| TimeDelta::from_std(ago).ok());
    ago.and_then(|ago| Utc::now().checked_sub_signed(ago))
        .ok_or_else(|| format!("wanted a time as 2026-01-05T08:00:00Z, or a duration such as 2h, and found {text:?}"))
}
