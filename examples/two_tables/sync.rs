//! Two tables of one contract: a store over either, and what keeps them in step.

use std::mem::replace;

use integration_automation_patterns::sync::declared::Visit;
use integration_automation_patterns::sync::{
    Answer, Capability, Choice, Found, Review, Slot, System, Write,
};
use integration_automation_patterns::{Decision, boundary};
use rusqlite::{Connection, Result, Row, ToSql, types::FromSql};
use serde::Serialize;
use serde_json::{Value, from_str, json, to_string};

pub(crate) type Outcome<T> =
    std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

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

/// A system's table, with a column for each field, and the record that is at hand.
pub(crate) struct Table<S> {
    pub(crate) db: Connection,
    pub(crate) id: &'static str,
    pub(crate) unread: contact::Snapshot<S>,
}

/// A row that is read, column by column.
struct Columns<'r>(&'r Row<'r>, Result<()>);

impl<T: FromSql> Visit<&mut Slot<T>> for Columns<'_> {
    fn visit(&mut self, field: &'static str, slot: &mut Slot<T>) {
        let read = self.0.get::<_, Option<T>>(field).map(|value| *slot = value.into());
        self.1 = replace(&mut self.1, Ok(())).and(read);
    }
}

/// A row that is changed, column by column.
struct Updates<'u>(&'u Connection, &'u str, Result<usize>);

impl<T: ToSql> Visit<&Option<Write<'_, T>>> for Updates<'_> {
    fn visit(&mut self, field: &'static str, write: &Option<Write<'_, T>>) {
        let update = format!("UPDATE contact SET {field} = ?1 WHERE id = ?2");
        if let (Some(write), Ok(_)) = (write, &self.2) {
            self.2 = self.0.execute(&update, (write.value(), self.1));
        }
    }
}

impl<S> Table<S> {
    fn read(&self) -> Result<contact::Snapshot<S>> {
        let mut snapshot = self.unread.clone();
        self.db.query_row("SELECT * FROM contact WHERE id = ?1", [self.id], |row| {
            let mut columns = Columns(row, Ok(()));
            snapshot.each_mut(&mut columns);
            columns.1.map(|()| snapshot)
        })
    }
}

impl<S> contact::Store for Table<S> {
    type System = S;
    type Error = rusqlite::Error;

    fn write(&mut self, changes: &contact::Changes<'_, S>) -> Result<contact::Taken> {
        let transaction = self.db.unchecked_transaction()?;
        let found = changes.found_in(&self.read()?);
        if found == Found::AsExpected {
            let mut updates = Updates(&transaction, self.id, Ok(0));
            changes.each(&mut updates);
            updates.2?;
        }
        transaction.commit().map(|()| found.into())
    }
}

/// What people are asked, as JSON.
struct Rows(Vec<Review<Value>>);

impl<T: Serialize> Visit<Review<T>> for Rows {
    fn visit(&mut self, _: &'static str, row: Review<T>) {
        self.0.push(row.map(|value| json!(value)));
    }
}

/// Carries out what may be written to one record, with what was answered since, and keeps
/// what is known in common and what is asked.
pub(crate) fn synchronise(
    hub: &Connection,
    crm: &mut Table<Crm>,
    erp: &mut Table<Erp>,
) -> Outcome<Vec<Review<Value>>> {
    let kept = "SELECT known, answers FROM record WHERE id = ?1";
    let get = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let (known, answers) = hub.query_row(kept, [crm.id], get)?;
    let (of_crm, of_erp, known) = (crm.read()?, erp.read()?, from_str(&known)?);
    let plan = contact::reconcile(&of_crm, &of_erp, &known).about(crm.id);
    let known = plan.apply(from_str(&answers)?, crm, erp)?.bases;

    let (of_crm, of_erp, mut asked) = (crm.read()?, erp.read()?, Rows(Vec::new()));
    contact::reconcile(&of_crm, &of_erp, &known).reviews(crm.id, &mut asked);
    let keep = "UPDATE record SET known = ?2, asked = ?3, answers = '{}' WHERE id = ?1";
    hub.execute(keep, (crm.id, to_string(&known)?, to_string(&asked.0)?))?;
    Ok(asked.0)
}

/// Keeps what a person answers to one question, as the person has seen it.
pub(crate) fn answer(
    hub: &Connection,
    row: &Review<Value>,
    choice: Choice<Value>,
    by: Decision,
) -> Outcome<()> {
    let answer = to_string(&Answer::to(row, choice, by))?;
    let keep = "UPDATE record SET answers = json_set(answers, '$.' || ?2, json(?3)) WHERE id = ?1";
    hub.execute(keep, (&row.record_id, &row.field, answer))?;
    Ok(())
}
