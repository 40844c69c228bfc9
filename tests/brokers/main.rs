//! Brokers: each adapter by the same tests, against its real server.
#![cfg(all(
    feature = "sqlite",
    any(feature = "nats", feature = "amqp", feature = "kafka", feature = "sqs")
))]

#[cfg(feature = "amqp")]
mod amqp;
mod capabilities;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
mod proxy;
#[path = "../support/servers.rs"]
mod servers;
#[cfg(feature = "sqs")]
mod sqs;
mod suite;
