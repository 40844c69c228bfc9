//! What the plan of a declared boundary writes to one system, and where.

/// Makes `Writes`, `Changes`, `Store` and `Taken`.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_written {
    ([$({$f:ident ($t:ty) [$($attribute:tt)*]})*]) => {
        /// What is to be written to each field of one record in one system.
        pub struct Writes<'a> {
            $($($attribute)* pub $f: ::core::option::Option<$crate::sync::Write<'a, $t>>,)*
        }

        impl ::core::fmt::Debug for Writes<'_> {
            /// Never the values, which may be what no log should hold.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Writes").finish_non_exhaustive()
            }
        }

        impl<'a> Writes<'a> {
            $crate::__boundary_walk! { [$({$f (::core::option::Option<$crate::sync::Write<'a, $t>>)})*] }

            /// Whether there is nothing to write.
            pub fn is_empty(&self) -> bool {
                let mut writes = $crate::__private::AnyWrite(false);
                self.each(&mut writes);
                !writes.0
            }
        }

        /// What is to be written to one system: [`Writes`], which only a plan makes.
        pub struct Changes<'a, S> {
            writes: Writes<'a>,
            record: ::core::option::Option<&'a str>,
            kept: ::core::option::Option<&'a KeptForms>,
            system: ::core::marker::PhantomData<fn() -> S>,
        }

        impl<S> ::core::fmt::Debug for Changes<'_, S> {
            /// Never the values, which may be what no log should hold.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Changes").finish_non_exhaustive()
            }
        }

        impl<'a, S> ::core::ops::Deref for Changes<'a, S> {
            type Target = Writes<'a>;

            fn deref(&self) -> &Writes<'a> {
                &self.writes
            }
        }

        impl<'a, S> Changes<'a, S> {
            /// The record that the changes are about, if the plan was told: a store that
            /// keeps another one writes nothing.
            pub fn record(&self) -> ::core::option::Option<&'a str> {
                self.record
            }

            /// What the changes find in a system that shows this: one that has moved on
            /// gets none of them. A form that the system kept of an earlier write, and by
            /// which its snapshot was read, is what they expect.
            pub fn found_in(&self, now: &Snapshot<S>) -> $crate::sync::Found {
                let mut found = $crate::sync::Found::AlreadyWritten;
                $($crate::__private::find::<field::$f, $t>(&mut found, &self.writes.$f, &now.0.$f, self.kept.map(|kept| &kept.$f));)*
                found
            }
        }

        /// Where a system keeps its records: what carries out the changes to one of them.
        ///
        /// A store is one system's, which its type says.
        pub trait Store {
            /// The system.
            type System;
            /// Why the system could not be reached, or would not write.
            type Error: ::core::convert::Into<::std::boxed::Box<
                dyn ::core::error::Error + ::core::marker::Send + ::core::marker::Sync>>;

            /// Makes all of the changes, or none where the system has moved on from what
            /// one of them expects; in one step with the check (a transaction, an
            /// `If-Match` header, a lock).
            ///
            /// What the system refuses of them, or keeps in a form of its own, is no error:
            /// see [`Taken`].
            ///
            /// # Errors
            ///
            /// Whatever keeps the system from answering.
            fn write(
                &mut self,
                changes: &Changes<'_, Self::System>,
            ) -> ::core::result::Result<Taken, Self::Error>;
        }

        /// What a system says to its changes: what they found, what it refused of them, in
        /// its words, and what it holds instead of what it was given. It has taken the
        /// rest as it was given.
        #[derive(::core::fmt::Debug)]
        pub struct Taken {
            /// What the changes found.
            pub found: $crate::sync::Found,
            /// What the system refused.
            pub refused: Refusals,
            /// What it holds in a form of its own: cut, rounded, trimmed.
            pub kept: KeptForms,
        }

        impl ::core::convert::From<$crate::sync::Found> for Taken {
            /// Nothing was refused, and all is kept as it was given.
            fn from(found: $crate::sync::Found) -> Self {
                Self {
                    found,
                    refused: <Refusals as ::core::default::Default>::default(),
                    kept: <KeptForms as ::core::default::Default>::default(),
                }
            }
        }

        /// A snapshot is a store in memory: for tests, and to see what a plan would come
        /// to.
        impl<S> Store for Snapshot<S> {
            type System = S;
            type Error = ::core::convert::Infallible;

            fn write(
                &mut self,
                changes: &Changes<'_, S>,
            ) -> ::core::result::Result<Taken, Self::Error> {
                let found = changes.found_in(self);
                if found == $crate::sync::Found::AsExpected {
                    $($crate::__private::make::<field::$f, $t>(&changes.writes.$f, &mut self.0.$f);)*
                }
                ::core::result::Result::Ok(::core::convert::Into::into(found))
            }
        }
    };
}
