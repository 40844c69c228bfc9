//! What a declared boundary stores of itself: a map from the names of its fields, so that
//! a field that is declared later is one about which nothing is known yet.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::named::{ReadNamed, WriteNamed, by_place};
use crate::sync::declared::Visit;
use crate::sync::{Answer, Base, Bases, KeptForms, Named, Refusals, Slot};

/// The names of the parties, by which is stored what is held by their places.
type Parties = &'static [&'static str];

/// What is stored of one field.
pub trait Item {
    /// Writes it.
    fn write<S: Serializer>(&self, parties: Parties, to: S) -> Result<S::Ok, S::Error>;
}

/// What is read of one field.
pub trait StoredItem<'de>: Sized {
    /// What it is stored as.
    type Form: Deserialize<'de>;

    /// Takes it out of its stored form.
    fn read<E: Error>(form: Self::Form, parties: Parties) -> Result<Self, E>;
}

/// What is stored as it is, since no system has a place in it.
macro_rules! as_it_is {
    ($($item:ty),+) => {
        $(
            impl<T: Serialize> Item for $item {
                fn write<S: Serializer>(
                    &self,
                    _: Parties,
                    to: S,
                ) -> Result<S::Ok, S::Error> {
                    self.serialize(to)
                }
            }

            impl<'de, T: Deserialize<'de>> StoredItem<'de> for $item {
                type Form = Self;

                fn read<E: Error>(form: Self, _: Parties) -> Result<Self, E> {
                    Ok(form)
                }
            }
        )+
    };
}
as_it_is!(Slot<T>, Base<T>, Option<Answer<T>>);

/// What is stored by the names of the systems.
macro_rules! by_name {
    ($($item:ty),+) => {
        $(
            impl<T: Serialize> Item for $item {
                fn write<S: Serializer>(
                    &self,
                    parties: Parties,
                    to: S,
                ) -> Result<S::Ok, S::Error> {
                    WriteNamed::write(self, parties, to)
                }
            }

            impl<'de, T: Deserialize<'de>> StoredItem<'de> for $item
            where
                Self: ReadNamed<'de>,
            {
                type Form = Named<Self>;

                fn read<E: Error>(form: Named<Self>, parties: Parties) -> Result<Self, E> {
                    by_place(form, parties)
                }
            }
        )+
    };
}
by_name!(Bases<T>, Refusals<T>, KeptForms<T>);

/// Writes one field after another.
#[derive(Debug)]
pub struct Writing<M: SerializeMap>(Result<M, M::Error>, Parties);

impl<M: SerializeMap> Writing<M> {
    /// Begins with none of them.
    pub fn begin<S>(serializer: S, count: usize, parties: Parties) -> Self
    where
        S: Serializer<SerializeMap = M, Error = M::Error>,
    {
        Self(serializer.serialize_map(Some(count)), parties)
    }

    /// Ends after the last.
    pub fn end(self) -> Result<M::Ok, M::Error> {
        self.0.and_then(SerializeMap::end)
    }
}

struct Entry<'i, I>(&'i I, Parties);

impl<I: Item> Serialize for Entry<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(self.1, serializer)
    }
}

impl<I: Item, M: SerializeMap> Visit<&I> for Writing<M> {
    fn visit(&mut self, field: &'static str, item: &I) {
        if let Ok(map) = &mut self.0
            && let Err(error) = map.serialize_entry(field, &Entry(item, self.1))
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
    parties: Parties,
    read: Result<(), M::Error>,
}

impl<'de, I: StoredItem<'de>, M: MapAccess<'de>> Visit<&mut I> for Reading<'_, 'de, M> {
    fn visit(&mut self, field: &'static str, item: &mut I) {
        if field == self.field {
            let form = self.map.next_value();
            let read = form.and_then(|form| I::read(form, self.parties));
            self.read = read.map(|value| *item = value);
        }
    }
}

/// What is read from its stored fields.
pub trait Stored<'de>: Default {
    /// The names of the fields.
    const FIELDS: &'static [&'static str];
    /// The names of the parties, in their order.
    const PARTIES: &'static [&'static str];

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
            let mut reading =
                Reading { field, map: &mut map, parties: T::PARTIES, read: Ok(()) };
            stored.walk(&mut reading);
            reading.read?;
        }
        Ok(stored)
    }
}
