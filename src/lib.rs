// The README links to `src/guide`; this line, which comes first and so wins, leads the same
// link to the documentation's own pages.
//! [guide]: crate::guide
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

#[doc(hidden)]
pub mod __private;
pub mod audit;
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub mod broker;
#[cfg(feature = "cloudevents")]
#[cfg_attr(docsrs, doc(cfg(feature = "cloudevents")))]
pub mod cloudevents;
#[cfg(feature = "delivery")]
mod config_error;
#[cfg(feature = "delivery")]
mod crash_point;
mod envelope;
mod external;
pub mod guide;
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "what only a database does with a delivery")
)]
pub mod inbox;
#[cfg(any(feature = "delivery", feature = "serde"))]
mod json_error;
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub mod outbox;
mod reason;
mod refused;
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub mod relay;
pub mod retry;
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub mod service;
#[cfg(feature = "delivery")]
mod sleep;
#[cfg(feature = "delivery")]
mod store;
pub mod sync;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod text;
#[cfg(any(feature = "tls", feature = "webhook"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "webhook"))))]
pub mod tls;
#[cfg(all(feature = "delivery", feature = "tracing"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "delivery", feature = "tracing"))))]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "operations that only a database has")
)]
pub mod trace;
#[cfg(all(feature = "delivery", not(feature = "tracing")))]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "operations that only a database has")
)]
mod trace;
#[cfg(feature = "workflow")]
#[cfg_attr(docsrs, doc(cfg(feature = "workflow")))]
pub mod workflow;

#[doc(inline)]
pub use audit::{AuditLine, AuditRecord, AuditTrail};
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub use config_error::ConfigError;
pub use envelope::{
    AfterFailure, AnyEnvelope, Decision, DecisionError, EmptyIdError, Envelope,
    EnvelopeBuilder, EventId, Facts, Failure, FailureClass, ReadError, Record,
    RehydrateError, SourceSystem, WrongStateError, event, state,
};
pub use event::{Event, Payload, RawEvent};
// Hidden from rustdoc alone: rustc does not print the names of what is always hidden.
#[cfg_attr(doc, doc(hidden))]
pub use envelope::{Built, Matched};
pub use refused::Refused;
#[doc(inline)]
pub use retry::{Backoff, RetryPolicy};
#[doc(inline)]
pub use state::DeliveryStatus;
