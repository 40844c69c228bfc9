//! Whether a system may say what the others hold in a field: what a receiver asks of a
//! change that was sent to it.

use std::fmt;

use super::contract::{Authority, Contract};
use crate::Decision;

impl Contract {
    /// Checks that a system may say what the others hold in a field, for a receiver of
    /// changes that another program has planned and sent: the owner of the field may, any
    /// party where it is shared, and any party with a person's decision.
    ///
    /// A plan writes nothing else. But a sender may still run yesterday's contract, or no
    /// plan at all; and what it gets written here, the next run would carry back as an
    /// edit of this system's own.
    ///
    /// # Errors
    ///
    /// [`SenderError`] if it may not: the change is of no use however often it comes, and
    /// belongs among the dead letters.
    ///
    /// ```
    /// use integration_automation_patterns::Decision;
    /// use integration_automation_patterns::sync::{Authority, Contract};
    ///
    /// let contract = Contract::builder("contact")
    ///     .system("crm")
    ///     .system("erp")
    ///     .field("phone", Authority::system("erp"))
    ///     .field("nickname", Authority::Shared)
    ///     .field("status", Authority::Manual)
    ///     .build()?;
    /// assert!(contract.check_sender("erp", "phone", None).is_ok());
    /// assert!(contract.check_sender("crm", "nickname", None).is_ok());
    ///
    /// let refused = contract.check_sender("crm", "phone", None).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "\"crm\" may not write \"phone\": its system of record is \"erp\", which sends \
    ///      it, or a person decides and the decision is sent with it"
    /// );
    /// let decision = Decision::new("on-call", "the customer has left")?;
    /// assert!(contract.check_sender("crm", "status", Some(&decision)).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_sender(
        &self,
        sender: &str,
        field: &str,
        decision: Option<&Decision>,
    ) -> Result<(), SenderError> {
        if !self.systems().any(|system| system == sender) {
            return Err(SenderError::NoParty {
                parties: self.systems.clone(),
                found: sender.to_owned(),
            });
        }
        let (sender, field) = (sender.to_owned(), field.to_owned());
        match (self.authority_for(&field), decision) {
            (None, _) => Err(SenderError::NotExchanged { field }),
            (Some(_), Some(_)) | (Some(Authority::Shared), None) => Ok(()),
            (Some(Authority::System(owner)), None) if *owner == sender => Ok(()),
            (Some(Authority::System(owner)), None) => {
                Err(SenderError::NotOwner { sender, field, owner: owner.clone() })
            }
            (Some(Authority::Manual), None) => {
                Err(SenderError::Undecided { sender, field })
            }
        }
    }
}

/// A system may not say what the others hold in a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderError {
    /// The sender is no party to the contract.
    NoParty {
        /// The parties.
        parties: Vec<String>,
        /// The sender.
        found: String,
    },
    /// The field is excluded, or the contract does not name it.
    NotExchanged {
        /// The field.
        field: String,
    },
    /// Another system owns the field, and no person has decided.
    NotOwner {
        /// The sender.
        sender: String,
        /// The field.
        field: String,
        /// Its system of record.
        owner: String,
    },
    /// Only a person decides about the field, and none has.
    Undecided {
        /// The sender.
        sender: String,
        /// The field.
        field: String,
    },
}

impl fmt::Display for SenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoParty { parties, found } => write!(
                f,
                "a change wants a sender that is party to the contract ({}), and found \
                 {found:?}",
                parties.join(", ")
            ),
            Self::NotExchanged { field } => write!(
                f,
                "a change wants a field that the contract exchanges, and found {field:?}"
            ),
            Self::NotOwner { sender, field, owner } => write!(
                f,
                "{sender:?} may not write {field:?}: its system of record is {owner:?}, \
                 which sends it, or a person decides and the decision is sent with it"
            ),
            Self::Undecided { sender, field } => write!(
                f,
                "{sender:?} may not write {field:?}: only a person decides on it, and the \
                 decision is sent with it"
            ),
        }
    }
}

impl std::error::Error for SenderError {}
