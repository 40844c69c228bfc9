#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(
        dead_code,
        unused_imports,
        reason = "what the stores share is there without a store too"
    )
)]
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
mod hop;
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub mod inbox;
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub mod outbox;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "delivery")]
mod reason;
mod refused;
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub mod relay;
pub mod retry;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
pub mod sync;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod text;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;
#[cfg(all(feature = "delivery", feature = "tracing"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "delivery", feature = "tracing"))))]
pub mod trace;

pub use audit::{AuditLine, AuditRecord, AuditTrail};
#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
pub use config_error::ConfigError;
pub use envelope::{
    AfterFailure, AnyEnvelope, Decision, DecisionError, EmptyIdError, Envelope,
    EnvelopeBuilder, EventId, Facts, Failure, FailureClass, Record, RehydrateError,
    WrongStateError, event, state,
};
pub use event::{Event, Payload, RawEvent};
pub use refused::Refused;
pub use retry::RetryPolicy;
pub use state::DeliveryStatus;
