//! What follows of a delivery, decided apart from the statements that find and store: its
//! handler runs, or it is a dead letter, a duplicate, or left to another consumer.

use super::InboxConfig;
use super::config::Refusal;
use super::entry::{Entry, LastAttempt};
use super::failing::Failing;
use super::reply::{Done, Reply};
use crate::broker::Delivery;
use crate::state::{Acknowledged, Failed};
use crate::store::{Row, StoreError, StoreErrorKind};
use crate::trace::EventSpan;
use crate::{
    AfterFailure, Decision, DeliveryStatus, Envelope, Facts, RawEvent, RetryPolicy,
};

/// What an error says was being done.
pub(crate) const RECEIVING: &str = "receiving an event";

/// The event of a delivery, as received here and to be retried as the inbox is
/// configured; and the reply to it.
pub(crate) fn received<A>(
    delivery: Delivery<A>,
    config: &InboxConfig,
) -> (Envelope<Acknowledged>, Reply<A>) {
    let (span, again) = (EventSpan::receive(&delivery), delivery.is_redelivered());
    let (event, acker) = delivery.into_parts();
    let event = event.with_retry_policy(config.policy()).dispatch().acknowledge();
    (event, Reply::new(acker, span, config.trail().clone()).redelivered(again))
}

/// The event of a dead letter that a person redrives, and the reply to nobody.
pub(crate) fn redriven(
    dead: Envelope<Failed>,
    decision: Decision,
    config: &InboxConfig,
) -> (Envelope<Acknowledged>, Reply<()>) {
    let event = dead
        .redrive(decision)
        .with_retry_policy(config.policy())
        .dispatch()
        .acknowledge();
    let span = EventSpan::redrive(&event);
    (event, Reply::new((), span, config.trail().clone()))
}

/// What the inbox has of an event, as a database finds it.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// Nothing: the event is new.
    Nothing,
    /// Its effect is committed.
    Processed,
    /// It failed, and waits for another delivery.
    Waiting(Entry),
    /// The inbox holds it, and handles it by itself.
    Held(Entry),
    /// It is a dead letter.
    Dead(Entry),
    /// A person discarded it.
    Discarded,
    /// It was forestalled.
    Forestalled,
}

impl Found {
    /// What the row of an event says, where there is one.
    pub(crate) fn of(entry: Option<Entry>) -> Self {
        let Some(entry) = entry else { return Self::Nothing };
        match entry.row.status.parse() {
            Ok(DeliveryStatus::Processed) => Self::Processed,
            Ok(DeliveryStatus::Retrying) if entry.due_at.is_some() => Self::Held(entry),
            Ok(DeliveryStatus::Retrying) => Self::Waiting(entry),
            Ok(DeliveryStatus::Failed) => Self::Dead(entry),
            _ => match entry.last_attempt {
                LastAttempt::Forestalled | LastAttempt::Forgotten => Self::Forestalled,
                _ => Self::Discarded,
            },
        }
    }
}

/// What an insert has met.
///
/// # Errors
///
/// It is gone: the event comes again.
pub(crate) fn met(
    entry: Option<Entry>,
    event: &Facts<RawEvent>,
) -> Result<Option<Entry>, StoreError> {
    if entry.is_some() {
        return Ok(entry);
    }
    let why = format!(
        "another consumer had begun {} and took it back meanwhile: it is to come again",
        event.id()
    );
    Err(StoreError::of(StoreErrorKind::Busy, RECEIVING, why))
}

/// Whether the attempt of a delivery is part of what the inbox has of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It was counted before its handler runs.
    Ahead,
    /// It is counted with its end.
    AtItsEnd,
}

/// What follows of a delivery.
#[derive(Debug)]
pub(crate) enum Intake {
    /// It is the first of its event, which is remembered: run the handler.
    Handle(Envelope<Acknowledged>),
    /// Remember that it is processed, in place of its failure, and run the handler. It is
    /// buried if another consumer has made it a dead letter meanwhile.
    HandleAgain { event: Envelope<Acknowledged>, is_buried: bool },
    /// Store it as a dead letter.
    Bury(Failing),
    /// Store nothing.
    Done(Done),
}

/// Decides what follows of a delivery.
///
/// # Errors
///
/// The stored row is no event.
pub(crate) fn intake(
    event: Envelope<Acknowledged>,
    found: Found,
    refusal: Option<Refusal>,
    counted: Counted,
) -> Result<Intake, StoreError> {
    if let Some(refusal) = refusal {
        return Ok(refused(event, &found, refusal));
    }
    if matches!(found, Found::Nothing) {
        return Ok(Intake::Handle(event));
    }
    Ok(match again(found, event.retry_policy(), counted)? {
        Again::First => Intake::HandleAgain { event, is_buried: false },
        Again::Attempt(event) => Intake::HandleAgain { event, is_buried: false },
        Again::Buried(event) => Intake::HandleAgain { event, is_buried: true },
        Again::Spent(event) => Intake::Bury(Failing::Spent(event)),
        Again::Duplicate => Intake::Done(Done::Duplicate(event)),
        Again::Forestalled => Intake::Done(Done::Forestalled(event)),
    })
}

/// What follows of a delivery that the inbox does not admit.
fn refused(event: Envelope<Acknowledged>, found: &Found, refusal: Refusal) -> Intake {
    let is_open = match found {
        Found::Nothing | Found::Waiting(_) => true,
        Found::Dead(entry) => entry.last_attempt == LastAttempt::Unknown,
        Found::Processed | Found::Held(_) | Found::Discarded | Found::Forestalled => {
            false
        }
    };
    match (found, refusal.leave) {
        (Found::Processed | Found::Held(_), _) => Intake::Done(Done::Duplicate(event)),
        (Found::Forestalled, _) => Intake::Done(Done::Forestalled(event)),
        (_, Some(wait)) if is_open => Intake::Done(Done::RetryLater(event, wait)),
        (Found::Dead(_) | Found::Discarded, _) => Intake::Done(Done::DeadLetter),
        // An event that waits for another attempt waits no longer.
        (Found::Nothing | Found::Waiting(_), _) => {
            Intake::Bury(Failing::refused(event, refusal))
        }
    }
}

/// What another delivery of an event is.
pub(crate) enum Again {
    /// A first one: the inbox has nothing, or a refusal by a configuration that did not
    /// name the event.
    First,
    /// Another attempt, counted.
    Attempt(Envelope<Acknowledged>),
    /// An attempt that is counted already, of a dead letter: between the count and the
    /// handler, another consumer has mistaken it for one that never ended.
    Buried(Envelope<Acknowledged>),
    /// One too many: the last attempt was the event's last.
    Spent(Envelope<Failed>),
    /// A duplicate.
    Duplicate,
    /// None: it was forestalled.
    Forestalled,
}

/// Decides what another delivery of an event is, where the inbox admits it.
///
/// # Errors
///
/// The stored row is no event.
pub(crate) fn again(
    found: Found,
    policy: RetryPolicy,
    counted: Counted,
) -> Result<Again, StoreError> {
    let again = match found {
        Found::Nothing => Ok(Again::First),
        Found::Processed | Found::Held(_) | Found::Discarded => Ok(Again::Duplicate),
        Found::Forestalled => Ok(Again::Forestalled),
        Found::Dead(Entry { row, last_attempt, .. }) => match (last_attempt, counted) {
            (LastAttempt::Unknown, _) => Ok(Again::First),
            (LastAttempt::Begun, Counted::Ahead) => {
                self::last_attempt(row, policy).map(Again::Buried)
            }
            _ => Ok(Again::Duplicate),
        },
        Found::Waiting(entry) => attempt(entry, policy, counted),
    };
    again.map_err(|why| StoreError::of(StoreErrorKind::Unreadable, RECEIVING, why))
}

fn attempt(
    Entry { row, last_attempt: last, .. }: Entry,
    policy: RetryPolicy,
    counted: Counted,
) -> Result<Again, String> {
    let row = match (counted, last) {
        (Counted::Ahead, _) | (Counted::AtItsEnd, LastAttempt::Shared) => {
            return last_attempt(row, policy).map(Again::Attempt);
        }
        (Counted::AtItsEnd, LastAttempt::Alone) => {
            Row { attempts: row.attempts.saturating_add(1), ..row }
        }
        (Counted::AtItsEnd, _) => row,
    };
    Ok(match following(row, policy)? {
        Ok(event) => Again::Attempt(event),
        Err(spent) => Again::Spent(spent),
    })
}

/// The attempt that follows the last one of a row, or the event whose attempts are spent.
///
/// # Errors
///
/// The row is no event, in words.
pub(crate) fn following(
    row: Row,
    policy: RetryPolicy,
) -> Result<Result<Envelope<Acknowledged>, Envelope<Failed>>, String> {
    let failure = row.failure.clone();
    let failure = failure
        .ok_or_else(|| format!("the row of {} is to say what has failed", row.id))?;
    let last = last_attempt(row, policy)?;
    Ok(match last.fail_at(failure.reason, failure.at) {
        AfterFailure::Retrying(event) => Ok(event.dispatch().acknowledge()),
        AfterFailure::Failed(event) => Err(event),
    })
}

/// The event of a row as it was when its last attempt began.
///
/// # Errors
///
/// The row is no event, in words.
pub(crate) fn last_attempt(
    row: Row,
    policy: RetryPolicy,
) -> Result<Envelope<Acknowledged>, String> {
    Ok(begun(row)?.with_retry_policy(policy))
}

/// The same, with the policy that the row has.
///
/// # Errors
///
/// The row is no event, in words.
pub(crate) fn begun(row: Row) -> Result<Envelope<Acknowledged>, String> {
    let is_first = row.attempts <= 1 && row.redriven.is_none();
    let failure = row.failure.filter(|_| !is_first);
    let row =
        Row { status: DeliveryStatus::Acknowledged.as_str().to_owned(), failure, ..row };
    row.read_in()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::super::entry::NEVER_ENDED;
    use super::super::forestall::BY;
    use super::*;
    use crate::{AnyEnvelope, Event};

    const WAIT: Duration = Duration::from_secs(5);

    struct InvoicePaid;

    impl Event for InvoicePaid {
        const TYPE: &'static str = "erp.invoice.paid";
    }

    fn event() -> Envelope<Acknowledged> {
        let lead = RawEvent::new("crm.lead.created", b"{}");
        let event = Envelope::builder("crm", lead).id("evt-001".parse().unwrap());
        event.build().unwrap().dispatch().acknowledge()
    }

    fn entry(event: impl Into<AnyEnvelope>, last_attempt: LastAttempt) -> Entry {
        Entry { row: Row::of(&event.into()), last_attempt, due_at: None }
    }

    fn found(event: impl Into<AnyEnvelope>, last_attempt: LastAttempt) -> Found {
        Found::of(Some(entry(event, last_attempt)))
    }

    /// An event that has failed so often, the last time in its own words.
    fn failed(times: u32, reason: &str) -> Found {
        failing(times, reason, LastAttempt::Ended)
    }

    /// The last of so many attempts has begun, and nobody has seen its end.
    fn begun(times: u32) -> Found {
        failing(times, NEVER_ENDED, LastAttempt::Begun)
    }

    fn failing(times: u32, reason: &str, last_attempt: LastAttempt) -> Found {
        let mut event = event();
        for _ in 1..times {
            let AfterFailure::Retrying(again) = event.fail("locked") else {
                unreachable!("an attempt is left")
            };
            event = again.dispatch().acknowledge();
        }
        found(event.fail(reason), last_attempt)
    }

    fn dead(reason: &str, last_attempt: LastAttempt) -> Found {
        found(event().reject(reason), last_attempt)
    }

    fn held() -> Found {
        let Found::Waiting(entry) = failed(1, "evt-000 comes before it") else {
            unreachable!("it waits")
        };
        Found::of(Some(Entry { due_at: Some(event().created_at()), ..entry }))
    }

    /// An event that was given up by this name.
    fn given_up(by: &str, last_attempt: LastAttempt) -> Found {
        let decision = crate::Decision::new(by, "not wanted any more").unwrap();
        found(event().reject("no such account").discard(decision), last_attempt)
    }

    /// An inbox that does not name the event.
    fn other() -> InboxConfig {
        InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT)
            .unwrap()
            .accept::<InvoicePaid>()
    }

    /// A decision in short, with the attempts of the event.
    fn decided(
        found: Found,
        refusal: Option<Refusal>,
        counted: Counted,
    ) -> (&'static str, u32) {
        match intake(event(), found, refusal, counted).unwrap() {
            Intake::Handle(event) => ("handle", event.attempts()),
            Intake::HandleAgain { event, is_buried: false } => {
                ("handle again", event.attempts())
            }
            Intake::HandleAgain { event, is_buried: true } => {
                ("handle buried", event.attempts())
            }
            Intake::Bury(Failing::Spent(event)) => ("bury: spent", event.attempts()),
            Intake::Bury(Failing::Refused { event, .. }) => {
                ("bury: refused", event.attempts())
            }
            Intake::Bury(Failing::Handler { .. }) => unreachable!("nothing was handled"),
            Intake::Done(Done::Duplicate(event)) => ("duplicate", event.attempts()),
            Intake::Done(Done::Forestalled(event)) => ("forestalled", event.attempts()),
            Intake::Done(Done::DeadLetter) => ("dead letter", 0),
            Intake::Done(Done::RetryLater(event, wait)) => {
                assert_eq!(wait, WAIT);
                ("left", event.attempts())
            }
        }
    }

    #[test]
    fn an_event_that_is_admitted_is_handled_once_for_each_attempt() {
        use Counted::{Ahead, AtItsEnd};
        use LastAttempt::{Ended, Forestalled, Forgotten, Unknown};
        let unknown = other().refusal(&event()).unwrap().reason;
        for (found, counted, expected) in [
            (Found::Nothing, AtItsEnd, ("handle", 1)),
            (Found::Processed, AtItsEnd, ("duplicate", 1)),
            (Found::Processed, Ahead, ("duplicate", 1)),
            (given_up("on-call", Ended), AtItsEnd, ("duplicate", 1)),
            // A person of that name forestalls nothing.
            (given_up(BY, Ended), AtItsEnd, ("duplicate", 1)),
            (given_up(BY, Forestalled), AtItsEnd, ("forestalled", 1)),
            (given_up(BY, Forestalled), Ahead, ("forestalled", 1)),
            (given_up(BY, Forgotten), AtItsEnd, ("forestalled", 1)),
            (held(), AtItsEnd, ("duplicate", 1)),
            (failed(1, "locked"), AtItsEnd, ("handle again", 2)),
            (failed(2, "locked"), AtItsEnd, ("handle again", 3)),
            (dead("no such account", Ended), AtItsEnd, ("duplicate", 1)),
            (dead("no such account", Ended), Ahead, ("duplicate", 1)),
            (dead(&unknown, Unknown), AtItsEnd, ("handle again", 1)),
            // What was counted ahead is not counted again.
            (begun(2), Ahead, ("handle again", 2)),
            // Another consumer mistook this attempt for one that never ended.
            (begun(3), Ahead, ("handle buried", 3)),
            (begun(3), AtItsEnd, ("duplicate", 1)),
            // Whatever words a handler ends with, they are no state.
            (dead(&unknown, Ended), AtItsEnd, ("duplicate", 1)),
            (failed(3, NEVER_ENDED), Ahead, ("duplicate", 1)),
        ] {
            let what = format!("{found:?}, counted {counted:?}");
            assert_eq!(decided(found, None, counted), expected, "{what}");
        }
    }

    #[test]
    fn an_event_whose_last_attempt_never_ended_is_buried() {
        let Found::Waiting(entry) = begun(2) else { unreachable!("waiting") };
        let row = Row { attempts: 3, ..entry.row };
        let last = Found::Waiting(Entry { row, ..entry });
        assert_eq!(decided(last, None, Counted::AtItsEnd), ("bury: spent", 3));
    }

    #[test]
    fn an_event_that_is_not_admitted_is_buried_or_left_and_stays_what_it_was() {
        let (refuses, leaves) = (other(), other().leave_unknown(WAIT));
        let unknown = refuses.refusal(&event()).unwrap().reason;
        for (found, refused, left) in [
            (Found::Nothing, ("bury: refused", 1), ("left", 1)),
            (Found::Processed, ("duplicate", 1), ("duplicate", 1)),
            (Found::Discarded, ("dead letter", 0), ("dead letter", 0)),
            (Found::Forestalled, ("forestalled", 1), ("forestalled", 1)),
            (Found::Forestalled, ("forestalled", 1), ("forestalled", 1)),
            (failed(1, "locked"), ("bury: refused", 1), ("left", 1)),
            (
                dead("no such account", LastAttempt::Ended),
                ("dead letter", 0),
                ("dead letter", 0),
            ),
            (dead(&unknown, LastAttempt::Unknown), ("dead letter", 0), ("left", 1)),
        ] {
            for (config, expected) in [(&refuses, refused), (&leaves, left)] {
                let (what, refusal) = (format!("{found:?}"), config.refusal(&event()));
                let found = found.clone();
                let decided = decided(found, refusal, Counted::AtItsEnd);
                assert_eq!(decided, expected, "{what}");
            }
        }
    }

    #[test]
    fn a_row_that_is_gone_after_a_conflict_is_an_error() {
        let gone = met(None, &event()).unwrap_err();
        assert_eq!(gone.kind(), StoreErrorKind::Busy, "the event comes again");
        let gone = format!("{gone:#}");
        assert!(gone.contains("another consumer had begun evt-001"), "{gone}");
    }
}
