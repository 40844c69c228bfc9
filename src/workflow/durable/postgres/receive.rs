//! A reply is received in the inbox's transaction of PostgreSQL.

use super::rows::write_entry;
use super::step::{Found, find_record, store_step};
use crate::Envelope;
use crate::inbox::HandlerError;
use crate::outbox::postgres::OpenTransaction;
use crate::state::Acknowledged;
use crate::store::error::Doing;
use crate::trace::{Mover, StepSpan};
use crate::workflow::durable::journal::EntryRow;
use crate::workflow::durable::receiving::{addressed, late, verdict};
use crate::workflow::durable::{STORING, StepError, WorkflowConfig};
use crate::workflow::{Driven, Received, Verdict};

/// Receives a reply, as the handler of an inbox: the instance that awaits it moves, in the
/// transaction that remembers the reply. One that is not awaited any more is an entry of
/// the journal, and no error.
///
/// One consumer takes the replies to all steps of a workflow.
///
/// # Errors
///
/// A permanent one where the event answers no command of this workflow, or cannot be
/// read: a dead letter, for a person to look at.
pub async fn receive<W: Driven, T: OpenTransaction<Via>, Via>(
    transaction: &T,
    event: &Envelope<Acknowledged>,
    config: &WorkflowConfig,
) -> Result<Received, HandlerError> {
    let to = addressed::<W>(event)?;
    let transaction = transaction.transaction();
    let (at, found) = find_record(transaction, to.instance()).await?;
    let (place, record) = found.map(|Found { place, record }| (place, record)).unzip();
    let received = match verdict::<W>(record, &to, event)? {
        Verdict::Moved(step) => {
            let step = config.put(step).write(at, config.hours());
            Ok(step.map_err(StepError::from)?)
        }
        Verdict::Late(at_stage, entry) => {
            let (_, standing) = W::standing(at_stage);
            Err(EntryRow::of_late(entry, &standing, event, at))
        }
    };
    match received {
        Ok(written) => {
            let moved = (Mover::Program, Some(&**event));
            let stored = store_step(transaction, written, moved, place, at).await?;
            stored.record(config.trail());
            Ok(Received::Moved)
        }
        Err(entry) => {
            let (id, step) = (to.instance(), entry.to_step.as_deref());
            let span = StepSpan::begin(Mover::Program, W::NAME, id, "{}");
            let id = id.to_string();
            let written = span.instrument(write_entry(transaction, &id, &entry));
            written.await.doing(STORING)?;
            span.end(step.unwrap_or_default(), entry.what.as_str());
            late(event, config, at);
            Ok(Received::Late)
        }
    }
}
