//! What came of carrying out the plan of a declared boundary, to the end or not.

use std::error::Error;
use std::fmt;

use super::answer::AnswerError;

/// An answer that does not fit the plan of a declared boundary, and why. It comes back
/// by itself: the rest of the record goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misfit {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub cause: AnswerError,
}

/// What came of carrying out the plan of a declared boundary: what is known in common
/// (`B`), for you to store, what systems refused (`R`) and what they kept in a form of
/// their own (`K`), and the answers (`A`) that were not carried out.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it has what is known in common, and says what must be planned again"]
pub struct Carried<B, A, R, K> {
    /// What is known in common. A system that has moved on has yet to get what was
    /// agreed.
    pub bases: B,
    /// The names of the systems that have moved on since they were read. Nothing was
    /// written to them.
    pub moved_on: Vec<&'static str>,
    /// Why each answer comes back.
    pub misfits: Vec<Misfit>,
    /// The answers that do not fit, and those that were taken back because a system has
    /// moved on.
    pub answers: A,
    /// What systems refused, in their words: add it to what is stored, and give it to the
    /// next plan.
    pub refused: R,
    /// What systems hold instead of what was written, and not taken back: add it to what
    /// is stored, and read by it (`Snapshot::as_kept`).
    pub kept: K,
}

/// What comes back if the plan of a declared boundary was not carried out to the end:
/// the answers (`A`), the progress (`B`), what systems refused (`R`), and what they kept
/// in a form of their own (`K`).
#[derive(Debug)]
#[non_exhaustive]
pub struct Unfinished<B, A, R, K> {
    /// What people answered, without the answers that do not fit. One that was written to
    /// some systems is asked about again.
    pub answers: A,
    /// What is known in common, for you to store: the systems that were written to have
    /// what was agreed, and the others have yet to get it.
    pub bases: B,
    /// Why each of the answers in `misfit_answers` comes back by itself.
    pub misfits: Vec<Misfit>,
    /// The answers that do not fit.
    pub misfit_answers: A,
    /// What systems refused.
    pub refused: R,
    /// What systems hold instead of what was written, and not taken back.
    pub kept: K,
}

/// A plan could not be carried out, or not to the end.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApplyError {
    /// An answer does not fit the plan.
    Answer {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: AnswerError,
    },
    /// A system is named that is not a party to the boundary.
    NoParty {
        /// The parties.
        parties: &'static [&'static str],
        /// The name that is none of theirs.
        found: String,
    },
    /// A system could not be written to. What was written before stays, and the next plan
    /// does the rest.
    Store {
        /// The system.
        system: &'static str,
        /// Why.
        cause: Box<dyn Error + Send + Sync>,
    },
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { field, .. } => {
                write!(f, "the answer about {field:?} does not fit the plan")
            }
            Self::NoParty { parties, found } => {
                write!(f, "a plan is between {}, and found {found:?}", parties.join(", "))
            }
            Self::Store { system, .. } => write!(
                f,
                "a plan wants every system to take its changes, and {system:?} did not: \
                 see to the cause, and plan again"
            ),
        }
    }
}

impl Error for ApplyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Answer { cause, .. } => Some(cause),
            Self::NoParty { .. } => None,
            Self::Store { cause, .. } => Some(&**cause),
        }
    }
}
