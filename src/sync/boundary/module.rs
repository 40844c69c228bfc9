//! The module that a declaration becomes.

/// Makes the module of [`boundary!`](crate::boundary) from a declaration that was read;
/// the letters are those of the reading, and those of an excluded field begin with an
/// `x`.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_module {
    (@module [$(#[$m:meta])*] [$vis:vis] $b:ident [$({$s:ident $snapshot:ident})+]
        [$({$f:ident ($t:ty) [$($attribute:tt)*] $(of $owner:ident $o:ident)? $(is $kind:ident)?})*]
        [$({$xf:ident ($xt:ty) [$($xattribute:tt)*]})*]) => {
        $(#[$m])*
        #[allow(dead_code, missing_docs, unreachable_pub)]
        $vis mod $b {
            use super::*;

            /// A type for each field, for the compiler to name.
            #[allow(non_camel_case_types)]
            pub mod field {
                $(#[derive(Debug)] pub enum $f {})*
                $(#[derive(Debug)] pub enum $xf {})*
            }

            /// The systems, in the order of the declaration.
            pub const SYSTEMS: &[&str] = &[$(<$s as $crate::sync::System>::NAME),+];

            const _: () = assert!(
                $crate::__private::are_distinct(SYSTEMS),
                "a boundary is between different systems, and two of its parties have \
                 the same NAME, or one has none"
            );

            type Parties = $crate::__boundary_module!(@list $($s)+);

            /// What one system says about one record.
            pub struct Snapshot<S> {
                $($($attribute)* pub $f: $crate::sync::Slot<$t>,)*
                __system: ::core::marker::PhantomData<fn() -> S>,
            }

            impl<S: $crate::sync::System> ::core::fmt::Debug for Snapshot<S> {
                /// The system; never the values, which may be what no log should hold.
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct("Snapshot").field("system", &S::NAME).finish_non_exhaustive()
                }
            }

            impl<S: $crate::sync::System> Snapshot<S> {
                /// A snapshot in which nothing was read yet.
                pub fn by<At>(_: &$crate::sync::Capability<S>) -> Self
                where
                    Parties: $crate::sync::declared::Includes<S, At>,
                {
                    Self { $($f: $crate::sync::Slot::Unread,)* __system: ::core::marker::PhantomData }
                }

                /// Takes over what the system itself changes.
                pub fn edit(&mut self, edit: Edit<S>) {
                    self.__take_over(edit);
                }

                /// Takes over what a person decided, and gives the decision back: for the
                /// audit, and for the next system.
                pub fn decide(
                    &mut self,
                    edit: Edit<$crate::sync::Steward>,
                ) -> ::core::option::Option<$crate::Decision> {
                    self.__take_over(edit)
                }

                fn __take_over<W>(&mut self, edit: Edit<W>) -> ::core::option::Option<$crate::Decision> {
                    $(if let Some(changed) = edit.$f { self.$f = changed; })*
                    edit.__decision
                }
            }

            /// A change that speaks for `S`.
            #[must_use = "an edit changes nothing before a snapshot takes it over"]
            pub struct Edit<S> {
                $($f: ::core::option::Option<$crate::sync::Slot<$t>>,)*
                __decision: ::core::option::Option<$crate::Decision>,
                __system: ::core::marker::PhantomData<fn() -> S>,
            }

            impl<S> ::core::fmt::Debug for Edit<S> {
                /// The decision, if it is one; never the values, which may be what no log
                /// should hold.
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct("Edit").field("decision", &self.__decision).finish_non_exhaustive()
                }
            }

            /// An edit that says what a person decided.
            pub fn decided(decision: $crate::Decision) -> Edit<$crate::sync::Steward> {
                Edit { $($f: None,)* __decision: Some(decision), __system: ::core::marker::PhantomData }
            }

            /// An edit that speaks for the system whose capability it is.
            pub fn edit<S, At>(_: &$crate::sync::Capability<S>) -> Edit<S>
            where
                S: $crate::sync::System,
                Parties: $crate::sync::declared::Includes<S, At>,
            {
                Edit { $($f: None,)* __decision: None, __system: ::core::marker::PhantomData }
            }

            impl<S> Edit<S> {
                $(
                    $($attribute)*
                    pub fn $f(mut self, value: impl $crate::sync::declared::IntoSlot<$t>) -> Self
                    where
                        $(S: $crate::sync::declared::MayWrite<$owner, field::$f, $crate::sync::declared::$o>,)?
                        $(S: $crate::sync::declared::MayDecide<field::$f, $crate::sync::declared::$kind>,)?
                    {
                        self.$f = Some(value.into_slot());
                        self
                    }
                )*
                $(
                    $($xattribute)*
                    pub fn $xf(self, _: impl $crate::sync::declared::IntoSlot<$xt>) -> Self
                    where
                        S: $crate::sync::declared::MayWriteExcluded<field::$xf>,
                    {
                        self
                    }
                )*
            }

            /// What the systems last agreed on.
            #[derive(Debug, Clone, PartialEq, Default)]
            pub struct Agreed {
                $($($attribute)* pub $f: $crate::sync::Base<$t>,)*
            }

            /// What people answered to the questions of a plan: what permits the writes
            /// that no program may make.
            #[derive(Default)]
            pub struct Answers {
                $($($attribute)* pub $f: ::core::option::Option<$crate::sync::Answer<$t>>,)*
            }

            impl ::core::fmt::Debug for Answers {
                /// Never the values, which may be what no log should hold.
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct("Answers").finish_non_exhaustive()
                }
            }

            /// What is to be written to one system, made by a plan alone.
            pub struct Changes<'a, S> {
                $($($attribute)* pub $f: ::core::option::Option<$crate::sync::Write<'a, $t>>,)*
                __system: ::core::marker::PhantomData<fn() -> S>,
            }

            impl<S> ::core::fmt::Debug for Changes<'_, S> {
                /// Never the values, which may be what no log should hold.
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct("Changes").finish_non_exhaustive()
                }
            }

            impl<S> Changes<'_, S> {
                /// Whether there is nothing to write.
                pub fn is_empty(&self) -> bool {
                    true $(&& self.$f.is_none())*
                }

                /// What the changes find in a system that shows this: one that has moved
                /// on gets none of them.
                pub fn found_in(&self, now: &Snapshot<S>) -> $crate::sync::Found {
                    $crate::__private::found_all(&[$($crate::__private::found(&self.$f, &now.$f)),*])
                }
            }

            /// Where a system keeps its records: what carries out the changes to one of
            /// them.
            #[diagnostic::on_unimplemented(
                message = "`{Self}` is not where `{S}` keeps its records",
                label = "wanted a `Store<{S}>`: one for each system, in the order of \
                         the declaration"
            )]
            pub trait Store<S> {
                /// Why the system could not be reached, or would not write.
                type Error: Into<::std::boxed::Box<dyn ::core::error::Error + Send + Sync>>;

                /// Makes all of the changes, or none where the system has moved on from
                /// what one of them expects; in one step with the check (a transaction,
                /// an `If-Match` header, a lock).
                ///
                /// # Errors
                ///
                /// Whatever keeps the system from answering.
                fn write(
                    &mut self,
                    changes: &Changes<'_, S>,
                ) -> ::core::result::Result<$crate::sync::Found, Self::Error>;
            }

            /// A snapshot is a store in memory: for tests, and to see what a plan would
            /// come to.
            impl<S> Store<S> for Snapshot<S> {
                type Error = ::core::convert::Infallible;

                fn write(
                    &mut self,
                    changes: &Changes<'_, S>,
                ) -> ::core::result::Result<$crate::sync::Found, Self::Error> {
                    let found = changes.found_in(self);
                    if found == $crate::sync::Found::AsExpected {
                        $($crate::__private::make(&changes.$f, &mut self.$f);)*
                    }
                    Ok(found)
                }
            }

            /// What is to be done, field by field.
            #[derive(Debug)]
            #[must_use = "a plan writes nothing itself"]
            pub struct Plan<'a> {
                $($($attribute)* pub $f: $crate::sync::declared::Entry<
                    'a, $t,
                    $($crate::sync::declared::Owned<$crate::sync::declared::$o>)? $($crate::sync::declared::$kind)?,
                    { SYSTEMS.len() }
                >,)*
            }

            impl Plan<'_> {
                /// What is to be done, by field: none is left out.
                pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, $crate::sync::Verdict)> {
                    [$((const { $crate::__private::name(stringify!($f)) }, self.$f.verdict())),*].into_iter()
                }

                /// What is asked, as rows of a review queue, with values in a form that
                /// all fields share.
                pub fn reviews<V>(&self, record_id: &str) -> ::std::vec::Vec<$crate::sync::Review<V>>
                where
                    $($t: Into<V>,)*
                {
                    let systems = || SYSTEMS.iter().copied();
                    [$(self.$f.review(record_id, $crate::__private::name(stringify!($f)), systems())
                        .map(|row| row.map(|value| value.clone().into()))),*].into_iter().flatten().collect()
                }

                /// What the systems agree on once the plan is carried out.
                pub fn next(&self) -> Agreed {
                    Agreed { $($f: self.$f.next_base(),)* }
                }

                /// What is to be written to one system, for its connector to carry out:
                /// for stores that [`Store`] does not suit, because they are
                /// asynchronous, or take many records at once.
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
                    self.__fits(answers)?;
                    Ok(self.__changes(answers, $crate::__private::place::<Parties, S, At>()))
                }

                fn __fits(&self, answers: &Answers) -> ::core::result::Result<(), $crate::sync::ApplyError> {
                    $(if let Some(cause) = $crate::__private::misfit(&self.$f, answers.$f.as_ref()) {
                        let field = $crate::__private::name(stringify!($f));
                        return Err($crate::sync::ApplyError::Answer { field, cause });
                    })*
                    Ok(())
                }

                fn __changes<'p, S>(&'p self, answers: &'p Answers, to: usize) -> Changes<'p, S> {
                    Changes {
                        $($f: $crate::__private::change(&self.$f, answers.$f.as_ref(), to),)*
                        __system: ::core::marker::PhantomData,
                    }
                }

                /// Carries out the plan, with what people answered: the changes to each
                /// system, in the order of the declaration, each system's all or none.
                ///
                /// # Errors
                ///
                /// Where an answer does not fit the plan, before anything is written; and
                /// where a store fails, after what was written before it. The answers
                /// come back: plan again.
                pub fn apply(
                    self,
                    answers: Answers,
                    $($snapshot: &mut impl Store<$s>,)+
                ) -> ::core::result::Result<
                    $crate::sync::Carried<Agreed>,
                    $crate::Refused<Answers, $crate::sync::ApplyError>,
                > {
                    if let Err(cause) = self.__fits(&answers) {
                        return Err($crate::__private::refuse(answers, cause));
                    }
                    let (mut places, mut moved_on) = (::std::vec::Vec::new(), ::std::vec::Vec::new());
                    let mut systems = SYSTEMS.iter().copied().enumerate();
                    $(if let Some((to, system)) = systems.next() {
                        let changes = self.__changes::<$s>(&answers, to);
                        if !changes.is_empty() {
                            match Store::<$s>::write($snapshot, &changes) {
                                Ok($crate::sync::Found::MovedOn) => {
                                    places.push(to);
                                    moved_on.push(system);
                                }
                                Ok(_) => {}
                                Err(error) => {
                                    let cause = $crate::sync::ApplyError::Store { system, cause: error.into() };
                                    return Err($crate::__private::refuse(answers, cause));
                                }
                            }
                        }
                    })+
                    let agreed = Agreed { $($f: $crate::__private::base_after(&self.$f, answers.$f.as_ref(), &places),)* };
                    Ok($crate::__private::carried(agreed, moved_on))
                }
            }

            $crate::__boundary_module! { @reconcile [$({$s $snapshot})+] [$({$f (
                $($crate::sync::Rule::Owner(
                    $crate::__private::place::<Parties, $owner, _>(), $crate::sync::NonOwnerEdits::$o))?
                $($crate::sync::Rule::$kind)?
            )})*] }

            /// The same contract as data.
            ///
            /// # Errors
            ///
            /// Where two systems have one name, or a name is empty.
            pub fn contract() -> ::core::result::Result<
                $crate::sync::Contract,
                $crate::Refused<$crate::sync::ContractBuilder, $crate::sync::ContractError>,
            > {
                let mut builder = $crate::sync::Contract::builder(stringify!($b));
                for system in SYSTEMS {
                    builder = builder.system(*system);
                }
                $(
                    let field = $crate::__private::name(stringify!($f));
                    $(builder = builder
                        .field(field, $crate::sync::Authority::system(<$owner as $crate::sync::System>::NAME))
                        .non_owner_edits_for(field, $crate::sync::NonOwnerEdits::$o);)?
                    $(builder = builder.field(field, $crate::sync::Authority::$kind);)?
                )*
                $(builder = builder.excluded($crate::__private::name(stringify!($xf)));)*
                builder.build()
            }
        }
    };
    (@list) => { () };
    (@list $s:ident $($rest:ident)*) => { ($s, $crate::__boundary_module!(@list $($rest)*)) };
    (@reconcile $s:tt [$($field:tt)*]) => { $crate::__boundary_module! { @reconcile_all $s [$({$s $field})*] } };
    (@reconcile_all [$({$s:ident $snapshot:ident})+] [$({$ss:tt {$f:ident ($rule:expr)}})*]) => {
        /// Plans one record: what each system says, in the order of the declaration, and
        /// what they last agreed on.
        pub fn reconcile<'a>($($snapshot: &'a Snapshot<$s>,)+ agreed: &'a Agreed) -> Plan<'a> {
            Plan { $($f: $crate::__private::entry($rule, $crate::__boundary_module!(@slots $f $ss), &agreed.$f),)* }
        }
    };
    (@slots $f:ident [$({$s:ident $snapshot:ident})+]) => { [$(&$snapshot.$f),+] };
}
