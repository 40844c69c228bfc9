//! A reply is received in the inbox's transaction of SQLite.

use super::rows::write_entry;
use super::step::{find_record, store_step};
use crate::Envelope;
use crate::inbox::HandlerError;
use crate::outbox::sqlite::OpenTransaction;
use crate::state::Acknowledged;
use crate::store::error::Doing;
use crate::store::sqlite::{now, still_open};
use crate::trace::{Mover, StepSpan};
use crate::workflow::durable::journal::EntryRow;
use crate::workflow::durable::receiving::{addressed, late, verdict};
use crate::workflow::durable::{LOADING, STORING, StepError, WorkflowConfig};
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
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::order_to_cash;
/// # use integration_automation_patterns::broker::Delivery;
/// # use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
/// # use std::time::Duration;
/// use integration_automation_patterns::inbox::{self, Handled, InboxConfig};
/// use integration_automation_patterns::workflow::{WorkflowConfig, sqlite};
///
/// # let mut crm = rusqlite::Connection::open_in_memory()?;
/// # inbox::sqlite::install(&mut crm)?;
/// # sqlite::install(&mut crm)?;
/// # let week = Duration::from_secs(7 * 24 * 60 * 60);
/// # let inbox_config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
/// # let stray = Envelope::builder("crm", RawEvent::new("crm.credit.reserved", b"{}"));
/// # let delivery = Delivery::new(stray.correlation_id("import-7").build()?, ());
/// let config = WorkflowConfig::default();
/// let receive = |transaction: &rusqlite::Transaction<'_>, reply: &_| {
///     sqlite::receive::<order_to_cash::This, _>(transaction, reply, &config).map(drop)
/// };
/// let handled = inbox::sqlite::process(&mut crm, delivery, &inbox_config, receive)?;
/// // This one answers nothing: it is not discarded, and waits for a person.
/// assert!(matches!(handled, Handled::DeadLettered(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn receive<W: Driven, T: OpenTransaction>(
    transaction: &T,
    event: &Envelope<Acknowledged>,
    config: &WorkflowConfig,
) -> Result<Received, HandlerError> {
    let to = addressed::<W>(event)?;
    let connection = transaction.connection();
    still_open(connection, LOADING)?;
    let found = find_record(connection, to.instance())?;
    match verdict::<W>(found, &to, event)? {
        Verdict::Moved(step) => {
            let now = now(connection).doing(STORING)?;
            let step = config.put(step).write(now, config.hours());
            let step = step.map_err(StepError::from)?;
            let moved = (Mover::Program, Some(&**event));
            store_step(transaction, step, moved, now)?.record(config.trail());
            Ok(Received::Moved)
        }
        Verdict::Late(at, entry) => {
            let (_, standing) = W::standing(at);
            let now = now(connection).doing(STORING)?;
            let entry = EntryRow::of_late(entry, &standing, event, now);
            let id = to.instance();
            let span = StepSpan::begin(Mover::Program, W::NAME, id, "{}");
            span.in_scope(|| write_entry(connection, &id.to_string(), &entry))
                .doing(STORING)?;
            span.end(entry.to_step.as_deref().unwrap_or_default(), entry.what.as_str());
            late(event, config, now);
            Ok(Received::Late)
        }
    }
}
