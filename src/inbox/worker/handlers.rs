//! The handlers of a worker, as a list of types: so that the compiler sees through each
//! of them, and a worker of asynchronous ones can be spawned.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use super::codec::{Json, Or, Own, Version, Versions, With};
use super::kinds::{Kind, Kinds};
use crate::inbox::HandlerError;
use crate::state::Acknowledged;
use crate::{Envelope, Event, Facts, RawEvent, ReadError};

/// An event as its handler receives it: its payload and its facts.
pub struct Received<'e, E> {
    /// The business data.
    pub payload: E,
    pub(crate) event: &'e Envelope<Acknowledged>,
}

impl<E> Deref for Received<'_, E> {
    type Target = Facts<RawEvent>;

    fn deref(&self) -> &Facts<RawEvent> {
        self.event
    }
}

impl<E> fmt::Debug for Received<'_, E> {
    /// The event without its payload, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("event", &self.event).finish_non_exhaustive()
    }
}

/// An event that a handler can be for: every typed one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which event it is",
    label = "needs `impl Event for {Self}` with its TYPE; `.otherwise(..)` takes every event"
)]
pub trait Typed: Event {}

#[diagnostic::do_not_recommend]
impl<E: Event> Typed for E {}

/// Handlers for a worker on the database `D`.
#[must_use = "handlers do nothing before a worker has them"]
pub struct Handlers<D, L> {
    pub(crate) list: L,
    database: PhantomData<fn() -> D>,
}

impl<D, L> Handlers<D, L> {
    pub(crate) const fn new(list: L) -> Self {
        Self { list, database: PhantomData }
    }

    /// Names the event that the next handler is for. Its payload is read as JSON, or by
    /// [`decode`](Named::decode).
    pub fn on<E: Typed>(self) -> Named<D, E, Own<E, Json>, L> {
        let versions = Own { version: Version::of(), codec: Json };
        Named { versions, rest: self.list, of: PhantomData }
    }
}

impl<D, L: Kinds> fmt::Debug for Handlers<D, L> {
    /// The kinds that they name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = Vec::new();
        self.list.name(&mut kinds);
        f.debug_list().entries(kinds).finish()
    }
}

/// An event that waits for its handler: `.effect(..)` gives it one.
#[must_use = "no handler was given: call `effect`"]
pub struct Named<D, E, V, L> {
    pub(crate) versions: V,
    pub(crate) rest: L,
    pub(crate) of: PhantomData<fn() -> (D, E)>,
}

impl<D, E, V, L> Named<D, E, V, L> {
    /// Lets the handler take an older version too, converted by `From`.
    pub fn or<Old: Event>(self) -> Named<D, E, Or<E, Old, Json, V>, L>
    where
        E: From<Old>,
    {
        let Self { versions: more, rest, .. } = self;
        let version = Version::of();
        let versions = Or { version, convert: E::from, codec: Json, more };
        Named { versions, rest, of: PhantomData }
    }

    pub(crate) fn handled_by<F>(self, effect: F) -> Handlers<D, On<E, F, V, L>>
    where
        V: Versions<E>,
    {
        let Self { versions, rest, .. } = self;
        Handlers::new(On { effect, read: V::read, versions, rest })
    }
}

impl<D, E, L> Named<D, E, Own<E, Json>, L> {
    /// Reads the payload with a decoder of your own instead of JSON.
    pub fn decode<F, X>(self, decoder: F) -> Named<D, E, Own<E, With<F>>, L>
    where
        F: Fn(&[u8]) -> Result<E, X>,
    {
        let versions = Own { version: self.versions.version, codec: With(decoder) };
        Named { versions, rest: self.rest, of: PhantomData }
    }
}

impl<D, E, Old, V, L> Named<D, E, Or<E, Old, Json, V>, L> {
    /// Reads the older version with a decoder of your own instead of JSON.
    pub fn decode<F, X>(self, decoder: F) -> Named<D, E, Or<E, Old, With<F>, V>, L>
    where
        F: Fn(&[u8]) -> Result<Old, X>,
    {
        let Or { version, convert, more, .. } = self.versions;
        let versions = Or { version, convert, codec: With(decoder), more };
        Named { versions, rest: self.rest, of: PhantomData }
    }
}

impl<D, E, V: Kinds, L> fmt::Debug for Named<D, E, V, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = Vec::new();
        self.versions.name(&mut kinds);
        f.debug_tuple("Named").field(&kinds).finish()
    }
}

/// The failure of an event that no handler takes.
pub(crate) fn unhandled(event: &Facts<RawEvent>) -> HandlerError {
    HandlerError::permanent(format!(
        "no handler takes {} of schema version {}",
        event.event_type(),
        event.schema_version()
    ))
}

/// The empty list.
#[derive(Debug, Clone, Copy)]
pub struct End;

/// A handler of `E`, before the rest of the list.
///
/// How it reads `E` is a function that `effect` has found: a list that holds it needs no
/// bound on `E`, and a payload that nobody can read is one error, at `effect`.
#[allow(missing_debug_implementations, reason = "a closure has none")]
pub struct On<E, F, V, L> {
    pub(crate) effect: F,
    read: Reader<V, E>,
    versions: V,
    pub(crate) rest: L,
}

type Reader<V, E> = fn(&V, &Facts<RawEvent>) -> Option<Result<E, ReadError>>;

impl<E, F, V, L> On<E, F, V, L> {
    /// The event, if this handler takes it.
    pub(crate) fn read(&self, event: &Facts<RawEvent>) -> Option<Result<E, ReadError>> {
        (self.read)(&self.versions, event)
    }
}

/// A handler of what the list before it does not name.
#[allow(missing_debug_implementations, reason = "a closure has none")]
pub struct Otherwise<F, L> {
    pub(crate) effect: F,
    pub(crate) rest: L,
}

impl Kinds for End {
    fn name(&self, _: &mut Vec<Kind>) {}
}

impl<E, F, V: Kinds, L: Kinds> Kinds for On<E, F, V, L> {
    const TAKES_THE_REST: bool = L::TAKES_THE_REST;

    fn name(&self, kinds: &mut Vec<Kind>) {
        self.versions.name(kinds);
        self.rest.name(kinds);
    }
}

impl<F, L: Kinds> Kinds for Otherwise<F, L> {
    const TAKES_THE_REST: bool = true;

    fn name(&self, kinds: &mut Vec<Kind>) {
        self.rest.name(kinds);
    }
}
