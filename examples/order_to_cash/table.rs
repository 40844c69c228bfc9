//! The workflow: its events, its data, the roles of its people, and its table. The spans
//! are seconds where a company's are hours.

use std::time::Duration;

use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::workflow::{Cleared, Wire, WireError};
use integration_automation_patterns::{Event, workflow};

/// The number of an order, and its total: what every command says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub number: u32,
    pub cents: i64,
}

impl Order {
    /// Of eight orders, one is above the limit, and one far above it.
    pub fn of(number: u32) -> Self {
        let cents = match number % 8 {
            3 => 2_000_000,
            4 => 9_000_000,
            _ => 90_000 + i64::from(number),
        };
        Self { number, cents }
    }

    pub fn is_over_limit(&self) -> bool {
        self.cents > 1_000_000
    }
}

macro_rules! about_an_order {
    ($($name:ident $text:literal;)*) => { $(
        #[derive(Debug, Clone, Copy)]
        pub struct $name(pub Order);

        impl Event for $name {
            const TYPE: &'static str = $text;
            // Two seconds and more, in which the ERP may open again.
            const RETRY_POLICY: RetryPolicy =
                RetryPolicy::retries(11, Backoff::Fixed(Duration::from_millis(200)));
        }

        impl Wire for $name {
            fn write(&self) -> Result<Vec<u8>, WireError> {
                self.0.write()
            }

            fn read(bytes: &[u8]) -> Result<Self, WireError> {
                Order::read(bytes).map(Self)
            }
        }
    )* };
}

impl Wire for Order {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        Ok(format!("{} {}", self.number, self.cents).into_bytes())
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let text = std::str::from_utf8(bytes).map_err(WireError::new)?;
        let (number, cents) = text.split_once(' ').ok_or_else(|| WireError::new(text))?;
        Ok(Self {
            number: number.parse().map_err(WireError::new)?,
            cents: cents.parse().map_err(WireError::new)?,
        })
    }
}

about_an_order! {
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
    CreateOrder "erp.order.create";
    OrderCreated "erp.order.created";
    OrderRefused "erp.order.refused";
    IssueInvoice "billing.invoice.issue";
    InvoiceIssued "billing.invoice.issued";
}

/// The login: it alone has the keys of the roles.
pub mod login {
    use integration_automation_patterns::workflow::{PersonError, Role, Seat};

    #[derive(Debug)]
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
            undone by ReleaseCredit => CreditReleased within 60 s else asks CreditDesk within 60 s,
            within 5 s else undo;
        compensatable hold_stock: HoldStock => StockHeld | StockRefused,
            undone by FreeStock => StockFreed within 60 s else asks ErpDesk within 60 s,
            within 10 s else undo;
        approval over_limit of Order when Order::is_over_limit:
            asks Controller within 10 s then HeadOfFinance within 10 s else refuse;
        pivot create_order needs over_limit: CreateOrder => OrderCreated | OrderRefused,
            within 5 s else forestall within 60 s, then asks ErpDesk within 60 s;
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 60 s else asks BillingDesk within 60 s;
    }
}

impl order_to_cash::Ask for Order {
    fn reserve_credit(&self) -> ReserveCredit {
        ReserveCredit(*self)
    }

    fn hold_stock(&self) -> HoldStock {
        HoldStock(*self)
    }

    fn over_limit(&self) -> Order {
        *self
    }

    fn create_order(
        &self,
        cleared: &Cleared<order_to_cash::step::over_limit>,
    ) -> CreateOrder {
        CreateOrder(*cleared.shown())
    }

    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice(*self)
    }
}

impl order_to_cash::Undo for Order {
    fn reserve_credit(&self) -> ReleaseCredit {
        ReleaseCredit(*self)
    }

    fn hold_stock(&self) -> FreeStock {
        FreeStock(*self)
    }
}

impl order_to_cash::Learn for Order {
    fn reserve_credit(&mut self, _: CreditReserved) {}

    fn hold_stock(&mut self, _: StockHeld) {}

    fn create_order(&mut self, _: OrderCreated) {}

    fn notify_billing(&mut self, _: InvoiceIssued) {}
}
