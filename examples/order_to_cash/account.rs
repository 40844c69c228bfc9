//! The account: each instance's end, who decided what, what was undone, and whether the
//! money adds up.

use std::error::Error;

use integration_automation_patterns::workflow::InstanceId;
use rusqlite::Connection;

use crate::ORDERS;
use crate::table::order_to_cash::This;

/// Prints the account.
///
/// # Errors
///
/// It does not balance.
pub(crate) fn print(
    orders: &Connection,
    systems: &Connection,
) -> Result<(), Box<dyn Error>> {
    for number in 0..ORDERS {
        let id = InstanceId::<This>::of(&format!("order {number}"))?.to_string();
        let status = "SELECT status FROM workflow_instance WHERE id = ?1";
        let status: String = orders.query_row(status, [&id], |row| row.get(0))?;
        println!("order {number:2}  {status:<10}{}", story(orders, &id)?);
    }
    let sum = |sql: &str| systems.query_row(sql, [], |row| row.get::<_, i64>(0));
    let reserved = sum("SELECT coalesce(sum(cents), 0) FROM credit")?;
    let released = sum("SELECT coalesce(sum(cents), 0) FROM credit WHERE released = 1")?;
    let created = sum("SELECT coalesce(sum(cents), 0) FROM erp_order")?;
    let invoiced = sum("SELECT coalesce(sum(cents), 0) FROM invoice")?;
    println!("\nreserved {reserved} - released {released} = created {created} cents");
    if reserved - released != created || created != invoiced {
        return Err(format!("it does not balance: invoiced are {invoiced} cents").into());
    }
    Ok(())
}

/// What happened to an instance that is worth telling: decisions, deadlines, undos.
fn story(orders: &Connection, id: &str) -> rusqlite::Result<String> {
    let sql = "SELECT what, coalesce(step, ''), by, role, reason FROM workflow_journal \
         WHERE instance = ?1 AND what NOT IN ('started', 'done', 'late') ORDER BY entry";
    let mut entries = orders.prepare(sql)?;
    let told = entries.query_map([id], |row| {
        let (what, step): (String, String) = (row.get(0)?, row.get(1)?);
        let by: Option<String> = row.get(2)?;
        let Some(by) = by else { return Ok(format!("  {step}: {what}")) };
        let (role, reason): (Option<String>, String) = (row.get(3)?, row.get(4)?);
        let role = role.unwrap_or_default();
        Ok(format!("  {step}: {what} by {by} as {role} ({reason})"))
    })?;
    told.collect()
}
