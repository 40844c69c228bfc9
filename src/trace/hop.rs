//! `Hop`: one operation on an event, as a span, from its beginning to what came of it.

use std::future::{Future, poll_fn};
use std::pin::pin;

use tracing::Span;
use tracing::field::Empty;

use super::SpanContext;
use super::context::{Within, installed};
use super::names::{self, TARGET};
use crate::broker::{Broker, Delivery, Origin};
use crate::outbox::Enqueued;
use crate::{AnyEnvelope, EventId, Facts, RawEvent, Record};

/// An operation that has begun; nothing where nobody looks at it and no trace passes by.
/// Dropped without an end, it says so.
pub(crate) struct Hop(Option<Box<Open>>);

struct Open {
    span: Span,
    /// That of the span, or else the one that the next hop follows all the same.
    context: Option<SpanContext>,
    origin: Origin,
}

/// What a span says.
struct Said<'a> {
    system: Option<&'a str>,
    /// Its name, and its type.
    operation: (&'static str, &'static str),
    kind: &'static str,
    destination: Option<&'a str>,
    client: Option<&'a str>,
    id: &'a EventId,
    event_type: &'a str,
    source: &'a str,
    correlation_id: Option<&'a str>,
    attempt: Option<u32>,
}

impl<'a> Said<'a> {
    fn of(
        event: &'a Facts<RawEvent>,
        operation: (&'static str, &'static str),
        kind: &'static str,
    ) -> Self {
        Self {
            system: None,
            operation,
            kind,
            destination: None,
            client: None,
            id: event.id(),
            event_type: event.event_type(),
            source: event.source_system(),
            correlation_id: event.correlation_id(),
            attempt: Some(event.attempts()).filter(|attempts| *attempts > 0),
        }
    }

    fn received(event: &'a Facts<RawEvent>, origin: &'a Origin) -> Self {
        let of_event = Self::of(event, ("receive", "receive"), "client");
        Self {
            system: origin.system,
            destination: origin.destination.as_deref(),
            ..of_event
        }
    }
}

/// A span of this static name, in the span that the thread is in, or (`parent: None`) in
/// no other: then its trace is the event's, and not that of the loop in which the relay
/// or the consumer runs.
macro_rules! span {
    ($name:literal, $said:expr $(, parent: $parent:expr)?) => {{
        let said: Said<'_> = $said;
        let id = tracing::field::display(said.id);
        tracing::info_span!(
            target: TARGET,
            $(parent: $parent,)?
            $name,
            { names::SPAN_NAME } = format!("{} {}", said.operation.0, said.destination.unwrap_or(said.event_type)),
            { names::SPAN_KIND } = said.kind,
            { names::STATUS_CODE } = Empty,
            { names::SYSTEM } = said.system,
            { names::OPERATION_NAME } = said.operation.0,
            { names::OPERATION_TYPE } = said.operation.1,
            { names::DESTINATION_NAME } = said.destination,
            { names::MESSAGE_ID } = &id,
            { names::CONVERSATION_ID } = said.correlation_id,
            { names::CLIENT_ID } = said.client,
            { names::ERROR_TYPE } = Empty,
            { names::EVENT_ID } = &id,
            { names::EVENT_SOURCE } = said.source,
            { names::EVENT_TYPE } = said.event_type,
            { names::ATTEMPT } = said.attempt.map(i64::from),
            { names::OUTCOME } = Empty,
            { names::TRACE_ID } = Empty,
            { names::SPAN_ID } = Empty,
            { names::PARENT_ID } = Empty,
        )
    }};
}

impl Hop {
    /// An event is enqueued. What is stored of it carries the context from here on,
    /// unless it has one.
    pub(crate) fn enqueue(event: &mut Record) -> Self {
        if SpanContext::in_tags(&event.tags).is_some() {
            return Self(None);
        }
        let hop = Self::begin(
            span!(
                "create",
                Said {
                    system: Some("outbox"),
                    operation: ("enqueue", "create"),
                    kind: "producer",
                    destination: None,
                    client: None,
                    id: &event.id,
                    event_type: &event.event_type,
                    source: &event.source_system,
                    correlation_id: event.correlation_id.as_deref(),
                    attempt: None,
                }
            ),
            installed().current(),
        );
        if let Some(context) = hop.context() {
            context.write_tags(&mut event.tags);
        }
        hop
    }

    /// A relay makes an attempt.
    pub(crate) fn send<B: Broker>(
        event: &Facts<RawEvent>,
        broker: &B,
        relay: &str,
    ) -> Self {
        let destination = broker.destination(event);
        let said = Said {
            system: Some(B::SYSTEM),
            destination: destination.as_deref(),
            client: Some(relay),
            ..Said::of(event, ("send", "send"), "client")
        };
        Self::begin(span!("send", said, parent: None), SpanContext::of(event))
    }

    /// An inbox is handed a delivery.
    pub(crate) fn receive<A>(delivery: &Delivery<A>) -> Self {
        let (event, origin) = (delivery.facts(), delivery.origin());
        let mut hop = Self::begin(
            span!("receive", Said::received(event, origin), parent: None),
            SpanContext::of(event),
        );
        if let Some(open) = &mut hop.0 {
            open.origin = origin.clone();
        }
        hop
    }

    /// The delivery was the first of its event, whose effect begins.
    pub(crate) fn process(self, event: &Facts<RawEvent>) -> Self {
        let origin = self.0.as_ref().map(|open| open.origin.clone()).unwrap_or_default();
        let said = Said {
            operation: ("process", "process"),
            kind: "consumer",
            ..Said::received(event, &origin)
        };
        let hop =
            Self::begin(span!("process", said, parent: None), self.context().cloned());
        self.end(Ok("first"));
        hop
    }

    /// A person has an inbox take up a dead letter.
    pub(crate) fn redrive(event: &Facts<RawEvent>) -> Self {
        let said = Said {
            system: Some("inbox"),
            ..Said::of(event, ("redrive", "process"), "consumer")
        };
        Self::begin(span!("process", said, parent: None), SpanContext::of(event))
    }

    fn begin(span: Span, parent: Option<SpanContext>) -> Self {
        // Where nobody looks at this hop, the trace goes on past it.
        let context = if span.is_disabled() {
            parent
        } else {
            installed().adopt(&span, parent.as_ref())
        };
        let idle = span.is_disabled() && context.is_none();
        Self((!idle).then(|| Box::new(Open { span, context, origin: Origin::default() })))
    }

    fn context(&self) -> Option<&SpanContext> {
        self.0.as_ref()?.context.as_ref()
    }

    /// Works in the span.
    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(open) = &self.0 else { return work() };
        let _current = Within::of(open.context.clone());
        open.span.in_scope(work)
    }

    /// Works in the span, whenever the work goes on.
    pub(crate) async fn instrument<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| self.in_scope(|| work.as_mut().poll(cx))).await
    }

    /// The operation is over: what came of it, or the type of the error.
    pub(crate) fn end(mut self, end: Result<&'static str, &'static str>) {
        self.close(end);
    }

    /// The event is written.
    pub(crate) fn enqueued(self, enqueued: Enqueued) {
        self.end(Ok(match enqueued {
            Enqueued::New => "new",
            Enqueued::Duplicate => "already_there",
        }));
    }

    /// The effect has failed, and what became of the event is stored.
    pub(crate) fn faulted(self, event: &AnyEnvelope) {
        self.end(Err(event
            .failure()
            .map_or("transient", |failure| failure.class.as_str())));
    }

    fn close(&mut self, end: Result<&'static str, &'static str>) {
        let Some(Open { span, .. }) = self.0.take().map(|open| *open) else { return };
        match end {
            Ok(outcome) => span.record(names::OUTCOME, outcome),
            Err(error) => {
                span.record(names::ERROR_TYPE, error).record(names::STATUS_CODE, "ERROR")
            }
        };
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.close(Err("unfinished"));
    }
}
