//! `Contract`: which system decides about which field, as data that can be built, asked,
//! rendered and compared.

use std::fmt;

pub use super::change::{Change, Standing};
use super::conflict::{Side, SyncConflict};
use super::reconcile::{FieldPlan, NonOwnerEdits, Question, Rule, Verdict, verdict};
use super::slot::{Base, Slot};
use crate::refused::Refused;
use crate::text::must_be_escaped;

/// Who decides about a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Authority {
    /// This system: the field's system of record.
    System(String),
    /// Whichever system changes it; two different changes are put to a person.
    Shared,
    /// A person, always.
    Manual,
}

impl Authority {
    /// The system of this name.
    pub fn system(name: impl Into<String>) -> Self {
        Self::System(name.into())
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(name) => write!(f, "owned by {name}"),
            Self::Shared => f.write_str("shared"),
            Self::Manual => f.write_str("decided by a person"),
        }
    }
}

/// A contract between systems that hold the same kind of record: each field has one
/// authority, or is not exchanged.
///
/// It displays as a Markdown page that the people who own the systems can read and sign.
///
/// ```
/// use integration_automation_patterns::sync::{Authority, Contract};
///
/// let contract = Contract::builder("contact")
///     .system("crm")
///     .system("erp")
///     .field("email", Authority::system("crm"))
///     .field("status", Authority::Manual)
///     .excluded("internal_notes")
///     .build()?;
/// assert_eq!(contract.authority_for("email"), Some(&Authority::system("crm")));
/// assert_eq!(contract.authority_for("internal_notes"), None);
/// assert!(contract.is_synced("status") && !contract.is_synced("internal_notes"));
/// assert_eq!(contract.synced_fields().collect::<Vec<_>>(), ["email", "status"]);
/// assert_eq!(
///     contract.fields_owned_by(&Authority::system("crm")).collect::<Vec<_>>(),
///     ["email"]
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Contract {
    record_type: String,
    pub(super) systems: Vec<String>,
    fields: Vec<(String, Authority)>,
    excluded: Vec<String>,
    others: NonOwnerEdits,
    non_owner_edits_for: Vec<(String, NonOwnerEdits)>,
}

impl PartialEq for Contract {
    /// Whether they say the same, in the same order; not whether they say it field by
    /// field or for all.
    fn eq(&self, other: &Self) -> bool {
        let said = |contract: &Self| {
            contract
                .fields
                .iter()
                .map(|(name, _)| contract.non_owner_edits_for(name))
                .collect::<Vec<_>>()
        };
        (&self.record_type, &self.systems, &self.fields, &self.excluded)
            == (&other.record_type, &other.systems, &other.fields, &other.excluded)
            && said(self) == said(other)
    }
}

impl Eq for Contract {}

impl Contract {
    /// Begins a contract about a kind of record.
    pub fn builder(record_type: impl Into<String>) -> Builder {
        Builder(Self {
            record_type: record_type.into(),
            systems: Vec::new(),
            fields: Vec::new(),
            excluded: Vec::new(),
            others: NonOwnerEdits::default(),
            non_owner_edits_for: Vec::new(),
        })
    }

    /// The kind of record.
    pub fn record_type(&self) -> &str {
        &self.record_type
    }

    /// The systems, in the order in which slots are passed.
    pub fn systems(&self) -> impl Iterator<Item = &str> {
        self.systems.iter().map(String::as_str)
    }

    /// Who decides about a field; nobody where it is excluded or not named.
    pub fn authority_for(&self, field: &str) -> Option<&Authority> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, authority)| authority)
    }

    /// What the systems may do that do not own a field; nothing where no system owns it.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Authority, Contract, NonOwnerEdits};
    ///
    /// let contract = Contract::builder("contact")
    ///     .system("crm")
    ///     .system("erp")
    ///     .non_owner_edits(NonOwnerEdits::Queue)
    ///     .field("email", Authority::system("crm"))
    ///     .field("terms", Authority::system("erp"))
    ///     .non_owner_edits_for("terms", NonOwnerEdits::Reject)
    ///     .field("status", Authority::Manual)
    ///     .build()?;
    /// assert_eq!(contract.non_owner_edits_for("email"), Some(NonOwnerEdits::Queue));
    /// assert_eq!(contract.non_owner_edits_for("terms"), Some(NonOwnerEdits::Reject));
    /// assert_eq!(contract.non_owner_edits_for("status"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn non_owner_edits_for(&self, field: &str) -> Option<NonOwnerEdits> {
        let said = self
            .non_owner_edits_for
            .iter()
            .find(|(name, _)| name == field)
            .map_or(self.others, |(_, others)| *others);
        matches!(self.authority_for(field)?, Authority::System(_)).then_some(said)
    }

    /// Whether a field is exchanged.
    pub fn is_synced(&self, field: &str) -> bool {
        self.authority_for(field).is_some()
    }

    /// The fields that are exchanged, in the order of their declaration.
    pub fn synced_fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// The fields that never leave their system.
    pub fn excluded_fields(&self) -> impl Iterator<Item = &str> {
        self.excluded.iter().map(String::as_str)
    }

    /// The fields of one authority, in the order of their declaration.
    pub fn fields_owned_by(&self, authority: &Authority) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(_, owner)| owner == authority)
            .map(|(name, _)| name.as_str())
    }

    /// The rule of a field, with systems as places in [`systems`](Self::systems).
    fn rule(&self, field: &str) -> Option<Rule> {
        Some(match self.authority_for(field)? {
            Authority::System(owner) => Rule::Owner(
                self.systems.iter().position(|system| system == owner)?,
                self.non_owner_edits_for(field)?,
            ),
            Authority::Shared => Rule::Shared,
            Authority::Manual => Rule::Manual,
        })
    }

    /// The plan for one field, from what each system says, in the order of
    /// [`systems`](Self::systems).
    ///
    /// # Errors
    ///
    /// [`PlanError`] where the field is not exchanged, or there is not one slot for each
    /// system.
    pub fn plan<'a, V: Eq>(
        &self,
        field: &str,
        slots: &'a [&'a Slot<V>],
        base: &'a Base<V>,
    ) -> Result<FieldPlan<'a, V>, PlanError> {
        let rule = self
            .rule(field)
            .ok_or_else(|| PlanError::NotExchanged { field: field.to_owned() })?;
        if slots.len() != self.systems.len() {
            return Err(PlanError::Slots {
                wanted: self.systems.len(),
                found: slots.len(),
            });
        }
        Ok(FieldPlan::new(rule, slots, base))
    }

    /// A conflict, where a field that is exchanged was changed in two ways, whoever
    /// decides about it.
    ///
    /// Nothing where the field is excluded or not named, or where one side's edit stands
    /// against no other.
    pub fn detect_conflict<V: Eq + Clone>(
        &self,
        field: &str,
        record_id: &str,
        sides: &[Side<V>],
        base: &Base<V>,
    ) -> Option<SyncConflict<V>> {
        let slots = sides.iter().map(|side| &side.slot).collect::<Vec<_>>();
        let differs =
            verdict(Rule::Shared, &slots, base) == Verdict::Ask(Question::Conflict);
        (self.is_synced(field) && differs).then(|| SyncConflict {
            record_id: record_id.to_owned(),
            field: field.to_owned(),
            base: base.clone(),
            sides: sides.to_vec(),
        })
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}\n", Cell(&self.record_type))?;
        writeln!(f, "Between {}.\n", Cell(&self.systems.join(", ")))?;
        writeln!(
            f,
            "| field | who decides | the others may | when the systems differ |"
        )?;
        writeln!(f, "|---|---|---|---|")?;
        for (name, authority) in &self.fields {
            let others = self.non_owner_edits_for(name);
            let (who, outcome) = (authority.to_string(), outcome(authority, others));
            writeln!(
                f,
                "| {} | {} | {} | {} |",
                Cell(name),
                Cell(&who),
                others_may(authority, others),
                Cell(&outcome)
            )?;
        }
        for name in &self.excluded {
            writeln!(
                f,
                "| {} | excluded | - | it is not exchanged: every system keeps its own |",
                Cell(name)
            )?;
        }
        Ok(())
    }
}

/// What systems may do that do not decide, in words.
pub(super) fn others_may(
    authority: &Authority,
    others: Option<NonOwnerEdits>,
) -> &'static str {
    match (authority, others.unwrap_or_default()) {
        (Authority::System(_), NonOwnerEdits::Reject) => "do nothing: an edit is refused",
        (Authority::System(_), NonOwnerEdits::Queue) => "propose: a person decides",
        (Authority::System(_), NonOwnerEdits::Overwrite) => {
            "change it until the next synchronisation"
        }
        (Authority::Shared, _) => "change it",
        (Authority::Manual, _) => "do nothing",
    }
}

/// What follows from an authority, in words.
pub(super) fn outcome(authority: &Authority, others: Option<NonOwnerEdits>) -> String {
    match authority {
        Authority::System(owner) if others == Some(NonOwnerEdits::Queue) => {
            format!("{owner}'s value replaces the others, unless one of them has changed it")
        }
        Authority::System(owner) => format!("{owner}'s value replaces the others"),
        Authority::Shared => "the one that changed is taken over; two different changes are put to a person".to_owned(),
        Authority::Manual => "nothing is written before a person has decided".to_owned(),
    }
}

/// A text that cannot break a Markdown table, or hide in it.
struct Cell<'a>(&'a str);

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '|' | '\\' | '`' | '*' | '_' | '<' | '[' | '#' => write!(f, "\\{c}")?,
                c if must_be_escaped(c) => f.write_str(" ")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// A field could not be planned.
///
/// ```
/// use integration_automation_patterns::sync::{Authority, Base, Contract, Slot};
///
/// let contract = Contract::builder("contact")
///     .system("crm")
///     .system("erp")
///     .field("email", Authority::Shared)
///     .build()?;
/// let slot = Slot::Value(7);
/// let error = contract.plan("email", &[&slot], &Base::Never).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a plan wants one slot for each of the 2 systems, and found 1"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// The field is excluded, or the contract does not name it.
    NotExchanged {
        /// The field.
        field: String,
    },
    /// There is not one slot for each system.
    Slots {
        /// The number of systems.
        wanted: usize,
        /// The number of slots.
        found: usize,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExchanged { field } => {
                write!(
                    f,
                    "a plan wants a field that the contract exchanges, and found {field:?}"
                )
            }
            Self::Slots { wanted, found } => {
                write!(
                    f,
                    "a plan wants one slot for each of the {wanted} systems, and found {found}"
                )
            }
        }
    }
}

impl std::error::Error for PlanError {}

/// What a contract is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a builder makes nothing before `build`"]
pub struct Builder(Contract);

impl Builder {
    /// A party to the contract. The order is that in which slots are passed.
    pub fn system(mut self, name: impl Into<String>) -> Self {
        self.0.systems.push(name.into());
        self
    }

    /// A field that is exchanged, and who decides about it.
    pub fn field(mut self, name: impl Into<String>, authority: Authority) -> Self {
        self.0.fields.push((name.into(), authority));
        self
    }

    /// What systems may do with a field that another one owns, wherever the field itself
    /// does not say. They may do nothing ([`NonOwnerEdits::Reject`]) where this is not
    /// said either.
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

    /// A field that never leaves its system.
    pub fn excluded(mut self, name: impl Into<String>) -> Self {
        self.0.excluded.push(name.into());
        self
    }

    /// The contract.
    ///
    /// # Errors
    ///
    /// [`ContractError`], with the builder given back: see there.
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
        unowned.map(|field| ContractError::OthersOfNoOwner { field: field.to_owned() })
    }
}

/// The first name that stands in a list a second time.
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
/// use integration_automation_patterns::sync::contract::{Contract, ContractError};
/// use integration_automation_patterns::sync::Authority;
///
/// let builder = Contract::builder("contact").system("crm").system("erp").field("email", Authority::system("hr"));
/// let refused = builder.build().unwrap_err();
/// assert_eq!(*refused.cause(), ContractError::OwnerIsNoParty { field: "email".into(), owner: "hr".into() });
/// assert_eq!(
///     refused.to_string(),
///     "a field is owned by a party to the contract, and \"email\" is owned by \"hr\", which is none"
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
    /// What the others may do with a field is said twice.
    OthersTwice {
        /// The field.
        field: String,
    },
    /// What the others may do is said of a field that no system owns.
    OthersOfNoOwner {
        /// The field.
        field: String,
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
            Self::EmptyName => f.write_str("a record type, a system and a field need a name, and one of them has none"),
            Self::TooFewSystems { found } => {
                write!(f, "a contract is between at least 2 systems, and this one names {found}")
            }
            Self::SystemTwice { system } => write!(f, "a system is a party once, and {system:?} is named twice"),
            Self::FieldTwice { field } => write!(f, "a field has one authority, and {field:?} is declared twice"),
            Self::SyncedAndExcluded { field } => {
                write!(f, "a field is exchanged or excluded, and {field:?} is declared as both")
            }
            Self::OthersTwice { field } => {
                write!(f, "what others may do with a field is said once, and of {field:?} it is said twice")
            }
            Self::OthersOfNoOwner { field } => {
                write!(f, "what others may do is said of a field that one system owns, and {field:?} is none")
            }
            Self::OwnerIsNoParty { field, owner } => write!(
                f,
                "a field is owned by a party to the contract, and {field:?} is owned by {owner:?}, which is none"
            ),
        }
    }
}

impl std::error::Error for ContractError {}
