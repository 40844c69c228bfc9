//! How far a consumer is behind: `Lag`, as each broker can say it.

use std::fmt;

/// How far a consumer is behind in one of the things that it reads: a partition, a queue,
/// a durable consumer.
///
/// ```
/// use integration_automation_patterns::broker::Lag;
///
/// let lag = Lag::new("partition 3 of crm", 12);
/// assert_eq!(lag.to_string(), "partition 3 of crm: 12 behind");
/// let lag = lag.held_back(4, "a transaction of another program that is open still");
/// assert_eq!(
///     lag.to_string(),
///     "partition 3 of crm: 12 behind, 4 of them held back by a transaction of another \
///      program that is open still"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// What is read, by its name at the broker.
    pub of: String,
    /// How many events are there unacked, as far as the broker counts them.
    pub behind: u64,
    /// How many of them the broker delivers to nobody for now.
    pub held_back: u64,
    /// What those wait for.
    pub waits_for: Option<&'static str>,
}

impl Lag {
    /// So many events are unacked, and the broker holds none of them back.
    pub fn new(of: impl Into<String>, behind: u64) -> Self {
        Self { of: of.into(), behind, held_back: 0, waits_for: None }
    }

    /// Says that the broker holds so many of them back until something has ended; with 0,
    /// nothing.
    #[must_use = "this returns the changed lag; the original is consumed"]
    pub fn held_back(self, held_back: u64, waits_for: &'static str) -> Self {
        Self { held_back, waits_for: (held_back > 0).then_some(waits_for), ..self }
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} behind", self.of, self.behind)?;
        match self.waits_for {
            Some(waits_for) => {
                write!(f, ", {} of them held back by {waits_for}", self.held_back)
            }
            None => Ok(()),
        }
    }
}
