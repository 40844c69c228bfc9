//! `WorkflowConfig`: which hours count for the deadlines of a store's workflows, who has
//! which role, and where its steps are recorded.

use std::fmt;
use std::sync::Arc;

use crate::audit::AuditTrail;
use crate::workflow::{AnyAdvance, Calendar, Directory, EveryHour, Workflow};

/// What a store needs to know of the company: its calendar, its people and its audit
/// trail.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use integration_automation_patterns::workflow::{Person, WorkflowConfig};
///
/// let carl = Person::new("carl")?;
/// let people = BTreeMap::from([("controller".to_owned(), vec![carl])]);
/// let config = WorkflowConfig::default().directory(people);
/// assert!(format!("{config:?}").contains("directory: true"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct WorkflowConfig {
    calendar: Arc<dyn Calendar + Send + Sync>,
    directory: Option<Arc<dyn Directory + Send + Sync>>,
    trail: AuditTrail,
}

impl Default for WorkflowConfig {
    /// Every hour counts, every role has people, and the trail is silent.
    fn default() -> Self {
        let trail = AuditTrail::silent();
        Self { calendar: Arc::new(EveryHour), directory: None, trail }
    }
}

impl WorkflowConfig {
    /// Which hours count. A deadline is computed when the wait for it begins.
    #[must_use = "this returns the changed configuration; the original is consumed"]
    pub fn calendar(self, calendar: impl Calendar + Send + Sync + 'static) -> Self {
        Self { calendar: Arc::new(calendar), ..self }
    }

    /// Who has which role. A question whose level has too few people who may decide goes
    /// to the next level at once, and says so where there is none.
    ///
    /// The store looks into the directory while its transaction is open: keep it in
    /// memory, and read it anew beside the transactions.
    #[must_use = "this returns the changed configuration; the original is consumed"]
    pub fn directory(self, directory: impl Directory + Send + Sync + 'static) -> Self {
        Self { directory: Some(Arc::new(directory)), ..self }
    }

    /// Records every step in an audit trail, each as an event of its own: its type says
    /// where it led, such as `order_to_cash.create_order.parked`, its correlation id which
    /// instance it is, and its id is derived from the revision.
    ///
    /// Clerk and desk record a step once it is stored. One that a program or a consumer
    /// takes is recorded as it is written, in the open transaction: where that is rolled
    /// back, the journal does not have it, and taken again it has the same id.
    #[must_use = "this returns the changed configuration; the original is consumed"]
    pub fn with_audit_trail(self, trail: AuditTrail) -> Self {
        Self { trail, ..self }
    }

    pub(super) const fn trail(&self) -> &AuditTrail {
        &self.trail
    }

    pub(super) fn hours(&self) -> &dyn Calendar {
        &*self.calendar
    }

    /// The step, with its question put to the people there are.
    pub(super) fn put<W: Workflow>(&self, advance: AnyAdvance<W>) -> AnyAdvance<W> {
        match &self.directory {
            Some(directory) => advance.put_to(&**directory),
            None => advance,
        }
    }
}

impl fmt::Debug for WorkflowConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowConfig")
            .field("directory", &self.directory.is_some())
            .field("trail", &self.trail)
            .finish_non_exhaustive()
    }
}
