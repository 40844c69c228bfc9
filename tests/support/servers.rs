//! The servers that the tests talk to, on 127.0.0.1: on the ports of the README's containers, or where `.ci/servers` has
//! started them and says so in the environment.

#![allow(dead_code, reason = "each test needs some of it")]

use std::path::PathBuf;

fn port(variable: &str, standard: u16) -> u16 {
    std::env::var(variable).ok().map_or(standard, |port| port.parse().expect("a port"))
}

pub(crate) fn postgres_port() -> u16 {
    port("TEST_POSTGRES_PORT", 5432)
}

/// A connection string for PostgreSQL, as the user who may do everything.
pub(crate) fn postgres() -> String {
    format!("host=127.0.0.1 port={} user=postgres dbname=postgres", postgres_port())
}

pub(crate) fn rabbitmq() -> u16 {
    port("TEST_RABBITMQ_PORT", 5672)
}

/// The port on which RabbitMQ speaks TLS.
pub(crate) fn rabbitmq_tls() -> u16 {
    port("TEST_RABBITMQ_TLS_PORT", 5671)
}

pub(crate) fn nats() -> u16 {
    port("TEST_NATS_PORT", 4222)
}

/// A certificate or key that `.ci/servers` has made: `authority.pem` has signed `server.pem`, for the address 127.0.0.1 and no
/// name; `stranger.pem` has signed nothing.
pub(crate) fn certificate(file: &str) -> PathBuf {
    PathBuf::from(std::env::var("TEST_TLS").expect("TEST_TLS, as `.ci/servers` sets it")).join(file)
}
