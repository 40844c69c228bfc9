//! The same program on PostgreSQL, in a schema of its own.

use integration_automation_patterns::{inbox, outbox, workflow};
use serde_json::json;

use crate::prepared::Folder;
use crate::program::{code, stderr};
use crate::{OUTBOX, VERBS, servers};

/// Protects the programs that are running from a newer one that was asked how things
/// stand, or that purges by night: it would take the tables from them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn only_migrate_changes_what_an_older_program_made() {
    let schema = format!("outbox_older_{}", std::process::id());
    let connected =
        tokio_postgres::connect(&servers::postgres(), tokio_postgres::NoTls).await;
    let (admin, connection) = connected.unwrap();
    tokio::spawn(connection);
    let create = format!("CREATE SCHEMA {schema}; SET search_path = {schema}, pg_temp");
    admin.batch_execute(&create).await.unwrap();
    let parts = outbox::postgres::migrations()
        .chain(inbox::postgres::migrations())
        .chain(workflow::postgres::migrations());
    for first in parts.filter(|one| one.version == 1) {
        admin.batch_execute(&first.script()).await.unwrap();
    }
    let made = "SELECT string_agg(relname, ' ' ORDER BY relname) || (SELECT \
         string_agg(part || version, ' ' ORDER BY part) FROM integration_schema) \
         FROM pg_class WHERE relnamespace = current_schema()::regnamespace";
    let made = async || admin.query_one(made, &[]).await.unwrap().get::<_, String>(0);
    let before = made().await;
    let address =
        format!("postgres://postgres@127.0.0.1:{}/postgres", servers::postgres_port());
    let folder = Folder::new("postgres");
    let here = [&*address, "--schema", &schema];
    let of_inbox: [&[&str]; 4] = [
        &["inbox", "counts"],
        &["inbox", "list"],
        &["inbox", "stalled"],
        &["inbox", "held"],
    ];
    for verb in VERBS.into_iter().chain(of_inbox) {
        let refused = OUTBOX.run(folder.path(), &[&here, verb].concat());
        let error = stderr(&refused);
        assert_eq!(code(&refused), 2, "{verb:?}: {error}");
        let versions = format!("tables, and the schema {schema} has 1");
        assert!(error.contains(&versions), "{error}");
        assert!(error.contains("`outbox <DATABASE> migrate`"), "{error}");
        assert!(!error.contains("creating"), "{error}");
    }
    assert_eq!(made().await, before);

    let migrate = [&here[..], &["migrate"]].concat();
    let latest = |part: &str, now: usize| json!({"part": part, "found": 1, "now": now});
    let [inbox, outbox, workflow] = [
        inbox::postgres::migrations().count(),
        outbox::postgres::migrations().count(),
        workflow::postgres::migrations().count(),
    ];
    assert_eq!(
        OUTBOX.json(folder.path(), &migrate, 0),
        [latest("inbox", inbox), latest("outbox", outbox), latest("workflow", workflow)]
    );
    let counts = [&here[..], &["counts"]].concat();
    assert_eq!(OUTBOX.json(folder.path(), &counts, 0)[0]["total"], 0);
    admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}
