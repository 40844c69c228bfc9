//! `ContractBuilder`: what a contract is built from, and what may be wrong with it.

use std::fmt;

use super::contract::{Authority, Contract};
use super::existence::RecordRules;
use super::reconcile::NonOwnerEdits;
use crate::refused::Refused;

/// What a contract is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a builder makes nothing before `build`"]
pub struct ContractBuilder(pub(super) Contract);

impl ContractBuilder {
    /// A party to the contract. Plans take their slots in the order of the parties.
    pub fn system(mut self, name: impl Into<String>) -> Self {
        self.0.systems.push(name.into());
        self
    }

    /// A field that is exchanged, and who decides about it.
    pub fn field(mut self, name: impl Into<String>, authority: Authority) -> Self {
        self.0.fields.push((name.into(), authority));
        self
    }

    /// What systems may do with a field that another one owns, unless
    /// [`non_owner_edits_for`](Self::non_owner_edits_for) says otherwise. Without either,
    /// they may do nothing ([`NonOwnerEdits::Reject`]).
    pub fn non_owner_edits(mut self, others: NonOwnerEdits) -> Self {
        self.0.others = others;
        self
    }

    /// What systems may do with this field, which another one owns.
    pub fn non_owner_edits_for(
        mut self,
        field: impl Into<String>,
        others: NonOwnerEdits,
    ) -> Self {
        self.0.non_owner_edits_for.push((field.into(), others));
        self
    }

    /// A field had another name in the previous contract: it is the same field, and
    /// [keeps its base](Contract::carried_over).
    pub fn renamed(
        mut self,
        field: impl Into<String>,
        former: impl Into<String>,
    ) -> Self {
        self.0.renamed.push((field.into(), former.into()));
        self
    }

    /// A field that never leaves its system.
    pub fn excluded(mut self, name: impl Into<String>) -> Self {
        self.0.excluded.push(name.into());
        self
    }

    /// What holds for records as a whole: what becomes of a deletion, who may create and
    /// delete, and how many may be gone at once.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Authority, Contract, Deletions, RecordRules,
    /// };
    ///
    /// let contract = Contract::builder("contact")
    ///     .system("crm")
    ///     .system("erp")
    ///     .field("email", Authority::system("crm"))
    ///     .records(RecordRules::new(Deletions::Ask, 50).created_by([0]))
    ///     .build()?;
    /// assert!(contract.to_string().contains("Records are made by crm"));
    /// assert_eq!(contract.records().map(RecordRules::most_gone), Some(50));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn records(mut self, rules: RecordRules) -> Self {
        self.0.records = Some(rules);
        self
    }

    /// The contract.
    ///
    /// # Errors
    ///
    /// [`ContractError`], with the builder given back.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Authority, Contract};
    ///
    /// let builder = Contract::builder("contact")
    ///     .system("crm")
    ///     .field("email", Authority::system("crm"));
    /// let refused = builder.build().unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "a contract is between at least 2 systems, and this one names 1"
    /// );
    /// assert!(refused.into_value().system("erp").build().is_ok());
    /// ```
    pub fn build(self) -> Result<Contract, Refused<Self, ContractError>> {
        match self.0.flaw() {
            None => Ok(self.0),
            Some(flaw) => Err(Refused::new(self, flaw)),
        }
    }
}

impl Contract {
    /// Begins a contract about a kind of record.
    pub fn builder(record_type: impl Into<String>) -> ContractBuilder {
        ContractBuilder(Self {
            record_type: record_type.into(),
            systems: Vec::new(),
            fields: Vec::new(),
            excluded: Vec::new(),
            others: NonOwnerEdits::default(),
            non_owner_edits_for: Vec::new(),
            records: None,
            renamed: Vec::new(),
        })
    }

    /// The builder of this contract, to add to it: fields that are known only at run time
    /// to a declared one, or what holds for records.
    pub fn into_builder(self) -> ContractBuilder {
        ContractBuilder(self)
    }

    fn flaw(&self) -> Option<ContractError> {
        let mut names =
            self.systems().chain(self.synced_fields()).chain(self.excluded_fields());
        if self.record_type.trim().is_empty() || names.any(|name| name.trim().is_empty())
        {
            return Some(ContractError::EmptyName);
        }
        if self.systems.len() < 2 {
            return Some(ContractError::TooFewSystems { found: self.systems.len() });
        }
        if let Some(system) = repeated(self.systems()) {
            return Some(ContractError::SystemTwice { system });
        }
        let owner_of = |field| match self.authority_for(field) {
            Some(Authority::System(owner)) if !self.systems.contains(owner) => {
                Some((field.to_owned(), owner.clone()))
            }
            _ => None,
        };
        if let Some((field, owner)) = self.synced_fields().find_map(owner_of) {
            return Some(ContractError::OwnerIsNoParty { field, owner });
        }
        if let Some(field) =
            repeated(self.synced_fields()).or_else(|| repeated(self.excluded_fields()))
        {
            return Some(ContractError::FieldTwice { field });
        }
        let both = self.excluded_fields().find(|field| self.is_synced(field));
        if let Some(field) = both {
            return Some(ContractError::SyncedAndExcluded { field: field.to_owned() });
        }
        let mut said = self.non_owner_edits_for.iter().map(|(field, _)| field.as_str());
        if let Some(field) = repeated(said.clone()) {
            return Some(ContractError::OthersTwice { field });
        }
        let unowned = said.find(|field| self.non_owner_edits_for(field).is_none());
        if let Some(field) = unowned {
            return Some(ContractError::OthersOfNoOwner { field: field.to_owned() });
        }
        if let Some(field) = self.wrongly_renamed() {
            return Some(ContractError::NotRenamed { field });
        }
        let systems = self.systems.len();
        let place = self.records.as_ref().and_then(|rules| rules.no_party(systems));
        place.map(|place| ContractError::RecordsOfNoParty { place })
    }
}

impl Contract {
    /// The first field that is renamed twice, or from a name still in use, or that is
    /// not exchanged.
    fn wrongly_renamed(&self) -> Option<String> {
        let fields = || self.renamed.iter().map(|(field, _)| field.as_str());
        let former = || self.renamed.iter().map(|(_, former)| former.as_str());
        let in_use = || former().find(|name| self.is_synced(name)).map(str::to_owned);
        let unknown = || fields().find(|name| !self.is_synced(name)).map(str::to_owned);
        repeated(fields()).or_else(|| repeated(former())).or_else(in_use).or_else(unknown)
    }
}

/// The first name that occurs a second time.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Some(name.to_owned());
        }
        seen.push(name);
    }
    None
}

/// What is wrong with a contract.
///
/// ```
/// use integration_automation_patterns::sync::{Authority, Contract, ContractError};
///
/// let builder = Contract::builder("contact")
///     .system("crm")
///     .system("erp")
///     .field("email", Authority::system("hr"));
/// let refused = builder.build().unwrap_err();
/// assert_eq!(
///     *refused.cause(),
///     ContractError::OwnerIsNoParty { field: "email".into(), owner: "hr".into() }
/// );
/// assert_eq!(
///     refused.to_string(),
///     "a field is owned by a party to the contract, and \"email\" is owned by \"hr\", \
///      which is none"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContractError {
    /// The record type, a system or a field has no name.
    EmptyName,
    /// Fewer than two systems.
    TooFewSystems {
        /// How many there are.
        found: usize,
    },
    /// A system is named twice.
    SystemTwice {
        /// The system.
        system: String,
    },
    /// A field is declared twice: it would have two authorities.
    FieldTwice {
        /// The field.
        field: String,
    },
    /// A field is exchanged and excluded at once.
    SyncedAndExcluded {
        /// The field.
        field: String,
    },
    /// What others may do with a field is declared twice.
    OthersTwice {
        /// The field.
        field: String,
    },
    /// What others may do is declared for a field that no system owns.
    OthersOfNoOwner {
        /// The field.
        field: String,
    },
    /// A field is renamed that the contract does not exchange, or twice, or its former
    /// name is still in use.
    NotRenamed {
        /// The field.
        field: String,
    },
    /// A system that may create or delete records is not among the systems.
    RecordsOfNoParty {
        /// Its place.
        place: usize,
    },
    /// A field's owner is not among the systems.
    OwnerIsNoParty {
        /// The field.
        field: String,
        /// Its owner.
        owner: String,
    },
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName => f.write_str(
                "a record type, a system and a field need a name, and one of them has \
                 none",
            ),
            Self::TooFewSystems { found } => {
                write!(
                    f,
                    "a contract is between at least 2 systems, and this one names {found}"
                )
            }
            Self::SystemTwice { system } => {
                write!(f, "a system is a party once, and {system:?} is named twice")
            }
            Self::FieldTwice { field } => {
                write!(f, "a field has one authority, and {field:?} is declared twice")
            }
            Self::SyncedAndExcluded { field } => {
                write!(
                    f,
                    "a field is exchanged or excluded, and {field:?} is declared as both"
                )
            }
            Self::OthersTwice { field } => {
                write!(
                    f,
                    "what others may do with a field is declared once, and for {field:?} \
                     it is declared twice"
                )
            }
            Self::OthersOfNoOwner { field } => {
                write!(
                    f,
                    "what others may do is declared for a field that one system owns, \
                     and {field:?} has no owner"
                )
            }
            Self::NotRenamed { field } => write!(
                f,
                "one field that is exchanged is renamed from one that is no more, and \
                 {field:?} is not exchanged, renamed twice or still in use"
            ),
            Self::RecordsOfNoParty { place } => write!(
                f,
                "records are created and deleted by parties to the contract, and none \
                 has the place {place}"
            ),
            Self::OwnerIsNoParty { field, owner } => write!(
                f,
                "a field is owned by a party to the contract, and {field:?} is owned by \
                 {owner:?}, which is none"
            ),
        }
    }
}

impl std::error::Error for ContractError {}
