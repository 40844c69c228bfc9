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

/// A schema that belongs to a migration tool, or to a person, is one that programs take.
pub(crate) async fn what_another_tool_made_is_taken_as_it_is<D: Database>() {
    let files = migrations::<D>();
    let scripts = D::scripts();
    assert_eq!(scripts.len(), files.len());
    let database = D::fresh().await;
    database.drop_tables().await;
    for ((script, file), version) in scripts.iter().zip(&files).zip(1..) {
        assert_eq!((script.part, script.version), ("outbox", version));
        assert_eq!(script.sql, file, "the package has what the program makes");
        assert!(script.compatible_from() <= version);
        database.sql(&script.script()).await;
    }
    let program = database.open().await.unwrap();
    database.open().await.unwrap(); // nothing is made a second time
    database.enqueue(vec![event("1")], true).await;
    assert_eq!(ids(&claim(&database, "relay-1", 10).await.claims), ["1"]);
    assert_eq!(program.verify().await.unwrap(), []);
}

/// Who ran the files alone is told how the version is recorded.
pub(crate) async fn tables_of_no_stated_version_say_what_to_do<D: Database>() {
    let database = D::fresh().await;
    database.drop_tables().await;
    for migration in migrations::<D>() {
        database.sql(&migration).await;
    }
    let refused = database.open().await.map(drop).unwrap_err().chain();
    assert!(refused.contains("runs `Migration::script`, which says it"), "{refused}");
    let script = D::scripts().pop().unwrap();
    let text = script.script();
    let (_, version) = text.split_at(script.sql.len());
    database.sql(version).await;
    database.open().await.unwrap();
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
                "looking at the tables: this program knows version 2 of the outbox tables, and the database has 9: use a newer \
                 program, of version {least} or later"
            )
        );
    }
}
