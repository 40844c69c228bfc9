//! The tables' migrations as plain SQL, for those whose schema belongs to another tool.

use super::schema::{Part, compatible_from};

/// What it means that the tables are there where they were to be made.
pub(super) const UNVERSIONED: &str = "the tables are there, and `integration_schema` does not say of which version: whoever made them runs \
     `Migration::script`, which says it";

/// One step of the tables of an outbox or an inbox, for whoever makes tables with a tool
/// of their own: refinery, sqlx, Flyway, or a person.
///
/// `install` and `connect` then find the tables in place, change nothing, and need no
/// right to create. Programs refuse tables that are too new for them, whoever made them.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use integration_automation_patterns::outbox::sqlite;
///
/// let mut crm = rusqlite::Connection::open_in_memory()?;
/// for migration in sqlite::migrations() {
///     // Or write it to a file of the tool's: V1__outbox.sql
///     crm.execute_batch(&migration.script())?;
/// }
/// sqlite::install(&mut crm)?; // finds all that it would make
/// let sql = "SELECT version FROM integration_schema WHERE part = 'outbox'";
/// let version: u32 = crm.query_row(sql, [], |row| row.get(0))?;
/// assert_eq!(version, sqlite::migrations().map(|one| one.version).max().unwrap());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// Whose tables it makes or changes: `outbox` or `inbox`.
    pub part: &'static str,
    /// The version of the tables after it. The first is 1; apply them in this order.
    pub version: u32,
    /// The statements, as the package has them in `src/PART/DATABASE/migrations/`.
    pub sql: &'static str,
}

impl Migration {
    /// The oldest version whose programs may use the tables after it.
    pub fn compatible_from(&self) -> u32 {
        compatible_from(self.sql)
            .and_then(|version| u32::try_from(version).ok())
            .unwrap_or(self.version)
    }

    /// All that a tool is to run, in one transaction: [`sql`](Self::sql), and the row of
    /// `integration_schema` that says which version the tables have now.
    ///
    /// In PostgreSQL run it with a search path of one schema, the tables' own:
    /// `SET search_path = crm, pg_temp`. The functions keep it.
    pub fn script(&self) -> String {
        let Self { part, version, sql } = self;
        let compatible_from = self.compatible_from();
        format!(
            "{sql}\n\
             CREATE TABLE IF NOT EXISTS integration_schema (\n    \
                 part text PRIMARY KEY,\n    \
                 version bigint NOT NULL,\n    \
                 compatible_from bigint\n);\n\
             INSERT INTO integration_schema (part, version, compatible_from)\n\
             VALUES ('{part}', {version}, {compatible_from})\n\
             ON CONFLICT (part) DO UPDATE SET\n    \
                 version = excluded.version,\n    \
                 compatible_from = excluded.compatible_from;\n"
        )
    }
}

impl Part {
    /// The migrations of this part, in their order.
    pub(crate) fn migrations(&self) -> impl Iterator<Item = Migration> + use<> {
        let part = self.name;
        let steps = self.versions.iter().zip(1..);
        steps.map(move |(sql, version)| Migration { part, version, sql })
    }
}
