workflow! {
    /// From the order in the CRM to the invoice.
    pub mod order_to_cash of Order requested by Sales, version 1 sealed 0xa44086a38b66295a {
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
