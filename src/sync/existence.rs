//! Whether a record exists: what follows when one system has it and another has not.

use std::fmt;

use crate::{Decision, Refused};

/// What becomes of a record that one system has deleted. It is declared, never picked
/// silently.
#[doc(alias("tombstone", "soft delete"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deletions {
    /// A person decides.
    Ask,
    /// The record is made again where it was deleted.
    Restore,
    /// The record is left as it is everywhere, and no longer synchronised.
    Detach,
    /// The record is deleted everywhere, unless somebody has edited it since; then a
    /// person decides.
    Propagate,
}

/// What is to be done about a record as a whole.
///
/// The list is complete: a program that carries it out must handle each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Existence {
    /// No system has it.
    Gone,
    /// Every system has it: its fields are planned.
    Everywhere,
    /// The systems that lack it get it: it is new, or is restored.
    Create,
    /// The systems that have it delete it.
    Delete,
    /// It stays where it is, and is no longer synchronised.
    Detach,
    /// A person must decide.
    Ask,
}

/// Which systems have a record, and what is known of it since the last common state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence<'a> {
    /// Whether each system has it, in the order of the systems.
    pub systems: &'a [bool],
    /// Whether all of them had it at the last common state.
    pub existed: bool,
    /// Whether a system that still has it has changed it since.
    pub edited: bool,
}

/// What is to be done about a record that some systems have and the others have not.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Deletions, Existence, Presence, existence,
/// };
///
/// let new = Presence { systems: &[true, false], existed: false, edited: true };
/// assert_eq!(existence(Deletions::Ask, new), Existence::Create);
///
/// let deleted = Presence { systems: &[true, false], existed: true, edited: false };
/// assert_eq!(existence(Deletions::Ask, deleted), Existence::Ask);
/// assert_eq!(existence(Deletions::Propagate, deleted), Existence::Delete);
///
/// let edited_there = Presence { edited: true, ..deleted };
/// assert_eq!(existence(Deletions::Propagate, edited_there), Existence::Ask);
/// ```
pub fn existence(deletions: Deletions, presence: Presence<'_>) -> Existence {
    let Presence { systems, existed, edited } = presence;
    let everywhere = systems.iter().all(|has| *has);
    let nowhere = !systems.iter().any(|has| *has);
    match deletions {
        _ if nowhere => Existence::Gone,
        _ if everywhere => Existence::Everywhere,
        _ if !existed => Existence::Create,
        Deletions::Restore => Existence::Create,
        Deletions::Detach => Existence::Detach,
        Deletions::Propagate if !edited => Existence::Delete,
        Deletions::Propagate | Deletions::Ask => Existence::Ask,
    }
}

/// What a person has decided about a record that one system has deleted: the token that
/// permits it.
///
/// It is made by [`Existence::settle`], and by nothing else.
/// [`Review::deletion`](super::Review::deletion) is the row that puts the question.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::sync::{
///     Deletions, Existence, Presence, existence,
/// };
///
/// let presence = Presence { systems: &[true, false], existed: true, edited: true };
/// let asked = existence(Deletions::Ask, presence);
/// let decision = Decision::new("on-call", "the contract has ended")?;
/// let settled = asked.settle(Existence::Delete, decision.clone())?;
/// assert_eq!(
///     (settled.outcome(), settled.decision().reason()),
///     (Existence::Delete, "the contract has ended")
/// );
///
/// let refused =
///     Existence::Create.settle(Existence::Delete, decision.clone()).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "an answer about a record wants a question, and about this one nothing is asked"
/// );
/// assert_eq!(refused.into_value(), decision);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an answer changes nothing itself"]
pub struct SettledRecord {
    outcome: Existence,
    decision: Decision,
}

impl SettledRecord {
    /// What is to be done: [`Create`](Existence::Create), [`Delete`](Existence::Delete)
    /// or [`Detach`](Existence::Detach).
    pub fn outcome(&self) -> Existence {
        self.outcome
    }

    /// Who decided, why, and when.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }
}

impl Existence {
    /// What follows from a person's answer to [`Ask`](Existence::Ask).
    ///
    /// # Errors
    ///
    /// [`RecordAnswerError`] if nothing is asked, or what was chosen is not an action on
    /// a record; with the decision given back.
    pub fn settle(
        self,
        chosen: Existence,
        decision: Decision,
    ) -> Result<SettledRecord, Refused<Decision, RecordAnswerError>> {
        match (self, chosen) {
            (Self::Ask, Self::Create | Self::Delete | Self::Detach) => {
                Ok(SettledRecord { outcome: chosen, decision })
            }
            (Self::Ask, _) => {
                Err(Refused::new(decision, RecordAnswerError::NothingToDo { chosen }))
            }
            _ => Err(Refused::new(decision, RecordAnswerError::NothingAsked)),
        }
    }
}

/// An answer that does not fit the question about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordAnswerError {
    /// Nothing is asked about it.
    NothingAsked,
    /// What was chosen is not an action on a record.
    NothingToDo {
        /// What was chosen.
        chosen: Existence,
    },
}

impl fmt::Display for RecordAnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingAsked => f.write_str(
                "an answer about a record wants a question, and about this one nothing \
                 is asked",
            ),
            Self::NothingToDo { chosen } => {
                write!(
                    f,
                    "an answer about a record is to create, delete or detach it, and \
                     found {chosen:?}"
                )
            }
        }
    }
}

impl std::error::Error for RecordAnswerError {}
