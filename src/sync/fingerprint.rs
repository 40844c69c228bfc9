//! A contract's fingerprint, which tells under which contract a base was agreed, and
//! the fields that keep their base when the contract changes.

use std::fmt;

use super::contract::Contract;
use super::existence::{Deletions, RecordRules};
use super::reconcile::{NonOwnerEdits, Rule};
use super::slot::Base;

impl Contract {
    /// A hash that tells this contract from others: 16 hexadecimal digits over the
    /// record type, the parties, the fields, who decides about them, and what holds for
    /// records. It is the same on every machine.
    ///
    /// Store it with what is known in common of a record, and compare it before you plan:
    /// see [`check_fingerprint`](Self::check_fingerprint).
    pub fn fingerprint(&self) -> String {
        let mut hash = Fnv::default();
        hash.text(&self.record_type);
        self.systems().for_each(|system| hash.text(system));
        for field in self.synced_fields() {
            hash.text(field);
            hash.text(&in_some(self.rule(field).map(words_of_rule)));
        }
        hash.text("excluded");
        self.excluded_fields().for_each(|field| hash.text(field));
        hash.text(&in_some(self.records.as_ref().map(words_of_records)));
        format!("{:016x}", hash.0)
    }

    /// Whether a base was agreed under this contract, by the fingerprint that was stored
    /// with it.
    ///
    /// # Errors
    ///
    /// [`OtherContractError`] if it was another contract. Then a field has the base
    /// that [`carried_over`](Self::carried_over) gives it from the previous contract,
    /// and [`Base::Never`] otherwise: what was agreed before a field was left out for a
    /// time says nothing about what happened meanwhile.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Authority, Contract};
    ///
    /// let with = |authority| {
    ///     Contract::builder("contact")
    ///         .system("crm")
    ///         .system("erp")
    ///         .field("email", authority)
    ///         .build()
    /// };
    /// let (before, now) = (with(Authority::Shared)?, with(Authority::Manual)?);
    /// assert!(now.check_fingerprint(&now.fingerprint()).is_ok());
    /// let error = now.check_fingerprint(&before.fingerprint()).unwrap_err();
    /// assert!(error.to_string().starts_with("a base wants the contract under which"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_fingerprint(&self, stored: &str) -> Result<(), OtherContractError> {
        let fingerprint = self.fingerprint();
        if stored == fingerprint {
            return Ok(());
        }
        Err(OtherContractError { expected: fingerprint, found: stored.to_owned() })
    }

    /// The base of a field under this contract, from those under the previous contract:
    /// that of the field, or of the one that it was [renamed](Self::former_name) from.
    /// A field that the previous contract did not exchange has none.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Authority, Base, Contract};
    ///
    /// let builder = || Contract::builder("contact").system("crm").system("erp");
    /// let before = builder().field("phone", Authority::Shared).build()?;
    /// let now = builder()
    ///     .field("telephone", Authority::Shared)
    ///     .renamed("telephone", "phone")
    ///     .field("fax", Authority::Shared)
    ///     .build()?;
    ///
    /// let stored = |field: &str| Base::Known(Some(format!("the {field}'s")));
    /// let base = now.carried_over("telephone", &before, stored);
    /// assert_eq!(base, stored("phone"));
    /// assert_eq!(now.carried_over("fax", &before, stored), Base::Never);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn carried_over<T>(
        &self,
        field: &str,
        before: &Self,
        stored: impl FnOnce(&str) -> Base<T>,
    ) -> Base<T> {
        let former = self.former_name(field).filter(|former| before.is_synced(former));
        let kept = former.or(Some(field).filter(|field| before.is_synced(field)));
        kept.map_or(Base::Never, stored)
    }
}

/// What was known in common was agreed under another contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherContractError {
    /// The fingerprint of the contract at hand.
    pub expected: String,
    /// The fingerprint that was stored.
    pub found: String,
}

impl fmt::Display for OtherContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, found } = self;
        write!(
            f,
            "a base wants the contract under which it was agreed ({expected}), and found \
             another one ({found:?}): carry its fields over, or begin anew"
        )
    }
}

impl std::error::Error for OtherContractError {}

// What is hashed, letter by letter. Fingerprints are stored beside what systems have
// agreed on: with other words, all of that would seem to be another contract's.

fn in_some(words: Option<String>) -> String {
    words.map_or_else(|| "None".to_owned(), |words| format!("Some({words})"))
}

fn words_of_rule(rule: Rule) -> String {
    match rule {
        Rule::Owner(place, others) => {
            let others = match others {
                NonOwnerEdits::Reject => "Reject",
                NonOwnerEdits::Queue => "Queue",
                NonOwnerEdits::Overwrite => "Overwrite",
            };
            format!("Owner({place}, {others})")
        }
        Rule::Shared => "Shared".to_owned(),
        Rule::Manual => "Manual".to_owned(),
    }
}

fn words_of_records(rules: &RecordRules) -> String {
    let deletions = match rules.deletions() {
        Deletions::Ask => "Ask",
        Deletions::Restore => "Restore",
        Deletions::Detach => "Detach",
        Deletions::Propagate => "Propagate",
    };
    let places = |places: Option<&[usize]>| {
        let list = |places: &[usize]| {
            let places = places.iter().map(ToString::to_string);
            format!("[{}]", places.collect::<Vec<_>>().join(", "))
        };
        in_some(places.map(list))
    };
    format!(
        "RecordRules {{ deletions: {deletions}, most_gone: {}, creators: {}, \
         deleters: {} }}",
        rules.most_gone(),
        places(rules.creators()),
        places(rules.deleters())
    )
}

/// FNV-1a: it needs no dependency, and only has to tell contracts apart, not to keep
/// secrets.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn text(&mut self, text: &str) {
        // No UTF-8 text holds this byte, so that it ends each text.
        for byte in text.bytes().chain([0xFF]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
