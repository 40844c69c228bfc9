//! The kinds of event that a list of handlers takes: told to the inbox, and checked.

use super::codec::{Or, Own};
use crate::event::is_conventional;
use crate::inbox::InboxConfig;
use crate::{ConfigError, Event};

/// A type of event, and its schema version.
pub type Kind = (&'static str, &'static str);

/// What a handler, or a list of them, takes.
pub trait Kinds {
    /// Whether it takes every kind that it does not name.
    const TAKES_THE_REST: bool = false;

    /// Adds the kinds that it names.
    fn name(kinds: &mut Vec<Kind>);

    /// The inbox takes in what it names.
    fn accept(config: InboxConfig) -> InboxConfig;
}

impl<E: Event, C> Kinds for Own<E, C> {
    fn name(kinds: &mut Vec<Kind>) {
        kinds.push((E::TYPE, E::SCHEMA_VERSION));
    }

    fn accept(config: InboxConfig) -> InboxConfig {
        config.accept::<E>()
    }
}

impl<Old: Event, C, V: Kinds> Kinds for Or<Old, C, V> {
    fn name(kinds: &mut Vec<Kind>) {
        kinds.push((Old::TYPE, Old::SCHEMA_VERSION));
        V::name(kinds);
    }

    fn accept(config: InboxConfig) -> InboxConfig {
        V::accept(config.accept::<Old>())
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
) -> Result<InboxConfig, ConfigError> {
    let mut kinds = Vec::new();
    L::name(&mut kinds);
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
    Ok(if L::TAKES_THE_REST { config } else { L::accept(config) })
}
