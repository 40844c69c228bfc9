//! Converters: how one system represents what all of them exchange, and the laws that
//! keep a field from flapping.

use std::error::Error;
use std::fmt;

/// How one system represents a value of type `T`, which is what the systems exchange.
///
/// Two laws hold forevery value, and [`check`] tries them:
///
/// - to bring a value into the form that the system can hold, twice, is to do it once:
///   `normalize(normalize(x)) = normalize(x)`;
/// - what is written reads back as that form: `decode(encode(x)) = normalize(x)`.
///   Otherwise each synchronisation finds a difference that nobody made, and writes
///   again, without end.
///
/// A system that holds less than the others (cents, whole seconds, 40 characters) makes
/// all of them differ from it. Before a plan, bring what each system says into the form
/// that all can hold: `slot.map(|x| erp.normalize(&crm.normalize(&x)))`.
/// [`check_together`] says whether that form depends on the order.
///
/// ```
/// use integration_automation_patterns::sync::convert::{
///     Convert, check, check_together,
/// };
///
/// /// A system that keeps an amount in cents as a text of whole units.
/// struct Units;
///
/// impl Convert<i64> for Units {
///     type Local = String;
///     type Error = std::num::ParseIntError;
///
///     fn encode(&self, cents: &i64) -> String {
///         (cents / 100).to_string()
///     }
///
///     fn decode(&self, units: &String) -> Result<i64, Self::Error> {
///         Ok(units.parse::<i64>()? * 100)
///     }
///
///     fn normalize(&self, cents: &i64) -> i64 {
///         cents / 100 * 100
///     }
/// }
///
/// assert!(check(&Units, [0, 7, 1234, -50]).is_ok());
/// assert!(check_together(&Units, &Units, [1234]).is_ok());
/// ```
#[doc(alias = "data mapping")]
pub trait Convert<T> {
    /// How the system has it.
    type Local;
    /// Why the system's form cannot be read.
    type Error;

    /// What is written to the system.
    fn encode(&self, value: &T) -> Self::Local;

    /// What the system says, as the others understand it.
    ///
    /// # Errors
    ///
    /// Where it cannot be understood. The slot is unread then: nothing follows from what
    /// nobody understands.
    fn decode(&self, local: &Self::Local) -> Result<T, Self::Error>;

    /// The value as this system can hold it.
    fn normalize(&self, value: &T) -> T;
}

/// A law that a converter breaks, and the value for which it does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConvertError<T> {
    /// The law.
    pub law: Law,
    /// The value.
    pub value: T,
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
        write!(f, "a converter obeys {law}, and this one does not for {:?}", self.value)
    }
}

impl<T: fmt::Debug> Error for ConvertError<T> {}

/// Tries a converter's laws: for your own tests, with values of yours, the odd ones
/// first.
///
/// # Errors
///
/// The first law that is broken, and the value for which it is.
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
///     fn encode(&self, text: &String) -> String {
///         text.chars().take(3).collect()
///     }
///
///     fn decode(&self, local: &String) -> Result<String, Self::Error> {
///         Ok(local.clone())
///     }
///
///     fn normalize(&self, text: &String) -> String {
///         text.clone()
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
    for value in values {
        let norm = converter.normalize(&value);
        let law = if !value.eq(&value) {
            Law::Equal
        } else if converter.normalize(&norm) != norm {
            Law::NormalizeOnce
        } else if converter.decode(&converter.encode(&value)).ok().as_ref() != Some(&norm)
        {
            Law::ReadsBack
        } else {
            continue;
        };
        return Err(ConvertError { law, value });
    }
    Ok(())
}

/// Tries whether two systems' forms make one that both can hold, whichever comes first.
///
/// # Errors
///
/// The value for which the order counts.
pub fn check_together<T: PartialEq>(
    a: &impl Convert<T>,
    b: &impl Convert<T>,
    values: impl IntoIterator<Item = T>,
) -> Result<(), ConvertError<T>> {
    for value in values {
        if a.normalize(&b.normalize(&value)) != b.normalize(&a.normalize(&value)) {
            return Err(ConvertError { law: Law::OneForm, value });
        }
    }
    Ok(())
}
