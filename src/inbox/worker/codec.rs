//! How the bytes of a payload become a typed event, and which versions of it a handler
//! takes.

use std::error::Error;

use super::kinds::{Kind, Kinds};
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
        let read = serde_json::from_slice(bytes);
        read.map_err(|error| crate::json_error::JsonError::from(&error).into())
    }
}

/// Never used: no handler is for a [`RawEvent`], and that is said once, where it is named.
#[diagnostic::do_not_recommend]
impl Codec<RawEvent> for Json {
    fn decode(&self, _: &[u8]) -> Result<RawEvent, BoxedError> {
        Err("a `RawEvent` is read by `.otherwise(..)`".into())
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

/// A version of an event as a value. It is made where the event is named, which alone needs
/// an `Event`: so a type that is none is one error, there.
#[derive(Debug, Clone, Copy)]
pub struct Version<E> {
    pub(super) kind: Kind,
    read: fn(&Facts<RawEvent>, Decoder<'_, E>) -> Result<E, ReadError>,
}

type Decoder<'d, E> = &'d dyn Fn(&[u8]) -> Result<E, BoxedError>;

impl<E> Version<E> {
    pub(super) fn of() -> Self
    where
        E: Event,
    {
        let kind = (E::TYPE, E::SCHEMA_VERSION);
        Self { kind, read: |event, decoder| event.read(decoder) }
    }

    /// The event, if it is of this version.
    fn read(
        &self,
        event: &Facts<RawEvent>,
        codec: &impl Codec<E>,
    ) -> Option<Result<E, ReadError>> {
        let is_this = (event.event_type(), event.schema_version()) == self.kind;
        is_this.then(|| (self.read)(event, &|bytes| codec.decode(bytes)))
    }
}

/// The version of `E` itself.
#[derive(Debug, Clone, Copy)]
pub struct Own<E, C> {
    pub(super) version: Version<E>,
    pub(super) codec: C,
}

/// An older version as well.
#[derive(Debug, Clone, Copy)]
pub struct Or<E, Old, C, V> {
    pub(super) version: Version<Old>,
    pub(super) convert: fn(Old) -> E,
    pub(super) codec: C,
    pub(super) more: V,
}

#[diagnostic::do_not_recommend]
impl<E, C: Codec<E>> Versions<E> for Own<E, C> {
    fn read(&self, event: &Facts<RawEvent>) -> Option<Result<E, ReadError>> {
        self.version.read(event, &self.codec)
    }
}

#[diagnostic::do_not_recommend]
impl<E, Old, C: Codec<Old>, V: Versions<E>> Versions<E> for Or<E, Old, C, V> {
    fn read(&self, event: &Facts<RawEvent>) -> Option<Result<E, ReadError>> {
        match self.version.read(event, &self.codec) {
            Some(old) => Some(old.map(self.convert)),
            None => self.more.read(event),
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    /// Protects the dead letter's reason and the audit trail from the payload: neither the
    /// error nor a cause of it quotes what was found.
    #[test]
    fn json_that_is_another_form_is_refused_without_its_values() {
        let refused: Result<u8, _> = Json.decode(br#""ada@example.com""#);
        let refused =
            refused.err().map(|error| (error.to_string(), error.source().is_none()));
        let wanted =
            "a value has another type or form than is expected at line 1 column 17";
        assert_eq!(refused, Some((wanted.to_owned(), true)));
    }
}
