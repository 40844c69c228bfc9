//! What the administrations of both databases share: pages of a table, and findings.

use std::future::Future;

use chrono::{DateTime, Utc};

use super::Finding;
use crate::state::Failed;
use crate::store::{DeadLetter, Row, StoreError};

/// How many events are read at once on the way through a table.
pub(crate) const PAGE: usize = 500;

/// Some rows of a table, in the order of their sequence numbers.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) found: Vec<T>,
    /// The sequence number after which the next page begins, if there is one.
    pub(crate) next: Option<i64>,
}

impl<T> Page<T> {
    /// The page of these rows, which is the last one unless it is full.
    pub(crate) fn of(found: Vec<T>, sequence: impl FnOnce(&T) -> i64) -> Self {
        let next = found.last().filter(|_| found.len() >= PAGE).map(sequence);
        Self { found, next }
    }

    /// What a page says, of the rows of which it says something.
    pub(crate) fn filter_map<U>(self, read: impl FnMut(T) -> Option<U>) -> Page<U> {
        Page { found: self.found.into_iter().filter_map(read).collect(), next: self.next }
    }
}

/// All pages, each read after the one before it.
pub(crate) async fn every_page<T, F>(
    mut read: impl FnMut(i64) -> F,
) -> Result<Vec<T>, StoreError>
where
    F: Future<Output = Result<Page<T>, StoreError>>,
{
    let (mut all, mut after) = (Vec::new(), Some(0));
    while let Some(begin) = after {
        let page = read(begin).await?;
        all.extend(page.found);
        after = page.next;
    }
    Ok(all)
}

/// A dead letter's row, and when it was first sent.
#[derive(Debug)]
pub(crate) struct DeadRow {
    pub(crate) row: Row,
    pub(crate) first_sent_at: Option<DateTime<Utc>>,
}

impl DeadRow {
    /// The dead letter; `None` if the row is not a valid event, which
    /// [`unreadable`](super::Admin::unreadable) reports.
    pub(crate) fn into_dead_letter(self) -> Option<DeadLetter> {
        let (event, first_sent_at) = (self.row.read_in().ok()?, self.first_sent_at);
        Some(DeadLetter { event, first_sent_at })
    }

    /// Why it is not a valid event; `None` if it is.
    pub(crate) fn into_finding(self) -> Option<Finding> {
        let event = self.row.id.clone();
        self.row.read_in::<Failed>().err().map(|what| Finding { event, what })
    }
}

/// Entries of the history whose event is not there.
pub(crate) fn orphaned(event: i64, entries: i64) -> Finding {
    let what =
        format!("the history has {entries} entries of it, and there is no such event");
    Finding { event: format!("sequence {event}"), what }
}

/// Why a row that is not a valid event becomes a dead letter.
pub(crate) fn quarantine_reason(why: &str) -> String {
    format!("the stored row is no valid event: {why}")
}
