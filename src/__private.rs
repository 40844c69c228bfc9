//! What the macros of this crate call, and nobody else: it may change with any release.

use std::marker::PhantomData;

use crate::sync::declared::{Entry, FieldRules, Includes, Kind, Ruled, Visit};
use crate::sync::{
    Answer, ApplyError, Authority, Bases, ContractBuilder, FieldPlan, Found, KeptForms,
    Misfit, Refusals, Review, Rule, Slot, System, Verdict, Write,
};

pub use crate::sync::progress::{Cause, Decided, Progress, Step};

#[cfg(feature = "serde")]
pub use crate::external::stored;
#[cfg(feature = "sqlite")]
pub use rusqlite::{Error as SqliteError, ToSql, types::FromSql};
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

/// Goes on with a declaration whose names are distinct, and says which one is declared
/// twice where they are not.
// A matcher names each of its variables once, and a path is no keyword. If a name is
// declared twice or is a keyword, `__declare` does not match, and spares the reader some
// twenty errors; the constant explains a name that is declared twice.
#[doc(hidden)]
#[macro_export]
macro_rules! __distinct {
    (($the:literal $of_the:literal $whole:ident $twice:literal) [$($n:ident)*] { $($then:tt)* } ($d:tt)) => {
        const _: () = {
            const NAMES: &[&str] = &[$(::core::stringify!($n)),*];
            const ARE_DISTINCT: bool = $crate::__private::are_distinct([$(::core::stringify!($n)),*]);
            $(::core::assert!(
                ARE_DISTINCT || $crate::__private::is_once(NAMES, ::core::stringify!($n)),
                ::core::concat!($the, " `", ::core::stringify!($n), "` ", $of_the, " `", ::core::stringify!($whole), "` ", $twice)
            );)*
        };
        macro_rules! __declare {
            ($($d $n:path),*) => { $($then)* };
        }
        __declare! { $($n),* }
    };
}

/// Whether no two names are the same.
// The compiler's interpreter compares each with each: numbers, and names only where these
// are equal.
pub const fn are_distinct<const N: usize>(names: [&str; N]) -> bool {
    let mut hashed = [(0, ""); N];
    let (mut left, mut free) = (names.as_slice(), hashed.as_mut_slice());
    while let ([name, names @ ..], [place, places @ ..]) = (left, free) {
        *place = (hash(name.as_bytes()), *name);
        (left, free) = (names, places);
    }
    let mut left = hashed.as_slice();
    while let [(number, name), rest @ ..] = left {
        let mut others = rest;
        while let [(other_number, other), more @ ..] = others {
            if *number == *other_number && same(name.as_bytes(), other.as_bytes()) {
                return false;
            }
            others = more;
        }
        left = rest;
    }
    true
}

const fn hash(mut bytes: &[u8]) -> u32 {
    let mut hash = 0_u32;
    while let [byte, rest @ ..] = bytes {
        hash = hash.wrapping_mul(31) ^ u32::from_be_bytes([0, 0, 0, *byte]);
        bytes = rest;
    }
    hash
}

/// Whether there is a name for each system, and no two are the same.
pub const fn are_names(names: &[&str]) -> bool {
    let mut left = names;
    while let [name, rest @ ..] = left {
        if name.is_empty() || !is_once(names, name) {
            return false;
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

const fn same(mut one: &[u8], mut other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    while let ([a, first @ ..], [b, second @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (first, second);
    }
    true
}

/// The name of a system. What else asks for its name takes it from the list of all, so
/// that what is no system is one error.
pub const fn name_of<S: System>() -> &'static str {
    S::NAME
}

/// The key of a system, to be asked whether it is [`Default`].
#[derive(Debug)]
pub struct KeyOf<S>(PhantomData<S>);

/// The answer where the key is not: an inherent constant goes before a trait's.
pub trait IsNotDefault {
    /// Whether anybody can make one.
    const IS_DEFAULT: bool = false;
}

impl<S> IsNotDefault for KeyOf<S> {}

impl<S: System> KeyOf<S>
where
    S::Key: Default,
{
    /// Whether anybody can make one.
    pub const IS_DEFAULT: bool = true;
}

/// The type of a field, to be asked whether it is an [`Option`], by whatever name.
#[derive(Debug)]
pub struct TypeOf<T>(PhantomData<T>);

/// The answer where it is none: an inherent constant goes before a trait's.
pub trait IsNoOption {
    /// Whether it may be empty by itself.
    const IS_OPTION: bool = false;
}

impl<T> IsNoOption for TypeOf<T> {}

impl<T> TypeOf<Option<T>> {
    /// Whether it may be empty by itself.
    pub const IS_OPTION: bool = true;
}

/// Takes over what an edit says, where it says something.
pub fn take_over<T>(slot: &mut Slot<T>, edit: Slot<T>) {
    if !matches!(edit, Slot::Unread) {
        *slot = edit;
    }
}

/// The contract with one more field: whose it is, by a place among the systems.
pub fn with_field(
    contract: ContractBuilder,
    field: &'static str,
    rule: Rule,
    systems: &[&'static str],
) -> ContractBuilder {
    match rule {
        Rule::Owner(place, others) => {
            let owner = systems.get(place).copied().unwrap_or_default();
            let contract = contract.field(field, Authority::system(owner));
            contract.non_owner_edits_for(field, others)
        }
        Rule::Shared => contract.field(field, Authority::Shared),
        Rule::Manual => contract.field(field, Authority::Manual),
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
pub fn entry<'a, F: Ruled<T>, T, K: Kind, const N: usize>(
    slots: [&'a Slot<F::Value>; N],
    known: &'a Bases<F::Value>,
) -> Entry<'a, F, T, K, N> {
    Entry::new(slots, known)
}

/// The entry of one field, for a declared rule to settle.
pub fn rules<'p, 'a, F: Ruled<T>, T, K: Kind, const N: usize>(
    entry: &'p mut Entry<'a, F, T, K, N>,
) -> FieldRules<'p, 'a, F, T, K, N> {
    FieldRules::new(entry)
}

/// The plan that an entry has.
pub fn plan<'e, F: Ruled<T>, T, K: Kind, const N: usize>(
    entry: &'e Entry<'_, F, T, K, N>,
) -> FieldPlan<'e, F::Value> {
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

/// Gives a visitor the question of an entry, where it asks one.
pub fn ask<
    F: Ruled<T>,
    T,
    K: Kind,
    V: Visit<Review<F::Value>> + ?Sized,
    const N: usize,
>(
    entry: &Entry<'_, F, T, K, N>,
    record_id: &str,
    field: &'static str,
    systems: &[&str],
    visitor: &mut V,
) {
    if let Some(row) = entry.review(record_id, field, systems.iter().copied()) {
        visitor.visit(field, row);
    }
}

/// Notes why an answer does not fit an entry, where it does not.
pub fn misfit<F: Ruled<T>, T, K: Kind, const N: usize>(
    misfits: &mut Vec<Misfit>,
    entry: &Entry<'_, F, T, K, N>,
    record_id: Option<&str>,
    field: &'static str,
    answer: &Option<Answer<F::Value>>,
) {
    let cause = entry.misfit(record_id, field, answer.as_ref());
    misfits.extend(cause.map(|cause| Misfit { field, cause }));
}

/// The first answer that does not fit, as an error.
pub fn no_misfit(misfits: Vec<Misfit>) -> Result<(), ApplyError> {
    match misfits.into_iter().next() {
        Some(Misfit { field, cause }) => Err(ApplyError::Answer { field, cause }),
        None => Ok(()),
    }
}

/// Sets an answer aside if it is one of the misfits, and notes why.
pub fn set_aside<T>(
    field: &'static str,
    given: &mut Option<Answer<T>>,
    aside: &mut Option<Answer<T>>,
    misfits: &[Misfit],
    noted: &mut Vec<Misfit>,
) {
    let misfit = misfits.iter().find(|misfit| misfit.field == field);
    if let Some(misfit) = misfit.filter(|_| given.is_some()) {
        *aside = given.take();
        noted.push(misfit.clone());
    }
}

/// Whether there is any write.
#[derive(Debug)]
pub struct AnyWrite(pub bool);

impl<T> Visit<&Option<Write<'_, T>>> for AnyWrite {
    fn visit(&mut self, _: &'static str, write: &Option<Write<'_, T>>) {
        self.0 |= write.is_some();
    }
}

/// Leaves out what a system has refused before.
pub fn leave_out<'a, F: Ruled<T>, T, K: Kind, const N: usize>(
    entry: &mut Entry<'a, F, T, K, N>,
    refusals: &'a Refusals<F::Value>,
) {
    entry.leave_out(refusals.as_slice());
}

/// Adds what a system has refused.
pub fn add<F: Ruled<T>, T>(refused: &mut Refusals<F::Value>, more: Refusals<F::Value>) {
    for refusal in more.0 {
        refused.add(refusal);
    }
}

/// Adds what a system holds instead of what was written. Where it took its write back
/// and refused nothing, what it held of that is gone.
pub fn keep<F: Ruled<T>, T>(
    kept: &mut KeptForms<F::Value>,
    more: KeptForms<F::Value>,
    taken_back_from: Option<usize>,
) {
    taken_back_from.into_iter().for_each(|place| kept.forget(place));
    for form in more.0 {
        kept.add(form);
    }
}

/// What a snapshot shows of a field, where our own write counts as what was written, and
/// the form that it was read by.
pub fn as_kept<F: Ruled<T>, T>(
    slot: &mut Slot<F::Value>,
    kept: &KeptForms<F::Value>,
    place: usize,
    known: &Bases<F::Value>,
    read_by: &mut KeptForms<F::Value>,
) {
    let in_place = kept.in_place_of(place, slot.clone(), &known.agreed);
    if in_place != *slot {
        let kept = kept.as_slice().iter().find(|kept| kept.place == place);
        kept.into_iter().for_each(|kept| read_by.add(kept.clone()));
        *slot = in_place;
    }
}

/// What a step writes to one system, for one field.
pub fn write<'p, F: Ruled<T>, T, K: Kind, const N: usize>(
    entry: &'p Entry<'_, F, T, K, N>,
    answer: &'p Option<Answer<F::Value>>,
    to: usize,
    step: Step,
) -> Option<Write<'p, F::Value>> {
    entry.write(answer.as_ref(), to, step)
}

/// What takes the write of an answer back from one system: of one that fell, or of any.
pub fn take_back<'p, F: Ruled<T>, T, K: Kind, const N: usize>(
    field: &'static str,
    entry: &'p Entry<'_, F, T, K, N>,
    answer: &'p Option<Answer<F::Value>>,
    to: usize,
    kept: &'p KeptForms<F::Value>,
    fallen: Option<&[Misfit]>,
) -> Option<Write<'p, F::Value>> {
    let answer = answer.as_ref().filter(|_| {
        fallen.is_none_or(|fallen| fallen.iter().any(|misfit| misfit.field == field))
    });
    entry.take_back(answer?, to, kept)
}

/// What is known of an entry in common after its writes were made, but those to the
/// systems at these places.
pub fn next_without<F: Ruled<T>, T, K: Kind, const N: usize>(
    entry: &Entry<'_, F, T, K, N>,
    answer: &Option<Answer<F::Value>>,
    not_made: &[usize],
    refused: &Refusals<F::Value>,
) -> Bases<F::Value> {
    let refused = refused.as_slice().iter().map(|refusal| refusal.place);
    let not_made = not_made.iter().copied().chain(refused).collect::<Vec<_>>();
    entry.next_without(answer.as_ref(), &not_made)
}

/// The places of all systems.
pub fn all_places(systems: &[&str]) -> Vec<usize> {
    (0..systems.len()).collect()
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

/// Adds what a change finds in a slot to what the others have found.
pub fn find<F: Ruled<T>, T>(
    found: &mut Found,
    change: &Option<Write<'_, F::Value>>,
    now: &Slot<F::Value>,
    kept: Option<&KeptForms<F::Value>>,
) {
    let here = match (change, now.read()) {
        (None, _) => Found::AlreadyWritten,
        (Some(_), None) => Found::MovedOn,
        (Some(write), Some(shown)) => found_as_kept(write, shown.into_option(), kept),
    };
    match (*found, here) {
        (Found::MovedOn, _) | (_, Found::AlreadyWritten) => {}
        (_, Found::AsExpected | Found::MovedOn) => *found = here,
    }
}

/// What a write finds in a system that shows this: what it expects too, if that was read
/// in place of this.
fn found_as_kept<T: PartialEq>(
    write: &Write<'_, T>,
    shown: Option<&T>,
    kept: Option<&KeptForms<T>>,
) -> Found {
    let held = kept.and_then(|kept| kept.held(write.to(), write.expects()));
    match write.found(shown) {
        Found::MovedOn if held == Some(shown) => Found::AsExpected,
        found => found,
    }
}

/// Notes what came of the write to one field of a row: what SQLite refused of it, or holds
/// instead.
#[cfg(feature = "sqlite")]
pub fn note<N, T: Clone + PartialEq>(
    written: &crate::sync::sqlite::Written<N>,
    field: &'static str,
    write: &Option<Write<'_, T>>,
    now: &Slot<T>,
    refused: &mut Refusals<T>,
    kept: &mut KeptForms<T>,
) {
    written.note(field, write, now, refused, kept);
}

/// Makes a change in a slot.
pub fn make<F: Ruled<T>, T>(
    change: &Option<Write<'_, F::Value>>,
    slot: &mut Slot<F::Value>,
) {
    if let Some(write) = change {
        *slot = Slot::from(write.value().cloned());
    }
}
