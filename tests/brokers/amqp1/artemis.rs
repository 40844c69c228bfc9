//! ActiveMQ Artemis: the suite, and what its operators meet.

use super::{Peer, Queue};
use crate::servers;

pub(super) struct Artemis;

impl Peer for Artemis {
    fn port() -> u16 {
        servers::artemis()[0]
    }
}

type Server = Queue<Artemis>;

crate::suite_on!(Server, #[ignore = "needs ActiveMQ Artemis"]);
crate::suite_on!(unordered Server, #[ignore = "needs ActiveMQ Artemis"]);
crate::suite_on!(lossy Server, #[ignore = "needs ActiveMQ Artemis"]);
