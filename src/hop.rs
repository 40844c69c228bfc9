//! One operation on an event, as a trace shows it: nothing at all without the feature
//! `tracing`.

#[cfg(feature = "tracing")]
pub(crate) use crate::trace::Hop;

#[cfg(not(feature = "tracing"))]
pub(crate) use self::untraced::Hop;

#[cfg(not(feature = "tracing"))]
mod untraced {
    use std::future::Future;

    use crate::broker::{Broker, Delivery};
    use crate::outbox::Enqueued;
    use crate::{AnyEnvelope, Facts, RawEvent, Record};

    /// No span.
    #[derive(Clone, Copy)]
    pub(crate) struct Hop;

    impl Hop {
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

        pub(crate) const fn end(self, _end: Result<&'static str, &'static str>) {}

        pub(crate) const fn enqueued(self, _enqueued: Enqueued) {}

        pub(crate) const fn faulted(self, _event: &AnyEnvelope) {}
    }
}
