//! The tables of a test's SQLite database: what was enqueued, and time that passes.

use std::time::Duration;

use rusqlite::Connection;

use crate::AnyEnvelope;
use crate::store::error::Doing;
use crate::store::sqlite::read_row;
use crate::store::{EVENT_COLUMNS, Row, StoreError};

const ENQUEUED: &str = "reading what was enqueued";
const PASSING: &str = "letting time pass";
const MICROS_OF_A_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Every event of the outbox, in the order of their enqueuing, whatever became of each.
/// Call it in the transaction that enqueues, or after it.
///
/// # Errors
///
/// The database's, or a row that is no valid event.
///
/// ```
/// use integration_automation_patterns::outbox::sqlite::{enqueue, install};
/// use integration_automation_patterns::{Envelope, RawEvent, testing};
///
/// let mut crm = rusqlite::Connection::open_in_memory()?;
/// install(&mut crm)?;
/// let business = crm.transaction()?;
/// let lead = RawEvent::new("crm.lead.created", br#"{"name":"Ada"}"#);
/// enqueue(&business, Envelope::builder("crm", lead).build()?)?; // the code under test
///
/// let enqueued = testing::sqlite::enqueued(&business)?;
/// assert_eq!(enqueued.len(), 1);
/// // Or `enqueued[0].read_json::<LeadCreated>()?`, with the feature `serde`.
/// assert_eq!(enqueued[0].payload().bytes(), br#"{"name":"Ada"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn enqueued(connection: &Connection) -> Result<Vec<AnyEnvelope>, StoreError> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM outbox_event ORDER BY sequence");
    let rows = || {
        connection
            .prepare(&sql)?
            .query_map([], read_row)?
            .collect::<rusqlite::Result<Vec<Row>>>()
    };
    let rows = rows().doing(ENQUEUED)?.into_iter();
    rows.map(|row| row.read().doing(ENQUEUED)).collect()
}

/// Lets time pass for the outbox, the inbox and the workflows: every moment in their tables moves back
/// by this time, and every day by its whole days. Retries fall due, leases end, windows
/// close, and no test sleeps.
///
/// A relay that is running learns of it when it next looks: use
/// [`run_until_idle`](crate::relay::Relay::run_until_idle), let time pass, and run
/// again.
///
/// # Errors
///
/// The database's, also if a moment would fall before the year 0.
///
/// ```
/// use integration_automation_patterns::broker::in_process;
/// use integration_automation_patterns::outbox::sqlite::{Outbox, enqueue};
/// use integration_automation_patterns::relay::{Relay, RelayConfig};
/// use integration_automation_patterns::{Envelope, RawEvent, testing};
/// use std::future::pending;
/// use std::time::Duration;
///
/// # let path = std::env::temp_dir().join(format!("passes-{}.db", std::process::id()));
/// # let mut runtime = tokio::runtime::Builder::new_current_thread();
/// # runtime.enable_time().build()?.block_on(async {
/// let outbox = Outbox::open(&path)?;
/// let mut crm = rusqlite::Connection::open(&path)?;
/// let business = crm.transaction()?;
/// let lead = RawEvent::new("crm.lead.created", b"{}");
/// enqueue(&business, Envelope::builder("crm", lead).build()?)?;
/// business.commit()?;
///
/// let (broker, listener) = in_process(1);
/// let relay = Relay::new("relay", outbox, broker, RelayConfig::default())?;
/// # use integration_automation_patterns::broker::Consumer;
/// # let mut listener = listener;
/// # let refuse = async { drop(listener.next().await) };
/// let (first, ()) = tokio::join!(relay.run_until_idle(pending::<()>()), refuse);
/// assert_eq!(first.retrying, 1);
///
/// let hour = Duration::from_secs(3600);
/// testing::sqlite::pass_time(&crm, hour)?; // its retry is due
/// # let refuse = async { drop(listener.next().await) };
/// let (second, ()) = tokio::join!(relay.run_until_idle(pending::<()>()), refuse);
/// assert_eq!(second.retrying, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pass_time(connection: &Connection, time: Duration) -> Result<(), StoreError> {
    let micros = i64::try_from(time.as_micros()).doing(PASSING)?;
    let passed = columns(connection).and_then(|tables| {
        for (table, columns) in tables {
            let earlier = columns.iter().map(|column| match column.ends_with("_on") {
                true => format!("{column} = {column} - ?1 / {MICROS_OF_A_DAY}"),
                false => format!("{column} = {column} - ?1"),
            });
            let earlier = earlier.collect::<Vec<_>>().join(", ");
            connection.execute(&format!("UPDATE {table} SET {earlier}"), [micros])?;
        }
        Ok(())
    });
    passed.doing(PASSING)
}

/// The moments and days of each table of outbox, inbox and workflows.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<(String, Vec<String>)>> {
    let sql = "SELECT tables.name, columns.name FROM sqlite_schema AS tables \
               JOIN pragma_table_info(tables.name) AS columns \
               WHERE tables.type = 'table' \
                 AND (tables.name LIKE 'outbox!_%' ESCAPE '!' \
                   OR tables.name LIKE 'inbox!_%' ESCAPE '!' \
                   OR tables.name LIKE 'workflow!_%' ESCAPE '!') \
                 AND columns.type = 'INTEGER' \
                 AND (columns.name = 'at' OR columns.name LIKE '%!_at' ESCAPE '!' \
                   OR columns.name LIKE '%!_on' ESCAPE '!') \
               ORDER BY tables.name";
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, column): (String, String) = (row.get(0)?, row.get(1)?);
        match tables.last_mut() {
            Some((last, columns)) if *last == table => columns.push(column),
            _ => tables.push((table, vec![column])),
        }
    }
    Ok(tables)
}
