//! The desk in PostgreSQL: it reads in one snapshot, and locks nothing.

use std::time::Duration;

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, IsolationLevel, NoTls, Socket, Transaction};

use super::connect::{Caller, Database, connect};
use super::read::{read_count, read_dead_reply, read_gone, read_past, read_present};
use super::rows::{check_place, look, place_and_time, write_entry};
use super::step::{self, find_record, store_step};
use crate::EventId;
use crate::store::StoreError;
use crate::store::error::Doing;
#[cfg(feature = "tls")]
use crate::store::postgres::secured;
use crate::store::postgres::{at_most, micros, within, without_tls};
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::trace::Mover;
use crate::workflow::durable::desk::{
    self, COUNTING, COUNTS, CountRow, DEAD_REPLIES, DeadReplyRow, DeskError, ENDED,
    Found, HISTORY, IDS, INTERVENING, Instances, LISTING, LOOKING, OLDEST, ORPHANS, PAGE,
    PARTS, PRESENT, PURGING, TAKE_UP, TAKING_UP, Take, VERIFYING, Whole,
};
use crate::workflow::durable::journal::{ByRow, EntryRow};
use crate::workflow::durable::stored::{GoneRow, StoredStep};

/// The moment that is `$1` microseconds ago.
const AGO: &str = "statement_timestamp() - $1 * interval '1 microsecond'";

/// The values of a statement.
type Values<'a, const N: usize> = [(&'a (dyn ToSql + Sync), Type); N];

const CALLER: Caller = Caller { name: "workflow desk", connecting: "connecting a desk" };

/// What people ask of the workflows in a PostgreSQL schema.
pub type Desk = desk::Desk<Database>;

impl Desk {
    /// Connects without TLS, and makes the tables of workflows and outbox where they are
    /// missing, in the first schema of the search path.
    ///
    /// # Errors
    ///
    /// A configuration that asks for TLS, what the database answers, and tables that a
    /// newer version of this crate has made.
    pub async fn connect(database: Config) -> Result<Self, StoreError> {
        without_tls(&database)
            .map_err(|error| StoreError::new(CALLER.connecting, error))?;
        Self::connect_with(database, NoTls).await
    }

    /// Connects over TLS, with a server that an authority of `tls` vouches for under the
    /// host's name, and not at all otherwise.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and a server without TLS, or whose certificate is
    /// not that of this host.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub async fn connect_tls(database: Config, tls: &Tls) -> Result<Self, StoreError> {
        let (database, tls) = secured(database, tls)?;
        Self::connect_with(database, tls).await
    }

    /// Connects with the TLS of another crate, or one's own. Where it must not fall back
    /// to plain text, the configuration says `sslmode=require`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with<T>(database: Config, tls: T) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        connect(&CALLER, database, tls).await.map(Self::new)
    }
}

impl Instances for Database {
    async fn counts(&self) -> Result<Vec<CountRow>, StoreError> {
        let mut held = self.0.hold(COUNTING).await?;
        let work = async { counts(held.client()).await.doing(COUNTING) };
        let counts = within(COUNTING, work).await?;
        held.release();
        Ok(counts)
    }

    async fn oldest(
        &self,
        than: Duration,
        most: usize,
    ) -> Result<Vec<Found>, StoreError> {
        let mut held = self.0.hold(LISTING).await?;
        let work = async { oldest(held.client(), than, most).await.doing(LISTING) };
        let found = within(LISTING, work).await?;
        held.release();
        Ok(found)
    }

    async fn find(&self, id: &EventId) -> Result<Option<Whole>, StoreError> {
        let (mut held, id) = (self.0.hold(LOOKING).await?, id.to_string());
        let work = async { find(held.client(), &id).await.doing(LOOKING) };
        let found = within(LOOKING, work).await?;
        held.release();
        Ok(found)
    }

    async fn page(&self, after: String) -> Result<Vec<Whole>, StoreError> {
        let mut held = self.0.hold(VERIFYING).await?;
        let work = async { page(held.client(), &after).await.doing(VERIFYING) };
        let page = within(VERIFYING, work).await?;
        held.release();
        Ok(page)
    }

    async fn dead_replies(
        &self,
        to: Vec<String>,
    ) -> Result<Vec<DeadReplyRow>, StoreError> {
        let mut held = self.0.hold(LISTING).await?;
        let work = async { dead_replies(held.client(), &to).await.doing(LISTING) };
        let dead = within(LISTING, work).await?;
        held.release();
        Ok(dead)
    }

    async fn orphans(&self) -> Result<Vec<String>, StoreError> {
        let mut held = self.0.hold(VERIFYING).await?;
        let work = async { orphans(held.client()).await.doing(VERIFYING) };
        let orphans = within(VERIFYING, work).await?;
        held.release();
        Ok(orphans)
    }

    async fn step(&self, id: &EventId, take: Take) -> Result<StoredStep, DeskError> {
        let mut held = self.0.hold(INTERVENING).await?;
        // What is refused is no error of the connection.
        let work = async { Ok(take_step(held.client(), id, take).await) };
        let stepped = within(INTERVENING, work).await?;
        held.release();
        stepped
    }

    async fn take_up(
        &self,
        id: &EventId,
        by: ByRow,
    ) -> Result<Option<StoredStep>, StoreError> {
        let mut held = self.0.hold(TAKING_UP).await?;
        let work = async { take_up(held.client(), id, by).await.doing(TAKING_UP) };
        let taken_up = within(TAKING_UP, work).await?;
        held.release();
        Ok(taken_up)
    }

    async fn purge(
        &self,
        age: Duration,
        most: usize,
    ) -> Result<Vec<GoneRow>, StoreError> {
        let mut held = self.0.hold(PURGING).await?;
        let work = async { purge(held.client(), age, most).await.doing(PURGING) };
        let gone = within(PURGING, work).await?;
        held.release();
        Ok(gone)
    }
}

async fn take_step(
    client: &mut Client,
    id: &EventId,
    take: Take,
) -> Result<StoredStep, DeskError> {
    let transaction = client.transaction().await.doing(INTERVENING)?;
    let (at, found) = find_record(&transaction, id).await?;
    let (place, record) =
        found.map(|step::Found { place, record }| (place, record)).unzip();
    let (written, moved) = (take(record, at)?, (Mover::Clock, None));
    let stored = store_step(&transaction, written, moved, place, at).await?;
    transaction.commit().await.doing(INTERVENING)?;
    Ok(stored)
}

async fn take_up(
    client: &mut Client,
    instance: &EventId,
    by: ByRow,
) -> Result<Option<StoredStep>, Error> {
    let (transaction, id) = (client.transaction().await?, instance.to_string());
    let at = place_and_time(&transaction).await?;
    let failing = transaction.execute_typed(TAKE_UP, &[(&id, Type::TEXT)]).await?;
    let Some(rows) = look(&transaction, &id).await?.filter(|_| failing == 1) else {
        return Ok(None);
    };
    let entry = EntryRow::of_take_up(&rows.instance, by, at);
    write_entry(&transaction, &id, &entry).await?;
    transaction.commit().await?;
    Ok(Some(StoredStep::of(instance.clone(), &rows.instance, &entry)))
}

/// One that somebody works with just now is left for the next time.
async fn purge(
    client: &mut Client,
    age: Duration,
    most: usize,
) -> Result<Vec<GoneRow>, Error> {
    let transaction = client.transaction().await?;
    check_place(&transaction).await?;
    let sql = ENDED.replace("$1", AGO);
    let sql = format!("{sql} FOR UPDATE SKIP LOCKED");
    let (age, most) = (micros(age), at_most(most));
    let values: Values<'_, 2> = [(&age, Type::INT8), (&most, Type::INT8)];
    let rows = transaction.query_typed(&sql, &values).await?;
    let gone = rows.iter().map(read_gone).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<&str> = gone.iter().map(|row| row.id.as_str()).collect();
    for (table, column) in PARTS {
        let sql = format!("DELETE FROM {table} WHERE {column} = ANY ($1)");
        transaction.execute_typed(&sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
    }
    transaction.commit().await?;
    Ok(gone)
}

/// A transaction that reads at one moment, whatever others write meanwhile.
async fn snapshot(client: &mut Client) -> Result<Transaction<'_>, Error> {
    let snapshot =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let snapshot = snapshot.read_only(true).start().await?;
    check_place(&snapshot).await?;
    Ok(snapshot)
}

async fn counts(client: &mut Client) -> Result<Vec<CountRow>, Error> {
    let snapshot = snapshot(client).await?;
    let sql = COUNTS.replace("$1", "statement_timestamp()");
    let rows = snapshot.query_typed(&sql, &[]).await?;
    rows.iter().map(read_count).collect()
}

async fn oldest(
    client: &mut Client,
    than: Duration,
    most: usize,
) -> Result<Vec<Found>, Error> {
    let snapshot = snapshot(client).await?;
    let sql = OLDEST.replace("$1", AGO);
    let (age, most) = (micros(than), at_most(most));
    let values: Values<'_, 2> = [(&age, Type::INT8), (&most, Type::INT8)];
    let mut found = Vec::new();
    for row in snapshot.query_typed(&sql, &values).await? {
        found.extend(find_one(&snapshot, row.try_get(0)?).await?);
    }
    Ok(found)
}

async fn find(client: &mut Client, id: &str) -> Result<Option<Whole>, Error> {
    find_whole(&snapshot(client).await?, id).await
}

async fn page(client: &mut Client, after: &str) -> Result<Vec<Whole>, Error> {
    let (snapshot, most) = (snapshot(client).await?, at_most(PAGE));
    let values: Values<'_, 2> = [(&after, Type::TEXT), (&most, Type::INT8)];
    let mut page = Vec::new();
    for row in snapshot.query_typed(IDS, &values).await? {
        page.extend(find_whole(&snapshot, row.try_get(0)?).await?);
    }
    Ok(page)
}

async fn orphans(client: &mut Client) -> Result<Vec<String>, Error> {
    let orphans = snapshot(client).await?.query_typed(ORPHANS, &[]).await?;
    orphans.iter().map(|row| row.try_get(0)).collect()
}

async fn dead_replies(
    client: &mut Client,
    to: &[String],
) -> Result<Vec<DeadReplyRow>, Error> {
    let snapshot = snapshot(client).await?;
    let inbox =
        "SELECT to_regclass(quote_ident(current_schema()) || '.inbox_event') IS NOT NULL";
    if !snapshot.query_typed_one(inbox, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    let sql = DEAD_REPLIES.replace("$1", "SELECT unnest($1::text[])");
    let dead = snapshot.query_typed(&sql, &[(&to, Type::TEXT_ARRAY)]).await?;
    dead.iter().map(read_dead_reply).collect()
}

async fn find_whole(
    transaction: &Transaction<'_>,
    id: &str,
) -> Result<Option<Whole>, Error> {
    let Some(found) = find_one(transaction, id).await? else { return Ok(None) };
    let past = transaction.query_typed(HISTORY, &[(&id, Type::TEXT)]).await?;
    let past = past.iter().map(read_past).collect::<Result<_, _>>()?;
    Ok(Some((found, past)))
}

async fn find_one(
    transaction: &Transaction<'_>,
    id: &str,
) -> Result<Option<Found>, Error> {
    let Some(rows) = look(transaction, id).await? else { return Ok(None) };
    let present = transaction.query_typed_opt(PRESENT, &[(&id, Type::TEXT)]).await?;
    let present = present.as_ref().map(read_present).transpose()?;
    Ok(present.map(|present| Found { rows, present }))
}
