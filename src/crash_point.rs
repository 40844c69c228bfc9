//! The places at which a crash test kills the process: nothing at all without the feature
//! `testing`.

/// Passes a named place, and dies there where a crash test ordered it.
#[cfg(not(feature = "testing"))]
pub(crate) const fn crash_point(_name: &'static str) {}

#[cfg(feature = "testing")]
pub(crate) use crate::testing::crash_point;
