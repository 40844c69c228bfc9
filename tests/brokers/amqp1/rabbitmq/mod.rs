//! RabbitMQ, whose queues are made over the protocol that is its own.

mod built_in;
mod outcomes;
mod plugin;
mod protocols;
mod routing;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};

pub(super) use self::built_in::BuiltIn;
use super::{Peer, Queue};

/// A queue with arguments, as its owner would make it.
async fn queue_with<P: Peer>(arguments: &[(&str, AMQPValue)]) -> Queue<P> {
    let queue = Queue::named("test");
    declare::<P>(&queue.name, arguments).await;
    queue
}

async fn declare<P: Peer>(address: &str, arguments: &[(&str, AMQPValue)]) {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    let (_connection, channel) = connect(P::port()).await;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(own_name::<P>(address).into(), durable, table).await.unwrap();
}

async fn delete<P: Peer>(queue: &Queue<P>) {
    let (_connection, channel) = connect(P::port()).await;
    let name = own_name::<P>(&queue.name).into();
    channel.queue_delete(name, QueueDeleteOptions::default()).await.unwrap();
}

async fn connect(port: u16) -> (Connection, Channel) {
    let address = format!("amqp://127.0.0.1:{port}");
    let connection =
        Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// What the server calls a queue whose address this is.
fn own_name<P: Peer>(address: &str) -> &str {
    address.strip_prefix(P::PREFIX).unwrap()
}
