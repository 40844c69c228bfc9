//! The account: each instance's end, who decided what, what was undone, and whether money
//! and stock add up.

use integration_automation_patterns::workflow::{InstanceHistory, PastEntry};

use crate::database::Database;
use crate::{Outcome, key};

/// Prints the account.
///
/// # Errors
///
/// It does not balance, an instance has no end, or something is wrong with the books.
pub(crate) async fn print(database: &impl Database, orders: u32) -> Outcome<()> {
    for number in 0..orders {
        let found = database.look(&key(number)?).await?;
        let found = found.ok_or_else(|| format!("order {number} was never begun"))?;
        let status = found.instance.status;
        println!("order {number:2}  {:<10}{}", status.as_str(), story(&found));
        if !status.is_end() {
            return Err(format!("order {number} has no end").into());
        }
    }
    let sum = async |sql| database.number(sql).await;
    let reserved = sum("SELECT CAST(coalesce(sum(total), 0) AS bigint) FROM credit");
    let released = sum("SELECT CAST(coalesce(sum(total), 0) AS bigint) FROM credit
        WHERE released");
    let created = sum("SELECT CAST(coalesce(sum(total), 0) AS bigint) FROM erp_order");
    let invoiced = sum("SELECT CAST(coalesce(sum(total), 0) AS bigint) FROM invoice");
    let held = sum("SELECT count(*) FROM stock WHERE NOT freed");
    let ordered = sum("SELECT count(*) FROM erp_order");
    let (reserved, released, created) =
        (reserved.await?, released.await?, created.await?);
    let (invoiced, held, ordered) = (invoiced.await?, held.await?, ordered.await?);
    println!("\nreserved {reserved} - released {released} = created {created} euros");
    if reserved - released != created || created != invoiced || held != ordered {
        let found = format!("invoiced are {invoiced} euros, held is stock of {held}");
        return Err(format!("it does not balance: {found}, of {ordered} orders").into());
    }
    match database.findings().await?.as_slice() {
        [] => Ok(()),
        findings => Err(findings.join("\n").into()),
    }
}

/// What happened to an instance that is worth telling: decisions, deadlines, undos.
fn story(found: &InstanceHistory) -> String {
    let is_routine =
        |entry: &&PastEntry| ["started", "done", "late"].contains(&entry.what.as_str());
    let entries = found.journal.iter().filter(|entry| !is_routine(entry));
    let told = entries.map(|entry| {
        let (step, what) = (entry.step.as_deref().unwrap_or_default(), &entry.what);
        let Some(by) = &entry.by else { return format!("  {step}: {what}") };
        let role = entry.role.as_deref().unwrap_or_default();
        let reason = entry.reason.as_deref().unwrap_or_default();
        format!("  {step}: {what} by {by} as {role} ({reason})")
    });
    told.collect()
}
