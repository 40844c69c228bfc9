//! A question to people: what an instance asks at its stage, and what yes and no mean
//! there.

use std::collections::BTreeMap;

use integration_automation_patterns::workflow::{
    AnyAdvance, AnyRuling, Choice, Driven, Instance, InstanceId, Role, Stage,
};
use integration_automation_patterns::{Event, RawEvent};

use crate::database::Database;
use crate::orders::order_to_cash::{Any, This, at};
use crate::orders::*;
use crate::{Outcome, key, people};

/// A question that is open.
pub(crate) struct Question {
    pub(crate) number: u32,
    /// The revision of the instance that asks.
    pub(crate) revision: u64,
    pub(crate) text: String,
    /// The role that is asked.
    pub(crate) role: &'static str,
    pub(crate) total: u64,
    yes: Choice,
    no: Choice,
}

/// What a person answers.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) by: String,
    pub(crate) yes: bool,
    pub(crate) why: String,
}

/// What a person has decided, about the instance as they saw it.
pub(crate) struct Decided {
    pub(crate) id: InstanceId<This>,
    revision: u64,
    choice: Choice,
    ruling: AnyRuling,
}

impl Question {
    /// What an order asks, where it asks people at all.
    pub(crate) fn of(at: &Any, number: u32) -> Option<Self> {
        let happened = |reply| Choice::Happened(RawEvent::new(reply, b"{}"));
        let never = Choice::DidNotHappen { though_sent: false };
        Some(match at {
            Any::Awaiting(at::Awaiting::over_limit(at)) => {
                let is_escalated = at.question().is_some_and(|asked| asked.level > 0);
                let role =
                    if is_escalated { HeadOfFinance::NAME } else { Controller::NAME };
                let text = format!("is above the limit with {} euros", at.data().total);
                let text = format!("{text}: may it be created?");
                open(at, number, text, role, Choice::Approve(at.asked()), Choice::Refuse)
            }
            Any::Parked(at::Parked::create_order(at)) => {
                let (text, yes) = ("did the ERP create it?", OrderCreated::TYPE);
                open(at, number, text, ErpDesk::NAME, happened(yes), never)
            }
            Any::Parked(at::Parked::notify_billing(at)) => {
                let (text, yes) = ("is its invoice issued?", InvoiceIssued::TYPE);
                open(at, number, text, BillingDesk::NAME, happened(yes), Choice::AskAgain)
            }
            Any::Stuck(at::Stuck::reserve_credit(at)) => {
                let (text, yes) = ("is its credit released?", CreditReleased::TYPE);
                open(at, number, text, CreditDesk::NAME, happened(yes), Choice::AskAgain)
            }
            Any::Stuck(at::Stuck::hold_stock(at)) => {
                let (text, yes) = ("is its stock free again?", StockFreed::TYPE);
                open(at, number, text, ErpDesk::NAME, happened(yes), Choice::AskAgain)
            }
            _ => return None,
        })
    }

    /// The decision that an answer comes to: it counts for this question alone.
    pub(crate) fn decided(&self, answer: Answer) -> Outcome<Decided> {
        let ruling = people::ruling(self.role, &answer.by, answer.why)?;
        let choice = if answer.yes { &self.yes } else { &self.no };
        let (id, revision) = (key(self.number)?, self.revision);
        Ok(Decided { id, revision, choice: choice.clone(), ruling })
    }
}

impl Decided {
    /// The step that follows; none where the instance has moved since.
    pub(crate) fn step(self, at: Any) -> Outcome<Option<AnyAdvance<This>>> {
        let (at, standing) = This::standing(at);
        if standing.revision != self.revision {
            return Ok(None);
        }
        let step = This::decide(at, self.choice, self.ruling);
        Ok(Some(step.map_err(|refused| refused.into_cause())?))
    }
}

fn open<S: Stage<Workflow = This>>(
    at: &Instance<S>,
    number: u32,
    text: impl Into<String>,
    role: &'static str,
    yes: Choice,
    no: Choice,
) -> Question {
    let (revision, total) = (at.revision(), at.data().total);
    Question { number, revision, text: text.into(), role, total, yes, no }
}

/// The questions that are open, in the order in which their instances moved last.
pub(crate) async fn open_questions(
    database: &impl Database,
    orders: u32,
) -> Outcome<Vec<Question>> {
    let numbers = (0..orders).map(|number| Ok((key(number)?.to_string(), number)));
    let numbers = numbers.collect::<Outcome<BTreeMap<_, _>>>()?;
    let mut questions = Vec::new();
    for waiting in database.waiting().await? {
        let Some(number) = numbers.get(&waiting.id) else { continue };
        if let Some(at) = database.load(&key(*number)?).await? {
            questions.extend(Question::of(&at, *number));
        }
    }
    Ok(questions)
}
