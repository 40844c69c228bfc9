//! What happened to events, for the people who must answer for it: the audit line, and
//! the trail of every change.
//!
//! # The audit line
//!
//! [`AuditLine`] is one event at one moment as one line of text, which parses back to the
//! same values.
//!
//! ```text
//! [INTEGRATION_EVENT] event_id=evt-001 type=crm.lead.created source=crm status=dispatched attempts=1 correlation=none schema=1.0 created=2026-01-05T08:00:00+00:00
//! ```
//!
//! A value that would break the line or forge part of it is written between quotes, with
//! escapes: an empty one, one with a blank, a quote, `=`, a control, line-breaking or
//! invisible character, and a correlation id that is the word `none`. Inside the quotes
//! `\"`, `\\`, `\n`, `\r`, `\t` and `\u{hex}` stand for what a line cannot hold. Every
//! other value is written as it is. An absent correlation id is the bare word `none`.
//!
//! The payload is never part of it.
//!
//! # The audit trail
//!
//! Every change of state yields one [`AuditRecord`], handed to one [`Observer`] by an
//! [`AuditTrail`], whoever makes the change: a verb ([`AuditTrail::step`]), or what
//! delivers events for the program. A record displays as the audit line of the moment
//! after the change, followed by what was done, by whom, why, and when; sinks are
//! [`Lines`] for any writer, `JsonLines` (feature `serde`) and `TracingEvents` (feature
//! `tracing`).

mod line;
mod record;
mod sink;
mod trail;

pub use line::{AuditLine, ParseAuditLineError};
pub use record::{Action, AuditRecord};
#[cfg(feature = "serde")]
pub use sink::JsonLines;
pub use sink::Lines;
#[cfg(feature = "tracing")]
pub use sink::TracingEvents;
pub use trail::{AuditTrail, Observer, Tracked};
