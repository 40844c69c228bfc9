//! Two SQLite tables kept in step, with what is agreed on, a queue of questions, and what
//! people answered, in `sync.rs`; here a day of edits, and a person.

mod sync;

use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::sqlite::TableRow;
use integration_automation_patterns::sync::{Answer, AnswerError, Choice, Question};
use rusqlite::Connection;
use sync::{Crm, Erp, Memory, Outcome, TABLES, answer, connect, synchronise};

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
    hub.execute_batch(TABLES)?;
    hub.execute("INSERT INTO record (id) VALUES ('C-1')", [])?;

    let (Memory { asked, .. }, _) = synchronise(&hub, "C-1", &mut in_crm, &mut in_erp)?;
    assert_eq!(asked.len(), 1, "the status: {asked:?}");
    assert_eq!(shown(&crm)?, ("new@x.org".into(), 60, "active".into()));
    assert_eq!(shown(&erp)?, ("new@x.org".into(), 60, "closed".into()));

    // Left different, until the ERP changes it.
    let leave = Decision::new("on-call", "the ERP counts otherwise")?;
    answer(&hub, &Answer::to(&asked[0], Choice::Leave, leave))?;
    for _ in 0..2 {
        let (now, misfits) = synchronise(&hub, "C-1", &mut in_crm, &mut in_erp)?;
        assert!(now.asked.is_empty() && misfits.is_empty(), "it lasts");
    }
    erp.execute("UPDATE contact SET status = 'paused'", [])?;
    let (Memory { asked, .. }, misfits) =
        synchronise(&hub, "C-1", &mut in_crm, &mut in_erp)?;
    assert_eq!((asked.len(), &misfits[0].cause), (1, &AnswerError::MovedOn));
    println!("{}: {}", misfits[0].field, misfits[0].cause);
    let decision = Decision::new("on-call", "the customer has left")?;
    let closed = Choice::Other(Some("closed".into()));
    answer(&hub, &Answer::to(&asked[0], closed, decision))?;

    // The ERP corrects an address that the CRM owns, refuses a phone, and cuts a name.
    erp.execute_batch(
        "UPDATE contact SET email = 'mine@x.org';
         CREATE TRIGGER rule BEFORE UPDATE OF phone ON contact
             WHEN length(new.phone) < 6 BEGIN SELECT RAISE(ABORT, 'too short'); END;
         CREATE TRIGGER cut AFTER UPDATE OF nickname ON contact BEGIN
             UPDATE contact SET nickname = substr(new.nickname, 1, 5); END",
    )?;
    crm.execute("UPDATE contact SET nickname = 'Alexandra', phone = '12'", [])?;
    let (Memory { asked, overridden, .. }, misfits) =
        synchronise(&hub, "C-1", &mut in_crm, &mut in_erp)?;
    assert!(misfits.is_empty());
    assert_eq!((shown(&crm)?, shown(&crm)?.2.as_str()), (shown(&erp)?, "closed"));
    let edit = ("email".into(), "erp".into(), Some("mine@x.org".into()));
    assert_eq!(overridden.0, [edit], "on record in the hub");
    let refused = asked.iter().map(|row| (row.field.as_deref(), row.question));
    assert_eq!(refused.collect::<Vec<_>>(), [(Some("phone"), Question::Refused)]);
    println!("phone: {}", asked[0].sides[1].refused.as_deref().unwrap_or_default());

    // Its own form of the nickname is nobody's edit.
    let (again, _) = synchronise(&hub, "C-1", &mut in_crm, &mut in_erp)?;
    assert!(again.overridden.0.len() == 1 && again.asked == asked);
    let nickname = "SELECT nickname FROM contact";
    let full: String = crm.query_row(nickname, [], |row| row.get(0))?;
    let cut: String = erp.query_row(nickname, [], |row| row.get(0))?;
    assert_eq!((full.as_str(), cut.as_str()), ("Alexandra", "Alexa"));
    println!("C-1 is closed in both: the customer has left");
    Ok(())
}
