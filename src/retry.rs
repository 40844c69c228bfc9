//! `RetryPolicy`: how many attempts an event has, and how long it waits between them.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use static_assertions::{assert_impl_all, const_assert};
use uuid::Uuid;

use crate::EventId;

/// How many attempts an event has, how long it waits before each retry, and when to give
/// up.
///
/// A policy is a plain value: it reads no clock and draws no random number, so that the
/// same event on another machine, or in a test, waits the same time.
///
/// It can be a constant, and the policy of a kind of event is one
/// ([`Event::RETRY_POLICY`](crate::Event::RETRY_POLICY)):
///
/// ```
/// use integration_automation_patterns::{Backoff, RetryPolicy};
/// use std::time::Duration;
///
/// const GROWING: Backoff = Backoff::Exponential {
///     base: Duration::from_secs(2),
///     max: Duration::from_secs(60),
/// };
/// const POLICY: RetryPolicy = RetryPolicy::retries(4, GROWING)
///     .with_full_jitter()
///     .give_up_after(Duration::from_secs(3600));
/// assert_eq!(POLICY.max_attempts(), 5);
/// assert_eq!(POLICY.wait(0), Duration::from_secs(2));
/// assert_eq!(POLICY.wait(3), Duration::from_secs(16));
/// assert_eq!(POLICY.wait(9), Duration::from_secs(60));
/// ```
#[doc(alias = "exponential backoff")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RetryPolicy {
    max_attempts: u32,
    backoff: Backoff,
    full_jitter: bool,
    time_limit: Option<Duration>,
}

assert_impl_all!(RetryPolicy: Copy, Send, Sync);
const_assert!(size_of::<RetryPolicy>() <= 64);

/// How the wait grows from one retry to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backoff {
    /// The same wait before every retry.
    Fixed(Duration),
    /// The base before the first retry, twice as long before each further one, and never
    /// more than `max`.
    Exponential {
        /// The wait before the first retry.
        base: Duration,
        /// The longest wait.
        max: Duration,
    },
}

impl RetryPolicy {
    /// Three attempts; 30 seconds before the first retry, doubling, an hour at the most;
    /// no jitter, no time limit.
    pub const DEFAULT: Self = Self {
        max_attempts: 3,
        backoff: Backoff::Exponential {
            base: Duration::from_secs(30),
            max: Duration::from_secs(3600),
        },
        full_jitter: false,
        time_limit: None,
    };

    /// A policy of one attempt and up to so many retries, each after its wait. A constant
    /// can be made of it, since every number of retries is one.
    ///
    /// ```
    /// use integration_automation_patterns::{Backoff, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// const MINUTE: Backoff = Backoff::Fixed(Duration::from_secs(60));
    /// const EACH_MINUTE: RetryPolicy = RetryPolicy::retries(7, MINUTE);
    /// const ONCE: RetryPolicy = RetryPolicy::retries(0, MINUTE);
    /// assert_eq!((EACH_MINUTE.max_attempts(), ONCE.max_attempts()), (8, 1));
    /// ```
    pub const fn retries(retries: u32, backoff: Backoff) -> Self {
        let max_attempts = retries.saturating_add(1);
        Self { max_attempts, backoff, full_jitter: false, time_limit: None }
    }

    /// A policy of `max_attempts`, the first one included: for a number that is
    /// configured.
    ///
    /// # Errors
    ///
    /// [`ZeroAttemptsError`] where no attempt at all would be allowed.
    ///
    /// ```
    /// use integration_automation_patterns::retry::{Backoff, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// let every_minute = Backoff::Fixed(Duration::from_secs(60));
    /// assert_eq!(RetryPolicy::new(10, every_minute)?.max_attempts(), 10);
    /// assert!(RetryPolicy::new(0, every_minute).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new(
        max_attempts: u32,
        backoff: Backoff,
    ) -> Result<Self, ZeroAttemptsError> {
        if max_attempts == 0 {
            return Err(ZeroAttemptsError(()));
        }
        Ok(Self { max_attempts, backoff, full_jitter: false, time_limit: None })
    }

    /// The same policy with full jitter: each wait is spread evenly between nothing and
    /// its full length.
    ///
    /// Events that failed together then do not come back together. The share is derived
    /// from event id and retry (see [`wait_for`](Self::wait_for)), never drawn. "Full
    /// jitter" as in Marc Brooker, *Exponential Backoff And Jitter*, AWS Architecture
    /// Blog, 2015.
    ///
    /// ```
    /// use integration_automation_patterns::RetryPolicy;
    ///
    /// let policy = RetryPolicy::DEFAULT.with_full_jitter();
    /// assert!(policy.has_full_jitter());
    /// assert!(policy.wait_for(&"evt-001".parse()?, 0) < policy.wait(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this gives the changed policy back"]
    pub const fn with_full_jitter(self) -> Self {
        Self { full_jitter: true, ..self }
    }

    /// The same policy with a limit on the time that delivery may take: an attempt that
    /// would begin later than this after the event was created (or last redriven) is not
    /// made.
    ///
    /// ```
    /// use integration_automation_patterns::retry::{Backoff, RetryPolicy};
    /// use integration_automation_patterns::{AfterFailure, Envelope, RawEvent};
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let policy = RetryPolicy::new(9, Backoff::Fixed(minute))?.give_up_after(minute);
    /// let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
    ///     .retry_policy(policy)
    ///     .build()?;
    /// let created_at = event.created_at();
    /// let AfterFailure::Retrying(event) =
    ///     event.dispatch().fail_at("timeout", created_at)
    /// else {
    ///     unreachable!("the second attempt begins after 60 s: just in time")
    /// };
    /// let due = event.next_attempt_at();
    /// assert!(matches!(
    ///     event.dispatch().fail_at("timeout", due),
    ///     AfterFailure::Failed(_)
    /// ));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this gives the changed policy back"]
    pub const fn give_up_after(self, limit: Duration) -> Self {
        Self { time_limit: Some(limit), ..self }
    }

    /// The number of attempts allowed, the first one included: at least 1.
    pub const fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// How the wait grows.
    pub const fn backoff(&self) -> Backoff {
        self.backoff
    }

    /// Whether waits are spread by full jitter.
    ///
    /// ```
    /// use integration_automation_patterns::RetryPolicy;
    ///
    /// assert!(!RetryPolicy::DEFAULT.has_full_jitter());
    /// assert!(RetryPolicy::DEFAULT.with_full_jitter().has_full_jitter());
    /// ```
    pub const fn has_full_jitter(&self) -> bool {
        self.full_jitter
    }

    /// The limit on the time that delivery may take, where there is one.
    ///
    /// ```
    /// use integration_automation_patterns::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let hour = Duration::from_secs(3600);
    /// assert_eq!(RetryPolicy::DEFAULT.time_limit(), None);
    /// assert_eq!(RetryPolicy::DEFAULT.give_up_after(hour).time_limit(), Some(hour));
    /// ```
    pub const fn time_limit(&self) -> Option<Duration> {
        self.time_limit
    }

    /// The wait before a retry, without jitter; retries count from 0, so that the first
    /// one waits the base.
    ///
    /// Exponential: `min(base * 2^retry, max)`, for every `retry`. Fixed: the same wait
    /// always.
    ///
    /// ```
    /// use integration_automation_patterns::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// assert_eq!(RetryPolicy::DEFAULT.wait(0), Duration::from_secs(30));
    /// assert_eq!(RetryPolicy::DEFAULT.wait(1), Duration::from_secs(60));
    /// assert_eq!(RetryPolicy::DEFAULT.wait(u32::MAX), Duration::from_secs(3600));
    /// ```
    pub const fn wait(&self, retry: u32) -> Duration {
        match self.backoff {
            Backoff::Fixed(wait) => wait,
            Backoff::Exponential { base, max } => doubled_up_to(base, retry, max),
        }
    }

    /// The wait before a retry of one event: [`wait`](Self::wait), times the event's own
    /// share where the policy has full jitter.
    ///
    /// The share is a number from 0 up to but not including 1: the first 32 bits, as a
    /// fraction, of the v5 UUID of the retry (as decimal text) in the namespace of the
    /// event's id, where the id of a text is the v5 UUID of that text in
    /// [`EventId::NAMESPACE`].
    ///
    /// ```
    /// use integration_automation_patterns::RetryPolicy;
    ///
    /// let policy = RetryPolicy::DEFAULT.with_full_jitter();
    /// let (one, other) = ("evt-001".parse()?, "evt-002".parse()?);
    /// assert_eq!(policy.wait_for(&one, 0), policy.wait_for(&one, 0));
    /// assert_ne!(policy.wait_for(&one, 0), policy.wait_for(&other, 0));
    /// assert!(policy.wait_for(&one, 0) < policy.wait(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for(&self, event: &EventId, retry: u32) -> Duration {
        let wait = self.wait(retry);
        if self.full_jitter { fraction_of(wait, share(event, retry)) } else { wait }
    }

    /// Whether no attempt is left after this many.
    ///
    /// ```
    /// use integration_automation_patterns::RetryPolicy;
    ///
    /// assert!(!RetryPolicy::DEFAULT.is_exhausted(2));
    /// assert!(RetryPolicy::DEFAULT.is_exhausted(3));
    /// ```
    pub const fn is_exhausted(&self, attempts: u32) -> bool {
        attempts >= self.max_attempts
    }

    /// The longest time from the first attempt to the beginning of the last: the sum of
    /// all waits, or the time limit where that is shorter. A receiver must remember an
    /// event for longer than this to recognise a duplicate.
    ///
    /// ```
    /// use integration_automation_patterns::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// assert_eq!(RetryPolicy::DEFAULT.horizon(), Duration::from_secs(30 + 60));
    /// ```
    pub fn horizon(&self) -> Duration {
        let retries = self.max_attempts.saturating_sub(1);
        let limit = self.time_limit.unwrap_or(Duration::MAX);
        let mut sum = Duration::ZERO;
        for retry in 0..retries {
            let wait = self.wait(retry);
            // From here on every wait is the same.
            if retry > 0 && wait == self.wait(retry.saturating_sub(1))
                || matches!(self.backoff, Backoff::Fixed(_))
            {
                let left = retries.saturating_sub(retry);
                return sum.saturating_add(wait.saturating_mul(left)).min(limit);
            }
            sum = sum.saturating_add(wait);
        }
        sum.min(limit)
    }

    /// When the attempt after a failed one is due; `None` if no attempt or no time is
    /// left.
    ///
    /// `attempts` counts those made, the failed one included; `started_at` is when the
    /// event was created or last redriven. A time past the end of the calendar is the
    /// calendar's last.
    pub(crate) fn next_attempt_at(
        &self,
        event: &EventId,
        attempts: u32,
        started_at: DateTime<Utc>,
        failed_at: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        if self.is_exhausted(attempts) {
            return None;
        }
        let due = later(failed_at, self.wait_for(event, attempts.saturating_sub(1)));
        match self.time_limit {
            Some(limit) if due > later(started_at, limit) => None,
            _ => Some(due),
        }
    }
}

impl Default for RetryPolicy {
    /// [`RetryPolicy::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// `min(base * 2^times, max)`.
const fn doubled_up_to(base: Duration, times: u32, max: Duration) -> Duration {
    let mut wait = base;
    let mut left = if base.is_zero() { 0 } else { times };
    while left > 0 && wait.as_nanos() < max.as_nanos() {
        let step = if left < 31 { left } else { 31 };
        wait = wait.saturating_mul(1 << step);
        left = left.saturating_sub(step);
    }
    if wait.as_nanos() < max.as_nanos() { wait } else { max }
}

/// The first 32 bits of a digest of event and retry.
fn share(event: &EventId, retry: u32) -> u32 {
    let namespace = event.as_uuid().unwrap_or_else(|| {
        Uuid::new_v5(&EventId::NAMESPACE, event.to_string().as_bytes())
    });
    let (share, ..) = Uuid::new_v5(&namespace, retry.to_string().as_bytes()).as_fields();
    share
}

/// `whole * share / 2^32`.
fn fraction_of(whole: Duration, share: u32) -> Duration {
    let seconds = u128::from(whole.as_secs()).saturating_mul(u128::from(share));
    let nanos = u128::from(whole.subsec_nanos()).saturating_mul(u128::from(share)) >> 32;
    let below_a_second =
        ((seconds & u128::from(u32::MAX)).saturating_mul(1_000_000_000)) >> 32;
    let whole_seconds = u64::try_from(seconds >> 32).unwrap_or(u64::MAX);
    let nanos = u64::try_from(nanos.saturating_add(below_a_second)).unwrap_or(u64::MAX);
    Duration::from_secs(whole_seconds).saturating_add(Duration::from_nanos(nanos))
}

/// `moment + wait`, or the last moment of the calendar.
fn later(moment: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    let later =
        TimeDelta::from_std(wait).ok().and_then(|wait| moment.checked_add_signed(wait));
    later.unwrap_or(DateTime::<Utc>::MAX_UTC).max(moment)
}

/// A policy would allow no attempt at all.
///
/// ```
/// use integration_automation_patterns::retry::{Backoff, RetryPolicy};
/// use std::time::Duration;
///
/// let error = RetryPolicy::new(0, Backoff::Fixed(Duration::from_secs(60))).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a retry policy allows at least 1 attempt, the first one included, and this one \
///      allows 0"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroAttemptsError(());

impl fmt::Display for ZeroAttemptsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a retry policy allows at least 1 attempt, the first one included, \
             and this one allows 0",
        )
    }
}

impl std::error::Error for ZeroAttemptsError {}
