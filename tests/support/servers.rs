//! The servers that the tests talk to, on 127.0.0.1: on their usual ports, or where
//! `.ci/servers` has started them and says so in the environment.

#![allow(dead_code, reason = "each test needs some of it")]

use std::io::Write as _;
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

pub(crate) fn rabbitmq4() -> u16 {
    port("TEST_RABBITMQ4_PORT", 5677)
}

/// The port on which RabbitMQ speaks TLS.
pub(crate) fn rabbitmq_tls() -> u16 {
    port("TEST_RABBITMQ_TLS_PORT", 5671)
}

pub(crate) fn nats() -> u16 {
    port("TEST_NATS_PORT", 4222)
}

/// The ports on which ActiveMQ Artemis listens, in plain text and with TLS.
pub(crate) fn artemis() -> [u16; 2] {
    [port("TEST_ARTEMIS_PORT", 5673), port("TEST_ARTEMIS_TLS_PORT", 5674)]
}

pub(crate) fn activemq() -> u16 {
    port("TEST_ACTIVEMQ_PORT", 5675)
}

pub(crate) fn qpid() -> u16 {
    port("TEST_QPID_PORT", 5676)
}

pub(crate) fn kafka() -> u16 {
    port("TEST_KAFKA_PORT", 9092)
}

pub(crate) fn sqs() -> u16 {
    port("TEST_SQS_PORT", 9324)
}

pub(crate) fn pubsub() -> u16 {
    port("TEST_PUBSUB_PORT", 8085)
}

/// Google's own emulator of Pub/Sub; the other one, where the machine does not have it.
pub(crate) fn pubsub_emulator() -> u16 {
    port("TEST_PUBSUB_EMULATOR_PORT", pubsub())
}

/// A Python that has Google's client of Pub/Sub.
pub(crate) fn pubsub_python() -> PathBuf {
    std::env::var("TEST_PUBSUB_PYTHON")
        .expect("TEST_PUBSUB_PYTHON, as `.ci/servers` sets it")
        .into()
}

/// Where Kafka tells its clients to go who have come to the port given: a proxy is to
/// stand there.
pub(crate) fn kafka_behind_a_proxy() -> (u16, u16) {
    (port("TEST_KAFKA_BEHIND_PORT", 9093), port("TEST_KAFKA_PROXY_PORT", 9094))
}

/// The ports on which Kafka speaks TLS, wants a certificate of its client, and asks by
/// SASL.
pub(crate) fn kafka_secure() -> [u16; 3] {
    [("TLS", 9095), ("MUTUAL", 9096), ("SASL", 9097)]
        .map(|(name, standard)| port(&format!("TEST_KAFKA_{name}_PORT"), standard))
}

/// A tool of Kafka's own, with its arguments; what it printed.
pub(crate) fn kafka_tool(arguments: &[&str]) -> String {
    kafka_tool_reads(arguments, "")
}

/// The same, with what the tool reads. It must not print much before it has read all of
/// it.
pub(crate) fn kafka_tool_reads(arguments: &[&str], input: &str) -> String {
    use std::process::{Command, Stdio};
    let tool = std::env::var("TEST_KAFKA_TOOL")
        .expect("TEST_KAFKA_TOOL, as `.ci/servers` sets it");
    let pipes = || Stdio::piped();
    let tool = Command::new(tool)
        .args(arguments)
        .stdin(pipes())
        .stdout(pipes())
        .stderr(pipes())
        .spawn();
    let mut tool = tool.expect("the tool");
    // One that reads nothing may have ended.
    let _ = tool.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let ran = tool.wait_with_output().expect("the tool");
    assert!(ran.status.success(), "{arguments:?}: {ran:?}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A certificate or key that `.ci/servers` has made: `authority.pem` has signed
/// `server.pem`, for the address 127.0.0.1 and no name, and `client.pem`, for a program;
/// `stranger.pem` has signed nothing.
pub(crate) fn certificate(file: &str) -> PathBuf {
    PathBuf::from(std::env::var("TEST_TLS").expect("TEST_TLS, as `.ci/servers` sets it"))
        .join(file)
}
