//! The inbox: a delivered event has its effect once, in the transaction that remembers it.
//!
//! The steps are types, and none can be left out:
//!
//! | step | takes | gives |
//! |---|---|---|
//! | `receive` | the caller's open transaction and a [`Delivery`] | [`Receipt::New`] with the event, or that it is a duplicate |
//! | the effect | the [`First`] | writes in its transaction |
//! | `commit` | the [`First`] | [`Committed`]: effect and memory are stored, or neither is |
//! | [`Committed::confirm`] | the proof | tells the broker |
//!
//! A crash before the commit leaves nothing, and the event comes again; one after it leaves a duplicate, which is told
//! from the first.
//!
//! A consumer is a loop until it is told to stop. An error of the broker or of the database is no end of it: no effect was
//! stored, and the event comes again.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # mod consumer {
//! use integration_automation_patterns::broker::Consumer;
//! use integration_automation_patterns::inbox::{Rules, sqlite};
//! use rusqlite::Connection;
//! use std::pin::pin;
//!
//! pub async fn consume(
//!     mut listener: impl Consumer,
//!     mut erp: Connection,
//!     rules: &Rules,
//!     stop: impl Future<Output = ()>,
//! ) {
//!     let mut stop = pin!(stop);
//!     loop {
//!         let next = tokio::select! {
//!             () = &mut stop => return,
//!             next = listener.next() => next,
//!         };
//!         let delivery = match next {
//!             Ok(Some(delivery)) => delivery,
//!             Ok(None) => return,
//!             Err(error) => {
//!                 eprintln!("{error}"); // the next call connects anew
//!                 continue;
//!             }
//!         };
//!         // SQLite blocks its thread: where that matters, do this in `spawn_blocking`.
//!         let handled = sqlite::process(&mut erp, delivery, rules, |transaction, event| {
//!             transaction.execute("INSERT INTO customer VALUES (?1)", [event.payload().bytes()])?;
//!             Ok(())
//!         });
//!         match handled {
//!             Ok(handled) => drop(handled.tell().await),
//!             Err(error) => eprintln!("{error}"),
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! # An effect that ends its process
//!
//! An effect that fails or panics is counted with its end. One that ends the process (it aborts, or overflows the stack, or
//! takes all memory) has no such end, and would come again for ever. So where the broker says that it
//! [may have delivered the event before](Delivery::is_redelivered), `process` first commits that an attempt has begun:
//! the event is kept as `retrying`, with the reason "the consumer ended before its effect did", until that attempt ends.
//! Where no attempt of the [`Rules`]' policy is left, the event is a dead letter, and its effect is not tried. A first
//! delivery costs nothing more, and is not counted unless its effect ends: such an event has its effect tried once more
//! than the policy says. What else was in its effect in that process is counted as well.
//!
//! `receive` leaves the transaction to its caller, and so can commit nothing before the effect: there, an effect that ends
//! its process is not counted.
//!
//! From time to time, `forget` removes what is older than the window of the [`Rules`].

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
#[cfg(feature = "sqlite")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::audit::{Action, AuditTrail};
use crate::broker::{Answer, Delivery, SendError};
use crate::hop::Hop;
use crate::outbox::columns::Row;
use crate::outbox::storable;
use crate::state::{Acknowledged, Failed, Processed};
use crate::{
    AfterFailure, AnyEnvelope, DeliveryStatus, Envelope, Event, Facts, Failure, FailureClass, Record, RetryPolicy,
    Untyped,
};

/// What an inbox takes in, and how long it remembers.
///
/// ```
/// use integration_automation_patterns::inbox::Rules;
/// use integration_automation_patterns::{Event, RetryPolicy};
/// use std::time::Duration;
///
/// struct LeadCreated;
/// impl Event for LeadCreated {
///     const TYPE: &'static str = "crm.lead.created";
/// }
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// let rules = Rules::new(7 * day, &RetryPolicy::DEFAULT)?.accept::<LeadCreated>();
/// assert_eq!(rules.window(), 7 * day);
///
/// let refused = Rules::new(Duration::from_secs(60), &RetryPolicy::DEFAULT).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "window > horizon of the senders' retries does not hold: 60s <= 90s (what is forgotten sooner than it is sent \
///      again has its effect twice)"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rules {
    window: Duration,
    retry_policy: RetryPolicy,
    trail: AuditTrail,
    accepted: Option<BTreeSet<(&'static str, &'static str)>>,
}

impl Rules {
    /// An inbox that remembers an event for `window`, where its senders retry as `senders` says. It takes every event in.
    ///
    /// # Errors
    ///
    /// [`WindowTooShort`], where an event could come again after it was forgotten.
    pub fn new(window: Duration, senders: &RetryPolicy) -> Result<Self, WindowTooShort> {
        let horizon = senders.horizon();
        if window <= horizon {
            return Err(WindowTooShort { window, horizon });
        }
        Ok(Self { window, retry_policy: RetryPolicy::DEFAULT, trail: AuditTrail::silent(), accepted: None })
    }

    /// Takes this kind of event in, under its schema version, and no kind that is not named so. Every other becomes a
    /// dead letter, with the reason.
    #[must_use = "this gives the changed rules back"]
    pub fn accept<E: Event>(mut self) -> Self {
        self.accepted.get_or_insert_default().insert((E::TYPE, E::SCHEMA_VERSION));
        self
    }

    /// How often an effect is tried that fails for the moment, and how long the broker is asked to wait between.
    /// [`RetryPolicy::DEFAULT`] where nothing is said.
    #[must_use = "this gives the changed rules back"]
    pub fn retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self { retry_policy, ..self }
    }

    /// Tells a trail of every change of state that this inbox makes, and of every duplicate: once it is stored.
    #[must_use = "this gives the changed rules back"]
    pub fn trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }

    /// How long an event is remembered.
    pub const fn window(&self) -> Duration {
        self.window
    }

    pub(crate) const fn policy(&self) -> RetryPolicy {
        self.retry_policy
    }

    /// Tells the trail what has become of an event.
    pub(crate) fn tell(&self, action: Action, event: &Facts<Untyped>, status: DeliveryStatus, at: DateTime<Utc>) {
        self.trail.record(action, event, status, at);
    }

    /// Tells the trail of a fault that is stored.
    pub(crate) fn tell_fault(&self, event: &AnyEnvelope, at: DateTime<Utc>) {
        tell_fault(&self.trail, event, at);
    }

    /// Why an event is not taken in, where it is not.
    pub(crate) fn refusal(&self, event: &Facts<Untyped>) -> Option<String> {
        let accepted = self.accepted.as_ref()?;
        let (found, version) = (event.event_type(), event.schema_version());
        let of_type: Vec<&str> =
            accepted.iter().filter(|(name, _)| *name == found).map(|(_, version)| *version).collect();
        if of_type.contains(&version) {
            return None;
        }
        let list = |names: Vec<&str>| names.join(", ");
        Some(if of_type.is_empty() {
            let types = list(accepted.iter().map(|(name, _)| *name).collect());
            format!("unknown event type {found:?}: this inbox takes in {types}")
        } else {
            format!("unknown schema version {version:?} of {found}: this inbox takes in {}", list(of_type))
        })
    }
}

/// An inbox was to forget events sooner than they may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowTooShort {
    window: Duration,
    horizon: Duration,
}

impl fmt::Display for WindowTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "window > horizon of the senders' retries does not hold: {:?} <= {:?} (what is forgotten sooner than it is \
             sent again has its effect twice)",
            self.window, self.horizon
        )
    }
}

impl std::error::Error for WindowTooShort {}

/// What an inbox says of a delivery.
#[must_use = "nothing has happened yet: have the effect and commit, or confirm the duplicate"]
pub enum Receipt<Tx, A> {
    /// It had no effect so far: this is the one.
    New(First<Tx, A>),
    /// Its effect is stored already, or it is among the dead letters of this inbox.
    Duplicate(Committed<A>),
    /// It is of a kind or version that the [`Rules`] do not name, or its attempts are spent: it is a dead letter now.
    Rejected(Committed<A>),
}

impl<Tx, A> fmt::Debug for Receipt<Tx, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(first) => first.fmt(f),
            Self::Duplicate(_) => f.write_str("Duplicate"),
            Self::Rejected(_) => f.write_str("Rejected"),
        }
    }
}

/// The proof that a delivery is the first of its event, with the transaction in which the effect belongs.
///
/// Dropped, it rolls back, and the event comes again.
#[must_use = "the effect is not committed: call `commit`, or `fail`, or `reject`"]
pub struct First<Tx, A> {
    pub(crate) transaction: Tx,
    /// Whether it is known to be no savepoint in another one.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "a savepoint of SQLite is a type of its own"))]
    pub(crate) outermost: bool,
    pub(crate) event: Envelope<Acknowledged>,
    pub(crate) answer: A,
    pub(crate) hop: Hop,
    pub(crate) trail: AuditTrail,
}

impl<Tx, A> First<Tx, A> {
    /// The event: this process holds it, and nothing was done yet.
    pub const fn event(&self) -> &Envelope<Acknowledged> {
        &self.event
    }

    /// The transaction in which the effect belongs.
    pub const fn transaction(&self) -> &Tx {
        &self.transaction
    }

    /// Works in the span of this event's processing (feature `tracing`), so that what it logs, and what it enqueues, is
    /// part of the trace. `process` does so by itself.
    pub fn in_span<T>(&self, effect: impl FnOnce() -> T) -> T {
        self.hop.in_scope(effect)
    }

    /// The same of an effect that waits.
    pub fn instrument<F: Future>(&self, effect: F) -> impl Future<Output = F::Output> {
        self.hop.instrument(effect)
    }
}

impl<Tx, A> fmt::Debug for First<Tx, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("First").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The proof that what became of a delivery is committed: only with it can the broker be told.
#[must_use = "the broker was not told, and delivers the event again: call `confirm`"]
pub struct Committed<A> {
    answer: A,
}

impl<A> Committed<A> {
    pub(crate) const fn new(answer: A) -> Self {
        Self { answer }
    }
}

impl<A: Answer> Committed<A> {
    /// Tells the broker that the event is dealt with.
    ///
    /// # Errors
    ///
    /// What the broker answers. Nothing is lost by it: the event comes again, as a duplicate.
    pub async fn confirm(self) -> Result<(), SendError> {
        self.answer.confirm().await
    }
}

impl<A> fmt::Debug for Committed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committed").finish_non_exhaustive()
    }
}

/// What is stored of a delivery, to tell the broker.
#[must_use = "the broker was not told: call `tell`"]
pub enum Handled<A> {
    /// The effect is committed.
    Processed(Committed<A>),
    /// It was a duplicate.
    Duplicate(Committed<A>),
    /// It is a dead letter of this inbox now.
    Dead(Committed<A>),
    /// The effect failed for the moment, which is stored, and the event shall come again after a while.
    Again(Again<A>),
}

impl<A> fmt::Debug for Handled<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processed(_) => f.write_str("Processed"),
            Self::Duplicate(_) => f.write_str("Duplicate"),
            Self::Dead(_) => f.write_str("Dead"),
            Self::Again(again) => again.fmt(f),
        }
    }
}

impl<A: Answer> Handled<A> {
    /// Tells the broker.
    ///
    /// # Errors
    ///
    /// What the broker answers. Nothing is lost by it: the event comes again.
    pub async fn tell(self) -> Result<(), SendError> {
        match self {
            Self::Processed(committed) | Self::Duplicate(committed) | Self::Dead(committed) => {
                committed.confirm().await
            }
            Self::Again(again) => again.retry().await,
        }
    }
}

/// The proof that a failed effect is on record.
#[must_use = "the broker was not told: call `retry`"]
pub struct Again<A> {
    answer: A,
    after: Duration,
}

impl<A: Answer> Again<A> {
    /// Asks the broker to deliver the event again, after the wait that the inbox's policy gives.
    ///
    /// # Errors
    ///
    /// What the broker answers. It delivers the event again anyhow, in its own time.
    pub async fn retry(self) -> Result<(), SendError> {
        self.answer.retry(self.after).await
    }
}

impl<A> Again<A> {
    pub(crate) const fn new(answer: A, after: Duration) -> Self {
        Self { answer, after }
    }

    /// How long the broker is asked to wait.
    pub const fn after(&self) -> Duration {
        self.after
    }
}

impl<A> fmt::Debug for Again<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again").field("after", &self.after).finish_non_exhaustive()
    }
}

/// Why an effect was not had. Whatever a `?` meets in an effect is taken to be for the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whether another attempt could succeed.
    pub class: FailureClass,
    /// What went wrong.
    pub reason: String,
}

impl Fault {
    /// Another attempt may succeed.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self { class: FailureClass::Transient, reason: reason.into() }
    }

    /// No attempt will.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self { class: FailureClass::Permanent, reason: reason.into() }
    }
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::transient(error.to_string())
    }
}

/// The event of a delivery, received in this process, to be retried as its rules say; and the span of its receipt.
pub(crate) fn received<A>(delivery: Delivery<A>, rules: &Rules) -> (Envelope<Acknowledged>, A, Hop) {
    let hop = Hop::receive(&delivery);
    let (event, answer) = delivery.into_parts();
    (event.with_retry_policy(rules.policy()).dispatch().acknowledge(), answer, hop)
}

/// Why an attempt failed whose end nobody saw.
const NEVER_ENDED: &str = "the consumer ended before its effect did";

/// What a delivery is whose event the inbox has met before.
pub(crate) enum Known {
    /// Another attempt, which is counted.
    Attempt(Envelope<Acknowledged>),
    /// The last attempt was its last.
    Spent(Envelope<Failed>),
    Duplicate,
}

impl Known {
    /// What the row of the event says; `begun`, where this delivery's attempt is counted in it.
    pub(crate) fn of(row: Option<Row>, rules: &Rules, begun: bool) -> Result<Self, String> {
        let Some(row) = row else { return Ok(Self::Duplicate) };
        // Between the count and the effect, another consumer may have taken this attempt for one that never ended.
        let never_ended = row.failure.as_ref().is_some_and(|failure| failure.reason == NEVER_ENDED);
        let mistaken = begun && row.status == "failed" && never_ended;
        if row.status != "retrying" && !mistaken {
            return Ok(Self::Duplicate);
        }
        let failure = row.failure.clone();
        let failure = failure.ok_or_else(|| format!("the row of {} is to say what has failed", row.id))?;
        let last = last_attempt(row, rules)?;
        if begun {
            return Ok(Self::Attempt(last));
        }
        Ok(match last.fail_at(failure.reason, failure.at) {
            AfterFailure::Retrying(event) => Self::Attempt(event.dispatch().acknowledge()),
            AfterFailure::Failed(event) => Self::Spent(event),
        })
    }
}

/// The event of a row as it was when its last attempt began.
fn last_attempt(row: Row, rules: &Rules) -> Result<Envelope<Acknowledged>, String> {
    let is_first = row.attempts <= 1 && row.redriven.is_none();
    let failure = row.failure.filter(|_| !is_first);
    let row = Row { status: DeliveryStatus::Acknowledged.as_str().to_owned(), failure, ..row };
    Ok(row.read_in::<Acknowledged>()?.with_retry_policy(rules.policy()))
}

/// What is stored of an event before an attempt, and stays where the attempt never ends.
pub(crate) fn begun(event: Record, attempts: u32, rules: &Rules, at: DateTime<Utc>) -> Row {
    let failure = Failure { class: FailureClass::Transient, reason: NEVER_ENDED.to_owned(), at };
    Row::of_record(Record {
        status: DeliveryStatus::Retrying,
        attempts,
        retry_policy: rules.policy(),
        failure: Some(failure),
        ..event
    })
}

/// The effect, whose panic is a fault too: one poison event must not end the consumer again and again.
#[cfg(feature = "sqlite")]
pub(crate) fn caught(effect: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    catch_unwind(AssertUnwindSafe(effect)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// What a panic says, as a fault.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Fault {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::transient(format!("the effect panicked: {}", said.unwrap_or("it says no more")))
}

/// Tells a trail that an effect is committed, and before it, where a person had it tried again, of that.
pub(crate) fn tell_processed(trail: &AuditTrail, event: &Envelope<Processed>) {
    tell_redriven(trail, event);
    trail.record(Action::Process, event, event.status(), Utc::now());
}

/// Tells a trail of a fault that is stored.
pub(crate) fn tell_fault(trail: &AuditTrail, event: &AnyEnvelope, at: DateTime<Utc>) {
    tell_redriven(trail, event);
    let permanent = event.failure().is_some_and(|failure| failure.class == FailureClass::Permanent);
    trail.record(if permanent { Action::Reject } else { Action::Fail }, event, event.status(), at);
}

fn tell_redriven(trail: &AuditTrail, event: &Facts<Untyped>) {
    if let Some(decision) = event.redriven().filter(|_| event.attempts() <= 1) {
        trail.record(Action::Redrive, event, DeliveryStatus::Pending, decision.at());
    }
}

/// The event as it is after a fault.
pub(crate) fn faulty(event: Envelope<Acknowledged>, fault: Fault, at: DateTime<Utc>) -> AnyEnvelope {
    match fault.class {
        FailureClass::Transient => event.fail_at(storable(fault.reason), at).into(),
        FailureClass::Permanent => event.reject_at(storable(fault.reason), at).into(),
    }
}

/// What to tell the broker of an event that failed.
pub(crate) fn handled<A>(event: &AnyEnvelope, answer: A, at: DateTime<Utc>) -> Handled<A> {
    match event {
        AnyEnvelope::Retrying(event) => {
            let after = event.next_attempt_at().signed_duration_since(at).to_std().unwrap_or_default();
            Handled::Again(Again::new(answer, after))
        }
        _ => Handled::Dead(Committed::new(answer)),
    }
}
