//! The plan of a declared boundary, what people answered, and how it is carried out.

/// Makes `Entries`, `Plan`, `Conflicts` and `Answers`.
///
/// A plan shows its entries by reference alone, so that none can be put in another's
/// place.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_plan {
    ([$({$s:ident $snapshot:ident})+] [$({$f:ident ($t:ty) [$($attribute:tt)*] [$kind:ty]})*]) => {
        /// What is to be done about each field.
        pub struct Entries<'a> {
            $($($attribute)* pub $f: $crate::sync::declared::Entry<
                'a, field::$f, $t, $kind, { SYSTEMS.len() }>,)*
        }

        impl ::core::fmt::Debug for Entries<'_> {
            /// The verdicts, by field.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_map().entries(self.verdicts()).finish()
            }
        }

        impl Entries<'_> {
            /// What is to be done, by field: none is left out.
            pub fn verdicts(
                &self,
            ) -> impl ::core::iter::Iterator<Item = (&'static str, $crate::sync::Verdict)> {
                let mut verdicts = $crate::__private::Verdicts::nothing();
                self.each(&mut verdicts);
                verdicts.listed()
            }

            /// Visits the plan of each field, in the order of the declaration.
            pub fn each<'item, V>(&'item self, visitor: &mut V)
            where
                V: ?::core::marker::Sized
                    $(+ $crate::sync::declared::Visit<$crate::sync::FieldPlan<'item, $t>>)*,
            {
                $(<V as $crate::sync::declared::Visit<$crate::sync::FieldPlan<'item, $t>>>::visit(
                    visitor,
                    field::$f::NAME,
                    $crate::__private::plan(&self.$f),
                );)*
            }

            /// Visits what is asked, as rows of a review queue. A `Vec<Review<V>>` takes
            /// the rows of all fields whose types go into a `V`.
            pub fn reviews<V>(&self, record_id: &str, visitor: &mut V)
            where
                $(for<'value> $t: ::core::clone::Clone,)*
                V: ?::core::marker::Sized
                    $(+ $crate::sync::declared::Visit<$crate::sync::Review<$t>>)*,
            {
                self.each(&mut $crate::__private::Asking::new(record_id, SYSTEMS, visitor));
            }
        }

        /// What is to be done about one record: [`Entries`], which nobody can exchange.
        #[derive(::core::fmt::Debug)]
        #[must_use = "a plan writes nothing itself"]
        pub struct Plan<'a>(Entries<'a>);

        impl<'a> ::core::ops::Deref for Plan<'a> {
            type Target = Entries<'a>;

            fn deref(&self) -> &Entries<'a> {
                &self.0
            }
        }

        /// The conflicts of a plan, for declared rules to settle.
        pub struct Conflicts<'p, 'a> {
            $($($attribute)* pub $f: $crate::sync::declared::Conflict<
                'p, 'a, field::$f, $t, $kind, { SYSTEMS.len() }>,)*
        }

        impl ::core::fmt::Debug for Conflicts<'_, '_> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Conflicts").finish_non_exhaustive()
            }
        }

        /// What people answered to the questions of a plan: what permits the writes that
        /// no program may make.
        pub struct Answers {
            $($($attribute)* pub $f: ::core::option::Option<$crate::sync::Answer<$t>>,)*
        }

        impl ::core::default::Default for Answers {
            fn default() -> Self {
                Self { $($f: ::core::option::Option::None,)* }
            }
        }

        $crate::__boundary_stored! { Answers [$({$f (::core::option::Option<$crate::sync::Answer<$t>>)
            ($t)})*] }

        impl ::core::fmt::Debug for Answers {
            /// Never the values, which may be what no log should hold.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Answers").finish_non_exhaustive()
            }
        }

        impl Answers {
            $crate::__boundary_walk! { [$({$f (::core::option::Option<$crate::sync::Answer<$t>>)})*] }

            /// Visits each field, in the order of the declaration, to fill in its answer.
            pub fn each_mut<'item, V>(&'item mut self, visitor: &mut V)
            where
                V: ?::core::marker::Sized $(+ $crate::sync::declared::Visit<
                    &'item mut ::core::option::Option<$crate::sync::Answer<$t>>>)*,
            {
                $($crate::sync::declared::Visit::visit(
                    visitor, field::$f::NAME, &mut self.$f);)*
            }
        }

        impl<'a> Plan<'a>
        where
            $(for<'value> $t: $crate::sync::declared::FieldValue,)*
        {
            /// The conflicts, for declared rules to settle: `prefer` a system, `merge`
            /// the edits.
            pub fn conflicts(&mut self) -> Conflicts<'_, 'a> {
                Conflicts { $($f: $crate::__private::conflict(&mut self.0.$f),)* }
            }

            /// What the systems agree on once the plan is carried out.
            pub fn next(&self) -> Agreed {
                Agreed { $($f: $crate::__private::plan(&self.0.$f).next_base(),)* }
            }

            /// What the systems agree on once the [`changes`](Self::changes) are carried
            /// out, but for the systems of these names, which have moved on.
            ///
            /// # Errors
            ///
            /// Where an answer does not fit the plan.
            pub fn next_after(
                &self,
                answers: &Answers,
                moved_on: &[&str],
            ) -> ::core::result::Result<Agreed, $crate::sync::ApplyError> {
                self.fits(answers)?;
                ::core::result::Result::Ok(
                    self.agreed_after(answers, &$crate::__private::places(SYSTEMS, moved_on)))
            }

            /// What is to be written to one system, for its connector to carry out: for
            /// stores that [`Store`] does not suit, because they are asynchronous, or
            /// take many records at once.
            ///
            /// # Errors
            ///
            /// Where an answer does not fit the plan.
            pub fn changes<'p, S, At>(
                &'p self,
                _: &$crate::sync::Capability<S>,
                answers: &'p Answers,
            ) -> ::core::result::Result<Changes<'p, S>, $crate::sync::ApplyError>
            where
                S: $crate::sync::System,
                Parties: $crate::sync::declared::Includes<S, At>,
            {
                self.fits(answers)?;
                let to = $crate::__private::place::<Parties, S, At>();
                ::core::result::Result::Ok(self.changes_to(answers, to))
            }

            /// Carries out the plan, with what people answered: the changes to each
            /// system, in the order of the declaration, each system's all or none.
            ///
            /// # Errors
            ///
            /// Where an answer does not fit the plan, before anything is written; and
            /// where a store fails, after what was written before it. The answers come
            /// back: plan again.
            pub fn apply(
                self,
                answers: Answers,
                $($snapshot: &mut (impl Store<System: $crate::sync::declared::Itself<$s>>
                    + ?::core::marker::Sized),)+
            ) -> ::core::result::Result<
                $crate::sync::Carried<Agreed>,
                $crate::Refused<Answers, $crate::sync::ApplyError>,
            > {
                if let ::core::result::Result::Err(cause) = self.fits(&answers) {
                    return ::core::result::Result::Err($crate::__private::refuse(answers, cause));
                }
                let (mut next, mut moved_on) = (0_usize, ::std::vec::Vec::new());
                $(
                    let to = $crate::__private::count(&mut next);
                    match self.carry_out(&answers, to, $snapshot) {
                        ::core::result::Result::Ok($crate::sync::Found::MovedOn) => moved_on.push(to),
                        ::core::result::Result::Ok(_) => {}
                        ::core::result::Result::Err(cause) => {
                            let system = <$s as $crate::sync::System>::NAME;
                            let cause = $crate::sync::ApplyError::Store { system, cause };
                            return ::core::result::Result::Err($crate::__private::refuse(answers, cause));
                        }
                    }
                )+
                let agreed = self.agreed_after(&answers, &moved_on);
                ::core::result::Result::Ok($crate::__private::carried(agreed, SYSTEMS, &moved_on))
            }

            fn carry_out<K: Store + ?::core::marker::Sized>(
                &self,
                answers: &Answers,
                to: usize,
                store: &mut K,
            ) -> ::core::result::Result<$crate::sync::Found, $crate::__private::Cause> {
                let changes = self.changes_to(answers, to);
                if changes.is_empty() {
                    return ::core::result::Result::Ok($crate::sync::Found::AlreadyWritten);
                }
                store.write(&changes).map_err(::core::convert::Into::into)
            }

            fn fits(&self, answers: &Answers) -> ::core::result::Result<(), $crate::sync::ApplyError> {
                $(if let ::core::option::Option::Some(cause) =
                    $crate::__private::misfit(&self.0.$f, ::core::option::Option::as_ref(&answers.$f))
                {
                    let field = field::$f::NAME;
                    return ::core::result::Result::Err($crate::sync::ApplyError::Answer { field, cause });
                })*
                ::core::result::Result::Ok(())
            }

            fn changes_to<'p, S>(&'p self, answers: &'p Answers, to: usize) -> Changes<'p, S> {
                let writes = Writes {
                    $($f: $crate::__private::change(&self.0.$f, ::core::option::Option::as_ref(&answers.$f), to),)*
                };
                Changes(writes, ::core::marker::PhantomData)
            }

            fn agreed_after(&self, answers: &Answers, moved_on: &[usize]) -> Agreed {
                Agreed { $($f: $crate::__private::base_after(&self.0.$f, ::core::option::Option::as_ref(&answers.$f), moved_on),)* }
            }
        }
    };
}

/// Makes `Writes`, `Changes` and `Store`.
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
                true $(&& ::core::option::Option::is_none(&self.$f))*
            }
        }

        /// What is to be written to one system: [`Writes`], made by a plan alone.
        pub struct Changes<'a, S>(Writes<'a>, ::core::marker::PhantomData<fn() -> S>);

        impl<S> ::core::fmt::Debug for Changes<'_, S> {
            /// Never the values, which may be what no log should hold.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Changes").finish_non_exhaustive()
            }
        }

        impl<'a, S> ::core::ops::Deref for Changes<'a, S> {
            type Target = Writes<'a>;

            fn deref(&self) -> &Writes<'a> {
                &self.0
            }
        }

        impl<S> Changes<'_, S>
        where
            $(for<'value> $t: $crate::sync::declared::FieldValue,)*
        {
            /// What the changes find in a system that shows this: one that has moved on
            /// gets none of them.
            pub fn found_in(&self, now: &Snapshot<S>) -> $crate::sync::Found {
                $crate::__private::found_all(&[$($crate::__private::found(&self.0.$f, &now.0.$f)),*])
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
            /// # Errors
            ///
            /// Whatever keeps the system from answering.
            fn write(
                &mut self,
                changes: &Changes<'_, Self::System>,
            ) -> ::core::result::Result<$crate::sync::Found, Self::Error>;
        }

        /// A snapshot is a store in memory: for tests, and to see what a plan would come
        /// to.
        impl<S> Store for Snapshot<S>
        where
            $(for<'value> $t: $crate::sync::declared::FieldValue,)*
        {
            type System = S;
            type Error = ::core::convert::Infallible;

            fn write(
                &mut self,
                changes: &Changes<'_, S>,
            ) -> ::core::result::Result<$crate::sync::Found, Self::Error> {
                let found = changes.found_in(self);
                if found == $crate::sync::Found::AsExpected {
                    $($crate::__private::make(&changes.0.$f, &mut self.0.$f);)*
                }
                ::core::result::Result::Ok(found)
            }
        }
    };
}
