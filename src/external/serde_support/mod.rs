//! `Serialize` and `Deserialize` for the erased forms, under the names that the guide's
//! chapter `as_data` lists.
//!
//! Never for a typed envelope: it would be a second door, past the checks. What has rules
//! of its own is read through its own constructor.

mod audit;
mod envelope;
mod named;
pub mod stored;
mod sync;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is written as its text form, and read from it.
macro_rules! as_text {
    ($($type:ty),+) => {
        $(
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                }
            }
        )+
    };
}
use as_text;

/// What is written and read in the form that stands beside it, which `serde` itself
/// checks against the type.
macro_rules! as_form {
    ($([$($param:ident)?] $type:ty, $form:ty;)+) => {
        $(
            impl<$($param: Serialize)?> Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    <$form>::serialize(self, serializer)
                }
            }

            impl<'de, $($param: Deserialize<'de>)?> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    <$form>::deserialize(deserializer)
                }
            }
        )+
    };
}
use as_form;

/// The version of a form, which stands first in it; any other than ours is refused before
/// the rest is read.
struct Format;

const FORMAT: u32 = 1;

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(FORMAT)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            FORMAT => Ok(Self),
            found => Err(D::Error::custom(format_args!(
                "wanted data in format {FORMAT}, and found format {found}: read it with \
                 the version of this crate that wrote it, or a later one"
            ))),
        }
    }
}
