//! A reply to a workflow: which command it answers, and what it does to the instance.

use crate::inbox::HandlerError;
use crate::reason::reason;
use crate::state::Acknowledged;
use crate::workflow::{
    Correlation, Driven, InstanceRecord, ReceiveError, Verdict, Workflow,
};
use crate::{Envelope, Facts, RawEvent, Refused};

/// The command that an event answers.
///
/// # Errors
///
/// A permanent one, where it answers no command of this workflow.
pub(super) fn addressed<W: Workflow>(
    event: &Envelope<Acknowledged>,
) -> Result<Correlation, HandlerError> {
    let correlation = correlation(event)?;
    if correlation.workflow() == W::NAME {
        return Ok(correlation);
    }
    let found = correlation.workflow().to_owned();
    Err(permanent(&ReceiveError::OtherWorkflow { wanted: W::NAME, found }))
}

/// The command that an event answers, or the one that it is.
pub(super) fn correlation(event: &Facts<RawEvent>) -> Result<Correlation, HandlerError> {
    let text = event.correlation_id().unwrap_or_default();
    text.parse().map_err(|error| permanent(&ReceiveError::Correlation(error)))
}

/// What a reply does to the instance that a store has found.
///
/// # Errors
///
/// A permanent one, where there is no such instance, or the reply cannot be taken; a
/// transient one, where this program cannot read the row, which a newer one may.
pub(super) fn verdict<W: Driven>(
    found: Option<InstanceRecord>,
    to: &Correlation,
    event: &Envelope<Acknowledged>,
) -> Result<Verdict<W>, HandlerError> {
    let record = found.ok_or_else(|| {
        permanent(&ReceiveError::NoSuchInstance { found: to.instance().clone() })
    })?;
    let at = W::rehydrate(record).map_err(Refused::into_cause)?;
    let answered = W::reply(at, to, event.payload());
    answered.map_err(|refused| permanent(&ReceiveError::Reply(refused.into_cause())))
}

/// No other attempt finds it otherwise.
fn permanent(error: &ReceiveError) -> HandlerError {
    HandlerError::permanent(reason(error))
}
