//! Two tables of one contract: a store over either, and the hub that keeps them in step.

use std::mem::replace;

use integration_automation_patterns::sync::declared::Visit;
use integration_automation_patterns::sync::{
    Answer, Capability, Choice, Found, Review, Slot, System, Write,
};
use integration_automation_patterns::{Decision, boundary};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, Transaction};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, from_str, to_string};

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) enum Crm {}
pub(crate) enum Erp {}
pub(crate) struct Key(());

impl System for Crm {
    const NAME: &'static str = "crm";
    type Key = Key;
}

impl System for Erp {
    const NAME: &'static str = "erp";
    type Key = Key;
}

pub(crate) fn connect<S: System<Key = Key>>() -> Capability<S> {
    Capability::mint(&Key(()))
}

boundary! {
    /// A contact: the CRM knows how to reach it, the ERP what it owes.
    pub mod contact between Crm and Erp {
        email: String => Crm,
        phone: String => Crm,
        terms: u32 => Erp,
        nickname: String => Shared,
        status: String => Manual,
    }
}

/// A row that is read into a snapshot, column by column.
struct Columns<'r>(&'r Row<'r>, rusqlite::Result<()>);

impl<T: FromSql> Visit<&mut Slot<T>> for Columns<'_> {
    fn visit(&mut self, field: &'static str, slot: &mut Slot<T>) {
        let read = self.0.get::<_, Option<T>>(field).map(|value| *slot = value.into());
        self.1 = replace(&mut self.1, Ok(())).and(read);
    }
}

/// A record that is changed, column by column.
struct Updates<'u>(&'u Transaction<'u>, &'u str, rusqlite::Result<usize>);

impl<T: ToSql> Visit<&Option<Write<'_, T>>> for Updates<'_> {
    fn visit(&mut self, field: &'static str, write: &Option<Write<'_, T>>) {
        let update = format!("UPDATE contact SET {field} = ?1 WHERE id = ?2");
        if let (Some(write), Ok(_)) = (write, &self.2) {
            self.2 = self.0.execute(&update, (write.value(), self.1));
        }
    }
}

/// A system's table, with a column for each field, and the record that is at hand.
pub(crate) struct Table<S> {
    pub(crate) db: Connection,
    pub(crate) record: String,
    pub(crate) nothing_read: contact::Snapshot<S>,
}

fn read<S>(
    db: &Connection,
    record: &str,
    mut snapshot: contact::Snapshot<S>,
) -> rusqlite::Result<contact::Snapshot<S>> {
    db.query_row("SELECT * FROM contact WHERE id = ?1", [record], |row| {
        let mut columns = Columns(row, Ok(()));
        snapshot.each_mut(&mut columns);
        columns.1.map(|()| snapshot)
    })
}

impl<S> contact::Store for Table<S> {
    type System = S;
    type Error = rusqlite::Error;

    fn write(&mut self, changes: &contact::Changes<'_, S>) -> rusqlite::Result<Found> {
        let transaction = self.db.transaction()?;
        let now = read(&transaction, &self.record, self.nothing_read.clone())?;
        let found = changes.found_in(&now);
        if found == Found::AsExpected {
            let mut updates = Updates(&transaction, &self.record, Ok(0));
            changes.each(&mut updates);
            updates.2?;
        }
        transaction.commit().map(|()| found)
    }
}

/// The questions about one record, and the answers to them.
struct Queue<'q>(&'q Connection, &'q str, Vec<&'static str>, Outcome<()>);

impl<T: Serialize> Visit<Review<T>> for Queue<'_> {
    fn visit(&mut self, field: &'static str, row: Review<T>) {
        let ask = "INSERT INTO question VALUES (?1, ?2, ?3, NULL) ON CONFLICT DO UPDATE
                   SET row = excluded.row, answer = NULL WHERE row <> excluded.row";
        let asked = to_string(&row).map_err(Into::into).and_then(|row| {
            Ok(self.0.execute(ask, (self.1, field, row)).map(|_| self.2.push(field))?)
        });
        self.3 = replace(&mut self.3, Ok(())).and(asked);
    }
}

impl<T: DeserializeOwned> Visit<&mut Option<Answer<T>>> for Queue<'_> {
    fn visit(&mut self, field: &'static str, answer: &mut Option<Answer<T>>) {
        let given = "SELECT answer FROM question WHERE record = ?1 AND field = ?2 AND answer <> ''";
        let get = |row: &Row<'_>| row.get::<_, String>(0);
        let json = self.0.query_row(given, (self.1, field), get).optional();
        let read = json
            .map_err(Into::into)
            .and_then(|json| Ok(*answer = json.map(|json| from_str(&json)).transpose()?));
        self.3 = replace(&mut self.3, Ok(())).and(read);
        self.2.retain(|asked| *asked != field || answer.is_none());
    }
}

/// What is agreed on, and what is asked and answered.
pub(crate) struct Hub(Connection);

impl Hub {
    pub(crate) fn open(db: Connection) -> Outcome<Self> {
        db.execute_batch(
            "CREATE TABLE agreed (record TEXT PRIMARY KEY, fields TEXT NOT NULL);
             CREATE TABLE question (record TEXT, field TEXT, row TEXT NOT NULL, answer TEXT,
                                    PRIMARY KEY (record, field))",
        )?;
        Ok(Self(db))
    }

    /// Plans one record, carries out what may be written, and says what is asked.
    pub(crate) fn synchronise(
        &self,
        crm: &mut Table<Crm>,
        erp: &mut Table<Erp>,
    ) -> Outcome<Vec<&'static str>> {
        let record = crm.record.clone();
        let of_crm = read(&crm.db, &record, crm.nothing_read.clone())?;
        let of_erp = read(&erp.db, &record, erp.nothing_read.clone())?;
        let stored = "SELECT fields FROM agreed WHERE record = ?1";
        let stored = self.0.query_row(stored, [&record], |row| row.get::<_, String>(0));
        let agreed = from_str(stored.optional()?.as_deref().unwrap_or("{}"))?;
        let plan = contact::reconcile(&of_crm, &of_erp, &agreed);

        let mut queue = Queue(&self.0, &record, Vec::new(), Ok(()));
        plan.reviews(&record, &mut queue);
        let mut answers = contact::Answers::default();
        answers.each_mut(&mut queue);
        queue.3?;
        let carried = plan.apply(answers, crm, erp)?;
        let store = "INSERT OR REPLACE INTO agreed VALUES (?1, ?2)";
        self.0.execute(store, (&record, to_string(&carried.agreed)?))?;
        let settled = "DELETE FROM question WHERE record = ?1
                       AND field NOT IN (SELECT value FROM json_each(?2))";
        self.0.execute(settled, (&record, to_string(&queue.2)?))?;
        Ok(queue.2)
    }

    /// Keeps what a person answers to a question, as the person has seen it.
    pub(crate) fn answer(
        &self,
        record: &str,
        field: &str,
        choice: Choice<Value>,
        by: Decision,
    ) -> Outcome<()> {
        let row = "SELECT row FROM question WHERE record = ?1 AND field = ?2";
        let row =
            self.0.query_row(row, (record, field), |row| row.get::<_, String>(0))?;
        let answer = Answer::to(&from_str::<Review<Value>>(&row)?, choice, by);
        let answered = "UPDATE question SET answer = ?3 WHERE record = ?1 AND field = ?2";
        self.0.execute(answered, (record, field, to_string(&answer)?))?;
        Ok(())
    }
}
