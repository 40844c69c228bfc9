//! The command line, read whole before anything is done.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::workflow::{AnyRuling, Choice, InstanceId};
use integration_automation_patterns::{Decision, EventId};

use crate::command_line::{self, Given, duration, event_id, text};
use crate::company::{self, Deciding, This};
use crate::place::Way;

pub(crate) const HELP: &str = "\
The desk of workflows: where each instance is, what it waits for, and what a person does about it.

workflow <DATABASE> <COMMAND> [--json] [--schema NAME] [--ca FILE]

<DATABASE> is a SQLite file, or with the feature `postgres` postgres://user:password@host/name. --schema NAME is the schema
of its tables, where that is not the first of the role's search path. With the feature `tls`, ?sslmode=require behind the
address asks for TLS, with a server that the system's authorities vouch for; --ca FILE names others, as PEM, and asks for
TLS too. What only looks needs no permission to write, and nothing makes or changes tables: the program `outbox` does, by
`outbox <DATABASE> migrate`.

  counts                          how many instances stand at each stage, and which of them need a look
  stuck [--older-than 1h] [--limit 100]
                                  what waits and has not moved for so long, the oldest first, each with what it waits for
  look <WHICH>                    one instance, with all that happened to it
  verify                          replay every journal through the table, and compare it with its row
  diagram                         the ways through the table as Mermaid, with how many instances stand where

  settle <WHICH> <WORD> --as ROLE MOVE
                                  say what became of a step, or of an undo, that did not answer. WORD is one of
      happened [--payload FILE]   it did, and the reply would have been this; `{}` where no file is given
      did-not-happen [--though-sent]
                                  it did not: its command is taken back; --though-sent vouches for one that has left
      ask-again                   ask its participant once more
      give-up                     close the instance; what stands is listed in its journal
  approve <WHICH> --seen FINGERPRINT --as ROLE MOVE
                                  approve what the question has shown, by the fingerprint that it carries
  refuse <WHICH> --as ROLE MOVE   refuse it: what was done is undone
  withdraw <WHICH> --as ROLE MOVE take a vote back
  cancel <WHICH> MOVE             have everything undone, before the pivot is sent
  take-up <WHICH> --by NAME --reason TEXT
                                  have a clerk look at once at an instance whose turn has failed, after a repair
  postpone <WHICH> --until TIME MOVE
                                  move its next deadline, later or earlier: to 2026-01-05T08:00:00Z, or to 2h from now
  reassign <WHICH> MOVE           ask the next level of the chain at once, with a deadline of its own
  purge --older-than 400d --by NAME --reason TEXT [--batch 1000]
                                  remove what ended longer ago, with its journal

WHICH is the id of an instance, or --key TEXT, the business key that it began under: --key \"order 4711\".

MOVE is --by NAME --reason TEXT --revision N: who decides, why, and on which revision, as `stuck` and `look` show it: an
instance that has moved since is left alone. ROLE is the role that they decide in; --instead-of NAME goes with it, and says
for whom.

A duration is a number and one of s, m, h, d, w: 90s, 15m, 7d.

--json prints one JSON document, or one for each line where there are many things to list. Neither the data of an instance
nor what an approval has shown is ever printed.

Exit codes: 0, done or in order; 1, something waits for a person (verify found something, a move was refused, there is no
such instance); 2, a wrong command line or an error of the database.
";

/// What was asked.
pub(crate) struct Request {
    pub(crate) database: OsString,
    pub(crate) way: Way,
    pub(crate) ask: Ask,
    pub(crate) as_json: bool,
}

pub(crate) enum Ask {
    Counts,
    Stuck { older_than: Duration, limit: usize },
    Look(EventId),
    Verify,
    Diagram,
    Move(Move),
    Postpone { order: Order, until: DateTime<Utc> },
    Reassign(Order),
    TakeUp { id: EventId, decision: Decision },
    Purge { age: Duration, batch: usize, decision: Decision },
}

impl Ask {
    /// Whether the database may be changed.
    pub(crate) fn writes(&self) -> bool {
        !matches!(
            self,
            Self::Counts
                | Self::Stuck { .. }
                | Self::Look(_)
                | Self::Verify
                | Self::Diagram
        )
    }
}

/// What an operator wants of the wait of one instance.
pub(crate) struct Order {
    pub(crate) id: EventId,
    /// The revision on which the decision rests.
    pub(crate) revision: i64,
    pub(crate) decision: Decision,
}

/// What a person wants of the step of one instance.
pub(crate) struct Move {
    pub(crate) id: EventId,
    /// The revision on which the decision rests.
    pub(crate) revision: u64,
    pub(crate) wanted: Wanted,
    pub(crate) ruling: AnyRuling,
}

pub(crate) enum Wanted {
    /// That the silent step, or its undo, happened: with what its reply would have said.
    Happened { payload: Vec<u8> },
    /// What needs no more than the word.
    Choice(Choice),
}

impl From<Choice> for Wanted {
    fn from(choice: Choice) -> Self {
        Self::Choice(choice)
    }
}

const FLAGS: [&str; 2] = ["json", "though-sent"];
const VALUES: [&str; 14] = [
    "as",
    "batch",
    "by",
    "ca",
    "instead-of",
    "key",
    "limit",
    "older-than",
    "payload",
    "reason",
    "revision",
    "schema",
    "seen",
    "until",
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
    let ask = ask(&name, &mut words, &mut given)?;
    given.end(&name, words)?;
    Ok(Some(Request { database, way, ask, as_json }))
}

fn ask(
    name: &str,
    words: &mut impl Iterator<Item = OsString>,
    given: &mut Given,
) -> Result<Ask, String> {
    Ok(match name {
        "counts" => Ask::Counts,
        "stuck" => {
            let older_than = given.take("older-than");
            let older_than = older_than.map_or(Ok(AN_HOUR), |text| duration(&text))?;
            Ask::Stuck { older_than, limit: given.limit()? }
        }
        "look" => Ask::Look(which(words, given)?),
        "verify" => Ask::Verify,
        "diagram" => Ask::Diagram,
        "settle" => {
            let id = which(words, given)?;
            Ask::Move(in_role(id, word(words, given)?, given)?)
        }
        "approve" => {
            let id = which(words, given)?;
            let seen = given.wanted("seen")?;
            let seen = seen.parse().map_err(|_| {
                format!(
                    "wanted sixteen hexadecimal digits for --seen, and found {seen:?}"
                )
            })?;
            Ask::Move(in_role(id, Choice::Approve(seen).into(), given)?)
        }
        "refuse" => {
            Ask::Move(in_role(which(words, given)?, Choice::Refuse.into(), given)?)
        }
        "withdraw" => {
            Ask::Move(in_role(which(words, given)?, Choice::Withdraw.into(), given)?)
        }
        "cancel" => {
            let (id, wanted) = (which(words, given)?, Choice::Cancel.into());
            let (by, reason) = (given.wanted("by")?, given.wanted("reason")?);
            let deciding = Deciding { by: &by, instead_of: None, reason: &reason };
            let ruling = company::ruling_without_role(&deciding)?;
            Ask::Move(Move { id, revision: revision(given)?, wanted, ruling })
        }
        "postpone" => {
            let (order, until) = (order(words, given)?, moment(&given.wanted("until")?)?);
            Ask::Postpone { order, until }
        }
        "reassign" => Ask::Reassign(order(words, given)?),
        "take-up" => {
            Ask::TakeUp { id: which(words, given)?, decision: given.decision()? }
        }
        "purge" => {
            let batch = given.number("batch", 1000)?;
            let age = duration(&given.wanted("older-than")?)?;
            Ask::Purge { age, batch, decision: given.decision()? }
        }
        _ => {
            return Err(format!(
                "wanted counts, stuck, look, verify, diagram, settle, approve, refuse, \
                 withdraw, cancel, postpone, reassign, take-up or purge, and found {name:?}"
            ));
        }
    })
}

const AN_HOUR: Duration = Duration::from_secs(60 * 60);

/// The instance that is meant: by its id, or by the business key that it began under.
fn which(
    words: &mut impl Iterator<Item = OsString>,
    given: &mut Given,
) -> Result<EventId, String> {
    if let Some(key) = given.take("key") {
        let id = InstanceId::<This>::of(&key).map_err(|error| error.to_string())?;
        return Ok(id.as_event_id().clone());
    }
    let id = words.next().ok_or("wanted the id of an instance, or --key TEXT")?;
    event_id(&text(id)?)
}

/// What a person says of a step that did not answer.
fn word(
    words: &mut impl Iterator<Item = OsString>,
    given: &mut Given,
) -> Result<Wanted, String> {
    Ok(match words.next().map(text).transpose()?.as_deref() {
        Some("happened") => {
            let payload = given.take("payload").map_or(Ok(b"{}".to_vec()), |file| {
                std::fs::read(&file).map_err(|error| format!("{file}: {error}"))
            });
            Wanted::Happened { payload: payload? }
        }
        Some("did-not-happen") => {
            Choice::DidNotHappen { though_sent: given.has("though-sent") }.into()
        }
        Some("ask-again") => Choice::AskAgain.into(),
        Some("give-up") => Choice::GiveUp.into(),
        other => {
            let found = other.unwrap_or_default();
            return Err(format!(
                "wanted happened, did-not-happen, ask-again or give-up, and found {found:?}"
            ));
        }
    })
}

fn order(
    words: &mut impl Iterator<Item = OsString>,
    given: &mut Given,
) -> Result<Order, String> {
    let (id, decision) = (which(words, given)?, given.decision()?);
    Ok(Order { id, revision: revision(given)?, decision })
}

/// A move that takes a role.
fn in_role(id: EventId, wanted: Wanted, given: &mut Given) -> Result<Move, String> {
    let (role, away) = (given.wanted("as")?, given.take("instead-of"));
    let (by, reason) = (given.wanted("by")?, given.wanted("reason")?);
    let deciding = Deciding { by: &by, instead_of: away.as_deref(), reason: &reason };
    let ruling = company::ruling(&role, &deciding)?;
    Ok(Move { id, revision: revision(given)?, wanted, ruling })
}

fn revision<N: FromStr>(given: &mut Given) -> Result<N, String> {
    let text = given.wanted("revision")?;
    text.parse().map_err(|_| {
        format!("wanted the number that `look` shows for --revision, and found {text:?}")
    })
}

/// A moment as in RFC 3339, or one that is so far ahead by this machine's clock.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    let ahead = duration(text).ok().and_then(|ahead| TimeDelta::from_std(ahead).ok());
    let moment = ahead.and_then(|ahead| Utc::now().checked_add_signed(ahead));
    moment.ok_or_else(|| {
        format!(
            "wanted a time as 2026-01-05T08:00:00Z, or a duration such as 2h, for \
             --until, and found {text:?}"
        )
    })
}
