//! The sweep for events that are set aside although nothing blocks them: it works in
//! slices beside the claims, and holds none up.

use std::time::Instant;

use tokio::time::sleep;

use super::Outbox;
use super::rows::sweep_blocked_sql;
use crate::outbox::store::OnDeadLetter;
use crate::outbox::watermark::Watermark;
use crate::store::StoreError;
use crate::store::postgres::{Link, Pool, maybe_at};

/// How many ordering keys are looked at in one transaction.
const SLICE: i64 = 200;

/// How much longer than a slice the pause after it is.
const PAUSE: u32 = 4;

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
        let sql = sweep_blocked_sql(on_dead_letter);
        let (pool, watermark) = (self.pool.clone(), self.watermark.clone());
        let mut began = Instant::now();
        let mut next = slice(&pool, &watermark, &sql, "").await?;
        if next.is_none() {
            return Ok(());
        }
        self.sweeps.continue_with(on_dead_letter, async move {
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
    let work = async |link: &mut Link| {
        let rows = link.alone(sql, &[&after, &SLICE]).await?;
        let Some(row) = rows.first() else { return Ok((None, None)) };
        Ok((row.try_get("last")?, maybe_at(row, "due_at")?))
    };
    let (last, due_at) = pool.run_aside("sweeping blocked events", work).await?;
    watermark.back_to(due_at);
    Ok(last)
}
