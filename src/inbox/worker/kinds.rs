//! The kinds of event that a list of handlers takes: told to the inbox, and checked.

use super::codec::{Or, Own};
use crate::ConfigError;
use crate::event::is_conventional;
use crate::inbox::InboxConfig;

/// A type of event, and its schema version.
pub type Kind = (&'static str, &'static str);

/// What a handler, or a list of them, takes.
pub trait Kinds {
    /// Whether it takes every kind that it does not name.
    const TAKES_THE_REST: bool = false;

    /// Adds the kinds that it names.
    fn name(&self, kinds: &mut Vec<Kind>);
}

impl<E, C> Kinds for Own<E, C> {
    fn name(&self, kinds: &mut Vec<Kind>) {
        kinds.push(self.version.kind);
    }
}

impl<E, Old, C, V: Kinds> Kinds for Or<E, Old, C, V> {
    fn name(&self, kinds: &mut Vec<Kind>) {
        kinds.push(self.version.kind);
        self.more.name(kinds);
    }
}

/// The configuration of an inbox for these handlers.
///
/// # Errors
///
/// No handler at all, a kind that two handlers name, and a type that is no
/// `domain.entity.action`, so that no event could be read as it.
pub(crate) fn accepting<L: Kinds>(
    config: InboxConfig,
    handlers: &L,
) -> Result<InboxConfig, ConfigError> {
    let mut kinds = Vec::new();
    handlers.name(&mut kinds);
    kinds.sort_unstable();
    if kinds.is_empty() && !L::TAKES_THE_REST {
        let wanted = "at least one: `.on::<E>().effect(..)` names an event, and \
                      `.otherwise(..)` takes every event";
        return Err(ConfigError::new("handlers", wanted, "none"));
    }
    for pair in kinds.windows(2) {
        if let [one, other] = pair
            && one == other
        {
            let wanted = "one for each type and schema version";
            let found = format!("two for {} {}", one.0, one.1);
            return Err(ConfigError::new("handlers", wanted, found));
        }
    }
    if let Some((found, _)) = kinds.iter().find(|(name, _)| !is_conventional(name)) {
        let wanted = "`domain.entity.action` in lower case";
        return Err(ConfigError::new("TYPE of a typed event", wanted, *found));
    }
    if L::TAKES_THE_REST {
        return Ok(config);
    }
    Ok(kinds.into_iter().fold(config, InboxConfig::accept_kind))
}
