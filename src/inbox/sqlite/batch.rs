//! Many deliveries in one transaction of SQLite: one commit for all of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::counting::{begin_attempts, take_back};
use super::held::{hold_back, process_in_order};
use super::receive::decide;
use super::rows::write;
use super::worker::{Handle, Parts, run};
use super::{RELEASE, ROLLBACK};
use crate::Envelope;
use crate::broker::Delivery;
use crate::crash_point::crash_point;
use crate::inbox::HandlerError;
use crate::inbox::batch::{Ended, Placed, Settled, Taken};
use crate::inbox::failing::Failing;
use crate::inbox::handler_error::caught;
use crate::inbox::intake::{Counted, Intake, RECEIVING, received};
use crate::inbox::reply::Reply;
use crate::inbox::sharing::Front;
use crate::state::Acknowledged;
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::now;

/// Handles deliveries in their order, in as few transactions as their time allows. After
/// an error of the database the rest is dropped, and comes again.
pub(super) fn process_all<A>(
    connection: &mut Connection,
    deliveries: Vec<Delivery<A>>,
    inbox: &Parts<impl Handle>,
    longest: Duration,
) -> Vec<Settled<A>> {
    let mut waiting: VecDeque<_> = deliveries.into_iter().enumerate().collect();
    let mut settled = Vec::with_capacity(waiting.len());
    let mut front = Front::default();
    while let Some(first) = waiting.front().map(|(place, _)| *place) {
        if front.is_over() {
            // What keeps them from being counted together shows where one is alone.
            front = Front::uncounted(&waiting)
                .or_else(|| begin_attempts(connection, &waiting, &inbox.config).ok())
                .unwrap_or_else(Front::one_alone);
        }
        let mut batch = front.sharing(&mut waiting);
        let alone = if batch.is_empty() {
            front.alone(&mut waiting)
        } else {
            let ended = process_batch(connection, &mut batch, &front, inbox, longest);
            let ended = match ended {
                Ok(ended) => ended,
                Err(error) => {
                    settled.push((first, Err(error)));
                    return settled;
                }
            };
            if ended.committed {
                let idle = front.idle(&ended.taken);
                if !idle.is_empty() {
                    // What stays counted has begun nothing, and is handled alone.
                    let _ = take_back(connection, idle);
                }
                front.left(&batch);
            } else {
                let begun = front.undone();
                if !begun.is_empty() {
                    // What stays counted is handled alone, and has not spent an attempt.
                    let _ = take_back(connection, begun.values());
                }
            }
            batch.into_iter().rev().for_each(|one| waiting.push_front(one));
            ended.settle(&mut settled)
        };
        for (place, delivery) in alone {
            let handled = process_in_order(connection, delivery, inbox);
            let failed = handled.is_err();
            settled.push((place, handled));
            if failed {
                return settled;
            }
        }
    }
    settled
}

/// One transaction: it takes from the front of the batch, and ends early where an event
/// cannot share it.
fn process_batch<A>(
    connection: &mut Connection,
    batch: &mut VecDeque<Placed<Delivery<A>>>,
    front: &Front,
    inbox: &Parts<impl Handle>,
    longest: Duration,
) -> Result<Ended<A>, StoreError> {
    let began = Instant::now();
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .doing(RECEIVING)?;
    let mut taken = Vec::with_capacity(batch.len());
    while let Some((place, delivery)) = batch.pop_front() {
        let counted = front.counted(place);
        let (one, shares) = take_one(&transaction, delivery, counted, inbox);
        taken.extend(one.map(|one| (place, one)));
        if !shares {
            return Ok(Ended { taken, committed: false });
        }
        if began.elapsed() >= longest {
            break;
        }
    }
    crash_point("before the effect commits");
    let committed = transaction.commit().is_ok();
    if committed {
        crash_point("after the effect");
        if taken.iter().any(|(_, one)| matches!(one, Taken::Held(..))) {
            crash_point("after an event is held");
        }
    }
    Ok(Ended { taken, committed })
}

/// Takes one delivery in, and handles it behind a savepoint; says whether the transaction
/// can go on. A delivery that the database does not answer for is dropped.
fn take_one<A>(
    transaction: &Transaction<'_>,
    delivery: Delivery<A>,
    counted: Counted,
    inbox: &Parts<impl Handle>,
) -> (Option<Taken<A>>, bool) {
    let Parts { handlers, config, order } = inbox;
    let (event, reply) = received(delivery, config);
    match hold_back(transaction, &event, config, order.as_ref()) {
        Ok(None) => {}
        Ok(Some(held_back)) => return (Some(held_back.taken(event, reply)), true),
        Err(_) => return (None, false),
    }
    let Ok(intake) = decide(transaction, event, config, counted) else {
        return (None, false);
    };
    let (event, reply) = match intake {
        Intake::Handle(event) => (event, reply),
        Intake::HandleAgain { event, is_buried } => (event, reply.buried(is_buried)),
        Intake::Bury(failing) => {
            let Ok(at) = now(transaction) else { return (None, false) };
            let outcome = failing.at(at);
            let stored = write(transaction, outcome.entry()).is_ok();
            return (Some(Taken::Failed(outcome, reply)), stored);
        }
        Intake::Done(done) => return (Some(Taken::Done(done, reply)), true),
    };
    let reply = reply.handling(&event);
    let handled = reply.span().in_scope(|| caught(|| run(handlers, transaction, &event)));
    let undone = match handled {
        Ok(()) => transaction.execute_batch(RELEASE).is_err(),
        Err(error) if error.counts => return fail(transaction, event, reply, error),
        Err(_) => true,
    };
    (Some(Taken::Handled(event, reply)), !undone)
}

/// Undoes what a handler wrote, and stores its failure.
fn fail<A>(
    transaction: &Transaction<'_>,
    event: Envelope<Acknowledged>,
    reply: Reply<A>,
    error: HandlerError,
) -> (Option<Taken<A>>, bool) {
    let undone = transaction
        .execute_batch(ROLLBACK)
        .and_then(|()| transaction.execute_batch(RELEASE))
        .and_then(|()| now(transaction));
    let Ok(at) = undone else { return (Some(Taken::Handled(event, reply)), false) };
    let outcome = Failing::Handler { event, error }.at(at);
    let stored = write(transaction, outcome.entry()).is_ok();
    (Some(Taken::Failed(outcome, reply)), stored)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::inbox::order::ByKey;
    use crate::inbox::sqlite::Sqlite;
    use crate::inbox::worker::Handlers;
    use crate::inbox::{Handled, InboxConfig};
    use crate::retry::{Backoff, RetryPolicy};
    use crate::{DeliveryStatus, RawEvent};

    /// However slow the machine is, time divides no batch.
    const HOUR: Duration = Duration::from_secs(3600);

    /// An inbox beside a table of effects, and how often it commits.
    fn database() -> (Connection, Arc<AtomicUsize>) {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::install(&mut connection).unwrap();
        let tables = "CREATE TABLE customer (name TEXT PRIMARY KEY); \
             CREATE TABLE effect \
             (name REFERENCES customer DEFERRABLE INITIALLY DEFERRED)";
        connection.execute_batch(tables).unwrap();
        let commits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&commits);
        connection
            .commit_hook(Some(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                false
            }))
            .unwrap();
        (connection, commits)
    }

    /// What a handler does stands in its event.
    fn deliveries(does: &[&'static str]) -> Vec<Delivery<()>> {
        let delivery = |(id, does): (usize, &&'static str)| {
            let event =
                Envelope::builder("crm", RawEvent::new("crm.lead.created", *does));
            let id = if *does == "twice" { 1 } else { id };
            let event = event.id(id.to_string().parse().unwrap()).build().unwrap();
            Delivery::new(event, ()).redelivered(*does == "again")
        };
        does.iter().enumerate().map(delivery).collect()
    }

    fn handlers() -> Handlers<Sqlite, impl Handle> {
        super::super::handlers().otherwise(handle)
    }

    fn handle(
        transaction: &Transaction<'_>,
        event: &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError> {
        let does = std::str::from_utf8(event.payload().bytes())?;
        if does != "deferred" {
            transaction.execute("INSERT OR IGNORE INTO customer VALUES (?1)", [does])?;
        }
        transaction.execute("INSERT INTO effect VALUES (?1)", [does])?;
        match does {
            "fails" => Err(HandlerError::transient("no such country")),
            "panics" => panic!("a lead that nobody can read"),
            "commits" => Ok(transaction.execute_batch("COMMIT; BEGIN")?),
            _ => Ok(()),
        }
    }

    /// The states that the broker is told, in the order of the deliveries, the
    /// transactions that it took, and the effects.
    fn handled(does: &[&'static str]) -> (Vec<DeliveryStatus>, usize, i64) {
        handled_within(HOUR, deliveries(does))
    }

    /// The same, where each may be a redelivery.
    fn handled_again(does: &[&'static str]) -> (Vec<DeliveryStatus>, usize, i64) {
        let again = deliveries(does).into_iter().map(|one| one.redelivered(true));
        handled_within(HOUR, again.collect())
    }

    fn handled_within(
        longest: Duration,
        all: Vec<Delivery<()>>,
    ) -> (Vec<DeliveryStatus>, usize, i64) {
        let (mut connection, commits) = database();
        let policy = RetryPolicy::new(3, Backoff::Fixed(Duration::ZERO)).unwrap();
        let config = InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT);
        let config = config.unwrap().retry_policy(policy);
        let inbox = Parts { handlers: handlers().list, config, order: None };
        let mut settled = process_all(&mut connection, all, &inbox, longest);
        settled.sort_by_key(|(place, _)| *place);
        let states = settled.into_iter().map(|(_, handled)| {
            handled
                .map_or(DeliveryStatus::Pending, |handled: Handled<()>| handled.status())
        });
        let states = states.collect();
        let count = |sql: &str| {
            connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let charged = "SELECT count(*) FROM inbox_event \
                       WHERE attempts > 1 OR last_attempt IS NOT NULL";
        assert_eq!(count(charged), 0, "one attempt of each, and every one has ended");
        let effects = count("SELECT count(*) FROM effect");
        (states, commits.load(Ordering::Relaxed), effects)
    }

    use DeliveryStatus::{Processed, Retrying};

    #[test]
    fn a_handler_that_fails_falls_alone_and_one_commit_is_for_all() {
        assert_eq!(
            handled(&["a", "b", "fails", "twice", "panics", "c"]),
            (vec![Processed, Processed, Retrying, Processed, Retrying, Processed], 1, 3)
        );
    }

    #[test]
    fn where_the_commit_fails_each_is_handled_alone_once() {
        // The guilty one's failure is stored by itself.
        assert_eq!(
            handled(&["a", "deferred", "b"]),
            (vec![Processed, Retrying, Processed], 3, 2)
        );
    }

    #[test]
    fn a_handler_that_commits_is_found_out_and_harms_no_other() {
        let (states, _, effects) = handled(&["a", "commits", "b"]);
        // What it committed is known: its own delivery is an error, or a duplicate.
        assert_eq!((&states[..1], &states[2..]), (&[Processed][..], &[Processed][..]));
        assert_eq!(effects, 3, "every effect once");
    }

    #[test]
    fn the_attempts_of_a_batch_are_counted_ahead_in_one_commit() {
        assert_eq!(
            handled(&["a", "again", "again", "c", "again"]),
            (vec![Processed; 5], 1 + 1, 5)
        );
        // One delivery has nobody to share the commit with.
        assert_eq!(handled(&["again"]), (vec![Processed], 1 + 1, 1));
        // A copy waits for the end of the attempt that is counted.
        assert_eq!(handled_again(&["a", "b", "twice"]), (vec![Processed; 3], 1 + 1, 2));
    }

    /// Protects from what would make most events of a slow handler suspect: they are
    /// counted, and left for the next transaction.
    #[test]
    fn what_is_counted_ahead_and_not_begun_is_not_counted_again() {
        let again = deliveries(&["again"; 3]);
        let (states, commits, effects) = handled_within(Duration::ZERO, again);
        assert_eq!((states, commits, effects), (vec![Processed; 3], 1 + 3, 3));
    }

    #[test]
    fn a_redelivery_fails_as_a_first_delivery_does_and_is_taken_back_where_it_is_none() {
        assert_eq!(
            handled_again(&["a", "fails", "panics", "b"]),
            (vec![Processed, Retrying, Retrying, Processed], 1 + 1, 2)
        );
        // They are counted, and taken back, and then each is counted by itself.
        assert_eq!(
            handled_again(&["a", "deferred", "b"]),
            (vec![Processed, Retrying, Processed], 1 + 1 + 3 * 2, 2)
        );
    }

    /// Protects the order of a key: an attempt that is counted is no turn that has come.
    #[test]
    fn an_early_event_is_held_though_its_attempt_was_counted() {
        let (mut connection, _) = database();
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let config = InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap();
        let order = Some(ByKey::default());
        let inbox = Parts { handlers: handlers().list, config, order };
        let after = |id: &str, after: &str| {
            let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", "a"));
            let event = event.id(id.parse().unwrap()).tag("keyafter", after);
            Delivery::new(event.build().unwrap(), ()).redelivered(true)
        };
        let all = || vec![after("3", "2"), after("2", "1")];
        for (given, kind) in [(all(), "held"), (all(), "duplicate")] {
            let settled = process_all(&mut connection, given, &inbox, HOUR);
            for (_, handled) in settled {
                match handled.unwrap() {
                    Handled::Held(_) => assert_eq!(kind, "held"),
                    Handled::Duplicate(_) => assert_eq!(kind, "duplicate"),
                    other => panic!("{other:?}"),
                }
            }
        }
        let held = "SELECT count(*) FROM inbox_event \
                    WHERE due_at IS NOT NULL AND last_attempt = 'uncounted'";
        let held: i64 = connection.query_row(held, [], |row| row.get(0)).unwrap();
        assert_eq!(held, 2);
    }

    /// Protects from an attempt that is counted of an event which never began.
    #[test]
    fn an_early_event_without_room_leaves_nothing() {
        let (mut connection, _) = database();
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let config = InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap();
        let order = Some(ByKey::default().hold(1));
        let inbox = Parts { handlers: handlers().list, config, order };
        let early = |(id, after): (&str, &str)| {
            let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", "a"));
            let event = event.id(id.parse().unwrap()).tag("keyafter", after);
            Delivery::new(event.build().unwrap(), ()).redelivered(true)
        };
        let both = [("3", "2"), ("5", "4")].map(early).into();
        let settled = process_all(&mut connection, both, &inbox, HOUR);
        let later = |(_, handled): &(usize, Result<Handled<()>, StoreError>)| {
            matches!(handled, Ok(Handled::RetryLater(_)))
        };
        assert_eq!(settled.iter().filter(|one| later(one)).count(), 1);
        let known = "SELECT id FROM inbox_event";
        let known: String = connection.query_row(known, [], |row| row.get(0)).unwrap();
        assert_eq!(known, "3", "and no other row");
        let rows: i64 = connection
            .query_row("SELECT count(*) FROM inbox_event", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn after_an_error_of_the_database_the_rest_is_dropped() {
        let (mut connection, _) = database();
        connection.execute_batch("DROP TABLE inbox_event").unwrap();
        let config = InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT);
        let config = config.unwrap();
        let inbox = Parts { handlers: handlers().list, config, order: None };
        let all = deliveries(&["a", "b", "c"]);
        let settled = process_all(&mut connection, all, &inbox, HOUR);
        let failed = settled.iter().filter(|(_, handled)| handled.is_err()).count();
        assert_eq!((settled.len(), failed), (1, 1));
    }
}
