//! `Refused`: the one shape of a refusal that was handed a value: the value, unharmed,
//! and the cause.

use std::error::Error;
use std::fmt;

use static_assertions::const_assert;

/// What was handed in, given back, and why it was refused.
///
/// It is transparent: it displays as the cause, which says what was wanted and what was
/// found, and its [`source`](Error::source) is the cause's own. It is one pointer in
/// size.
///
/// ```
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// let refused = Envelope::builder("", RawEvent::new("crm.lead.created", b"{}"))
///     .build()
///     .unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "an event needs the name of its source system, and found an empty one"
/// );
///
/// let event = refused.into_value().source_system("crm").build()?;
/// assert_eq!(event.source_system(), "crm");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Refused<V, C>(Box<(V, C)>);

const_assert!(size_of::<Refused<[u64; 64], [u64; 8]>>() == size_of::<usize>());

impl<V, C> Refused<V, C> {
    pub(crate) fn new(value: V, cause: C) -> Self {
        Self(Box::new((value, cause)))
    }

    /// Why it was refused.
    pub fn cause(&self) -> &C {
        &self.0.1
    }

    /// What was handed in.
    pub fn value(&self) -> &V {
        &self.0.0
    }

    /// What was handed in, back in the caller's hands.
    pub fn into_value(self) -> V {
        self.0.0
    }

    /// Why it was refused, for an error of the caller's own: what was handed in is
    /// dropped.
    ///
    /// ```
    /// use integration_automation_patterns::event::BuildError;
    /// use integration_automation_patterns::state::Pending;
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// fn event(source: &'static str) -> Result<Envelope<Pending>, BuildError> {
    ///     Envelope::builder(source, RawEvent::new("crm.lead.created", b"{}"))
    ///         .build()
    ///         .map_err(|refused| refused.into_cause())
    /// }
    /// assert_eq!(event("").unwrap_err(), BuildError::EmptySourceSystem);
    /// ```
    pub fn into_cause(self) -> C {
        self.0.1
    }

    /// Both.
    pub fn into_parts(self) -> (V, C) {
        *self.0
    }
}

impl<V, C: fmt::Debug> fmt::Debug for Refused<V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("cause", self.cause()).finish_non_exhaustive()
    }
}

impl<V, C: fmt::Display> fmt::Display for Refused<V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause().fmt(f)
    }
}

impl<V, C: Error + 'static> Error for Refused<V, C> {
    /// The cause of the cause: the refusal itself displays as the cause.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause().source()
    }
}
