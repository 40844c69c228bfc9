//! What the macros of this crate call, and nobody else: it may change with any release.

use std::fmt;
use std::marker::PhantomData;

use crate::sync::declared::{Entry, FieldRules, Includes, Kind, Ruled, Visit};
use crate::sync::{
    Answer, AnswerError, ApplyError, Bases, FieldPlan, Found, KeptForms, Misfit,
    Refusals, Review, Slot, Verdict, Write,
};

pub use crate::sync::progress::{Cause, Missed, Progress, Step};

#[cfg(feature = "serde")]
pub use crate::external::stored;
#[cfg(feature = "serde")]
pub use serde;

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

/// Why an answer is set aside after a step, where it is.
pub fn sets_aside<F: Ruled, T: Eq, K: Kind, const N: usize>(
    entry: &Entry<'_, F, T, K, N>,
    step: Step,
    about: (Option<&str>, &str),
    answer: Option<&Answer<T>>,
    missed: &Missed,
) -> Option<AnswerError> {
    entry.sets_aside(step, about, answer, missed)
}

/// Adds what a system has refused.
pub fn add<T: PartialEq>(refused: &mut Refusals<T>, more: Refusals<T>) {
    for refusal in more.0 {
        refused.add(refusal);
    }
}

/// Adds what a system holds instead of what was written.
pub fn keep<T>(kept: &mut KeptForms<T>, more: KeptForms<T>) {
    for form in more.0 {
        kept.add(form);
    }
}

/// What a snapshot shows of a field, where our own write counts as what was written.
pub fn as_kept<T: Clone + PartialEq>(
    slot: &mut Slot<T>,
    kept: &KeptForms<T>,
    place: usize,
    known: &Bases<T>,
) {
    let shown = std::mem::take(slot);
    *slot = kept.in_place_of(place, shown, &known.agreed);
}

/// What a step writes to one system, for one field.
pub fn step<'p, F: Ruled, T: Eq, K: Kind, const N: usize>(
    entry: &'p Entry<'_, F, T, K, N>,
    step: Step,
    answer: Option<&'p Answer<T>>,
    to: usize,
) -> Option<Write<'p, T>> {
    entry.step(step, answer, to)
}

/// What takes the write of an answer back from one system.
pub fn take_back<'p, F: Ruled, T: Eq, K: Kind, const N: usize>(
    entry: &'p Entry<'_, F, T, K, N>,
    answer: Option<&'p Answer<T>>,
    to: usize,
    kept: &'p KeptForms<T>,
    missed: Option<&Missed>,
) -> Option<Write<'p, T>> {
    entry.take_back(answer, to, kept, missed)
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
