//! `TraceContext`: how a tracing library provides the current context, and links a span
//! to a remote parent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use tracing::Span;
use tracing::field::display;

use super::{TraceParent, names};
use crate::Facts;
use crate::envelope::Payload;
use crate::refused::Refused;

/// The tag, and the extension of a CloudEvent, under which an event carries its
/// producer's span.
const TRACEPARENT: &str = "traceparent";

/// The same for what tracing systems say to one another about the trace.
const TRACESTATE: &str = "tracestate";

/// A span as other programs know it.
///
/// ```
/// use integration_automation_patterns::trace::SpanContext;
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// // The context of an HTTP request, for the event that it causes:
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let builder = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
/// let event = builder.tag("traceparent", header).build()?;
/// let context = SpanContext::of(&event).ok_or("a context")?;
/// assert_eq!(context.traceparent.to_string(), header);
///
/// let builder = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
/// let event = builder.tag("traceparent", "00-malformed").build()?;
/// assert_eq!(SpanContext::of(&event), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanContext {
    /// The span, and its trace.
    pub traceparent: TraceParent,
    /// What tracing systems say to one another about the trace, passed on as it is.
    pub tracestate: Option<String>,
}

impl SpanContext {
    /// The context that an event carries, under its tags `traceparent` and `tracestate`.
    /// A malformed one is none.
    pub fn of<P: Payload>(event: &Facts<P>) -> Option<Self> {
        Self::in_tags(event.tags())
    }

    pub(super) fn in_tags(tags: &BTreeMap<String, String>) -> Option<Self> {
        let traceparent = tags.get(TRACEPARENT)?.parse().ok()?;
        Some(Self { traceparent, tracestate: tags.get(TRACESTATE).cloned() })
    }

    /// Replaces the context in the tags.
    pub(super) fn write_tags(&self, tags: &mut BTreeMap<String, String>) {
        tags.insert(TRACEPARENT.to_owned(), self.traceparent.to_string());
        match &self.tracestate {
            Some(state) => tags.insert(TRACESTATE.to_owned(), state.clone()),
            None => tags.remove(TRACESTATE),
        };
    }
}

/// What a tracing library knows and `tracing` does not: which span of which trace this
/// is.
///
/// The default is [`FreshIds`]; [`install`] sets another. The
/// [guide](crate::guide::observing) shows one for OpenTelemetry.
pub trait TraceContext: Send + Sync {
    /// The current context of this thread, where there is one: the parent of what it
    /// enqueues.
    fn current(&self) -> Option<SpanContext>;

    /// Takes a span into a trace, that of `parent` or else a new one, and returns the
    /// span's own context, which is the parent of the next span; nothing where it has
    /// none.
    ///
    /// Each span is adopted once, right after it was made, and only where a subscriber
    /// wants it.
    fn adopt(&self, span: &Span, parent: Option<&SpanContext>) -> Option<SpanContext>;
}

/// Sets where contexts come from in the whole program, in place of [`FreshIds`].
///
/// # Errors
///
/// [`AlreadyInstalledError`], with the argument.
///
/// ```
/// use integration_automation_patterns::trace::{FreshIds, install};
///
/// assert!(install(FreshIds).is_ok());
/// assert!(install(FreshIds).is_err(), "once for each program");
/// ```
pub fn install(
    context: impl TraceContext + 'static,
) -> Result<(), Refused<Box<dyn TraceContext>, AlreadyInstalledError>> {
    INSTALLED
        .set(Box::new(context))
        .map_err(|context| Refused::new(context, AlreadyInstalledError))
}

static INSTALLED: OnceLock<Box<dyn TraceContext>> = OnceLock::new();

pub(super) fn installed() -> &'static dyn TraceContext {
    INSTALLED.get().map_or(&FreshIds, |context| &**context)
}

/// The program has [installed](install) a [`TraceContext`] before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlreadyInstalledError;

impl fmt::Display for AlreadyInstalledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the program has installed a trace context before, and can install \
             one: do so where it begins",
        )
    }
}

impl std::error::Error for AlreadyInstalledError {}

/// Contexts without a tracing library: each span gets a fresh id, and has it, its trace's
/// and its parent's in the fields `trace_id`, `span_id` and `parent_id`, as `traceparent`
/// writes them.
///
/// The current context is that of the span of this crate in which the thread works: the
/// handler of an inbox, or a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FreshIds;

impl TraceContext for FreshIds {
    fn current(&self) -> Option<SpanContext> {
        CURRENT.with_borrow(Clone::clone)
    }

    fn adopt(&self, span: &Span, parent: Option<&SpanContext>) -> Option<SpanContext> {
        let traceparent =
            parent.map_or_else(TraceParent::fresh, |parent| parent.traceparent.child());
        span.record(
            names::TRACE_ID,
            display(format_args!("{:032x}", traceparent.trace_id())),
        );
        span.record(
            names::SPAN_ID,
            display(format_args!("{:016x}", traceparent.span_id())),
        );
        if let Some(parent) = parent {
            span.record(
                names::PARENT_ID,
                display(format_args!("{:016x}", parent.traceparent.span_id())),
            );
        }
        Some(SpanContext {
            traceparent,
            tracestate: parent.and_then(|parent| parent.tracestate.clone()),
        })
    }
}

thread_local! {
    static CURRENT: RefCell<Option<SpanContext>> = const { RefCell::new(None) };
}

/// Makes a context current until it is dropped.
pub(super) struct Within(Option<SpanContext>);

impl Within {
    pub(super) fn of(context: Option<SpanContext>) -> Self {
        Self(CURRENT.replace(context))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
