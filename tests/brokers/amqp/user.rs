//! A user of RabbitMQ of the test's own, whose password wants percent-encoding.

use std::net::SocketAddr;
use std::process::Command;

use super::RabbitMq;

pub(super) const PASSWORD: &str = "s3cr3t/p@ss:word";
pub(super) const ENCODED: &str = "s3cr3t%2Fp%40ss%3Aword";

pub(super) struct User {
    pub(super) name: String,
}

impl User {
    /// One who may do everything.
    pub(super) fn new(server: &RabbitMq) -> Self {
        rabbitmqctl(&["add_user", &server.name, PASSWORD]);
        let user = Self { name: server.name.clone() };
        user.may(".*", ".*", ".*");
        user
    }

    /// What may be configured, written and read.
    pub(super) fn may(&self, configure: &str, write: &str, read: &str) {
        rabbitmqctl(&["set_permissions", &self.name, configure, write, read]);
    }

    /// Of which types events may be sent to the exchange.
    pub(super) fn may_send(&self, exchange: &str, types: &str) {
        rabbitmqctl(&["set_topic_permissions", &self.name, exchange, types, ".*"]);
    }

    pub(super) fn address(&self, scheme: &str, server: SocketAddr) -> String {
        format!("{scheme}://{}:{ENCODED}@{server}", self.name)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        rabbitmqctl(&["delete_user", &self.name]);
    }
}

pub(super) fn rabbitmqctl(arguments: &[&str]) {
    let program = std::env::var("TEST_RABBITMQCTL")
        .expect("TEST_RABBITMQCTL, as `.ci/servers` sets it");
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(
        done.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
