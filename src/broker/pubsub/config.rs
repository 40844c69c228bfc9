//! `PubSubConfig`: where Pub/Sub is, how long to wait for it, and how large a message may
//! be.

use std::time::Duration;

use crate::broker::ConfigError;
use crate::broker::wait::check_wait;

/// Where Pub/Sub is, how long to wait for it, and how large a message may be.
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until it is passed to `PubSub::new`"]
pub struct PubSubConfig {
    pub(super) endpoint: Option<String>,
    pub(super) request_timeout: Duration,
    pub(super) max_message_size: usize,
}

impl Default for PubSubConfig {
    /// The global endpoint, 5 s for an answer, and no message larger than 4,000,000
    /// bytes.
    ///
    /// A relay waits 10 s for a send where nothing else is said. Stay below: a send that
    /// it gives up counts as an attempt.
    fn default() -> Self {
        Self {
            endpoint: None,
            request_timeout: Duration::from_secs(5),
            max_message_size: 4_000_000,
        }
    }
}

impl PubSubConfig {
    /// The endpoint to use instead of the global one, as
    /// `https://europe-west1-pubsub.googleapis.com`. Events of one ordering key keep their
    /// order only if all of them are sent through the same region.
    pub fn endpoint(self, endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..self }
    }

    /// How long a request may take, with its connection and its credentials. Then the
    /// attempt has failed.
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// The most bytes of a message: payload, attributes and ordering key.
    ///
    /// Pub/Sub takes 10,000,000. The client, however, cannot receive more than 4 MiB:
    /// raise this only for a topic that nothing written in Rust subscribes to.
    pub fn max_message_size(self, max_message_size: usize) -> Self {
        Self { max_message_size, ..self }
    }

    pub(super) fn check(self) -> Result<Self, ConfigError> {
        check_wait("request_timeout", self.request_timeout, SHORTEST_WAIT)?;
        if !(LEAST_SIZE..=MOST_SIZE).contains(&self.max_message_size) {
            let wanted = "between 1,024 and 10,000,000 bytes, as Pub/Sub has it";
            let found = self.max_message_size.to_string();
            return Err(ConfigError::new("max_message_size", wanted, found));
        }
        Ok(self)
    }
}

const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LEAST_SIZE: usize = 1024;
const MOST_SIZE: usize = 10_000_000;
