//! `AuditTrail`: the one way to record changes of state, which never stops a change.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::record::{Action, AuditRecord};
use crate::envelope::{AfterFailure, AnyEnvelope, Envelope, FailureClass, Payload};
use crate::state::State;
use crate::{Decision, DeliveryStatus, Facts};

/// Where records of changes go: a log, a table, a test.
///
/// Any thread may call it, in the midst of delivery. Where it fails or panics, delivery
/// goes on; see [`AuditTrail`].
pub trait Observer: Send + Sync {
    /// Takes one record.
    ///
    /// # Errors
    ///
    /// Why it could not.
    fn observe(&self, record: &AuditRecord) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl<F> Observer for F
where
    F: Fn(&AuditRecord) -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync,
{
    fn observe(&self, record: &AuditRecord) -> Result<(), Box<dyn Error + Send + Sync>> {
        self(record)
    }
}

/// Passes a record of every change that one program makes to one observer: a handle,
/// cheap to clone.
///
/// A broken observer never breaks delivery: [`record`](Self::record) cannot fail. The
/// trail reports the first record that the observer fails to take on standard error (or
/// as [`with_report`](Self::with_report) says), and counts all of them in
/// [`lost`](Self::lost).
///
/// ```
/// use integration_automation_patterns::audit::{AuditRecord, AuditTrail, Lines};
/// use integration_automation_patterns::{DeliveryStatus, Envelope, RawEvent};
/// use std::sync::Arc;
///
/// let log = Arc::new(Lines::new(Vec::new()));
/// let trail = AuditTrail::new("importer", log.clone());
///
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// let sent = trail.step(event, Envelope::dispatch);
/// let dead = trail.step(sent, |event| event.reject("no such account"));
/// assert_eq!(dead.status(), DeliveryStatus::Failed);
///
/// drop(trail);
/// let log = Arc::into_inner(log).ok_or("nobody else holds it")?.into_inner();
/// let log = String::from_utf8(log)?;
/// let records =
///     log.lines().map(AuditRecord::parse).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(
///     records.iter().map(|record| record.action.as_str()).collect::<Vec<_>>(),
///     ["dispatch", "reject"]
/// );
/// assert_eq!(records[1].failure, dead.failure().cloned());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "audit log")]
#[derive(Clone, Default)]
pub struct AuditTrail(Option<Arc<Inner>>);

struct Inner {
    system: String,
    observer: Arc<dyn Observer>,
    report: Box<dyn Fn(&str) + Send + Sync>,
    lost: AtomicU64,
}

impl AuditTrail {
    /// A trail without an observer, which costs nothing.
    pub const fn silent() -> Self {
        Self(None)
    }

    /// The trail of a program, by its own name for itself, such as `relay-1`.
    pub fn new(system: impl Into<String>, observer: Arc<dyn Observer>) -> Self {
        // Not `eprintln!`, which panics where standard error is closed.
        Self::with_report(system, observer, |broken| {
            drop(writeln!(std::io::stderr(), "{broken}"))
        })
    }

    /// The trail of a program, which calls `report` once where its observer is broken.
    ///
    /// ```
    /// use integration_automation_patterns::audit::{Action, AuditRecord, AuditTrail};
    /// use integration_automation_patterns::{Envelope, RawEvent};
    /// use std::sync::{Arc, mpsc};
    ///
    /// let (reports, reported) = mpsc::channel();
    /// let full = Arc::new(|_: &AuditRecord| Err("the disk is full".into()));
    /// let trail = AuditTrail::with_report("relay-1", full, move |broken| {
    ///     drop(reports.send(broken.to_owned()));
    /// });
    ///
    /// let lead = RawEvent::new("crm.lead.created", b"{}");
    /// let event = Envelope::builder("crm", lead).build()?;
    /// let done = trail.step(trail.step(event, Envelope::dispatch), Envelope::process);
    /// assert_eq!((done.attempts(), trail.lost()), (1, 2));
    /// drop(trail);
    /// let reported = reported.iter().collect::<Vec<_>>();
    /// assert_eq!(
    ///     reported,
    ///     ["the audit trail of relay-1 is broken, and delivery goes on without it: \
    ///       the disk is full"]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_report(
        system: impl Into<String>,
        observer: Arc<dyn Observer>,
        report: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let inner = Inner {
            system: system.into(),
            observer,
            report: Box::new(report),
            lost: AtomicU64::new(0),
        };
        Self(Some(Arc::new(inner)))
    }

    /// Records one change: what was done, and the event's facts and status after it.
    pub fn record<P: Payload>(
        &self,
        action: Action,
        event: &Facts<P>,
        status: DeliveryStatus,
        at: DateTime<Utc>,
    ) {
        self.record_with(|system| AuditRecord::of(system, action, event, status, at));
    }

    /// Records a person's answer to a question about an event, which leaves its state as
    /// it is.
    pub fn record_decision<P: Payload>(
        &self,
        event: &Facts<P>,
        status: DeliveryStatus,
        decision: &Decision,
    ) {
        self.record_with(|system| AuditRecord {
            decision: Some(decision.clone()),
            ..AuditRecord::of(system, Action::Decide, event, status, decision.at())
        });
    }

    /// Records a change that has no envelope, such as one made in a database. A
    /// silent trail does not call `record`; others pass it the name of the program.
    pub fn record_with(&self, record: impl FnOnce(&str) -> AuditRecord) {
        if let Some(inner) = &self.0 {
            inner.pass(&record(&inner.system));
        }
    }

    /// Takes a step and records it, where the state has changed. Give it one verb at a
    /// time: of two steps in one closure it records only where they led.
    ///
    /// The twin that takes the time is [`step_at`](Self::step_at).
    pub fn step<E: Tracked, N: Tracked>(
        &self,
        envelope: E,
        verb: impl FnOnce(E) -> N,
    ) -> N {
        self.step_at(envelope, verb, Utc::now())
    }

    /// Takes a step and records it as of a given time.
    ///
    /// ```
    /// use integration_automation_patterns::audit::AuditTrail;
    /// use integration_automation_patterns::{AfterFailure, Envelope, RawEvent};
    ///
    /// let trail = AuditTrail::silent();
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let at = event.created_at();
    /// let sent = trail.step_at(event, Envelope::dispatch, at);
    /// let after = trail.step_at(sent, |event| event.fail_at("timeout", at), at);
    /// assert!(matches!(after, AfterFailure::Retrying(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn step_at<E: Tracked, N: Tracked>(
        &self,
        envelope: E,
        verb: impl FnOnce(E) -> N,
        at: DateTime<Utc>,
    ) -> N {
        let before = envelope.tracked().1;
        let after = verb(envelope);
        let (facts, status) = after.tracked();
        if before != status {
            self.record(action(before, facts, status), facts, status, at);
        }
        after
    }

    /// How many records the observer has failed to take.
    pub fn lost(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.lost.load(Ordering::Relaxed))
    }
}

impl Inner {
    fn pass(&self, record: &AuditRecord) {
        let taken = catch_unwind(AssertUnwindSafe(|| self.observer.observe(record)));
        let Some(error) = taken.map_or_else(|_| Some("it panicked".into()), Result::err)
        else {
            return;
        };
        if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            let system = &self.system;
            let report = format!(
                "the audit trail of {system} is broken, and delivery goes on without it: \
                 {error}"
            );
            let _ = catch_unwind(AssertUnwindSafe(|| (self.report)(&report)));
        }
    }
}

impl fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = self.0.as_ref().map(|inner| &inner.system);
        f.debug_struct("AuditTrail")
            .field("system", &system)
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

/// What was done, by the states before and after: no two verbs lead from one state to the
/// same other.
fn action<P: Payload>(
    before: DeliveryStatus,
    event: &Facts<P>,
    after: DeliveryStatus,
) -> Action {
    let class = event.failure().map(|failure| failure.class);
    match (before, after) {
        (_, DeliveryStatus::Pending) => Action::Redrive,
        (_, DeliveryStatus::Dispatched) => Action::Dispatch,
        (_, DeliveryStatus::Acknowledged) => Action::Acknowledge,
        (_, DeliveryStatus::Processed) => Action::Process,
        (_, DeliveryStatus::Failed) if class == Some(FailureClass::Permanent) => {
            Action::Reject
        }
        (_, DeliveryStatus::Retrying | DeliveryStatus::Failed) => Action::Fail,
        (DeliveryStatus::Failed, DeliveryStatus::Skipped) => Action::Discard,
        (_, DeliveryStatus::Skipped) => Action::Skip,
    }
}

/// What has facts and a status: an envelope, typed or erased, or what follows a failure.
/// Nothing else implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no delivery status that could be recorded",
    label = "a step leads from an envelope to an envelope, or to what follows a failure"
)]
pub trait Tracked: sealed::Tracked {}

#[diagnostic::do_not_recommend]
impl<T: sealed::Tracked> Tracked for T {}

mod sealed {
    use super::{
        AfterFailure, AnyEnvelope, DeliveryStatus, Envelope, Facts, Payload, State,
    };

    pub trait Tracked {
        type Payload: Payload;

        fn tracked(&self) -> (&Facts<Self::Payload>, DeliveryStatus);
    }

    impl<S: State, P: Payload> Tracked for Envelope<S, P> {
        type Payload = P;

        fn tracked(&self) -> (&Facts<P>, DeliveryStatus) {
            (self, S::STATUS)
        }
    }

    impl<P: Payload> Tracked for AnyEnvelope<P> {
        type Payload = P;

        fn tracked(&self) -> (&Facts<P>, DeliveryStatus) {
            (self, self.status())
        }
    }

    impl<P: Payload> Tracked for AfterFailure<P> {
        type Payload = P;

        fn tracked(&self) -> (&Facts<P>, DeliveryStatus) {
            match self {
                Self::Retrying(envelope) => envelope.tracked(),
                Self::Failed(envelope) => envelope.tracked(),
            }
        }
    }
}
