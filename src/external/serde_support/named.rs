//! What is held by the places of systems, stored by their names.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sync::{
    Bases, ByPlace, Kept, KeptForms, Named, RecordBase, Refusal, Refusals,
};

/// What is written and read with the names of systems.
///
/// A form on its own holds references where it is written, and is owned where it is read.
pub(super) trait WriteNamed {
    fn write<N: AsRef<str>, S: Serializer>(
        &self,
        systems: &[N],
        serializer: S,
    ) -> Result<S::Ok, S::Error>;
}

pub(super) trait ReadNamed<'de>: Sized {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Named<Self>, D::Error>;
}

impl<T: WriteNamed> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().write(self.systems(), serializer)
    }
}

impl<'de, T: ReadNamed<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer)
    }
}

/// What is stored, by the places of these systems.
pub(super) fn by_place<T: ByPlace, E: Error>(
    named: Named<T>,
    systems: &[&str],
) -> Result<T, E> {
    named.by_place(systems).map_err(E::custom)
}

/// The name of the system at a place.
fn name<N: AsRef<str>, E: serde::ser::Error>(
    systems: &[N],
    place: usize,
) -> Result<&str, E> {
    systems.get(place).map(AsRef::as_ref).ok_or_else(|| {
        let count = systems.len();
        E::custom(format_args!(
            "what is stored by name wants a system at place {place}, and found {count} \
             systems"
        ))
    })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownForm<A, C> {
    agreed: A,
    /// What each system has, by its name.
    confirmed: C,
}

fn write_known<T: Serialize, N: AsRef<str>, S: Serializer>(
    agreed: &T,
    confirmed: &[T],
    systems: &[N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let named = confirmed.iter().enumerate();
    let named = named.map(|(place, base)| Ok((name(systems, place)?, base)));
    let confirmed = BySystem(named.collect::<Result<Vec<_>, _>>()?);
    KnownForm { agreed, confirmed }.serialize(serializer)
}

fn read_known<'de, T: Deserialize<'de>, K, D: Deserializer<'de>>(
    deserializer: D,
    known: impl FnOnce(T, Vec<T>) -> K,
) -> Result<Named<K>, D::Error> {
    let KnownForm { agreed, confirmed: BySystem(confirmed) } =
        KnownForm::<T, BySystem<String, T>>::deserialize(deserializer)?;
    let (systems, confirmed) = confirmed.into_iter().unzip();
    Ok(Named::read(systems, known(agreed, confirmed)))
}

impl<T: Serialize> WriteNamed for Bases<T> {
    fn write<N: AsRef<str>, S: Serializer>(
        &self,
        systems: &[N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        write_known(&self.agreed, &self.confirmed, systems, serializer)
    }
}

impl<'de, T: Deserialize<'de>> ReadNamed<'de> for Bases<T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Named<Self>, D::Error> {
        let known = |agreed, confirmed| Self { agreed, confirmed };
        read_known(deserializer, known)
    }
}

impl WriteNamed for RecordBase {
    fn write<N: AsRef<str>, S: Serializer>(
        &self,
        systems: &[N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        write_known(&self.agreed, &self.confirmed, systems, serializer)
    }
}

impl<'de> ReadNamed<'de> for RecordBase {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Named<Self>, D::Error> {
        let known = |agreed, confirmed| Self { agreed, confirmed };
        read_known(deserializer, known)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalForm<N, V, W> {
    system: N,
    value: V,
    shown: V,
    why: W,
}

impl<T: Serialize> WriteNamed for Refusals<T> {
    fn write<N: AsRef<str>, S: Serializer>(
        &self,
        systems: &[N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let form = |refusal| {
            let &Refusal { place, ref value, ref shown, ref why } = refusal;
            Ok(RefusalForm { system: name(systems, place)?, value, shown, why })
        };
        let forms = self.as_slice().iter().map(form).collect::<Result<Vec<_>, _>>();
        forms?.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> ReadNamed<'de> for Refusals<T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Named<Self>, D::Error> {
        let mut systems = Vec::new();
        let forms =
            Vec::<RefusalForm<String, Option<T>, String>>::deserialize(deserializer)?;
        let refusal = |form| {
            let RefusalForm { system, value, shown, why } = form;
            Refusal { place: place(&mut systems, system), value, shown, why }
        };
        let refusals = Self(forms.into_iter().map(refusal).collect());
        Ok(Named::read(systems, refusals))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptForm<N, V> {
    system: N,
    written: V,
    held: V,
}

impl<T: Serialize> WriteNamed for KeptForms<T> {
    fn write<N: AsRef<str>, S: Serializer>(
        &self,
        systems: &[N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let form = |kept| {
            let &Kept { place, ref written, ref held } = kept;
            Ok(KeptForm { system: name(systems, place)?, written, held })
        };
        let forms = self.as_slice().iter().map(form).collect::<Result<Vec<_>, _>>();
        forms?.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> ReadNamed<'de> for KeptForms<T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Named<Self>, D::Error> {
        let mut systems = Vec::new();
        let forms = Vec::<KeptForm<String, Option<T>>>::deserialize(deserializer)?;
        let kept = |form| {
            let KeptForm { system, written, held } = form;
            Kept { place: place(&mut systems, system), written, held }
        };
        let kept = Self(forms.into_iter().map(kept).collect());
        Ok(Named::read(systems, kept))
    }
}

/// The place of a system among those that were named so far, and now this one.
fn place(systems: &mut Vec<String>, system: String) -> usize {
    let known = systems.iter().position(|known| *known == system);
    known.unwrap_or_else(|| {
        systems.push(system);
        systems.len().saturating_sub(1)
    })
}

/// A map from the names of systems, in the order in which it is written.
struct BySystem<N, T>(Vec<(N, T)>);

impl<N: Serialize, T: Serialize> Serialize for BySystem<N, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, item)| (name, item)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for BySystem<String, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Systems(PhantomData))
    }
}

struct Systems<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Systems<T> {
    type Value = BySystem<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what each system has, by its name")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut items = Vec::<(String, T)>::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if items.iter().any(|(system, _)| *system == name) {
                return Err(M::Error::custom(format_args!("the system {name:?} twice")));
            }
            items.push((name.into_owned(), map.next_value()?));
        }
        Ok(BySystem(items))
    }
}
