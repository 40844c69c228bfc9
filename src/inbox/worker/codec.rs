//! How the bytes of a payload become a typed event, and which versions of it a handler
//! takes.

use std::error::Error;
use std::marker::PhantomData;

use super::kinds::Kinds;
use crate::{Event, Facts, RawEvent, ReadError};

type BoxedError = Box<dyn Error + Send + Sync>;

/// Reads a payload.
#[diagnostic::on_unimplemented(
    message = "the payload of `{E}` is not read by {Self}",
    label = "needs `serde::Deserialize` and the feature `serde`, or `.decode(..)`"
)]
pub trait Codec<E> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes.
    fn decode(&self, bytes: &[u8]) -> Result<E, BoxedError>;
}

/// JSON, by serde: the default decoder.
#[derive(Debug, Clone, Copy)]
pub struct Json;

#[cfg(feature = "serde")]
#[diagnostic::do_not_recommend]
impl<E: serde::de::DeserializeOwned> Codec<E> for Json {
    fn decode(&self, bytes: &[u8]) -> Result<E, BoxedError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// A decoder of your own.
#[derive(Debug, Clone, Copy)]
pub struct With<F>(pub(super) F);

#[diagnostic::do_not_recommend]
impl<E, X: Into<BoxedError>, F: Fn(&[u8]) -> Result<E, X>> Codec<E> for With<F> {
    fn decode(&self, bytes: &[u8]) -> Result<E, BoxedError> {
        (self.0)(bytes).map_err(Into::into)
    }
}

/// The versions of an event that one handler takes, each converted to `E`.
#[diagnostic::on_unimplemented(
    message = "a worker cannot read the payload of `{E}`",
    label = "needs `serde::Deserialize` and the feature `serde`, or `.decode(..)` after `.on` and `.or`"
)]
pub trait Versions<E>: Kinds {
    /// The event, if it is one of these versions.
    fn read(&self, event: &Facts<RawEvent>) -> Option<Result<E, ReadError>>;
}

/// The version of `E` itself.
#[derive(Debug, Clone, Copy)]
pub struct Own<E, C> {
    pub(super) codec: C,
    pub(super) of: PhantomData<fn() -> E>,
}

/// An older version as well.
#[derive(Debug, Clone, Copy)]
pub struct Or<Old, C, V> {
    pub(super) codec: C,
    pub(super) more: V,
    pub(super) of: PhantomData<fn() -> Old>,
}

#[diagnostic::do_not_recommend]
impl<E: Event, C: Codec<E>> Versions<E> for Own<E, C> {
    fn read(&self, event: &Facts<RawEvent>) -> Option<Result<E, ReadError>> {
        is::<E>(event).then(|| event.read(|bytes| self.codec.decode(bytes)))
    }
}

#[diagnostic::do_not_recommend]
impl<E: From<Old>, Old: Event, C: Codec<Old>, V: Versions<E>> Versions<E>
    for Or<Old, C, V>
{
    fn read(&self, event: &Facts<RawEvent>) -> Option<Result<E, ReadError>> {
        if is::<Old>(event) {
            return Some(event.read(|bytes| self.codec.decode(bytes)).map(Old::into));
        }
        self.more.read(event)
    }
}

fn is<E: Event>(event: &Facts<RawEvent>) -> bool {
    (event.event_type(), event.schema_version()) == (E::TYPE, E::SCHEMA_VERSION)
}
