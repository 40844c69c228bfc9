//! Two SQLite tables kept in step, with what is agreed on, a queue of questions, and what
//! people answered, in `sync.rs`; here a day of edits, and a person.

mod sync;

use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::Choice;
use rusqlite::Connection;
use sync::{Crm, Erp, Hub, Outcome, Table, connect, contact};

fn database(email: &str, terms: u32, status: &str) -> Outcome<Connection> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(
        "CREATE TABLE contact (id TEXT PRIMARY KEY, email TEXT, phone TEXT,
                               terms INTEGER, nickname TEXT, status TEXT)",
    )?;
    let insert = "INSERT INTO contact VALUES ('C-1', ?1, NULL, ?2, 'Al', ?3)";
    db.execute(insert, (email, terms, status))?;
    Ok(db)
}

fn shown<S>(table: &Table<S>) -> Outcome<(String, u32, String)> {
    let select = "SELECT email, terms, status FROM contact";
    let get = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    Ok(table.db.query_row(select, [], get)?)
}

fn main() -> Outcome<()> {
    let mut crm = Table {
        db: database("new@x.org", 30, "active")?,
        record: "C-1".to_owned(),
        nothing_read: contact::Snapshot::by(&connect::<Crm>()),
    };
    let mut erp = Table {
        db: database("old@x.org", 60, "closed")?,
        record: "C-1".to_owned(),
        nothing_read: contact::Snapshot::by(&connect::<Erp>()),
    };
    let hub = Hub::open(Connection::open_in_memory()?)?;

    assert_eq!(hub.synchronise(&mut crm, &mut erp)?, ["status"]);
    let (crm_says, erp_says) = (shown(&crm)?, shown(&erp)?);
    assert_eq!(crm_says, ("new@x.org".into(), 60, "active".into()));
    assert_eq!(erp_says, ("new@x.org".into(), 60, "closed".into()));

    let decision = Decision::new("on-call", "the customer has left")?;
    hub.answer("C-1", "status", Choice::Side(1), decision)?;
    assert!(hub.synchronise(&mut crm, &mut erp)?.is_empty());
    assert_eq!((shown(&crm)?, shown(&crm)?.2.as_str()), (shown(&erp)?, "closed"));
    println!("C-1 is closed in both: the customer has left");
    Ok(())
}
