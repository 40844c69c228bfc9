//! `Undo`: what a participant finds of the step that it is to undo.

use chrono::{DateTime, Utc};

use crate::inbox::{Forestalled, HandlerError};
use crate::workflow::durable::dated::begun_at;
use crate::workflow::durable::receiving::correlation;
use crate::{EventId, Facts, RawEvent};

/// What a participant finds of the step that a command is to undo, or to forestall, or to
/// do once more. The list is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a step that was done is yet to be undone"]
pub enum Undo {
    /// The step's command was processed here: undo what it did. It may have been refused,
    /// and then there is nothing to undo.
    Of,
    /// The step's command was not processed here, and never will be once this transaction
    /// is committed: there is nothing to undo.
    Nothing,
    /// The instance is older than the inbox remembers, and the inbox has nothing of the
    /// command: fail the handler for good, so that a person looks.
    Forgotten,
}

/// The commands that an event takes the place of, and since when they can have been sent.
///
/// # Errors
///
/// A permanent one, where the event is no command of a workflow.
pub(super) fn superseded(
    event: &Facts<RawEvent>,
) -> Result<(Vec<EventId>, DateTime<Utc>), HandlerError> {
    let commands = correlation(event)?.supersedes().collect();
    Ok((commands, begun_at(event)))
}

/// What all the answers of an inbox come to.
pub(super) fn found(answers: &[Forestalled]) -> Undo {
    if answers.contains(&Forestalled::WasDone) {
        Undo::Of
    } else if answers.contains(&Forestalled::Forgotten) {
        Undo::Forgotten
    } else {
        Undo::Nothing
    }
}
