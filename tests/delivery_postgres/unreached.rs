//! What is said of a database that is not reached, or not as it should be; and that it is
//! said in a time that ends.

use crate::chain::Chain as _;
use std::net::TcpListener;

use integration_automation_patterns::outbox::Admin;
use integration_automation_patterns::outbox::postgres::{Outbox, enqueue};
use tokio_postgres::Config;

use crate::{Database, event};

fn at(port: u16) -> Config {
    format!("postgres://relay:s3cr3t@127.0.0.1:{port}/leads").parse().unwrap()
}

#[tokio::test]
async fn a_refused_connection_names_its_address() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = Outbox::connect(at(port)).await.unwrap_err();
    let said = refused.chain();
    assert!(
        said.contains(&format!(
            "no connection to 127.0.0.1:{port}, database leads, as relay: "
        )),
        "{said}"
    );
    assert!(said.contains("Connection refused"), "{said}");
    assert!(
        !said.contains("s3cr3t") && !format!("{refused:?}").contains("s3cr3t"),
        "{refused:?}"
    );
}

/// The clock is the test's: it leaps to the next moment that anybody waits for.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = Outbox::connect(at(silent.local_addr().unwrap().port()))
        .await
        .unwrap_err()
        .chain();
    assert!(
        said.contains("no connection to 127.0.0.1")
            && said.contains("no answer within 10s"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_missing_table_names_who_makes_it() {
    let database = Database::fresh().await;
    let mut session = database.session().await;
    database.sql("DROP TABLE outbox_event, outbox_history").await;
    let said = database.outbox.counts().await.unwrap_err().chain();
    assert!(
        said.starts_with("counting events: `install` makes the tables")
            && said.ends_with("\"outbox_event\" does not exist"),
        "{said}"
    );
    let business = session.transaction().await.unwrap();
    let said = enqueue(&business, event("1")).await.unwrap_err().chain();
    assert!(said.contains("make one by `install`"), "{said}");
}
