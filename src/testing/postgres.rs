//! The tables of a test's PostgreSQL database: what was enqueued, and time that passes.

use std::time::Duration;

use tokio_postgres::GenericClient;

use crate::AnyEnvelope;
use crate::store::error::Doing;
use crate::store::postgres::read_row;
use crate::store::{EVENT_COLUMNS, StoreError};

const ENQUEUED: &str = "reading what was enqueued";
const PASSING: &str = "letting time pass";

/// Every event of the outbox in the first schema of the search path, in the order of
/// their enqueuing, whatever became of each. Call it in the transaction that enqueues,
/// or after it.
///
/// # Errors
///
/// The database's, or a row that is no valid event.
pub async fn enqueued(
    client: &impl GenericClient,
) -> Result<Vec<AnyEnvelope>, StoreError> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM outbox_event ORDER BY sequence");
    let rows = client.query(&sql, &[]).await.doing(ENQUEUED)?;
    let read = |row| read_row(row).doing(ENQUEUED)?.read().doing(ENQUEUED);
    rows.iter().map(read).collect()
}

/// Lets time pass for the outbox, the inbox and the workflows in the first schema of the search path:
/// every moment in their tables moves back by this time, and every day by its whole
/// days. Retries fall due, leases end, windows close, and no test sleeps.
///
/// # Errors
///
/// What the database answers.
pub async fn pass_time(
    client: &impl GenericClient,
    time: Duration,
) -> Result<(), StoreError> {
    const MOMENTS: &str = "SELECT format('UPDATE %I SET %s', table_name, string_agg( \
           format(CASE data_type \
             WHEN 'date' THEN '%1$I = %1$I - floor($1::float8 / 86400)::int' \
             ELSE '%1$I = %1$I - make_interval(secs => $1)' END, column_name), ', ')) \
         FROM information_schema.columns JOIN information_schema.tables \
           USING (table_schema, table_name) \
         WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' \
           AND (starts_with(table_name, 'outbox_') OR starts_with(table_name, 'inbox_') \
             OR starts_with(table_name, 'workflow_')) \
           AND data_type IN ('timestamp with time zone', 'date') \
         GROUP BY table_name";
    let seconds = time.as_secs_f64();
    for update in client.query(MOMENTS, &[]).await.doing(PASSING)? {
        let update: String = update.try_get(0).doing(PASSING)?;
        client.execute(&update, &[&seconds]).await.doing(PASSING)?;
    }
    Ok(())
}
