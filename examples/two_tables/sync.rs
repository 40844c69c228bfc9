//! Two tables of one contract, and what keeps them in step.

use integration_automation_patterns::boundary;
use integration_automation_patterns::sync::sqlite::SystemRow;
use integration_automation_patterns::sync::{Answer, Capability, Misfit, Review, System};
use rusqlite::Connection;
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

/// Carries out what may be written to one record, with what was answered since, and keeps
/// what is known in common and what is asked. Gives the questions, and why each answer
/// that was not carried out was not.
pub(crate) fn synchronise(
    hub: &Connection,
    id: &str,
    crm: &mut SystemRow<'_, Crm>,
    erp: &mut SystemRow<'_, Erp>,
) -> Outcome<(Vec<Review<Value>>, Vec<Misfit>)> {
    let kept = "SELECT known, answers FROM record WHERE id = ?1";
    let (known, answers): (String, String) =
        hub.query_row(kept, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (of_crm, of_erp, known) = (crm.read()?, erp.read()?, from_str(&known)?);
    let plan = contact::reconcile(&of_crm, &of_erp, &known).about(id);
    let (known, misfits) = match plan.apply(from_str(&answers)?, crm, erp) {
        Ok(carried) => (carried.bases, carried.misfits),
        Err(stopped) => {
            // The answers stay as they are stored, for the next run.
            let known = to_string(&stopped.value().bases)?;
            hub.execute("UPDATE record SET known = ?2 WHERE id = ?1", (id, known))?;
            return Err(stopped.into_cause().into());
        }
    };

    let (of_crm, of_erp, mut asked) = (crm.read()?, erp.read()?, Vec::new());
    contact::reconcile(&of_crm, &of_erp, &known).reviews(id, &mut asked);
    let keep = "UPDATE record SET known = ?2, asked = ?3, answers = '{}' WHERE id = ?1";
    hub.execute(keep, (id, to_string(&known)?, to_string(&asked)?))?;
    Ok((asked, misfits))
}

/// Keeps what a person answers to one question, as the person has seen it.
pub(crate) fn answer(hub: &Connection, given: &Answer<Value>) -> Outcome<()> {
    let keep = "UPDATE record SET answers = json_set(answers, '$.' || ?2, json(?3))
                WHERE id = ?1";
    hub.execute(keep, (&given.seen().record_id, &given.seen().field, to_string(given)?))?;
    Ok(())
}
