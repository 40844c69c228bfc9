//! A version 2 that forgets what version 1 has done.

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::{Follow, Follows, RecordError};

use crate::orders::order_to_cash::{self as version_one, Any as Old, at};
use crate::orders::*;

workflow! {
    pub(crate) mod order_to_cash of Order requested by Sales, version 2 follows version_one {
        compensatable hold_stock: HoldStock => StockHeld | StockRefused,
            undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h,
            within 15 min else undo;
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}

use self::order_to_cash::{Any, Awaiting, This, step};

impl Follows<version_one::This> for This {
    fn follow(old: Old, to: Follow<Self>) -> Result<Any, RecordError> {
        match old {
            Old::Awaiting(
                at::Awaiting::reserve_credit(_) | at::Awaiting::hold_stock(_),
            ) => to.stage::<Awaiting<step::hold_stock>>(Order::of(0)),
            _ => to.refuse("the ERP has moved"),
        }
    }
}

impl order_to_cash::Ask for Order {
    fn hold_stock(&self) -> HoldStock {
        HoldStock
    }

    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl order_to_cash::Undo for Order {
    fn hold_stock(&self) -> FreeStock {
        FreeStock
    }
}

impl order_to_cash::Learn for Order {
    fn hold_stock(&mut self, _: StockHeld) {}

    fn notify_billing(&mut self, _: InvoiceIssued) {}
}
