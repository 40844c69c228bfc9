//! Two SQLite tables kept in step, with what is agreed on, a queue of questions, and what
//! people answered, in `sync.rs`; here a day of edits, and a person.

mod sync;

use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::{AnswerError, Choice};
use rusqlite::Connection;
use sync::{Crm, Erp, Outcome, Table, answer, connect, contact, synchronise};

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

pub(crate) fn main() -> Outcome<()> {
    let mut crm = Table {
        db: database("new@x.org", 30, "active")?,
        id: "C-1",
        unread: contact::Snapshot::by(&connect::<Crm>()),
    };
    let mut erp = Table {
        db: database("old@x.org", 60, "closed")?,
        id: "C-1",
        unread: contact::Snapshot::by(&connect::<Erp>()),
    };
    let hub = Connection::open_in_memory()?;
    hub.execute_batch(
        "CREATE TABLE record (id TEXT PRIMARY KEY, known TEXT, asked TEXT, answers TEXT);
         INSERT INTO record VALUES ('C-1', '{}', '[]', '{}')",
    )?;

    let (asked, _) = synchronise(&hub, &mut crm, &mut erp)?;
    assert_eq!(asked.len(), 1, "the status: {asked:?}");
    assert_eq!(shown(&crm)?, ("new@x.org".into(), 60, "active".into()));
    assert_eq!(shown(&erp)?, ("new@x.org".into(), 60, "closed".into()));

    let decision = Decision::new("on-call", "the customer has left")?;
    answer(&hub, &asked[0], Choice::Side(1), decision.clone())?;
    erp.db.execute("UPDATE contact SET status = 'paused'", [])?; // meanwhile
    let (asked, misfits) = synchronise(&hub, &mut crm, &mut erp)?;
    assert_eq!(misfits[0].cause, AnswerError::MovedOn);
    println!("{}: {}", misfits[0].field, misfits[0].cause);

    answer(&hub, &asked[0], Choice::Other(Some("closed".into())), decision)?;
    let (asked, misfits) = synchronise(&hub, &mut crm, &mut erp)?;
    assert!(asked.is_empty() && misfits.is_empty());
    assert_eq!((shown(&crm)?, shown(&crm)?.2.as_str()), (shown(&erp)?, "closed"));
    println!("C-1 is closed in both: the customer has left");
    Ok(())
}
