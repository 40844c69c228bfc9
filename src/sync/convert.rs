//! Converters: how one system represents what all of them exchange, and the laws that
//! keep a field from flapping.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

/// How one system represents a field of type `T`, which is what the systems exchange.
///
/// A field is a value or nothing, `None`; and so is what the system has for it. Where a
/// system says "nothing" by an empty text, a zero or a placeholder, the converter knows
/// it, both ways.
///
/// Two laws hold for every value and for nothing, and [`check`] tries them:
///
/// - normalizing a value twice is the same as normalizing it once:
///   `normalize(normalize(x)) = normalize(x)`;
/// - what is written reads back as that form: `decode(encode(x)) = normalize(x)`.
///   Otherwise each synchronisation finds a difference that nobody made, and writes
///   again, without end.
///
/// A system that holds less than the others (cents, whole seconds, 40 characters) makes
/// all of them differ from it. Before a plan, bring what each system says into the form
/// that all can hold: let one converter `decode` to that form, and read every system by
/// [`Reading::of`](super::Reading::of), which keeps the system's own form for the write.
/// [`check_together`] says whether the common form depends on the order.
///
/// Where the order of a list does not count, exchange a set: `decode` to a `BTreeSet`,
/// and lists that differ in order alone are equal. Where its entries have keys, such as
/// the lines of an order, each is a record of its own: declare a boundary for them.
///
/// ```
/// use integration_automation_patterns::sync::convert::{
///     Convert, check, check_together,
/// };
///
/// /// A system that keeps an amount in cents as a text of whole units, and says "" where
/// /// it has none.
/// struct Units;
///
/// impl Convert<i64> for Units {
///     type Local = String;
///     type Error = std::num::ParseIntError;
///
///     fn encode(&self, cents: Option<&i64>) -> Option<String> {
///         Some(cents.map_or_else(String::new, |cents| (cents / 100).to_string()))
///     }
///
///     fn decode(&self, units: Option<&String>) -> Result<Option<i64>, Self::Error> {
///         let units = units.filter(|units| !units.is_empty());
///         units.map(|units| Ok(units.parse::<i64>()? * 100)).transpose()
///     }
///
///     fn normalize(&self, cents: Option<&i64>) -> Option<i64> {
///         cents.map(|cents| cents / 100 * 100)
///     }
/// }
///
/// assert!(check(&Units, [0, 7, 1234, -50]).is_ok());
/// assert!(check_together(&Units, &Units, [1234]).is_ok());
/// ```
#[doc(alias = "data mapping")]
pub trait Convert<T> {
    /// The system's own form.
    type Local;
    /// Why the system's form cannot be read.
    type Error;

    /// What is written to the system.
    fn encode(&self, value: Option<&T>) -> Option<Self::Local>;

    /// What the system says, as the others understand it.
    ///
    /// # Errors
    ///
    /// If the system's form cannot be read. Take the slot for unread then: nothing
    /// follows from it.
    fn decode(&self, local: Option<&Self::Local>) -> Result<Option<T>, Self::Error>;

    /// The value, or nothing, as this system can hold it.
    fn normalize(&self, value: Option<&T>) -> Option<T>;
}

/// The converter of a system that has the common form.
///
/// ```
/// use integration_automation_patterns::sync::convert::{AsIs, check};
///
/// assert!(check(&AsIs, ["", "Al"]).is_ok());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AsIs;

impl<T: Clone> Convert<T> for AsIs {
    type Local = T;
    type Error = Infallible;

    fn encode(&self, value: Option<&T>) -> Option<T> {
        value.cloned()
    }

    fn decode(&self, local: Option<&T>) -> Result<Option<T>, Infallible> {
        Ok(local.cloned())
    }

    fn normalize(&self, value: Option<&T>) -> Option<T> {
        value.cloned()
    }
}

/// A law that a converter breaks, and the value for which it does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConvertError<T> {
    /// The law.
    pub law: Law,
    /// The value; `None` for an empty field.
    pub value: Option<T>,
}

/// What a converter must obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Law {
    /// A value equals itself. (A float that is no number does not, and would be written
    /// forever.)
    Equal,
    /// `normalize(normalize(x)) = normalize(x)`.
    NormalizeOnce,
    /// `decode(encode(x)) = normalize(x)`.
    ReadsBack,
    /// `a.normalize(b.normalize(x)) = b.normalize(a.normalize(x))`, for two systems.
    OneForm,
}

impl<T: fmt::Debug> fmt::Display for ConvertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let law = match self.law {
            Law::Equal => "x = x",
            Law::NormalizeOnce => "normalize(normalize(x)) = normalize(x)",
            Law::ReadsBack => "decode(encode(x)) = normalize(x)",
            Law::OneForm => "a.normalize(b.normalize(x)) = b.normalize(a.normalize(x))",
        };
        write!(f, "a converter obeys {law}, and this one does not for ")?;
        match &self.value {
            Some(value) => write!(f, "{value:?}"),
            None => f.write_str("an empty field"),
        }
    }
}

impl<T: fmt::Debug> Error for ConvertError<T> {}

/// Tries a converter's laws: for your own tests, with your own values, the odd ones
/// first.
///
/// # Errors
///
/// The first law that the converter breaks, and the value for which it does.
///
/// ```
/// use integration_automation_patterns::sync::convert::{Convert, Law, check};
///
/// /// It cuts what it writes, and forgets to say so.
/// struct Short;
///
/// impl Convert<String> for Short {
///     type Local = String;
///     type Error = std::convert::Infallible;
///
///     fn encode(&self, text: Option<&String>) -> Option<String> {
///         text.map(|text| text.chars().take(3).collect())
///     }
///
///     fn decode(&self, local: Option<&String>) -> Result<Option<String>, Self::Error> {
///         Ok(local.cloned())
///     }
///
///     fn normalize(&self, text: Option<&String>) -> Option<String> {
///         text.cloned()
///     }
/// }
///
/// let broken = check(&Short, ["Al".to_owned(), "Alan".to_owned()]).unwrap_err();
/// assert_eq!(broken.law, Law::ReadsBack);
/// assert_eq!(
///     broken.to_string(),
///     "a converter obeys decode(encode(x)) = normalize(x), and this one does not for \
///      \"Alan\""
/// );
/// ```
pub fn check<T: PartialEq, C: Convert<T>>(
    converter: &C,
    values: impl IntoIterator<Item = T>,
) -> Result<(), ConvertError<T>> {
    for value in and_nothing(values) {
        let field = value.as_ref();
        let norm = converter.normalize(field);
        let read_back = converter.decode(converter.encode(field).as_ref()).ok();
        let law = if !field.eq(&field) {
            Law::Equal
        } else if converter.normalize(norm.as_ref()) != norm {
            Law::NormalizeOnce
        } else if read_back.as_ref() != Some(&norm) {
            Law::ReadsBack
        } else {
            continue;
        };
        return Err(ConvertError { law, value });
    }
    Ok(())
}

/// Tries whether two systems' forms have one in common, whichever system comes first.
///
/// # Errors
///
/// The value for which the order counts.
pub fn check_together<T: PartialEq>(
    a: &impl Convert<T>,
    b: &impl Convert<T>,
    values: impl IntoIterator<Item = T>,
) -> Result<(), ConvertError<T>> {
    for value in and_nothing(values) {
        let (by_a, by_b) = (a.normalize(value.as_ref()), b.normalize(value.as_ref()));
        if a.normalize(by_b.as_ref()) != b.normalize(by_a.as_ref()) {
            return Err(ConvertError { law: Law::OneForm, value });
        }
    }
    Ok(())
}

/// The empty field, which tests tend to forget, and these values.
fn and_nothing<T>(
    values: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = Option<T>> {
    std::iter::once(None).chain(values.into_iter().map(Some))
}
