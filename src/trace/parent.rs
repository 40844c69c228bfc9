//! `TraceParent`: which span of which trace, in the text form of the W3C's `traceparent`.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::str::FromStr;

/// A span of a trace, as `traceparent` names it. Neither id is zero.
///
/// Source: W3C Trace Context, section 3.2 (version 00). It reads a later version as far
/// as version 00 goes, as section 4.3 says, and always writes version 00.
///
/// ```
/// use integration_automation_patterns::trace::TraceParent;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent: TraceParent = text.parse()?;
/// assert_eq!(parent.span_id(), 0xb7ad_6b71_6920_3331);
/// assert_eq!(parent.to_string(), text);
///
/// let child = parent.child();
/// assert_eq!(child.trace_id(), parent.trace_id());
/// assert_ne!(child.span_id(), parent.span_id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

impl TraceParent {
    /// A span of a trace, from the ids of another library; nothing where one of them is
    /// zero, which stands for no id.
    pub const fn new(trace_id: u128, span_id: u64, flags: u8) -> Option<Self> {
        if trace_id == 0 || span_id == 0 {
            None
        } else {
            Some(Self { trace_id, span_id, flags })
        }
    }

    /// The first span of a new trace, which is recorded.
    pub fn fresh() -> Self {
        let trace_id = u128::from(random()) << 64 | u128::from(random());
        Self { trace_id, span_id: random(), flags: SAMPLED }
    }

    /// A new span of the same trace.
    #[must_use = "the parent itself is not changed"]
    pub fn child(self) -> Self {
        Self { span_id: random(), ..self }
    }

    /// The trace.
    pub const fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// The span.
    pub const fn span_id(self) -> u64 {
        self.span_id
    }

    /// The flags; bit 0 is set where the trace is recorded.
    pub const fn flags(self) -> u8 {
        self.flags
    }
}

/// An unpredictable number that is not zero: the hash of nothing, under the random keys
/// that the standard library has for its maps.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = ParseTraceParentError;

    fn from_str(text: &str) -> Result<Self, ParseTraceParentError> {
        let read = || {
            let mut parts = text.split('-');
            let mut part = |length| {
                parts
                    .next()
                    .filter(|part| part.len() == length && part.bytes().all(is_hex))
            };
            let (version, trace_id, span_id, flags) =
                (part(2)?, part(32)?, part(16)?, part(2)?);
            if version == "ff" || (version == "00" && parts.next().is_some()) {
                return None;
            }
            Self::new(
                u128::from_str_radix(trace_id, 16).ok()?,
                u64::from_str_radix(span_id, 16).ok()?,
                u8::from_str_radix(flags, 16).ok()?,
            )
        };
        read().ok_or_else(|| ParseTraceParentError { found: text.to_owned() })
    }
}

/// Lower case only, as in the standard.
const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// A text is no `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseTraceParentError {
    found: String,
}

impl fmt::Display for ParseTraceParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected a traceparent such as \
             00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01, with neither id \
             zero, found {:?}",
            self.found
        )
    }
}

impl std::error::Error for ParseTraceParentError {}
