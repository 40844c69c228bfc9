//! A batch: many deliveries in one transaction, each handler behind a savepoint of its
//! own. What is decided of them is reported when the whole is committed, or undone, and
//! then each is handled alone.

use std::time::Duration;

use super::failing::Outcome;
use super::reply::{Done, Reply};
use super::{Handled, Receipt};
use crate::Envelope;
use crate::broker::Delivery;
use crate::state::Acknowledged;
use crate::store::StoreError;

/// A batch that has lasted so long begins no further event: others wait for its locks.
pub(crate) const LONGEST: Duration = Duration::from_millis(250);

/// Its place among those that were taken together, and what it is.
pub(crate) type Placed<T> = (usize, T);

/// What becomes of a delivery, by its place.
pub(crate) type Settled<A> = Placed<Result<Handled<A>, StoreError>>;

/// What the open transaction has of one delivery.
pub(crate) enum Taken<A> {
    Handled(Envelope<Acknowledged>, Reply<A>),
    Failed(Outcome, Reply<A>),
    Held(Envelope<Acknowledged>, Reply<A>),
    Done(Done, Reply<A>),
}

impl<A> Taken<A> {
    /// The transaction is committed.
    pub(crate) fn report(self) -> Option<Handled<A>> {
        Some(match self {
            Self::Handled(event, reply) => Handled::Processed(reply.processed(event)),
            Self::Failed(outcome, reply) => outcome.report(reply),
            Self::Held(event, reply) => Handled::Held(reply.held(&event)),
            Self::Done(done, reply) => match reply.done::<()>(done) {
                Receipt::Duplicate(committed) => Handled::Duplicate(committed),
                Receipt::Forestalled(committed) => Handled::Forestalled(committed),
                Receipt::DeadLettered(committed) => Handled::DeadLettered(committed),
                Receipt::RetryLater(later) => Handled::RetryLater(later),
                Receipt::New(_) => return None,
            },
        })
    }

    /// The transaction is rolled back: the delivery, as it was. One of a dead letter is
    /// dropped, and comes again.
    pub(crate) fn undo(self) -> Option<Delivery<A>> {
        match self {
            Self::Handled(event, reply) | Self::Held(event, reply) => {
                reply.into_delivery(&event)
            }
            Self::Failed(outcome, reply) => reply.into_delivery(outcome.event()),
            Self::Done(
                Done::Duplicate(event)
                | Done::Forestalled(event)
                | Done::RetryLater(event, _),
                reply,
            ) => reply.into_delivery(&event),
            Self::Done(Done::DeadLetter, _) => None,
        }
    }
}

/// What a transaction has taken, and whether it is committed. What it has not begun stays
/// where it was.
pub(crate) struct Ended<A> {
    pub(crate) taken: Vec<Placed<Taken<A>>>,
    pub(crate) committed: bool,
}

impl<A> Ended<A> {
    /// Settles what is committed, and gives back what is to be handled alone.
    pub(crate) fn settle(
        self,
        settled: &mut Vec<Settled<A>>,
    ) -> Vec<Placed<Delivery<A>>> {
        let Self { taken, committed } = self;
        if committed {
            let report =
                |(place, taken): Placed<Taken<A>>| Some((place, Ok(taken.report()?)));
            settled.extend(taken.into_iter().filter_map(report));
            return Vec::new();
        }
        let undo = |(place, taken): Placed<Taken<A>>| Some((place, taken.undo()?));
        taken.into_iter().filter_map(undo).collect()
    }
}
