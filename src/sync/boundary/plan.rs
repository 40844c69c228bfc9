//! The plan of a declared boundary, people's answers to it, and how it is carried out.

/// Makes `Entries`, `Plan`, `Rules` and `Answers`.
///
/// A plan shows its entries only by reference, so that nobody can exchange one for
/// another.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_plan {
    ([$({$s:ident $snapshot:ident})+] [$({$f:ident ($t:ty) [$($attribute:tt)*] [$kind:ty]})*]) => {
        // The number of systems stands here once: the compiler would compute it for each
        // field anew.
        /// The plan for one field.
        pub type EntryOf<'a, F, T, K> = $crate::sync::declared::Entry<'a, F, T, K, { SYSTEMS.len() }>;

        /// One field of a plan, for declared rules to settle.
        pub type RulesOf<'p, 'a, F, T, K> =
            $crate::sync::declared::FieldRules<'p, 'a, F, T, K, { SYSTEMS.len() }>;

        /// What is to be done about each field.
        pub struct Entries<'a> {
            $($($attribute)* pub $f: EntryOf<'a, field::$f, $t, $kind>,)*
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
                V: ?::core::marker::Sized
                    $(+ $crate::sync::declared::Visit<$crate::sync::Review<$t>>)*,
            {
                $($crate::__private::ask(
                    &self.$f, record_id, field::$f::NAME, SYSTEMS, visitor);)*
            }
        }

        /// What is to be done about one record: [`Entries`], which nobody can exchange.
        #[derive(::core::fmt::Debug)]
        #[must_use = "a plan writes nothing itself"]
        pub struct Plan<'a>(
            Entries<'a>,
            ::core::option::Option<&'a str>,
            // The forms of its own by which each system was read.
            [::core::option::Option<&'a KeptForms>; { SYSTEMS.len() }],
        );

        impl<'a> ::core::ops::Deref for Plan<'a> {
            type Target = Entries<'a>;

            fn deref(&self) -> &Entries<'a> {
                &self.0
            }
        }

        /// The fields of a plan, for declared rules to settle.
        pub struct Rules<'p, 'a> {
            $($($attribute)* pub $f: RulesOf<'p, 'a, field::$f, $t, $kind>,)*
        }

        impl ::core::fmt::Debug for Rules<'_, '_> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Rules").finish_non_exhaustive()
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

        $crate::__boundary_stored! { Answers [$({$f ($t)})*] }

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

        impl<'a> Plan<'a> {
            /// The same plan, with the record that it is for: what an answer must be about,
            /// and what a store can compare with the record that it keeps
            /// ([`Changes::record`]).
            pub fn about(self, record_id: &'a str) -> Self {
                Self(self.0, ::core::option::Option::Some(record_id), self.2)
            }

            /// The same plan, without what systems have refused before: as
            /// `FieldPlan::after_refusals`.
            pub fn after_refusals(mut self, refused: &'a Refusals) -> Self {
                $($crate::__private::leave_out(&mut self.0.$f, &refused.$f);)*
                self
            }

            /// The fields, for declared rules to settle: `prefer` a system, `merge`
            /// the edits.
            pub fn rules(&mut self) -> Rules<'_, 'a> {
                Rules { $($f: $crate::__private::rules(&mut self.0.$f),)* }
            }

            /// What is known in common once the plan is carried out.
            pub fn next(&self) -> Bases {
                self.bases_after(
                    &<Answers as ::core::default::Default>::default(),
                    &[],
                    &<Refusals as ::core::default::Default>::default(),
                )
            }

            /// What is known in common while the plan is carried out: what it writes is
            /// agreed, and no system is known to have it.
            ///
            /// Store it before [`apply`](Self::apply), and what `apply` gives after it:
            /// then a program that is killed between the two takes none of the plan's own
            /// writes for an edit, and planning again writes what is left. What an answer
            /// writes is not in it: a person is asked again if the program is killed
            /// among those writes.
            pub fn intent(&self) -> Bases {
                self.bases_after(
                    &<Answers as ::core::default::Default>::default(),
                    &$crate::__private::all_places(SYSTEMS),
                    &<Refusals as ::core::default::Default>::default(),
                )
            }

            /// What is known in common once the [`changes`](Self::changes) are carried
            /// out, except in the systems of these names, which failed or moved on, and
            /// except for what systems refused.
            ///
            /// # Errors
            ///
            /// Where an answer does not fit the plan, or a name is not a party's.
            pub fn next_after(
                &self,
                answers: &Answers,
                not_made: &[&str],
                refused: &Refusals,
            ) -> ::core::result::Result<Bases, $crate::sync::ApplyError> {
                self.fits(answers)?;
                let not_made = $crate::__private::places(SYSTEMS, not_made)?;
                ::core::result::Result::Ok(self.bases_after(answers, &not_made, refused))
            }

            /// What is to be written to one system, for its connector to carry out: for
            /// stores that [`Store`] does not suit, because they are asynchronous, or
            /// take many records at once.
            ///
            /// Carry out what [`apply`](Self::apply) does. If people have answered, make
            /// the [`checks`](Self::checks) of each system before the changes, and again
            /// after them; if a system has moved on, leave its answers out, or
            /// [take back](Self::take_back) what was written of them. Then
            /// [`next_after`](Self::next_after) has what to store.
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
                self.in_system(answers, |to| {
                    self.written(answers, to, $crate::__private::Step::Write)
                })
            }

            /// What one system must show before the changes, and again after them, where
            /// an answer leaves it as it is: above all, the chosen side. They write
            /// nothing.
            ///
            /// # Errors
            ///
            /// Where an answer does not fit the plan.
            pub fn checks<'p, S, At>(
                &'p self,
                _: &$crate::sync::Capability<S>,
                answers: &'p Answers,
            ) -> ::core::result::Result<Changes<'p, S>, $crate::sync::ApplyError>
            where
                S: $crate::sync::System,
                Parties: $crate::sync::declared::Includes<S, At>,
            {
                self.in_system(answers, |to| {
                    self.written(answers, to, $crate::__private::Step::Check)
                })
            }

            /// What takes the writes of these answers back from one system, in which they
            /// were made, and which holds what it kept.
            ///
            /// # Errors
            ///
            /// Where an answer does not fit the plan.
            pub fn take_back<'p, S, At>(
                &'p self,
                _: &$crate::sync::Capability<S>,
                answers: &'p Answers,
                kept: &'p KeptForms,
            ) -> ::core::result::Result<Changes<'p, S>, $crate::sync::ApplyError>
            where
                S: $crate::sync::System,
                Parties: $crate::sync::declared::Includes<S, At>,
            {
                let all = ::core::option::Option::None;
                self.in_system(answers, |to| self.taken_back(answers, to, kept, all))
            }

            /// Carries out the plan, with what people answered: the changes to each
            /// system, in the order of the declaration, all or none of each system's,
            /// except for what it refuses.
            ///
            /// An answer that does not fit, or for which a system no longer shows what
            /// the person saw, comes back by itself, before anything is written. If a
            /// system moves on meanwhile, what was written of the answer is taken back.
            ///
            /// # Errors
            ///
            /// If a store fails. What was written before stays. The answers and the
            /// progress come back: store them, and plan again.
            pub fn apply(
                self,
                answers: Answers,
                $($snapshot: &mut (impl Store<System: $crate::sync::declared::Itself<$s>>
                    + ?::core::marker::Sized),)+
            ) -> ::core::result::Result<
                $crate::sync::Carried<Bases, Answers, Refusals, KeptForms>,
                $crate::Refused<
                    $crate::sync::Unfinished<Bases, Answers, Refusals, KeptForms>,
                    $crate::sync::ApplyError,
                >,
            > {
                let mut done = $crate::__private::Progress::begin(
                    answers,
                    <Answers as ::core::default::Default>::default(),
                    <Refusals as ::core::default::Default>::default(),
                    <KeptForms as ::core::default::Default>::default(),
                );
                done.fallen = self.misfits(&done.given);
                for step in $crate::__private::Step::ALL {
                    if step.wants_what_fits() {
                        Self::set_aside(&mut done);
                    }
                    let mut next = 0_usize;
                    $(
                        let to = $crate::__private::count(&mut next);
                        if let ::core::result::Result::Err(cause) =
                            self.carry_out(&mut done, step, to, $snapshot)
                        {
                            Self::set_aside(&mut done);
                            let bases = self.bases_after(&done.given, &done.not_made, &done.refused);
                            return ::core::result::Result::Err(
                                done.stopped(bases, SYSTEMS.get(to).copied(), cause));
                        }
                    )+
                }
                Self::set_aside(&mut done);
                let bases = self.bases_after(&done.given, &done.not_made, &done.refused);
                ::core::result::Result::Ok(done.carried(bases, SYSTEMS))
            }

            /// Makes one step in one system.
            fn carry_out<K: Store + ?::core::marker::Sized>(
                &self,
                done: &mut $crate::__private::Progress<Answers, Refusals, KeptForms>,
                step: $crate::__private::Step,
                to: usize,
                store: &mut K,
            ) -> ::core::result::Result<(), $crate::__private::Cause> {
                let writes = match step {
                    $crate::__private::Step::TakeBack => self.taken_back(
                        &done.given, to, &done.kept, ::core::option::Option::Some(done.fallen_in(to))),
                    _ => self.written(&done.given, to, step),
                };
                if writes.is_empty() {
                    return ::core::result::Result::Ok(());
                }
                let changes = self.changes_of(writes, to);
                let mut decided = $crate::__private::Decided::nothing();
                changes.each(&mut decided);
                match store.write(&changes) {
                    ::core::result::Result::Ok(taken) => {
                        done.found(step, to, taken.found, &decided);
                        $(
                            let is_taken_back = taken.refused.$f.as_slice().is_empty()
                                && decided.is_taken_back(field::$f::NAME, step, taken.found);
                            $crate::__private::add::<field::$f, $t>(&mut done.refused.$f, taken.refused.$f);
                            $crate::__private::keep::<field::$f, $t>(
                                &mut done.kept.$f, taken.kept.$f, is_taken_back.then_some(to));
                        )*
                        ::core::result::Result::Ok(())
                    }
                    ::core::result::Result::Err(cause) => {
                        done.failed(step, to, SYSTEMS.len(), cause, &decided)
                    }
                }
            }

            /// Sets aside the answers that have fallen.
            fn set_aside(done: &mut $crate::__private::Progress<Answers, Refusals, KeptForms>) {
                let fallen = ::core::mem::take(&mut done.fallen);
                $($crate::__private::set_aside(
                    field::$f::NAME, &mut done.given.$f, &mut done.aside.$f, &fallen, &mut done.misfits);)*
            }

            fn fits(&self, answers: &Answers) -> ::core::result::Result<(), $crate::sync::ApplyError> {
                $crate::__private::no_misfit(self.misfits(answers))
            }

            /// The writes to a system, by its place among the parties, where the answers
            /// fit.
            fn in_system<'p, S, At>(
                &'p self,
                answers: &Answers,
                writes: impl ::core::ops::FnOnce(usize) -> Writes<'p>,
            ) -> ::core::result::Result<Changes<'p, S>, $crate::sync::ApplyError>
            where
                Parties: $crate::sync::declared::Includes<S, At>,
            {
                self.fits(answers)?;
                let to = $crate::__private::place::<Parties, S, At>();
                ::core::result::Result::Ok(self.changes_of(writes(to), to))
            }

            fn changes_of<'p, S>(&'p self, writes: Writes<'p>, to: usize) -> Changes<'p, S> {
                let kept = ::core::option::Option::flatten(self.2.get(to).copied());
                Changes { writes, record: self.1, kept, system: ::core::marker::PhantomData }
            }

            /// Why each answer that does not fit does not.
            fn misfits(&self, answers: &Answers) -> ::std::vec::Vec<$crate::sync::Misfit> {
                let mut misfits = ::std::vec::Vec::new();
                $($crate::__private::misfit(
                    &mut misfits, &self.0.$f, self.1, field::$f::NAME, &answers.$f);)*
                misfits
            }

            fn written<'p>(
                &'p self,
                answers: &'p Answers,
                to: usize,
                step: $crate::__private::Step,
            ) -> Writes<'p> {
                Writes { $($f: $crate::__private::write(&self.0.$f, &answers.$f, to, step),)* }
            }

            fn taken_back<'p>(
                &'p self,
                answers: &'p Answers,
                to: usize,
                kept: &'p KeptForms,
                fallen: ::core::option::Option<&[$crate::sync::Misfit]>,
            ) -> Writes<'p> {
                Writes { $($f: $crate::__private::take_back(
                    field::$f::NAME, &self.0.$f, &answers.$f, to, &kept.$f, fallen),)* }
            }

            fn bases_after(&self, answers: &Answers, not_made: &[usize], refused: &Refusals) -> Bases {
                Bases { $($f: $crate::__private::next_without(
                    &self.0.$f, &answers.$f, not_made, &refused.$f),)* }
            }
        }
    };
}
