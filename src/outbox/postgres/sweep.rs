//! Events that are put aside with nothing in their way, found in slices beside the
//! claims: nobody waits for a round.

use std::time::Instant;

use tokio::time::sleep;

use super::super::watermark::Watermark;
use super::super::{OnDeadLetter, StoreError};
use super::Outbox;
use super::rows::free_forgotten_sql;
use crate::store::postgres::{Pool, maybe_at, within};

const DOING: &str = "looking for forgotten events";

/// How many ordering keys are looked at in one transaction.
const SLICE: i64 = 200;

/// How much longer than a slice the pause after it is.
const PAUSE: u32 = 4;

impl Outbox {
    /// Begins a round where one is due: the first slice at once, and the others while
    /// claims go on.
    pub(super) async fn free_forgotten(
        &self,
        on_dead_letter: OnDeadLetter,
    ) -> Result<(), StoreError> {
        if !self.sweeps.are_due(on_dead_letter) {
            return Ok(());
        }
        let sql = free_forgotten_sql(on_dead_letter);
        let (pool, watermark) = (self.pool.clone(), self.watermark.clone());
        let mut began = Instant::now();
        let mut next = slice(&pool, &watermark, &sql, "").await?;
        if next.is_none() {
            return Ok(());
        }
        self.sweeps.go_on(on_dead_letter, async move {
            while let Some(after) = next {
                sleep(began.elapsed().saturating_mul(PAUSE)).await;
                began = Instant::now();
                next = slice(&pool, &watermark, &sql, &after).await.unwrap_or_default();
            }
        });
        Ok(())
    }
}

/// Looks at some keys, and says after which the next slice begins.
async fn slice(
    pool: &Pool,
    watermark: &Watermark,
    sql: &str,
    after: &str,
) -> Result<Option<String>, StoreError> {
    within(DOING, async {
        let mut held = pool.hold(DOING).await?;
        let found = held.link.alone(sql, &[&after, &SLICE]).await;
        let read = |row: &tokio_postgres::Row| {
            Ok((row.try_get("last")?, maybe_at(row, "due_at")?))
        };
        let found = found.and_then(|rows| rows.first().map_or(Ok((None, None)), read));
        let (last, due_at) = found.map_err(|error| StoreError::new(DOING, error))?;
        held.release();
        watermark.back_to(due_at);
        Ok(last)
    })
    .await
}
