//! The desk: what people ask of the workflows in one database, whichever it is.

mod awaited;
mod error;
mod finding;
mod found;
mod orders;
mod verify;
mod view;
mod votes;
mod waits_for;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use self::error::DeskError;
use self::finding::UnknownTables;
pub use self::finding::{Discrepancy, InstanceFinding};
pub(crate) use self::found::{
    COUNTS, CommandRow, CountRow, DEAD_REPLIES, DeadReplyRow, ENDED, Found, HISTORY, IDS,
    OLDEST, ORPHANS, PARTS, PRESENT, PastRow, PresentRow, TAKE_UP,
};
pub(crate) use self::orders::Take;
use self::orders::{Order, intervene};
pub use self::view::{InstanceHistory, InstanceView, PastEntry, StageCount};
pub use self::waits_for::{CommandState, DeadReply, LevelVotes, WaitsFor};
use super::columns::InstanceRow;
use super::journal::ByRow;
use super::stored::{GoneRow, StoredStep};
use super::{WorkflowConfig, WorkflowDatabase};
use crate::EventId;
use crate::reason::reason;
use crate::store::{StoreError, StoreErrorKind};
use crate::workflow::{Definition, Driven, InstanceRecord, Written};

pub(crate) const COUNTING: &str = "counting instances of workflows";
pub(crate) const LISTING: &str = "listing instances of workflows";
pub(crate) const LOOKING: &str = "looking at an instance of a workflow";
pub(crate) const INTERVENING: &str = "changing the wait of an instance of a workflow";
pub(crate) const TAKING_UP: &str = "taking up an instance of a workflow";
pub(crate) const PURGING: &str = "purging ended instances of workflows";
pub(crate) const VERIFYING: &str = "verifying instances of workflows";

/// How many instances are read or removed at once on the way through the table.
pub(crate) const PAGE: usize = 100;

/// An instance with its journal, as a database finds them.
pub(crate) type Whole = (Found, Vec<PastRow>);

/// What people ask of the workflows in one database: where the instances are, and what
/// each of them waits for.
///
/// It shows neither an instance's data nor what an approval has shown.
///
/// `D` is the database: `workflow::sqlite::Desk` and `workflow::postgres::Desk` name it,
/// and [`WorkflowDatabase`] is either of them.
#[must_use = "a desk does nothing before it is asked"]
pub struct Desk<D> {
    pub(super) database: D,
    tables: BTreeMap<&'static str, Table>,
    config: WorkflowConfig,
}

/// A workflow's table, whether a row is an instance of it, and what an order makes of one.
#[derive(Clone, Copy)]
pub(super) struct Table {
    definition: Definition,
    check: fn(InstanceRecord) -> Result<(), String>,
    intervene: Intervene,
}

type Intervene = fn(
    InstanceRecord,
    Order,
    &WorkflowConfig,
    DateTime<Utc>,
) -> Result<Written, DeskError>;

/// The instances of a database, as a desk finds them.
pub(crate) trait Instances {
    fn counts(&self) -> impl Future<Output = Result<Vec<CountRow>, StoreError>> + Send;

    /// The waiting instances that have not moved for so long, the oldest first.
    fn oldest(
        &self,
        than: Duration,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Found>, StoreError>> + Send;

    /// An instance with its journal.
    fn find(
        &self,
        id: &EventId,
    ) -> impl Future<Output = Result<Option<Whole>, StoreError>> + Send;

    /// The next [`PAGE`] instances after an id, in the order of their ids.
    fn page(
        &self,
        after: String,
    ) -> impl Future<Output = Result<Vec<Whole>, StoreError>> + Send;

    /// The dead letters of the inbox that reply to one of these correlations, the oldest
    /// first; none where the database has no inbox.
    fn dead_replies(
        &self,
        to: Vec<String>,
    ) -> impl Future<Output = Result<Vec<DeadReplyRow>, StoreError>> + Send;

    /// The ids of which there is a journal and no instance.
    fn orphans(&self) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Stores the step that `take` makes of an instance, or nothing.
    fn step(
        &self,
        id: &EventId,
        take: Take,
    ) -> impl Future<Output = Result<StoredStep, DeskError>> + Send;

    /// Has a clerk look at once at an instance whose turn has failed, and notes who wants
    /// it.
    fn take_up(
        &self,
        id: &EventId,
        by: ByRow,
    ) -> impl Future<Output = Result<Option<StoredStep>, StoreError>> + Send;

    /// Removes some of the instances that ended so long ago, with all that belongs to
    /// them, and says which.
    fn purge(
        &self,
        age: Duration,
        most: usize,
    ) -> impl Future<Output = Result<Vec<GoneRow>, StoreError>> + Send;
}

impl<D> Desk<D> {
    pub(super) fn new(database: D) -> Self {
        let config = WorkflowConfig::default();
        Self { database, tables: BTreeMap::new(), config }
    }

    /// What the desk needs to know of the company: the calendar and the directory of the
    /// clerk and the consumer, where it asks people, and the audit trail. The default
    /// knows none of them.
    pub fn config(self, config: WorkflowConfig) -> Self {
        Self { config, ..self }
    }

    /// Knows the table of this workflow, too. Of one whose table the desk does not know,
    /// it cannot say what an instance waits for.
    pub fn of<W: Driven>(mut self) -> Self {
        let table = Table {
            definition: W::DEFINITION,
            check: check::<W>,
            intervene: intervene::<W>,
        };
        self.tables.insert(W::NAME, table);
        self
    }
}

impl<D: WorkflowDatabase> Desk<D> {
    /// How many instances stand at each stage, in the order of workflow, status and step.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn counts(&self) -> Result<Vec<StageCount>, StoreError> {
        let rows = self.database.counts().await?;
        let counts = rows.into_iter().map(CountRow::read).collect::<Result<_, _>>();
        counts.map_err(|why| unreadable(COUNTING, why))
    }

    /// The instances that wait and have not moved for longer than `older_than`, each with
    /// what it waits for: the oldest first, no more than `most`.
    ///
    /// # Errors
    ///
    /// What the database answers. A row that is no instance is listed, with what is wrong
    /// with it ([`WaitsFor::Repair`]).
    pub async fn stuck(
        &self,
        older_than: Duration,
        most: usize,
    ) -> Result<Vec<InstanceView>, StoreError> {
        let found = self.database.oldest(older_than, most).await?;
        self.views(found, LISTING).await
    }

    /// The instances as people see them, with the dead letters that reply to them.
    async fn views(
        &self,
        found: Vec<Found>,
        doing: &'static str,
    ) -> Result<Vec<InstanceView>, StoreError> {
        let awaited = found.iter().map(|one| one.correlation(&self.tables));
        let awaited = awaited.collect::<Vec<_>>();
        let mut dead = BTreeMap::<String, Vec<DeadReply>>::new();
        let any = awaited.iter().flatten().cloned().collect::<Vec<_>>();
        if !any.is_empty() {
            for row in self.database.dead_replies(any).await? {
                dead.entry(row.correlation_id.clone()).or_default().push(row.into());
            }
        }
        let views = found.into_iter().zip(awaited).map(|(found, awaited)| {
            let view = found.view(&self.tables, self.config.hours())?;
            let dead_replies = awaited.and_then(|awaited| dead.remove(&awaited));
            Ok(InstanceView { dead_replies: dead_replies.unwrap_or_default(), ..view })
        });
        views.collect::<Result<_, _>>().map_err(|why| unreadable(doing, why))
    }

    /// The instances that wait and whose row cannot be led into its table, each with why
    /// ([`WaitsFor::Repair`]): no reply and no deadline moves them before somebody repairs
    /// the row, or runs the program that knows it. No more than `most`.
    ///
    /// It reads every row, and so ask seldom, as after a new version.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn unreadable(&self, most: usize) -> Result<Vec<InstanceView>, StoreError> {
        let (mut listed, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.database.page(after.clone()).await?;
            let is_last = page.len() < PAGE;
            for (found, _) in page {
                after.clone_from(&found.rows.instance.id);
                let view = found.view(&self.tables, self.config.hours());
                let view = view.map_err(|why| unreadable(LISTING, why))?;
                if matches!(view.waits_for, WaitsFor::Repair { .. }) {
                    listed.push(view);
                }
            }
            if is_last || listed.len() >= most {
                listed.truncate(most);
                return Ok(listed);
            }
        }
    }

    /// One instance with its journal; nothing where there is none of this id.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn look(
        &self,
        id: &EventId,
    ) -> Result<Option<InstanceHistory>, StoreError> {
        let Some((found, past)) = self.database.find(id).await? else { return Ok(None) };
        let journal = past.into_iter().map(PastRow::read).collect::<Result<_, _>>();
        let journal = journal.map_err(|why| unreadable(LOOKING, why))?;
        let instance = self.views(vec![found], LOOKING).await?.pop();
        Ok(instance.map(|instance| InstanceHistory { instance, journal }))
    }

    /// Checks rows, journals, votes and outbox: every row can be led into its table,
    /// every entry is a move that the table has, every row stands where its journal
    /// leads, with the votes and the amendments that it says, and the command that an
    /// instance waits for is the one in the outbox, and is sent. Where the list is empty,
    /// nothing is wrong.
    ///
    /// A command that the outbox does not have has left, and was purged. Of an instance
    /// that went over to a newer version of its table, earlier votes are not compared.
    ///
    /// It reads in pages, each at a moment of its own. Of a workflow whose table the desk
    /// does not know, only rows and journals are compared, and one finding says so
    /// ([`UnknownTable`](Discrepancy::UnknownTable)).
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn verify(&self) -> Result<Vec<InstanceFinding>, StoreError> {
        let (mut findings, mut after) = (Vec::new(), String::new());
        let mut unknown = UnknownTables::default();
        loop {
            let page = self.database.page(after.clone()).await?;
            let is_last = page.len() < PAGE;
            for (found, past) in page {
                let InstanceRow { id, workflow, .. } = &found.rows.instance;
                after.clone_from(id);
                if !self.tables.contains_key(workflow.as_str()) {
                    unknown.count(workflow, id);
                }
                let amiss = self.verify_one(&found, past);
                findings.extend(
                    amiss
                        .into_iter()
                        .map(|what| InstanceFinding { instance: id.clone(), what }),
                );
            }
            if is_last {
                break;
            }
        }
        findings.extend(unknown.findings());
        let orphans = self.database.orphans().await?;
        findings.extend(
            orphans
                .into_iter()
                .map(|instance| InstanceFinding { instance, what: Discrepancy::NoRow }),
        );
        Ok(findings)
    }

    fn verify_one(&self, found: &Found, past: Vec<PastRow>) -> Vec<Discrepancy> {
        let table = self.tables.get(found.rows.instance.workflow.as_str());
        match past.into_iter().map(PastRow::read).collect::<Result<Vec<_>, _>>() {
            Ok(journal) => verify::verify(found, &journal, table),
            Err(reason) => vec![Discrepancy::Unreadable { reason }],
        }
    }
}

fn unreadable(doing: &'static str, why: String) -> StoreError {
    StoreError::of(StoreErrorKind::Unreadable, doing, why)
}

/// Whether a record can be led into the table. What the program's own code does wrong as
/// it reads the data is said of this record alone.
fn check<W: Driven>(record: InstanceRecord) -> Result<(), String> {
    let checked = catch_unwind(AssertUnwindSafe(|| match W::rehydrate(record) {
        Ok(_) => Ok(()),
        Err(refused) => Err(reason(refused.cause())),
    }));
    checked.unwrap_or_else(|_| Err("the code that reads the data panicked".to_owned()))
}

impl<D: fmt::Debug> fmt::Debug for Desk<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("database", &self.database)
            .field("workflows", &self.tables.keys())
            .finish()
    }
}
