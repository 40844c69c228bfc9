//! How long to wait for SQS, and how large a message may be.

use std::time::Duration;

use crate::broker::ConfigError;
use crate::broker::wait::check_wait;

/// How long to wait for SQS, and how large a message may be.
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until it is passed to `Sqs::new`"]
pub struct SqsConfig {
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) max_message_size: usize,
}

impl Default for SqsConfig {
    /// 3 s to connect, 4 s for an answer, and no message larger than 1 MiB, as AWS has it.
    ///
    /// A send may take two requests, and a relay waits 10 s for it where nothing else is
    /// said. Stay below: a send that it gives up counts as an attempt.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(4),
            max_message_size: 1024 * 1024,
        }
    }
}

impl SqsConfig {
    /// How long a connection may take to be made: no longer than its request.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How long a request may take, with the connection and the credentials. Then the
    /// attempt has failed.
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// The most bytes of a message, and of ten that are sent together: body and
    /// attributes. A queue may be set to less than AWS's 1 MiB.
    pub fn max_message_size(self, max_message_size: usize) -> Self {
        Self { max_message_size, ..self }
    }

    pub(super) fn check(self) -> Result<Self, ConfigError> {
        for (what, wait) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            check_wait(what, wait, SHORTEST_WAIT)?;
        }
        // Else the request ends first, and nobody knows that nothing was sent.
        if self.connect_timeout > self.request_timeout {
            let wanted =
                format!("at most {:?}, the request_timeout", self.request_timeout);
            let found = format!("{:?}", self.connect_timeout);
            return Err(ConfigError::new("connect_timeout", wanted, found));
        }
        if !(LEAST_SIZE..=MOST_SIZE).contains(&self.max_message_size) {
            let wanted = "between 1,024 and 1,048,576 bytes, as SQS has it";
            let found = self.max_message_size.to_string();
            return Err(ConfigError::new("max_message_size", wanted, found));
        }
        Ok(self)
    }
}

const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LEAST_SIZE: usize = 1024;
const MOST_SIZE: usize = 1024 * 1024;
