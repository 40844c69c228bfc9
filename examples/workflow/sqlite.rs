//! A SQLite file: opened read-only where nothing is decided, and never made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::workflow::sqlite::{self as workflows, Desk};
use integration_automation_patterns::workflow::{self, WorkflowDatabase};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::arguments::{Ask, Move};
use crate::company::{This, config};
use crate::database::{Database, TABLE, no_table};
use crate::moves::{NotMade, step};
use crate::work::Outcome;

pub(crate) struct File {
    path: PathBuf,
    desk: Desk,
}

impl File {
    pub(crate) fn open(path: &Path, ask: &Ask) -> Outcome<Self> {
        let found = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if found.query_row(sql, [TABLE], |_| Ok(())).optional()?.is_none() {
            return Err(no_table().into());
        }
        let desk =
            if ask.writes() { Desk::open(path) } else { Desk::open_read_only(path) };
        let desk = desk?.of::<This>().config(config());
        Ok(Self { path: path.to_owned(), desk })
    }
}

impl Database for File {
    fn desk(&self) -> &workflow::Desk<impl WorkflowDatabase> {
        &self.desk
    }

    async fn make(&self, wanted: &Move) -> Result<(), NotMade> {
        let mut connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let desk =
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = workflows::load::<This, _>(&desk, &wanted.id.clone().into())?;
        let step = step(found.ok_or(NotMade::NoneSuch)?, wanted)?;
        let stored = workflows::store(&desk, step, &config());
        stored.map_err(|refused| refused.into_cause())?;
        Ok(desk.commit()?)
    }
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

impl From<rusqlite::Error> for NotMade {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}
