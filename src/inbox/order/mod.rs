//! Events of one ordering key, kept in order at their consumer: which event waits for its
//! predecessor, how long, and what happens then. The decisions are here; each database's
//! `held.rs` finds and stores.

mod by_key;
mod due;
mod early;
#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
mod model;
mod round;
mod turn;

pub use self::by_key::{ByKey, OnMissing};
pub(crate) use self::due::{Begun, Change, Looked, Next, decide, is_begun, uncounted};
pub(crate) use self::early::{Early, HeldBack};
pub(crate) use self::round::Round;
pub use self::round::TakenUp;
pub(crate) use self::turn::{Before, after, turn_sql};

/// What the worker was doing, in the words of its errors.
pub(crate) const TAKING_UP: &str = "taking held events up";
