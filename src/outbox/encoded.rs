//! `Encoded`: the payload that an outbox stores, which is bytes.

use crate::state::Pending;
use crate::{Envelope, Payload, RawEvent};

/// A payload as an outbox stores it: [`RawEvent`], and nothing else. A typed event is
/// [encoded](Envelope::encode) first.
#[diagnostic::on_unimplemented(
    message = "an outbox stores bytes, and `{Self}` is a typed payload",
    label = "encode it first: `event.encode(serde_json::to_vec)?`"
)]
pub trait Encoded: Payload + sealed::Encoded {}

impl Encoded for RawEvent {}

/// The event as raw bytes, which it already is.
pub(super) fn encoded<P: Encoded>(event: Envelope<Pending, P>) -> Envelope<Pending> {
    P::encoded(event)
}

/// The same for a borrowed event.
pub(super) fn encoded_ref<P: Encoded>(
    event: &Envelope<Pending, P>,
) -> &Envelope<Pending> {
    P::encoded_ref(event)
}

mod sealed {
    use super::{Envelope, Payload, Pending, RawEvent};

    pub trait Encoded: Payload {
        fn encoded(event: Envelope<Pending, Self>) -> Envelope<Pending>;

        fn encoded_ref(event: &Envelope<Pending, Self>) -> &Envelope<Pending>;
    }

    impl Encoded for RawEvent {
        fn encoded(event: Envelope<Pending>) -> Envelope<Pending> {
            event
        }

        fn encoded_ref(event: &Envelope<Pending>) -> &Envelope<Pending> {
            event
        }
    }
}
