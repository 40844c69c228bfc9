//! The people: a question comes as an event, and the decision goes back with a seat, a
//! name and a reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use integration_automation_patterns::Envelope;
use integration_automation_patterns::inbox::HandlerError;
use integration_automation_patterns::state::Acknowledged;
use integration_automation_patterns::workflow::{
    AnyRuling, Choice, Driven, InstanceId, Person, PersonError, Wire, WorkflowConfig,
    sqlite as workflows,
};
use rusqlite::TransactionBehavior;
use serde_json::Value;

use crate::table::order_to_cash::This;
use crate::table::{Controller, Order, login};

/// Who has which role. Anna asks, and so decides nothing.
pub(crate) fn directory() -> Result<BTreeMap<String, Vec<Person>>, PersonError> {
    let roles = [
        ("controller", vec!["anna", "carl"]),
        ("head of finance", vec!["fay"]),
        ("credit desk", vec!["dora"]),
        ("erp desk", vec!["eve"]),
        ("billing desk", vec!["bert"]),
    ];
    let people = |(role, names): (&str, Vec<&str>)| {
        let names = names.into_iter().map(Person::new).collect::<Result<_, _>>()?;
        Ok((role.to_owned(), names))
    };
    roles.into_iter().map(people).collect()
}

/// The desk at which Carl sits.
pub(crate) struct People {
    orders: PathBuf,
    config: WorkflowConfig,
}

impl People {
    pub(crate) fn new(orders: &Path, config: WorkflowConfig) -> Self {
        Self { orders: orders.to_owned(), config }
    }

    /// Answers what a controller is asked; every other question waits for its people.
    pub(crate) fn answer(
        &self,
        question: &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError> {
        let asked: Value = serde_json::from_slice(question.payload().bytes())?;
        let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
        if (text("kind"), text("role")) != ("approval".into(), "controller".into()) {
            return Ok(());
        }
        let order = Order::read(text("shown").as_bytes())?;
        let carl = login::seat::<Controller>("carl")?;
        let (choice, why) = if order.cents > 5_000_000 {
            (Choice::Refuse, "too much for this customer")
        } else {
            (Choice::Approve(text("seen").parse()?), "a good customer")
        };
        self.decide(order.number, choice, carl.decide(why)?.into())
    }

    /// One transaction for the decision and what follows from it.
    fn decide(
        &self,
        number: u32,
        choice: Choice,
        ruling: AnyRuling,
    ) -> Result<(), HandlerError> {
        let mut orders = crate::open(&self.orders)?;
        let desk = orders.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = InstanceId::<This>::of(&format!("order {number}"))?;
        let Some(at) = workflows::load(&desk, &id)? else { return Ok(()) };
        // A question that comes again is closed by then, and nothing is to be done.
        let Ok(step) = This::decide(at, choice, ruling) else { return Ok(()) };
        let stored = workflows::store(&desk, step, &self.config);
        stored.map_err(|refused| refused.into_cause())?;
        Ok(desk.commit()?)
    }
}
