//! Reading one system's row as another's snapshot
//@ code: E0277
//@ error: a row of SQLite is not read into `Snapshot<Crm>`
//@ label: wanted the `Snapshot` of a boundary, for the system of the row, with fields that are `FromSql`
//@ twin: Crm => Erp

use integration_automation_patterns::sync::sqlite::SystemRow;
use ui::{Crm, Erp, contact};

pub fn read(row: &SystemRow<'_, Erp>) -> rusqlite::Result<()> {
    let _ = row.read::<contact::Snapshot<Crm>>()?; //@ here
    Ok(())
}
