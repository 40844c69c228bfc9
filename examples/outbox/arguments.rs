//! The command line, read whole before anything is done.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::outbox::{Filter, Redrive};
use integration_automation_patterns::{Decision, EventId};
use lexopt::Arg;

use crate::broker::Place;

pub(crate) const HELP: &str = "\
The admin of an outbox: what waits, what has failed and why, and what is decided about it.

outbox <DATABASE> <COMMAND> [--json] [--ca FILE]

<DATABASE> is a SQLite file, or with the feature `postgres` postgres://user:password@host/name. With the feature `tls`,
?sslmode=require behind it asks for TLS, with a server that the system's authorities vouch for; --ca FILE names others, as
PEM, and asks for TLS too. What only looks needs no permission to write.

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
                                  one dead letter or retrying event; of a message that is no event, why, and its headers
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
    pub(crate) command: Command,
    pub(crate) as_json: bool,
    /// A file of authorities that vouch for a database's server.
    pub(crate) ca: Option<PathBuf>,
}

pub(crate) enum Command {
    Outbox(Ask),
    Inbox(AskInbox),
}

/// What is asked of an inbox.
pub(crate) enum AskInbox {
    Counts { stalled_after: Duration, reads: Option<Place> },
    List { filter: Filter, limit: usize },
    Stalled { filter: Filter, limit: usize, age: Duration },
    Held { filter: Filter, limit: usize },
    Show { filter: Filter, id: EventId, with_payload: bool },
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

const FLAGS: [&str; 5] = ["json", "help", "all", "payload", "force"];
const VALUES: [&str; 14] = [
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
    "broker",
    "from",
];

/// Reads the command line; nothing where help is wanted.
pub(crate) fn read(mut parser: lexopt::Parser) -> Result<Option<Request>, String> {
    let wrong = |error: lexopt::Error| error.to_string();
    let mut words = Vec::new();
    let mut given = Given::default();
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Value(word) => words.push(word),
            Arg::Short('h') => return Ok(None),
            Arg::Long(name) => {
                if let Some(flag) = FLAGS.into_iter().find(|flag| *flag == name) {
                    given.add(flag, String::new())?;
                } else if let Some(option) =
                    VALUES.into_iter().find(|option| *option == name)
                {
                    let value = parser.value().map_err(wrong)?;
                    given.add(option, text(value)?)?;
                } else {
                    return Err(argument.unexpected().to_string());
                }
            }
            Arg::Short(_) => return Err(argument.unexpected().to_string()),
        }
    }
    if given.has("help") {
        return Ok(None);
    }
    let as_json = given.has("json");
    let ca = given.0.remove("ca").map(PathBuf::from);
    let mut words = words.into_iter();
    let database =
        words.next().ok_or("wanted a database: a SQLite file, or postgres://...")?;
    let name = text(words.next().ok_or("wanted a command behind the database")?)?;
    let command = command(&name, &mut words, &mut given)?;
    if let Some(word) = words.next() {
        return Err(format!("`{name}` takes no {word:?}"));
    }
    if let Some(option) = given.0.keys().next() {
        return Err(format!("`{name}` takes no --{option}"));
    }
    Ok(Some(Request { database, command, as_json, ca }))
}

fn command(
    name: &str,
    words: &mut impl Iterator<Item = OsString>,
    given: &mut Given,
) -> Result<Command, String> {
    Ok(Command::Outbox(match name {
        "counts" => Ask::Counts,
        "list" => Ask::List { filter: given.filter()?, limit: given.limit()? },
        "waiting" => Ask::Waiting { filter: given.filter()?, limit: given.limit()? },
        "show" => {
            let id = text(words.next().ok_or("wanted an id: `show <ID>`")?)?;
            Ask::Show { id: event_id(&id)?, with_payload: given.has("payload") }
        }
        "redrive" => {
            let filter = given.chosen(name)?;
            let order = Redrive::new(
                given.decision()?,
                duration(&given.wanted("dedup-window")?)?,
            );
            let force = given.has("force");
            Ask::Redrive { filter, order: if force { order.force() } else { order } }
        }
        "discard" => {
            Ask::Discard { filter: given.chosen(name)?, decision: given.decision()? }
        }
        "purge" => {
            let batch = given.number("batch", 1000)?;
            Ask::Purge { age: duration(&given.wanted("older-than")?)?, batch }
        }
        "verify" => Ask::Verify,
        "inbox" => return inbox_command(words, given),
        _ => {
            return Err(format!(
                "wanted counts, list, waiting, show, redrive, discard, purge, verify or inbox, and found {name:?}"
            ));
        }
    }))
}

fn inbox_command(
    words: &mut impl Iterator<Item = OsString>,
    given: &mut Given,
) -> Result<Command, String> {
    let older_than = |given: &mut Given| {
        given.0.remove("older-than").map_or(Ok(AN_HOUR), |text| duration(&text))
    };
    Ok(Command::Inbox(match words.next().map(text).transpose()?.as_deref() {
        Some("counts") => {
            AskInbox::Counts { stalled_after: older_than(given)?, reads: given.place()? }
        }
        Some("list") => AskInbox::List { filter: given.filter()?, limit: given.limit()? },
        Some("stalled") => AskInbox::Stalled {
            filter: given.filter()?,
            limit: given.limit()?,
            age: older_than(given)?,
        },
        Some("held") => AskInbox::Held { filter: given.filter()?, limit: given.limit()? },
        Some("show") => {
            let (source, id) = (given.wanted("source")?, event_id(&given.wanted("id")?)?);
            let filter = Filter { source_system: Some(source), ..Filter::id(id.clone()) };
            AskInbox::Show { filter, id, with_payload: given.has("payload") }
        }
        Some("discard") => {
            let (source, id) = (given.wanted("source")?, event_id(&given.wanted("id")?)?);
            AskInbox::Discard { source, id, decision: given.decision()? }
        }
        other => {
            let found = other.unwrap_or_default();
            return Err(format!(
                "wanted `inbox counts`, `inbox list`, `inbox stalled`, `inbox held`, `inbox show` or `inbox discard`, and found {found:?}"
            ));
        }
    }))
}

const AN_HOUR: Duration = Duration::from_secs(60 * 60);

/// The options that were given and not yet asked for.
#[derive(Default)]
struct Given(BTreeMap<&'static str, String>);

impl Given {
    fn add(&mut self, option: &'static str, value: String) -> Result<(), String> {
        match self.0.insert(option, value) {
            None => Ok(()),
            Some(_) => Err(format!("wanted --{option} once, and found it twice")),
        }
    }

    fn has(&mut self, flag: &str) -> bool {
        self.0.remove(flag).is_some()
    }

    fn wanted(&mut self, option: &str) -> Result<String, String> {
        self.0.remove(option).ok_or_else(|| format!("wanted --{option}"))
    }

    fn filter(&mut self) -> Result<Filter, String> {
        Ok(Filter {
            id: self.0.remove("id").map(|id| event_id(&id)).transpose()?,
            event_type: self.0.remove("type"),
            source_system: self.0.remove("source"),
            reason_contains: self.0.remove("reason-contains"),
            failed_since: self
                .0
                .remove("since")
                .map(|since| moment(&since))
                .transpose()?,
        })
    }

    /// A filter that says something, or the word that it is meant to say nothing.
    fn chosen(&mut self, command: &str) -> Result<Filter, String> {
        let filter = self.filter()?;
        match (filter == Filter::default(), self.has("all")) {
            (true, false) => Err(format!(
                "wanted a filter or --all: `{command}` decides about no event unasked"
            )),
            (false, true) => Err("wanted a filter or --all, and found both".to_owned()),
            _ => Ok(filter),
        }
    }

    /// Where a consumer reads, if that is said.
    fn place(&mut self) -> Result<Option<Place>, String> {
        match (self.0.remove("broker"), self.0.remove("from")) {
            (None, None) => Ok(None),
            (Some(url), Some(from)) => Place::new(url, &from).map(Some),
            (Some(_), None) => {
                Err("wanted --from NAME beside --broker: what the consumer reads"
                    .to_owned())
            }
            (None, Some(_)) => Err("wanted --broker URL beside --from".to_owned()),
        }
    }

    fn decision(&mut self) -> Result<Decision, String> {
        Decision::new(self.wanted("by")?, self.wanted("reason")?)
            .map_err(|error| error.to_string())
    }

    fn limit(&mut self) -> Result<usize, String> {
        self.number("limit", 100)
    }

    fn number(&mut self, option: &str, default: usize) -> Result<usize, String> {
        let Some(text) = self.0.remove(option) else { return Ok(default) };
        let number = text.parse::<usize>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| {
            format!("wanted a whole number from 1 for --{option}, and found {text:?}")
        })
    }
}

fn text(word: OsString) -> Result<String, String> {
    word.into_string().map_err(|word| format!("wanted UTF-8, and found {word:?}"))
}

fn event_id(text: &str) -> Result<EventId, String> {
    text.parse::<EventId>().map_err(|error| error.to_string())
}

/// `90s`, `15m`, `2h`, `7d`, `2w`.
fn duration(text: &str) -> Result<Duration, String> {
    let read = || {
        let (number, seconds) = [
            ('s', 1),
            ('m', 60),
            ('h', 60 * 60),
            ('d', 24 * 60 * 60),
            ('w', 7 * 24 * 60 * 60),
        ]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        number
            .parse::<u64>()
            .ok()
            .filter(|_| digits)?
            .checked_mul(seconds)
            .map(Duration::from_secs)
    };
    read().ok_or_else(|| {
        format!("wanted a duration such as 90s, 15m, 2h, 7d or 2w, and found {text:?}")
    })
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
