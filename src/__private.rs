//! What the macros of this crate call, and nobody else: it may change with any release.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use crate::Refused;
use crate::reason::reason;
use crate::sync::declared::{Entry, FieldRules, Includes, Kind, Ruled, Visit};
use crate::sync::{
    Answer, AnswerError, ApplyError, Bases, Carried, FieldPlan, Found, Misfit, Refusals,
    Review, Slot, Unfinished, Verdict, Write,
};

#[cfg(feature = "serde")]
pub use crate::external::stored;
#[cfg(feature = "serde")]
pub use serde;

/// Why a store did not take its changes.
pub type Cause = Box<dyn Error + Send + Sync>;

/// The name of a field, as an identifier that is a keyword stands for it.
pub const fn name(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', name @ ..] => match str::from_utf8(name) {
            Ok(name) => name,
            Err(_) => identifier,
        },
        _ => identifier,
    }
}

/// Whether no two names are the same.
pub const fn are_distinct(names: &[&str]) -> bool {
    let mut left = names;
    while let [first, rest @ ..] = left {
        let mut others = rest;
        while let [other, more @ ..] = others {
            if same(first.as_bytes(), other.as_bytes()) {
                return false;
            }
            others = more;
        }
        left = rest;
    }
    true
}

/// Whether a name stands in a list once.
pub const fn is_once(names: &[&str], name: &str) -> bool {
    let (mut left, mut found) = (names, false);
    while let [first, rest @ ..] = left {
        if same(first.as_bytes(), name.as_bytes()) {
            if found {
                return false;
            }
            found = true;
        }
        left = rest;
    }
    found
}

// From the end, where the names of one boundary differ most: the compiler's interpreter
// compares each with each.
const fn same(mut one: &[u8], mut other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    while let ([first @ .., a], [second @ .., b]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (first, second);
    }
    true
}

/// The key of a system, to be asked whether it is [`Default`].
#[derive(Debug)]
pub struct Key<K>(PhantomData<K>);

/// The answer where the key is not: an inherent constant goes before a trait's.
pub trait IsNotDefault {
    /// Whether anybody can make one.
    const IS_DEFAULT: bool = false;
}

impl<K> IsNotDefault for Key<K> {}

impl<K: Default> Key<K> {
    /// Whether anybody can make one.
    pub const IS_DEFAULT: bool = true;
}

/// Takes over what an edit says, where it says something.
pub fn take_over<T>(slot: &mut Slot<T>, edit: Slot<T>) {
    if !matches!(edit, Slot::Unread) {
        *slot = edit;
    }
}

/// The place of a system among the parties.
pub const fn place<Parties: Includes<S, At>, S, At>() -> usize {
    Parties::PLACE
}

/// The next place, beginning with 0.
pub fn count(next: &mut usize) -> usize {
    let place = *next;
    *next = place.saturating_add(1);
    place
}

/// The entry of one field.
#[inline(always)]
pub fn entry<'a, F: Ruled, T: Eq, K: Kind, const N: usize>(
    slots: [&'a Slot<T>; N],
    known: &'a Bases<T>,
) -> Entry<'a, F, T, K, N> {
    Entry::new(slots, known)
}

/// The entry of one field, for a declared rule to settle.
pub fn rules<'p, 'a, F: Ruled, T, K: Kind, const N: usize>(
    entry: &'p mut Entry<'a, F, T, K, N>,
) -> FieldRules<'p, 'a, F, T, K, N> {
    FieldRules::new(entry)
}

/// The plan that an entry has.
pub fn plan<'e, F: Ruled, T, K: Kind, const N: usize>(
    entry: &'e Entry<'_, F, T, K, N>,
) -> FieldPlan<'e, T> {
    entry.plan()
}

/// Collects what is to be done, by field.
#[derive(Debug)]
pub struct Verdicts(Vec<(&'static str, Verdict)>);

impl Verdicts {
    /// Nothing so far: inherent, for code without a prelude.
    pub const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// What was collected.
    pub fn listed(self) -> std::vec::IntoIter<(&'static str, Verdict)> {
        self.0.into_iter()
    }
}

impl<T> Visit<FieldPlan<'_, T>> for Verdicts {
    fn visit(&mut self, field: &'static str, plan: FieldPlan<'_, T>) {
        self.0.push((field, plan.verdict()));
    }
}

/// Gives a visitor the questions of the plans that it visits.
pub struct Asking<'v, V: ?Sized> {
    record_id: &'v str,
    systems: &'v [&'v str],
    visitor: &'v mut V,
}

impl<V: ?Sized> fmt::Debug for Asking<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("record_id", &self.record_id)
            .finish_non_exhaustive()
    }
}

impl<'v, V: ?Sized> Asking<'v, V> {
    /// The questions about one record.
    pub fn new(record_id: &'v str, systems: &'v [&'v str], visitor: &'v mut V) -> Self {
        Self { record_id, systems, visitor }
    }
}

impl<T: Eq + Clone, V: Visit<Review<T>> + ?Sized> Visit<FieldPlan<'_, T>>
    for Asking<'_, V>
{
    fn visit(&mut self, field: &'static str, plan: FieldPlan<'_, T>) {
        let systems = self.systems.iter().copied();
        if let Some(row) = plan.review(self.record_id, field, systems) {
            self.visitor.visit(field, row);
        }
    }
}

/// Why an answer does not fit an entry, where it does not.
pub fn misfit<F: Ruled, T: Eq, K: Kind, const N: usize>(
    entry: &Entry<'_, F, T, K, N>,
    record_id: Option<&str>,
    field: &str,
    answer: Option<&Answer<T>>,
) -> Option<AnswerError> {
    entry.misfit(record_id, field, answer)
}

/// Puts an answer aside, and notes why.
pub fn set_aside<T>(
    given: &mut Option<Answer<T>>,
    aside: &mut Option<Answer<T>>,
    misfits: &mut Vec<Misfit>,
    field: &'static str,
    cause: AnswerError,
) {
    *aside = given.take();
    misfits.push(Misfit { field, cause });
}

/// Leaves out what a system has refused before.
pub fn leave_out<'a, F: Ruled, T: Eq, K: Kind, const N: usize>(
    entry: &mut Entry<'a, F, T, K, N>,
    refusals: &'a Refusals<T>,
) {
    entry.leave_out(refusals.as_slice());
}

/// What an answer wants one system to show still, without a change.
pub fn check<'p, F: Ruled, T: Eq, K: Kind, const N: usize>(
    entry: &'p Entry<'_, F, T, K, N>,
    answer: Option<&'p Answer<T>>,
    to: usize,
) -> Option<Write<'p, T>> {
    entry.check(answer, to)
}

/// Why an answer was not checked, where a store could not be asked.
pub fn unchecked(cause: impl Into<Cause>) -> AnswerError {
    AnswerError::Unchecked { why: reason(&*cause.into()) }
}

/// Whether an answer has a change to one of the systems at these places.
pub fn is_left<F: Ruled, T: Eq, K: Kind, const N: usize>(
    entry: &Entry<'_, F, T, K, N>,
    answer: Option<&Answer<T>>,
    not_made: &[usize],
) -> bool {
    answer.is_some() && not_made.iter().any(|to| entry.change(answer, *to).is_some())
}

/// Adds what a system has refused.
pub fn add<T: PartialEq>(refused: &mut Refusals<T>, more: Refusals<T>) {
    for refusal in more.0 {
        refused.add(refusal);
    }
}

/// The write of an entry to one system, which an answer settles where there is one.
pub fn change<'p, F: Ruled, T: Eq, K: Kind, const N: usize>(
    entry: &'p Entry<'_, F, T, K, N>,
    answer: Option<&'p Answer<T>>,
    to: usize,
) -> Option<Write<'p, T>> {
    entry.change(answer, to)
}

/// What is known of an entry in common after its writes were made, but those to the
/// systems at these places.
pub fn next_without<F: Ruled, T: Eq + Clone, K: Kind, const N: usize>(
    entry: &Entry<'_, F, T, K, N>,
    answer: Option<&Answer<T>>,
    not_made: &[usize],
    refused: &Refusals<T>,
) -> Bases<T> {
    let refused = refused.as_slice().iter().map(|refusal| refusal.place);
    let not_made = not_made.iter().copied().chain(refused).collect::<Vec<_>>();
    entry.next_without(answer, &not_made)
}

/// How far a plan was carried out.
#[derive(Debug)]
pub struct Progress<A, R> {
    /// The answers that fit.
    pub given: A,
    /// The answers that do not.
    pub aside: A,
    /// Why not.
    pub misfits: Vec<Misfit>,
    /// The places of the systems that got nothing.
    pub not_made: Vec<usize>,
    /// What systems refused.
    pub refused: R,
}

impl<A, R> Progress<A, R> {
    /// Nothing so far.
    pub fn begin(given: A, aside: A, refused: R) -> Self {
        Self { given, aside, misfits: Vec::new(), not_made: Vec::new(), refused }
    }

    /// The systems at these places get nothing: inherent, for code without a prelude.
    pub fn leave(&mut self, first: usize, end: usize) {
        self.not_made.extend(first..end);
    }

    /// No further, for this reason.
    pub fn stopped<B>(
        self,
        bases: B,
        cause: ApplyError,
    ) -> Refused<Unfinished<B, A, R>, ApplyError> {
        let Self { given: answers, aside: misfit_answers, misfits, refused, .. } = self;
        Refused::new(
            Unfinished { answers, bases, misfits, misfit_answers, refused },
            cause,
        )
    }

    /// To the end.
    pub fn carried<B>(
        self,
        bases: B,
        systems: &'static [&'static str],
    ) -> Carried<B, A, R> {
        let Self { aside: answers, misfits, not_made, refused, .. } = self;
        let names = not_made.iter().filter_map(|place| systems.get(*place).copied());
        Carried { bases, moved_on: names.collect(), misfits, answers, refused }
    }
}

/// The places of systems by their names.
pub fn places(
    systems: &'static [&'static str],
    names: &[&str],
) -> Result<Vec<usize>, ApplyError> {
    let place = |name: &&str| {
        let place = systems.iter().position(|system| system == name);
        let found = (*name).to_owned();
        place.ok_or(ApplyError::NoParty { parties: systems, found })
    };
    names.iter().map(place).collect()
}

/// What a change finds in a slot.
pub fn found<T: PartialEq>(change: &Option<Write<'_, T>>, now: &Slot<T>) -> Found {
    match (change, now.read()) {
        (None, _) => Found::AlreadyWritten,
        (Some(_), None) => Found::MovedOn,
        (Some(write), Some(shown)) => write.found(shown.into_option()),
    }
}

/// What all changes find together.
pub fn found_all(found: &[Found]) -> Found {
    if found.contains(&Found::MovedOn) {
        Found::MovedOn
    } else if found.contains(&Found::AsExpected) {
        Found::AsExpected
    } else {
        Found::AlreadyWritten
    }
}

/// Makes a change in a slot.
pub fn make<T: Clone>(change: &Option<Write<'_, T>>, slot: &mut Slot<T>) {
    if let Some(write) = change {
        *slot = Slot::from(write.value().cloned());
    }
}
