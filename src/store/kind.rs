//! The kinds of what a database did not do.

/// What kept a database from doing what it was asked, as far as a program acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Another event has this id: the ids of its source are not unique.
    IdTaken,
    /// A newer version of this crate made the tables, and this version may not use them.
    NewerSchema,
    /// The tables are missing, or older than this version of the crate needs, and whoever
    /// opened them makes none.
    OlderSchema,
    /// Others were in the way, and nothing was stored: the same call may succeed later.
    Busy,
    /// The database was not reached, or the connection was lost: the next call connects
    /// anew. What a call was doing when it lost its connection may be stored.
    Unreachable,
    /// The caller's transaction has ended already: what follows needs a new one.
    TransactionEnded,
    /// A stored row holds what this crate cannot read: it is to be repaired.
    Unreadable,
    /// The role, or the process, may not do this.
    Denied,
    /// The database refused for another reason.
    Other,
}
