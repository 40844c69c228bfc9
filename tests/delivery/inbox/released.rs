//! Whatever ends `process` without a word to the broker lets go of the delivery: the
//! broker gives it out again.

use crate::chain::Chain as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use integration_automation_patterns::broker::BrokerErrorKind;
use integration_automation_patterns::retry::Backoff;

use super::*;

/// An answer that counts those that were dropped, rather than given.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Ack for Dropped {
    async fn ack(self) -> Result<(), BrokerError> {
        unreachable!("nobody tells the broker")
    }

    async fn nack(self, _after: Duration) -> Result<(), BrokerError> {
        unreachable!("nobody tells the broker")
    }
}

type Effect = fn(&Transaction<'_>) -> Result<(), HandlerError>;

#[test]
fn an_error_drops_the_answer_and_leaves_the_connection_as_it_was() {
    let path = fresh_path();
    let mut connection = database_at(&path);
    connection.busy_timeout(Duration::ZERO).unwrap();
    let busy: Effect = |_| {
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(5), None).into())
    };
    let commits: Effect = |transaction| Ok(transaction.execute_batch("COMMIT")?);
    let begins: Effect =
        |transaction| Ok(transaction.execute_batch("COMMIT; BEGIN IMMEDIATE")?);
    for (id, effect) in [("1", busy), ("2", commits), ("3", begins)] {
        for again in [false, true] {
            let (id, dropped) = (format!("{id} {again}"), Arc::new(AtomicUsize::new(0)));
            let delivery = Delivery::new(event(&id), Dropped(Arc::clone(&dropped)))
                .redelivered(again);
            let refused = sqlite::process(
                &mut connection,
                delivery,
                &inbox_config(),
                |transaction, _| effect(transaction),
            );
            assert!(refused.is_err(), "{id}: {refused:?}");
            assert_eq!(dropped.load(Ordering::Relaxed), 1, "{id}");
            assert!(connection.is_autocommit(), "{id}: no transaction is left open");
        }
    }
    let mut writer = open(&path);
    let held = begin(&mut writer);
    for again in [false, true] {
        let dropped = Arc::new(AtomicUsize::new(0));
        let delivery =
            Delivery::new(event("4"), Dropped(Arc::clone(&dropped))).redelivered(again);
        let refused =
            sqlite::process(&mut connection, delivery, &inbox_config(), |_, _| {
                panic!("it is locked")
            });
        assert!(refused.unwrap_err().chain().contains("database is locked"));
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }
    drop(held);
    let handled = sqlite::process(
        &mut connection,
        Broker::default().deliver("4"),
        &inbox_config(),
        |_, _| Ok(()),
    );
    assert!(
        matches!(handled, Ok(Handled::Processed(_))),
        "the connection is usable: {handled:?}"
    );
}

#[tokio::test]
async fn the_sender_hears_at_once_that_a_delivery_was_dropped() {
    let (broker, mut listener) = in_process(1);
    let (mut connection, sent) = (database(), event("1").dispatch());
    let (sent, ()) = tokio::join!(broker.send(&sent), async {
        let delivery = listener.next().await.unwrap().unwrap();
        let refused = sqlite::process(
            &mut connection,
            delivery,
            &inbox_config(),
            |transaction, _| Ok(transaction.execute_batch("COMMIT")?),
        );
        assert!(refused.is_err(), "{refused:?}");
    });
    let refused = sent.unwrap_err();
    assert!(refused.to_string().contains("dropped the delivery"));
    assert_eq!(
        refused.retry_after(),
        Some(Duration::from_secs(1)),
        "and it comes again no sooner"
    );
}

#[tokio::test]
async fn the_sender_hears_when_a_retry_is_wanted() {
    let (broker, mut listener) = in_process(1);
    let (mut connection, sent) = (database(), event("1").dispatch());
    let (sent, ()) = tokio::join!(broker.send(&sent), async {
        let delivery = listener.next().await.unwrap().unwrap();
        let policy = RetryPolicy::new(5, Backoff::Fixed(Duration::from_secs(7))).unwrap();
        let fail = |_: &Transaction<'_>, _: &Envelope<_>| {
            Err(HandlerError::transient("the ERP is busy"))
        };
        let handled = sqlite::process(
            &mut connection,
            delivery,
            &inbox_config().retry_policy(policy),
            fail,
        )
        .unwrap();
        handled.settle().await.unwrap();
    });
    let refused = sent.unwrap_err();
    assert_eq!(refused.kind(), BrokerErrorKind::Transient);
    assert!(
        refused.retry_after().is_some_and(|wait| wait > Duration::from_secs(6)),
        "{refused:?}"
    );
}
