//! Carrying out a plan: the store checks what each write expects, and says what has
//! moved on and must be planned again.

use super::bases::Bases;
use super::kept::Kept;
use super::plan::FieldPlan;
use super::refusal::Refusal;
use super::settled::Settled;
use super::slot::{Base, Slot};
use super::write::Write;
use crate::Refused;

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

/// What came of carrying out the plan for one field; so far, if a store failed.
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
    /// What systems hold instead of what was written, and not taken back: store it, and
    /// read by it ([`Reading::as_kept`](super::Reading::as_kept)).
    pub kept: Vec<Kept<T>>,
    /// The common state to store: as it was, if a system moved on or refused.
    pub base: Base<T>,
    /// What to store instead, for a plan [with a base for each
    /// system](FieldPlan::with_bases): one that moved on or refused has yet to get what
    /// was agreed.
    pub bases: Bases<T>,
}

impl<T: PartialEq + Clone> FieldPlan<'_, T> {
    /// Carries out the plan.
    ///
    /// Applying a plan twice is the same as applying it once: the second time, every
    /// write finds its value there already. It does not write what a person must
    /// decide; see [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// The store's, at the first write that it could not make. Earlier writes stay, and
    /// what came of them is given back: store it as if the plan had ended there, and the
    /// next plan does the rest.
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
    ) -> Result<Applied<T>, Refused<Applied<T>, S::Error>> {
        let mut applied = Applied::nothing(self);
        let mut writes = self.writes();
        while let Some(write) = writes.next() {
            match store.replace(&write) {
                Ok(reply) => applied.note(&write, reply),
                Err(cause) => {
                    let left = [write].into_iter().chain(writes).map(|write| write.to());
                    let so_far =
                        applied.next(left, |not_made| self.next_without(not_made));
                    return Err(Refused::new(so_far, cause));
                }
            }
        }
        Ok(applied.done(|| self.next_base(), |not_made| self.next_without(not_made)))
    }
}

impl<T: PartialEq + Clone> Settled<'_, T> {
    /// Carries out what a person has decided, as [`FieldPlan::apply`].
    ///
    /// Every system must still show what the person saw, even one that gets no write.
    /// If one has moved on, this call writes nothing more, and takes back what it has
    /// written already. A system that refuses to take it back counts as written, with
    /// its words in [`Applied::refused`].
    ///
    /// # Errors
    ///
    /// The store's, at the first write or check that it could not make, or could not
    /// take back. Earlier writes stay, and what came of them is given back, to be stored.
    /// If some writes were made and others were not, the decision stands, and the next
    /// plan does the rest; otherwise nothing is agreed, and the answer can be given again
    /// while the systems show what it is to.
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
    ) -> Result<Applied<T>, Refused<Applied<T>, S::Error>> {
        let (mut applied, mut made) = (Applied::nothing(self.plan()), Vec::new());
        let mut steps = self.checks().chain(self.writes()).chain(self.checks());
        while let Some(write) = steps.next() {
            let reply = match store.replace(&write) {
                Ok(reply) => reply,
                Err(cause) => {
                    let left = [write].into_iter().chain(steps);
                    let left = left.filter(|write| !write.is_check());
                    let so_far = self.stopped(applied, !made.is_empty(), left);
                    return Err(Refused::new(so_far, cause));
                }
            };
            match &reply {
                Reply::Found(Found::AsExpected) if !write.is_check() => {
                    made.push((write, write.value().cloned()));
                }
                Reply::Kept(held) => made.push((write, held.clone())),
                Reply::Found(_) | Reply::Refused(_) => {}
            }
            applied.note(&write, reply);
            if !applied.moved_on.is_empty() {
                return applied.taken_back(&made, store);
            }
        }
        Ok(applied.done(|| self.next_base(), |not_made| self.next_without(not_made)))
    }

    /// What came of it, where a store failed before it made the writes that are left.
    ///
    /// A decision that nothing was written of can be given again. One that was written
    /// everywhere was not checked afterwards: if its systems agree, the next plan agrees.
    fn stopped<'w>(
        &self,
        applied: Applied<T>,
        is_begun: bool,
        left: impl Iterator<Item = Write<'w, T>>,
    ) -> Applied<T>
    where
        T: 'w,
    {
        let left = left.map(|write| write.to()).collect::<Vec<_>>();
        if left.is_empty() || !is_begun {
            return applied;
        }
        applied.next(left, |not_made| self.next_without(not_made))
    }
}

impl<T: Clone + PartialEq> Applied<T> {
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
    ) -> Result<Self, Refused<Self, S::Error>> {
        let mut applied = Self { written: 0, kept: Vec::new(), ..self };
        let mut made = made.iter().rev();
        while let Some((write, held)) = made.next() {
            let back = write.reversed(held.as_ref());
            match store.replace(&back) {
                Ok(Reply::Found(_)) => {}
                Ok(Reply::Kept(held)) => applied.kept.extend(Kept::of(&back, held)),
                Ok(Reply::Refused(why)) => {
                    applied.stays(write, held);
                    applied.refused.push(Refusal::of(&back, why));
                }
                Err(cause) => {
                    applied.stays(write, held);
                    made.for_each(|(write, held)| applied.stays(write, held));
                    return Err(Refused::new(applied, cause));
                }
            }
        }
        Ok(applied)
    }

    /// Notes a write that is not taken back, from a system that holds this.
    fn stays(&mut self, write: &Write<'_, T>, held: &Option<T>) {
        self.written = self.written.saturating_add(1);
        self.kept.extend(Kept::of(write, held.clone()));
    }

    /// Adds what is known in common from now on, where all writes were tried.
    fn done(
        self,
        base: impl FnOnce() -> Base<T>,
        bases: impl FnOnce(&[usize]) -> Bases<T>,
    ) -> Self {
        let is_whole = self.moved_on.is_empty() && self.refused.is_empty();
        let applied = self.next([], bases);
        if is_whole { Self { base: base(), ..applied } } else { applied }
    }

    /// Adds what each system is known to have from now on, where the writes to the
    /// systems at these places are left.
    fn next(
        self,
        left: impl IntoIterator<Item = usize>,
        bases: impl FnOnce(&[usize]) -> Bases<T>,
    ) -> Self {
        let refused = self.refused.iter().map(|refusal| refusal.place);
        let not_made = self.moved_on.iter().copied().chain(refused).chain(left);
        Self { bases: bases(&not_made.collect::<Vec<_>>()), ..self }
    }
}
