//! The sweep for events that are set aside although nothing blocks them: it works in
//! slices beside the claims, and holds none up.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Transaction, params};

use super::Outbox;
use super::rows::json;
use crate::outbox::blocked::stands_before;
use crate::outbox::store::OnDeadLetter;
use crate::outbox::watermark::Watermark;
use crate::store::StoreError;
use crate::store::sqlite::Shared;

const DOING: &str = "sweeping blocked events";

/// How many ordering keys are looked at in one go, and how long others have the database
/// then.
const SLICE: usize = 100;
const BETWEEN: Duration = Duration::from_millis(5);

/// An ordering key, byte for byte.
type Key = Vec<u8>;

impl Outbox {
    /// Begins a sweep where one is due: the first slice at once, and the others while
    /// claims go on.
    pub(super) async fn sweep_blocked(
        &self,
        on_dead_letter: OnDeadLetter,
    ) -> Result<(), StoreError> {
        if !self.sweeps.is_due(on_dead_letter) {
            return Ok(());
        }
        let (shared, watermark) = (self.shared.clone(), Arc::clone(&self.watermark));
        let Some(next) = slice(&shared, &watermark, on_dead_letter, None).await? else {
            return Ok(());
        };
        self.sweeps.continue_with(on_dead_letter, async move {
            let mut next = Some(next);
            while let Some(from) = next {
                tokio::time::sleep(BETWEEN).await;
                next = slice(&shared, &watermark, on_dead_letter, Some(from))
                    .await
                    .unwrap_or_default();
            }
        });
        Ok(())
    }
}

/// One slice of a sweep, after a key; says after which the next one begins.
async fn slice(
    shared: &Shared,
    watermark: &Watermark,
    on_dead_letter: OnDeadLetter,
    from: Option<Key>,
) -> Result<Option<Key>, StoreError> {
    let (found, next) = shared
        .glance(DOING, move |connection| find(connection, on_dead_letter, from))
        .await?;
    if !found.is_empty() {
        shared
            .write(DOING, move |transaction| free(transaction, on_dead_letter, &found))
            .await?;
        watermark.back_to_all();
    }
    Ok(next)
}

/// The first event that is put aside of each of some keys, where none is in its way any
/// more: plain SQL has changed it, or another relay's rule blocked its key.
fn find(
    connection: &Connection,
    on_dead_letter: OnDeadLetter,
    from: Option<Key>,
) -> rusqlite::Result<(Vec<i64>, Option<Key>)> {
    let mut next_key = connection.prepare_cached(
        "SELECT ordering_key, sequence FROM outbox_event WHERE blocked = 1 AND (?1 IS NULL OR ordering_key > ?1) \
         ORDER BY ordering_key, sequence LIMIT 1",
    )?;
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM outbox_event AS event, outbox_event AS earlier WHERE event.sequence = ?1 AND {})",
        stands_before(on_dead_letter)
    );
    let mut is_blocked = connection.prepare_cached(&sql)?;
    let (mut found, mut key) = (Vec::new(), from);
    for _ in 0..SLICE {
        let after = key.as_deref().map(|key| ToSqlOutput::Borrowed(ValueRef::Text(key)));
        let mut rows = next_key.query([after])?;
        let Some(row) = rows.next()? else { return Ok((found, None)) };
        let sequence: i64 = row.get(1)?;
        key = Some(row.get_ref(0)?.as_bytes()?.to_vec());
        drop(rows);
        if !is_blocked.query_row([sequence], |row| row.get(0))? {
            found.push(sequence);
        }
    }
    Ok((found, key))
}

/// Lets events be looked at again, if none is in their way still.
fn free(
    transaction: &Transaction<'_>,
    on_dead_letter: OnDeadLetter,
    found: &[i64],
) -> rusqlite::Result<()> {
    let sql = format!(
        "UPDATE OR FAIL outbox_event AS event SET blocked = 0 WHERE blocked = 1 \
         AND sequence IN (SELECT value FROM json_each(?1)) \
         AND NOT EXISTS (SELECT 1 FROM outbox_event AS earlier WHERE {})",
        stands_before(on_dead_letter)
    );
    transaction
        .prepare_cached(&sql)?
        .execute(params![json(found.iter().copied())])
        .map(drop)
}
