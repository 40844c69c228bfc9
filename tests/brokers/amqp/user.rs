//! A user of RabbitMQ of the test's own, whose password wants percent-encoding.

use std::net::SocketAddr;

use super::RabbitMq;
use super::evaluate::{binary, evaluate, here};

pub(super) const PASSWORD: &str = "s3cr3t/p@ss:word";
pub(super) const ENCODED: &str = "s3cr3t%2Fp%40ss%3Aword";

pub(super) struct User {
    pub(super) name: String,
}

impl User {
    /// One who may do everything.
    pub(super) fn new(server: &RabbitMq) -> Self {
        change(&server.name, "add_user", &[PASSWORD]);
        let user = Self { name: server.name.clone() };
        user.may(".*", ".*", ".*");
        user
    }

    /// What may be configured, written and read.
    pub(super) fn may(&self, configure: &str, write: &str, read: &str) {
        change(&self.name, "set_permissions", &["/", configure, write, read]);
    }

    /// Of which types events may be sent to the exchange.
    pub(super) fn may_send(&self, exchange: &str, types: &str) {
        change(&self.name, "set_topic_permissions", &["/", exchange, types, ".*"]);
    }

    pub(super) fn address(&self, scheme: &str, server: SocketAddr) -> String {
        format!("{scheme}://{}:{ENCODED}@{server}", self.name)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        change(&self.name, "delete_user", &[]);
    }
}

/// By a function of the server's, whose last argument is who asks.
fn change(user: &str, function: &str, arguments: &[&str]) {
    let all = [&[user], arguments, &["tests"]].concat();
    let all: Vec<_> = all.into_iter().map(binary).collect();
    let all = all.join(", ");
    evaluate(&here(), &format!("rabbit_auth_backend_internal:{function}({all})"));
}
