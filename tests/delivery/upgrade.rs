//! Databases of other versions: older ones are taken forward, and newer ones say which
//! programs may use them.

use integration_automation_patterns::outbox::{Admin, StoreErrorKind};

use crate::chain::Chain as _;
use crate::suite::{Database, claim, event, id, ids, settle};

/// Whoever upgrades a program keeps what waits in its database.
pub(crate) async fn every_older_database_is_taken_forward_with_its_rows<D: Database>() {
    let migrations = migrations::<D>();
    for version in 1..=migrations.len() {
        let database = D::fresh().await;
        database.drop_tables().await;
        for migration in &migrations[..version] {
            database.sql(migration).await;
        }
        // As the table of versions was made before it had `compatible_from`.
        database
            .sql(&format!(
                "CREATE TABLE integration_schema (part TEXT PRIMARY KEY, version bigint NOT NULL); \
                 INSERT INTO integration_schema VALUES ('outbox', {version}); {}",
                D::PLAIN_ENQUEUE
            ))
            .await;

        let program = database.open().await.unwrap();
        database.enqueue(vec![event("later")], true).await;
        assert_eq!(program.verify().await.unwrap(), [], "from version {version}");
        let claims = claim(&database, "relay-1", 10).await.claims;
        assert_eq!(ids(&claims), ["plain", "later"], "from version {version}");
        for claim in claims {
            assert!(settle(&database, claim.acknowledge()).await.is_empty());
        }
    }
}

/// The migrations of a database, in their order.
fn migrations<D: Database>() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(D::MIGRATIONS);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// During a rolling deployment the older program goes on, in the tables of the newer one.
pub(crate) async fn a_newer_schema_that_admits_this_program_is_used<D: Database>() {
    let database = D::fresh().await;
    database
        .sql(
            "ALTER TABLE outbox_event ADD COLUMN of_a_newer_program TEXT; \
             UPDATE integration_schema SET version = 3, compatible_from = 2 WHERE part = 'outbox'",
        )
        .await;
    let older = database.open().await.unwrap();
    database.enqueue(vec![event("1"), event("2")], true).await;
    let mut claims = claim(&database, "relay-1", 10).await.claims;
    assert!(settle(&database, claims.pop().unwrap().reject("poison")).await.is_empty());
    assert!(settle(&database, claims.pop().unwrap().acknowledge()).await.is_empty());
    assert_eq!(older.get(&id("2")).await.unwrap().unwrap().entries.len(), 3);
    assert_eq!(older.verify().await.unwrap(), []);
    database.open().await.unwrap(); // it has not written its own version there
    database
        .sql("UPDATE integration_schema SET compatible_from = 3 WHERE part = 'outbox' AND version = 3")
        .await;
    assert!(database.open().await.is_err());
}

/// A program that went on would write what the newer ones do not expect.
pub(crate) async fn a_newer_schema_that_does_not_is_refused_with_both_numbers<
    D: Database,
>() {
    let database = D::fresh().await;
    for newer in ["compatible_from = 8", "compatible_from = NULL"] {
        database
            .sql(&format!(
                "UPDATE integration_schema SET version = 9, {newer} WHERE part = 'outbox'"
            ))
            .await;
        let refused = database.open().await.map(drop).unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::NewerSchema);
        let least = if newer.ends_with('8') { 8 } else { 9 };
        assert_eq!(
            refused.chain(),
            format!(
                "creating the tables: this program knows version 2 of the outbox tables, and the database has 9: use a newer \
                 program, of version {least} or later"
            )
        );
    }
}
