//! Keeping the records of two systems in one store
//@ code: E0119
//@ error: conflicting implementations of trait `ui::contact::Store` for type `Table`
//@ twin: Table => Other

use integration_automation_patterns::sync::Found;
use ui::{Crm, Erp, contact};

pub struct Table;
pub struct Other;

impl contact::Store for Table {
    type System = Crm;
    type Error = std::io::Error;

    fn write(&mut self, _: &contact::Changes<'_, Crm>) -> Result<contact::Taken, Self::Error> {
        Ok(Found::MovedOn.into())
    }
}

impl contact::Store for Table { //@ here
    type System = Erp;
    type Error = std::io::Error;

    fn write(&mut self, _: &contact::Changes<'_, Erp>) -> Result<contact::Taken, Self::Error> {
        Ok(Found::MovedOn.into())
    }
}
