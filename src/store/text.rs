//! Texts as every database can hold them.

/// A reason as every database can hold it. PostgreSQL has no text with a NUL, and one
/// broker's message with one would keep a whole batch from being settled.
pub(crate) fn storable(reason: impl Into<String>) -> String {
    let reason = reason.into();
    if reason.contains('\0') { reason.replace('\0', "\u{fffd}") } else { reason }
}
