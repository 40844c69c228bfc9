//! `Named`: what is held by the places of systems, under their names, as it is stored.

use std::fmt;

use super::bases::Bases;
use super::kept::KeptForms;
use super::presence::{Existed, RecordBase};
use super::refusal::Refusals;
use super::slot::Base;
use crate::Refused;

/// What is held by the places of systems, under their names: the form in which it is
/// stored.
///
/// In a program, systems have places. In a database a place would say nothing once
/// somebody sorts the systems of a contract, or puts another one before them: one
/// system's base would pass for another's, and stale values for edits. So
/// [`Bases`], [`RecordBase`], [`Refusals`] and [`KeptForms`] have no stored form of their
/// own, and this one goes by name. What a declared boundary stores does so by itself.
///
/// ```
/// use integration_automation_patterns::sync::{Existed, Named, RecordBase};
///
/// let confirmed = vec![Existed::There, Existed::Never];
/// let base = RecordBase { agreed: Existed::There, confirmed };
/// let stored = Named::of(base, ["crm", "erp"]);
///
/// // The systems are sorted anew, and one is added.
/// let base = stored.by_place(["billing", "erp", "crm"])?;
/// assert_eq!(base.confirmed, [Existed::Never, Existed::Never, Existed::There]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it has what was stored, until that is put in the order of a contract"]
pub struct Named<T> {
    systems: Vec<String>,
    value: T,
}

impl<T: ByPlace> Named<T> {
    /// Names the systems, in the order of the places: those of the
    /// [contract](super::Contract::systems), or the `SYSTEMS` of a declared boundary.
    pub fn of<S: AsRef<str>>(value: T, systems: impl IntoIterator<Item = S>) -> Self {
        let systems = systems.into_iter().map(|name| name.as_ref().to_owned());
        Self { systems: systems.collect(), value }
    }

    /// What is held by the places of these systems: those of the contract at hand. One
    /// that is new was never synchronised.
    ///
    /// # Errors
    ///
    /// [`OtherSystemsError`], with all of it given back, if it is about a system that is
    /// not among these.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, Bases, Named};
    ///
    /// let stored =
    ///     Named::of(Bases::common(Base::Known(Some("active")), 2), ["crm", "erp"]);
    /// let refused = stored.by_place(["salesforce", "erp"]).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "what is stored is of the systems crm, erp, and the contract is between \
    ///      salesforce, erp: in what is stored, rename a system that has a new name, and \
    ///      remove one that has left"
    /// );
    /// ```
    pub fn by_place<S: AsRef<str>>(
        self,
        systems: impl IntoIterator<Item = S>,
    ) -> Result<T, Refused<Self, OtherSystemsError>> {
        let wanted = systems.into_iter().map(|name| name.as_ref().to_owned());
        let wanted = wanted.collect::<Vec<_>>();
        let place = |name: &String| wanted.iter().position(|system| system == name);
        let places = self.systems.iter().map(place).collect::<Option<Vec<_>>>();
        match places.filter(|places| self.value.places() <= places.len()) {
            Some(places) => Ok(self.value.moved(&places, wanted.len())),
            None => {
                let error = OtherSystemsError { stored: self.systems.clone(), wanted };
                Err(Refused::new(self, error))
            }
        }
    }
}

#[cfg(feature = "serde")]
impl<T> Named<T> {
    pub(crate) fn read(systems: Vec<String>, value: T) -> Self {
        Self { systems, value }
    }

    pub(crate) fn systems(&self) -> &[String] {
        &self.systems
    }

    pub(crate) fn value(&self) -> &T {
        &self.value
    }
}

/// What is held by the places of systems, and stored by their [names](Named).
///
/// It is sealed: these are [`Bases`], [`RecordBase`], [`Refusals`] and [`KeptForms`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not held by the places of systems",
    label = "`Bases`, `RecordBase`, `Refusals` and `KeptForms` are, and stored by name"
)]
pub trait ByPlace: sealed::Placed {}

impl<T> ByPlace for Bases<T> {}
impl ByPlace for RecordBase {}
impl<T> ByPlace for Refusals<T> {}
impl<T> ByPlace for KeptForms<T> {}

mod sealed {
    /// What can be moved from places to others.
    pub trait Placed: Sized {
        /// How many places it tells apart.
        fn places(&self) -> usize;

        /// The same, with what stood at each place now at the one that the list has for
        /// it, of so many places.
        fn moved(self, to: &[usize], count: usize) -> Self;
    }
}

impl<T> sealed::Placed for Bases<T> {
    fn places(&self) -> usize {
        self.confirmed.len()
    }

    fn moved(self, to: &[usize], count: usize) -> Self {
        if self.confirmed.is_empty() {
            return self;
        }
        Self { confirmed: moved(self.confirmed, to, count, || Base::Never), ..self }
    }
}

impl sealed::Placed for RecordBase {
    fn places(&self) -> usize {
        self.confirmed.len()
    }

    fn moved(self, to: &[usize], count: usize) -> Self {
        Self { confirmed: moved(self.confirmed, to, count, Existed::default), ..self }
    }
}

impl<T> sealed::Placed for Refusals<T> {
    fn places(&self) -> usize {
        let last = self.0.iter().map(|refusal| refusal.place).max();
        last.map_or(0, |last| last.saturating_add(1))
    }

    fn moved(mut self, to: &[usize], _: usize) -> Self {
        for refusal in &mut self.0 {
            to.get(refusal.place).into_iter().for_each(|to| refusal.place = *to);
        }
        self
    }
}

impl<T> sealed::Placed for KeptForms<T> {
    fn places(&self) -> usize {
        let last = self.0.iter().map(|kept| kept.place).max();
        last.map_or(0, |last| last.saturating_add(1))
    }

    fn moved(mut self, to: &[usize], _: usize) -> Self {
        for kept in &mut self.0 {
            to.get(kept.place).into_iter().for_each(|to| kept.place = *to);
        }
        self
    }
}

/// What each of so many places has from now on.
fn moved<T>(was: Vec<T>, to: &[usize], count: usize, never: impl Fn() -> T) -> Vec<T> {
    let mut now = (0..count).map(|_| never()).collect::<Vec<_>>();
    for (item, to) in was.into_iter().zip(to) {
        if let Some(place) = now.get_mut(*to) {
            *place = item;
        }
    }
    now
}

/// What is stored is about a system that is no party to the contract at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherSystemsError {
    /// The systems of what is stored.
    pub stored: Vec<String>,
    /// The parties to the contract.
    pub wanted: Vec<String>,
}

impl fmt::Display for OtherSystemsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stored, wanted] = [&self.stored, &self.wanted].map(|names| names.join(", "));
        write!(
            f,
            "what is stored is of the systems {stored}, and the contract is between \
             {wanted}: in what is stored, rename a system that has a new name, and remove \
             one that has left"
        )
    }
}

impl std::error::Error for OtherSystemsError {}
