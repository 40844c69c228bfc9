//! An event that comes before its turn: the inbox holds it, if there is room.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::ByKey;
use super::turn::{Before, Turn, after, looked_at, turn};
use crate::broker::{Delivery, as_sent};
use crate::crash_point::crash_point;
use crate::inbox::batch::Taken;
use crate::inbox::entry::{Entry, LastAttempt};
use crate::inbox::intake::received;
use crate::inbox::reply::{Done, Reply};
use crate::inbox::{Handled, InboxConfig};
use crate::state::Acknowledged;
use crate::store::Row;
use crate::{
    DeliveryStatus, Envelope, Facts, Failure, FailureClass, RawEvent, Record, RetryPolicy,
};

/// How long the broker waits before it delivers an event again that the inbox has no
/// room to hold.
const NO_ROOM: Duration = Duration::from_secs(5);

/// An event that names its predecessor, and the order that a worker keeps.
pub(crate) struct Early<'e> {
    event: &'e Facts<RawEvent>,
    after: &'e str,
    order: &'e ByKey,
}

impl<'e> Early<'e> {
    /// `None` if the event waits for nothing, or the inbox does not admit it.
    pub(crate) fn of(
        event: &'e Facts<RawEvent>,
        config: &InboxConfig,
        order: Option<&'e ByKey>,
    ) -> Option<Self> {
        let (order, after) = (order?, after(event)?);
        let is_admitted = config.refusal(event).is_none();
        is_admitted.then_some(Self { event, after, order })
    }

    /// The id of the event that it waits for.
    pub(crate) const fn after(&self) -> &'e str {
        self.after
    }

    /// Whether its turn has not come.
    pub(crate) fn waits(&self, before: Before) -> bool {
        turn(Some(self.order), before, Duration::ZERO) == Turn::NotYet
    }

    /// The most events that the inbox holds.
    pub(crate) const fn room(&self) -> usize {
        self.order.hold
    }

    /// Its row, and when the worker looks at it; `None` if the event cannot be stored.
    pub(crate) fn entry(&self, at: DateTime<Utc>) -> Option<Entry> {
        Some(Entry {
            row: held_row(self.event, self.after, at)?,
            last_attempt: LastAttempt::Uncounted,
            due_at: Some(looked_at(Some(self.order), at)),
        })
    }
}

pub(super) fn held_row(
    event: &Facts<RawEvent>,
    after: &str,
    at: DateTime<Utc>,
) -> Option<Row> {
    let failure = Failure {
        class: FailureClass::Transient,
        reason: format!("{after} comes before it, of the same ordering key"),
        at,
    };
    let record = Record {
        status: DeliveryStatus::Retrying,
        attempts: 1,
        failure: Some(failure),
        // The sender's policy may leave it no attempt; the inbox applies its own.
        retry_policy: RetryPolicy::DEFAULT,
        ..as_sent(event).ok()?.to_record()
    };
    Some(Row::of_record(record))
}

/// What the inbox does with a delivery whose turn has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBack {
    /// It holds the event.
    Held,
    /// It has no room for the event.
    NoRoom,
}

impl HeldBack {
    /// Reports it, once it is committed.
    pub(crate) fn report<A>(
        self,
        delivery: Delivery<A>,
        config: &InboxConfig,
    ) -> Handled<A> {
        let (event, reply) = received(delivery, config);
        match self {
            Self::Held => {
                crash_point("after an event is held");
                Handled::Held(reply.held(&event))
            }
            Self::NoRoom => Handled::RetryLater(reply.left(&event, NO_ROOM)),
        }
    }

    /// The same in a batch, which reports it later.
    pub(crate) fn taken<A>(
        self,
        event: Envelope<Acknowledged>,
        reply: Reply<A>,
    ) -> Taken<A> {
        match self {
            Self::Held => Taken::Held(event, reply),
            Self::NoRoom => Taken::Done(Done::RetryLater(event, NO_ROOM), reply),
        }
    }
}
