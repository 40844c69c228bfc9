#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

pub mod audit;
pub mod envelope;
pub mod guide;
mod refused;
pub mod retry;
pub mod sync;

pub use audit::AuditLine;
pub use envelope::{
    AfterFailure, AnyEnvelope, Decision, Envelope, Event, EventId, Facts, Failure, FailureClass, Invalid, Payload,
    Record, Untyped, event, state,
};
pub use refused::Refused;
pub use retry::RetryPolicy;
pub use state::DeliveryStatus;
