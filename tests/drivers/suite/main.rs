//! Events in the transactions of the drivers that people have, on PostgreSQL and SQLite:
//! new, had before, refused, rolled back, and claimed as they were written.

mod diesel;
mod guide;
mod pools;
mod sea_orm;
#[path = "../../support/servers.rs"]
mod servers;
mod sqlx;

use std::path::PathBuf;
use std::time::Duration;

use integration_automation_patterns::outbox::driver::{ForeignTransaction, enqueue};
use integration_automation_patterns::outbox::{
    Admin, ClaimOrder, Enqueued, Store, StoreErrorKind, postgres, sqlite,
};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope, RawEvent, Record};
use tokio_postgres::NoTls;

/// An event that is as it was built.
fn fresh(id: &str) -> Envelope<Pending> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{\"name\":\"Ada\"}"))
        .id(id.parse().unwrap())
        .correlation_id("import-7")
        .tag("region", "eu-west-1")
        .ordering_key("lead-7")
        .build()
        .unwrap()
}

/// An event with nothing that it may do without, whose bytes are no text, of the first
/// year that an envelope may have.
fn bare(id: &str) -> Envelope<Pending> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", b"\0\xff"))
        .id(id.parse().unwrap())
        .build_at("0000-01-01T00:00:00Z".parse().unwrap())
        .unwrap()
}

/// An event that failed, and that a person sends again.
fn redriven(id: &str) -> Envelope<Pending> {
    let decision = Decision::new("on-call", "the account exists now").unwrap();
    fresh(id).dispatch().reject("no such account").redrive(decision)
}

/// Another event under the same id.
fn another(id: &str) -> Envelope<Pending> {
    Envelope::builder("erp", RawEvent::new("erp.invoice.issued", b"{}"))
        .id(id.parse().unwrap())
        .build()
        .unwrap()
}

/// The events that [`enqueue_each_kind`] leaves, as they are to be claimed.
struct Written(Vec<Record>);

/// Enqueues an event of each kind, and what is to be refused.
async fn enqueue_each_kind<T: ForeignTransaction>(business: &mut T) -> Written {
    let mut written = Vec::new();
    for event in [fresh("1"), bare("2"), redriven("3")] {
        written.push(event.to_record());
        assert_eq!(enqueue(business, event).await.unwrap(), Enqueued::New);
    }
    assert_eq!(enqueue(business, fresh("1")).await.unwrap(), Enqueued::Duplicate);
    let refused = enqueue(business, another("1")).await.unwrap_err();
    assert_eq!(refused.cause().kind(), StoreErrorKind::IdTaken);
    let why = format!("{:#}", refused.cause());
    assert!(why.contains("crm.lead.created from crm is there"), "{why}");
    assert!(why.contains("erp.invoice.issued from erp was to be enqueued"), "{why}");
    assert_eq!(refused.into_value().source_system(), "erp");
    Written(written)
}

/// What was committed is in the outbox as it was written, and nothing else is.
async fn assert_holds<O: Store + Admin>(outbox: &O, Written(written): Written) {
    assert_eq!(outbox.verify().await.unwrap(), []);
    assert_eq!(outbox.counts().await.unwrap().total(), written.len() as u64);
    let order = ClaimOrder::new("relay-1", 10, Duration::from_secs(60));
    let mut claims = outbox.claim(&order).await.unwrap().claims;
    // Of one key only the first is claimed at once.
    assert_eq!(claims.len(), 2);
    let first = claims.iter().map(|claim| claim.id().to_string()).collect::<Vec<_>>();
    assert_eq!(first, ["1", "2"]);
    let settlements = claims.drain(..).map(|claim| claim.acknowledge());
    let settlements = settlements.collect::<Vec<_>>();
    assert_eq!(outbox.settle(&settlements).await.unwrap(), []);
    for wanted in &written {
        let found = outbox.get(&wanted.id).await.unwrap().expect("it is there");
        let found = found.event.to_record();
        assert_eq!(found.payload, wanted.payload);
        assert_eq!(found.tags, wanted.tags);
        assert_eq!(found.correlation_id, wanted.correlation_id);
        assert_eq!(found.created_at, wanted.created_at);
        assert_eq!(found.failure, wanted.failure);
        assert_eq!(found.redriven, wanted.redriven);
    }
}

/// A schema of its own in PostgreSQL, for one test.
struct Postgres {
    schema: String,
    config: tokio_postgres::Config,
    outbox: postgres::Outbox,
}

impl Postgres {
    async fn fresh() -> Self {
        let schema = format!("drivers_{}", uuid::Uuid::now_v7().simple());
        sql(&format!("CREATE SCHEMA {schema}")).await;
        let mut config: tokio_postgres::Config = servers::postgres().parse().unwrap();
        config.options(format!("-c search_path={schema}"));
        let outbox = postgres::Outbox::connect(config.clone()).await.unwrap();
        Self { schema, config, outbox }
    }

    /// The address, as the drivers take it that have a parser of their own.
    fn url(&self) -> String {
        let (port, schema) = (servers::postgres_port(), &self.schema);
        format!(
            "postgres://postgres@127.0.0.1:{port}/postgres?options=-c%20search_path%3D{schema}"
        )
    }

    async fn end(self) {
        sql(&format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }
}

async fn sql(sql: &str) {
    let (client, connection) =
        tokio_postgres::connect(&servers::postgres(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

/// A file of its own with an outbox of SQLite, for one test.
struct Sqlite {
    folder: PathBuf,
    outbox: sqlite::Outbox,
}

impl Sqlite {
    fn fresh() -> Self {
        let folder = format!("drivers-{}", uuid::Uuid::now_v7().simple());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let outbox = sqlite::Outbox::open(folder.join("crm.db")).unwrap();
        Self { folder, outbox }
    }

    fn path(&self) -> String {
        self.folder.join("crm.db").to_str().unwrap().to_owned()
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
