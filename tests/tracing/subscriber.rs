//! A subscriber that keeps what it hears.
#![cfg_attr(
    not(feature = "sqlite"),
    allow(dead_code, reason = "the tests of spans need a database")
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(pub(crate) BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

/// A span as it was when it ended.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// The static name of the span that it is in.
    pub(crate) within: Option<&'static str>,
    /// The names of all fields that it could have, and the values of those that it has.
    pub(crate) declared: Vec<&'static str>,
    fields: Fields,
    pub(crate) handles: usize,
}

impl Kept {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.0.get(name).map_or("", String::as_str)
    }
}

/// An event: its level, its target and its fields.
type Told = (Level, String, BTreeMap<String, String>);

#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) spans: Arc<Mutex<Vec<Kept>>>,
    pub(crate) events: Arc<Mutex<Vec<Told>>>,
}

impl Heard {
    /// The spans of this crate under a static name, in the order in which they began.
    pub(crate) fn spans(&self, name: &str) -> Vec<Kept> {
        self.spans
            .lock()
            .unwrap()
            .iter()
            .filter(|span| span.name == name)
            .cloned()
            .collect()
    }
}

/// The subscriber, which hears everything.
pub(crate) struct Listener(pub(crate) Heard);

thread_local! {
    static WITHIN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

fn index(id: &Id) -> usize {
    usize::try_from(id.into_u64()).unwrap() - 1
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut spans = self.0.spans.lock().unwrap();
        let within = match attributes.is_contextual() {
            true => WITHIN.with_borrow(|within| within.last().copied()),
            false => attributes.parent().map(index),
        };
        let within = within.map(|within| spans[within].name);
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let metadata = attributes.metadata();
        spans.push(Kept {
            name: metadata.name(),
            target: metadata.target(),
            within,
            declared: metadata.fields().iter().map(|field| field.name()).collect(),
            fields,
            handles: 1,
        });
        Id::from_u64(u64::try_from(spans.len()).unwrap())
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        values.record(&mut self.0.spans.lock().unwrap()[index(id)].fields);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) =
            (*event.metadata().level(), event.metadata().target().to_owned());
        self.0.events.lock().unwrap().push((level, target, fields.0));
    }

    fn enter(&self, id: &Id) {
        WITHIN.with_borrow_mut(|within| within.push(index(id)));
    }

    fn exit(&self, id: &Id) {
        assert_eq!(
            WITHIN.with_borrow_mut(Vec::pop),
            Some(index(id)),
            "the last that was entered"
        );
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.spans.lock().unwrap()[index(id)].handles += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let handles = &mut self.0.spans.lock().unwrap()[index(&id)].handles;
        *handles -= 1;
        *handles == 0
    }
}
