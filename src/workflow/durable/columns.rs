//! How an instance stands in the columns of its tables, whichever the database: the one
//! place that knows both forms.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::EventId;
use crate::workflow::{Actor, Clearance, InstanceRecord, Person, Question, Seen, Vote};

/// The columns of an instance, in the order of [`InstanceRow`].
pub(crate) const INSTANCE_COLUMNS: &str = "id, workflow, version, fingerprint, revision, \
     status, step, awaits, due_at, round, level, reminded, for_nobody, shown, \
     requested_by, requested_instead_of, data, tags, amended_by";

/// An instance as columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstanceRow {
    pub(crate) id: String,
    pub(crate) workflow: String,
    pub(crate) version: i64,
    /// Sixteen hexadecimal digits.
    pub(crate) fingerprint: String,
    pub(crate) revision: i64,
    pub(crate) status: String,
    pub(crate) step: Option<String>,
    pub(crate) awaits: Option<String>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) round: i64,
    /// Of a question, where people are asked; so are the next two.
    pub(crate) level: Option<i64>,
    pub(crate) reminded: Option<bool>,
    pub(crate) for_nobody: Option<bool>,
    pub(crate) shown: Option<Vec<u8>>,
    pub(crate) requested_by: Option<String>,
    pub(crate) requested_instead_of: Option<String>,
    pub(crate) data: Vec<u8>,
    /// A JSON object: the context of the last step's span.
    pub(crate) tags: String,
    /// Who has amended it: a JSON array of objects.
    pub(crate) amended_by: String,
}

/// The columns of a vote, in the order of [`VoteRow`].
pub(crate) const VOTE_COLUMNS: &str =
    "approval, person, instead_of, role, reason, at, seen";

/// A vote as columns: for the question that is open, or for an approval that is cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VoteRow {
    pub(crate) approval: String,
    pub(crate) person: String,
    pub(crate) instead_of: Option<String>,
    pub(crate) role: String,
    pub(crate) reason: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) seen: String,
}

/// An approval that is cleared, as columns: what was shown for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClearanceRow {
    pub(crate) approval: String,
    pub(crate) shown: Vec<u8>,
    /// How many had amended the instance by then.
    pub(crate) amended: i64,
}

/// An instance with what belongs to it. Votes and clearances are in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) instance: InstanceRow,
    pub(crate) votes: Vec<VoteRow>,
    pub(crate) cleared: Vec<ClearanceRow>,
}

impl Rows {
    /// The rows of a record, with these tags.
    pub(crate) fn of(record: InstanceRecord, tags: String) -> Self {
        let mut votes = Vec::new();
        let mut cleared = Vec::new();
        for Clearance { approval, votes: given, shown, amended } in record.cleared {
            votes.extend(given.into_iter().map(|vote| VoteRow::of(&approval, vote)));
            let amended = i64::from(amended);
            cleared.push(ClearanceRow { approval, shown, amended });
        }
        let (mut level, mut reminded, mut for_nobody, mut shown) =
            (None, None, None, None);
        if let Some(question) = record.question {
            let step = record.step.as_deref().unwrap_or_default();
            votes.extend(question.votes.into_iter().map(|vote| VoteRow::of(step, vote)));
            level = Some(i64::from(question.level));
            (reminded, for_nobody) = (Some(question.reminded), Some(question.for_nobody));
            shown = question.shown;
        }
        let (requested_by, requested_instead_of) =
            record.requested_by.map(names).unwrap_or_default();
        let instance = InstanceRow {
            id: record.id.to_string(),
            workflow: record.workflow,
            version: i64::from(record.version),
            fingerprint: format!("{:016x}", record.fingerprint),
            revision: i64::try_from(record.revision).unwrap_or(i64::MAX),
            status: record.status.as_str().to_owned(),
            step: record.step,
            awaits: record.awaits.map(|id| id.to_string()),
            due_at: record.due_at,
            round: i64::from(record.round),
            level,
            reminded,
            for_nobody,
            shown,
            requested_by,
            requested_instead_of,
            data: record.data,
            tags,
            amended_by: amenders(record.amended_by),
        };
        Self { instance, votes, cleared }
    }

    /// The record that the rows hold.
    ///
    /// # Errors
    ///
    /// Why they are none, in words.
    pub(crate) fn read(self) -> Result<InstanceRecord, String> {
        let Self { instance: row, votes, cleared } = self;
        let mut open = Vec::new();
        let mut given: Vec<(String, Vote)> = Vec::new();
        let clears = |approval: &str| cleared.iter().any(|one| one.approval == approval);
        for vote in votes {
            match clears(&vote.approval) {
                true => given.push((vote.approval.clone(), vote.read()?)),
                false if row.step.as_ref() == Some(&vote.approval) => {
                    open.push(vote.read()?);
                }
                false => {
                    return Err(format!(
                        "a vote is for {:?}, which is neither asked nor cleared",
                        vote.approval
                    ));
                }
            }
        }
        let votes_for = |approval: &str| {
            let given = given.iter().filter(|(of, _)| of == approval);
            given.map(|(_, vote)| vote.clone()).collect()
        };
        let clearance = |ClearanceRow { approval, shown, amended }: &ClearanceRow| {
            let (votes, amended) = (votes_for(approval), number("amended", *amended)?);
            let (approval, shown) = (approval.clone(), shown.clone());
            Ok(Clearance { approval, votes, shown, amended })
        };
        let cleared = cleared.iter().map(clearance).collect::<Result<_, String>>()?;
        let question = match (row.level, row.reminded, row.for_nobody) {
            (Some(level), Some(reminded), Some(for_nobody)) => {
                let (level, shown) = (number("level", level)?, row.shown);
                Some(Question { level, reminded, for_nobody, shown, votes: open })
            }
            _ if open.is_empty() => None,
            _ => return Err("there are votes, and no question is open".to_owned()),
        };
        Ok(InstanceRecord {
            workflow: row.workflow,
            version: number("version", row.version)?,
            fingerprint: u64::from_str_radix(&row.fingerprint, 16).map_err(|error| {
                format!("the fingerprint {:?}: {error}", row.fingerprint)
            })?,
            id: id(row.id)?,
            revision: u64::try_from(row.revision)
                .map_err(|_| format!("{} is no revision", row.revision))?,
            status: row
                .status
                .parse()
                .map_err(|error: crate::state::UnknownNameError| error.to_string())?,
            step: row.step,
            awaits: row.awaits.map(id).transpose()?,
            due_at: row.due_at,
            round: number("round", row.round)?,
            question,
            cleared,
            requested_by: row
                .requested_by
                .map(|person| actor(&person, row.requested_instead_of.as_deref()))
                .transpose()?,
            amended_by: read_amenders(&row.amended_by)?,
            data: row.data,
        })
    }
}

impl VoteRow {
    fn of(approval: &str, vote: Vote) -> Self {
        let (person, instead_of) = names(vote.actor);
        Self {
            approval: approval.to_owned(),
            person: person.unwrap_or_default(),
            instead_of,
            role: vote.role,
            reason: vote.reason,
            at: vote.at,
            seen: vote.seen.to_string(),
        }
    }

    fn read(self) -> Result<Vote, String> {
        let seen: Seen = self
            .seen
            .parse()
            .map_err(|error| format!("what was seen, {:?}: {error}", self.seen))?;
        Ok(Vote {
            actor: actor(&self.person, self.instead_of.as_deref())?,
            role: self.role,
            reason: self.reason,
            at: self.at,
            seen,
        })
    }
}

/// A person, and the one in whose place they act.
fn names(Actor { person, instead_of }: Actor) -> (Option<String>, Option<String>) {
    (Some(person.name().to_owned()), instead_of.map(|away| away.name().to_owned()))
}

fn actor(person: &str, instead_of: Option<&str>) -> Result<Actor, String> {
    let named = |name: &str| Person::new(name).map_err(|error| error.to_string());
    Ok(Actor { person: named(person)?, instead_of: instead_of.map(named).transpose()? })
}

/// People who have amended an instance, as a JSON array of objects.
fn amenders(actors: Vec<Actor>) -> String {
    let object = |actor| {
        let (person, instead_of) = names(actor);
        json!({ "person": person, "instead_of": instead_of })
    };
    Value::from_iter(actors.into_iter().map(object)).to_string()
}

fn read_amenders(text: &str) -> Result<Vec<Actor>, String> {
    let read = |object: &Value| {
        let name = |key| object.get(key).and_then(Value::as_str);
        name("person").map(|person| actor(person, name("instead_of")))
    };
    let objects: Vec<Value> = serde_json::from_str(text)
        .map_err(|error| format!("who has amended it is no JSON array: {error}"))?;
    let actors = objects.iter().map(read);
    actors.map(|one| one.unwrap_or_else(|| Err("no person".to_owned()))).collect()
}

fn number(of: &str, found: i64) -> Result<u32, String> {
    u32::try_from(found).map_err(|_| format!("{found} is no {of}"))
}

fn id(text: String) -> Result<EventId, String> {
    EventId::try_from(text).map_err(|error| error.to_string())
}
