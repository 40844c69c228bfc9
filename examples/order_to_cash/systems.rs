//! CRM, ERP and billing, in one file: each command has its effect once, or none after its
//! undo, and is answered in the same transaction.

use std::error::Error;
use std::path::Path;

use integration_automation_patterns::inbox::sqlite::{Handle, Sqlite};
use integration_automation_patterns::inbox::worker::Handlers;
use integration_automation_patterns::inbox::{self, HandlerError, InboxConfig};
use integration_automation_patterns::outbox;
use integration_automation_patterns::state::Acknowledged;
use integration_automation_patterns::workflow::{
    self, Correlation, Forestall, Forestalled, QuestionAsked, QuestionClosed, Undo, Wire,
    WorkflowConfig, sqlite as workflows,
};
use integration_automation_patterns::{Envelope, Event};
use rusqlite::{OptionalExtension, Transaction};

use crate::people::People;
use crate::table::*;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS credit (number PRIMARY KEY, cents, released DEFAULT 0);
    CREATE TABLE IF NOT EXISTS stock (number PRIMARY KEY, freed DEFAULT 0);
    CREATE TABLE IF NOT EXISTS erp_order (number PRIMARY KEY, cents, instance);
    CREATE TABLE IF NOT EXISTS invoice (number PRIMARY KEY, cents);";

/// The handler of all commands; questions go to the people.
pub(crate) fn handlers(
    systems: &Path,
    orders: &Path,
    memory: InboxConfig,
    config: WorkflowConfig,
) -> Result<Handlers<Sqlite, impl Handle>, Box<dyn Error>> {
    let mut database = crate::open(systems)?;
    outbox::sqlite::install(&mut database)?;
    database.execute_batch(TABLES)?;
    let people = People::new(orders, config);
    Ok(inbox::sqlite::handlers().otherwise(move |systems, event| {
        match event.event_type() {
            QuestionAsked::TYPE => people.answer(event),
            QuestionClosed::TYPE => Ok(()),
            _ => serve(systems, event, &memory),
        }
    }))
}

fn serve(
    systems: &Transaction<'_>,
    command: &Envelope<Acknowledged>,
    memory: &InboxConfig,
) -> Result<(), HandlerError> {
    let undo = workflows::undoing(systems, command, memory)?;
    if undo == Undo::Forgotten {
        let why = "nobody knows any more whether this was done";
        return Err(HandlerError::permanent(why));
    }
    if command.event_type() == Forestall::TYPE {
        return forestalled(systems, command, undo);
    }
    let order = Order::read(command.payload().bytes())?;
    let (number, case) = (order.number, order.number % 8);
    let insert = |sql| systems.execute(sql, (number, order.cents)).map(drop);
    match (command.event_type(), case) {
        (ReserveCredit::TYPE, 1) => answer(systems, command, &CreditRefused(order)),
        (ReserveCredit::TYPE, _) => {
            insert("INSERT INTO credit (number, cents) VALUES (?1, ?2)")?;
            // The answer for one order in eight is lost.
            if case == 2 {
                Ok(())
            } else {
                answer(systems, command, &CreditReserved(order))
            }
        }
        (ReleaseCredit::TYPE, _) => {
            let release = "UPDATE credit SET released = 1 WHERE number = ?1";
            systems.execute(release, [number])?;
            answer(systems, command, &CreditReleased(order))
        }
        (HoldStock::TYPE, _) => {
            systems.execute("INSERT INTO stock (number) VALUES (?1)", [number])?;
            answer(systems, command, &StockHeld(order))
        }
        (FreeStock::TYPE, _) => {
            let free = "UPDATE stock SET freed = 1 WHERE number = ?1";
            systems.execute(free, [number])?;
            answer(systems, command, &StockFreed(order))
        }
        (CreateOrder::TYPE, 5) => Err(HandlerError::transient("the ERP is being closed")),
        (CreateOrder::TYPE, 7) => answer(systems, command, &OrderRefused(order)),
        (CreateOrder::TYPE, _) => {
            let created = "INSERT INTO erp_order VALUES (?1, ?2, ?3)";
            systems.execute(created, (number, order.cents, instance(command)?))?;
            if case == 6 {
                Ok(())
            } else {
                answer(systems, command, &OrderCreated(order))
            }
        }
        (IssueInvoice::TYPE, _) => {
            insert("INSERT INTO invoice VALUES (?1, ?2)")?;
            answer(systems, command, &InvoiceIssued(order))
        }
        (other, _) => Err(HandlerError::permanent(format!("nobody here does {other}"))),
    }
}

/// The ERP says whether an order was created; if not, it never will be.
fn forestalled(
    systems: &Transaction<'_>,
    command: &Envelope<Acknowledged>,
    undo: Undo,
) -> Result<(), HandlerError> {
    let find = "SELECT number, cents FROM erp_order WHERE instance = ?1";
    let found = systems.query_row(find, [instance(command)?], |row| {
        Ok(Order { number: row.get(0)?, cents: row.get(1)? })
    });
    match found.optional()? {
        Some(order) if undo == Undo::Of => answer(systems, command, &OrderCreated(order)),
        _ => answer(systems, command, &Forestalled),
    }
}

/// The instance that a command belongs to.
fn instance(command: &Envelope<Acknowledged>) -> Result<String, HandlerError> {
    let text = command.correlation_id().unwrap_or_default();
    Ok(text.parse::<Correlation>()?.instance().to_string())
}

/// The reply, by the outbox of the transaction that has the effect.
fn answer<R: Event + Wire>(
    systems: &Transaction<'_>,
    command: &Envelope<Acknowledged>,
    reply: &R,
) -> Result<(), HandlerError> {
    let reply = workflow::answer(command, "systems", reply)?.build();
    let reply = reply.map_err(|refused| refused.into_cause())?;
    outbox::sqlite::enqueue(systems, reply).map_err(|refused| refused.into_cause())?;
    Ok(())
}
