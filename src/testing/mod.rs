//! Crash tests: processes are killed at random moments and at named places, and
//! afterwards the accounts must balance.
//!
//! The crate tests itself with it (`tests/crash`), and so can whoever writes a
//! [`Broker`](crate::broker::Broker) or runs a relay of their own: give [`CrashTest`] the
//! commands of the processes, and [`Account`] what was committed and what came of it.

mod account;
mod crash;
#[cfg(feature = "sqlite")]
mod file_broker;

pub use self::account::{Account, UnbalancedError};
pub use self::crash::{CrashReport, CrashTest, CrashTestError, Random};
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use self::file_broker::{FileAcker, FileBroker, FileListener};
pub use crate::crash_point::{CRASH_AT, CRASH_POINTS, crash_point};
