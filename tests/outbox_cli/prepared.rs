//! Databases as they are found by somebody on call, made with the library itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{self, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::{
    Claim, ClaimOrder, Settlement, Store, sqlite,
};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Envelope, FailureClass, RawEvent, RetryPolicy};
use rusqlite::Connection;

/// A directory for one test, that is gone with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("outbox-cli-{name}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Every row of the outbox and its history, as text.
pub(crate) fn contents(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for table in ["outbox_event", "outbox_history"] {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {table} ORDER BY sequence"))
            .unwrap();
        let width = statement.column_count();
        let found = statement.query_map([], |row| {
            let cells = (0..width).map(|cell| row.get::<_, rusqlite::types::Value>(cell));
            Ok(format!("{:?}", cells.collect::<rusqlite::Result<Vec<_>>>()?))
        });
        rows.extend(found.unwrap().map(Result::unwrap));
    }
    rows
}

fn event(id: &str, event_type: &'static str, source: &'static str) -> Envelope<Pending> {
    let payload = format!("{{\"note\":\"the secret of {id}\"}}");
    Envelope::builder(source, RawEvent::new(event_type, payload))
        .id(id.parse().unwrap())
        .build()
        .unwrap()
}

struct Database {
    outbox: sqlite::Outbox,
    connection: Connection,
}

impl Database {
    fn new(path: &Path) -> Self {
        Self {
            outbox: sqlite::Outbox::open(path).unwrap(),
            connection: Connection::open(path).unwrap(),
        }
    }

    fn enqueue(&mut self, events: impl IntoIterator<Item = Envelope<Pending>>) {
        let transaction = self.connection.transaction().unwrap();
        for event in events {
            sqlite::enqueue(&transaction, event).unwrap();
        }
        transaction.commit().unwrap();
    }

    /// One attempt of all that is due, as one that waits for its retry now is.
    async fn attempt(&self, settle: impl Fn(Claim) -> Settlement) {
        self.sql("UPDATE outbox_event SET due_at = 0 WHERE status = 'retrying'");
        let order = ClaimOrder::new("relay-1", 10_000, Duration::from_secs(60));
        let claimed = self.outbox.claim(&order).await.unwrap();
        let settlements: Vec<Settlement> =
            claimed.claims.into_iter().map(settle).collect();
        assert_eq!(self.outbox.settle(&settlements).await.unwrap(), []);
    }

    fn sql(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }
}

/// `crm.db`: three dead letters (one for good, two after three attempts, one of those
/// first sent nine days ago), one event behind a dead letter of its key for 26 hours, one
/// that waits for its retry, and three done, two of them long ago.
pub(crate) async fn crm(folder: &Path) {
    let (lead, invoice) = ("crm.lead.created", "billing.invoice.issued");
    let keyed = |id: &str| {
        Envelope::builder(
            "billing",
            RawEvent::new(invoice, format!("{{\"note\":\"the secret of {id}\"}}")),
        )
        .id(id.parse().unwrap())
        .ordering_key("customer-7")
        .correlation_id("import-7")
        .build()
        .unwrap()
    };
    let mut database = Database::new(&folder.join("crm.db"));
    database
        .enqueue(["evt-0901", "evt-0902", "evt-0903"].map(|id| event(id, lead, "crm")));
    database.enqueue([
        event("evt-1001", lead, "crm"),
        keyed("evt-1002"),
        event("evt-1003", invoice, "billing"),
    ]);
    database.enqueue([keyed("evt-1004")]);
    for _ in 0..RetryPolicy::DEFAULT.max_attempts() {
        let answer = |claim: Claim| match claim.id().to_string().as_str() {
            "evt-1001" => claim.reject("unknown account 4711"),
            "evt-1002" | "evt-1003" => claim.fail("503 service unavailable"),
            _ => claim.acknowledge(),
        };
        database.attempt(answer).await;
    }
    database.enqueue([event("evt-1005", lead, "crm")]);
    database.attempt(|claim| claim.fail("timeout after 10s")).await;
    let ago = |seconds: u64| {
        format!("CAST((unixepoch('subsec') - {seconds}) * 1000000 AS INTEGER)")
    };
    let (days, hours) = (24 * 60 * 60, 60 * 60);
    database.sql(&format!(
        "UPDATE outbox_event SET first_sent_at = {} WHERE id = 'evt-1003'",
        ago(9 * days)
    ));
    database.sql(&format!(
        "UPDATE outbox_event SET due_at = {} WHERE id = 'evt-1004'",
        ago(26 * hours + hours / 2)
    ));
    let old = ago(40 * days);
    database.sql(&format!(
        "UPDATE outbox_event SET done_at = {old} WHERE id IN ('evt-0901', 'evt-0902')"
    ));
}

/// `torn.db`: a row that is no valid event and is a dead letter, one whose attempts
/// somebody has set by hand, and one in order.
pub(crate) async fn torn(folder: &Path) {
    let mut database = Database::new(&folder.join("torn.db"));
    database.enqueue(
        ["evt-2001", "evt-2002", "evt-2003"]
            .map(|id| event(id, "crm.lead.created", "crm")),
    );
    database.sql("UPDATE outbox_event SET retry_policy = 'often' WHERE id = 'evt-2001'");
    database.attempt(Claim::acknowledge).await;
    database.sql("UPDATE outbox_event SET attempts = 2 WHERE id = 'evt-2002'");
}

/// `hostile.db`: a dead letter all of whose texts are this one, and an event behind it.
pub(crate) async fn hostile(folder: &Path, text: &str) {
    let mut database = Database::new(&folder.join("hostile.db"));
    let build = |id: &str| {
        Envelope::builder(text.to_owned(), RawEvent::new(text.to_owned(), text))
            .id(id.parse().unwrap())
            .ordering_key(text)
            .correlation_id(text)
            .tag(text, text)
            .build()
            .unwrap()
    };
    database.enqueue([build(text)]);
    database.attempt(|claim| claim.reject(text)).await;
    database.enqueue([build("behind")]);
}

/// `many.db`: so many dead letters.
pub(crate) async fn many(folder: &Path, count: usize) {
    let mut database = Database::new(&folder.join("many.db"));
    database.enqueue(
        (0..count)
            .map(|number| event(&format!("evt-{number}"), "crm.lead.created", "crm")),
    );
    database
        .attempt(|claim| {
            claim
                .reject("unknown account, which is said at some length for a long output")
        })
        .await;
}

/// `erp.db`: the inbox of a consumer with two dead letters.
pub(crate) fn erp(folder: &Path) {
    let mut connection = Connection::open(folder.join("erp.db")).unwrap();
    inbox::sqlite::install(&mut connection).unwrap();
    let rules =
        InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)
            .unwrap();
    for id in ["evt-1", "evt-2"] {
        let delivery = Delivery::new(event(id, "crm.lead.created", "crm"), ());
        let handled =
            inbox::sqlite::process(&mut connection, delivery, &rules, |_, _| {
                Err(HandlerError::permanent("no such account"))
            });
        let handled = handled.unwrap();
        assert_eq!(format!("{handled:?}"), "DeadLettered");
    }
}

fn receive(connection: &mut Connection, event: Envelope<Pending>, fault: HandlerError) {
    let rules =
        InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)
            .unwrap();
    drop(
        inbox::sqlite::process(connection, Delivery::new(event, ()), &rules, |_, _| {
            Err(fault)
        })
        .unwrap(),
    );
}

/// `erp.db`: the inbox of a consumer whose database refused the effect of an event.
pub(crate) fn refused(folder: &Path) {
    let mut connection = Connection::open(folder.join("erp.db")).unwrap();
    inbox::sqlite::install(&mut connection).unwrap();
    connection.execute_batch("CREATE TABLE account (name TEXT NOT NULL)").unwrap();
    let insert = connection.execute("INSERT INTO account VALUES (NULL)", []);
    let mut fault = HandlerError::from(Unopened(insert.unwrap_err()));
    fault.class = FailureClass::Permanent;
    receive(&mut connection, event("evt-1", "crm.lead.created", "crm"), fault);
}

/// An error of a program's own, whose cause the database knows.
#[derive(Debug)]
struct Unopened(rusqlite::Error);

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the account was not opened")
    }
}

impl std::error::Error for Unopened {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// `erp.db`: the inbox of a consumer with two events that are to be tried again, one of
/// them for three weeks.
pub(crate) fn stalled(folder: &Path) {
    let mut connection = Connection::open(folder.join("erp.db")).unwrap();
    inbox::sqlite::install(&mut connection).unwrap();
    for id in ["evt-old", "evt-new"] {
        receive(
            &mut connection,
            event(id, "crm.lead.created", "crm"),
            HandlerError::transient("the account is locked"),
        );
    }
    let old = "CAST((unixepoch('subsec') - 21 * 86400) * 1000000 AS INTEGER)";
    connection
        .execute_batch(&format!(
            "UPDATE inbox_event SET received_at = {old} WHERE id = 'evt-old'"
        ))
        .unwrap();
}

/// Lets the inbox of `erp.db` hold an event, until another one has come.
pub(crate) fn hold(folder: &Path, id: &str, after: &str) {
    let connection = Connection::open(folder.join("erp.db")).unwrap();
    let sql =
        "UPDATE inbox_event SET held_after = ?2, due_at = received_at WHERE id = ?1";
    assert_eq!(connection.execute(sql, [id, after]).unwrap(), 1);
}

/// Leaves no valid event in the inbox of `erp.db`.
pub(crate) fn tear(folder: &Path) {
    let connection = Connection::open(folder.join("erp.db")).unwrap();
    connection.execute("UPDATE inbox_event SET retry_policy = 'often'", []).unwrap();
}

/// `erp.db`: the inbox of a consumer with a message that was no event.
pub(crate) fn unreadable(folder: &Path) {
    let mut connection = Connection::open(folder.join("erp.db")).unwrap();
    inbox::sqlite::install(&mut connection).unwrap();
    let message = Envelope::builder("queue", RawEvent::new("unreadable", "?"))
        .id("evt-torn".parse().unwrap())
        .tag("unreadable", "no specversion")
        .tag("x-sender", "billing")
        .build()
        .unwrap();
    receive(
        &mut connection,
        message,
        HandlerError::permanent("it can be read by nobody"),
    );
}
