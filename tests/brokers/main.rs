//! Brokers: each adapter by the same tests, against its real server (for Kafka, the mock cluster of its client).
#![cfg(all(feature = "sqlite", any(feature = "nats", feature = "amqp", feature = "kafka")))]

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
#[cfg_attr(
    not(any(feature = "nats", feature = "amqp")),
    allow(dead_code, reason = "for Kafka, its mock cluster loses")
)]
mod proxy;
#[path = "../support/servers.rs"]
mod servers;
#[cfg_attr(
    not(any(feature = "nats", feature = "amqp")),
    allow(dead_code, reason = "for Kafka, its mock cluster loses")
)]
mod suite;
