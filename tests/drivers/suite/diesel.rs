//! Diesel: asynchronous on PostgreSQL, blocking on SQLite, by the guide's glue. Its
//! connection is the transaction, so that what is not open is refused at run time.

use diesel::{Connection, SqliteConnection};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use integration_automation_patterns::outbox::driver::{DriverError, enqueue};
use integration_automation_patterns::outbox::{Admin, Enqueued};

use crate::{
    Postgres, Sqlite, another, assert_holds, bare, enqueue_each_kind, fresh, redriven,
};

#[path = "glue/diesel_async.rs"]
mod glue;
#[path = "glue/diesel_sqlite.rs"]
mod glue_sqlite;

#[tokio::test]
async fn postgresql() {
    let database = Postgres::fresh().await;
    let mut connection = AsyncPgConnection::establish(&database.url()).await.unwrap();
    let outside = enqueue(&mut glue::Business(&mut connection), fresh("1")).await;
    let outside = format!("{:#}", outside.unwrap_err().cause());
    assert!(outside.contains("has no open transaction"), "{outside}");

    let written = connection.transaction::<_, DriverError, _>(async |business| {
        Ok(enqueue_each_kind(&mut glue::Business(business)).await)
    });
    let written = written.await.unwrap();
    let rolled_back = connection.transaction::<(), DriverError, _>(async |business| {
        enqueue(&mut glue::Business(business), fresh("rolled back")).await?;
        Err("the lead is not wanted".into())
    });
    assert!(rolled_back.await.is_err());
    let after = enqueue(&mut glue::Business(&mut connection), fresh("after")).await;
    assert!(after.is_err());
    assert_holds(&database.outbox, written).await;
    database.end().await;
}

#[tokio::test]
async fn sqlite() {
    let database = Sqlite::fresh();
    let mut connection = SqliteConnection::establish(&database.path()).unwrap();
    let outside = glue_sqlite::enqueue(&mut connection, &fresh("1")).unwrap_err();
    assert!(outside.to_string().contains("has no open transaction"), "{outside}");

    let enqueued = connection.immediate_transaction::<_, DriverError, _>(|business| {
        let mut enqueued = Vec::new();
        for event in [fresh("1"), bare("2"), redriven("3"), fresh("1")] {
            enqueued.push(glue_sqlite::enqueue(business, &event)?);
        }
        let taken = glue_sqlite::enqueue(business, &another("1")).unwrap_err();
        assert!(format!("{taken:#}").contains("another event has the id"), "{taken:#}");
        Ok(enqueued)
    });
    use Enqueued::{Duplicate, New};
    assert_eq!(enqueued.unwrap(), [New, New, New, Duplicate]);
    let rolled_back = connection.transaction::<(), DriverError, _>(|business| {
        glue_sqlite::enqueue(business, &fresh("rolled back"))?;
        Err("the lead is not wanted".into())
    });
    assert!(rolled_back.is_err());
    assert_eq!(database.outbox.verify().await.unwrap(), []);
    assert_eq!(database.outbox.counts().await.unwrap().total(), 3);
}
