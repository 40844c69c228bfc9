//! What an event does to a record of the system that it goes to.

use integration_automation_patterns::inbox::HandlerError;
use integration_automation_patterns::sync::Contract;
use integration_automation_patterns::{Event, Facts, RawEvent};

use crate::contract::{Change, RecordChanged, RecordCreated, RecordDeleted, contract};
use crate::database::{Fields, Row};
use crate::reason::chain;

/// What is to be done. A field that shows something else than expected is left, and is
/// planned again by the next run.
pub(crate) enum Effect {
    Nothing,
    Insert { record: String, fields: Fields },
    Update { record: String, changes: Vec<Change> },
    Delete { record: String },
}

/// The effect of an event on a record as it stands.
pub(crate) fn effect(
    event: &Facts<RawEvent>,
    row: Option<&Row>,
) -> Result<Effect, HandlerError> {
    let (sender, contract) = (event.source_system(), contract());
    let contract = contract.map_err(|error| HandlerError::permanent(chain(&*error)))?;
    if !contract.systems().any(|system| system == sender) {
        let who = format!("{sender:?} is no party to the contract");
        return Err(HandlerError::permanent(who));
    }
    match event.event_type() {
        RecordCreated::TYPE => {
            let RecordCreated { record, fields } = read(event)?;
            let fields = fields.into_iter().collect();
            Ok(if row.is_some() {
                Effect::Nothing
            } else {
                Effect::Insert { record, fields }
            })
        }
        RecordDeleted::TYPE => {
            let RecordDeleted { record, expects, decision: _ } = read(event)?;
            let is_as_expected = row.is_some_and(|row| {
                expects.iter().all(|(field, value)| row.fields.get(field) == Some(value))
            });
            Ok(if is_as_expected { Effect::Delete { record } } else { Effect::Nothing })
        }
        _ => changed(&contract, sender, read(event)?, row),
    }
}

/// What the sender may not write is not written: it would come back as an edit that this
/// system has made.
fn changed(
    contract: &Contract,
    sender: &str,
    RecordChanged { record, changes, decision }: RecordChanged,
    row: Option<&Row>,
) -> Result<Effect, HandlerError> {
    let Some(row) = row else {
        return Err(HandlerError::permanent(format!("the record {record} is not here")));
    };
    for Change { field, .. } in &changes {
        let may = contract.check_sender(sender, field, decision.as_ref());
        may.map_err(|error| HandlerError::permanent(error.to_string()))?;
    }
    let is_expected =
        |change: &Change| row.fields.get(&change.field) == Some(&change.expects);
    let changes = changes.into_iter().filter(is_expected).collect();
    Ok(Effect::Update { record, changes })
}

fn read<P: serde::de::DeserializeOwned>(
    event: &Facts<RawEvent>,
) -> Result<P, HandlerError> {
    serde_json::from_slice(event.payload().bytes()).map_err(|error| {
        HandlerError::permanent(format!("the payload is not as its type says: {error}"))
    })
}

/// The record that an event is about.
pub(crate) fn record_of(event: &Facts<RawEvent>) -> String {
    event.ordering_key().unwrap_or_default().to_owned()
}

/// The fields of a new record, as changes of one that is empty.
pub(crate) fn all_new(fields: Fields) -> Vec<Change> {
    let change = |(field, value)| Change { field, expects: None, value };
    fields.into_iter().map(change).collect()
}
