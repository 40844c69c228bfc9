//! A connection for the statements of an outbox. Every one of them is in a transaction,
//! and whatever it sets ends with that.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row as SqlRow, Statement};

use super::connector::Line;
use super::statements::Statements;
use super::tables::Place;

/// A value of a statement that is not prepared, with its type.
pub(crate) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// How transactions begin.
#[derive(Debug)]
pub(super) struct Begins {
    work: String,
    look: String,
}

impl Begins {
    pub(super) fn of(place: &Place) -> Self {
        let place = place.set_local();
        Self {
            work: format!("BEGIN; {place}; {PLANS}"),
            look: format!("{SNAPSHOT}; {place}; {BOUNDS}"),
        }
    }
}

/// The plans of a worker's statements must not depend on what the database believes about
/// a table whose rows change their state all the time: it may have counted them when
/// there were none. Each statement has an index made for it, and with everything else out
/// of the way there is one plan, made once. (Without `jit = off`, PostgreSQL would
/// compile code for a plan that it thinks dear because a way that it could not avoid is
/// switched off.)
const PLANS: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
     SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan";

/// One moment for all that a look reads.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A look takes one processor, and ends: relays work beside it, and an old snapshot makes
/// their claims dear.
const BOUNDS: &str = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; SET LOCAL statement_timeout = '60s'";

/// A connection, and the statements that it has prepared.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) line: Line,
    begins: Arc<Begins>,
    statements: Statements,
}

impl Link {
    pub(super) fn new(line: Line, begins: Arc<Begins>) -> Self {
        Self { line, begins, statements: Statements::new() }
    }

    async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        self.statements.prepare(&self.line.client, sql, &[]).await
    }

    /// One more query of a transaction that has begun.
    pub(crate) async fn query(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, Error> {
        let statement = self.prepare(sql).await?;
        self.line.client.query(&statement, values).await
    }

    /// Begins a transaction with its first query, in one journey. A transaction that is
    /// not [committed](Self::commit) ends with its connection.
    pub(crate) async fn begin(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, Error> {
        let statement = self.prepare(sql).await?;
        let client = &self.line.client;
        let (begin, query) =
            (client.batch_execute(&self.begins.work), client.query(&statement, values));
        let ((), rows) = tokio::try_join!(biased; begin, query)?;
        Ok(rows)
    }

    /// The same, with two queries.
    pub(crate) async fn begin_two(
        &mut self,
        (first, first_values): (&str, &[&(dyn ToSql + Sync)]),
        (second, second_values): (&str, &[&(dyn ToSql + Sync)]),
    ) -> Result<(Vec<SqlRow>, Vec<SqlRow>), Error> {
        let (first, second) = (self.prepare(first).await?, self.prepare(second).await?);
        let client = &self.line.client;
        let begin = client.batch_execute(&self.begins.work);
        let (first, second) =
            (client.query(&first, first_values), client.query(&second, second_values));
        let ((), first, second) = tokio::try_join!(biased; begin, first, second)?;
        Ok((first, second))
    }

    /// A transaction of one query, in one journey.
    pub(crate) async fn alone(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, Error> {
        Ok(self.whole(&[(sql, values)]).await?.pop().unwrap_or_default())
    }

    /// A transaction of some queries, in one journey: the rows of each.
    pub(crate) async fn whole(
        &self,
        queries: &[(&str, &[&(dyn ToSql + Sync)])],
    ) -> Result<Vec<Vec<SqlRow>>, Error> {
        let mut statements = Vec::with_capacity(queries.len());
        for (sql, values) in queries {
            statements.push((self.prepare(sql).await?, values));
        }
        let client = &self.line.client;
        let begin = client.batch_execute(&self.begins.work);
        let queries = statements.iter().map(|(sql, values)| client.query(sql, values));
        let ((), rows, ()) =
            tokio::try_join!(biased; begin, try_join_all(queries), self.commit())?;
        Ok(rows)
    }

    /// Commits the transaction after its last query, in one journey.
    pub(crate) async fn commit_after(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, Error> {
        let statement = self.prepare(sql).await?;
        let (query, commit) = (self.line.client.query(&statement, values), self.commit());
        let (rows, ()) = tokio::try_join!(biased; query, commit)?;
        Ok(rows)
    }

    /// Begins a look with its first query, in one journey. It is planned for its values,
    /// and for the tables as they are.
    pub(crate) async fn begin_look(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<SqlRow>, Error> {
        let client = &self.line.client;
        let (begin, query) =
            (client.batch_execute(&self.begins.look), client.query_typed(sql, values));
        let ((), rows) = tokio::try_join!(biased; begin, query)?;
        Ok(rows)
    }

    /// Ends a look after its last query, in one journey.
    pub(crate) async fn end_look(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<SqlRow>, Error> {
        let (query, commit) = (self.line.client.query_typed(sql, values), self.commit());
        let (rows, ()) = tokio::try_join!(biased; query, commit)?;
        Ok(rows)
    }

    /// A look of one query, in one journey.
    pub(crate) async fn look(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<SqlRow>, Error> {
        let (query, commit) = (self.begin_look(sql, values), self.commit());
        let (rows, ()) = tokio::try_join!(biased; query, commit)?;
        Ok(rows)
    }

    pub(crate) async fn commit(&self) -> Result<(), Error> {
        self.line.client.batch_execute("COMMIT").await
    }
}
