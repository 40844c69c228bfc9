//! `EventSpan` and `StepSpan` without the feature `tracing`: they are nothing, and cost
//! nothing. Their twins are `traced` and `step`.

use std::future::Future;

use super::End;
use crate::broker::{Broker, Delivery};
use crate::{Facts, RawEvent, Record};

/// No span.
#[derive(Clone, Copy)]
pub(crate) struct EventSpan;

impl EventSpan {
    pub(crate) const fn enqueue(_event: &mut Record) -> Self {
        Self
    }

    pub(crate) const fn send<B: Broker>(
        _event: &Facts<RawEvent>,
        _broker: &B,
        _relay: &str,
    ) -> Self {
        Self
    }

    pub(crate) const fn receive<A>(_delivery: &Delivery<A>) -> Self {
        Self
    }

    pub(crate) const fn process(self, _event: &Facts<RawEvent>) -> Self {
        self
    }

    pub(crate) const fn redrive(_event: &Facts<RawEvent>) -> Self {
        Self
    }

    pub(crate) fn in_scope<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }

    pub(crate) fn instrument<F: Future>(self, work: F) -> F {
        work
    }

    pub(crate) const fn end(self, _end: End) {}
}

/// No span.
#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
#[derive(Clone, Copy)]
pub(crate) struct StepSpan;

#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
impl StepSpan {
    pub(crate) const fn begin(
        _mover: super::Mover,
        _workflow: &str,
        _instance: &crate::EventId,
        _tags: &str,
    ) -> Self {
        Self
    }

    /// What a program with traces has stored stays.
    pub(crate) fn tags(self, stored: &str) -> String {
        stored.to_owned()
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn in_scope<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn instrument<F: Future>(self, work: F) -> F {
        work
    }

    pub(crate) const fn end(self, _step: &str, _outcome: &'static str) {}
}
