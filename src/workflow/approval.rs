//! A question to people: whom it asks, who has voted, and what was cleared by it.

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};

use super::calendar::Calendar;
use super::definition::{Level, Step};
use super::id::Seen;
use super::reply::ReplyError;
use super::role::{Actor, AnyRuling, Directory, Person, Role, Ruling};
use super::stage::{Decides, Declared, MaySettle, Stage, Status};
use super::wire::Wire;
use crate::envelope::to_micros;

/// A vote for what a question shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Who votes, and in whose place.
    pub actor: Actor,
    /// The role that they decide in.
    pub role: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What they saw.
    pub seen: Seen,
}

impl Vote {
    pub(super) fn new(ruling: &AnyRuling, seen: Seen) -> Self {
        let decision = ruling.decision();
        Self {
            actor: ruling.actor().clone(),
            role: ruling.role().to_owned(),
            reason: decision.reason().to_owned(),
            at: decision.at(),
            seen,
        }
    }
}

/// A question that is open: an approval, or what became of a step or an undo that did not
/// answer.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// The level that is asked, from 0.
    pub level: u32,
    /// Whether the reminder of this level is past: it was sent, or a person has set the
    /// level's end.
    pub reminded: bool,
    /// Whether no level has enough people who may decide.
    pub for_nobody: bool,
    /// What people are shown, where they are to approve.
    pub shown: Option<Vec<u8>>,
    /// The votes so far.
    pub votes: Vec<Vote>,
}

impl fmt::Debug for Question {
    /// Everything but what is shown, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("level", &self.level)
            .field("reminded", &self.reminded)
            .field("for_nobody", &self.for_nobody)
            .field("votes", &self.votes)
            .finish_non_exhaustive()
    }
}

impl Question {
    /// The fingerprint of what is shown.
    pub fn seen(&self) -> Seen {
        Seen::of(self.shown.as_deref().unwrap_or_default())
    }

    /// The level that is asked, or the last where the chain has become shorter.
    pub(crate) fn level_of<'c>(&self, chain: &'c [Level]) -> Option<&'c Level> {
        let level = usize::try_from(self.level).unwrap_or(usize::MAX);
        chain.get(level).or(chain.last())
    }

    /// Who has voted already, by their own name or another's.
    pub(super) fn voter<'a>(&self, actor: &'a Actor) -> Option<&'a Person> {
        let voted = |person: &&Person| {
            self.votes.iter().any(|vote| vote.actor.people().any(|one| one == *person))
        };
        actor.people().find(voted)
    }

    /// Whether some level has as many votes of its role as it wants.
    pub(super) fn is_granted(&self, chain: &[Level]) -> bool {
        is_granted(&self.votes, chain)
    }

    /// The people who may still decide at a level: its members, less the
    /// [authors](super::InstanceRecord::authors) of what is asked, those for whom they
    /// acted, and those who have voted.
    pub fn eligible(
        &self,
        level: &Level,
        authors: &[Actor],
        people: &dyn Directory,
    ) -> Vec<Person> {
        let mut eligible = people.members(level.role);
        eligible.retain(|person| {
            let alone = Actor { person: person.clone(), instead_of: None };
            let is_own = authors.iter().any(|author| author.overlaps(&alone));
            !is_own && self.voter(&alone).is_none()
        });
        // A directory may list a person twice.
        let mut distinct = Vec::new();
        for person in eligible {
            if !distinct.contains(&person) {
                distinct.push(person);
            }
        }
        distinct
    }

    /// Passes the levels that have too few people left. Where no level has enough, the
    /// question is for nobody, and stays at the last one.
    pub(super) fn put_to(
        &mut self,
        chain: &[Level],
        authors: &[Actor],
        people: &dyn Directory,
    ) {
        let enough = |level: &Level| {
            let eligible = self.eligible(level, authors, people).len();
            u32::try_from(eligible).unwrap_or(u32::MAX) >= missing(&self.votes, level)
        };
        let levels = (0u32..).zip(chain);
        let mut later = levels.skip_while(|(index, _)| *index < self.level);
        let found = later.find(|(_, level)| enough(level)).map(|(index, _)| index);
        let last = u32::try_from(chain.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let level = found.unwrap_or(last.max(self.level));
        self.reminded &= level == self.level;
        (self.level, self.for_nobody) = (level, found.is_none());
    }

    /// What follows where the level's time has passed.
    pub(super) fn next(&mut self, chain: &[Level]) -> Escalation {
        let remind = self.level_of(chain).and_then(reminder);
        if remind.is_some() && !self.reminded {
            self.reminded = true;
            return Escalation::Reminded;
        }
        self.reminded = false;
        if self.ask_next(chain) { Escalation::Escalated } else { Escalation::Over }
    }

    /// The next level is asked; false where this is the last.
    pub(super) fn ask_next(&mut self, chain: &[Level]) -> bool {
        let next = self.level.saturating_add(1);
        let is_there = usize::try_from(next).is_ok_and(|next| next < chain.len());
        if is_there {
            (self.level, self.reminded) = (next, false);
        }
        is_there
    }

    /// When the time of the level that is asked ends, where a clerk looks next at `due_at`;
    /// and that moment, where it is the level's reminder.
    pub(super) fn level_times(
        &self,
        chain: &[Level],
        due_at: DateTime<Utc>,
        calendar: &dyn Calendar,
    ) -> (DateTime<Utc>, Option<DateTime<Utc>>) {
        let level = self.level_of(chain).filter(|_| !self.reminded);
        let rest =
            level.and_then(|level| Some(level.within.saturating_sub(reminder(level)?)));
        match rest {
            Some(rest) => {
                let ends_at = calendar.due(due_at, rest).max(due_at);
                (to_micros(ends_at), Some(due_at))
            }
            None => (due_at, None),
        }
    }

    /// Until the level's time has passed, or its reminder is due.
    pub(super) fn span(&self, chain: &[Level]) -> Option<std::time::Duration> {
        let level = self.level_of(chain)?;
        let span = match (reminder(level), self.reminded) {
            (Some(span), false) => span,
            (Some(span), true) => level.within.saturating_sub(span),
            (None, _) => level.within,
        };
        Some(span)
    }
}

/// Whether some level has as many votes of its role as it wants.
fn is_granted(votes: &[Vote], chain: &[Level]) -> bool {
    chain.iter().any(|level| missing(votes, level) == 0)
}

/// How many votes of its role a level still wants.
fn missing(votes: &[Vote], level: &Level) -> u32 {
    let votes = votes.iter().filter(|vote| vote.role == level.role).count();
    level.wanted.saturating_sub(u32::try_from(votes).unwrap_or(u32::MAX))
}

/// A reminder that comes before the level's end.
fn reminder(level: &Level) -> Option<std::time::Duration> {
    level.remind_after.filter(|span| *span < level.within)
}

/// What follows a level to which nobody has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escalation {
    Reminded,
    Escalated,
    Over,
}

/// How an approval was cleared, with what people were shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Clearance {
    /// The approval.
    pub approval: String,
    /// The votes; none where its condition did not hold.
    pub votes: Vec<Vote>,
    /// What was shown, or would have been.
    pub shown: Vec<u8>,
    /// How many people had amended the instance by then: the first so many of its
    /// [`amended_by`](super::InstanceRecord::amended_by), none of whom votes here.
    pub amended: u32,
}

impl Clearance {
    /// What a clearance of today says of those who have amended the instance.
    pub(super) fn amended(by: &[Actor]) -> u32 {
        u32::try_from(by.len()).unwrap_or(u32::MAX)
    }

    /// Whether the votes are enough for a level of the approval, or its condition may not
    /// have held.
    pub(super) fn is_granted(&self, approval: &Step) -> bool {
        let has_condition = self.votes.is_empty() && approval.when.is_some();
        has_condition || is_granted(&self.votes, approval.asks)
    }
}

impl fmt::Debug for Clearance {
    /// Everything but what was shown, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clearance")
            .field("approval", &self.approval)
            .field("votes", &self.votes)
            .field("amended", &self.amended)
            .finish_non_exhaustive()
    }
}

/// The proof that an approval was given, or not needed, with what was shown: whoever
/// builds the command of a step that `needs` it gets one, and nobody can make one.
pub struct Cleared<A: Declared> {
    shown: A::Shown,
    clearance: Clearance,
}

impl<A: Declared> Cleared<A> {
    pub(super) fn of(clearance: &Clearance) -> Result<Self, super::WireError> {
        let shown = A::Shown::read(&clearance.shown)?;
        Ok(Self { shown, clearance: clearance.clone() })
    }

    /// What was shown: what is approved is what is sent.
    pub fn shown(&self) -> &A::Shown {
        &self.shown
    }

    /// Who approved, and why; nobody, where the condition of the approval did not hold.
    pub fn votes(&self) -> &[Vote] {
        &self.clearance.votes
    }
}

impl<A: Declared> fmt::Debug for Cleared<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cleared").field(&self.clearance).finish()
    }
}

/// The proof that a person may say their word at a stage: made by the verbs of
/// [`Instance`](super::Instance) and [`Driven`](super::Driven) alone, once the role has
/// been compared with those that the table asks there.
pub struct Granted<At> {
    pub(super) ruling: AnyRuling,
    /// Whether the votes are enough, where it is one.
    pub(super) is_enough: bool,
    at: PhantomData<fn() -> At>,
}

impl<At: Stage> Granted<At> {
    /// The word of a person in a role that decides at the stage.
    pub(super) fn deciding<R: Role + Decides<At>>(ruling: Ruling<R>) -> Self {
        let _ = R::BY_TABLE;
        Self::compared(ruling.into())
    }

    /// The word of a person in a role that settles at the stage.
    pub(super) fn settling<R: Role + MaySettle<At>>(ruling: Ruling<R>) -> Self {
        let _ = R::BY_TABLE;
        Self::compared(ruling.into())
    }

    /// A ruling whose role was compared.
    pub(super) fn compared(ruling: AnyRuling) -> Self {
        Self { ruling, is_enough: false, at: PhantomData }
    }
}

impl<At> fmt::Debug for Granted<At> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Granted").field(&self.ruling).finish()
    }
}

/// A person's decision that was not taken.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// use integration_automation_patterns::workflow::{NotDecidedError, Person};
///
/// let error = NotDecidedError::OwnRequest { person: Person::new("anna")? };
/// assert_eq!(
///     error.to_string(),
///     "wanted the decision of another person than the one who asks, and found anna's"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NotDecidedError {
    /// The person asks for it, or acts for the one who does.
    OwnRequest {
        /// The person on both sides.
        person: Person,
    },
    /// The person has amended what is asked, or acts for one who has.
    OwnAmendment {
        /// The person on both sides.
        person: Person,
    },
    /// The person, or the one in whose place they vote, has voted.
    VotedAlready {
        /// The person who has.
        person: Person,
    },
    /// There is no vote of the person to take back.
    NotVoted {
        /// The person.
        person: Person,
    },
    /// What is to be approved has changed since the person saw it.
    Changed {
        /// What they saw.
        seen: Seen,
        /// What is shown now.
        now: Seen,
    },
    /// The person decides in a role that is not asked.
    WrongRole {
        /// The roles that are.
        wanted: Vec<&'static str>,
        /// The role of the seat.
        found: &'static str,
    },
    /// The question is no longer open, or has no such answer.
    Closed {
        /// What the person wants.
        choice: &'static str,
        /// Where the instance stands.
        status: Status,
        /// The step; an end has none.
        step: &'static str,
    },
    /// The level that is asked is the last: there is no next one.
    LastLevel {
        /// The role that it asks.
        role: &'static str,
    },
    /// What the person says that the step answered is no answer of it.
    Reply(ReplyError),
}

impl fmt::Display for NotDecidedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnRequest { person } => write!(
                f,
                "wanted the decision of another person than the one who asks, and found \
                 {person}'s"
            ),
            Self::OwnAmendment { person } => write!(
                f,
                "wanted the decision of another person than those who have amended it, \
                 and found {person}'s"
            ),
            Self::VotedAlready { person } => {
                write!(
                    f,
                    "wanted one vote of each person, and {person} has voted already"
                )
            }
            Self::NotVoted { person } => {
                write!(f, "there is no vote of {person} to take back")
            }
            // Who pasted the fingerprint of now would approve unseen.
            Self::Changed { seen, .. } => write!(
                f,
                "wanted a decision about what is shown now, and found one about {seen}: \
                 look at it again, in the question that carries the fingerprint of now"
            ),
            Self::WrongRole { wanted, found } => {
                write!(
                    f,
                    "wanted a decision as {}, and found {found}",
                    wanted.join(" or ")
                )
            }
            Self::Closed { choice, status, step: "" } => {
                write!(f, "cannot {choice}: the instance is {status}")
            }
            Self::Closed { choice, status, step } => {
                write!(f, "cannot {choice}: the instance is {status} at `{step}`")
            }
            Self::LastLevel { role } => write!(
                f,
                "wanted a level behind that of the {role}, and found the end of the \
                 chain: let somebody decide in their place, or postpone it"
            ),
            Self::Reply(_) => {
                f.write_str("what is to have happened is no reply of the step")
            }
        }
    }
}

impl std::error::Error for NotDecidedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Reply(cause) => Some(cause),
            _ => None,
        }
    }
}
