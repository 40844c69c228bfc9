//! The kinds of event that a list of handlers takes: told to the inbox, and checked.

use super::codec::{Or, Own};
use super::config::WorkerConfigError;
use crate::Event;
use crate::envelope::event::is_conventional;
use crate::inbox::InboxConfig;

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
) -> Result<InboxConfig, WorkerConfigError> {
    let mut kinds = Vec::new();
    L::name(&mut kinds);
    kinds.sort_unstable();
    if kinds.is_empty() && !L::TAKES_THE_REST {
        return Err(WorkerConfigError::new(
            "a worker needs a handler: name an event with `.on::<E>().effect(..)`, or take all with `.otherwise(..)`",
        ));
    }
    for pair in kinds.windows(2) {
        if let [(one, version), other] = pair
            && (*one, *version) == *other
        {
            return Err(WorkerConfigError::new(format!(
                "one handler for each kind of event, and found two for {one} of schema version {version}"
            )));
        }
    }
    if let Some((found, _)) = kinds.iter().find(|(name, _)| !is_conventional(name)) {
        return Err(WorkerConfigError::new(format!(
            "the TYPE of a typed event is `domain.entity.action` in lower case, and found {found:?}"
        )));
    }
    Ok(if L::TAKES_THE_REST { config } else { L::accept(config) })
}
