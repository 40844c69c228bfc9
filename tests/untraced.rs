//! The feature `tracing` in a program that has no subscriber: nothing is made up, and
//! what came in goes on.
#![cfg(all(feature = "tracing", feature = "sqlite"))]

use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{self, InboxConfig};
use integration_automation_patterns::outbox;
use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
use rusqlite::Connection;

const REQUEST: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn builder(id: &str) -> integration_automation_patterns::EnvelopeBuilder<RawEvent> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
        .id(id.parse().unwrap())
}

#[test]
fn an_event_has_no_context_but_one_that_it_brings_and_what_it_causes_follows_it() {
    let mut database = Connection::open_in_memory().unwrap();
    outbox::sqlite::install(&mut database).unwrap();
    inbox::sqlite::install(&mut database).unwrap();

    let rules =
        InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)
            .unwrap();
    for (id, caused, context) in [("1", "a", Some(REQUEST)), ("2", "b", None)] {
        let event = match context {
            Some(context) => {
                builder(id).tag("traceparent", context).tag("tracestate", "rojo=1")
            }
            None => builder(id),
        };
        let delivery = Delivery::new(event.build().unwrap(), ());
        let handled =
            inbox::sqlite::process(&mut database, delivery, &rules, |transaction, _| {
                let _new = outbox::sqlite::enqueue(transaction, builder(caused).build()?)
                    .unwrap();
                Ok(())
            });
        let _told = handled.unwrap();
    }

    let tags = |id: &str| -> String {
        database
            .query_row("SELECT tags FROM outbox_event WHERE id = ?1", [id], |row| {
                row.get(0)
            })
            .unwrap()
    };
    assert_eq!(
        tags("a"),
        format!(r#"{{"traceparent":"{REQUEST}","tracestate":"rojo=1"}}"#)
    );
    assert_eq!(tags("b"), "{}");
}
