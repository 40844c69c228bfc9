//! What the program asks of a system's database, whichever it is.

use std::collections::{BTreeMap, BTreeSet};

use integration_automation_patterns::broker::{Ack, Delivery};
use integration_automation_patterns::inbox::{Handled, InboxConfig};
use integration_automation_patterns::outbox::{Admin, Store};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::sync::{
    Answer, Bases, ByPlace, Named, RecordBase, Refusal, Review,
};
use integration_automation_patterns::{Decision, Envelope, RawEvent, Refused};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Outcome;
use crate::contract::Change;
use crate::view::SYSTEMS;

/// The columns of a record, in the order of the tables; an absent value is an empty
/// field.
pub(crate) type Fields = BTreeMap<String, Option<String>>;

/// A record, and how often it has changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) revision: i64,
    pub(crate) fields: Fields,
}

/// The records of a system by their id.
pub(crate) type Rows = BTreeMap<String, Row>;

/// A field of a record.
pub(crate) type Cell = (String, String);

/// What is known in common of the fields: what was agreed, and what each system last had
/// of that.
pub(crate) type Agreed = BTreeMap<Cell, Bases<String>>;

/// What a system refused to take, with its words: the last of each field.
pub(crate) type Refusals = BTreeMap<Cell, Refusal<String>>;

/// What is known in common of a record as a whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    /// Whether it existed.
    pub(crate) base: RecordBase,
    /// Its revision in each system, when they were compared last.
    pub(crate) revisions: [i64; 2],
    /// How often one of them was found to have gone back: a restored backup.
    pub(crate) epoch: i64,
    /// The systems that show the past since, until what they own is decided on.
    pub(crate) back: [bool; 2],
}

/// What is known in common, as it is stored: by the names of the systems.
pub(crate) fn stored<T: ByPlace>(known: T) -> Outcome<String>
where
    Named<T>: Serialize,
{
    Ok(serde_json::to_string(&Named::of(known, SYSTEMS))?)
}

/// Reads what is known in common.
pub(crate) fn read_stored<T: ByPlace>(stored: &str) -> Outcome<T>
where
    Named<T>: DeserializeOwned,
{
    let named = serde_json::from_str::<Named<T>>(stored)?;
    Ok(named.by_place(SYSTEMS).map_err(Refused::into_cause)?)
}

/// What is stored beside the records, in the CRM's database.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) agreed: Agreed,
    pub(crate) known: BTreeMap<String, Known>,
    /// Fields that a person leaves different.
    pub(crate) left: BTreeMap<Cell, Answer<String>>,
    /// Fields whose answer is on its way to the ERP: it is not planned before it is there.
    pub(crate) under_way: BTreeSet<Cell>,
    /// Records that a person has taken out of the synchronisation.
    pub(crate) detached: BTreeSet<String>,
}

impl Memory {
    /// Keeps an answer that lasts, as it was stored.
    pub(crate) fn keep(
        &mut self,
        id: String,
        field: String,
        answer: &str,
    ) -> Outcome<()> {
        if field == RECORD {
            self.detached.insert(id);
        } else {
            self.left.insert((id, field), serde_json::from_str(answer)?);
        }
        Ok(())
    }
}

/// What a run has found out, to be stored.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) agreed: Agreed,
    pub(crate) known: BTreeMap<String, Known>,
    pub(crate) review: Vec<Review<String>>,
    /// Records that no system has any more: nothing is remembered of them.
    pub(crate) gone: Vec<String>,
    /// Answers that lasted until a system changed.
    pub(crate) expired: Vec<Cell>,
}

/// A record as it was when its event was made, to be announced only if it still is.
pub(crate) struct Announcement {
    pub(crate) record: String,
    pub(crate) revision: i64,
    pub(crate) event: Envelope<Pending>,
}

/// A person's answer, with all that follows from it: done in one transaction, or not at
/// all.
pub(crate) struct Order {
    /// The question as the person saw it, which must still stand.
    pub(crate) seen: Review<String>,
    /// The answer as it is kept, and whether it lasts.
    pub(crate) answer: String,
    pub(crate) decision: Decision,
    pub(crate) lasts: bool,
    /// What the CRM must show, and is to show then; a check where the two are the same.
    pub(crate) in_crm: Vec<Change>,
    /// What is known in common of the field from then on.
    pub(crate) bases: Option<Bases<String>>,
    /// What is done to the CRM's record as a whole.
    pub(crate) record: Option<WholeRecord>,
    /// What the ERP is to do.
    pub(crate) event: Option<Envelope<Pending, RawEvent>>,
}

/// What an answer does to a whole record in the CRM.
pub(crate) enum WholeRecord {
    Insert(Fields),
    Delete,
}

/// The database of one system: its records, its outbox and its inbox, and what it
/// refused; in the CRM's, the memory, the review queue and the answers too.
pub(crate) trait Database: Send + Sync + Clone + 'static {
    type Outbox: Store + Admin + Clone;

    fn outbox(&self) -> &Self::Outbox;
    /// Fills an empty table.
    fn seed(
        &mut self,
        rows: Rows,
        agreed: Agreed,
    ) -> impl Future<Output = Outcome<()>> + Send;
    fn rows(&mut self) -> impl Future<Output = Outcome<Rows>> + Send;
    /// What the system refused, which stands at this place among the two.
    fn refusals(
        &mut self,
        place: usize,
    ) -> impl Future<Output = Outcome<Refusals>> + Send;
    fn memory(&mut self) -> impl Future<Output = Outcome<Memory>> + Send;
    /// The questions, as they were put.
    fn questions(&mut self) -> impl Future<Output = Outcome<Vec<Review<String>>>> + Send;
    /// Enqueues each event in the transaction that checks its record, and that stores
    /// what is agreed by it and known of the records; says how many are new.
    fn announce(
        &mut self,
        announcements: Vec<Announcement>,
        agreed: Agreed,
        known: BTreeMap<String, Known>,
    ) -> impl Future<Output = Outcome<usize>> + Send;
    /// Carries out an answer in the transaction that stores it; says whether its question
    /// still stood, and the CRM showed what it did then.
    fn answer(&mut self, order: Order) -> impl Future<Output = Outcome<bool>> + Send;
    /// Has the effect of a delivery, once.
    fn apply<A: Ack + 'static>(
        &mut self,
        delivery: Delivery<A>,
        inbox_config: &InboxConfig,
    ) -> impl Future<Output = Outcome<Handled<A>>> + Send;
    /// How many events of other systems were dealt with, for good.
    fn handled(&mut self) -> impl Future<Output = Outcome<u64>> + Send;
    /// Stores what the run has found out.
    fn close(&mut self, findings: Findings) -> impl Future<Output = Outcome<()>> + Send;
}

/// The tables beside the records, with the type of a text; the same for both databases.
pub(crate) fn tables(columns: &str, integer: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS record (id text PRIMARY KEY, revision {integer} NOT NULL{columns});
         CREATE TABLE IF NOT EXISTS refusal (id text, field text, value text, shown text, why text NOT NULL, PRIMARY KEY (id, field));
         CREATE TABLE IF NOT EXISTS agreed (id text, field text, bases text NOT NULL, PRIMARY KEY (id, field));
         CREATE TABLE IF NOT EXISTS known (id text PRIMARY KEY, base text NOT NULL, crm {integer} NOT NULL, erp {integer} NOT NULL, epoch {integer} NOT NULL, crm_back boolean NOT NULL, erp_back boolean NOT NULL);
         CREATE TABLE IF NOT EXISTS review (id text, field text, question text NOT NULL, seen text NOT NULL, PRIMARY KEY (id, field));
         CREATE TABLE IF NOT EXISTS answer (id text NOT NULL, field text NOT NULL, answer text NOT NULL, decided_by text NOT NULL, reason text NOT NULL, lasts boolean NOT NULL, under_way boolean NOT NULL);"
    )
}

/// How the tables name the record as a whole, where others stand with a field.
pub(crate) const RECORD: &str = "(record)";

/// The field of a question, as the tables name it.
pub(crate) fn field_of(row: &Review<String>) -> &str {
    row.field.as_deref().unwrap_or(RECORD)
}
