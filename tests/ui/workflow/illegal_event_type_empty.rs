//! An event without a TYPE
//@ code: E0080
//@ error: evaluation panicked: the TYPE of `SendReminder` is empty: a receiver knows an event by its TYPE
//@ away: the error stands at the declaration
//@ twin: "" => "billing.reminder.send"

use integration_automation_patterns::workflow::{Wire, WireError};
use integration_automation_patterns::{Event, workflow};
use ui::orders::{BillingDesk, InvoiceIssued, IssueInvoice, Order};

pub struct SendReminder;

impl Event for SendReminder {
    const TYPE: &'static str = ""; //@ here
}

impl Wire for SendReminder {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        Ok(Vec::new())
    }

    fn read(_: &[u8]) -> Result<Self, WireError> {
        Ok(Self)
    }
}

workflow! {
    pub mod job of Order, version 1 {
        retriable issue: IssueInvoice => InvoiceIssued, within 2 d else asks BillingDesk within 1 d;
        retriable remind: SendReminder => InvoiceIssued, within 2 d else asks BillingDesk within 1 d;
    }
}

impl job::Ask for Order {
    fn issue(&self) -> IssueInvoice {
        IssueInvoice
    }

    fn remind(&self) -> SendReminder {
        SendReminder
    }
}

impl job::Undo for Order {}

impl job::Learn for Order {
    fn issue(&mut self, _: InvoiceIssued) {}
    fn remind(&mut self, _: InvoiceIssued) {}
}
