//! The systems and the boundary that the programs are about, in a crate of their own.

pub mod crm {
    use integration_automation_patterns::sync::{Capability, System};

    pub enum Crm {}
    pub struct Key(());

    impl System for Crm {
        const NAME: &'static str = "crm";
        type Key = Key;
    }

    pub fn connect() -> Capability<Crm> {
        Capability::mint(&Key(()))
    }
}

pub mod erp {
    use integration_automation_patterns::sync::{Capability, System};

    pub enum Erp {}
    pub struct Key(());

    impl System for Erp {
        const NAME: &'static str = "erp";
        type Key = Key;
    }

    pub fn connect() -> Capability<Erp> {
        Capability::mint(&Key(()))
    }
}

pub mod hr {
    use integration_automation_patterns::sync::System;

    pub enum Hr {}
    pub struct Key(());

    impl Key {
        pub fn of_the_connector() -> Self {
            Self(())
        }
    }

    impl System for Hr {
        const NAME: &'static str = "hr";
        type Key = Key;
    }
}

pub use crm::Crm;
pub use erp::Erp;
pub use hr::Hr;

integration_automation_patterns::boundary! {
    /// A contact, shared by CRM and ERP.
    pub mod contact between Crm and Erp {
        email: String => Crm,
        billing_address: String => Erp,
        nickname: String => Shared,
        status: u8 => Manual,
        excluded internal_notes: String,
    }
}
