//! `Recalled`: what becomes of an event that is not to be sent any more, and the decision
//! about that.

use crate::{AnyEnvelope, Decision, DeliveryStatus};

/// What becomes of an event that is recalled. The list is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an event that is still out takes effect"]
pub enum Recalled {
    /// It is skipped, and will not be sent again once this transaction is committed.
    ///
    /// An event that was [`Retrying`](DeliveryStatus::Retrying) or
    /// [`Failed`](DeliveryStatus::Failed) may have arrived all the same: the answer to an
    /// attempt may have been lost. Its consumer can tell, and [forestall] it.
    ///
    /// [forestall]: crate::inbox
    Taken,
    /// A relay is sending it, or has sent it: it is in this state, and stays so.
    StillOut(DeliveryStatus),
    /// The outbox has no event of this id.
    NotThere,
}

/// What the outbox does with an event that is to be recalled.
pub(crate) enum Recall {
    /// It stores the event so.
    Skip(AnyEnvelope),
    /// It leaves the event as it is.
    Leave(Recalled),
}

/// Decides about an event that a person recalls, or a program for somebody.
pub(crate) fn recall(event: AnyEnvelope, decision: &Decision) -> Recall {
    match event {
        AnyEnvelope::Pending(event) => Recall::Skip(event.skip(decision.reason()).into()),
        AnyEnvelope::Retrying(event) => {
            Recall::Skip(event.skip(decision.reason()).into())
        }
        AnyEnvelope::Failed(event) => {
            Recall::Skip(event.discard(decision.clone()).into())
        }
        AnyEnvelope::Skipped(_) => Recall::Leave(Recalled::Taken),
        out => Recall::Leave(Recalled::StillOut(out.status())),
    }
}
