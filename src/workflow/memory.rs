//! `Memory`: a store in memory, for tests of a table, and the shortest text of what every
//! store does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::advance::{AnyAdvance, Recall, Written};
use super::calendar::{Calendar, EveryHour};
use super::drive::{Driven, Verdict};
use super::id::{Correlation, InstanceId};
use super::record::{InstanceRecord, RecordError};
use super::stage::Workflow;
use super::store::{Begun, JournalLine, NotStoredError, ReceiveError, Received};
use crate::envelope::Facts;
use crate::state::Pending;
use crate::{AnyEnvelope, Envelope, EventId, RawEvent, Record, Refused};

/// A store in memory. Each call is a transaction: it happens whole, or not at all.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::*;
/// use integration_automation_patterns::workflow::memory::Memory;
/// use integration_automation_patterns::workflow::{self, Begun, InstanceId, Received};
///
/// let (mut store, now) = (Memory::default(), "2026-01-05T08:00:00Z".parse()?);
/// let anna = login::seat::<Sales>("anna")?;
/// let begin = || -> Result<_, Box<dyn std::error::Error>> {
///     Ok(order_to_cash::start(InstanceId::of("order 4711")?, Order::of(900), &anna))
/// };
/// assert_eq!(store.begin(begin()?, now)?, Begun::New);
/// assert_eq!(store.begin(begin()?, now)?, Begun::AlreadyThere);
///
/// let command = store.take_commands().pop().ok_or("the first step asks")?;
/// assert_eq!(command.event_type(), "crm.credit.reserve");
/// let reply = workflow::answer(&command, "crm", &CreditReserved)?.build()?;
/// assert_eq!(store.receive::<order_to_cash::This>(&reply, now)?, Received::Moved);
/// assert_eq!(store.receive::<order_to_cash::This>(&reply, now)?, Received::Late);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Memory {
    rows: BTreeMap<EventId, InstanceRecord>,
    journal: Vec<JournalLine>,
    commands: Vec<Record>,
    calendar: Hours,
}

/// The calendar of a store.
#[derive(Clone)]
struct Hours(Arc<dyn Calendar + Send + Sync>);

impl Default for Hours {
    fn default() -> Self {
        Self(Arc::new(EveryHour))
    }
}

impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hours")
    }
}

impl Memory {
    /// The same store, whose deadlines pass by this calendar instead of [`EveryHour`].
    ///
    /// ```
    /// use chrono::{DateTime, TimeDelta, Utc};
    /// use integration_automation_patterns::workflow::Calendar;
    /// use integration_automation_patterns::workflow::memory::Memory;
    ///
    /// struct Monday;
    ///
    /// impl Calendar for Monday {
    ///     fn due(&self, from: DateTime<Utc>, _: std::time::Duration) -> DateTime<Utc> {
    ///         from + TimeDelta::days(7)
    ///     }
    /// }
    ///
    /// assert!(Memory::default().with_calendar(Monday).commands().is_empty());
    /// ```
    #[must_use = "this gives the changed store back"]
    pub fn with_calendar(
        mut self,
        calendar: impl Calendar + Send + Sync + 'static,
    ) -> Self {
        self.calendar = Hours(Arc::new(calendar));
        self
    }

    /// Begins an instance, unless it was there before.
    ///
    /// # Errors
    ///
    /// [`NotStoredError`], with the step given back.
    pub fn begin<W: Workflow>(
        &mut self,
        advance: impl Into<AnyAdvance<W>>,
        at: DateTime<Utc>,
    ) -> Result<Begun, Refused<AnyAdvance<W>, NotStoredError>> {
        let advance = advance.into();
        if self.rows.contains_key(advance.id().as_event_id()) {
            return Ok(Begun::AlreadyThere);
        }
        self.store(advance, at).map(|()| Begun::New)
    }

    /// The instance of this id.
    ///
    /// # Errors
    ///
    /// [`RecordError`], with the row given back.
    pub fn load<W: Driven>(
        &self,
        id: &InstanceId<W>,
    ) -> Result<Option<W::Any>, Refused<InstanceRecord, RecordError>> {
        self.record(id.as_event_id()).cloned().map(W::rehydrate).transpose()
    }

    /// Stores a step: the row, the journal, the commands.
    ///
    /// # Errors
    ///
    /// [`NotStoredError`], with the step given back where it has a stored form.
    pub fn store<W: Workflow>(
        &mut self,
        advance: impl Into<AnyAdvance<W>>,
        at: DateTime<Utc>,
    ) -> Result<(), Refused<AnyAdvance<W>, NotStoredError>> {
        let advance = advance.into();
        let id = advance.id();
        let found = self.record(id.as_event_id()).map_or(0, |row| row.revision);
        if let Some(cause) = self.in_the_way(&advance, found) {
            return Err(Refused::new(advance, cause));
        }
        let written = advance.write(at, &*self.calendar.0);
        let Written { record, commands, recall, entry } = match written {
            Ok(written) => written,
            Err(cause) => {
                return Err(Refused::new(advance, NotStoredError::Unwritable(cause)));
            }
        };
        if let Some(recall) = recall {
            self.commands.retain(|command| command.id != recall.command);
        }
        let (instance, revision) = (record.id.clone(), record.revision);
        self.journal.push(JournalLine { instance, revision, at, entry });
        self.commands.extend(commands.into_iter().map(Record::from));
        self.rows.insert(record.id.clone(), record);
        Ok(())
    }

    /// Why a step cannot be stored over a row of this revision, where it cannot.
    fn in_the_way<W: Workflow>(
        &self,
        advance: &AnyAdvance<W>,
        found: u64,
    ) -> Option<NotStoredError> {
        let wanted = advance.revision();
        if wanted != found {
            return Some(NotStoredError::Overtaken { wanted, found });
        }
        let Recall { command, though_sent, .. } = advance.recall()?;
        let waits = self.commands.iter().any(|waiting| waiting.id == *command);
        let is_out = !waits && !though_sent;
        is_out.then(|| NotStoredError::StillOut { command: command.clone() })
    }

    /// Takes a participant's reply to the instance that its correlation names.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`].
    pub fn receive<W: Driven>(
        &mut self,
        event: &Facts<RawEvent>,
        at: DateTime<Utc>,
    ) -> Result<Received, ReceiveError> {
        let correlation = event.correlation_id().unwrap_or_default();
        let to = correlation.parse::<Correlation>().map_err(ReceiveError::Correlation)?;
        if to.workflow() != W::NAME {
            let found = to.workflow().to_owned();
            return Err(ReceiveError::OtherWorkflow { wanted: W::NAME, found });
        }
        let id = InstanceId::<W>::stored(to.instance().clone());
        let loaded = self.load(&id).map_err(|error| error.into_cause())?;
        let Some(instance) = loaded else {
            let found = id.into_event_id();
            return Err(ReceiveError::NoSuchInstance { found });
        };
        let verdict = W::reply(instance, &to, event.payload());
        match verdict.map_err(|refused| refused.into_cause())? {
            Verdict::Moved(advance) => {
                self.store(advance, at).map_err(|refused| refused.into_cause())?;
                Ok(Received::Moved)
            }
            Verdict::Late(_, entry) => {
                let instance = to.instance().clone();
                let revision = self.record(&instance).map_or(0, |row| row.revision);
                self.journal.push(JournalLine { instance, revision, at, entry });
                Ok(Received::Late)
            }
        }
    }

    /// Runs the deadline of an instance that is due; whether it was.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`].
    pub fn run_due<W: Driven>(
        &mut self,
        id: &InstanceId<W>,
        at: DateTime<Utc>,
    ) -> Result<bool, ReceiveError> {
        let due_at = self.record(id.as_event_id()).and_then(|row| row.due_at);
        if due_at.is_none_or(|due_at| due_at > at) {
            return Ok(false);
        }
        let loaded = self.load(id).map_err(|refused| refused.into_cause())?;
        if let Some(Verdict::Moved(advance)) = loaded.map(W::due) {
            self.store(advance, at).map_err(|refused| refused.into_cause())?;
        }
        Ok(true)
    }

    /// The row of an instance.
    pub fn record(&self, id: &EventId) -> Option<&InstanceRecord> {
        self.rows.get(id)
    }

    /// The journal, in the order of the steps.
    pub fn journal(&self) -> &[JournalLine] {
        &self.journal
    }

    /// What waits to be sent.
    pub fn commands(&self) -> &[Record] {
        &self.commands
    }

    /// What waits to be sent, as a relay takes it.
    pub fn take_commands(&mut self) -> Vec<Envelope<Pending>> {
        let taken = std::mem::take(&mut self.commands).into_iter();
        let pending = |record: Record| match record.rehydrate() {
            Ok(AnyEnvelope::Pending(command)) => Some(command),
            // It was pending when it was put here.
            _ => None,
        };
        taken.filter_map(pending).collect()
    }
}
