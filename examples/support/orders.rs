// The events, the people and the data of a workflow from the order to the invoice, for the
// documentation and the tests; and the workflow.

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
                let no_total = |_| WireError::new(format!("{text:?} is no total"));
                Ok(Self { total: text.parse().map_err(no_total)? })
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

include!("order_to_cash.rs");
