//! Messages of which the client can read nothing: they are said to be there, and what is
//! behind them arrives, whatever the server makes of those that are rejected.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config, Listener};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};
use tokio::net::TcpListener;

use super::activemq::ActiveMq;
use super::artemis::Artemis;
use super::foreign::proton;
use super::qpid::Qpid;
#[cfg(feature = "amqp")]
use super::rabbitmq::BuiltIn;
use super::{Peer, Queue, ack, event, python};
use crate::suite::{Server, in_time};

async fn cannot_be_decoded(listener: &mut Listener) {
    let error = listener.next().await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Permanent, "{error}");
    assert!(error.reason().contains("cannot be decoded"), "{error}");
}

/// So many failures, and then the event that was sent last.
async fn blocks_nothing<P: Peer>(sent: &str, failures: usize) {
    let queue = Queue::<P>::fresh().await;
    proton(sent, &queue);
    let mut listener = queue.consumer().await.prefetch(1).unwrap();
    for _ in 0..failures {
        cannot_be_decoded(&mut listener).await;
    }
    let delivery = listener.next().await.unwrap().unwrap();
    assert_eq!(delivery.facts().id().to_string(), "proton-behind");
    ack(delivery).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis and Qpid Proton"]
async fn what_cannot_be_decoded_blocks_nothing_at_artemis() {
    in_time(blocks_nothing::<Artemis>("undecodable", 5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Classic and Qpid Proton"]
async fn what_cannot_be_decoded_blocks_nothing_at_activemq() {
    in_time(blocks_nothing::<ActiveMq>("undecodable", 5)).await;
}

#[cfg(feature = "amqp")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ 4 and Qpid Proton"]
async fn what_cannot_be_decoded_blocks_nothing_at_rabbitmq() {
    in_time(blocks_nothing::<BuiltIn>("undecodable", 5)).await;
}

/// It takes no list from anybody, and brings back what is rejected: one message comes
/// three times, and is kept from this listener then.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Qpid Broker-J and Qpid Proton"]
async fn what_cannot_be_decoded_is_brought_back_by_qpid_and_blocks_nothing() {
    in_time(blocks_nothing::<Qpid>("no-text", 4)).await;
}

/// Ends with the test.
struct Endless(Child);

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Endless {
    async fn start() -> (Self, SocketAddr) {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut server = python("amqp1_server.py");
        let server = server.arg(free.port().to_string()).stdout(Stdio::piped()).spawn();
        (Self(server.expect("python3")), free)
    }

    /// How many messages were settled, once their link has ended.
    fn settled(&mut self) -> usize {
        let mut line = String::new();
        let printed = self.0.stdout.take().expect("a pipe");
        BufReader::new(printed).read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

/// Else a consumer that is busy empties a queue into the server's dead letters, and keeps
/// a line of memory for each.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Qpid Proton"]
async fn a_listener_that_nobody_polls_rejects_no_more_than_it_has_room_for() {
    const PREFETCH: u16 = 3;
    in_time(async {
        let (mut server, address) = Endless::start().await;
        let queue = Amqp1Config::queue("orders");
        let broker = Amqp1::new(&format!("amqp://{address}"), queue).unwrap();
        while broker.send(&event("1")).await.is_err() {
            tokio::task::yield_now().await; // it has not begun
        }
        let mut listener = broker.listen("orders").unwrap().prefetch(PREFETCH).unwrap();
        cannot_be_decoded(&mut listener).await;
        // As many answers as the link would have, were it not to wait.
        for _ in 0..100 {
            broker.send(&event("1")).await.unwrap();
        }
        drop(listener);
        let settled = tokio::task::block_in_place(|| server.settled());
        // One was taken; of what waits in the link, the rest goes back at its end.
        let at_most = 1 + 2 * usize::from(PREFETCH);
        assert!(settled <= at_most, "{settled} were settled, and {at_most} fit");
    })
    .await;
}
