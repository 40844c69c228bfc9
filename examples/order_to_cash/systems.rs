//! CRM, ERP and billing, the participants: what each does with a command, whichever the
//! database. A command has its effect once, or none after its undo, and is answered in
//! the same transaction.

use integration_automation_patterns::inbox::HandlerError;
use integration_automation_patterns::state::{Acknowledged, Pending};
use integration_automation_patterns::workflow::{
    self, Correlation, Forestall, Forestalled, Undo, Wire,
};
use integration_automation_patterns::{Envelope, Event};

use crate::orders::*;

/// The tables of the three systems, in the words of both databases.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS crm_order
        (instance text PRIMARY KEY, number bigint NOT NULL, total bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS credit (instance text PRIMARY KEY, total bigint NOT NULL,
        released boolean NOT NULL DEFAULT FALSE);
    CREATE TABLE IF NOT EXISTS stock
        (instance text PRIMARY KEY, freed boolean NOT NULL DEFAULT FALSE);
    CREATE TABLE IF NOT EXISTS erp_order
        (instance text PRIMARY KEY, total bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS invoice
        (instance text PRIMARY KEY, total bigint NOT NULL);";

/// Puts an order into the CRM, unless it is there.
pub(crate) const ADD: &str =
    "INSERT INTO crm_order VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// The number of an order, and whether the ERP has created it.
pub(crate) const FIND: &str =
    "SELECT number, EXISTS (SELECT 1 FROM erp_order WHERE instance = $1)
     FROM crm_order WHERE instance = $1";

const RESERVE: &str = "INSERT INTO credit (instance, total)
    SELECT instance, total FROM crm_order WHERE instance = $1";
const RELEASE: &str = "UPDATE credit SET released = TRUE WHERE instance = $1";
const HOLD: &str = "INSERT INTO stock (instance) VALUES ($1)";
const FREE: &str = "UPDATE stock SET freed = TRUE WHERE instance = $1";
const CREATE: &str = "INSERT INTO erp_order VALUES ($1, $2)";
const INVOICE: &str = "INSERT INTO invoice
    SELECT instance, total FROM erp_order WHERE instance = $1";

/// The order of this number. Of eight orders, one is above the limit, and one far above
/// it.
pub(crate) fn order(number: u32) -> Order {
    Order::of(match number % 8 {
        3 => 20_000,
        4 => 90_000,
        _ => 900,
    })
}

/// What the systems know when a command arrives.
pub(crate) struct Known {
    pub(crate) undo: Undo,
    pub(crate) number: i64,
    pub(crate) created: bool,
}

/// What a command comes to.
pub(crate) struct Act {
    pub(crate) effect: Option<Effect>,
    pub(crate) reply: Option<Envelope<Pending>>,
}

/// A statement about an instance, `$1`, and a total, `$2`, where it takes one.
pub(crate) struct Effect {
    pub(crate) sql: &'static str,
    pub(crate) total: Option<i64>,
}

/// Decides what a command comes to. What happens to an order follows from its number: of
/// eight, some are refused, and of some an answer is lost.
pub(crate) fn act(
    command: &Envelope<Acknowledged>,
    known: &Known,
) -> Result<Act, HandlerError> {
    if known.undo == Undo::Forgotten {
        let why = "nobody knows any more whether this was done";
        return Err(HandlerError::permanent(why));
    }
    let does = |sql| Some(Effect { sql, total: None });
    let (effect, reply) = match (command.event_type(), known.number % 8) {
        (ReserveCredit::TYPE, 1) => (None, answer(command, &CreditRefused)?),
        (ReserveCredit::TYPE, 2) => (does(RESERVE), None),
        (ReserveCredit::TYPE, _) => (does(RESERVE), answer(command, &CreditReserved)?),
        (ReleaseCredit::TYPE, _) => (does(RELEASE), answer(command, &CreditReleased)?),
        (HoldStock::TYPE, _) => (does(HOLD), answer(command, &StockHeld)?),
        (FreeStock::TYPE, _) => (does(FREE), answer(command, &StockFreed)?),
        (CreateOrder::TYPE, 5) => {
            return Err(HandlerError::transient("the ERP is being closed"));
        }
        (CreateOrder::TYPE, 7) => (None, answer(command, &OrderRefused)?),
        (CreateOrder::TYPE, case) => {
            let CreateOrder { total } = CreateOrder::read(command.payload().bytes())?;
            let create = Effect { sql: CREATE, total: Some(i64::try_from(total)?) };
            let is_lost = case == 6;
            let reply = if is_lost { None } else { answer(command, &OrderCreated)? };
            (Some(create), reply)
        }
        (IssueInvoice::TYPE, _) => (does(INVOICE), answer(command, &InvoiceIssued)?),
        // The ERP says whether the order was created; if not, it never will be.
        (Forestall::TYPE, _) if known.undo == Undo::Of && known.created => {
            (None, answer(command, &OrderCreated)?)
        }
        (Forestall::TYPE, _) => (None, answer(command, &Forestalled)?),
        (other, _) => {
            let why = format!("no system here does {other}");
            return Err(HandlerError::permanent(why));
        }
    };
    Ok(Act { effect, reply })
}

/// The instance that a command belongs to: the key of all tables.
pub(crate) fn instance(command: &Envelope<Acknowledged>) -> Result<String, HandlerError> {
    let text = command.correlation_id().unwrap_or_default();
    Ok(text.parse::<Correlation>()?.instance().to_string())
}

fn answer<R: Event + Wire>(
    command: &Envelope<Acknowledged>,
    reply: &R,
) -> Result<Option<Envelope<Pending>>, HandlerError> {
    let reply = workflow::answer(command, "systems", reply)?.build();
    Ok(Some(reply.map_err(|refused| refused.into_cause())?))
}
