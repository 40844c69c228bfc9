//! Whatever ends `process` without a word to the broker lets go of the delivery, and
//! leaves a connection that is usable.

use crate::chain::Chain as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_postgres::Transaction;

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

fn counted(id: &str, again: bool) -> (Delivery<Dropped>, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    (Delivery::new(event(id), Dropped(Arc::clone(&dropped))).redelivered(again), dropped)
}

/// An error of the database drops the answer, at whichever statement.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_error_drops_the_answer() {
    let database = with_inbox().await;
    for sql in
        ["COMMIT", "COMMIT; BEGIN", "SELECT pg_terminate_backend(pg_backend_pid())"]
    {
        for again in [false, true] {
            let mut client = database.session().await;
            let (delivery, dropped) = counted(&format!("{sql} {again}"), again);
            let effect = async |transaction: &Transaction<'_>, _: &Envelope<_>| {
                transaction.batch_execute(sql).await?;
                Ok(())
            };
            assert!(
                inbox::postgres::process(&mut client, delivery, &inbox_config(), effect)
                    .await
                    .is_err()
            );
            assert_eq!(dropped.load(Ordering::Relaxed), 1, "{sql}");
            let (delivery, dropped) = counted("next", again);
            let next = inbox::postgres::process(
                &mut client,
                delivery,
                &inbox_config(),
                async |_, _| Ok(()),
            )
            .await;
            assert_eq!(
                next.is_err(),
                client.is_closed(),
                "the connection is usable, or says that it is not"
            );
            drop(next);
            assert_eq!(dropped.load(Ordering::Relaxed), 1, "{sql}");
        }
    }
}

/// One that is cancelled, before its effect, in it or after it, drops the answer; nothing
/// of it is stored but that an attempt was begun, and the connection has no transaction
/// left open.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_process_that_is_cancelled_drops_the_answer_and_leaves_no_transaction_open() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    for again in [false, true] {
        // After each number of polls, up to the whole.
        for polls in 1.. {
            let id = format!("{again} {polls}");
            let (delivery, dropped) = counted(&id, again);
            let inbox_config = at_once(1);
            let mut process = Box::pin(inbox::postgres::process(
                &mut client,
                delivery,
                &inbox_config,
                async |transaction, event| {
                    transaction
                        .execute(
                            "INSERT INTO effect VALUES ($1)",
                            &[&event.id().to_string()],
                        )
                        .await?;
                    Ok(())
                },
            ));
            let mut polled = 0;
            let ended = std::future::poll_fn(|context| {
                polled += 1;
                match process.as_mut().poll(context) {
                    Poll::Ready(handled) => Poll::Ready(Some(handled)),
                    Poll::Pending if polled == polls => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            });
            let ended = ended.await;
            drop(process);
            if ended.is_some() {
                assert!(matches!(ended, Some(Ok(Handled::Processed(_)))), "{ended:?}");
                break;
            }
            assert_eq!(dropped.load(Ordering::Relaxed), 1, "{id}");
            // It would be part of a transaction that was left open, and nobody else would
            // see it.
            client.execute("INSERT INTO effect VALUES ('after')", &[]).await.unwrap();
            assert_eq!(
                database.value("SELECT count(*) FROM effect WHERE id = 'after'").await,
                1,
                "{id}"
            );
            database.sql("DELETE FROM effect WHERE id = 'after'").await;
            let both = "SELECT count(*) FROM effect FULL JOIN (SELECT id FROM inbox_event WHERE status = 'processed') had \
                        USING (id) WHERE effect.id IS NULL OR had.id IS NULL";
            assert_eq!(
                database.value(both).await,
                0,
                "{id}: the effect and its memory, or neither"
            );
        }
    }
}

/// Protects the attempts of an event from a database that falls silent: a delivery that
/// is dropped spends one only while its handler runs.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_is_dropped_outside_its_handler_spends_no_attempt() {
    let database = with_inbox().await;
    let mut client = database.session().await;
    let inbox_config = at_once(1);
    let mut seen = [false; 3];
    for polls in 1.. {
        let id = polls.to_string();
        // 0 before the handler, 1 in it, 2 after it.
        let stage = AtomicUsize::new(0);
        let effect = async |transaction: &Transaction<'_>, _: &Envelope<_>| {
            stage.store(1, Ordering::Relaxed);
            transaction.batch_execute("SELECT 1").await?;
            stage.store(2, Ordering::Relaxed);
            Ok(())
        };
        let mut process = Box::pin(inbox::postgres::process(
            &mut client,
            redelivery(&id),
            &inbox_config,
            effect,
        ));
        let mut polled = 0;
        let ended = std::future::poll_fn(|context| {
            polled += 1;
            match process.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if polled == polls => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        });
        if ended.await {
            assert_eq!(seen, [true; 3], "it was dropped in each stage");
            return;
        }
        drop(process);
        let stage = stage.into_inner();
        seen[stage] = true;
        let again =
            have_effect_of(&mut client, redelivery(&id), &inbox_config, Ok(())).await;
        let spent = matches!(again, Handled::DeadLettered(_));
        assert_eq!(spent, stage == 1, "{polls}: {again:?}");
    }
}

/// A consumer that meets what another has begun, and then looks for it, may find that it
/// was taken back in between: it confirms nothing, for nobody has had the effect.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn what_another_consumer_takes_back_is_no_duplicate() {
    let database = with_inbox().await;
    database
        .sql(
            "INSERT INTO inbox_event (source_system, id, status, attempts) VALUES ('crm', 'a', 'retrying', 1); \
             ALTER FUNCTION inbox_remember RENAME TO inbox_remember_at_once; \
             CREATE FUNCTION inbox_remember(source_system text, id text, attempts bigint) RETURNS boolean \
             LANGUAGE plpgsql AS $$ DECLARE outermost boolean; BEGIN \
               outermost := inbox_remember_at_once(source_system, id, attempts); \
               PERFORM pg_advisory_xact_lock('inbox_event'::regclass::oid::bigint); \
               RETURN outermost; \
             END $$",
        )
        .await;
    database.sql("SELECT pg_advisory_lock('inbox_event'::regclass::oid::bigint)").await;
    let (delivery, dropped) = counted("a", false);
    let mut client = database.session().await;
    let met = tokio::spawn(async move {
        inbox::postgres::process(&mut client, delivery, &inbox_config(), async |_, _| {
            panic!("no effect of it")
        })
        .await
    });
    database.until_waiting(1).await;
    database.sql("DELETE FROM inbox_event").await;
    database.sql("SELECT pg_advisory_unlock('inbox_event'::regclass::oid::bigint)").await;
    let told = met.await.unwrap().unwrap_err().chain();
    assert!(told.contains("took it back meanwhile"), "{told}");
    assert_eq!(dropped.load(Ordering::Relaxed), 1);

    let mut client = database.session().await;
    assert!(matches!(
        have_effect(&mut client, "a", &inbox_config(), Ok(())).await,
        Handled::Processed(_)
    ));
}
