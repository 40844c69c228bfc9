//! The names of the fields of spans: OpenTelemetry's conventions for messaging and
//! CloudEvents, version 1.44, and a few of our own for which the conventions have none.
//!
//! Source: OpenTelemetry semantic conventions 1.44 (2026-08), `messaging-spans` and
//! `cloudevents-spans`, both still marked "development" there; `otel.*` are the names
//! under which `tracing-opentelemetry` looks for what a `tracing` span has no place for.

/// The version of the conventions that the names below are of.
pub const CONVENTIONS: &str = "1.44";

/// The span's name: `{operation} {destination}`, or with the event's type where no
/// destination is known.
pub const SPAN_NAME: &str = "otel.name";
/// The span's kind, as the conventions say for each type of operation.
pub const SPAN_KIND: &str = "otel.kind";
/// `ERROR` where the operation failed.
pub const STATUS_CODE: &str = "otel.status_code";

/// The broker, such as `kafka`; `outbox` where an event is enqueued, and `inbox` where a
/// person redrives it there.
pub const SYSTEM: &str = "messaging.system";
/// `enqueue`, `send`, `receive`, `process` or `redrive`.
pub const OPERATION_NAME: &str = "messaging.operation.name";
/// `create`, `send`, `receive` or `process`.
pub const OPERATION_TYPE: &str = "messaging.operation.type";
/// The queue, topic or subject, where it is known.
pub const DESTINATION_NAME: &str = "messaging.destination.name";
/// The event's id.
pub const MESSAGE_ID: &str = "messaging.message.id";
/// The event's correlation id.
pub const CONVERSATION_ID: &str = "messaging.message.conversation_id";
/// The relay's name.
pub const CLIENT_ID: &str = "messaging.client.id";
/// Why the operation failed, one word of a short list.
pub const ERROR_TYPE: &str = "error.type";

/// The event's id.
pub const EVENT_ID: &str = "cloudevents.event_id";
/// The system that the event comes from.
pub const EVENT_SOURCE: &str = "cloudevents.event_source";
/// The event's type.
pub const EVENT_TYPE: &str = "cloudevents.event_type";

/// Own: the number of the attempt, as the relay or the inbox counts it.
pub const ATTEMPT: &str = "integration_event.attempt";
/// Own: the outcome of an operation that did not fail.
pub const OUTCOME: &str = "integration_event.outcome";
/// Own, of a step of a workflow: the workflow.
pub const WORKFLOW_NAME: &str = "workflow.name";
/// Own, of a step of a workflow: the id of the instance.
pub const WORKFLOW_INSTANCE: &str = "workflow.instance";
/// Own, of a step of a workflow: the step that it led to; of an end, the one that it left.
pub const WORKFLOW_STEP: &str = "workflow.step";
/// Own, of a step of a workflow: what moved the instance, in the journal's word.
pub const WORKFLOW_OUTCOME: &str = "workflow.outcome";
/// Own, written by [`FreshIds`](super::FreshIds): the trace.
pub const TRACE_ID: &str = "trace_id";
/// Own, written by [`FreshIds`](super::FreshIds): this span.
pub const SPAN_ID: &str = "span_id";
/// Own, written by [`FreshIds`](super::FreshIds): the span that this one follows.
pub const PARENT_ID: &str = "parent_id";

/// Every one of a step of a workflow: its span has no other field.
pub const OF_STEPS: &[&str] = &[
    SPAN_NAME,
    SPAN_KIND,
    STATUS_CODE,
    ERROR_TYPE,
    WORKFLOW_NAME,
    WORKFLOW_INSTANCE,
    WORKFLOW_STEP,
    WORKFLOW_OUTCOME,
    TRACE_ID,
    SPAN_ID,
    PARENT_ID,
];

/// Every one of an operation on an event: its span has no other field.
pub const ALL: &[&str] = &[
    SPAN_NAME,
    SPAN_KIND,
    STATUS_CODE,
    SYSTEM,
    OPERATION_NAME,
    OPERATION_TYPE,
    DESTINATION_NAME,
    MESSAGE_ID,
    CONVERSATION_ID,
    CLIENT_ID,
    ERROR_TYPE,
    EVENT_ID,
    EVENT_SOURCE,
    EVENT_TYPE,
    ATTEMPT,
    OUTCOME,
    TRACE_ID,
    SPAN_ID,
    PARENT_ID,
];

/// The target of every span, by which a subscriber can filter.
pub const TARGET: &str = "integration_event";
