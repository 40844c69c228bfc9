//! What a journal says of each step: what moved the instance, and who.

use std::fmt;

use super::approval::Granted;
use super::role::{Actor, AnyRuling, Person, Role, Ruling};
use crate::Decision;

macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident $text:literal;)*) => {
        /// What moved an instance, in the words of its journal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$doc])* $cause,)*
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Self] = &[$(Self::$cause),*];

            /// The text form.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$cause => $text,)*
                }
            }
        }
    };
}

causes! {
    /// It began.
    Started "started";
    /// A reply: done.
    Done "done";
    /// A reply: refused.
    Refused "refused";
    /// A reply: undone.
    Undone "undone";
    /// The deadline of a reply passed.
    TimedOut "timed_out";
    /// The deadline of a level passed: the next one is asked.
    Escalated "escalated";
    /// The same level is asked again.
    Reminded "reminded";
    /// The deadline of the last level passed: silence is a refusal.
    Expired "expired";
    /// A person approved, and more must.
    Voted "voted";
    /// A person approved, and it was enough.
    Approved "approved";
    /// A person took their vote back.
    Withdrawn "withdrawn";
    /// A person refused.
    Declined "declined";
    /// A person changed what is asked for.
    Amended "amended";
    /// A person wants the whole undone.
    Cancelled "cancelled";
    /// A person said: it happened.
    Happened "happened";
    /// A person said: it did not happen.
    DidNotHappen "did_not_happen";
    /// A person had it asked again.
    AskedAgain "asked_again";
    /// A person closed it.
    GivenUp "given_up";
    /// A person moved the deadline.
    Postponed "postponed";
    /// A person had the next level asked.
    Reassigned "reassigned";
    /// A person has repaired it, and a clerk looks again: no move.
    TakenUp "taken_up";
    /// A reply that is not awaited any more: no move.
    Late "late";
}

impl Cause {
    /// The cause of this text form.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn of(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.as_str() == text)
    }

    /// Whether the instance was stored anew.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn is_step(self) -> bool {
        !matches!(self, Self::TakenUp | Self::Late)
    }

    /// Whether the instance stays at its stage.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn stays(self) -> bool {
        let is_asked = matches!(
            self,
            Self::Escalated | Self::Reminded | Self::Postponed | Self::Reassigned
        );
        let is_voted = matches!(self, Self::Voted | Self::Withdrawn | Self::Amended);
        is_asked || is_voted || !self.is_step()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the journal says of one step.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// What moved the instance.
    pub cause: Cause,
    /// The step that it was at; none where it began.
    pub step: Option<&'static str>,
    /// The person, where one did.
    pub by: Option<By>,
    /// The steps that are done and stay done, where a person gave the instance up; last
    /// the step whose undo cannot be had. A retriable step that it was at may be done too.
    pub standing: Vec<&'static str>,
}

impl Entry {
    pub(super) fn new(cause: Cause, step: Option<&'static str>, by: Option<By>) -> Self {
        Self { cause, step, by, standing: Vec::new() }
    }
}

/// The person behind an entry of a journal.
///
/// Made of a [`Ruling`], an [`AnyRuling`] or a [`Decision`], and only a ruling brings a
/// role.
#[derive(Debug, Clone)]
pub struct By {
    pub(super) decision: Decision,
    pub(super) role: Option<&'static str>,
    pub(super) instead_of: Option<Person>,
}

impl By {
    /// Who, why and when.
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The role that they decided in, where they did so from a seat.
    pub const fn role(&self) -> Option<&'static str> {
        self.role
    }

    /// In whose place.
    pub const fn instead_of(&self) -> Option<&Person> {
        self.instead_of.as_ref()
    }

    /// Who it is, with the one in whose place they act.
    pub(super) fn actor(&self) -> Actor {
        let person = Person::behind(&self.decision);
        Actor { person, instead_of: self.instead_of.clone() }
    }
}

impl<R: Role> From<Ruling<R>> for By {
    fn from(ruling: Ruling<R>) -> Self {
        AnyRuling::from(ruling).into()
    }
}

impl From<AnyRuling> for By {
    fn from(ruling: AnyRuling) -> Self {
        let Actor { instead_of, .. } = ruling.actor().clone();
        let (decision, role) = (ruling.decision().clone(), Some(ruling.role()));
        Self { decision, role, instead_of }
    }
}

impl<At> From<Granted<At>> for By {
    fn from(granted: Granted<At>) -> Self {
        granted.ruling.into()
    }
}

impl From<Decision> for By {
    fn from(decision: Decision) -> Self {
        Self { decision, role: None, instead_of: None }
    }
}
