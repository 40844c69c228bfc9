//! sqlx: PostgreSQL by the feature, SQLite by the guide's glue.

use integration_automation_patterns::outbox::Admin;
use integration_automation_patterns::outbox::driver::enqueue;
use sqlx::{PgPool, SqlitePool};

use crate::{Postgres, Sqlite, assert_holds, enqueue_each_kind, fresh};

#[path = "glue/sqlx_sqlite.rs"]
mod glue;

#[tokio::test]
async fn postgresql() {
    let database = Postgres::fresh().await;
    let pool = PgPool::connect(&database.url()).await.unwrap();
    let mut business = pool.begin().await.unwrap();
    let written = enqueue_each_kind(&mut business).await;
    business.commit().await.unwrap();
    let mut business = pool.begin().await.unwrap();
    enqueue(&mut business, fresh("rolled back")).await.unwrap();
    business.rollback().await.unwrap();
    assert_holds(&database.outbox, written).await;
    pool.close().await;
    database.end().await;
}

/// A search path whose first schema has no outbox writes into no other one's.
#[tokio::test]
async fn postgresql_elsewhere_is_refused() {
    let database = Postgres::fresh().await;
    let pool = PgPool::connect(&database.url()).await.unwrap();
    let mut business = pool.begin().await.unwrap();
    let path = format!("SET LOCAL search_path = pg_temp, {}", database.schema);
    sqlx::raw_sql(sqlx::AssertSqlSafe(path)).execute(&mut *business).await.unwrap();
    let refused = enqueue(&mut business, fresh("1")).await.unwrap_err();
    let why = format!("{:#}", refused.cause());
    assert!(why.contains("has no outbox: make one by `install`"), "{why}");
    business.commit().await.unwrap();
    assert_eq!(database.outbox.counts().await.unwrap().total(), 0);
    pool.close().await;
    database.end().await;
}

#[tokio::test]
async fn sqlite() {
    let database = Sqlite::fresh();
    let pool =
        SqlitePool::connect(&format!("sqlite://{}", database.path())).await.unwrap();
    let mut business = pool.begin().await.unwrap();
    let written = enqueue_each_kind(&mut glue::Business(&mut business)).await;
    business.commit().await.unwrap();
    let mut business = pool.begin().await.unwrap();
    enqueue(&mut glue::Business(&mut business), fresh("rolled back")).await.unwrap();
    drop(business);
    assert_holds(&database.outbox, written).await;
    pool.close().await;
}
