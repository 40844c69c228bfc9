//! Delivers events from a file of JSON lines to a receiver that is not reliable, and
//! accounts for every line.
//!
//! ```text
//! cargo run --example deliver [FILE]
//! ```
//!
//! Each line is wrapped in an envelope, with the sender's own id as its key, and driven
//! through its lifecycle. The receiver is a simulation that always behaves the same: it
//! refuses some events once, some always and some for good, and knows an event that it
//! has seen before. No time passes: waits are added to a clock of the program's own.
//!
//! Prints the audit line of every change of state, then what became of the events. A line
//! that cannot be read is reported with its number and does not stop the rest. Exits with
//! 2 where the file itself cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, StdoutLock, Write};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use integration_automation_patterns::state::{
    Dispatched, Pending, Retrying, State, Step,
};
use integration_automation_patterns::{
    AfterFailure, AnyEnvelope, DeliveryStatus, Envelope, EventId, RawEvent,
};
use serde_json::Value;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/events.jsonl");

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_else(|| SAMPLE.to_owned());
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::from(2);
        }
    };
    match deliver_all(&text, io::stdout().lock()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("the output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn deliver_all(text: &[u8], out: StdoutLock<'_>) -> io::Result<()> {
    let now = DateTime::from_timestamp(1_767_600_000, 0).unwrap_or_default();
    let mut relay = Relay {
        now,
        receiver: Receiver::default(),
        waiting: BTreeMap::new(),
        turn: 0,
        over: Vec::new(),
        out,
    };
    let mut unreadable = Vec::new();
    let mut lines = 0;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        lines += 1;
        match read(line, now) {
            Ok(event) => {
                writeln!(relay.out, "{}", event.audit_line())?;
                relay.attempt(event)?;
            }
            Err(why) => unreadable.push(format!("line {}: {why}", index + 1)),
        }
    }
    relay.retry_all()?;
    report(relay.out, &relay.over, &unreadable, lines)
}

/// An envelope around one line, with the sender's id.
fn read(
    line: &[u8],
    now: DateTime<Utc>,
) -> Result<Envelope<Pending>, Box<dyn std::error::Error>> {
    let event: Value = serde_json::from_slice(line)?;
    if !event.is_object() {
        return Err("an event is a JSON object, and this line is another value".into());
    }
    let body = event
        .get("payload")
        .filter(|_| event.get("provider").is_some())
        .unwrap_or(&event);
    let label = |keys: &[&str]| {
        keys.iter().find_map(|key| event.get(key)?.as_str()).map(str::to_owned)
    };
    let source = label(&["provider", "source"])
        .ok_or("no `provider` or `source` says where it comes from")?;
    let event_type = label(&["type", "event_type"])
        .ok_or("no `type` or `event_type` says what it is")?;
    let id = own_id(&source, body)?;
    Ok(Envelope::builder(source, RawEvent::new(event_type, body.to_string()))
        .id(id)
        .build_at(now)?)
}

/// The identity that the sender gave the event. What is unique only with its source, or
/// has no identity but its content, gets the same derived id on every delivery.
fn own_id(source: &str, body: &Value) -> Result<EventId, Box<dyn std::error::Error>> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    Ok(match (text("specversion"), text("id"), text("event_id").or(text("alert_id"))) {
        (Some(_), Some(id), _) => EventId::derived(text("source").unwrap_or(source), id)?,
        (None, Some(id), _) if id.starts_with("evt_") => id.parse()?,
        (_, _, Some(id)) => id.parse()?,
        _ => EventId::derived(source, &body.to_string())?,
    })
}

/// What is on its way, and what has arrived at its end.
struct Relay<'a> {
    out: StdoutLock<'a>,
    now: DateTime<Utc>,
    receiver: Receiver,
    /// By due time, and in turn where two are due at once.
    waiting: BTreeMap<(DateTime<Utc>, usize), Envelope<Retrying>>,
    turn: usize,
    over: Vec<AnyEnvelope>,
}

impl Relay<'_> {
    /// One attempt, from either of the states that allow it.
    fn attempt<S: State + Step<Dispatched>>(
        &mut self,
        event: Envelope<S>,
    ) -> io::Result<()> {
        let sent = event.dispatch();
        writeln!(self.out, "{}", sent.audit_line())?;
        let over: AnyEnvelope = match self.receiver.receive(&sent) {
            Answer::Done => sent.process().into(),
            Answer::Seen => sent.skip("duplicate").into(),
            Answer::Never(reason) => sent.reject_at(reason, self.now).into(),
            Answer::NotNow(reason) => match sent.fail_at(reason, self.now) {
                AfterFailure::Retrying(event) => {
                    writeln!(self.out, "{}", event.audit_line())?;
                    self.turn += 1;
                    self.waiting.insert((event.next_attempt_at(), self.turn), event);
                    return Ok(());
                }
                AfterFailure::Failed(dead) => dead.into(),
            },
        };
        writeln!(self.out, "{}", over.audit_line())?;
        self.over.push(over);
        Ok(())
    }

    /// Tries what waits, the earliest first, until nothing does.
    fn retry_all(&mut self) -> io::Result<()> {
        while let Some(((due, _), event)) = self.waiting.pop_first() {
            self.now = self.now.max(due);
            self.attempt(event)?;
        }
        Ok(())
    }
}

/// What the receiver says.
enum Answer {
    Done,
    Seen,
    NotNow(&'static str),
    Never(&'static str),
}

/// The other system: what it thinks of an event depends on the event alone.
#[derive(Default)]
struct Receiver {
    done: BTreeSet<EventId>,
}

impl Receiver {
    fn receive(&mut self, event: &Envelope<Dispatched>) -> Answer {
        if self.done.contains(event.id()) {
            return Answer::Seen;
        }
        let mood = event
            .id()
            .to_string()
            .bytes()
            .fold(event.event_type().len(), |sum, byte| sum + usize::from(byte));
        match (mood % 8, event.attempts()) {
            (0 | 1, 1) => Answer::NotNow("connection reset"),
            (2, _) => Answer::NotNow("503 service unavailable"),
            (3, _) => Answer::Never("unknown account"),
            _ => {
                self.done.insert(event.id().clone());
                Answer::Done
            }
        }
    }
}

fn report(
    mut out: StdoutLock<'_>,
    over: &[AnyEnvelope],
    unreadable: &[String],
    lines: usize,
) -> io::Result<()> {
    let mut counts = BTreeMap::<DeliveryStatus, usize>::new();
    for event in over {
        *counts.entry(event.status()).or_default() += 1;
    }
    writeln!(out, "\n{:<14}{:>7}", "status", "events")?;
    for status in DeliveryStatus::ALL {
        writeln!(out, "{:<14}{:>7}", status, counts.get(status).unwrap_or(&0))?;
    }
    writeln!(out, "{:<14}{:>7}", "unreadable", unreadable.len())?;
    writeln!(
        out,
        "{:<14}{:>7}  of {lines} lines",
        "total",
        over.len() + unreadable.len()
    )?;
    writeln!(out, "{:<14}{:>7}", "missing", lines - over.len() - unreadable.len())?;

    let dead = over
        .iter()
        .filter(|event| event.status() == DeliveryStatus::Failed)
        .collect::<Vec<_>>();
    writeln!(out, "\nfailed, each waiting for a person: {}", dead.len())?;
    for event in dead {
        let (id, what, source, attempts) =
            (event.id(), event.event_type(), event.source_system(), event.attempts());
        let why = event.failure().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "  {id} {what} from {source}, attempt {attempts}: {why}")?;
    }
    writeln!(out, "\nunreadable: {}", unreadable.len())?;
    for line in unreadable {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}
