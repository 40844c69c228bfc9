//! Carrying out a plan: the store checks what each write expects, and says what has
//! moved on and must be planned again.

use std::error::Error;
use std::fmt;

use super::answer::AnswerError;
use super::bases::Bases;
use super::plan::{FieldPlan, Write};
use super::reading::Kept;
use super::refusal::Refusal;
use super::settled::Settled;
use super::slot::{Base, Slot};

/// Where the systems keep a field, and what carries out its writes.
///
/// It does the reading and writing; this crate does none. `replace` checks what the
/// write expects and changes it in one step, with nothing between: by an `If-Match`
/// header, a lock, or `UPDATE ... WHERE value = expected`.
///
/// A slice of slots is a store in memory.
pub trait Store<T> {
    /// Why a system could not be reached, or would not write.
    type Error;

    /// Puts the value in place of what the write expects, in the system at `write.to()`.
    ///
    /// Where the system shows something else by now, it writes nothing: see
    /// [`Write::found`]. A write may be a [check](Write::is_check): it changes nothing,
    /// and what it expects counts all the same.
    ///
    /// # Errors
    ///
    /// Whatever keeps the system from answering; plan and apply again then. A value
    /// that the system will not take is no error: see [`Reply::Refused`].
    fn replace(&mut self, write: &Write<'_, T>) -> Result<Reply<T>, Self::Error>;
}

/// What a system replies to a write.
///
/// ```
/// use integration_automation_patterns::sync::{Found, Reply};
///
/// assert_eq!(Reply::<u8>::from(Found::MovedOn), Reply::Found(Found::MovedOn));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<T> {
    /// It holds what the write says, or shows something else than the write expects.
    Found(Found),
    /// It took the value and holds this instead: cut, rounded, trimmed, in a spelling of
    /// its own; or nothing. Read it back where the system may do so.
    Kept(Option<T>),
    /// It will not take the value, and says why. The other fields are written.
    Refused(String),
}

impl<T> From<Found> for Reply<T> {
    fn from(found: Found) -> Self {
        Self::Found(found)
    }
}

/// What a write found in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// What it expects.
    AsExpected,
    /// What it would write: it is there already.
    AlreadyWritten,
    /// Something else: the system has moved on since it was read. Nothing is written, and
    /// the field is planned again.
    MovedOn,
}

impl<T: PartialEq> Write<'_, T> {
    /// What this write finds in a system that shows this.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, FieldPlan, Found, Rule, Slot};
    ///
    /// let (crm, erp) = (Slot::Value("new"), Slot::Value("old"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some("old")));
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &base);
    /// let write = plan.writes().next().ok_or("the systems differ")?;
    /// assert_eq!(write.found(Some(&"old")), Found::AsExpected);
    /// assert_eq!(write.found(Some(&"new")), Found::AlreadyWritten);
    /// assert_eq!(write.found(None), Found::MovedOn);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn found(&self, shown: Option<&T>) -> Found {
        if shown == self.expects() {
            Found::AsExpected
        } else if shown == self.value() {
            Found::AlreadyWritten
        } else {
            Found::MovedOn
        }
    }
}

/// A store in memory, with a slot for each system. A write to a slot that was never
/// read finds that the system has moved on.
impl<T: Clone + PartialEq> Store<T> for [Slot<T>] {
    type Error = std::convert::Infallible;

    fn replace(&mut self, write: &Write<'_, T>) -> Result<Reply<T>, Self::Error> {
        let Some(slot) = self.get_mut(write.to()) else {
            return Ok(Found::MovedOn.into());
        };
        let found =
            slot.read().map_or(Found::MovedOn, |shown| write.found(shown.into_option()));
        if found == Found::AsExpected {
            *slot = Slot::from(write.value().cloned());
        }
        Ok(found.into())
    }
}

/// What came of carrying out the plan for one field.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it has the common state, and says what must be planned again"]
pub struct Applied<T> {
    /// The number of writes that were made, and not taken back.
    pub written: usize,
    /// The places of the systems that have moved on. Read them, and plan again.
    pub moved_on: Vec<usize>,
    /// What systems refused, in their words: store it, and give it to the next plan
    /// ([`FieldPlan::after_refusals`]).
    pub refused: Vec<Refusal<T>>,
    /// What systems hold instead of what was written: store it, and read by it
    /// ([`Reading::as_kept`](super::Reading::as_kept)).
    pub kept: Vec<Kept<T>>,
    /// The common state to store: as it was, if a system moved on or refused.
    pub base: Base<T>,
    /// What to store instead, for a plan [with a base for each
    /// system](FieldPlan::with_bases): one that moved on or refused has yet to get what
    /// was agreed.
    pub bases: Bases<T>,
}

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
/// (`B`), for you to store, what systems refused (`R`), and the answers (`A`) that were
/// not carried out.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it has what is known in common, and says what must be planned again"]
pub struct Carried<B, A, R> {
    /// What is known in common. A system that has moved on has yet to get what was agreed.
    pub bases: B,
    /// The names of the systems that have moved on since they were read. Nothing was
    /// written to them.
    pub moved_on: Vec<&'static str>,
    /// Why each answer comes back.
    pub misfits: Vec<Misfit>,
    /// The answers that do not fit, and those that a system did not carry out because it
    /// has moved on.
    pub answers: A,
    /// What systems refused, in their words: add it to what is stored, and give it to the
    /// next plan.
    pub refused: R,
}

/// What comes back if the plan of a declared boundary was not carried out to the end:
/// the answers (`A`), the progress (`B`), and what systems refused (`R`).
#[derive(Debug)]
#[non_exhaustive]
pub struct Unfinished<B, A, R> {
    /// What people answered, without the answers that do not fit.
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
                 plan again"
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

impl<T: Eq + Clone> FieldPlan<'_, T> {
    /// Carries out the plan.
    ///
    /// Applying a plan twice is the same as applying it once: the second time, every
    /// write finds its value there already. It does not write what a person must
    /// decide; see [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// The store's, at the first write that it could not make. Earlier writes stay; the
    /// common state has not moved, and the next plan does the rest.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, NonOwnerEdits, Rule, Slot,
    /// };
    ///
    /// let mut systems = [Slot::Value("new"), Slot::Value("old"), Slot::Value("old")];
    /// let (seen, base) = (systems, Base::Known(Some("old")));
    /// let slots = seen.each_ref();
    /// let plan = FieldPlan::new(Rule::Owner(0, NonOwnerEdits::Reject), &slots, &base);
    ///
    /// systems[2] = Slot::Value("newer"); // meanwhile
    /// let applied = plan.apply(&mut systems[..])?;
    /// assert_eq!((applied.written, applied.moved_on), (1, vec![2]));
    /// assert_eq!(systems[2], Slot::Value("newer"), "not overwritten unseen");
    /// assert_eq!(applied.base, base, "plan again against the same common state");
    /// let new = Base::Known(Some("new"));
    /// assert_eq!(applied.bases.confirmed, [new, new, base], "or with a base for each");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply<S: Store<T> + ?Sized>(
        &self,
        store: &mut S,
    ) -> Result<Applied<T>, S::Error> {
        let mut carried = Applied::nothing(self);
        for write in self.writes() {
            carried.note(&write, store.replace(&write)?);
        }
        Ok(carried.done(|| self.next_base(), |not_made| self.next_without(not_made)))
    }
}

impl<T: Eq + Clone> Settled<'_, T> {
    /// Carries out what a person has decided, as [`FieldPlan::apply`].
    ///
    /// Every system must still show what the person saw, even one that gets no write.
    /// If one has moved on, this call writes nothing more, and takes back what it has
    /// written already. A system that refuses to take it back counts as written, with
    /// its words in [`Applied::refused`].
    ///
    /// # Errors
    ///
    /// The store's, at the first write that it could not make or take back. Earlier
    /// writes stay.
    ///
    /// ```
    /// use integration_automation_patterns::Decision;
    /// use integration_automation_patterns::sync::{
    ///     Answer, Base, Choice, FieldPlan, Rule, Slot,
    /// };
    ///
    /// let mut systems = [Slot::Value("active"), Slot::Value("closed")];
    /// let (seen, base) = (systems, Base::Known(Some("active")));
    /// let slots = seen.each_ref();
    /// let plan = FieldPlan::new(Rule::Manual, &slots, &base);
    /// let row = plan.review("C-1", "status", ["crm", "erp"]).ok_or("it is asked")?;
    /// let of = |by: &str, place| {
    ///     let decision = Decision::new(by, "I asked the customer")?;
    ///     plan.settle("C-1", "status", Answer::to(&row, Choice::Side(place), decision))
    ///         .map_err(Box::<dyn std::error::Error>::from)
    /// };
    ///
    /// // Two people choose crosswise, on the same question.
    /// let (one, other) = (of("ada", 1)?, of("bob", 0)?);
    /// assert_eq!(one.apply(&mut systems[..])?.written, 1);
    /// let late = other.apply(&mut systems[..])?;
    /// assert_eq!((late.written, late.moved_on), (0, vec![0]));
    /// assert_eq!(systems, [Slot::Value("closed"); 2], "the values do not swap");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply<S: Store<T> + ?Sized>(
        &self,
        store: &mut S,
    ) -> Result<Applied<T>, S::Error> {
        let (mut carried, mut made) = (Applied::nothing(self.plan()), Vec::new());
        for write in self.checks().chain(self.writes()).chain(self.checks()) {
            let reply = store.replace(&write)?;
            match &reply {
                Reply::Found(Found::AsExpected) if !write.is_check() => {
                    made.push((write, write.value().cloned()));
                }
                Reply::Kept(held) => made.push((write, held.clone())),
                Reply::Found(_) | Reply::Refused(_) => {}
            }
            carried.note(&write, reply);
            if !carried.moved_on.is_empty() {
                return carried.taken_back(&made, store);
            }
        }
        Ok(carried.done(|| self.next_base(), |not_made| self.next_without(not_made)))
    }
}

impl<T: Clone + Eq> Applied<T> {
    fn nothing(plan: &FieldPlan<'_, T>) -> Self {
        let (moved_on, refused, kept) = (Vec::new(), Vec::new(), Vec::new());
        let (base, bases) = (plan.agreed().clone(), plan.after(None, &[]));
        Self { written: 0, moved_on, refused, kept, base, bases }
    }

    fn note(&mut self, write: &Write<'_, T>, reply: Reply<T>) {
        match reply {
            Reply::Found(Found::MovedOn) => self.moved_on.push(write.to()),
            Reply::Found(Found::AsExpected) if !write.is_check() => {
                self.written = self.written.saturating_add(1);
            }
            Reply::Found(Found::AsExpected | Found::AlreadyWritten) => {}
            Reply::Kept(held) => {
                self.written = self.written.saturating_add(1);
                self.kept.extend(Kept::of(write, held));
            }
            Reply::Refused(why) => self.refused.push(Refusal::of(write, why)),
        }
    }

    /// Takes these writes back, each from a system that now holds the value beside it.
    fn taken_back<S: Store<T> + ?Sized>(
        self,
        made: &[(Write<'_, T>, Option<T>)],
        store: &mut S,
    ) -> Result<Self, S::Error> {
        let mut left = Self { written: 0, kept: Vec::new(), ..self };
        for (write, held) in made.iter().rev() {
            let back = write.reversed(held.as_ref());
            match store.replace(&back)? {
                Reply::Found(_) => {}
                Reply::Kept(held) => left.kept.extend(Kept::of(&back, held)),
                Reply::Refused(why) => {
                    left.written = left.written.saturating_add(1);
                    left.kept.extend(Kept::of(write, held.clone()));
                    left.refused.push(Refusal::of(&back, why));
                }
            }
        }
        Ok(left)
    }

    /// Adds what is known in common from now on.
    fn done(
        self,
        base: impl FnOnce() -> Base<T>,
        bases: impl FnOnce(&[usize]) -> Bases<T>,
    ) -> Self {
        let refused = self.refused.iter().map(|refusal| refusal.place);
        let not_made = self.moved_on.iter().copied().chain(refused).collect::<Vec<_>>();
        let base = if not_made.is_empty() { base() } else { self.base };
        Self { base, bases: bases(&not_made), ..self }
    }
}
