//! Version 3 of the workflow of `orders`: dear orders need a second approval, two
//! controllers must agree, and a parked invoice is awaited again.

use integration_automation_patterns::workflow;
use integration_automation_patterns::workflow::{
    Cleared, Completed, Follow, Follows, GivenUp, RecordError, Undone,
};

use crate::orders::*;
use crate::version_two::Shipped;
use crate::version_two::order_to_cash::{
    self as version_two, Any as Old, This as Two, at as old,
};

impl Shipped {
    fn is_dear(&self) -> bool {
        self.total > 40_000
    }

    fn is_beyond_limit(&self) -> bool {
        self.total > 10_000
    }
}

workflow! {
    pub(crate) mod order_to_cash of Shipped requested by Sales, version 3 follows version_two {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
            within 15 min else undo;
        compensatable hold_stock: HoldStock => StockHeld | StockRefused,
            undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h,
            within 15 min else undo;
        approval in_budget of Quote when Shipped::is_dear:
            asks HeadOfFinance within 24 h else refuse;
        approval over_limit of Quote when Shipped::is_beyond_limit:
            asks 2 of Controller within 24 h then HeadOfFinance within 24 h else refuse;
        pivot create_order needs over_limit: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else asks ErpDesk within 4 h;
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}
use self::order_to_cash::{Any, Awaiting, Parked, Stuck, This, Undoing, step};

impl Follows<Two> for This {
    fn follow(at: Old, to: Follow<Self>) -> Result<Any, RecordError> {
        use old::Awaiting as Was;

        match at {
            Old::Awaiting(Was::reserve_credit(at)) => {
                to.stage::<Awaiting<step::reserve_credit>>(*at.data())
            }
            Old::Awaiting(Was::hold_stock(at)) => {
                to.stage::<Awaiting<step::hold_stock>>(*at.data())
            }
            Old::Awaiting(Was::over_limit(at)) => {
                to.stage::<Awaiting<step::over_limit>>(*at.data())
            }
            Old::Awaiting(Was::create_order(at)) => {
                to.stage::<Awaiting<step::create_order>>(*at.data())
            }
            Old::Awaiting(Was::notify_billing(at)) => {
                to.stage::<Awaiting<step::notify_billing>>(*at.data())
            }
            Old::Forestalling(at) => match at {},
            Old::Parked(old::Parked::create_order(at)) => {
                to.stage::<Parked<step::create_order>>(*at.data())
            }
            Old::Parked(old::Parked::notify_billing(at)) => {
                to.stage::<Awaiting<step::notify_billing>>(*at.data())
            }
            Old::Undoing(old::Undoing::reserve_credit(at)) => {
                to.stage::<Undoing<step::reserve_credit>>(*at.data())
            }
            Old::Undoing(old::Undoing::hold_stock(at)) => {
                to.stage::<Undoing<step::hold_stock>>(*at.data())
            }
            Old::Stuck(old::Stuck::reserve_credit(at)) => {
                to.stage::<Stuck<step::reserve_credit>>(*at.data())
            }
            Old::Stuck(old::Stuck::hold_stock(at)) => {
                to.stage::<Stuck<step::hold_stock>>(*at.data())
            }
            Old::Completed(at) => to.stage::<Completed<Self>>(*at.data()),
            Old::Undone(at) => to.stage::<Undone<Self>>(*at.data()),
            Old::GivenUp(at) => to.stage::<GivenUp<Self>>(*at.data()),
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

    fn in_budget(&self) -> Quote {
        Quote { total: self.total }
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
