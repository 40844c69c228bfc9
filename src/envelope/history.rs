//! What has happened to an event: the last failure of a delivery, and what a person
//! decided about it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Timelike, Utc};

use super::state::UnknownNameError;
use crate::text::control_character;

/// Whether another attempt could succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The next attempt may succeed: a timeout, a lost connection, a lock.
    Transient,
    /// No attempt will: a poison message, an unknown schema, a rule that the receiver
    /// will not bend.
    Permanent,
}

impl FailureClass {
    /// The lower-case name, which parses back.
    ///
    /// ```
    /// use integration_automation_patterns::FailureClass;
    ///
    /// assert_eq!(FailureClass::Permanent.as_str(), "permanent");
    /// assert_eq!("permanent".parse(), Ok(FailureClass::Permanent));
    /// assert!("final".parse::<FailureClass>().is_err());
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
        }
    }
}

impl FromStr for FailureClass {
    type Err = UnknownNameError;

    /// Reads the lower-case name, exactly.
    ///
    /// # Errors
    ///
    /// [`UnknownNameError`], with the text, where it names no class.
    fn from_str(text: &str) -> Result<Self, UnknownNameError> {
        let all = [Self::Transient, Self::Permanent];
        let found = all.into_iter().find(|class| class.as_str() == text);
        found.ok_or_else(|| {
            UnknownNameError::new(
                "failure class",
                all.into_iter().map(Self::as_str),
                text,
            )
        })
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The failure of one attempt: its class, the reason, and when.
///
/// An envelope keeps its last one, past a retry and past a redrive, until another takes
/// its place.
///
/// ```
/// use integration_automation_patterns::{Envelope, FailureClass, RawEvent};
///
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// let dead = event.dispatch().reject("unknown schema version 9");
/// let failure = dead.failure().ok_or("a failed event knows why")?;
/// assert_eq!(failure.class, FailureClass::Permanent);
/// assert_eq!(failure.reason, "unknown schema version 9");
/// assert_eq!(
///     failure.to_string(),
///     r#"permanent failure: "unknown schema version 9""#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whether another attempt could succeed.
    pub class: FailureClass,
    /// What went wrong, in the words of the code that found it.
    pub reason: String,
    /// When the attempt failed.
    pub at: DateTime<Utc>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failure: {:?}", self.class, self.reason)
    }
}

/// What a person decided about a dead letter: who, why, and when.
///
/// [`redrive`](crate::Envelope::redrive) and [`discard`](crate::Envelope::discard) take
/// one, so that neither happens without a name and a reason.
///
/// ```
/// use integration_automation_patterns::Decision;
///
/// let decision = Decision::new("on-call", "the mapping is fixed")?;
/// assert_eq!(decision.by(), "on-call");
/// assert_eq!(decision.reason(), "the mapping is fixed");
/// assert!(Decision::new("on-call", " ").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    by: String,
    reason: String,
    at: DateTime<Utc>,
}

impl Decision {
    /// A decision taken now.
    ///
    /// The twin that takes the time is [`new_at`](Self::new_at).
    ///
    /// # Errors
    ///
    /// [`DecisionError`] where the name or the reason is blank, or has a control character
    /// (a reason may break lines).
    pub fn new(
        by: impl Into<String>,
        reason: impl Into<String>,
    ) -> Result<Self, DecisionError> {
        Self::new_at(by, reason, Utc::now())
    }

    /// A decision taken at a given time.
    ///
    /// # Errors
    ///
    /// [`DecisionError`] where the name or the reason is blank, or has a control character
    /// (a reason may break lines).
    ///
    /// ```
    /// use integration_automation_patterns::Decision;
    ///
    /// let at = "2026-01-05T08:00:00Z".parse()?;
    /// assert_eq!(Decision::new_at("on-call", "a test record", at)?.at(), at);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new_at(
        by: impl Into<String>,
        reason: impl Into<String>,
        at: DateTime<Utc>,
    ) -> Result<Self, DecisionError> {
        let (by, reason) = (by.into(), reason.into());
        for (part, text, breaks_lines) in [(NAME, &by, false), (REASON, &reason, true)] {
            if text.trim().is_empty() {
                return Err(DecisionError { part, found: None });
            }
            if let Some(found) = control_character(text, breaks_lines) {
                return Err(DecisionError { part, found: Some(found) });
            }
        }
        Ok(Self { by, reason, at: to_micros(at) })
    }

    /// Who decided.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When.
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }
}

/// A decision has no name or no reason, or one that a database would refuse.
///
/// ```
/// use integration_automation_patterns::Decision;
///
/// let error = Decision::new("", "the mapping is fixed").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a decision needs a name and a reason, and the name of the person is blank"
/// );
/// let error = Decision::new("on-call\0", "the mapping is fixed").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "wanted the name of the person without control characters, and found '\\0': take it \
///      out"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionError {
    part: &'static str,
    /// The control character; none where it is blank.
    found: Option<char>,
}

const NAME: &str = "name of the person";
const REASON: &str = "reason";

impl fmt::Display for DecisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, found } = self;
        match found {
            None => {
                write!(f, "a decision needs a name and a reason, and the {part} is blank")
            }
            Some(found) => write!(
                f,
                "wanted the {part} without control characters, and found {found:?}: take it \
                 out"
            ),
        }
    }
}

impl std::error::Error for DecisionError {}

/// The moment to the microsecond: the precision that the audit line and the databases
/// keep, so that a time is the same before and after it was stored. A leap second counts
/// as the first of the next minute.
#[inline]
pub(crate) fn to_micros(moment: DateTime<Utc>) -> DateTime<Utc> {
    let nanos = moment.timestamp_subsec_nanos();
    if nanos >= 1_000_000_000 {
        return after_leap_second(moment);
    }
    let micros = moment.naive_utc().with_nanosecond(nanos.saturating_sub(nanos % 1000));
    micros.map_or(moment, |micros| micros.and_utc())
}

#[cold]
fn after_leap_second(moment: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(moment.timestamp_micros()).unwrap_or(moment)
}
