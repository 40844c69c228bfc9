//! `Contract`: which system decides about which field, as data to query and compare.

use std::fmt;

use super::bases::Bases;
use super::conflict::{Side, SyncConflict};
use super::existence::RecordRules;
use super::plan::FieldPlan;
use super::reconcile::{NonOwnerEdits, Question, Rule, Verdict, verdict};
use super::slot::{Base, Slot};

/// Who decides about a field.
#[doc(alias("source of truth", "system of record"))]
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
    pub(super) record_type: String,
    pub(super) systems: Vec<String>,
    pub(super) fields: Vec<(String, Authority)>,
    pub(super) excluded: Vec<String>,
    pub(super) others: NonOwnerEdits,
    pub(super) non_owner_edits_for: Vec<(String, NonOwnerEdits)>,
    pub(super) records: Option<RecordRules>,
    pub(super) renamed: Vec<(String, String)>,
}

impl PartialEq for Contract {
    /// Whether they say the same, in the same order, no matter whether they say it
    /// field by field or for all.
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
            && self.records == other.records
            && self.renamed == other.renamed
            && said(self) == said(other)
    }
}

impl Eq for Contract {}

impl Contract {
    /// The kind of record.
    pub fn record_type(&self) -> &str {
        &self.record_type
    }

    /// The systems, in the order in which slots are passed.
    pub fn systems(&self) -> impl Iterator<Item = &str> {
        self.systems.iter().map(String::as_str)
    }

    /// Who decides about a field; `None` if it is excluded or not named.
    pub fn authority_for(&self, field: &str) -> Option<&Authority> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, authority)| authority)
    }

    /// What systems may do with a field that another one owns; `None` if no system owns
    /// it.
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

    /// The name that a field had before it was renamed; `None` if it was not.
    pub fn former_name(&self, field: &str) -> Option<&str> {
        let renamed = self.renamed.iter().find(|(name, _)| name == field);
        renamed.map(|(_, former)| former.as_str())
    }

    /// What is declared about records as a whole, if anything.
    pub fn records(&self) -> Option<&RecordRules> {
        self.records.as_ref()
    }

    /// The rule of a field, with systems as places in [`systems`](Self::systems).
    pub(super) fn rule(&self, field: &str) -> Option<Rule> {
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
    /// [`PlanError`] if the field is not exchanged, or there is not one slot for each
    /// system.
    pub fn plan<'a, V: Eq>(
        &self,
        field: &str,
        slots: &'a [&'a Slot<V>],
        base: &'a Base<V>,
    ) -> Result<FieldPlan<'a, V>, PlanError> {
        Ok(FieldPlan::new(self.rule_for(field, slots.len())?, slots, base))
    }

    /// The plan for one field, with a base of its own for each system: see
    /// [`FieldPlan::with_bases`].
    ///
    /// # Errors
    ///
    /// [`PlanError`] if the field is not exchanged, or there is not one slot for each
    /// system.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Authority, Base, Bases, Contract, Slot, Verdict,
    /// };
    ///
    /// let contract = Contract::builder("contact")
    ///     .system("crm")
    ///     .system("erp")
    ///     .field("nickname", Authority::Shared)
    ///     .build()?;
    /// let mut known = Bases::common(Base::Known(Some("Al")), 2);
    /// for (crm, erp, verdict) in [
    ///     // The ERP is away.
    ///     (Slot::Value("Alan"), Slot::Unread, Verdict::Agreed(0)),
    ///     (Slot::Value("Alan"), Slot::Value("Al"), Verdict::Behind),
    /// ] {
    ///     let slots = [&crm, &erp];
    ///     let plan = contract.plan_with_bases("nickname", &slots, &known)?;
    ///     assert_eq!(plan.verdict(), verdict);
    ///     known = plan.next();
    /// }
    /// assert_eq!(known.in_common(), Some(&Base::Known(Some("Alan"))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plan_with_bases<'a, V: Eq>(
        &self,
        field: &str,
        slots: &'a [&'a Slot<V>],
        known: &'a Bases<V>,
    ) -> Result<FieldPlan<'a, V>, PlanError> {
        let rule = self.rule_for(field, slots.len())?;
        Ok(FieldPlan::with_bases(rule, slots, known))
    }

    fn rule_for(&self, field: &str, slots: usize) -> Result<Rule, PlanError> {
        let rule = self
            .rule(field)
            .ok_or_else(|| PlanError::NotExchanged { field: field.to_owned() })?;
        let (wanted, found) = (self.systems.len(), slots);
        if found == wanted { Ok(rule) } else { Err(PlanError::Slots { wanted, found }) }
    }

    /// The conflict on an exchanged field that was changed in two ways, no matter who
    /// decides about it.
    ///
    /// `None` if the field is excluded or not named, or if no edit stands against
    /// another.
    pub fn detect_conflict<V: Eq + Clone>(
        &self,
        field: &str,
        record_id: &str,
        sides: &[Side<V>],
        base: &Base<V>,
    ) -> Option<SyncConflict<V>> {
        let slots = sides.iter().map(|side| &side.slot).collect::<Vec<_>>();
        let differs = matches!(
            verdict(Rule::Shared, &slots, base),
            Verdict::Ask(Question::Conflict | Question::FirstDiffers)
        );
        (self.is_synced(field) && differs).then(|| SyncConflict {
            record_id: record_id.to_owned(),
            field: field.to_owned(),
            base: base.clone(),
            sides: sides.to_vec(),
        })
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
#[non_exhaustive]
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
                    "a plan wants a field that the contract exchanges, and found \
                     {field:?}"
                )
            }
            Self::Slots { wanted, found } => {
                write!(
                    f,
                    "a plan wants one slot for each of the {wanted} systems, and found \
                     {found}"
                )
            }
        }
    }
}

impl std::error::Error for PlanError {}
