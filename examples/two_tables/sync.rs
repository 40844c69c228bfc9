//! Two tables of one contract, and what keeps them in step.

use integration_automation_patterns::boundary;
use integration_automation_patterns::sync::declared::Visit;
use integration_automation_patterns::sync::sqlite::SystemRow;
use integration_automation_patterns::sync::{
    Answer, Capability, Choice, FieldPlan, Misfit, Review, System,
};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
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

pub(crate) const TABLES: &str = "
    CREATE TABLE record (id TEXT PRIMARY KEY, memory TEXT NOT NULL DEFAULT '{}');
    CREATE TABLE answer (id TEXT, field TEXT, answer TEXT, PRIMARY KEY (id, field))";

/// What is stored of a record between runs.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    known: contact::Bases,
    refused: contact::Refusals,
    kept: contact::KeptForms,
    pub(crate) asked: Vec<Review<Value>>,
    pub(crate) overridden: Overridden,
}

/// The edits that plans have overridden: the field, the system, and its value. Each is on
/// record before; one that its system has refused or replaced meanwhile is so too.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Overridden(pub(crate) Vec<(String, String, Option<Value>)>);

impl<T: Clone + PartialEq + Into<Value>> Visit<FieldPlan<'_, T>> for Overridden {
    fn visit(&mut self, field: &'static str, plan: FieldPlan<'_, T>) {
        for write in plan.writes() {
            let (field, system) =
                (field.to_owned(), contact::SYSTEMS[write.to()].to_owned());
            let edit =
                write.lost().map(|edit| edit.into_option().cloned().map(Into::into));
            let edit = edit.map(|value| (field, system, value));
            self.0.extend(edit.filter(|edit| !self.0.contains(edit)));
        }
    }
}

impl Memory {
    fn of(hub: &Connection, id: &str) -> Outcome<Self> {
        let select = "SELECT memory FROM record WHERE id = ?1";
        Ok(from_str(&hub.query_row(select, [id], |row| row.get::<_, String>(0))?)?)
    }

    fn store(&self, hub: &Connection, id: &str) -> Outcome<()> {
        let update = "UPDATE record SET memory = ?2 WHERE id = ?1";
        hub.execute(update, (id, to_string(self)?))?;
        Ok(())
    }

    fn add(
        &mut self,
        known: contact::Bases,
        refused: contact::Refusals,
        kept: contact::KeptForms,
    ) {
        self.known = known;
        self.refused.add(refused);
        self.kept.add(kept);
    }

    fn seen(
        &self,
        crm: &SystemRow<'_, Crm>,
        erp: &SystemRow<'_, Erp>,
    ) -> Outcome<(contact::Snapshot<Crm>, contact::Snapshot<Erp>)> {
        let (crm, erp): (contact::Snapshot<_>, contact::Snapshot<_>) =
            (crm.read()?, erp.read()?);
        let (kept, known) = (&self.kept, &self.known);
        Ok((crm.as_kept(kept, known), erp.as_kept(kept, known)))
    }
}

/// Carries out what may be written to one record, with what was answered since, and
/// stores what came of it. Gives that, and why each answer that was not carried out was
/// not.
pub(crate) fn synchronise(
    hub: &Connection,
    id: &str,
    crm: &mut SystemRow<'_, Crm>,
    erp: &mut SystemRow<'_, Erp>,
) -> Outcome<(Memory, Vec<Misfit>)> {
    let (mut memory, answers) = (Memory::of(hub, id)?, answers(hub, id)?);
    let given = answers.iter().map(|(field, answer)| format!("{field:?}: {answer}"));
    let given = from_str(&format!("{{{}}}", given.collect::<Vec<_>>().join(", ")))?;
    let (of_crm, of_erp) = memory.seen(crm, erp)?;
    let Memory { known, refused, .. } = &memory;
    let plan = contact::reconcile(&of_crm, &of_erp, known);
    let plan = plan.after_refusals(refused).about(id);

    // Stored before the writes. If the program dies among them, no edit is overridden
    // without record, and the next run takes what was written for nobody's edit.
    let mut begun = Memory::of(hub, id)?;
    begun.known = plan.intent();
    plan.each(&mut begun.overridden);
    begun.store(hub, id)?;

    let misfits = match plan.apply(given, crm, erp) {
        Ok(done) => {
            begun.add(done.bases, done.refused, done.kept);
            done.misfits
        }
        Err(stopped) => {
            // The answers stay as they are stored, for the next run.
            let (so_far, cause) = stopped.into_parts();
            begun.add(so_far.bases, so_far.refused, so_far.kept);
            begun.store(hub, id)?;
            return Err(cause.into());
        }
    };
    memory = begun;
    let (of_crm, of_erp) = memory.seen(crm, erp)?;
    let plan = contact::reconcile(&of_crm, &of_erp, &memory.known);
    memory.asked.clear();
    plan.after_refusals(&memory.refused).reviews(id, &mut memory.asked);
    // In one transaction: an answer goes with what came of it.
    let done = hub.unchecked_transaction()?;
    for (field, answer) in answers {
        let leaves = *from_str::<Answer<Value>>(&answer)?.choice() == Choice::Leave;
        if leaves && misfits.iter().all(|misfit| misfit.field != field) {
            // It lasts until a side changes, and then is a misfit.
            memory.asked.retain(|row| row.field.as_ref() != Some(&field));
        } else {
            let delete = "DELETE FROM answer WHERE (id, field, answer) = (?1, ?2, ?3)";
            done.execute(delete, (id, field, answer))?;
        }
    }
    memory.store(&done, id)?;
    done.commit()?;
    Ok((memory, misfits))
}

/// The answers about a record, each with its field.
fn answers(hub: &Connection, id: &str) -> Outcome<Vec<(String, String)>> {
    let mut select = hub.prepare("SELECT field, answer FROM answer WHERE id = ?1")?;
    let rows = select.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps what a person answers to one question, as the person has seen it.
pub(crate) fn answer(hub: &Connection, given: &Answer<Value>) -> Outcome<()> {
    let insert = "INSERT OR REPLACE INTO answer VALUES (?1, ?2, ?3)";
    let seen = given.seen();
    hub.execute(insert, (&seen.record_id, &seen.field, to_string(given)?))?;
    Ok(())
}
