//! Brokers: each adapter by the same tests, against its real server.
#![cfg(all(
    feature = "sqlite",
    any(feature = "nats", feature = "amqp", feature = "amqp1", feature = "kafka")
))]

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "amqp1")]
mod amqp1;
mod capabilities;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
mod proxy;
#[path = "../support/servers.rs"]
mod servers;
mod suite;
