// From the order to the invoice: a whole workflow, for the documentation and the tests.

use integration_automation_patterns::workflow::{Cleared, Wire, WireError};
use integration_automation_patterns::{Event, workflow};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl Event for $name {
            const TYPE: &'static str = $text;
        }

        impl Wire for $name {
            fn write(&self) -> Result<Vec<u8>, WireError> {
                Ok(b"{}".to_vec())
            }

            fn read(_: &[u8]) -> Result<Self, WireError> {
                Ok(Self)
            }
        }
    )* };
}

events! {
    ReserveCredit "crm.credit.reserve";
    CreditReserved "crm.credit.reserved";
    CreditRefused "crm.credit.refused";
    ReleaseCredit "crm.credit.release";
    CreditReleased "crm.credit.released";
    HoldStock "erp.stock.hold";
    StockHeld "erp.stock.held";
    StockRefused "erp.stock.refused";
    FreeStock "erp.stock.free";
    StockFreed "erp.stock.freed";
    OrderCreated "erp.order.created";
    OrderRefused "erp.order.refused";
    IssueInvoice "billing.invoice.issue";
    InvoiceIssued "billing.invoice.issued";
}

/// An order, by its total in euros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub total: u64,
}

impl Order {
    pub fn of(total: u64) -> Self {
        Self { total }
    }

    pub fn is_over_limit(&self) -> bool {
        self.total > 10_000
    }
}

/// What the controller approves, and what the ERP is then asked to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    pub total: u64,
}

/// The order that the ERP is asked to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateOrder {
    pub total: u64,
}

impl Event for CreateOrder {
    const TYPE: &'static str = "erp.order.create";
}

macro_rules! totals {
    ($($name:ident)*) => { $(
        impl Wire for $name {
            fn write(&self) -> Result<Vec<u8>, WireError> {
                Ok(self.total.to_string().into_bytes())
            }

            fn read(bytes: &[u8]) -> Result<Self, WireError> {
                let text = std::str::from_utf8(bytes).map_err(WireError::new)?;
                Ok(Self { total: text.parse().map_err(WireError::new)? })
            }
        }
    )* };
}

totals!(Order Quote CreateOrder);

/// The login: it alone has the keys of the roles.
pub mod login {
    use integration_automation_patterns::workflow::{PersonError, Role, Seat};

    pub struct Key(());

    macro_rules! roles {
        ($($role:ident $text:literal;)*) => { $(
            #[derive(Debug)]
            pub enum $role {}

            impl Role for $role {
                const NAME: &'static str = $text;
                type Key = Key;
            }
        )* };
    }

    roles! {
        Sales "sales";
        Controller "controller";
        HeadOfFinance "head of finance";
        CreditDesk "credit desk";
        ErpDesk "erp desk";
        BillingDesk "billing desk";
    }

    pub fn seat<R: Role<Key = Key>>(person: &str) -> Result<Seat<R>, PersonError> {
        Seat::mint(&Key(()), person)
    }
}
pub use login::{BillingDesk, Controller, CreditDesk, ErpDesk, HeadOfFinance, Sales};

workflow! {
    /// From the order in the CRM to the invoice.
    pub mod order_to_cash of Order requested by Sales, version 1 {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
            within 15 min else undo;
        compensatable hold_stock: HoldStock => StockHeld | StockRefused,
            undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h,
            within 15 min else undo;
        approval over_limit of Quote when Order::is_over_limit:
            asks Controller within 24 h remind after 8 h then HeadOfFinance within 24 h else refuse;
        pivot create_order needs over_limit: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else forestall within 10 min, then asks ErpDesk within 4 h;
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}

impl order_to_cash::Ask for Order {
    fn reserve_credit(&self) -> ReserveCredit {
        ReserveCredit
    }

    fn hold_stock(&self) -> HoldStock {
        HoldStock
    }

    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }

    fn create_order(
        &self,
        cleared: &Cleared<order_to_cash::step::over_limit>,
    ) -> CreateOrder {
        CreateOrder { total: cleared.shown().total }
    }

    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl order_to_cash::Undo for Order {
    fn reserve_credit(&self) -> ReleaseCredit {
        ReleaseCredit
    }

    fn hold_stock(&self) -> FreeStock {
        FreeStock
    }
}

impl order_to_cash::Learn for Order {
    fn reserve_credit(&mut self, _: CreditReserved) {}

    fn hold_stock(&mut self, _: StockHeld) {}

    fn create_order(&mut self, _: OrderCreated) {}

    fn notify_billing(&mut self, _: InvoiceIssued) {}
}
