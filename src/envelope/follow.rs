//! Following up: an event that another one causes, and what it takes over from it.

use std::borrow::Cow;

use super::builder::{EnvelopeBuilder, SourceSystem};
use super::event::Payload;
use super::facts::Facts;
use super::id::EventId;

/// The attribute under which CloudEvents carry the id of the event that caused this one.
const CAUSATION_ID: &str = "causationid";

/// Where the trace of an event stands, as the CloudEvents extension for distributed
/// tracing names it.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

impl<P: Payload> Facts<P> {
    /// Begins the envelope of an event that follows from this one.
    ///
    /// | it has | from this event |
    /// |---|---|
    /// | id | derived from `source_system`, this event's source and id, and `name` |
    /// | correlation id | its correlation id, else its id |
    /// | tag `causationid` | its id |
    /// | ordering key | its ordering key; `.ordering_key("")` takes none |
    /// | tags `traceparent`, `tracestate` | its trace; `tracing` continues it |
    ///
    /// A handler that runs twice makes the same event both times, and an outbox holds it
    /// once. So `name` must differ between the events that follow from one event.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let lead = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
    ///     .id("evt-001".parse()?)
    ///     .ordering_key("lead-7")
    ///     .build()?;
    /// let opened = || RawEvent::new("erp.customer.opened", b"{}");
    /// let customer = lead.follow("erp", "opened", opened()).build()?;
    /// assert_eq!(customer.correlation_id(), Some("evt-001"));
    /// assert_eq!(customer.tags()["causationid"], "evt-001");
    /// assert_eq!(customer.ordering_key(), Some("lead-7"));
    ///
    /// let again = lead.follow("erp", "opened", opened()).build()?;
    /// assert_eq!(again.id(), customer.id());
    /// let other = lead.follow("erp", "welcomed", opened()).build()?;
    /// assert_ne!(other.id(), customer.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow<Q: Payload>(
        &self,
        source_system: impl SourceSystem,
        name: &str,
        payload: Q,
    ) -> EnvelopeBuilder<Q> {
        let source_system: Cow<'static, str> = source_system.into();
        let id = self.id().to_string();
        let (cause, length) = (self.source_system(), self.source_system().len());
        let identifier = format!("{length}:{cause}{}:{id}{name}", id.len());
        let derived = EventId::derived(&source_system, &identifier);
        let correlation_id = self.correlation_id().unwrap_or(&id).to_owned();
        let mut builder = super::Envelope::builder(source_system, payload)
            .correlation_id(correlation_id)
            .ordering_key(self.ordering_key().unwrap_or_default());
        // Without a source system there is no id to derive, and `build` refuses.
        if let Ok(derived) = derived {
            builder = builder.id(derived);
        }
        if cfg!(not(feature = "tracing")) {
            for key in TRACE {
                if let Some(value) = self.tags().get(key) {
                    builder = builder.tag(key, value);
                }
            }
        }
        builder.tag(CAUSATION_ID, id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use crate::{Envelope, RawEvent};

    fn followed(source: &'static str, id: &str, name: &str) -> String {
        let cause = Envelope::builder(source, RawEvent::new("crm.lead.created", b""));
        let cause = cause.id(id.parse().unwrap()).build().unwrap();
        let payload = RawEvent::new("erp.customer.opened", b"");
        cause.follow("erp", name, payload).build().unwrap().id().to_string()
    }

    #[test]
    fn no_two_causes_have_the_same_follower() {
        let same = followed("crm", "17", "opened");
        assert_eq!(same, followed("crm", "17", "opened"));
        for (source, id, name) in
            [("crm", "1", "7opened"), ("crm1", "7", "opened"), ("cr", "m17", "opened")]
        {
            assert_ne!(same, followed(source, id, name), "{source} {id} {name}");
        }
    }

    #[test]
    fn without_a_source_nothing_is_built() {
        let cause = Envelope::builder("crm", RawEvent::new("crm.lead.created", b""));
        let payload = RawEvent::new("erp.customer.opened", b"");
        assert!(cause.build().unwrap().follow("", "opened", payload).build().is_err());
    }

    #[cfg(not(feature = "tracing"))]
    #[test]
    fn the_trace_goes_on_where_nobody_looks_at_it() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let cause = Envelope::builder("crm", RawEvent::new("crm.lead.created", b""))
            .tag("traceparent", trace)
            .tag("tenant", "eu");
        let payload = RawEvent::new("erp.customer.opened", b"");
        let next =
            cause.build().unwrap().follow("erp", "opened", payload).build().unwrap();
        assert_eq!(next.tags()["traceparent"], trace);
        assert!(!next.tags().contains_key("tenant"), "labels are the cause's own");
    }
}
