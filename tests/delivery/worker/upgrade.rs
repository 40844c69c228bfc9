//! What an older program has left in the inbox, as this one reads it.

use chrono::{DateTime, Utc};

use super::Works;

/// An attempt would be counted twice, or a dead letter have an effect.
pub(crate) async fn rows_of_an_older_program_are_read_right<D: Works>() {
    let database = D::fresh().await;
    let mut migrations = D::inbox_migrations().into_iter();
    for migration in migrations.by_ref().take(2) {
        database.sql(&migration.script()).await;
    }
    let unknown = "unknown event type \"crm.lead.created\": this inbox takes in erp";
    let version = "unknown schema version \"1.0\" of crm.lead.created: this inbox takes \
                   in 2.0";
    let rows = [
        ("failed", "'no such account'", "-"),
        ("retrying", "'the consumer ended before its effect did'", "begun"),
        ("failed", "'the consumer ended before its effect did'", "begun"),
        ("retrying", "'an attempt was taken back: deadlock detected'", "uncounted"),
        ("failed", &format!("'{unknown}'"), "unknown"),
        ("failed", &format!("'{version}'"), "unknown"),
        ("retrying", &format!("'{unknown}'"), "-"),
        ("processed", "NULL", "-"),
    ];
    let past = D::moment(DateTime::<Utc>::UNIX_EPOCH);
    for (id, (status, reason, _)) in rows.iter().enumerate() {
        let sql = "INSERT INTO inbox_event \
                   (source_system, id, received_at, status, attempts, failure_reason)";
        let values = format!("VALUES ('crm', '{id}', {past}, '{status}', 2, {reason})");
        database.sql(&format!("{sql} {values}")).await;
    }
    let held = "UPDATE inbox_event SET held_after = '6', due_at = received_at";
    database.sql(&format!("{held} WHERE id = '6'")).await;

    for migration in migrations {
        database.sql(&migration.script()).await;
    }
    let sql = "SELECT coalesce(last_attempt, '-') FROM inbox_event ORDER BY id";
    let mut expected = rows.map(|(.., last_attempt)| last_attempt.to_owned());
    expected[6] = "uncounted".to_owned(); // it waits for its predecessor
    assert_eq!(database.texts(sql).await, expected);
}
