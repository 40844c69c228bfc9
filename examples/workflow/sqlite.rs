//! A SQLite file: opened read-only where nothing is decided, and never made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::workflow::sqlite::{self as workflows, Desk};
use integration_automation_patterns::workflow::{self, WorkflowDatabase};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::arguments::{Ask, Move};
use crate::company::{This, config};
use crate::database::Database;
use crate::moves::{NotMade, step};
use crate::work::Outcome;

pub(crate) struct File {
    path: PathBuf,
    desk: Desk,
}

impl File {
    pub(crate) fn open(path: &Path, ask: &Ask) -> Outcome<Self> {
        let desk = if ask.writes() {
            Desk::open_existing(path)
        } else {
            Desk::open_read_only(path)
        };
        let desk = desk?.of::<This>().config(config());
        Ok(Self { path: path.to_owned(), desk })
    }
}

impl Database for File {
    fn desk(&self) -> &workflow::Desk<impl WorkflowDatabase> {
        &self.desk
    }

    async fn make(&self, wanted: &Move) -> Result<(), NotMade> {
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, access)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let desk =
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = workflows::load::<This, _>(&desk, &wanted.id.clone().into())?;
        let step = step(found.ok_or(NotMade::NoneSuch)?, wanted)?;
        let stored = workflows::store(&desk, step, &config());
        stored.map_err(|refused| refused.into_cause())?;
        Ok(desk.commit()?)
    }
}

impl From<rusqlite::Error> for NotMade {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}
