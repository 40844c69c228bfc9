//! What a person sees of a run.

use std::io::{IsTerminal, Write};
use std::path::Path;

use integration_automation_patterns::broker::Lag;

use crate::deliver::Delivered;
use crate::step::{Closed, Planned};

/// Prints a line. Where nobody reads any more, the work goes on.
macro_rules! say {
    ($($line:tt)*) => { let _ = writeln!(std::io::stdout(), $($line)*); };
}

pub(crate) fn planned(planned: &Planned) {
    let Planned {
        records,
        fields,
        events: [from_crm, from_erp],
        new: [new_crm, new_erp],
        lost,
    } = planned;
    say!(
        "plan      {records} records, {fields} fields to write, {lost} edits give way to the field's owner"
    );
    say!("enqueued  crm to erp {from_crm:>4} events, {new_crm} of them new");
    say!("          erp to crm {from_erp:>4} events, {new_erp} of them new");
}

/// Why the rest was not done.
pub(crate) fn stopped(why: &str) {
    say!("{why}");
}

/// How far relay and consumer have come: one line, written over, where somebody looks at
/// it.
pub(crate) fn progress(way: &str, sent: u64, total: u64, lag: &[Lag]) {
    let mut screen = std::io::stderr();
    let behind: u64 = lag.iter().map(|lag| lag.behind).sum();
    if screen.is_terminal() && (sent < total || behind > 0) {
        let _ = write!(screen, "relaying  {way} {sent} of {total}, {behind} behind\r");
    }
}

pub(crate) fn delivered(delivered: &Delivered) {
    for (way, summary) in ["crm to erp", "erp to crm"].into_iter().zip(&delivered.relays)
    {
        say!(
            "relayed   {way} {:>4} confirmed, {} attempts, {} failed for a while, {} for good",
            summary.acknowledged,
            summary.claimed,
            summary.retrying,
            summary.failed
        );
    }
    if delivered.duplicates > 0 {
        say!("          {} came twice, and had no second effect", delivered.duplicates);
    }
    for lag in delivered.behind.iter().filter(|lag| lag.behind > 0) {
        say!("left      {lag}");
    }
    if let Some(last) = delivered.log.last() {
        say!("audit     {} changes of state, the last of them:", delivered.log.len());
        say!("          {last}");
    }
    if !delivered.dead.is_empty() {
        say!("dead      {} letters wait for a person:", delivered.dead.len());
        for letter in &delivered.dead {
            say!("          {letter}");
        }
    }
}

pub(crate) fn closed(closed: &Closed, folder: &Path) {
    let Closed { agreed, waiting, review } = closed;
    say!(
        "closed    {agreed} fields agree, {waiting} are to be written yet, {} wait for a person:",
        review.len()
    );
    for [record, field, question, crm, erp] in review.iter().take(5) {
        say!("          {record} {field}: {question} (crm {crm:?}, erp {erp:?})");
    }
    if review.len() > 5 {
        say!("          ... all of them in the table `review`");
    }
    say!("\ndatabases and audit.log in {}", folder.display());
}
