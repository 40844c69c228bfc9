//! What a person sees of a run.

use std::io::{IsTerminal, Write};
use std::path::Path;

use integration_automation_patterns::broker::Lag;
use integration_automation_patterns::sync::{Review, Shown};

use crate::Outcome;
use crate::answer::Answered;
use crate::database::field_of;
use crate::deliver::Delivered;
use crate::step::{Closed, Planned};

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

pub(crate) fn closed(closed: &Closed, tables: &str, folder: &Path) {
    let Closed { agreed, waiting, left, review } = closed;
    if *left > 0 {
        say!("left      {left} fields are different, as a person decided");
    }
    say!(
        "closed    {agreed} fields agree, {waiting} are to be written yet, {} wait for a person:",
        review.len()
    );
    for row in review.iter().take(5) {
        say!("          {}", question(row));
    }
    if review.len() > 5 {
        say!("          ... `sync_crm_erp questions` shows all of them");
    }
    say!("\ntables in {tables}, audit.log in {}", folder.display());
}

/// All that waits for a person.
pub(crate) fn questions(review: &[Review<String>]) {
    for row in review {
        say!("{}", question(row));
    }
    say!("{} questions", review.len());
}

/// What came of a person's answers; an error where one did not fit any more.
pub(crate) fn answered(answered: &Answered) -> Outcome<()> {
    let Answered { carried_out, not } = answered;
    say!("answered  {carried_out}; the next run tells the ERP");
    match not.as_slice() {
        [] => Ok(()),
        _ => {
            Err(format!("not answered, {} of them:\n{}", not.len(), not.join("\n"))
                .into())
        }
    }
}

/// A question in one line, with what each system shows, and refuses.
fn question(row: &Review<String>) -> String {
    let side = |side: &Shown<String>| {
        let shown = match (&side.value, &row.field) {
            (_, None) => "has it".to_owned(),
            (Some(value), _) => format!("{value:?}"),
            (None, _) => "empty".to_owned(),
        };
        let refused = side.refused.iter().map(|why| format!(", refuses: {why}"));
        format!("{} {shown}{}", side.system, refused.collect::<String>())
    };
    let sides = row.sides.iter().map(side).collect::<Vec<_>>().join("; ");
    format!("{} {}: {} ({sides})", row.record_id, field_of(row), row.question)
}
