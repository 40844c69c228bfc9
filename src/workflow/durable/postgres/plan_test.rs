//! Proof that neither a clerk nor a desk reads or locks in PostgreSQL what it does not ask
//! for: the plans of their statements, beside many instances that wait, have ended, or are
//! due and of a workflow that nobody takes.

use serde_json::Value;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::clerk::due_sql;
use super::install;
use crate::workflow::durable::desk::{ENDED, OLDEST};

/// As many of each.
const FILL: &str = "INSERT INTO workflow_instance (id, workflow, version, fingerprint, \
     revision, status, step, due_at, turn_at, round, data, begun_at, moved_at) \
     SELECT md5(n::text), workflow, 1, '0123456789abcdef', 1, status, step, \
     now() + due, now() + due, 1, 'order', \
     now() - n * interval '1 s', now() - n * interval '1 s' \
     FROM generate_series(1, 3000) AS n, LATERAL (VALUES \
       (0, 'orders', 'awaiting', 'bill', n * interval '1 s'), \
       (1, 'retired', 'awaiting', 'bill', n * interval '-1 s'), \
       (2, 'orders', 'completed', NULL, NULL)\
     ) AS kind (of, workflow, status, step, due) WHERE n % 3 = of";

/// A connection with a schema of its own.
async fn connect(schema: &str) -> Client {
    let port = std::env::var("TEST_POSTGRES_PORT").unwrap_or_else(|_| "5432".to_owned());
    let server = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&server, NoTls).await.unwrap();
    tokio::spawn(connection);
    let make = format!(
        "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS {schema}; \
         SET search_path = {schema}"
    );
    client.batch_execute(&make).await.unwrap();
    client
}

fn schema(name: &str) -> String {
    format!("workflow_plan_{name}_{}", std::process::id())
}

/// The plan of a statement, in a schema of its own.
async fn plan(name: &str, sql: &str) -> Value {
    let schema = schema(name);
    let mut client = connect(&schema).await;
    install(&mut client).await.unwrap();
    client.batch_execute(FILL).await.unwrap();
    client.batch_execute("ANALYZE workflow_instance").await.unwrap();
    let plan = explain(&client, sql).await;
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    plan
}

async fn explain(client: &Client, sql: &str) -> Value {
    let explain = format!("EXPLAIN (FORMAT JSON) {sql}");
    let answer = client.simple_query(&explain).await.unwrap();
    let text = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    serde_json::from_str(text.unwrap()).unwrap()
}

/// What a plan reads, sorts and locks, from the top: with which index, on what condition.
/// Whether the index is enough is the vacuum's to say.
fn nodes(plan: &Value) -> Vec<String> {
    let mut nodes = Vec::new();
    let mut rest = vec![plan.pointer("/0/Plan").unwrap()];
    while let Some(node) = rest.pop() {
        let text = |name| node[name].as_str().unwrap_or_default();
        let does = text("Node Type").replace("Index Only", "Index");
        let words = [&does, text("Index Name"), text("Index Cond")];
        if ["Seq Scan", "Bitmap", "Index", "Sort", "LockRows"]
            .iter()
            .any(|word| does.contains(word))
        {
            nodes.push(words.join(" ").trim_end().to_owned());
        }
        rest.extend(node["Plans"].as_array().into_iter().flatten().rev());
    }
    nodes
}

/// Protects from a look that takes the longer the more instances wait, or are due and
/// nobody's; and from a lock on what the clerk does not take.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_clerk_finds_the_first_of_each_workflow_in_the_index() {
    let sql = due_sql().replace("$1", "'{orders,invoices}'");
    let nodes = nodes(&plan("due", &sql).await);
    let condition = "((workflow = name.name) AND (turn_at <= statement_timestamp()))";
    let scan = format!("Index Scan workflow_due {condition}");
    // Sorted are the firsts alone, and locked one after another until one is.
    let expected = ["Sort", &scan, "LockRows", &scan];
    assert_eq!(nodes, expected);
}

/// Protects from a list of what is stuck, or a purge, that reads and sorts all there is.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_desk_lists_by_an_index_in_its_order() {
    for (name, sql) in [("waiting", OLDEST), ("ended", ENDED)] {
        let sql = sql.replace("$1", "now()").replace("$2", "100");
        let nodes = nodes(&plan(name, &sql).await);
        let scan = format!("Index Scan workflow_{name} (moved_at <= now())");
        assert_eq!(nodes, [scan]);
    }
}

/// Protects from clerks that wait for one another, and from one that holds what it does
/// not take: each takes what the others have left.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn clerks_take_one_instance_each() {
    let schema = schema("taken");
    let mut clerks = Vec::new();
    for _ in 0..4 {
        clerks.push(connect(&schema).await);
    }
    install(clerks.last_mut().unwrap()).await.unwrap();
    let rows = "INSERT INTO workflow_instance (id, workflow, version, fingerprint, \
         revision, status, step, due_at, turn_at, round, data, begun_at, moved_at) \
         SELECT id, workflow, 1, '0123456789abcdef', 1, 'awaiting', 'bill', now() - due, \
         now() - due, 1, '', now(), now() FROM (VALUES \
           ('second', 'orders', interval '1 s'), ('first', 'orders', interval '3 s'), \
           ('third', 'invoices', interval '2 s'), ('none', 'retired', interval '4 s')\
         ) AS given (id, workflow, due)";
    clerks.last().unwrap().batch_execute(rows).await.unwrap();
    let look = due_sql().replace("$1", "'{invoices,orders}'");
    let mut taken: Vec<Option<String>> = Vec::new();
    for clerk in &clerks {
        clerk.batch_execute("BEGIN").await.unwrap();
        let row = clerk.query_opt(&look, &[]).await.unwrap();
        taken.push(row.map(|row| row.get(0)));
    }
    for clerk in &clerks {
        clerk.batch_execute("ROLLBACK").await.unwrap();
    }
    let drop = format!("DROP SCHEMA {schema} CASCADE");
    clerks.last().unwrap().batch_execute(&drop).await.unwrap();
    let taken = taken.iter().map(Option::as_deref).collect::<Vec<_>>();
    assert_eq!(taken, [Some("first"), Some("second"), Some("third"), None]);
}

/// Protects from plans that a connection makes while the tables are small, and keeps.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_step_reads_no_table_as_a_whole_however_small() {
    let schema = schema("small");
    let mut client = connect(&schema).await;
    install(&mut client).await.unwrap();
    let few = FILL.replace("3000", "30");
    let step = "BEGIN; SELECT workflow_find(md5('3')); \
        SELECT workflow_write(md5('3'), 'orders', 1, '0123456789abcdef', 2, 'awaiting', \
          'bill', NULL, now(), 1, NULL, NULL, NULL, NULL, NULL, NULL, '', '{}', now(), '[]'); \
        SELECT workflow_write_entry(md5('3'), 2, now(), 'done', NULL, 'awaiting', 'bill', \
          NULL, NULL, '[]', NULL, NULL, NULL, NULL, NULL, '[]', 1)";
    client.batch_execute(&format!("{few}; ANALYZE workflow_instance")).await.unwrap();
    // A connection of its own, which has made no index.
    let program = connect(&schema).await;
    program.batch_execute(step).await.unwrap();
    let read = "SELECT relname || ' ' || seq_scan || ' ' || (idx_scan > 0) \
                FROM pg_stat_xact_user_tables WHERE schemaname = current_schema() \
                AND relname LIKE 'workflow_%' ORDER BY relname";
    let read = program.query(read, &[]).await.unwrap();
    let drop = format!("ROLLBACK; DROP SCHEMA {schema} CASCADE");
    program.batch_execute(&drop).await.unwrap();
    let read: Vec<String> = read.iter().map(|row| row.get(0)).collect();
    let tables = ["clearance", "instance", "journal", "vote"];
    assert_eq!(read, tables.map(|table| format!("workflow_{table} 0 true")));
}
