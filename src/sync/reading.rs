//! `Reading`: what a system shows of a field in its own form, beside the form that all
//! exchange; and the write in its own form that follows.

use super::apply::Found;
use super::convert::{AsIs, Convert};
use super::kept::Kept;
use super::plan::FieldPlan;
use super::reconcile::{Question, Verdict};
use super::slot::{Base, Slot};
use super::write::Write;

/// What a system shows of a field: in its own form `L`, and in the form `T` that all
/// exchange.
///
/// A plan compares the common form, [`slot`](Self::slot). The store compares the other
/// one: a write names the very value that the system showed
/// ([`raw_write`](Self::raw_write)), and so finds it again.
///
/// ```
/// use integration_automation_patterns::sync::convert::Convert;
/// use integration_automation_patterns::sync::{
///     Base, FieldPlan, Found, NonOwnerEdits, Reading, Rule, Slot,
/// };
/// use std::convert::Infallible;
///
/// /// A system that keeps telephones as people type them, and "-" for none.
/// struct Typed;
///
/// impl Convert<String> for Typed {
///     type Local = String;
///     type Error = Infallible;
///
///     fn encode(&self, digits: Option<&String>) -> Option<String> {
///         Some(digits.map_or_else(|| "-".to_owned(), String::clone))
///     }
///
///     fn decode(&self, typed: Option<&String>) -> Result<Option<String>, Infallible> {
///         let digits = typed.into_iter().flat_map(|text| text.chars());
///         let digits = digits.filter(char::is_ascii_digit).collect::<String>();
///         Ok(Some(digits).filter(|digits| !digits.is_empty()))
///     }
///
///     fn normalize(&self, digits: Option<&String>) -> Option<String> {
///         self.decode(digits).unwrap_or_default()
///     }
/// }
///
/// let raw = Slot::Value("+49 (30) 123-45".to_owned());
/// let erp = Reading::of(&Typed, raw)?;
/// assert_eq!(erp.slot(), &Slot::Value("493012345".to_owned()));
///
/// let (crm, base) = (Slot::Empty, Base::Known(Some("493012345".to_owned())));
/// let slots = [&crm, erp.slot()];
/// let plan = FieldPlan::new(Rule::Owner(0, NonOwnerEdits::Reject), &slots, &base);
/// let write = plan.writes().next().ok_or("the owner has cleared it")?;
///
/// let raw = erp.raw_write(&Typed, &write).ok_or("the ERP was read")?;
/// assert_eq!(raw.value().map(String::as_str), Some("-"));
/// assert_eq!(raw.expects().map(String::as_str), Some("+49 (30) 123-45"));
/// let now = "+49 (30) 123-45".to_owned();
/// assert_eq!(raw.found(Some(&now)), Found::AsExpected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<L, T> {
    raw: Slot<L>,
    slot: Slot<T>,
    is_richer: bool,
}

impl<L, T> Reading<L, T> {
    /// What a system shows, by the converter that knows its form.
    ///
    /// # Errors
    ///
    /// The converter's, if it does not understand what the system shows. Take the field
    /// for unread then, and report it: nothing follows from it.
    pub fn of<C: Convert<T, Local = L>>(
        converter: &C,
        raw: Slot<L>,
    ) -> Result<Self, C::Error>
    where
        L: PartialEq,
    {
        let Some(shown) = raw.read() else {
            let slot = match raw {
                Slot::Unsupported => Slot::Unsupported,
                _ => Slot::Unread,
            };
            return Ok(Self { raw, slot, is_richer: false });
        };
        let shown = shown.into_option();
        let value = converter.decode(shown)?;
        let is_richer = converter.encode(value.as_ref()).as_ref() != shown;
        Ok(Self { slot: Slot::from(value), raw, is_richer })
    }

    /// What the system shows, in its own form.
    pub fn raw(&self) -> &Slot<L> {
        &self.raw
    }

    /// What it shows, in the form that all exchange.
    pub fn slot(&self) -> &Slot<T> {
        &self.slot
    }

    /// Whether the system's form says more than the common one, which alone could not
    /// restore it: the rest of a cut text, cents beside whole units.
    pub fn is_richer(&self) -> bool {
        self.is_richer
    }

    /// The same reading, but what the system kept of our own write counts as what was
    /// written, as long as the system still shows it and the systems agree on what was
    /// written.
    pub fn as_kept(self, kept: &Kept<T>, base: &Base<T>) -> Self
    where
        T: Clone + PartialEq,
    {
        let slot = kept.in_place_of(self.slot, base);
        Self { slot, ..self }
    }

    /// A write to this system, in its own form; `None` where the system was not read.
    pub fn raw_write<C: Convert<T, Local = L>>(
        &self,
        converter: &C,
        write: &Write<'_, T>,
    ) -> Option<RawWrite<'_, L>> {
        let expects = self.raw.read()?.into_option();
        Some(RawWrite { value: converter.encode(write.value()), expects })
    }
}

impl<T: Clone + PartialEq> Reading<T, T> {
    /// The reading of a system that has the common form ([`AsIs`]).
    pub fn plain(slot: Slot<T>) -> Self {
        let Ok(reading) = Self::of(&AsIs, slot);
        reading
    }
}

/// A write in the form of the system that it goes to.
///
/// `UPDATE ... SET phone = value WHERE phone IS expects`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawWrite<'r, L> {
    value: Option<L>,
    expects: Option<&'r L>,
}

impl<'r, L> RawWrite<'r, L> {
    /// What is written.
    pub fn value(&self) -> Option<&L> {
        self.value.as_ref()
    }

    /// What the system showed when it was read, and must still show.
    pub fn expects(&self) -> Option<&'r L> {
        self.expects
    }

    /// What this write finds in a system that shows this now.
    pub fn found(&self, shown: Option<&L>) -> Found
    where
        L: PartialEq,
    {
        if shown == self.expects {
            Found::AsExpected
        } else if shown == self.value.as_ref() {
            Found::AlreadyWritten
        } else {
            Found::MovedOn
        }
    }
}

impl<'a, T> FieldPlan<'a, T> {
    /// The same plan, which asks a person ([`Question::Poorer`]) before it replaces a
    /// value that a system holds in a richer form than the others can
    /// ([`Reading::is_richer`], for each system).
    ///
    /// For forms that lose what people want back: cut texts, rounded amounts. A form
    /// that only spells the same value differently, as telephones with blanks in them,
    /// needs no question.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{
    ///     Base, FieldPlan, Question, Rule, Slot, Verdict,
    /// };
    ///
    /// // The CRM holds "Agenda: tea, cake", and the ERP the first 6 characters of it,
    /// // where somebody has corrected the first one.
    /// let (crm, erp) = (Slot::Value("Agenda"), Slot::Value("agenda"));
    /// let (slots, base) = ([&crm, &erp], Base::Known(Some("Agenda")));
    /// let plan = FieldPlan::new(Rule::Shared, &slots, &base);
    /// assert_eq!(plan.verdict(), Verdict::Write(1));
    /// let asks = plan.unless_poorer([true, false]);
    /// assert_eq!(asks.verdict(), Verdict::Ask(Question::Poorer));
    /// assert_eq!(plan.unless_poorer([false, true]).verdict(), Verdict::Write(1));
    /// ```
    #[must_use = "this gives the careful plan back"]
    pub fn unless_poorer(self, is_richer: impl IntoIterator<Item = bool>) -> Self
    where
        T: PartialEq,
    {
        let mut richer = is_richer.into_iter().enumerate().filter(|(_, richer)| *richer);
        self.by_rule(|plan| {
            let is_written = |place| plan.writes().any(|write| write.to() == place);
            match richer.any(|(place, _)| is_written(place)) {
                true => plan.with(Verdict::Ask(Question::Poorer)),
                false => plan,
            }
        })
    }
}
