//! What one system says about a field, and what all of them last agreed on.

/// What one system says about one field of one record.
///
/// A field that a system did not send and an empty field are two different things:
/// nothing follows from the first. A field that a system does not have at all is a
/// third: no plan waits for it.
///
/// ```
/// use integration_automation_patterns::sync::Slot;
///
/// assert_eq!(Slot::<u8>::default(), Slot::Unread);
/// assert_eq!(Slot::from(None::<u8>), Slot::Empty);
/// assert_eq!(Slot::from(Some(7)), Slot::Value(7));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Slot<T> {
    /// The system did not say.
    #[default]
    Unread,
    /// The system has no such field: it is left out, as if it were no party. Where a
    /// system only did not say, the common state waits for it.
    Unsupported,
    /// The system says that the field is empty.
    Empty,
    /// The system says this.
    Value(T),
}

impl<T> Slot<T> {
    /// What the system says that the field holds; `None` if it says nothing.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Content, Slot};
    ///
    /// assert_eq!(Slot::<u8>::Unread.read(), None);
    /// assert_eq!(Slot::<u8>::Empty.read(), Some(Content::Empty));
    /// assert_eq!(Slot::Value(7).read(), Some(Content::Value(&7)));
    /// ```
    #[inline]
    pub fn read(&self) -> Option<Content<&T>> {
        match self {
            Self::Unread | Self::Unsupported => None,
            Self::Empty => Some(Content::Empty),
            Self::Value(value) => Some(Content::Value(value)),
        }
    }

    /// The value, if the system says one.
    ///
    /// ```
    /// use integration_automation_patterns::sync::Slot;
    ///
    /// assert_eq!(Slot::Value(7).value(), Some(&7));
    /// assert_eq!(Slot::<u8>::Empty.value(), None);
    /// ```
    #[inline]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unread | Self::Unsupported | Self::Empty => None,
        }
    }

    /// The same of another type, by a conversion.
    ///
    /// ```
    /// use integration_automation_patterns::sync::Slot;
    ///
    /// assert_eq!(Slot::Value("7").map(str::len), Slot::Value(1));
    /// assert_eq!(Slot::<&str>::Empty.map(str::len), Slot::Empty);
    /// ```
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Slot<U> {
        match self {
            Self::Unread => Slot::Unread,
            Self::Unsupported => Slot::Unsupported,
            Self::Empty => Slot::Empty,
            Self::Value(value) => Slot::Value(convert(value)),
        }
    }
}

impl<T> From<Option<T>> for Slot<T> {
    /// A field that was read: a value, or empty.
    fn from(read: Option<T>) -> Self {
        read.map_or(Self::Empty, Self::Value)
    }
}

/// What a field holds: a value, or nothing.
///
/// It is an [`Option`] under a name of its own, for where an `Option` around it says
/// whether anything is known at all.
///
/// ```
/// use integration_automation_patterns::sync::Content;
///
/// assert_eq!(Content::from(Some(7)), Content::Value(7));
/// assert_eq!(Content::<u8>::Empty.into_option(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content<T> {
    /// Nothing.
    Empty,
    /// This value.
    Value(T),
}

impl<T> Content<T> {
    /// The value, or `None` for an empty field.
    #[inline]
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Empty => None,
            Self::Value(value) => Some(value),
        }
    }

    /// The same, by reference.
    #[inline]
    pub fn as_ref(&self) -> Content<&T> {
        match self {
            Self::Empty => Content::Empty,
            Self::Value(value) => Content::Value(value),
        }
    }
}

impl<T> From<Option<T>> for Content<T> {
    /// `None` is an empty field.
    #[inline]
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Self::Value)
    }
}

/// The last state of a field that all systems had in common.
///
/// A first synchronisation is not the same as an agreement on nothing: on the first, an
/// owner's empty field clears nothing, and values that differ are nobody's edits. After
/// an agreement on nothing, a value is an edit.
///
/// ```
/// use integration_automation_patterns::sync::Base;
///
/// assert_eq!(Base::<u8>::default(), Base::Never);
/// assert_ne!(Base::<u8>::Never, Base::Known(None));
/// ```
#[doc(alias = "common ancestor")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Base<T> {
    /// The systems have not agreed yet.
    #[default]
    Never,
    /// They agreed on this: a value, or nothing in the field.
    Known(Option<T>),
}

impl<T: PartialEq> Base<T> {
    /// Whether what a system says is an edit made since.
    ///
    /// A field that was not read is no edit, and neither is an empty one on a first
    /// synchronisation.
    ///
    /// ```
    /// use integration_automation_patterns::sync::{Base, Slot};
    ///
    /// assert!(Base::Known(Some(7)).is_edited(&Slot::Empty), "cleared");
    /// assert!(!Base::Never.is_edited(&Slot::<u8>::Empty));
    /// assert!(!Base::Known(Some(7)).is_edited(&Slot::Unread));
    /// ```
    #[inline]
    pub fn is_edited(&self, slot: &Slot<T>) -> bool {
        match (slot, self) {
            (Slot::Unread | Slot::Unsupported, _)
            | (Slot::Empty, Self::Never | Self::Known(None)) => false,
            (Slot::Value(value), Self::Known(Some(agreed))) => value != agreed,
            (Slot::Empty, Self::Known(Some(_))) | (Slot::Value(_), _) => true,
        }
    }
}

/// What a field can be: a plan compares values with `Eq`, and clones what it writes.
///
/// Every such type implements it. Only bounds and errors name it.
// `Eq` stands at the implementation alone: as a supertrait, the compiler would ask for it
// beside this trait, and say so in words of its own. What is planned is compared with
// `PartialEq`, so that a declared field's type is asked for in one place.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a field: a plan compares values with `Eq`, \
               and clones them",
    label = "needs `#[derive(Clone, PartialEq, Eq)]`; a float has no `Eq`: take a type of \
             one precision, such as whole cents"
)]
pub trait FieldValue: PartialEq + Clone + sealed::Value {}

#[diagnostic::do_not_recommend]
impl<T: Eq + Clone> FieldValue for T {}

mod sealed {
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be called a field's value: whether it has `Eq` decides that",
        label = "needs `#[derive(Clone, PartialEq, Eq)]`, and nothing else"
    )]
    pub trait Value {}

    #[diagnostic::do_not_recommend]
    impl<T: Eq + Clone> Value for T {}
}
