//! `EventSpan`: one operation on an event as a span of `tracing`, from its beginning to
//! its end. Its twin is `untraced`.

use std::future::{Future, poll_fn};
use std::pin::pin;

use tracing::Span;
use tracing::field::Empty;

use super::context::{Within, installed};
use super::names::{self, TARGET};
use super::{End, SpanContext};
use crate::broker::{Broker, Delivery, Origin};
use crate::{EventId, Facts, RawEvent, Record};

/// An operation that has begun: empty where no subscriber wants the span and the event
/// belongs to no trace. Dropped without an end, it ends as unfinished.
pub(crate) struct EventSpan(Option<Box<Open>>);

struct Open {
    span: Span,
    /// The span's own, or its parent's where no subscriber wants the span.
    context: Option<SpanContext>,
    origin: Origin,
}

/// The fields of a span.
struct Fields<'a> {
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

impl<'a> Fields<'a> {
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

    fn name(&self) -> String {
        let place = self.destination.unwrap_or(self.event_type);
        format!("{} {place}", self.operation.0)
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

/// Makes a span of this static name: in the thread's current span, or with `parent: None`
/// in no other, so that its trace is the event's and not that of the loop in which the
/// relay or the consumer runs.
macro_rules! span {
    ($name:literal, $fields:expr $(, parent: $parent:expr)?) => {{
        let fields: Fields<'_> = $fields;
        let id = tracing::field::display(fields.id);
        tracing::info_span!(
            target: TARGET,
            $(parent: $parent,)?
            $name,
            { names::SPAN_NAME } = fields.name(),
            { names::SPAN_KIND } = fields.kind,
            { names::STATUS_CODE } = Empty,
            { names::SYSTEM } = fields.system,
            { names::OPERATION_NAME } = fields.operation.0,
            { names::OPERATION_TYPE } = fields.operation.1,
            { names::DESTINATION_NAME } = fields.destination,
            { names::MESSAGE_ID } = &id,
            { names::CONVERSATION_ID } = fields.correlation_id,
            { names::CLIENT_ID } = fields.client,
            { names::ERROR_TYPE } = Empty,
            { names::EVENT_ID } = &id,
            { names::EVENT_SOURCE } = fields.source,
            { names::EVENT_TYPE } = fields.event_type,
            { names::ATTEMPT } = fields.attempt.map(i64::from),
            { names::OUTCOME } = Empty,
            { names::TRACE_ID } = Empty,
            { names::SPAN_ID } = Empty,
            { names::PARENT_ID } = Empty,
        )
    }};
}

impl EventSpan {
    /// A program enqueues an event, whose stored form carries the context from here on,
    /// unless it has one already.
    pub(crate) fn enqueue(event: &mut Record) -> Self {
        if SpanContext::in_tags(&event.tags).is_some() {
            return Self(None);
        }
        let span = Self::begin(
            span!(
                "create",
                Fields {
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
        if let Some(context) = span.context() {
            context.write_tags(&mut event.tags);
        }
        span
    }

    /// A relay makes an attempt.
    pub(crate) fn send<B: Broker>(
        event: &Facts<RawEvent>,
        broker: &B,
        relay: &str,
    ) -> Self {
        let destination = broker.destination(event);
        let fields = Fields {
            system: Some(broker.system()),
            destination: destination.as_deref(),
            client: Some(relay),
            ..Fields::of(event, ("send", "send"), "client")
        };
        Self::begin(span!("send", fields, parent: None), SpanContext::of(event))
    }

    /// An inbox receives a delivery.
    pub(crate) fn receive<A>(delivery: &Delivery<A>) -> Self {
        let (event, origin) = (delivery.facts(), delivery.origin());
        let mut span = Self::begin(
            span!("receive", Fields::received(event, origin), parent: None),
            SpanContext::of(event),
        );
        if let Some(open) = &mut span.0 {
            open.origin = origin.clone();
        }
        span
    }

    /// The delivery is the first of its event, and its handler begins.
    pub(crate) fn process(self, event: &Facts<RawEvent>) -> Self {
        let origin = self.0.as_ref().map(|open| open.origin.clone()).unwrap_or_default();
        let fields = Fields {
            operation: ("process", "process"),
            kind: "consumer",
            ..Fields::received(event, &origin)
        };
        let span =
            Self::begin(span!("process", fields, parent: None), self.context().cloned());
        self.end(End::New);
        span
    }

    /// A person has an inbox take up a dead letter.
    pub(crate) fn redrive(event: &Facts<RawEvent>) -> Self {
        let fields = Fields {
            system: Some("inbox"),
            ..Fields::of(event, ("redrive", "process"), "consumer")
        };
        Self::begin(span!("process", fields, parent: None), SpanContext::of(event))
    }

    pub(super) fn begin(span: Span, parent: Option<SpanContext>) -> Self {
        // Where no subscriber wants this span, the trace goes on past it.
        let context = if span.is_disabled() {
            parent
        } else {
            installed().adopt(&span, parent.as_ref())
        };
        let idle = span.is_disabled() && context.is_none();
        Self((!idle).then(|| Box::new(Open { span, context, origin: Origin::default() })))
    }

    pub(super) fn context(&self) -> Option<&SpanContext> {
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

    /// The span, whose end is somebody else's to say.
    #[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
    pub(super) fn take(&mut self) -> Option<Span> {
        self.0.take().map(|open| open.span)
    }

    /// Ends the operation.
    pub(crate) fn end(mut self, end: End) {
        self.close(end);
    }

    fn close(&mut self, end: End) {
        let Some(Open { span, .. }) = self.0.take().map(|open| *open) else { return };
        if end.is_error() {
            span.record(names::ERROR_TYPE, end.word())
                .record(names::STATUS_CODE, "ERROR");
        } else {
            span.record(names::OUTCOME, end.word());
        }
    }
}

impl Drop for EventSpan {
    fn drop(&mut self) {
        self.close(End::Unfinished);
    }
}
