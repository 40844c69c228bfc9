//! What the program knows of one company: the table of its workflow, the roles of its
//! people, its hours. This is the file to change for your own.

#[path = "../support/orders.rs"]
#[allow(dead_code, unreachable_pub, missing_debug_implementations)]
mod orders;

use integration_automation_patterns::workflow::{
    AnyRuling, Person, Role, WorkflowConfig,
};

use self::orders::{BillingDesk, Controller, CreditDesk, ErpDesk, HeadOfFinance, login};

pub(crate) use self::orders::order_to_cash::This;

/// The calendar and the directory of the clerk and the consumer: what follows from a
/// decision may ask people, within hours that count.
pub(crate) fn config() -> WorkflowConfig {
    WorkflowConfig::default()
}

/// Who decides, in whose place, and why.
pub(crate) struct Deciding<'a> {
    pub(crate) by: &'a str,
    pub(crate) instead_of: Option<&'a str>,
    pub(crate) reason: &'a str,
}

type Sit = fn(&Deciding<'_>) -> Result<AnyRuling, String>;

/// The roles that decide at some step.
const SEATS: [(&str, Sit); 5] = [
    (Controller::NAME, sit::<Controller>),
    (HeadOfFinance::NAME, sit::<HeadOfFinance>),
    (CreditDesk::NAME, sit::<CreditDesk>),
    (ErpDesk::NAME, sit::<ErpDesk>),
    (BillingDesk::NAME, sit::<BillingDesk>),
];

/// The ruling of a person in a role, by its name.
///
/// Who may run this program may give any name, as with a database's own shell. A program
/// for more people than those takes the name from its login instead.
pub(crate) fn ruling(role: &str, deciding: &Deciding<'_>) -> Result<AnyRuling, String> {
    match SEATS.iter().find(|(name, _)| *name == role) {
        Some((_, sit)) => sit(deciding),
        None => {
            let names = SEATS.map(|(name, _)| format!("{name:?}")).join(", ");
            Err(format!("wanted one of the roles {names} for --as, and found {role:?}"))
        }
    }
}

/// A ruling for what takes no role: the seat carries the name and the reason alone.
pub(crate) fn ruling_without_role(deciding: &Deciding<'_>) -> Result<AnyRuling, String> {
    sit::<Controller>(deciding)
}

fn sit<R: Role<Key = login::Key>>(deciding: &Deciding<'_>) -> Result<AnyRuling, String> {
    let person = |name| Person::new(name).map_err(|error| error.to_string());
    let mut seat = login::seat::<R>(deciding.by).map_err(|error| error.to_string())?;
    if let Some(away) = deciding.instead_of {
        seat = seat.instead_of(person(away)?);
    }
    let ruling = seat.decide(deciding.reason).map_err(|error| error.to_string())?;
    Ok(ruling.into())
}
