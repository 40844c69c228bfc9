//! `Recalled`: the outcome of a recall, which keeps an event from being sent.

use crate::{AnyEnvelope, Decision, DeliveryStatus};

/// The outcome of a recall. The list is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an event that is still out takes effect"]
pub enum Recalled {
    /// It is skipped, and will not be sent again once this transaction is committed.
    ///
    /// An event that was [`Retrying`](DeliveryStatus::Retrying) or
    /// [`Failed`](DeliveryStatus::Failed) may have arrived all the same, if the broker's
    /// confirmation was lost. Its consumer knows, and can [forestall] it.
    ///
    /// [forestall]: crate::inbox
    Taken,
    /// A relay is sending it or has sent it: it stays in this state.
    StillOut(DeliveryStatus),
    /// The outbox has no event of this id.
    NotThere,
}

/// What the outbox does with an event that is to be recalled.
pub(crate) enum Recall {
    /// It stores this skipped event.
    Skip(AnyEnvelope),
    /// It leaves the event as it is.
    Leave(Recalled),
}

/// Decides whether an event can still be recalled.
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
