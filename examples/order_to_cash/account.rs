//! The account: each instance's end, who decided what, what was undone, and whether money,
//! stock and the completed orders add up.

use integration_automation_patterns::outbox::{Admin, Filter};
use integration_automation_patterns::workflow::{
    InstanceHistory, PastEntry, StageCount, Status,
};

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
        say!("order {number:2}  {:<10}{}", status.as_str(), story(&found));
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
    let billed = sum("SELECT count(*) FROM invoice");
    let (reserved, released, created) =
        (reserved.await?, released.await?, created.await?);
    let (invoiced, held) = (invoiced.await?, held.await?);
    let (ordered, billed) = (ordered.await?, billed.await?);
    say!("\nreserved {reserved} - released {released} = created {created} euros");
    if reserved - released != created || created != invoiced || held != ordered {
        let found = format!("invoiced are {invoiced} euros, held is stock of {held}");
        return Err(format!("it does not balance: {found}, of {ordered} orders").into());
    }
    let counts = database.counts().await?;
    let is_completed = |count: &&StageCount| count.status == Status::Completed;
    let completed: u64 =
        counts.iter().filter(is_completed).map(|count| count.instances).sum();
    if [ordered, billed].map(i64::cast_unsigned) != [completed; 2] {
        let found = format!("the ERP has {ordered} of them, and billing {billed}");
        return Err(format!("{completed} orders are completed; {found}").into());
    }
    let mut findings = database.findings().await?;
    for outbox in database.outboxes().await? {
        let dead = outbox.dead_letters(&Filter::default(), usize::MAX).await?;
        findings.extend(dead.iter().map(|letter| format!("{:?}", letter.event)));
    }
    match findings.as_slice() {
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
