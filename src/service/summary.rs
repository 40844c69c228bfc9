//! How the parts of a service ended: `ServiceSummary`, and `ServiceError` if one of
//! them did not end well.

use std::error::Error;
use std::fmt;
use std::time::Duration;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::inbox::worker;
use crate::reason::reason;
use crate::relay;

type BoxedError = Box<dyn Error + Send + Sync>;

/// How a service ended, part by part. It displays as one line for each.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServiceSummary {
    /// The parts, in the order in which they were added.
    pub parts: Vec<PartSummary>,
}

/// How one part of a service ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct PartSummary {
    /// The name under which it was added.
    pub name: String,
    /// How it ended.
    pub end: PartEnd,
}

/// How a part of a service ended. `From` converts what the part returned.
///
/// ```
/// use integration_automation_patterns::service::PartEnd;
///
/// assert!(PartEnd::from(()).is_well());
/// let refused: Result<(), &str> = Err("the port is taken");
/// assert!(!PartEnd::from(refused).is_well());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum PartEnd {
    /// A relay has ended.
    Relay(relay::Summary),
    /// A worker has ended.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    Worker(worker::Summary),
    /// A clerk has ended.
    #[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
    Clerk(crate::workflow::ClerkSummary),
    /// Another task has ended.
    Done,
    /// A task has ended with an error.
    Failed(BoxedError),
    /// A task has panicked, with these words.
    Panicked(String),
    /// A task was cancelled before its end: its runtime is shutting down.
    Cancelled,
    /// A task did not end within this time of the stop, and was aborted.
    Aborted(Duration),
}

impl PartEnd {
    /// Whether it did not fail, panic, or end by being cancelled or aborted.
    pub const fn is_well(&self) -> bool {
        !matches!(
            self,
            Self::Failed(_) | Self::Panicked(_) | Self::Cancelled | Self::Aborted(_)
        )
    }
}

impl From<relay::Summary> for PartEnd {
    fn from(summary: relay::Summary) -> Self {
        Self::Relay(summary)
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl From<worker::Summary> for PartEnd {
    fn from(summary: worker::Summary) -> Self {
        Self::Worker(summary)
    }
}

#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
impl From<crate::workflow::ClerkSummary> for PartEnd {
    fn from(summary: crate::workflow::ClerkSummary) -> Self {
        Self::Clerk(summary)
    }
}

impl From<()> for PartEnd {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl<T: Into<Self>, E: Into<BoxedError>> From<Result<T, E>> for PartEnd {
    fn from(ended: Result<T, E>) -> Self {
        ended.map_or_else(|error| Self::Failed(error.into()), Into::into)
    }
}

impl ServiceSummary {
    /// The summary, if every part ended well.
    pub(super) fn check(self) -> Result<Self, ServiceError> {
        let is_well = self.parts.iter().all(|part| part.end.is_well());
        if is_well { Ok(self) } else { Err(ServiceError(self)) }
    }
}

impl fmt::Display for ServiceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.parts.iter().enumerate() {
            let line_end = if place == 0 { "" } else { "\n" };
            write!(f, "{line_end}{part}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PartSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.end {
            PartEnd::Relay(relay) => write!(
                f,
                "{} acknowledged, {} retrying, {} failed, {} released",
                relay.acknowledged, relay.retrying, relay.failed, relay.released
            ),
            #[cfg(all(
                feature = "workflow",
                any(feature = "postgres", feature = "sqlite")
            ))]
            PartEnd::Clerk(clerk) => {
                write!(f, "{} moved, {} failed", clerk.moved, clerk.failed)
            }
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            PartEnd::Worker(worker) => worker.fmt(f),
            PartEnd::Done => f.write_str("done"),
            PartEnd::Failed(error) => write!(f, "failed: {}", reason(&**error)),
            PartEnd::Panicked(words) => write!(f, "panicked: {words}"),
            PartEnd::Cancelled => f.write_str("was cancelled before its end"),
            PartEnd::Aborted(time) => {
                write!(f, "did not end within {time:?}, and was aborted")
            }
        }
    }
}

/// A part of a service failed, panicked, or did not end in time. The service stopped
/// the other parts.
#[derive(Debug)]
pub struct ServiceError(ServiceSummary);

impl ServiceError {
    /// How all parts ended.
    pub const fn summary(&self) -> &ServiceSummary {
        &self.0
    }

    /// The first part that did not end well.
    fn part(&self) -> Option<&PartSummary> {
        self.0.parts.iter().find(|part| !part.end.is_well())
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of the service did not end well")?;
        match self.part() {
            // Its error is the source.
            Some(PartSummary { name, end: PartEnd::Failed(_) }) => {
                write!(f, ": {name}: failed")
            }
            Some(part) => write!(f, ": {part}"),
            None => Ok(()),
        }
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.part()?.end {
            PartEnd::Failed(cause) => Some(&**cause),
            _ => None,
        }
    }
}
