//! The same program on PostgreSQL, in a schema of its own.

use integration_automation_patterns::workflow::postgres as workflows;
use integration_automation_patterns::workflow::{InstanceId, WorkflowConfig};
use integration_automation_patterns::{inbox, outbox};
use tokio_postgres::{Client, NoTls};

use crate::orders::order_to_cash;
use crate::orders::{Order, Sales, login};
use crate::prepared::{Folder, id};
use crate::program::{code, stderr};
use crate::{DORA, WORKFLOW, one, servers, stands};

async fn connect(address: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Protects whoever has PostgreSQL from a program that was tried on files alone.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn it_does_the_same_on_postgresql() {
    let schema = format!("workflow_cli_{}", std::process::id());
    let admin = connect(&servers::postgres()).await;
    admin.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let address = format!(
        "postgres://postgres@127.0.0.1:{}/postgres?options=-csearch_path%3D{schema}",
        servers::postgres_port()
    );
    let folder = Folder::new("postgres");
    let none = WORKFLOW.run(folder.path(), &[&address, "counts"]);
    assert_eq!(code(&none), 2);
    let error = stderr(&none);
    assert!(error.contains(&format!("the schema {schema} has none")), "{error}");

    let mut client = connect(&address).await;
    outbox::postgres::install(&mut client).await.unwrap();
    inbox::postgres::install(&mut client).await.unwrap();
    workflows::install(&mut client).await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let anna = login::seat::<Sales>("anna").unwrap();
    let first = order_to_cash::start(
        InstanceId::of("order 4711").unwrap(),
        Order::of(900),
        &anna,
    );
    let config = WorkflowConfig::default();
    let _ = workflows::begin(&transaction, first, &config).await.unwrap();
    transaction.commit().await.unwrap();

    let ask = |words: &[&str]| one(folder.path(), &[&[&*address], words].concat(), 0);
    assert_eq!(ask(&["counts"])["instances"], 1);
    let stuck = ask(&["stuck", "--older-than", "0s"]);
    assert_eq!((&stuck["id"], &stuck["revision"]), (&id("order 4711").into(), &1.into()));
    assert_eq!(ask(&["verify"])["balanced"], true);
    let key = ["--key", "order 4711", "--revision", "1"];
    let later = [&["postpone", "--until", "2d"], &key[..], &DORA].concat();
    assert_eq!(ask(&later)["revision"], 2);
    let old =
        WORKFLOW.run(folder.path(), &[&[&*address, "cancel"], &key[..], &DORA].concat());
    assert_eq!(code(&old), 1, "{}", stderr(&old));
    let key = ["--key", "order 4711", "--revision", "2"];
    let cancelled = ask(&[&["cancel"], &key[..], &DORA].concat());
    assert_eq!(stands(&cancelled), ("undoing", "reserve_credit"));
    let look = ask(&["look", "--key", "order 4711"]);
    assert_eq!(look["journal"].as_array().map(Vec::len), Some(3));
    admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

/// Protects the programs that are running from a newer one that was asked how things
/// stand: it would take the tables from them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn what_an_older_program_made_is_left_as_it_is() {
    let schema = format!("workflow_older_{}", std::process::id());
    let admin = connect(&servers::postgres()).await;
    let create = format!("CREATE SCHEMA {schema}; SET search_path = {schema}, pg_temp");
    admin.batch_execute(&create).await.unwrap();
    for one in outbox::postgres::migrations().chain(inbox::postgres::migrations()) {
        admin.batch_execute(&one.script()).await.unwrap();
    }
    for first in workflows::migrations().filter(|one| one.version == 1) {
        admin.batch_execute(&first.script()).await.unwrap();
    }
    let made = "SELECT string_agg(relname, ' ' ORDER BY relname) || (SELECT \
         string_agg(part || version, ' ' ORDER BY part) FROM integration_schema) \
         FROM pg_class WHERE relnamespace = current_schema()::regnamespace";
    let made = async || admin.query_one(made, &[]).await.unwrap().get::<_, String>(0);
    let before = made().await;
    let address =
        format!("postgres://postgres@127.0.0.1:{}/postgres", servers::postgres_port());
    let folder = Folder::new("older");
    let first = ["--key", "order 4711"];
    let purge = [&["purge", "--older-than", "30d"][..], &DORA].concat();
    let cancel = [&["cancel", "--revision", "1"], &first[..], &DORA].concat();
    let look = [&["look"], &first[..]].concat();
    let verbs = [&["counts"][..], &["stuck"], &look, &["verify"], &["diagram"]];
    for verb in verbs.into_iter().chain([&purge[..], &cancel]) {
        let words = [&[&*address, "--schema", &schema], verb].concat();
        let refused = WORKFLOW.run(folder.path(), &words);
        let error = stderr(&refused);
        assert_eq!(code(&refused), 2, "{verb:?}: {error}");
        let versions = format!(
            "needs version 3 of the workflow tables, and the schema {schema} has 1"
        );
        assert!(error.contains(&versions), "{error}");
        assert!(error.contains(&format!("schema {schema}, as postgres")), "{error}");
        assert!(!error.contains("creating"), "{error}");
    }
    assert_eq!(made().await, before);
    admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}
