//! Two SQLite tables kept in step, with what is agreed on, a queue of questions, and what
//! people answered, in `sync.rs`; here a day of edits, and a person.

mod sync;

use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::sqlite::TableRow;
use integration_automation_patterns::sync::{Answer, AnswerError, Choice};
use rusqlite::Connection;
use sync::{Crm, Erp, Outcome, answer, connect, synchronise};

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

fn shown(db: &Connection) -> Outcome<(String, u32, String)> {
    let select = "SELECT email, terms, status FROM contact";
    let get = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    Ok(db.query_row(select, [], get)?)
}

pub(crate) fn main() -> Outcome<()> {
    let crm = database("new@x.org", 30, "active")?;
    let erp = database("old@x.org", 60, "closed")?;
    let mut in_crm = TableRow::new(&crm, "contact", ("id", &"C-1")).of(&connect::<Crm>());
    let mut in_erp = TableRow::new(&erp, "contact", ("id", &"C-1")).of(&connect::<Erp>());
    let hub = Connection::open_in_memory()?;
    hub.execute_batch(
        "CREATE TABLE record (id TEXT PRIMARY KEY, known TEXT, asked TEXT, answers TEXT);
         INSERT INTO record VALUES ('C-1', '{}', '[]', '{}')",
    )?;

    let (asked, _) = synchronise(&hub, "C-1", &mut in_crm, &mut in_erp)?;
    assert_eq!(asked.len(), 1, "the status: {asked:?}");
    assert_eq!(shown(&crm)?, ("new@x.org".into(), 60, "active".into()));
    assert_eq!(shown(&erp)?, ("new@x.org".into(), 60, "closed".into()));

    let decision = Decision::new("on-call", "the customer has left")?;
    answer(&hub, &Answer::to(&asked[0], Choice::Side(1), decision.clone()))?;
    erp.execute("UPDATE contact SET status = 'paused'", [])?; // meanwhile
    let (asked, misfits) = synchronise(&hub, "C-1", &mut in_crm, &mut in_erp)?;
    assert_eq!(misfits[0].cause, AnswerError::MovedOn);
    println!("{}: {}", misfits[0].field, misfits[0].cause);

    let closed = Choice::Other(Some("closed".into()));
    answer(&hub, &Answer::to(&asked[0], closed, decision))?;
    let (asked, misfits) = synchronise(&hub, "C-1", &mut in_crm, &mut in_erp)?;
    assert!(asked.is_empty() && misfits.is_empty());
    assert_eq!((shown(&crm)?, shown(&crm)?.2.as_str()), (shown(&erp)?, "closed"));
    println!("C-1 is closed in both: the customer has left");
    Ok(())
}
