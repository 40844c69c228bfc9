//! What a declared boundary stores of itself: a map from the names of its fields, so that
//! a field that is declared later is one about which nothing is known yet.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sync::declared::Visit;

/// Writes one field after another.
#[derive(Debug)]
pub struct Writing<M: SerializeMap>(Result<M, M::Error>);

impl<M: SerializeMap> Writing<M> {
    /// Begins with none of them.
    pub fn begin<S>(serializer: S, count: usize) -> Self
    where
        S: Serializer<SerializeMap = M, Error = M::Error>,
    {
        Self(serializer.serialize_map(Some(count)))
    }

    /// Ends after the last.
    pub fn end(self) -> Result<M::Ok, M::Error> {
        self.0.and_then(SerializeMap::end)
    }
}

impl<T: Serialize, M: SerializeMap> Visit<&T> for Writing<M> {
    fn visit(&mut self, field: &'static str, item: &T) {
        if let Ok(map) = &mut self.0
            && let Err(error) = map.serialize_entry(field, item)
        {
            self.0 = Err(error);
        }
    }
}

/// Reads one field, by its name.
#[derive(Debug)]
pub struct Reading<'m, 'de, M: MapAccess<'de>> {
    field: &'static str,
    map: &'m mut M,
    read: Result<(), M::Error>,
}

impl<'de, T: Deserialize<'de>, M: MapAccess<'de>> Visit<&mut T> for Reading<'_, 'de, M> {
    fn visit(&mut self, field: &'static str, item: &mut T) {
        if field == self.field {
            self.read = self.map.next_value().map(|value| *item = value);
        }
    }
}

/// What is read from its stored fields.
pub trait Stored<'de>: Default {
    /// The names of the fields.
    const FIELDS: &'static [&'static str];

    /// Visits the fields.
    fn walk<M: MapAccess<'de>>(&mut self, reading: &mut Reading<'_, 'de, M>);
}

/// Reads the fields in any order. One that is missing is as it is by default; one that is
/// not declared, or comes twice, is an error.
pub fn read<'de, T: Stored<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(Reader(PhantomData))
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Stored<'de>> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fields of a record by their names")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<T, M::Error> {
        let (mut stored, mut seen) = (T::default(), Vec::new());
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let field = T::FIELDS.iter().copied().find(|field| *field == name);
            let field = field.ok_or_else(|| M::Error::unknown_field(&name, T::FIELDS))?;
            if seen.contains(&field) {
                return Err(M::Error::custom(format_args!("the field {name:?} twice")));
            }
            seen.push(field);
            let mut reading = Reading { field, map: &mut map, read: Ok(()) };
            stored.walk(&mut reading);
            reading.read?;
        }
        Ok(stored)
    }
}
