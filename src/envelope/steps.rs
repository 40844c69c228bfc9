//! The steps of an envelope: one verb for each, there where the lifecycle has it; and
//! `AfterFailure`, where a failed attempt has led.

use chrono::{DateTime, Utc};

use super::facts::SKIP_REASON;
use super::history::to_micros;
use super::state::{
    Acknowledged, DeliveryStatus, Dispatched, Failed, Pending, Person, Processed,
    Retrying, Skipped, State, Step,
};
use super::{Decision, Envelope, Failure, FailureClass, Payload, RawEvent};

impl<S: State, P: Payload> Envelope<S, P> {
    /// Counts an attempt, and takes the envelope to `Dispatched`.
    ///
    /// Call it, and store the result, before the send: then a crash in mid-send costs an
    /// attempt, and cannot send forever.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let sent = event.dispatch();
    /// assert_eq!(sent.attempts(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn dispatch(mut self) -> Envelope<Dispatched, P>
    where
        S: Step<Dispatched>,
    {
        self.facts.attempts = self.facts.attempts.saturating_add(1);
        self.step()
    }

    /// The receiver confirms that it holds the event. Not required before
    /// [`process`](Self::process).
    ///
    /// ```
    /// use integration_automation_patterns::{DeliveryStatus, Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert_eq!(event.dispatch().acknowledge().status(), DeliveryStatus::Acknowledged);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn acknowledge(self) -> Envelope<Acknowledged, P>
    where
        S: Step<Acknowledged>,
    {
        self.step()
    }

    /// The receiver has done what the event asks for.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert!(event.dispatch().process().status().is_terminal());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn process(self) -> Envelope<Processed, P>
    where
        S: Step<Processed>,
    {
        self.step()
    }

    /// The attempt has failed now, and another might succeed.
    ///
    /// The twin that takes the time is [`fail_at`](Self::fail_at).
    ///
    /// ```
    /// use integration_automation_patterns::{AfterFailure, Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert!(matches!(
    ///     event.dispatch().fail("connection reset"),
    ///     AfterFailure::Retrying(_)
    /// ));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn fail(self, reason: impl Into<String>) -> AfterFailure<P>
    where
        S: Step<Retrying>,
    {
        self.fail_at(reason, Utc::now())
    }

    /// The attempt has failed at a given time, and another might succeed: retrying while
    /// the [policy](crate::Facts::retry_policy) allows it, else failed.
    ///
    /// ```
    /// use chrono::TimeDelta;
    /// use integration_automation_patterns::{AfterFailure, Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let failed_at = event.created_at();
    /// match event.dispatch().fail_at("connection reset", failed_at) {
    ///     AfterFailure::Retrying(event) => {
    ///         assert_eq!(event.next_attempt_at(), failed_at + TimeDelta::seconds(30));
    ///     }
    ///     AfterFailure::Failed(dead) => {
    ///         panic!("one of three attempts is used, not {}", dead.attempts())
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail_at(
        mut self,
        reason: impl Into<String>,
        at: DateTime<Utc>,
    ) -> AfterFailure<P>
    where
        S: Step<Retrying>,
    {
        let at = self.record_failure(FailureClass::Transient, reason.into(), at);
        match self.facts.next_attempt_after(at) {
            Some(_) => AfterFailure::Retrying(self.step()),
            // Every state with a step to `Retrying` has one to `Failed`. The bound names
            // the first alone, so that one mistake is one error.
            None => AfterFailure::Failed(self.become_state()),
        }
    }

    /// The attempt has failed now, and no other can succeed.
    ///
    /// The twin that takes the time is [`reject_at`](Self::reject_at).
    ///
    /// ```
    /// use integration_automation_patterns::{DeliveryStatus, Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert_eq!(
    ///     event.dispatch().reject("unknown schema version 9").status(),
    ///     DeliveryStatus::Failed
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn reject(self, reason: impl Into<String>) -> Envelope<Failed, P>
    where
        S: Step<Failed>,
    {
        self.reject_at(reason, Utc::now())
    }

    /// The attempt has failed at a given time, and no other can succeed, whatever the
    /// budget.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let created_at = event.created_at();
    /// let dead = event.dispatch().reject_at("unknown schema version 9", created_at);
    /// assert_eq!(dead.failure().map(|failure| failure.at), Some(created_at));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reject_at(
        mut self,
        reason: impl Into<String>,
        at: DateTime<Utc>,
    ) -> Envelope<Failed, P>
    where
        S: Step<Failed>,
    {
        self.record_failure(FailureClass::Permanent, reason.into(), at);
        self.step()
    }

    /// Leaves the event out on purpose: a duplicate, an event out of date. The reason is
    /// kept under the tag `skip_reason`; an empty one leaves the tags alone.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert_eq!(event.skip("duplicate").tags()["skip_reason"], "duplicate");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn skip(mut self, reason: impl Into<String>) -> Envelope<Skipped, P>
    where
        S: Step<Skipped>,
    {
        let reason = reason.into();
        if !reason.is_empty() {
            self.facts.extras_mut().tags.insert(SKIP_REASON.to_owned(), reason);
        }
        self.step()
    }

    /// Gives a dead letter a new budget of attempts and time, under the same id, as
    /// somebody decided.
    ///
    /// ```
    /// use integration_automation_patterns::{Decision, Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let dead = event.dispatch().reject("no such account");
    /// let again = dead.redrive(Decision::new("on-call", "the account exists now")?);
    /// assert_eq!(again.attempts(), 0);
    /// assert_eq!(again.redriven().map(Decision::by), Some("on-call"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "replay")]
    pub fn redrive(mut self, decision: Decision) -> Envelope<Pending, P>
    where
        S: Step<Pending, Person>,
    {
        self.facts.attempts = 0;
        self.facts.extras_mut().redriven = Some(decision);
        self.step()
    }

    /// Gives a dead letter up, as somebody decided. The reason is also kept under the tag
    /// `skip_reason`.
    ///
    /// ```
    /// use integration_automation_patterns::{Decision, Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let dead = event.dispatch().reject("no such account");
    /// let gone = dead.discard(Decision::new("on-call", "a test record")?);
    /// assert_eq!(gone.discarded().map(Decision::reason), Some("a test record"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn discard(mut self, decision: Decision) -> Envelope<Skipped, P>
    where
        S: Step<Skipped, Person>,
    {
        let extras = self.facts.extras_mut();
        extras.tags.insert(SKIP_REASON.to_owned(), decision.reason().to_owned());
        extras.discarded = Some(decision);
        self.step()
    }

    /// When the next attempt is due: a pending event at once, a retrying one after its
    /// wait.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert_eq!(event.next_attempt_at(), event.created_at());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_attempt_at(&self) -> DateTime<Utc>
    where
        S: Step<Dispatched>,
    {
        let waits = S::STATUS == DeliveryStatus::Retrying;
        let failure = self.failure().filter(|_| waits);
        let due = failure.and_then(|failure| self.facts.next_attempt_after(failure.at));
        due.unwrap_or_else(|| self.facts.started_at())
    }

    fn record_failure(
        &mut self,
        class: FailureClass,
        reason: String,
        at: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let at = to_micros(at);
        self.facts.extras_mut().failure = Some(Failure { class, reason, at });
        at
    }
}

/// Where a transient failure has led: another attempt, or the end of the budget. There is
/// no third way, so that a match needs no `_`.
///
/// ```
/// use integration_automation_patterns::retry::{Backoff, RetryPolicy};
/// use integration_automation_patterns::{AfterFailure, Envelope, RawEvent};
/// use std::time::Duration;
///
/// let once = RetryPolicy::new(1, Backoff::Fixed(Duration::ZERO))?;
/// let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
///     .retry_policy(once)
///     .build()?;
/// assert!(matches!(
///     event.dispatch().fail("connection reset"),
///     AfterFailure::Failed(_)
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a failed attempt is either retried or a dead letter: match on both, or store it as an `AnyEnvelope`"]
pub enum AfterFailure<P: Payload = RawEvent> {
    /// The budget allows another attempt, due at [`Envelope::next_attempt_at`].
    Retrying(Envelope<Retrying, P>),
    /// The budget is spent.
    Failed(Envelope<Failed, P>),
}

impl<P: Payload> AfterFailure<P> {
    /// For a program that forgets to `match`: it never compiles, and says so.
    #[doc(hidden)]
    pub fn dispatch(self) -> Envelope<Dispatched, P>
    where
        Self: Matched,
    {
        self.never()
    }

    /// As [`dispatch`](Self::dispatch).
    #[doc(hidden)]
    pub fn skip(self, _: impl Into<String>) -> Envelope<Skipped, P>
    where
        Self: Matched,
    {
        self.never()
    }

    /// As [`dispatch`](Self::dispatch).
    #[doc(hidden)]
    pub fn redrive(self, _: Decision) -> Envelope<Pending, P>
    where
        Self: Matched,
    {
        self.never()
    }
}

/// What is either retried or a dead letter. [`AfterFailure`] is not yet: its verbs have this
/// bound for the words of the error.
#[diagnostic::on_unimplemented(
    message = "a failed event is retried, or a dead letter: what comes next depends on which",
    label = "`match` on it first: dispatch `Retrying(event)`, store `Failed(dead)` for a person"
)]
pub trait Matched {
    #[doc(hidden)]
    fn never<T>(self) -> T;
}
