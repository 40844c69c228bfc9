//! What a program decides: which exchange, how long to wait for the server, how large a
//! message may be, and whom to trust.

use std::time::Duration;

use super::address::is_name;
use crate::broker::ConfigError;
use crate::broker::wait::check_wait;
#[cfg(feature = "tls")]
use crate::tls::Tls;

const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Which exchange, how long to wait for the server, and how large a message may be.
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until it is passed to `Amqp::new`"]
pub struct AmqpConfig {
    pub(super) exchange: String,
    pub(super) connect_timeout: Duration,
    pub(super) max_message_size: usize,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl AmqpConfig {
    /// The exchange of this name; 3 s to connect, and no message larger than 16 MiB.
    ///
    /// A relay waits 10 s for a send where nothing else is said. Stay below it: a send
    /// that it gives up counts as an attempt, and one that finds the server gone does
    /// not.
    pub fn new(exchange: impl Into<String>) -> Self {
        Self {
            exchange: exchange.into(),
            connect_timeout: Duration::from_secs(3),
            max_message_size: 16 * 1024 * 1024,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// How long a connection may take to be made, the server to answer whatever else than
    /// a send it is asked, and a send to wait for others to be confirmed. Between a
    /// millisecond and a year.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// The most bytes of a payload. What is larger than the server's own
    /// `max_message_size` (16 MiB from RabbitMQ 4.0 on, 128 MiB before) the server
    /// refuses for good, once it has been sent all of it.
    pub fn max_message_size(self, max_message_size: usize) -> Self {
        Self { max_message_size, ..self }
    }

    /// Which authorities an `amqps://` server is checked against, and which certificate
    /// it is shown. Where nothing is said, the authorities of the system.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        is_name("exchange", &self.exchange)?;
        check_wait("connect_timeout", self.connect_timeout, SHORTEST_WAIT)?;
        if self.max_message_size == 0 {
            return Err(ConfigError::new("max_message_size", "more than none", "0"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_without_an_end_or_a_use_is_refused() {
        let refused = |within| {
            AmqpConfig::new("crm")
                .connect_timeout(within)
                .check()
                .err()
                .map(|error| error.to_string())
        };
        for (within, found) in [(Duration::ZERO, "0ns"), (Duration::from_nanos(1), "1ns")]
        {
            let wanted = format!(
                "the connect_timeout: expected between 1ms and a year, found {found:?}"
            );
            assert_eq!(refused(within), Some(wanted));
        }
        assert!(refused(Duration::MAX).is_some());
        assert_eq!(refused(Duration::from_millis(1)), None);
    }
}
