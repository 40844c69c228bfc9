//! Traces: one event from its producer's span to its consumer's, whatever lies between.
//!
//! Outbox, relay and inbox make a `tracing` span for each operation, with OpenTelemetry's
//! [names]. A subscriber sees, of an event that was sent twice:
//!
//! ```text
//! enqueue ─┬─ send     attempt 1, error.type = transient
//!          ├─ send     attempt 2
//!          └─ receive ─── process
//! ```
//!
//! | span | kind | from | until | follows |
//! |---|---|---|---|---|
//! | `create` | producer | `enqueue` | the row is written, in the open transaction | the [current context](TraceContext::current) |
//! | `send` | client | the relay's claim; one for each attempt | the broker answers, or the send times out | the event's context |
//! | `receive` | client | the inbox's `receive` | the event is first, duplicate, rejected or left | the event's context |
//! | `process` | consumer | the end of `receive`; or a redrive in the inbox | its effect or its failure is committed | `receive`; or the event's context |
//! | `workflow step` | internal | a step of an instance is about to be stored | it is written, in the open transaction | the current context, such as `process` of the reply; of a deadline, the step before |
//!
//! The event's context is that of the span `create`. The outbox stores it with the event,
//! under the tag `traceparent`, and it goes out on the wire as it is: a retry and a
//! redrive, by a program or a person, stay in its trace. The context of a `send` does not
//! replace it: both OpenTelemetry's conventions and the CloudEvents extension say that
//! what lies between producer and consumer must not change it. An event that has a
//! `traceparent` before it is enqueued keeps it, and has no span `create`, as the
//! conventions say. A malformed one counts as none.
//!
//! A command goes on from the step that sends it. A workflow keeps the context of its last
//! step in its row, so that a deadline, days later, is in the trace of what it ends.
//!
//! Spans carry nothing of payloads and tags, except the ids of the context itself. The
//! [guide](crate::guide::observing) lists what they carry.
//!
//! `tracing` knows no trace ids: a [`TraceContext`] provides them.

#[cfg(feature = "tracing")]
mod context;
mod end;
#[cfg(feature = "tracing")]
pub mod names;
#[cfg(feature = "tracing")]
mod parent;
#[cfg(all(
    feature = "tracing",
    feature = "workflow",
    any(feature = "postgres", feature = "sqlite")
))]
mod step;
#[cfg(feature = "tracing")]
mod traced;
#[cfg(not(feature = "tracing"))]
mod untraced;

#[cfg(feature = "tracing")]
pub use self::context::{
    AlreadyInstalledError, FreshIds, SpanContext, TraceContext, install,
};
pub(crate) use self::end::End;
#[cfg(feature = "tracing")]
pub use self::parent::{ParseTraceParentError, TraceParent};
#[cfg(all(
    feature = "tracing",
    feature = "workflow",
    any(feature = "postgres", feature = "sqlite")
))]
pub(crate) use self::step::StepSpan;
#[cfg(feature = "tracing")]
pub(crate) use self::traced::EventSpan;
#[cfg(not(feature = "tracing"))]
pub(crate) use self::untraced::EventSpan;
#[cfg(all(
    not(feature = "tracing"),
    feature = "workflow",
    any(feature = "postgres", feature = "sqlite")
))]
pub(crate) use self::untraced::StepSpan;

/// Who has an instance of a workflow take a step: what the step follows from.
#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mover {
    /// A program: the current context, such as that of the reply, and else the stored one.
    Program,
    /// A deadline or an operator: the context that is stored with the instance.
    Clock,
}
