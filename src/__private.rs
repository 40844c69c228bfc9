//! What the macros of this crate call, and nobody else: it may change with any release.

use crate::Refused;
use crate::sync::declared::{Entry, Includes, Kind};
use crate::sync::{
    Answer, AnswerError, ApplyError, Base, Carried, Found, Rule, Slot, Write,
};

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

/// Whether all parties have a name, and no two the same.
pub const fn are_distinct(systems: &[&str]) -> bool {
    let mut left = systems;
    while let [first, rest @ ..] = left {
        let mut others = rest;
        while let [other, more @ ..] = others {
            if same(first.as_bytes(), other.as_bytes()) {
                return false;
            }
            others = more;
        }
        if first.is_empty() {
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

const fn same(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([a, one @ ..], [b, other @ ..]) => *a == *b && same(one, other),
        _ => false,
    }
}

/// The place of a system among the parties.
pub const fn place<Parties: Includes<S, At>, S, At>() -> usize {
    Parties::PLACE
}

/// The entry of one field.
#[inline(always)]
pub fn entry<'a, T: Eq, K: Kind, const N: usize>(
    rule: Rule,
    slots: [&'a Slot<T>; N],
    base: &'a Base<T>,
) -> Entry<'a, T, K, N> {
    Entry::new(rule, slots, [base; N], base)
}

/// Why an answer does not fit an entry, where it does not.
pub fn misfit<T: Eq, K: Kind, const N: usize>(
    entry: &Entry<'_, T, K, N>,
    answer: Option<&Answer<T>>,
) -> Option<AnswerError> {
    entry.misfit(answer)
}

/// The write of an entry to one system, which an answer settles where there is one.
pub fn change<'p, T: Eq, K: Kind, const N: usize>(
    entry: &'p Entry<'_, T, K, N>,
    answer: Option<&'p Answer<T>>,
    to: usize,
) -> Option<Write<'p, T>> {
    entry.change(answer, to)
}

/// The common state of an entry after the systems that have moved on were left as they
/// are.
pub fn base_after<T: Eq + Clone, K: Kind, const N: usize>(
    entry: &Entry<'_, T, K, N>,
    answer: Option<&Answer<T>>,
    moved_on: &[usize],
) -> Base<T> {
    entry.base_after(answer, moved_on)
}

/// Returns the answers with the reason why they were refused.
pub fn refuse<A>(answers: A, cause: ApplyError) -> Refused<A, ApplyError> {
    Refused::new(answers, cause)
}

/// What came of a plan.
pub fn carried<A>(agreed: A, moved_on: Vec<&'static str>) -> Carried<A> {
    Carried { agreed, moved_on }
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
