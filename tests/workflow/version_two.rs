// Version 2 of the workflow of `orders`: small orders pay their shipping, and a silent
// pivot is put to people at once. Included by the tests of both kinds of store.

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::{
    Cleared, Follow, Follows, RecordError, Wire, WireError,
};

use crate::orders::order_to_cash::{Any as Old, This as One, at as old};
use crate::orders::*;

/// An order with its shipping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shipped {
    pub(crate) total: u64,
}

impl Shipped {
    fn is_over_limit(&self) -> bool {
        self.total > 10_000
    }
}

impl From<&Order> for Shipped {
    fn from(order: &Order) -> Self {
        let shipping = if order.total < 50_000 { 50 } else { 0 };
        Self { total: order.total + shipping }
    }
}

impl Wire for Shipped {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        Ok(format!("shipped {}", self.total).into_bytes())
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let text = std::str::from_utf8(bytes).map_err(WireError::new)?;
        let total = text.strip_prefix("shipped ").unwrap_or_default();
        Ok(Self { total: total.parse().map_err(WireError::new)? })
    }
}

workflow! {
    /// From the order in the CRM to the invoice, with shipping.
    pub(crate) mod order_to_cash of Shipped requested by Sales, version 2 follows version_one {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
            within 15 min else undo;
        compensatable hold_stock: HoldStock => StockHeld | StockRefused,
            undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h,
            within 15 min else undo;
        approval over_limit of Quote when Shipped::is_over_limit:
            asks Controller within 24 h remind after 8 h then HeadOfFinance within 24 h else refuse;
        pivot create_order needs over_limit: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks ErpDesk within 4 h;
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}

use self::order_to_cash::{Any, Awaiting, Parked, Stuck, This, Undoing, step};
use crate::orders::order_to_cash as version_one;

impl Follows<One> for This {
    fn follow(at: Old, to: Follow<Self>) -> Result<Any, RecordError> {
        use integration_automation_patterns::workflow::{Completed, GivenUp, Undone};
        use old::Awaiting as Was;

        match at {
            Old::Awaiting(Was::reserve_credit(at)) => {
                to.stage::<Awaiting<step::reserve_credit>>(at.data().into())
            }
            Old::Awaiting(Was::hold_stock(at)) => {
                to.stage::<Awaiting<step::hold_stock>>(at.data().into())
            }
            Old::Awaiting(Was::over_limit(at)) => {
                to.stage::<Awaiting<step::over_limit>>(at.data().into())
            }
            Old::Awaiting(Was::create_order(at)) => {
                to.stage::<Awaiting<step::create_order>>(at.data().into())
            }
            Old::Awaiting(Was::notify_billing(at)) => {
                to.stage::<Awaiting<step::notify_billing>>(at.data().into())
            }
            Old::Forestalling(old::Forestalling::create_order(at)) => {
                to.stage::<Parked<step::create_order>>(at.data().into())
            }
            Old::Parked(old::Parked::create_order(at)) => {
                to.stage::<Parked<step::create_order>>(at.data().into())
            }
            Old::Parked(old::Parked::notify_billing(at)) => {
                to.stage::<Parked<step::notify_billing>>(at.data().into())
            }
            Old::Undoing(old::Undoing::reserve_credit(at)) => {
                to.stage::<Undoing<step::reserve_credit>>(at.data().into())
            }
            Old::Undoing(old::Undoing::hold_stock(at)) => {
                to.stage::<Undoing<step::hold_stock>>(at.data().into())
            }
            Old::Stuck(old::Stuck::reserve_credit(at)) => {
                to.stage::<Stuck<step::reserve_credit>>(at.data().into())
            }
            Old::Stuck(old::Stuck::hold_stock(at)) => {
                to.stage::<Stuck<step::hold_stock>>(at.data().into())
            }
            Old::Completed(at) => to.stage::<Completed<Self>>(at.data().into()),
            Old::Undone(at) => to.stage::<Undone<Self>>(at.data().into()),
            Old::GivenUp(at) => to.stage::<GivenUp<Self>>(at.data().into()),
        }
    }
}

impl order_to_cash::Ask for Shipped {
    fn reserve_credit(&self) -> ReserveCredit {
        ReserveCredit
    }

    fn hold_stock(&self) -> HoldStock {
        HoldStock
    }

    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }

    fn create_order(&self, cleared: &Cleared<step::over_limit>) -> CreateOrder {
        CreateOrder { total: cleared.shown().total }
    }

    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl order_to_cash::Undo for Shipped {
    fn reserve_credit(&self) -> ReleaseCredit {
        ReleaseCredit
    }

    fn hold_stock(&self) -> FreeStock {
        FreeStock
    }
}

impl order_to_cash::Learn for Shipped {
    fn reserve_credit(&mut self, _: CreditReserved) {}

    fn hold_stock(&mut self, _: StockHeld) {}

    fn create_order(&mut self, _: OrderCreated) {}

    fn notify_billing(&mut self, _: InvoiceIssued) {}
}
