//! Brokers: each adapter by the same tests, against its real server.
#![cfg(all(
    feature = "sqlite",
    any(
        feature = "amqp",
        feature = "amqp1",
        feature = "kafka",
        feature = "nats",
        feature = "pubsub",
        feature = "sqs",
        feature = "webhook"
    )
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
#[cfg_attr(
    not(any(feature = "nats", feature = "amqp", feature = "kafka", feature = "sqs")),
    allow(dead_code, reason = "a webhook stores nothing")
)]
mod proxy;
#[cfg(feature = "pubsub")]
mod pubsub;
#[cfg(any(feature = "sqs", feature = "webhook"))]
#[path = "../support/python.rs"]
mod python;
#[path = "../support/servers.rs"]
mod servers;
#[cfg(feature = "sqs")]
mod sqs;
#[cfg_attr(
    not(any(feature = "nats", feature = "amqp", feature = "kafka", feature = "sqs")),
    allow(dead_code, unused_imports, reason = "a webhook stores nothing")
)]
mod suite;
#[cfg(feature = "webhook")]
mod webhook;
