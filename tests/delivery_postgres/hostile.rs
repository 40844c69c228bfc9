//! Rows, texts and databases that stop nobody else: what plain SQL may write is refused,
//! and what is there all the same is read.

use crate::chain::Chain as _;
use integration_automation_patterns::DeliveryStatus::Pending;
use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{self, Handled, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::postgres::{Outbox, install};
use integration_automation_patterns::outbox::{Admin, Filter, Redrive, Store};
use integration_automation_patterns::retry::RetryPolicy;

use crate::{DAY, Database, connect, decision, event, ids, impatient, order, server};

const TIMES: [&str; 3] = ["'infinity'", "'-infinity'", "'290000-01-01'"];

async fn refused(database: &Database, sql: &str) {
    let error = database.client.batch_execute(sql).await.expect_err(sql);
    let code = error.code().map(|code| code.code().to_owned());
    assert_eq!(code.as_deref(), Some("23514"), "{sql}: {error:?}");
}

/// No column takes a time that no calendar has, nor a count that is none: of the outbox,
/// its history, and the inbox.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn constraints_keep_out_what_is_no_time_and_no_count() {
    let database = Database::fresh().await;
    inbox::postgres::install(&mut database.session().await).await.unwrap();
    database.enqueue(vec![impatient("1", 5)]).await;
    let failed = database.claim(1).await.claims.pop().unwrap().fail("no");
    database.outbox.settle(&[failed]).await.unwrap();
    database
        .sql("INSERT INTO inbox_event (source_system, id, status, attempts) VALUES ('s', '1', 'processed', 1)")
        .await;
    for table in ["outbox_event", "outbox_history", "inbox_event"] {
        let sql = format!(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = '{table}'::regclass AND atttypid = 'timestamptz'::regtype"
        );
        let columns = database.client.query(&sql, &[]).await.unwrap();
        assert!(columns.len() >= 2, "{table}");
        for column in columns.iter().map(|row| row.get::<_, String>(0)) {
            for time in &TIMES
                [..if column == "created_at" && table == "inbox_event" { 2 } else { 3 }]
            {
                refused(&database, &format!("UPDATE {table} SET {column} = {time}"))
                    .await;
            }
        }
        for attempts in ["-1", "4294967296", "9223372036854775807"] {
            refused(&database, &format!("UPDATE {table} SET attempts = {attempts}"))
                .await;
        }
    }
    for argument in ["failed_at", "redriven_at", "created_at"] {
        let sql =
            format!("SELECT outbox_enqueue('2', 't', 's', '', {argument} => 'infinity')");
        refused(&database, &sql).await;
    }
    database.balanced().await;
}

/// Where no constraint kept them out, such rows stop neither claims nor anything that
/// people ask.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_row_beyond_the_calendar_stops_nobody() {
    let database = Database::fresh().await;
    database
        .enqueue((0..24).map(|number| impatient(&format!("{number}"), 5)).collect())
        .await;
    let dead: Vec<_> = database
        .claim(4)
        .await
        .claims
        .into_iter()
        .map(|claim| claim.reject("no"))
        .collect();
    database.outbox.settle(&dead).await.unwrap();
    let _leased = database.claim(4).await;
    let done: Vec<_> = database
        .claim(2)
        .await
        .claims
        .into_iter()
        .map(|claim| claim.acknowledge())
        .collect();
    database.outbox.settle(&done).await.unwrap();
    database
        .sql(
            "ALTER TABLE outbox_event DROP CONSTRAINT times_of_the_calendar, DROP CONSTRAINT outbox_event_attempts_check; \
             ALTER TABLE outbox_history DROP CONSTRAINT times_of_the_calendar, DROP CONSTRAINT outbox_history_attempts_check; \
             UPDATE outbox_event SET failed_at = 'infinity', first_sent_at = '-infinity' WHERE id = '0'; \
             UPDATE outbox_event SET redriven_by = 'x', redriven_reason = 'y', redriven_at = '-infinity' WHERE id = '1'; \
             UPDATE outbox_event SET due_at = '-infinity' WHERE id = '4'; \
             UPDATE outbox_event SET due_at = 'infinity' WHERE id = '5'; \
             UPDATE outbox_event SET claimed_at = 'infinity', enqueued_at = '-infinity' WHERE id = '6'; \
             UPDATE outbox_event SET done_at = 'infinity' WHERE id = '8'; \
             UPDATE outbox_event SET attempts = 9223372036854775807 WHERE id = '10'; \
             UPDATE outbox_event SET due_at = '-infinity' WHERE id = '11'; \
             UPDATE outbox_event SET due_at = 'infinity' WHERE id = '12'; \
             UPDATE outbox_event SET due_at = '290000-01-01' WHERE id = '13'; \
             UPDATE outbox_event SET created_at = 'infinity' WHERE id = '14'; \
             UPDATE outbox_event SET failure_class = 'transient', failure_reason = 'z', failed_at = 'infinity', \
               redriven_by = 'x', redriven_reason = 'y', redriven_at = 'infinity' WHERE id = '15'; \
             UPDATE outbox_history SET at = 'infinity', attempts = 9223372036854775807 \
               WHERE event = (SELECT sequence FROM outbox_event WHERE id = '2')",
        )
        .await;

    let admin = &database.outbox;
    let everything = Filter::default();
    assert_eq!(admin.counts().await.unwrap().total(), 24);
    let waiting = admin.waiting(&everything, 100).await.unwrap();
    assert_eq!(waiting.len(), 16, "all but the two rows that are no event: {waiting:?}");
    for number in 0..24 {
        let _ = admin.get(&number.to_string().parse().unwrap()).await;
    }
    assert!(admin.get(&"5".parse().unwrap()).await.unwrap().is_some());
    assert_eq!(admin.dead_letters(&everything, 100).await.unwrap().len(), 4);
    assert_eq!(admin.unreadable(&everything).await.unwrap(), []);
    let found = admin.verify().await.unwrap();
    assert!(
        found.iter().all(|finding| !["3", "16", "23"].contains(&finding.event.as_str())),
        "{found:?}"
    );

    let mut sent = Vec::new();
    loop {
        let claimed = admin.claim(&order("relay-1", 100)).await.unwrap();
        if claimed.claims.is_empty() && claimed.expired.is_empty() {
            break;
        }
        sent.extend(ids(&claimed.claims));
        let settled: Vec<_> =
            claimed.claims.into_iter().map(|claim| claim.acknowledge()).collect();
        assert_eq!(admin.settle(&settled).await.unwrap(), []);
    }
    for number in 16..24 {
        assert!(sent.contains(&number.to_string()), "{number} of {sent:?}");
    }
    assert!(sent.contains(&"15".to_owned()), "{sent:?}");
    let redriven = admin
        .redrive(&everything, &Redrive::new(decision(), 7 * DAY).force())
        .await
        .unwrap();
    assert_eq!(
        redriven.len(),
        admin.counts().await.unwrap().of(Pending) as usize - 2,
        "two are held back for ever"
    );
    admin.purge(DAY, 100).await.unwrap();
}

/// A dead letter of the inbox with such a time hides no other.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_dead_letter_beyond_the_calendar_hides_no_other() {
    let database = Database::fresh().await;
    let mut client = database.session().await;
    inbox::postgres::install(&mut client).await.unwrap();
    let inbox_config = InboxConfig::new(7 * DAY, RetryPolicy::DEFAULT).unwrap();
    for id in ["1", "2"] {
        let effect = inbox::postgres::process(
            &mut client,
            Delivery::new(event(id), ()),
            &inbox_config,
            async |_, _| Err(HandlerError::permanent("no")),
        );
        assert!(matches!(effect.await.unwrap(), Handled::DeadLettered(_)));
    }
    database
        .sql(
            "ALTER TABLE inbox_event DROP CONSTRAINT times_of_the_calendar; \
             UPDATE inbox_event SET received_at = '-infinity', failed_at = 'infinity' WHERE id = '1'",
        )
        .await;
    let found =
        inbox::postgres::dead_letters(&client, &Filter::default(), 10).await.unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
}

/// A database that cannot hold every text says so at once, and not when the first such
/// text comes.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_database_of_another_encoding_is_refused() {
    let admin = connect(&server()).await;
    for (encoding, is_taken) in [("LATIN1", false), ("SQL_ASCII", true)] {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let sql = format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        admin.batch_execute(&sql).await.unwrap();
        let mut config = server();
        config.dbname(name.as_str());
        let connected = Outbox::connect(config.clone()).await.map(drop);
        let installed = install(&mut connect(&config).await).await;
        let received = inbox::postgres::install(&mut connect(&config).await).await;
        admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        for answer in [connected, installed, received] {
            match answer {
                Ok(()) => assert!(is_taken, "{encoding} is taken"),
                Err(refused) => {
                    let refused = refused.chain();
                    assert!(
                        !is_taken && refused.contains("holds texts in LATIN1"),
                        "{refused}"
                    );
                }
            }
        }
    }
}

/// An event whose attempts have come to the highest count is claimed, and is a dead
/// letter, and nobody waits for it.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_highest_count_of_attempts_is_no_end() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("1"), event("2")]).await;
    database.sql("UPDATE outbox_event SET attempts = 4294967295, status = 'retrying' WHERE id = '1'").await;
    let claimed = database.claim(10).await;
    let taken = claimed.claims.len() + claimed.quarantined.len();
    assert_eq!(taken, 2, "{claimed:?}");
}
