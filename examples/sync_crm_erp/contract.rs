//! Who decides about which field, and what travels between the systems.

use integration_automation_patterns::sync::{Contract, System, Write};
use integration_automation_patterns::{Decision, Event, boundary};
use serde::{Deserialize, Serialize};

use crate::Outcome;

pub(crate) enum Crm {}
pub(crate) enum Erp {}

// Nobody has such a key: this program reads and writes tables, and speaks for neither
// system.
impl System for Crm {
    const NAME: &'static str = "crm";
    type Key = Crm;
}

impl System for Erp {
    const NAME: &'static str = "erp";
    type Key = Erp;
}

boundary! {
    /// A legislator: the CRM knows the person, the ERP the telephones; some fields are
    /// anybody's, one is a person's.
    pub mod legislator between Crm and Erp {
        state: String => Crm,
        chamber: String => Crm,
        district: String => Crm,
        role_start: String => Crm,
        party: String => Crm,
        image: String => Crm,
        capitol_phone: String => Erp,
        capitol_fax: String => Erp,
        name: String => Shared,
        email: String => Shared,
        capitol_address: String => Shared,
        status: String => Manual,
    }
}

/// The declaration as data: the tables are read column by column.
pub(crate) fn contract() -> Outcome<Contract> {
    legislator::contract().map_err(|refused| refused.to_string().into())
}

/// Fields of a record have changed in the source.
#[derive(Serialize, Deserialize)]
pub(crate) struct RecordChanged {
    pub(crate) record: String,
    pub(crate) changes: Vec<Change>,
    /// Who decided, where the source may not change these fields by itself.
    #[serde(default)]
    pub(crate) decision: Option<Decision>,
}

/// One field: what the target is expected to show, and what it is to show.
#[derive(Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) field: String,
    pub(crate) expects: Option<String>,
    pub(crate) value: Option<String>,
}

impl Change {
    pub(crate) fn of(field: &str, write: &Write<'_, String>) -> Self {
        Self {
            field: field.to_owned(),
            expects: write.expects().cloned(),
            value: write.value().cloned(),
        }
    }
}

/// A record is new in the source.
#[derive(Serialize, Deserialize)]
pub(crate) struct RecordCreated {
    pub(crate) record: String,
    pub(crate) fields: Vec<(String, Option<String>)>,
}

/// A record is deleted in the source, by a person's decision.
#[derive(Serialize, Deserialize)]
pub(crate) struct RecordDeleted {
    pub(crate) record: String,
    /// What the target is expected to show.
    pub(crate) expects: Vec<(String, Option<String>)>,
    /// Who decided.
    pub(crate) decision: Decision,
}

impl Event for RecordChanged {
    const TYPE: &'static str = "directory.legislator.changed";
}

impl Event for RecordCreated {
    const TYPE: &'static str = "directory.legislator.created";
}

impl Event for RecordDeleted {
    const TYPE: &'static str = "directory.legislator.deleted";
}
