//! A participant finds what it is to undo, in its own transaction of PostgreSQL.

use crate::inbox::postgres::forestall;
use crate::inbox::{HandlerError, InboxConfig};
use crate::outbox::postgres::OpenTransaction;
use crate::workflow::durable::Undo;
use crate::workflow::durable::undo::{found, superseded};
use crate::{Facts, RawEvent};

/// What a participant finds of the step that a command undoes, in the transaction that
/// handles the command. A step that was not done never will be; one that is being done is
/// waited for.
///
/// Call it in the handler of every undo, of every
/// [`Forestall`](crate::workflow::Forestall), and of every command that may be asked
/// again; then [`answer`](crate::workflow::answer).
///
/// # Errors
///
/// A permanent one where the event is no command of a workflow; what the database
/// answers.
pub async fn undoing<T: OpenTransaction<Via>, Via>(
    transaction: &T,
    command: &Facts<RawEvent>,
    config: &InboxConfig,
) -> Result<Undo, HandlerError> {
    let (commands, since) = superseded(command)?;
    let (transaction, source) = (transaction.transaction(), command.source_system());
    let mut answers = Vec::new();
    for id in commands {
        answers.push(forestall(transaction, source, &id, since, config).await?);
    }
    Ok(found(&answers))
}
