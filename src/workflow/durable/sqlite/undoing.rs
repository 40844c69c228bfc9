//! A participant finds what it is to undo, in its own transaction of SQLite.

use crate::inbox::sqlite::forestall;
use crate::inbox::{HandlerError, InboxConfig};
use crate::outbox::sqlite::OpenTransaction;
use crate::workflow::durable::Undo;
use crate::workflow::durable::undo::{found, superseded};
use crate::{Facts, RawEvent};

/// What a participant finds of the step that a command undoes, in the transaction that
/// handles the command. A step that was not done never will be.
///
/// Call it in the handler of every undo, of every
/// [`Forestall`](crate::workflow::Forestall), and of every command that may be asked
/// again; then [`answer`](crate::workflow::answer).
///
/// # Errors
///
/// A permanent one where the event is no command of a workflow; what the database
/// answers.
///
/// ```
/// use integration_automation_patterns::broker::Delivery;
/// use integration_automation_patterns::inbox::{self, InboxConfig};
/// use integration_automation_patterns::workflow::{Undo, sqlite};
/// # use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
/// # use std::time::Duration;
///
/// # let mut erp = rusqlite::Connection::open_in_memory()?;
/// # inbox::sqlite::install(&mut erp)?;
/// # let week = Duration::from_secs(7 * 24 * 60 * 60);
/// # let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
/// # let instance = "order_to_cash/0a4ff2b8-5e0c-5d7c-9c52-7f6c1dbd2b5e";
/// # let free = Envelope::builder("order_to_cash", RawEvent::new("erp.stock.free", b"{}"));
/// # let free = free.tag("begunat", chrono::Utc::now().to_rfc3339());
/// # let free = free.correlation_id(format!("{instance}/hold_stock/undo")).build()?;
/// let mut found = None;
/// inbox::sqlite::process(&mut erp, Delivery::new(free, ()), &config, |erp, command| {
///     let undo = sqlite::undoing(erp, command, &config)?;
///     if undo == Undo::Of {
///         erp.execute("DELETE FROM hold WHERE instance = ...", [])?;
///     }
///     found = Some(undo);
///     Ok(()) // and the answer, by the outbox of this transaction
/// })?;
/// assert_eq!(found, Some(Undo::Nothing), "the stock was never held, and never will be");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn undoing<T: OpenTransaction>(
    transaction: &T,
    command: &Facts<RawEvent>,
    config: &InboxConfig,
) -> Result<Undo, HandlerError> {
    let (commands, since) = superseded(command)?;
    let source = command.source_system();
    let mut answers = Vec::new();
    for id in commands {
        answers.push(forestall(transaction, source, &id, since, config)?);
    }
    Ok(found(&answers))
}
