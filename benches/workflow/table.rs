//! The workflow that is measured, and its replies.

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::workflow::{InstanceId, Role, Wire, WireError};
use integration_automation_patterns::{Envelope, Event, RawEvent, workflow};

use super::Outcome;

/// What an order, its commands and its replies say.
pub(crate) const CONTENT: &str =
    r#"{"order":4711,"customer":"ada@engines.example","cents":129900,"currency":"EUR"}"#;

macro_rules! messages {
    ($($name:ident $text:literal;)*) => { $(
        pub(crate) struct $name;

        impl Event for $name {
            const TYPE: &'static str = $text;
        }

        impl Wire for $name {
            fn write(&self) -> Result<Vec<u8>, WireError> {
                Ok(CONTENT.as_bytes().to_vec())
            }

            fn read(_: &[u8]) -> Result<Self, WireError> {
                Ok(Self)
            }
        }
    )* };
}

messages! {
    Order "crm.order.held";
    Reserve "erp.stock.reserve";
    Reserved "erp.stock.reserved";
    OutOfStock "erp.stock.refused";
    Release "erp.stock.release";
    Released "erp.stock.released";
    Create "erp.order.create";
    Created "erp.order.created";
    Refused "erp.order.refused";
    Bill "billing.invoice.issue";
    Billed "billing.invoice.issued";
}

pub(crate) enum Desk {}
pub(crate) struct Key(());

impl Role for Desk {
    const NAME: &'static str = "desk";
    type Key = Key;
}

workflow! {
    pub(crate) mod orders of Order, version 1 {
        compensatable reserve: Reserve => Reserved | OutOfStock,
            undone by Release => Released within 1 h else asks Desk within 4 h,
            within 15 min else undo;
        pivot create: Create => Created | Refused, within 1 h else asks Desk within 4 h;
        retriable bill: Bill => Billed, within 2 d else asks Desk within 1 d;
    }
}

impl orders::Ask for Order {
    fn reserve(&self) -> Reserve {
        Reserve
    }

    fn create(&self) -> Create {
        Create
    }

    fn bill(&self) -> Bill {
        Bill
    }
}

impl orders::Undo for Order {
    fn reserve(&self) -> Release {
        Release
    }
}

impl orders::Learn for Order {
    fn reserve(&mut self, _: Reserved) {}

    fn create(&mut self, _: Created) {}

    fn bill(&mut self, _: Billed) {}
}

pub(crate) type Id = InstanceId<orders::This>;

/// An id that no other instance has.
pub(crate) fn fresh_id() -> Outcome<Id> {
    Ok(Id::of(&integration_automation_patterns::EventId::generate().to_string())?)
}

/// The replies to the three steps of an instance, in their order.
pub(crate) fn replies(id: &Id) -> Outcome<Vec<Envelope<Pending>>> {
    let steps =
        [("reserve", Reserved::TYPE), ("create", Created::TYPE), ("bill", Billed::TYPE)];
    let reply = |(step, event_type): (&str, &'static str)| {
        let correlation = format!("orders/{id}/{step}/do");
        let reply = Envelope::builder("erp", RawEvent::new(event_type, CONTENT));
        Ok(reply.correlation_id(correlation).build()?)
    };
    steps.into_iter().map(reply).collect()
}
