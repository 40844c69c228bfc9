//! `StepSpan`: a step of a workflow that is being stored, as a span of `tracing`. Its twin
//! is in `untraced`.

#[cfg(feature = "postgres")]
use std::future::Future;

use tracing::field::Empty;

use super::context::installed;
use super::names::{self, TARGET};
use super::traced::EventSpan;
use super::{Mover, SpanContext};
use crate::EventId;
use crate::store::{read_tags, write_tags};

/// A step that is being stored. Dropped without an end, it ends as unfinished.
pub(crate) struct StepSpan(EventSpan);

/// Makes a span of a step: in the thread's current span, or with `parent: None` in no
/// other, so that its trace is the instance's and not that of the loop of a clerk.
macro_rules! span {
    ($workflow:expr, $instance:expr $(, parent: $parent:expr)?) => {
        tracing::info_span!(
            target: TARGET,
            $(parent: $parent,)?
            "workflow step",
            { names::SPAN_NAME } = format!("workflow step {}", $workflow),
            { names::SPAN_KIND } = "internal",
            { names::STATUS_CODE } = Empty,
            { names::ERROR_TYPE } = Empty,
            { names::WORKFLOW_NAME } = $workflow,
            { names::WORKFLOW_INSTANCE } = display($instance),
            { names::WORKFLOW_STEP } = Empty,
            { names::WORKFLOW_OUTCOME } = Empty,
            { names::TRACE_ID } = Empty,
            { names::SPAN_ID } = Empty,
            { names::PARENT_ID } = Empty,
        )
    };
}

impl StepSpan {
    /// A step is stored over the row that has these tags.
    pub(crate) fn begin(
        mover: Mover,
        workflow: &str,
        instance: &EventId,
        tags: &str,
    ) -> Self {
        let stored = read_tags(tags).ok().and_then(|tags| SpanContext::in_tags(&tags));
        let (span, parent) = match mover {
            Mover::Program => {
                (span!(workflow, instance), installed().current().or(stored))
            }
            Mover::Clock => (span!(workflow, instance, parent: None), stored),
        };
        Self(EventSpan::begin(span, parent))
    }

    /// The tags of the row with this step's context, from which the next deadline goes on.
    pub(crate) fn tags(&self, stored: &str) -> String {
        let Some(context) = self.0.context() else { return stored.to_owned() };
        let mut tags = read_tags(stored).unwrap_or_default();
        context.write_tags(&mut tags);
        write_tags(tags)
    }

    /// Works in the span: what is enqueued there goes on from it.
    #[cfg(feature = "sqlite")]
    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.in_scope(work)
    }

    /// The same, whenever the work goes on.
    #[cfg(feature = "postgres")]
    pub(crate) async fn instrument<F: Future>(&self, work: F) -> F::Output {
        self.0.instrument(work).await
    }

    /// The step is stored: where it has led, and what moved the instance.
    pub(crate) fn end(mut self, step: &str, outcome: &'static str) {
        if let Some(span) = self.0.take() {
            span.record(names::WORKFLOW_STEP, step)
                .record(names::WORKFLOW_OUTCOME, outcome);
        }
    }
}
