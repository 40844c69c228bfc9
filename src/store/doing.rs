//! What the administration of an outbox or an inbox was doing, in the words of an error.

pub(crate) const COUNTING: &str = "counting events";
pub(crate) const LISTING_DEAD: &str = "listing dead letters";
pub(crate) const LISTING_STALLED: &str = "listing stalled events";
pub(crate) const LISTING_HELD: &str = "listing held events";
pub(crate) const LISTING_UNREADABLE: &str = "listing unreadable rows";
pub(crate) const LISTING_WAITING: &str = "listing waiting events";
pub(crate) const GETTING: &str = "getting an event";
pub(crate) const REDRIVING: &str = "redriving dead letters";
pub(crate) const DISCARDING: &str = "discarding dead letters";
pub(crate) const PURGING: &str = "purging old events";
pub(crate) const VERIFYING: &str = "verifying the events";
pub(crate) const FORESTALLING: &str = "forestalling an event";
pub(crate) const RECALLING: &str = "recalling an event";
