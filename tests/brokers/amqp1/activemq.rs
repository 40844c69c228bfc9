//! ActiveMQ Classic: the suite.

use super::{Peer, Queue};
use crate::servers;

pub(super) struct ActiveMq;

impl Peer for ActiveMq {
    fn port() -> u16 {
        servers::activemq()
    }
}

type Server = Queue<ActiveMq>;

crate::suite_on!(Server, #[ignore = "needs ActiveMQ Classic"]);
crate::suite_on!(lossy Server, #[ignore = "needs ActiveMQ Classic"]);
