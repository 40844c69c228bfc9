//! Tools for tests of your own: see what was enqueued, deliver one event, let time
//! pass, and crash processes.
//!
//! | a test wants to | it calls |
//! |---|---|
//! | see what was enqueued | `sqlite::enqueued`, `postgres::enqueued` |
//! | hand one event to a worker or an inbox | [`deliver`], over [`in_process`](crate::broker::in_process) |
//! | have retries fall due, leases end, windows close | `sqlite::pass_time`, `postgres::pass_time` |
//! | kill processes at random and at named places | [`CrashTest`], [`crash_point`] |
//! | balance what was committed with what came of it | [`Account`] |
//! | have a broker that outlives its processes | `FileBroker` |
//!
//! The crate tests itself with these (`tests/crash`), and you can test a
//! [`Broker`](crate::broker::Broker) or a relay of your own with them: give
//! [`CrashTest`] the commands of the processes, and [`Account`] what was committed and
//! what came of it.

mod account;
mod crash;
mod deliver;
#[cfg(feature = "sqlite")]
mod file_broker;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;

pub use self::account::{Account, UnbalancedError};
pub use self::crash::{CrashReport, CrashTest, CrashTestError, Random};
pub use self::deliver::{Delivered, deliver};
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use self::file_broker::{FileAcker, FileBroker, FileListener};
pub use crate::crash_point::{CRASH_AT, CRASH_POINTS, crash_point};
