//! The suite on the servers that speak AMQP 1.0, and what is their own.

mod activemq;
mod artemis;
mod faults;
mod foreign;
mod jms;
#[cfg(all(feature = "testing", unix))]
mod killed;
mod order;
mod place;
mod qpid;
#[cfg(feature = "amqp")]
mod rabbitmq;
mod raw;
#[cfg(feature = "tls")]
mod tls;
mod undecodable;

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use integration_automation_patterns::broker::amqp1::{
    Acker, Amqp1, Amqp1Config, Listener,
};
use integration_automation_patterns::broker::{Ack, BrokerError, Delivery};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};
use uuid::Uuid;

use self::raw::Raw;
use crate::suite::{Effects, Server};

/// User and password at each server, as an address has them.
const LOGIN: &str = "app:s3cr3t%2Fp%40ss%3Aword";

/// One of the servers.
trait Peer: Send + Sync + 'static {
    /// What stands before the name of each queue.
    const PREFIX: &str = "";

    fn port() -> u16;

    /// Makes a queue, at a server that makes none for whoever asks for it.
    fn make(_address: &str) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// A queue of its own at a server.
struct Queue<P> {
    name: String,
    peer: PhantomData<P>,
}

impl<P: Peer> Queue<P> {
    /// Servers treat some queues in their own way, by the beginning of the name.
    fn named(beginning: &str) -> Self {
        Self::called(format!("{}{beginning}.{}", P::PREFIX, Uuid::now_v7().simple()))
    }

    fn called(name: String) -> Self {
        Self { name, peer: PhantomData }
    }

    fn config(&self) -> Amqp1Config {
        Amqp1Config::queue(&self.name).max_message_size(100_000)
    }

    fn amqp1(&self, config: Amqp1Config) -> Amqp1 {
        Amqp1::new(&url(self.address()), config).unwrap()
    }
}

/// A program of `tests/support` in the interpreter of the system, which has Apache Qpid
/// Proton as a package of the system.
fn python(program: &str) -> Command {
    let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support");
    let mut python = Command::new("/usr/bin/python3");
    python.arg(support.join(program));
    python
}

fn url(address: SocketAddr) -> String {
    format!("amqp://{LOGIN}@{address}")
}

impl<P: Peer> Server for Queue<P> {
    type Broker = Amqp1;
    type Acker = Acker;
    type Consumer = Listener;
    const TOO_LARGE: usize = 100_001;
    const FIRST_MAY_BE_AGAIN: bool = true;
    const EACH_MAY_BE_AGAIN: bool = true;

    async fn fresh() -> Self {
        let queue = Self::named("test");
        P::make(&queue.name).await;
        queue
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], P::port()))
    }

    fn broker(&self, address: SocketAddr) -> Amqp1 {
        Amqp1::new(&url(address), self.config()).unwrap()
    }

    async fn consumer_at(&self, address: SocketAddr) -> Listener {
        self.broker(address).listen(&self.name).unwrap()
    }

    async fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) {
        Raw::connect(P::port()).await.send(&self.name, raw::message(headers, body)).await;
    }

    fn header(attribute: &str) -> String {
        format!("cloudEvents:{attribute}")
    }

    fn place(&self) -> [String; 2] {
        [url(self.address()), self.name.clone()]
    }

    /// An empty queue costs a server nothing.
    async fn remove(self) {}
}

fn event(id: &str) -> Envelope<Dispatched> {
    sized(id, 2)
}

fn sized(id: &str, size: usize) -> Envelope<Dispatched> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", vec![b'x'; size]))
        .id(id.parse().unwrap())
        .build()
        .unwrap()
        .dispatch()
}

/// Acks a delivery, as one whose effect is stored.
async fn ack<A: Ack>(delivery: Delivery<A>) -> Result<(), BrokerError> {
    Effects::new().process(delivery).settle().await
}
