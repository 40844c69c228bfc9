//! The one statement for other drivers writes what `enqueue` writes, and tells new from
//! had before from another's.

use integration_automation_patterns::outbox::driver::{
    Dialect, DriverError, ForeignTransaction, Insert, Value, enqueue,
};
use integration_automation_patterns::outbox::{Enqueued, StoreErrorKind, sqlite};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope, RawEvent};
use proptest::prelude::*;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension};

use crate::chain::Chain as _;
use crate::suite::{event, keyed};

/// A driver that is not known: rusqlite, as if it were another.
struct Foreign(Connection);

impl ForeignTransaction for Foreign {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn run(&mut self, insert: &Insert) -> Result<Option<String>, DriverError> {
        Ok(run(&self.0, insert)?)
    }
}

fn run(connection: &Connection, insert: &Insert) -> rusqlite::Result<Option<String>> {
    let bound = |value: &Value| -> Box<dyn ToSql> {
        match value.clone() {
            Value::Text(text) => Box::new(text),
            Value::Bytes(bytes) => Box::new(bytes),
            Value::Integer(number) => Box::new(number),
        }
    };
    let values = rusqlite::params_from_iter(insert.values().iter().map(bound));
    connection.query_row(insert.sql(), values, |row| row.get(0)).optional()
}

fn installed() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    sqlite::install(&mut connection).unwrap();
    connection
}

/// All that was written of an event, whatever the columns: a new one is compared too.
fn rows(connection: &Connection) -> Vec<Vec<(String, String)>> {
    let mut all =
        connection.prepare("SELECT * FROM outbox_event ORDER BY sequence").unwrap();
    let names: Vec<String> = all.column_names().map(str::to_owned).collect();
    let row = |row: &rusqlite::Row<'_>| {
        let column = |(at, name): (usize, &String)| {
            Ok((name.clone(), format!("{:?}", row.get_ref(at)?)))
        };
        names.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()
    };
    let found = all.query_map([], row).unwrap().map(|row| {
        // The database's own clock.
        let mut row = row.unwrap();
        row.retain(|(name, _)| name != "enqueued_at" && name != "due_at");
        row
    });
    found.collect()
}

prop_compose! {
    fn events()(
        id in 0..3_u8,
        payload: Vec<u8>,
        key in proptest::option::of("[a-b]"),
        correlation: Option<String>,
        tag: String,
        attempts in 1..5_u32,
        is_redriven: bool,
    ) -> Envelope<Pending> {
        let wait = Backoff::Fixed(std::time::Duration::from_secs(7));
        let payload = RawEvent::new("crm.lead.created", payload);
        let mut event = Envelope::builder("crm", payload)
            .id(id.to_string().parse().unwrap())
            .ordering_key(key.unwrap_or_default())
            .tag("region", tag)
            .retry_policy(RetryPolicy::new(attempts, wait).unwrap());
        if let Some(correlation) = correlation.filter(|text| !text.is_empty()) {
            event = event.correlation_id(correlation);
        }
        let event = event.build().unwrap();
        if is_redriven {
            let decision = Decision::new("on-call", "the account exists now").unwrap();
            event.dispatch().reject("no such account").redrive(decision)
        } else {
            event
        }
    }
}

proptest! {
    /// Otherwise a program's events would depend on its driver.
    #[test]
    fn the_statement_of_other_drivers_writes_what_enqueue_writes(
        events in proptest::collection::vec(events(), 1..6),
    ) {
        let (mut ours, mut theirs) = (installed(), installed());
        let (ours_open, theirs_open) =
            (ours.transaction().unwrap(), theirs.transaction().unwrap());
        for event in events {
            let insert = Insert::new(Dialect::Sqlite, &event);
            let answer = run(&theirs_open, &insert).unwrap();
            let by_them = insert.answered(answer.as_deref()).unwrap();
            let by_us = sqlite::enqueue(&ours_open, event).unwrap();
            prop_assert_eq!(by_us, by_them);
        }
        ours_open.commit().unwrap();
        theirs_open.commit().unwrap();
        prop_assert_eq!(rows(&ours), rows(&theirs));
    }
}

/// The answers of both databases, and of one that gives none, are told apart.
#[test]
fn an_answer_is_read_in_the_words_of_its_database() {
    let answered = |dialect, row| Insert::new(dialect, &event("1")).answered(row);
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        assert_eq!(answered(dialect, Some("new")).unwrap(), Enqueued::New);
        assert_eq!(answered(dialect, Some("duplicate")).unwrap(), Enqueued::Duplicate);
        let taken = answered(dialect, Some("erp.order.placed from erp")).unwrap_err();
        assert_eq!(taken.kind(), StoreErrorKind::IdTaken);
        let taken = taken.chain();
        assert!(taken.contains("erp.order.placed from erp is there"), "{taken}");
        assert!(taken.contains("crm.lead.created from crm was to be"), "{taken}");
    }
    assert_eq!(answered(Dialect::Sqlite, None).unwrap(), Enqueued::Duplicate);
    let elsewhere = answered(Dialect::Postgres, None).unwrap_err().chain();
    assert!(elsewhere.contains("has no outbox: make one by `install`"), "{elsewhere}");
}

/// An event that a driver refuses comes back, with what the driver said.
#[tokio::test]
async fn what_another_driver_refuses_is_given_back() {
    let mut foreign = Foreign(Connection::open_in_memory().unwrap());
    let refused = enqueue(&mut foreign, keyed("1", "k")).await.unwrap_err();
    let why = refused.chain();
    assert!(why.contains("no such table: outbox_event"), "{why}");
    assert_eq!(refused.into_value().ordering_key(), Some("k"));
    sqlite::install(&mut foreign.0).unwrap();
    assert_eq!(enqueue(&mut foreign, keyed("1", "k")).await.unwrap(), Enqueued::New);
}
