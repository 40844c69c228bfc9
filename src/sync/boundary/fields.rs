//! The structs of a boundary that hold one item for each field: their traits, the walk
//! over them, and their stored form.

/// Makes a struct that holds a [`Slot`](crate::sync::Slot), a
/// [`Base`](crate::sync::Base) or the like for each field, with its traits and its
/// walk.
///
/// The compiler checks a bound `for<'value> T: Clone` on a known type only where it is
/// used: until then, a field's type needs no trait.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_fields {
    ($(#[$m:meta])* $name:ident of $of:ident [$({$f:ident ($t:ty) [$($attribute:tt)*]})*]) => {
        $(#[$m])*
        pub struct $name {
            $($($attribute)* pub $f: $crate::sync::$of<$t>,)*
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($f: ::core::default::Default::default(),)* }
            }
        }

        impl ::core::clone::Clone for $name
        where
            $(for<'value> $t: ::core::clone::Clone,)*
        {
            fn clone(&self) -> Self {
                Self { $($f: ::core::clone::Clone::clone(&self.$f),)* }
            }
        }

        impl ::core::cmp::PartialEq for $name
        where
            $(for<'value> $t: ::core::cmp::PartialEq,)*
        {
            fn eq(&self, other: &Self) -> bool {
                true $(&& self.$f == other.$f)*
            }
        }

        impl ::core::fmt::Debug for $name {
            /// Never the values, which may be what no log should hold.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(::core::stringify!($name)).finish_non_exhaustive()
            }
        }

        impl $name {
            $crate::__boundary_walk! { [$({$f ($crate::sync::$of<$t>)})*] }

            /// Visits each field, in the order of the declaration, to fill it.
            pub fn each_mut<'item, V>(&'item mut self, visitor: &mut V)
            where
                V: ?::core::marker::Sized
                    $(+ $crate::sync::declared::Visit<&'item mut $crate::sync::$of<$t>>)*,
            {
                $(<V as $crate::sync::declared::Visit<&'item mut $crate::sync::$of<$t>>>::visit(
                    visitor, field::$f::NAME, &mut self.$f);)*
            }
        }

        $crate::__boundary_stored! { $name [$({$f ($t)})*] }
    };
}

/// Makes the walk over a struct with one item for each field.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_walk {
    ([$({$f:ident ($item:ty)})*]) => {
        /// Visits each field, in the order of the declaration.
        pub fn each<'item, V>(&'item self, visitor: &mut V)
        where
            V: ?::core::marker::Sized $(+ $crate::sync::declared::Visit<&'item $item>)*,
        {
            $(<V as $crate::sync::declared::Visit<&'item $item>>::visit(
                visitor, field::$f::NAME, &self.$f);)*
        }
    };
}

/// Makes the stored form of a struct with one item for each field, if the fields' types
/// have one.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_stored {
    ($name:ident [$({$f:ident ($t:ty)})*]) => {
        impl $crate::__private::serde::Serialize for $name
        where
            $(for<'value> $t: $crate::__private::serde::Serialize,)*
        {
            fn serialize<Z: $crate::__private::serde::Serializer>(
                &self,
                serializer: Z,
            ) -> ::core::result::Result<Z::Ok, Z::Error> {
                const COUNT: usize = [$(field::$f::NAME),*].len();
                let mut writing = $crate::__private::stored::Writing::begin(
                    serializer, COUNT, SYSTEMS);
                self.each(&mut writing);
                writing.end()
            }
        }

        impl<'de> $crate::__private::stored::Stored<'de> for $name
        where
            $($t: $crate::__private::serde::Deserialize<'de>,)*
        {
            const FIELDS: &'static [&'static str] = &[$(field::$f::NAME),*];
            const PARTIES: &'static [&'static str] = SYSTEMS;

            fn walk<Z: $crate::__private::serde::de::MapAccess<'de>>(
                &mut self,
                reading: &mut $crate::__private::stored::Reading<'_, 'de, Z>,
            ) {
                self.each_mut(reading);
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name
        where
            $($t: $crate::__private::serde::Deserialize<'de>,)*
        {
            fn deserialize<Z: $crate::__private::serde::Deserializer<'de>>(
                deserializer: Z,
            ) -> ::core::result::Result<Self, Z::Error> {
                $crate::__private::stored::read(deserializer)
            }
        }
    };
}

/// Without the feature `serde` nothing is stored.
#[cfg(not(feature = "serde"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_stored {
    ($($nothing:tt)*) => {};
}
