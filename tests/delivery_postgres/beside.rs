//! What goes on beside the claims: what people ask, rounds through what was put aside, an
//! old snapshot, calls that were given up. None of them holds a relay up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::outbox::postgres::{Outbox, enqueue};
use integration_automation_patterns::outbox::{Admin, Store};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::Pending;
use tokio::time::timeout;
use tokio_postgres::Config;

use crate::{Database, FAR, build, event, ids, impatient, order, servers};

/// Longer than anything here takes, where it ends at all.
const LONG: Duration = Duration::from_secs(60);

/// Calls again until there is something to claim.
async fn next_claim(database: &Database) -> Vec<String> {
    let found = async {
        loop {
            let claims = database.claim(10).await.claims;
            if !claims.is_empty() {
                return ids(&claims);
            }
            database.outbox.wait(Duration::from_millis(200)).await;
        }
    };
    timeout(LONG, found).await.expect("an event is found")
}

/// However many people look, and however long that takes, claims and settlements go on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn people_hold_no_relay_up() {
    let database = Database::fresh().await;
    database.enqueue((0..3).map(|number| event(&format!("{number}"))).collect()).await;
    let mut blocker = database.session().await;
    let locking = blocker.transaction().await.unwrap();
    locking
        .batch_execute("LOCK TABLE outbox_history IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut people = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let outbox = database.outbox.clone();
        people.spawn(async move { outbox.verify().await.unwrap() });
    }
    database.until_waiting(1).await;
    for _ in 0..3 {
        let worked = async {
            let claim = database.claim(1).await.claims.pop().unwrap();
            assert_eq!(database.outbox.settle(&[claim.acknowledge()]).await.unwrap(), []);
        };
        timeout(LONG, worked).await.expect("a claim waits for nobody who looks");
    }
    locking.commit().await.unwrap();
    assert_eq!(people.join_all().await.concat(), []);
}

/// A caller who waits no longer leaves no statement behind that goes on, nor waits, on
/// the server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn what_is_given_up_ends_on_the_server_too() {
    let database = Database::fresh().await;
    let mut blocker = database.session().await;
    let locking = blocker.transaction().await.unwrap();
    locking
        .batch_execute("LOCK TABLE outbox_event IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let (claiming, counting) = (database.outbox.clone(), database.outbox.clone());
    let claiming =
        tokio::spawn(async move { drop(claiming.claim(&order("relay-1", 1)).await) });
    let counting = tokio::spawn(async move { drop(counting.counts().await) });
    database.until_waiting(2).await;
    claiming.abort();
    counting.abort();
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'",
        database.schema
    );
    let ended = async {
        while database.value(&sql).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, ended).await.expect("the server is told");
    locking.commit().await.unwrap();
}

/// A round through many keys goes a slice at a time beside the claims, and comes to the
/// last of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_round_goes_in_slices_and_to_its_end() {
    let database = Database::fresh().await;
    database
        .sql(
            "INSERT INTO outbox_event (id, event_type, source_system, payload, ordering_key, status, attempts, due_at, \
               failure_class, failure_reason, failed_at) \
             SELECT 'dead-' || n, 't', 'crm', '', 'k' || to_char(n, 'FM0000'), 'failed', 1, NULL, 'permanent', 'no', now() \
             FROM generate_series(1, 2000) AS n; \
             INSERT INTO outbox_event (id, event_type, source_system, payload, ordering_key, blocked) \
             SELECT 'behind-' || n, 't', 'crm', '', 'k' || to_char(n, 'FM0000'), true FROM generate_series(1, 2000) AS n; \
             DELETE FROM outbox_event WHERE id = 'dead-2000'",
        )
        .await;
    assert!(
        database.claim(10).await.claims.is_empty(),
        "a claim looks at no more than a slice"
    );
    assert_eq!(next_claim(&database).await, ["behind-2000"]);
    database.sql("DELETE FROM outbox_event WHERE id = 'dead-1'").await;
    assert_eq!(
        database.other().await.claim(&order("relay-2", 10)).await.unwrap().claims.len(),
        1,
        "nor at less"
    );
}

fn at_once(id: &str) -> Envelope<Pending> {
    impatient(id, 1000)
}

fn at_once_of(id: &str, key: &str) -> Envelope<Pending> {
    build(id, Some(key), RetryPolicy::new(1000, Backoff::Fixed(Duration::ZERO)).unwrap())
}

/// A round looks the first of each key up, also while the database believes that nothing
/// is put aside.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_round_reads_no_more_than_its_keys() {
    let database = Database::fresh().await;
    let sql = "ALTER TABLE outbox_event SET (autovacuum_enabled = false); INSERT INTO outbox_event (id, event_type, source_system, payload, ordering_key, status, due_at) \
         SELECT place || '-' || key, 'crm.lead.created', 'crm', '{}', 'key-' || key, \
         CASE place WHEN 0 THEN 'failed' ELSE 'pending' END, CASE place WHEN 0 THEN NULL ELSE now() END \
         FROM generate_series(1, 3000) AS key, generate_series(0, 1) AS place; \
         ANALYZE outbox_event; UPDATE outbox_event SET blocked = true WHERE status = 'pending'";
    database.sql(sql).await;
    let read = "SELECT coalesce(sum(idx_tup_read) FILTER (WHERE indexrelname = 'outbox_aside'), 0)::bigint \
         FROM pg_stat_user_indexes WHERE schemaname = current_schema()";
    let looked = "SELECT coalesce(sum(idx_scan) FILTER (WHERE indexrelname = 'outbox_blocked'), 0)::bigint \
         FROM pg_stat_user_indexes WHERE schemaname = current_schema()";
    let before = database.value(read).await;
    let other = database.other().await;
    assert!(
        other.claim(&order("relay-2", 10)).await.unwrap().claims.is_empty(),
        "each waits behind a dead letter"
    );
    // Which the server counts when it has time for it.
    let counted = async {
        while database.value(looked).await < 100 {
            let _ = other.claim(&order("relay-2", 10)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LONG, counted).await.expect("the round is counted");
    let found = database.value(read).await - before;
    assert!(found < 10_000, "read for each key: {found}");
}

/// Beside an old snapshot claims begin where the last came to, and still nothing is
/// forgotten: not what is retried, given back, let go by its key, nor what was committed
/// late.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn an_old_snapshot_hides_no_event() {
    let database = Database::fresh().await;
    let mut old = database.session().await;
    let snapshot = old
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let snapshot = snapshot.start().await.unwrap();
    snapshot.query_one("SELECT count(*) FROM outbox_event", &[]).await.unwrap();

    let mut late = database.session().await;
    let late_business = late.transaction().await.unwrap();
    enqueue(&late_business, at_once("late")).await.unwrap();
    for batch in 0..6 {
        database
            .enqueue(
                (0..1000).map(|number| event(&format!("{batch}-{number}"))).collect(),
            )
            .await;
        let claims = database.claim(1000).await.claims;
        assert_eq!(claims.len(), 1000);
        let settled: Vec<_> =
            claims.into_iter().map(|claim| claim.acknowledge()).collect();
        assert_eq!(database.outbox.settle(&settled).await.unwrap(), []);
    }
    // A look at everything finds that it is dear, and the next ones are none.
    assert!(database.claim(1).await.claims.is_empty());

    database
        .enqueue(vec![
            at_once("retried"),
            at_once_of("first", "k"),
            at_once_of("second", "k"),
            at_once("back"),
        ])
        .await;
    let mut claims = database.claim(10).await.claims;
    claims.sort_by_key(|claim| claim.id().to_string());
    assert_eq!(ids(&claims), ["back", "first", "retried"]);
    let [back, first, retried] = claims.try_into().unwrap();
    database.outbox.settle(&[retried.fail("timeout")]).await.unwrap();
    assert_eq!(ids(&database.claim(10).await.claims), ["retried"], "at once");
    database.outbox.settle(&[first.acknowledge()]).await.unwrap();
    assert_eq!(ids(&database.claim(10).await.claims), ["second"], "at once");
    database.outbox.settle(&[back.release("stopped")]).await.unwrap();
    assert_eq!(ids(&database.claim(10).await.claims), ["back"], "at once");
    late_business.commit().await.unwrap();
    assert_eq!(next_claim(&database).await, ["late"]);
    // Leases that end, and events that were put back by hand.
    database.end_leases().await;
    let mut found = next_claim(&database).await;
    while found.len() < 4 {
        found.extend(next_claim(&database).await);
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 4, "{found:?}");
    snapshot.commit().await.unwrap();
}

/// A purge of many is many short statements.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_purge_of_many_goes_in_pages() {
    let database = Database::fresh().await;
    database
        .sql(
            "INSERT INTO outbox_event (id, event_type, source_system, payload, status, attempts, due_at, done_at) \
             SELECT n::text, 't', 's', '', 'acknowledged', 1, NULL, clock_timestamp() FROM generate_series(1, 12000) AS n; \
             CREATE FUNCTION bounded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               IF (SELECT count(*) FROM gone) > 5000 THEN RAISE 'too many at once'; END IF; \
               RETURN NULL; \
             END $$; \
             CREATE TRIGGER bounded AFTER DELETE ON outbox_event REFERENCING OLD TABLE AS gone \
             FOR EACH STATEMENT EXECUTE FUNCTION bounded()",
        )
        .await;
    assert_eq!(database.outbox.purge(Duration::ZERO, 7_000).await.unwrap(), 7_000);
    assert_eq!(database.outbox.purge(Duration::ZERO, usize::MAX).await.unwrap(), 5_000);
    assert_eq!(database.outbox.counts().await.unwrap().total(), 0);
}

/// After a ring somebody looks once more, for what did not ring itself: also where the
/// wait for that is given up first, as a relay does when a send ends.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_wait_that_is_dropped_loses_no_second_look() {
    let database = Database::fresh().await;
    // The first ring is that of the listener, which has just come.
    database.outbox.wait(FAR).await;
    assert!(database.claim(10).await.claims.is_empty());
    assert!(futures_util::FutureExt::now_or_never(database.outbox.wait(FAR)).is_none());
    let looked = timeout(LONG, database.outbox.wait(FAR)).await;
    assert!(looked.is_ok(), "nobody looks any more");
}

/// Where the database has no second connection to give, relays share the one, and do not
/// ask for another at every call.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_database_with_one_connection_to_give_is_not_asked_for_another_each_time() {
    let database = Database::fresh().await;
    let gate = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = gate.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut first = None;
        while let Ok((mut client, _)) = gate.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            first.get_or_insert_with(|| {
                tokio::spawn(async move {
                    let server = tokio::net::TcpStream::connect((
                        "127.0.0.1",
                        servers::postgres_port(),
                    ))
                    .await;
                    tokio::io::copy_bidirectional(&mut client, &mut server.unwrap()).await
                })
            });
        }
    });
    let whole = &database.config;
    let config = Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(whole.get_user().unwrap())
        .dbname(whole.get_dbname().unwrap())
        .options(whole.get_options().unwrap())
        .application_name(database.schema.as_str())
        .to_owned();
    let outbox = Outbox::connect(config).await.unwrap();
    let claims =
        (0..20).map(|_| async { outbox.claim(&order("relay-1", 1)).await.unwrap() });
    futures_util::future::join_all(claims).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2, "for the one, and once for a second");
}
