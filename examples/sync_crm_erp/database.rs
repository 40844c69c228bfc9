//! What the program asks of a system's database, whichever it is.

use std::collections::BTreeMap;

use integration_automation_patterns::broker::{Ack, Delivery};
use integration_automation_patterns::inbox::{Handled, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::{Admin, Store};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, Event, Facts, RawEvent};

use crate::Outcome;
use crate::contract::{Change, RecordChanged, RecordCreated};

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

/// The last common state: the agreed value of a field of a record.
pub(crate) type Agreed = BTreeMap<(String, String), Option<String>>;

/// A row of the review queue: record, field, question, and what the systems say.
pub(crate) type Review = [String; 5];

/// A record as it was when its event was made, to be announced only if it still is.
pub(crate) struct Announcement {
    pub(crate) record: String,
    pub(crate) revision: i64,
    pub(crate) event: Envelope<Pending>,
}

/// The database of one system: its records, its outbox and its inbox; in the CRM's, the
/// common state and the review queue too.
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
    fn agreed(&mut self) -> impl Future<Output = Outcome<Agreed>> + Send;
    /// Enqueues each event in the transaction that checks its record; says how many are
    /// new.
    fn announce(
        &mut self,
        announcements: Vec<Announcement>,
    ) -> impl Future<Output = Outcome<usize>> + Send;
    /// Has the effect of a delivery, once.
    fn apply<A: Ack + 'static>(
        &mut self,
        delivery: Delivery<A>,
        inbox_config: &InboxConfig,
    ) -> impl Future<Output = Outcome<Handled<A>>> + Send;
    /// How many events of other systems were dealt with, for good.
    fn handled(&mut self) -> impl Future<Output = Outcome<u64>> + Send;
    /// Stores the common state and the review queue, as they are now.
    fn close(
        &mut self,
        agreed: Agreed,
        review: Vec<Review>,
    ) -> impl Future<Output = Outcome<()>> + Send;
}

/// What an event does to a record: the fields to set. A field that shows something else
/// than expected is left, and is planned again by the next run.
pub(crate) fn effect(
    event: &Facts<RawEvent>,
    row: Option<&Row>,
) -> Result<(String, Fields), HandlerError> {
    let unreadable = |error: serde_json::Error| {
        HandlerError::permanent(format!("the payload is not as its type says: {error}"))
    };
    let payload = event.payload().bytes();
    if event.event_type() == RecordCreated::TYPE {
        let RecordCreated { record, fields } =
            serde_json::from_slice(payload).map_err(unreadable)?;
        let fields =
            if row.is_some() { Fields::new() } else { fields.into_iter().collect() };
        return Ok((record, fields));
    }
    let RecordChanged { record, changes } =
        serde_json::from_slice(payload).map_err(unreadable)?;
    let Some(row) = row else {
        return Err(HandlerError::permanent(format!("the record {record} is not here")));
    };
    let expected =
        |change: &Change| row.fields.get(&change.field) == Some(&change.expects);
    let unknown = changes.iter().find(|change| !row.fields.contains_key(&change.field));
    if let Some(change) = unknown {
        return Err(HandlerError::permanent(format!(
            "the field {:?} is not here",
            change.field
        )));
    }
    Ok((
        record,
        changes
            .into_iter()
            .filter(expected)
            .map(|change| (change.field, change.value))
            .collect(),
    ))
}

/// The record that an event is about.
pub(crate) fn record_of(event: &Facts<RawEvent>) -> String {
    event.ordering_key().unwrap_or_default().to_owned()
}
