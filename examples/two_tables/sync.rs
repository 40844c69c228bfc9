//! Two tables of one contract: a store over either, and what keeps them in step.

use integration_automation_patterns::sync::sqlite::TableRow;
use integration_automation_patterns::sync::{
    Answer, Capability, Choice, Misfit, Review, System,
};
use integration_automation_patterns::{Decision, boundary};
use rusqlite::{Connection, Result, Row};
use serde_json::{Value, from_str, to_string};

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

impl<S> Table<S> {
    fn row(&self) -> TableRow<'_> {
        TableRow::new(&self.db, "contact", ("id", &self.id))
    }

    fn read(&self) -> Result<contact::Snapshot<S>> {
        let mut snapshot = self.unread.clone();
        self.row().read(|columns| snapshot.each_mut(columns)).map(|()| snapshot)
    }
}

impl<S> contact::Store for Table<S> {
    type System = S;
    type Error = rusqlite::Error;

    fn write(&mut self, changes: &contact::Changes<'_, S>) -> Result<contact::Taken> {
        let found = || Ok(changes.found_in(&self.read()?));
        self.row().write(found, |update| changes.each(update)).map(Into::into)
    }
}

/// Carries out what may be written to one record, with what was answered since, and keeps
/// what is known in common and what is asked. Gives the questions, and why each answer
/// that was not carried out was not.
pub(crate) fn synchronise(
    hub: &Connection,
    crm: &mut Table<Crm>,
    erp: &mut Table<Erp>,
) -> Outcome<(Vec<Review<Value>>, Vec<Misfit>)> {
    let kept = "SELECT known, answers FROM record WHERE id = ?1";
    let get = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let (known, answers) = hub.query_row(kept, [crm.id], get)?;
    let (of_crm, of_erp, known) = (crm.read()?, erp.read()?, from_str(&known)?);
    let plan = contact::reconcile(&of_crm, &of_erp, &known).about(crm.id);
    let (known, misfits) = match plan.apply(from_str(&answers)?, crm, erp) {
        Ok(carried) => (carried.bases, carried.misfits),
        Err(stopped) => {
            // The answers stay as they are stored, for the next run.
            let (id, known) = (crm.id, to_string(&stopped.value().bases)?);
            hub.execute("UPDATE record SET known = ?2 WHERE id = ?1", (id, known))?;
            return Err(stopped.into_cause().into());
        }
    };

    let (of_crm, of_erp, mut asked) = (crm.read()?, erp.read()?, Vec::new());
    contact::reconcile(&of_crm, &of_erp, &known).reviews(crm.id, &mut asked);
    let keep = "UPDATE record SET known = ?2, asked = ?3, answers = '{}' WHERE id = ?1";
    hub.execute(keep, (crm.id, to_string(&known)?, to_string(&asked)?))?;
    Ok((asked, misfits))
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
