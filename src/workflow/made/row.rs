//! The rows of a table as constants, and what the table reads of the types in them.

use std::marker::PhantomData;
use std::time::Duration;

use super::{Declared, InstanceRecord, Kind, RecordError, Step, Workflow};
use crate::Event;
use crate::workflow::definition::Level;
use crate::workflow::follow::{self, Follows};
use crate::workflow::role::Role;
use crate::workflow::wire::{Wire, WireError};

/// The step of a row.
pub const fn step(name: &'static str, kind: Kind) -> Step {
    Step::new(name, kind)
}

/// A level of a chain.
pub const fn level(role: &'static str, wanted: u32, within: Duration) -> Level {
    Level { role, wanted, within, remind_after: None }
}

/// A span of the table.
pub const fn seconds(count: u64, each: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(each))
}

/// A level whose people are reminded.
pub const fn reminded(level: Level, span: Duration) -> Level {
    level.remind_after(span)
}

/// What a table reads of a type that it names as a role or as an event. One that is none
/// is refused in one place, and so is read here without a bound.
pub struct Of<T>(PhantomData<T>);

/// What is read where the type is no role or no event, or the key of the role is not
/// [`Default`]: an inherent constant goes before a trait's.
pub trait IfNot {
    const NAME: &'static str = "";
    const IS_NAMELESS: bool = false;
    const IS_DEFAULT: bool = false;
    const TYPE: &'static str = "";
    const IS_TYPELESS: bool = false;
}

impl<T> IfNot for Of<T> {}

impl<R: Role> Of<R> {
    pub const NAME: &'static str = R::NAME;
    pub const IS_NAMELESS: bool = R::NAME.is_empty();
}

impl<R: Role<Key: Default>> Of<R> {
    pub const IS_DEFAULT: bool = true;
}

impl<E: Event> Of<E> {
    pub const TYPE: &'static str = E::TYPE;
    pub const IS_TYPELESS: bool = E::TYPE.is_empty();
}

/// The table asks this type as a role: the one place where it must be one.
pub const fn is_role<R: Role>() {}

/// Whether a table writes one role, or one event, in both places. Two that are written
/// differently and stand for the same are refused by [`is_taken`].
pub const fn are_one(one: &str, other: &str) -> bool {
    same(one.as_bytes(), other.as_bytes())
}

/// Whether what stands for a role or an event, its NAME or its TYPE, stands for one that
/// the table has named before it: each is the word in the table, and what stands for it.
pub const fn is_taken(named: &[&[(&str, &str)]], word: &str, text: &str) -> bool {
    let mut rows = named;
    while let [row, others @ ..] = rows {
        let mut left = *row;
        while let [(earlier, its), more @ ..] = left {
            if same(earlier.as_bytes(), word.as_bytes()) {
                return false;
            }
            if !text.is_empty() && same(its.as_bytes(), text.as_bytes()) {
                return true;
            }
            left = more;
        }
        rows = others;
    }
    false
}

/// Compared from the end, where the types of one system differ.
const fn same(mut one: &[u8], mut other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    while let ([ones @ .., a], [others @ .., b]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (ones, others);
    }
    true
}

/// What is shown for a step that is no approval.
pub struct Nothing(());

impl Wire for Nothing {
    fn write(&self) -> Result<Vec<u8>, WireError> {
        Ok(Vec::new())
    }

    fn read(_: &[u8]) -> Result<Self, WireError> {
        Ok(Self(()))
    }
}

/// A text with its sixteen underscores in the place of the digits of a number.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
pub const fn filled<const N: usize>(text: &str, mut value: u64) -> [u8; N] {
    let (bytes, mut out, mut at) = (text.as_bytes(), [b' '; N], N);
    let mut left = 16;
    while at > 0 {
        at -= 1;
        out[at] = bytes[at];
        let is_digit = bytes[at] == b'_' && left > 0;
        // The name of the workflow may hold underscores, but not sixteen in a row: the
        // digits are the last ones of the text.
        if is_digit {
            out[at] = b"0123456789abcdef"[(value & 15) as usize];
            value >>= 4;
            left -= 1;
        }
    }
    out
}

/// The text of these bytes.
pub const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// What is shown for an approval, as it is stored.
pub fn written<A: Declared>(shown: &A::Shown) -> Result<Vec<u8>, WireError> {
    shown.write()
}

/// Whether a table is an earlier version of another one.
pub const fn is_earlier<Old: Workflow, W: Workflow>() -> bool {
    same(Old::NAME.as_bytes(), W::NAME.as_bytes()) && Old::VERSION < W::VERSION
}

/// The instance of a record of an earlier version.
pub fn lead<Old: Workflow, W: Follows<Old>>(
    record: &InstanceRecord,
    _: &W::Key,
) -> Result<W::Any, RecordError> {
    follow::lead::<Old, W>(record)
}

/// Whether what was shown for an approval can be read.
pub fn check_shown<A: Declared>(shown: &[u8]) -> Result<(), WireError> {
    A::Shown::read(shown).map(drop)
}
