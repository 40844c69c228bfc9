//! How an instance stands in the columns of its tables, whichever the database: the one
//! place that knows both forms.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::EventId;
use crate::workflow::excerpt::excerpt;
use crate::workflow::{
    Actor, Clearance, InstanceRecord, Person, Question, Seen, Status, Vote,
};

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
                    let wanted = "a vote for an approval that is asked or cleared";
                    return Err(other(wanted, &vote.approval));
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
            _ => {
                let found = open.len();
                return Err(format!(
                    "wanted votes for a question, and found {found} for none"
                ));
            }
        };
        Ok(InstanceRecord {
            workflow: row.workflow,
            version: number("version", row.version)?,
            fingerprint: u64::from_str_radix(&row.fingerprint, 16).map_err(|_| {
                other("a fingerprint of 16 hexadecimal digits", &row.fingerprint)
            })?,
            id: id("an id", row.id)?,
            revision: u64::try_from(row.revision).map_err(|_| {
                format!("wanted a revision from 1, and found {}", row.revision)
            })?,
            status: read_status(&row.status)?,
            step: row.step,
            awaits: row.awaits.map(|text| id("the id of a command", text)).transpose()?,
            due_at: row.due_at,
            round: number("round", row.round)?,
            question,
            cleared,
            requested_by: row
                .requested_by
                .map(|person| {
                    actor("who began it", &person, row.requested_instead_of.as_deref())
                })
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
            .map_err(|_| other("16 hexadecimal digits of what was seen", &self.seen))?;
        Ok(Vote {
            actor: actor("who votes", &self.person, self.instead_of.as_deref())?,
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

fn actor(who: &str, person: &str, instead_of: Option<&str>) -> Result<Actor, String> {
    let no_name = |name| other(&format!("the name of {who}"), name);
    let named = |name| Person::new(name).map_err(|_| no_name(name));
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
        actor("who has amended it", name("person")?, name("instead_of")).ok()
    };
    let objects = serde_json::from_str::<Vec<Value>>(text).ok();
    let actors = objects.and_then(|objects| objects.iter().map(read).collect());
    actors.ok_or_else(|| {
        other("a JSON array of those who have amended it, each with a name", text)
    })
}

fn number(of: &str, found: i64) -> Result<u32, String> {
    let most = u32::MAX;
    u32::try_from(found)
        .map_err(|_| format!("wanted a {of} from 0 to {most}, and found {found}"))
}

/// A status, as a row or a journal names it.
pub(super) fn read_status(text: &str) -> Result<Status, String> {
    text.parse().map_err(|_| other("a status of a workflow", text))
}

fn id(wanted: &str, text: String) -> Result<EventId, String> {
    EventId::try_from(text.clone())
        .map_err(|error| format!("{}: {error}", other(wanted, &text)))
}

/// What is wrong with a column that is another one's: never what an instance is about.
pub(super) fn other(wanted: &str, found: &str) -> String {
    format!("wanted {wanted}, and found {}", excerpt(found))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    /// A change of one column, and what is said of it.
    type Case = (fn(&mut Rows), &'static str);

    fn rows() -> Rows {
        let instance = InstanceRow {
            id: "0195".to_owned(),
            workflow: "order_to_cash".to_owned(),
            version: 1,
            fingerprint: "00000000000000ff".to_owned(),
            revision: 3,
            status: "awaiting".to_owned(),
            step: Some("over_limit".to_owned()),
            awaits: None,
            due_at: Some(DateTime::UNIX_EPOCH),
            round: 1,
            level: Some(0),
            reminded: Some(false),
            for_nobody: Some(false),
            shown: Some(b"s3cr3t".to_vec()),
            requested_by: Some("anna".to_owned()),
            requested_instead_of: None,
            data: b"s3cr3t".to_vec(),
            tags: "{}".to_owned(),
            amended_by: "[]".to_owned(),
        };
        let vote = VoteRow {
            approval: "over_limit".to_owned(),
            person: "carl".to_owned(),
            instead_of: None,
            role: "controller".to_owned(),
            reason: "fine".to_owned(),
            at: DateTime::UNIX_EPOCH,
            seen: "00000000000000ff".to_owned(),
        };
        Rows { instance, votes: vec![vote], cleared: Vec::new() }
    }

    /// Protects the operator from a row that is refused without a word of what is in it,
    /// and everybody else from all that is in it.
    #[test]
    fn each_malformed_column_says_what_was_found_and_never_the_data() {
        assert!(rows().read().is_ok());
        let cases: [Case; 15] = [
            (|rows| rows.instance.version = -1, "found -1"),
            (|rows| rows.instance.fingerprint = "x".repeat(99), "\u{2026}\""),
            (|rows| rows.instance.revision = -2, "from 1, and found -2"),
            (|rows| rows.instance.status = "waiting".into(), "found \"waiting\""),
            (|rows| rows.instance.id = String::new(), "wanted an id, and found \"\""),
            (|rows| rows.instance.awaits = Some(String::new()), "command, and found"),
            (|rows| rows.instance.round = 1 << 40, "found 1099511627776"),
            (|rows| rows.instance.level = Some(-3), "wanted a level from 0"),
            (|rows| rows.instance.level = None, "found 1 for none"),
            (|rows| rows.instance.requested_by = Some(" ".into()), "who began it"),
            (|rows| rows.instance.amended_by = "carl".into(), "found \"carl\""),
            (|rows| rows.instance.amended_by = "[1]".into(), "found \"[1]\""),
            (|rows| rows.votes[0].person = "\t".into(), "who votes, and found \"\\t\""),
            (|rows| rows.votes[0].seen = "much".into(), "found \"much\""),
            (|rows| rows.votes[0].approval = "sum".into(), "found \"sum\""),
        ];
        for (change, wanted) in cases {
            let mut rows = rows();
            change(&mut rows);
            let said = rows.read().unwrap_err();
            assert!(said.starts_with("wanted ") && said.contains(wanted), "{said}");
            assert!(said.len() < 200 && !said.contains("s3cr3t"), "{said}");
        }
    }
}
