//! What is decided of a delivery, apart from what finds and stores it: first, another
//! attempt, duplicate or dead letter; what its row becomes; and what the broker is told.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::config::was_unknown;
use super::handler_error::is_of_the_database;
use super::{Committed, Fresh, Handled, HandlerError, InboxConfig, Receipt, RetryLater};
use crate::audit::{Action, AuditTrail};
use crate::broker::Delivery;
use crate::hop::Hop;
use crate::reason::reason;
use crate::state::{Acknowledged, Failed, Processed};
use crate::store::{Row, Said};
use crate::store::{StoreError, storable};
use crate::{
    AfterFailure, AnyEnvelope, DeliveryStatus, Envelope, Facts, Failure, FailureClass,
    RawEvent, Record,
};

/// What is being done, in the words of an error.
pub(crate) const RECEIVING: &str = "receiving an event";
pub(crate) const HAVING: &str = "having an effect";
const COMMITTING: &str = "committing an effect";
pub(crate) const STORING: &str = "storing a fault";

/// The event of a delivery, received in this process, to be retried as its rules say; and
/// who hears what becomes of it.
pub(crate) fn received<A>(
    delivery: Delivery<A>,
    config: &InboxConfig,
) -> (Envelope<Acknowledged>, Received<'_, A>) {
    let hop = Hop::receive(&delivery);
    let (event, answer) = delivery.into_parts();
    (
        event.with_retry_policy(config.policy()).dispatch().acknowledge(),
        Received { answer, hop, config },
    )
}

/// Who hears what becomes of a delivery: the broker, the trace of its receipt, and the
/// trail of its rules. Each end gives the receipt for it.
pub(crate) struct Received<'r, A> {
    answer: A,
    hop: Hop,
    config: &'r InboxConfig,
}

impl<A> Received<'_, A> {
    pub(crate) fn first<Tx>(
        self,
        transaction: Tx,
        outermost: bool,
        event: Envelope<Acknowledged>,
    ) -> Receipt<Tx, A> {
        let (answer, hop, trail) =
            (self.answer, self.hop.process(&event), self.config.trail.clone());
        Receipt::New(Fresh { transaction, outermost, event, answer, hop, trail })
    }

    pub(crate) fn duplicate<Tx>(self, event: &Envelope<Acknowledged>) -> Receipt<Tx, A> {
        self.hop.end(Ok("duplicate"));
        self.config.tell(Action::Duplicate, event, event.status(), Utc::now());
        Receipt::Duplicate(Committed::new(self.answer))
    }

    pub(crate) fn left<Tx>(
        self,
        event: &Envelope<Acknowledged>,
        wait: Duration,
    ) -> Receipt<Tx, A> {
        self.hop.end(Ok("left"));
        self.config.tell(Action::Release, event, event.status(), Utc::now());
        Receipt::Left(RetryLater::new(self.answer, wait))
    }

    /// It was a dead letter before.
    pub(crate) fn known<Tx>(self) -> Receipt<Tx, A> {
        self.hop.end(Err("rejected"));
        Receipt::Rejected(Committed::new(self.answer))
    }

    /// It is stored as a dead letter, for the rules refuse it.
    pub(crate) fn refused<Tx>(
        self,
        dead: &AnyEnvelope,
        at: DateTime<Utc>,
    ) -> Receipt<Tx, A> {
        self.config.tell_fault(dead, at);
        self.known()
    }

    /// It is stored as a dead letter, for its attempts are spent.
    pub(crate) fn spent<Tx>(
        self,
        dead: &AnyEnvelope,
        at: DateTime<Utc>,
    ) -> Receipt<Tx, A> {
        self.hop.faulted(dead);
        self.config.tell_fault(dead, at);
        Receipt::Rejected(Committed::new(self.answer))
    }
}

/// Why an attempt failed whose end nobody saw.
const NEVER_ENDED: &str = "the consumer ended before its effect did";

/// What a delivery is whose event the inbox has met before.
pub(crate) enum Known {
    /// It was refused by rules that did not name it: for these, it is the first.
    Unknown,
    /// Another attempt, which is counted.
    Attempt(Envelope<Acknowledged>),
    /// The last attempt was its last.
    Spent(Envelope<Failed>),
    Duplicate,
}

impl Known {
    /// What the row of the event says; `begun`, where this delivery's attempt is counted
    /// in it.
    ///
    /// # Errors
    ///
    /// A row that is no event, and one that was there and is not any more: another
    /// consumer has taken back what it had begun, and the event comes again.
    pub(crate) fn of(
        row: Option<Row>,
        event: &Facts<RawEvent>,
        config: &InboxConfig,
        begun: bool,
    ) -> Result<Self, String> {
        let row = row.ok_or_else(|| {
            format!("another consumer had begun {} and took it back meanwhile: it is to come again", event.id())
        })?;
        if is_unknown(&row, event) {
            return Ok(Self::Unknown);
        }
        // Between the count and the effect, another consumer may have taken this attempt
        // for one that never ended.
        let mistaken = begun && row.status == "failed" && never_ended(&row);
        if row.status != "retrying" && !mistaken {
            return Ok(Self::Duplicate);
        }
        let failure = row.failure.clone();
        let failure = failure
            .ok_or_else(|| format!("the row of {} is to say what has failed", row.id))?;
        let last = last_attempt(row, config)?;
        if begun {
            return Ok(Self::Attempt(last));
        }
        Ok(match last.fail_at(failure.reason, failure.at) {
            AfterFailure::Retrying(event) => {
                Self::Attempt(event.dispatch().acknowledge())
            }
            AfterFailure::Failed(event) => Self::Spent(event),
        })
    }
}

/// What becomes of a delivery that the rules refuse.
pub(crate) enum TurnedAway {
    Duplicate,
    /// It is a dead letter, and is to be stored as one.
    DeadLettered,
    /// It is one already, or was given up.
    Known,
    /// It is left to a consumer that knows its kind, and comes again after this wait.
    Left(Duration),
}

impl TurnedAway {
    /// What the row of the event, where there is one, makes of it; and how long the rules
    /// leave it to others, where they do.
    pub(crate) fn of(
        row: Option<&Row>,
        event: &Facts<RawEvent>,
        leaves: Option<Duration>,
    ) -> Self {
        let is_done =
            row.is_some_and(|row| row.status != "retrying" && !is_unknown(row, event));
        match (row, leaves) {
            (Some(row), _) if row.status == "processed" => Self::Duplicate,
            (_, Some(wait)) if !is_done => Self::Left(wait),
            // What waits for another attempt is not waited for again: it is a dead letter
            // too.
            (Some(row), _) if row.status != "retrying" => Self::Known,
            _ => Self::DeadLettered,
        }
    }
}

fn is_unknown(row: &Row, event: &Facts<RawEvent>) -> bool {
    row.status == "failed"
        && row.failure.as_ref().is_some_and(|failure| was_unknown(event, &failure.reason))
}

fn never_ended(row: &Row) -> bool {
    row.failure.as_ref().is_some_and(|failure| failure.reason == NEVER_ENDED)
}

/// The event of a row as it was when its last attempt began.
fn last_attempt(
    row: Row,
    config: &InboxConfig,
) -> Result<Envelope<Acknowledged>, String> {
    let is_first = row.attempts <= 1 && row.redriven.is_none();
    let failure = row.failure.filter(|_| !is_first);
    let row =
        Row { status: DeliveryStatus::Acknowledged.as_str().to_owned(), failure, ..row };
    Ok(row.read_in::<Acknowledged>()?.with_retry_policy(config.policy()))
}

/// What is stored of an event before an attempt, and stays where the attempt never ends.
pub(crate) fn begun(
    event: Record,
    attempts: u32,
    config: &InboxConfig,
    at: DateTime<Utc>,
) -> Row {
    let failure =
        Failure { class: FailureClass::Transient, reason: NEVER_ENDED.to_owned(), at };
    Row::of_record(Record {
        status: DeliveryStatus::Retrying,
        attempts,
        retry_policy: config.policy(),
        failure: Some(failure),
        ..event
    })
}

/// An attempt that was counted before its effect, to be taken back where it turns out to
/// be none.
pub(crate) struct Begun {
    /// Its source system and id.
    pub(crate) event: (String, String),
    attempts: i64,
    /// What the inbox had of the event before.
    before: Option<Row>,
}

impl Begun {
    pub(crate) fn new(row: &Row, before: Option<Row>) -> Self {
        Self {
            event: (row.source_system.clone(), row.id.clone()),
            attempts: row.attempts,
            before,
        }
    }

    /// What the row is to be again, or that there is to be none; nothing where the
    /// attempt is not the last of the event.
    pub(crate) fn taken_back(&self, row: Option<Row>) -> Option<Option<Row>> {
        // Another consumer may have taken it for the last one, and for one that never
        // ended.
        let is_last = |row: Row| {
            row.attempts == self.attempts && never_ended(&row) && row.status != "skipped"
        };
        row.is_some_and(is_last).then(|| self.before.clone())
    }
}

/// Why an attempt has neither its effect nor its fault stored.
pub(crate) enum Unkept<A> {
    /// It is no fault of the event: nothing is to be stored.
    Told(StoreError),
    /// The fault is to be stored in a transaction of its own.
    Ended(Box<Ended<A>>),
}

impl<A> Unkept<A> {
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Told(error) => error,
            Self::Ended(ended) => ended.error,
        }
    }
}

/// An attempt whose transaction is over without its effect, and what is known of it
/// still.
pub(crate) struct Ended<A> {
    pub(crate) event: Envelope<Acknowledged>,
    pub(crate) answer: A,
    pub(crate) hop: Hop,
    pub(crate) trail: AuditTrail,
    pub(crate) fault: HandlerError,
    /// What is told where the fault is not stored.
    pub(crate) error: StoreError,
    /// Whether the transaction was not ended by the inbox. It may have been committed
    /// then, and the event with it.
    pub(crate) by_effect: bool,
}

/// What is said of an effect whose transaction is not the inbox's any more.
const ENDED: &str = "the transaction has ended already, by SQL of the effect or by a rollback that the database made: what \
     was committed by then stays, and where the event was among it, it comes again as a duplicate (leave BEGIN, COMMIT \
     and ROLLBACK to the inbox)";

/// An effect had gone well, and is not committed.
pub(crate) fn uncommitted<E>(error: E, by_effect: bool) -> (HandlerError, StoreError)
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let error = if by_effect {
        StoreError::new(COMMITTING, ENDED)
    } else {
        StoreError::new(COMMITTING, error)
    };
    (
        HandlerError {
            counts: !is_of_the_database(&error),
            ..HandlerError::transient(reason(&error))
        },
        error,
    )
}

/// A fault, and what is told of it where its effect has ended the transaction that it was
/// to be stored in.
pub(crate) fn told_of(fault: &HandlerError) -> StoreError {
    StoreError::new(STORING, format!("{ENDED}; the fault is: {}", fault.reason))
}

/// Tells a trail that an effect is committed, and before it, where a person had it tried
/// again, of that.
pub(crate) fn tell_processed(trail: &AuditTrail, event: &Envelope<Processed>) {
    tell_redriven(trail, event);
    trail.record(Action::Process, event, event.status(), Utc::now());
}

/// Tells a trail of a fault that is stored.
pub(crate) fn tell_fault(trail: &AuditTrail, event: &AnyEnvelope, at: DateTime<Utc>) {
    tell_redriven(trail, event);
    let permanent =
        event.failure().is_some_and(|failure| failure.class == FailureClass::Permanent);
    trail.record(
        if permanent { Action::Reject } else { Action::Fail },
        event,
        event.status(),
        at,
    );
}

fn tell_redriven(trail: &AuditTrail, event: &Facts<RawEvent>) {
    if let Some(decision) = event.redriven().filter(|_| event.attempts() <= 1) {
        trail.record(Action::Redrive, event, DeliveryStatus::Pending, decision.at());
    }
}

/// The event as it is after a fault.
pub(crate) fn faulty(
    event: Envelope<Acknowledged>,
    fault: HandlerError,
    at: DateTime<Utc>,
) -> AnyEnvelope {
    match fault.class {
        FailureClass::Transient => event.fail_at(storable(fault.reason), at).into(),
        FailureClass::Permanent => event.reject_at(storable(fault.reason), at).into(),
    }
}

/// What to tell the broker of an event that failed.
pub(crate) fn handled<A>(
    event: &AnyEnvelope,
    answer: A,
    at: DateTime<Utc>,
) -> Handled<A> {
    match event {
        AnyEnvelope::Retrying(event) => {
            let after = event
                .next_attempt_at()
                .signed_duration_since(at)
                .to_std()
                .unwrap_or_default();
            Handled::RetryLater(RetryLater::new(answer, after))
        }
        _ => Handled::DeadLettered(Committed::new(answer)),
    }
}

/// The dead letter that a person decides about: one that failed for good, or one that
/// waits for a delivery that nobody may make any more.
pub(crate) fn undelivered(row: Row) -> Option<Envelope<Failed>> {
    let waits = row.status == DeliveryStatus::Retrying.as_str();
    let row = if waits {
        let for_good = |said: Said| Said {
            what: FailureClass::Permanent.as_str().to_owned(),
            ..said
        };
        Row {
            status: DeliveryStatus::Failed.as_str().to_owned(),
            failure: row.failure.map(for_good),
            ..row
        }
    } else {
        row
    };
    row.read_in().ok()
}
