//! What a declared boundary stores of itself: a map from the names of its fields, so that
//! a field that is declared later is one about which nothing is known yet.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The fields as they are written.
#[derive(Debug)]
pub struct Fields<M>(M);

impl<M: SerializeMap> Fields<M> {
    /// Begins with none of them.
    pub fn begin<S: Serializer<SerializeMap = M>>(
        serializer: S,
        count: usize,
    ) -> Result<Self, S::Error> {
        Ok(Self(serializer.serialize_map(Some(count))?))
    }

    /// Writes one.
    pub fn put<T: Serialize>(&mut self, field: &str, value: &T) -> Result<(), M::Error> {
        self.0.serialize_entry(field, value)
    }

    /// Ends after the last.
    pub fn end(self) -> Result<M::Ok, M::Error> {
        self.0.end()
    }
}

/// The value of one stored field.
#[derive(Debug)]
pub struct Value<'m, M>(&'m mut M);

impl<'de, M: MapAccess<'de>> Value<'_, M> {
    /// Reads it.
    pub fn read<T: Deserialize<'de>>(self) -> Result<T, M::Error> {
        self.0.next_value()
    }
}

/// What is read from its stored fields.
pub trait Take<'de>: Default {
    /// The names of the fields.
    const FIELDS: &'static [&'static str];

    /// Takes the field at this place.
    fn take<M: MapAccess<'de>>(
        &mut self,
        place: usize,
        value: Value<'_, M>,
    ) -> Result<(), M::Error>;
}

/// Reads the fields in any order. One that is missing is as it is by default; one that is
/// not declared, or comes twice, is an error.
pub fn read<'de, T: Take<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(Reader(PhantomData))
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Take<'de>> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fields of a record by their names")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<T, M::Error> {
        let (mut taken, mut seen) = (T::default(), Vec::new());
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let place = T::FIELDS.iter().position(|field| *field == name);
            let place = place.ok_or_else(|| M::Error::unknown_field(&name, T::FIELDS))?;
            if seen.contains(&place) {
                return Err(M::Error::custom(format_args!("the field {name:?} twice")));
            }
            seen.push(place);
            taken.take(place, Value(&mut map))?;
        }
        Ok(taken)
    }
}
