//! What a desk shows: stages with their counts, instances, and journals.

use chrono::{DateTime, Utc};

use super::waits_for::{DeadReply, WaitsFor};
use crate::workflow::Status;

/// How many instances stand at one stage of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageCount {
    /// The workflow.
    pub workflow: String,
    /// Where they stand with the step.
    pub status: Status,
    /// The step; an end has none.
    pub step: Option<String>,
    /// How many there are.
    pub instances: u64,
    /// When the one moved last that has not moved for longest.
    pub oldest: DateTime<Utc>,
    /// How many of them have a deadline that has passed: no clerk runs, none knows their
    /// table, or their turn fails.
    pub overdue: u64,
    /// How many of them a clerk could not move.
    pub failing: u64,
    /// How many of them ask a question that nobody may answer.
    pub for_nobody: u64,
}

/// An instance as people see it: everything but its data, and what approvals have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceView {
    /// The id.
    pub id: String,
    /// The workflow.
    pub workflow: String,
    /// The version of the table under which it was stored last.
    pub version: i64,
    /// How often it was stored.
    pub revision: i64,
    /// Where it stands with the step.
    pub status: Status,
    /// The step; an end has none.
    pub step: Option<String>,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When it moved last.
    pub moved_at: DateTime<Utc>,
    /// Until when it waits: of a question, the end of the level that is asked, by the
    /// desk's calendar. An end does not wait.
    pub due_at: Option<DateTime<Utc>>,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// The replies to the command that it listens for which are dead letters of the inbox,
    /// the oldest first: [`stuck`](super::Desk::stuck) and [`look`](super::Desk::look) find
    /// them.
    pub dead_replies: Vec<DeadReply>,
}

/// An instance with all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceHistory {
    /// Where it stands.
    pub instance: InstanceView,
    /// The entries of its journal, the oldest first.
    pub journal: Vec<PastEntry>,
}

/// An entry of a journal, in the words that are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastEntry {
    /// The number of the entry, from 1.
    pub entry: i64,
    /// The revision of the row after it.
    pub revision: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What moved the instance: a [`Cause`](crate::workflow::Cause).
    pub what: String,
    /// The step that it was at; none where it began.
    pub step: Option<String>,
    /// Where it led.
    pub status: Status,
    /// The step that it led to; an end has none.
    pub to_step: Option<String>,
    /// Source and id of the event that caused it, where one did.
    pub event: Option<(String, String)>,
    /// The ids of the events that left with it.
    pub commands: Vec<String>,
    /// The person, where one did it.
    pub by: Option<String>,
    /// The role that they decided in, where it takes one.
    pub role: Option<String>,
    /// In whose place.
    pub instead_of: Option<String>,
    /// Their reason.
    pub reason: Option<String>,
    /// When they decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// The steps that stay done, where a person gave the instance up.
    pub standing: Vec<String>,
    /// The version of the table under which it was written, where that is known.
    pub version: Option<i64>,
}
