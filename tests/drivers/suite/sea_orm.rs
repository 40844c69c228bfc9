//! SeaORM, on both databases, by the guide's glue.

use integration_automation_patterns::outbox::driver::enqueue;
use sea_orm::{Database, TransactionTrait};

use crate::{Postgres, Sqlite, assert_holds, enqueue_each_kind, fresh};

#[path = "glue/sea_orm.rs"]
mod glue;

#[tokio::test]
async fn postgresql() {
    let database = Postgres::fresh().await;
    let orm = Database::connect(database.url()).await.unwrap();
    let business = orm.begin().await.unwrap();
    let written = enqueue_each_kind(&mut glue::Business(&business)).await;
    business.commit().await.unwrap();
    let business = orm.begin().await.unwrap();
    enqueue(&mut glue::Business(&business), fresh("rolled back")).await.unwrap();
    business.rollback().await.unwrap();
    assert_holds(&database.outbox, written).await;
    orm.close().await.unwrap();
    database.end().await;
}

#[tokio::test]
async fn sqlite() {
    let database = Sqlite::fresh();
    let orm = Database::connect(format!("sqlite://{}", database.path())).await.unwrap();
    let business = orm.begin().await.unwrap();
    let written = enqueue_each_kind(&mut glue::Business(&business)).await;
    business.commit().await.unwrap();
    let business = orm.begin().await.unwrap();
    enqueue(&mut glue::Business(&business), fresh("rolled back")).await.unwrap();
    business.rollback().await.unwrap();
    assert_holds(&database.outbox, written).await;
    orm.close().await.unwrap();
}
