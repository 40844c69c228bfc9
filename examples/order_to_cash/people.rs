//! The people: who has which role, the seats that they decide from, and Carl, who answers
//! at once what a controller is asked.

use std::collections::BTreeMap;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::inbox::HandlerError;
use integration_automation_patterns::state::Acknowledged;
use integration_automation_patterns::workflow::{
    AnyRuling, Directory, Person, PersonError, Role,
};
use serde_json::Value;

use crate::Outcome;
use crate::orders::*;
use crate::question::{Answer, Decided, Question};

/// Who has which role. Anna asks, and so decides nothing.
pub(crate) fn directory() -> Result<BTreeMap<String, Vec<Person>>, PersonError> {
    let roles = [
        (Controller::NAME, vec!["anna", "carl"]),
        (HeadOfFinance::NAME, vec!["fay"]),
        (CreditDesk::NAME, vec!["dora"]),
        (ErpDesk::NAME, vec!["eve"]),
        (BillingDesk::NAME, vec!["bert"]),
    ];
    let people = |(role, names): (&str, Vec<&str>)| {
        let names = names.into_iter().map(Person::new).collect::<Result<_, _>>()?;
        Ok((role.to_owned(), names))
    };
    roles.into_iter().map(people).collect()
}

/// A decision from the seat of a person who has the role.
pub(crate) fn ruling(role: &str, name: &str, why: String) -> Outcome<AnyRuling> {
    fn from<R: Role<Key = login::Key>>(name: &str, why: String) -> Outcome<AnyRuling> {
        Ok(login::seat::<R>(name)?.decide(why)?.into())
    }
    let members = directory()?.members(role);
    if !members.contains(&Person::new(name)?) {
        let names: Vec<_> = members.iter().map(Person::name).collect();
        let why = format!("{name} is no {role}: wanted {}", names.join(" or "));
        return Err(why.into());
    }
    match role {
        Controller::NAME => from::<Controller>(name, why),
        HeadOfFinance::NAME => from::<HeadOfFinance>(name, why),
        CreditDesk::NAME => from::<CreditDesk>(name, why),
        ErpDesk::NAME => from::<ErpDesk>(name, why),
        _ => from::<BillingDesk>(name, why),
    }
}

/// The instance that a question is about.
pub(crate) fn asked_about(
    question: &Envelope<Acknowledged>,
) -> Result<String, HandlerError> {
    let asked: Value = serde_json::from_slice(question.payload().bytes())?;
    Ok(asked["instance"].as_str().unwrap_or_default().to_owned())
}

/// Carl is a controller: every other question waits for its people.
pub(crate) fn carl(question: Option<Question>) -> Outcome<Option<Decided>> {
    let is_his = |question: &Question| question.role == Controller::NAME;
    let Some(question) = question.filter(is_his) else { return Ok(None) };
    let yes = question.total <= 50_000;
    let why = if yes { "a good customer" } else { "too much for this customer" };
    let answer = Answer { by: "carl".to_owned(), yes, why: why.to_owned() };
    question.decided(answer).map(Some)
}
