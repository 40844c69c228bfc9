//! What `boundary!` finds out about a declaration while it is compiled.

/// The name of a field, as an identifier that is a keyword stands for it.
#[doc(hidden)]
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
#[doc(hidden)]
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
#[doc(hidden)]
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
#[doc(hidden)]
pub const fn place<Parties: super::system::Includes<S, At>, S, At>() -> usize {
    Parties::PLACE
}
