//! Qpid Broker-J: the suite.

use super::{Peer, Queue};
use crate::servers;

pub(super) struct Qpid;

impl Peer for Qpid {
    fn port() -> u16 {
        servers::qpid()
    }
}

type Server = Queue<Qpid>;

crate::suite_on!(Server, #[ignore = "needs Qpid Broker-J"]);
crate::suite_on!(lossy Server, #[ignore = "needs Qpid Broker-J"]);
