//! Carrying out a plan: what each write expects is checked by the store, and what moved
//! on meanwhile is planned again.

use std::error::Error;
use std::fmt;

use super::plan::{FieldPlan, Write};
use super::review::{AnswerError, Settled};
use super::slot::{Base, Slot};

/// Where the systems keep a field: what carries out a write.
///
/// It does the reading and writing; this crate does none. `replace` is one step: the
/// check of what the write expects and the change must not be torn apart
/// (`UPDATE ... WHERE value = expected`, an `If-Match` header, a lock).
///
/// A slice of slots is a store in memory.
pub trait Store<T> {
    /// Why a system could not be reached, or would not write.
    type Error;

    /// Puts the value in place of what the write expects, in the system at `write.to()`.
    ///
    /// Where the system shows something else by now, it writes nothing: see
    /// [`Write::found`].
    ///
    /// # Errors
    ///
    /// Whatever keeps the system from answering. The plan may be made and applied again.
    fn replace(&mut self, write: &Write<'_, T>) -> Result<Found, Self::Error>;
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

/// A store in memory, with a slot for each system. A slot that was never read has moved
/// on from whatever is expected.
impl<T: Clone + PartialEq> Store<T> for [Slot<T>] {
    type Error = std::convert::Infallible;

    fn replace(&mut self, write: &Write<'_, T>) -> Result<Found, Self::Error> {
        let Some(slot) = self.get_mut(write.to()) else { return Ok(Found::MovedOn) };
        let found =
            slot.read().map_or(Found::MovedOn, |shown| write.found(shown.into_option()));
        if found == Found::AsExpected {
            *slot = Slot::from(write.value().cloned());
        }
        Ok(found)
    }
}

/// What came of carrying out the plan for one field.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it has the common state, and says what must be planned again"]
pub struct Applied<T> {
    /// The number of writes that were made.
    pub written: usize,
    /// The places of the systems that have moved on. Read them, and plan again.
    pub moved_on: Vec<usize>,
    /// The common state to store: as it was, where a system moved on.
    pub base: Base<T>,
}

/// What came of carrying out the plan of a declared boundary: the common state `A` to
/// store, and who must be read and planned again.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it has the common state, and says what must be planned again"]
pub struct Carried<A> {
    /// The common state. A field that was to be written to a system that has moved on is
    /// as it was.
    pub agreed: A,
    /// The names of the systems that have moved on since they were read. Nothing was
    /// written to them.
    pub moved_on: Vec<&'static str>,
}

/// A plan could not be carried out, or not to the end.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApplyError {
    /// An answer does not fit the plan. Nothing was written.
    Answer {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: AnswerError,
    },
    /// A system could not be written to. What was written before stays; the common state
    /// has not moved, and the next plan does the rest.
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
            Self::Store { cause, .. } => Some(&**cause),
        }
    }
}

impl<T: Eq + Clone> FieldPlan<'_, T> {
    /// Carries out the plan.
    ///
    /// To apply a plan twice is to apply it once: the second time, every write finds its
    /// value there already. What a person must decide is not written; see
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// That of the store, at the first write that it could not make. What was written
    /// stays; the common state has not moved, and the next plan does the rest.
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
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply<S: Store<T> + ?Sized>(
        &self,
        store: &mut S,
    ) -> Result<Applied<T>, S::Error> {
        carry_out(self.writes(), store, || self.next_base(), self.agreed())
    }
}

impl<T: Eq + Clone> Settled<'_, T> {
    /// Carries out what a person has decided, as [`FieldPlan::apply`].
    ///
    /// # Errors
    ///
    /// That of the store, at the first write that it could not make.
    pub fn apply<S: Store<T> + ?Sized>(
        &self,
        store: &mut S,
    ) -> Result<Applied<T>, S::Error> {
        carry_out(self.writes(), store, || self.next_base(), self.base())
    }
}

fn carry_out<'w, T: Clone + 'w, S: Store<T> + ?Sized>(
    writes: impl Iterator<Item = Write<'w, T>>,
    store: &mut S,
    next: impl FnOnce() -> Base<T>,
    base: &Base<T>,
) -> Result<Applied<T>, S::Error> {
    let (mut written, mut moved_on) = (0_usize, Vec::new());
    for write in writes {
        match store.replace(&write)? {
            Found::AsExpected => written = written.saturating_add(1),
            Found::AlreadyWritten => {}
            Found::MovedOn => moved_on.push(write.to()),
        }
    }
    let base = if moved_on.is_empty() { next() } else { base.clone() };
    Ok(Applied { written, moved_on, base })
}
