//! What another contract would change, field by field.

use std::fmt;

use super::contract::{Authority, Contract};
use super::page::{others_may, outcome};
use super::reconcile::NonOwnerEdits;

impl Contract {
    /// What would change if another contract took this one's place, field by field.
    ///
    /// A change of authority writes nothing by itself; each line says what the next plan
    /// would do.
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
    /// let changes =
    ///     with(Authority::Shared)?.changes_to(&with(Authority::system("erp"))?);
    /// assert_eq!(
    ///     changes[0].to_string(),
    ///     "\"email\": shared, becomes owned by erp (the others may do nothing: an \
    ///      edit is refused): where the systems differ, erp's value replaces the others"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes_to(&self, other: &Self) -> Vec<Change> {
        let systems = (self.systems != other.systems).then(|| Change::Systems {
            from: self.systems.clone(),
            to: other.systems.clone(),
        });
        let words = |contract: &Self| {
            contract.records.as_ref().map(|rules| rules.words(&contract.systems))
        };
        let records = (self.records != other.records)
            .then(|| Change::Records { from: words(self), to: words(other) });
        let former =
            |name| other.former_name(name).filter(|former| self.is_synced(former));
        let renamed = || other.names().filter_map(|name| Some((former(name)?, name)));
        let names =
            self.names().filter(|name| renamed().all(|(former, _)| former != *name));
        let names = names.chain(
            other.names().filter(|name| !self.names().any(|known| known == *name)),
        );
        let standings = names.map(|name| {
            (name, self.standing(former(name).unwrap_or(name)), other.standing(name))
        });
        let fields = standings.filter(|(_, from, to)| from != to);
        systems
            .into_iter()
            .chain(records)
            .chain(renamed().map(|(former, name)| Change::Renamed {
                from: former.to_owned(),
                to: name.to_owned(),
            }))
            .chain(fields.map(|(name, from, to)| Change::Field {
                name: name.to_owned(),
                from,
                to,
            }))
            .collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.synced_fields().chain(self.excluded_fields())
    }

    fn standing(&self, field: &str) -> Standing {
        match self.authority_for(field) {
            Some(authority) => {
                Standing::Exchanged(authority.clone(), self.non_owner_edits_for(field))
            }
            None if self.excluded_fields().any(|excluded| excluded == field) => {
                Standing::Excluded
            }
            None => Standing::NotNamed,
        }
    }
}

/// How a field stands in a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It is exchanged, under this authority; and where a system owns it, this is what
    /// the others may do.
    Exchanged(Authority, Option<NonOwnerEdits>),
    /// It never leaves its system.
    Excluded,
    /// The contract does not name it, and so does not exchange it.
    NotNamed,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchanged(authority, None) => authority.fmt(f),
            Self::Exchanged(authority, others) => {
                write!(
                    f,
                    "{authority} (the others may {})",
                    others_may(authority, *others)
                )
            }
            Self::Excluded => f.write_str("excluded"),
            Self::NotNamed => f.write_str("not named"),
        }
    }
}

/// What another contract would change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The parties, or their order, in which slots are passed.
    Systems {
        /// The parties so far.
        from: Vec<String>,
        /// The parties then.
        to: Vec<String>,
    },
    /// What holds for records as a whole.
    Records {
        /// In words, so far.
        from: Option<String>,
        /// In words, then.
        to: Option<String>,
    },
    /// A field has another name, and keeps its base.
    Renamed {
        /// Its name so far.
        from: String,
        /// Its name then.
        to: String,
    },
    /// How a field stands.
    Field {
        /// The field.
        name: String,
        /// How it stands so far.
        from: Standing,
        /// How it would stand.
        to: Standing,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Systems { from, to } => {
                write!(f, "the systems {from:?} become {to:?}, in this order")
            }
            Self::Records { from, to } => {
                let words = |words: &Option<String>| {
                    words.clone().unwrap_or_else(|| "nothing is declared".to_owned())
                };
                write!(f, "of records: {:?} becomes {:?}", words(from), words(to))
            }
            Self::Renamed { from, to } => {
                write!(f, "{from:?} is {to:?} from now on, and keeps its base")
            }
            Self::Field { name, from, to } => {
                write!(f, "{name:?}: {from}, becomes {to}: ")?;
                match to {
                    Standing::Exchanged(authority, others) => {
                        write!(
                            f,
                            "where the systems differ, {}",
                            outcome(authority, *others)
                        )
                    }
                    Standing::Excluded | Standing::NotNamed => {
                        f.write_str("every system keeps its own value")
                    }
                }
            }
        }
    }
}
