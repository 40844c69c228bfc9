//! Rounds through what was put aside, for events that nobody let go: some keys at a time, beside the claims.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::super::aside::Rounds;
use super::super::{KeyAfterFailure, StoreError};
use super::front::Front;
use super::rows::free_forgotten_sql;
use crate::postgres::{Worker, maybe_at, within};

const DOING: &str = "looking for events that were put aside and forgotten";

/// How many keys are looked at in one transaction.
const SLICE: i64 = 200;

/// How much longer than a slice the pause after it is.
const PAUSE: u32 = 4;

/// The rounds of one outbox.
#[derive(Debug, Default)]
pub(super) struct Round {
    due: Rounds,
    /// Whether no round has failed.
    is_sound: AtomicBool,
    going: Mutex<Option<AbortHandle>>,
}

impl Round {
    /// Begins another round, where it is time for one. The first slice of the first is waited for, and so is that after one
    /// that failed, which says why.
    pub(super) async fn go(
        self: &Arc<Self>,
        worker: &Arc<Worker>,
        front: &Arc<Front>,
        after_failure: KeyAfterFailure,
    ) -> Result<(), StoreError> {
        if self.is_going() || !self.due.are_due(after_failure) {
            return Ok(());
        }
        let sql = free_forgotten_sql(after_failure);
        let mut after = Some(String::new());
        if !self.is_sound.load(Relaxed) {
            after = slice(worker, front, &sql, "").await?;
            self.is_sound.store(true, Relaxed);
        }
        let Some(after) = after else { return Ok(()) };
        let (round, worker, front) = (Arc::downgrade(self), Arc::clone(worker), Arc::clone(front));
        let going = tokio::spawn(async move {
            if rest(&worker, &front, &sql, after).await.is_err()
                && let Some(round) = round.upgrade()
            {
                round.is_sound.store(false, Relaxed);
            }
        });
        *self.going.lock().unwrap_or_else(PoisonError::into_inner) = Some(going.abort_handle());
        Ok(())
    }

    fn is_going(&self) -> bool {
        let going = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        going.as_ref().is_some_and(|going| !going.is_finished())
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let going = self.going.get_mut().unwrap_or_else(PoisonError::into_inner);
        going.take().iter().for_each(AbortHandle::abort);
    }
}

/// The rest of a round, with room for others after each slice.
async fn rest(worker: &Worker, front: &Front, sql: &str, mut after: String) -> Result<(), StoreError> {
    loop {
        let began = Instant::now();
        match slice(worker, front, sql, &after).await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
        sleep(began.elapsed().saturating_mul(PAUSE)).await;
    }
}

/// Looks at some keys, and says after which the next slice begins.
async fn slice(worker: &Worker, front: &Front, sql: &str, after: &str) -> Result<Option<String>, StoreError> {
    within(DOING, async {
        let mut held = worker.hold(DOING).await?;
        let found = held.link.alone(sql, &[&after, &SLICE]).await;
        let read = |row: &tokio_postgres::Row| Ok((row.try_get("last")?, maybe_at(row, "due_at")?));
        let found = found.and_then(|rows| rows.first().map_or(Ok((None, None)), read));
        let (last, due_at) = found.map_err(|error| StoreError::new(DOING, error))?;
        held.give_back();
        front.back_to(due_at);
        Ok(last)
    })
    .await
}
