//! Questions as events: what leaves when people are asked, and when they need not answer
//! any more.

use super::calendar::Calendar;
use super::command::Command;
use super::definition::{Step, Wait};
use super::id::Seen;
use super::journal::Cause;
use super::record::InstanceRecord;
use super::stage::Status;
use crate::{Event, EventId};

/// People are asked, or reminded. Mail, chat and the service desk are consumers like any
/// other; the answer comes back from a seat.
///
/// The payload is a JSON object:
///
/// | field | what it is |
/// |---|---|
/// | `workflow`, `instance`, `step` | which instance asks, at which step |
/// | `kind` | `approval`, `parked` or `stuck` |
/// | `role`, `wanted` | how many people of which role are asked |
/// | `level`, `reminder`, `for_nobody` | how far the chain is, and whether anybody may answer |
/// | `due_at` | when the time of this level ends |
/// | `remind_at` | when it is reminded, where that is still to come |
/// | `seen` | what an approval must name, 16 hexadecimal digits |
/// | `shown` | what is to be approved, where it is text |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionAsked;

impl Event for QuestionAsked {
    const TYPE: &'static str = "workflow.question.asked";
}

/// Nobody needs to answer any more. The payload is a JSON object with `workflow`,
/// `instance` and `step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionClosed;

impl Event for QuestionClosed {
    const TYPE: &'static str = "workflow.question.closed";
}

/// The event that asks the question of a row that is about to be written. The calendar is
/// that of the row's deadline.
pub(super) fn asked(
    record: &InstanceRecord,
    step: &Step,
    cause: Cause,
    calendar: &dyn Calendar,
) -> Option<Command> {
    let question = record.question.as_ref()?;
    let Wait::People(chain) = step.waits(record.status) else { return None };
    let level = question.level_of(chain)?;
    let kind = match record.status {
        Status::Awaiting => "approval",
        status => status.as_str(),
    };
    let mut object = about(record, step.name);
    object.text("kind", kind).text("role", level.role);
    object.plain("wanted", level.wanted).plain("level", question.level);
    object.plain("reminder", cause == Cause::Reminded);
    object.plain("for_nobody", question.for_nobody);
    if let Some(due_at) = record.due_at {
        let (ends_at, remind_at) = question.level_times(chain, due_at, calendar);
        object.text("due_at", &ends_at.to_rfc3339());
        if let Some(remind_at) = remind_at {
            object.text("remind_at", &remind_at.to_rfc3339());
        }
    }
    if let Some(shown) = &question.shown {
        object.text("seen", &Seen::of(shown).to_string());
        if let Ok(shown) = std::str::from_utf8(shown) {
            object.text("shown", shown);
        }
    }
    let at = (record.revision, step.name);
    Some(event::<QuestionAsked>(&record.workflow, &record.id, at, object))
}

/// The event that says that the question of a step is closed.
pub(super) fn closed(workflow: &str, id: &EventId, revision: u64, step: &str) -> Command {
    let mut object = Object::default();
    object.text("workflow", workflow).text("instance", &id.to_string());
    object.text("step", step);
    event::<QuestionClosed>(workflow, id, (revision, step), object)
}

fn about(record: &InstanceRecord, step: &str) -> Object {
    let mut object = Object::default();
    object.text("workflow", &record.workflow).text("instance", &record.id.to_string());
    object.text("step", step);
    object
}

/// One question of a step is asked at one revision, and so the id is derived from that.
fn event<E: Event>(
    workflow: &str,
    id: &EventId,
    (revision, step): (u64, &str),
    object: Object,
) -> Command {
    let key = format!("{workflow}/{id}");
    // Neither is empty.
    let name = format!("{id}/{revision}/{step}/{}", E::TYPE);
    let derived = EventId::derived(workflow, &name);
    let derived = derived.unwrap_or_else(|_| id.clone());
    Command::of::<E>(derived, key.clone(), key, object.finish())
}

/// A JSON object, written without a library.
#[derive(Default)]
struct Object(String);

impl Object {
    fn key(&mut self, key: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&format!("\"{key}\":"));
    }

    fn plain(&mut self, key: &str, value: impl std::fmt::Display) -> &mut Self {
        self.key(key);
        self.0.push_str(&value.to_string());
        self
    }

    fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        self.0.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                c if c.is_control() => {
                    self.0.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
        self
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push('}');
        self.0.into_bytes()
    }
}
