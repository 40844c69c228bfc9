//! What a system says in a declared boundary: its snapshot, its edits, and what is known
//! in common.

/// Makes `Slots`, `Snapshot`, `Edit`, `Agreed`, `Bases`, `Refusals` and `KeptForms`.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_said {
    ([$({$f:ident ($t:ty) [$($attribute:tt)*] $(of $owner:ident $o:ident)? $(is $kind:ident)?})*]
        [$({$xf:ident ($xt:ty) [$($xattribute:tt)*]})*]) => {
        $crate::__boundary_fields! {
            /// What is said about each field of one record.
            Slots of Slot [$({$f ($t) [$($attribute)*]})*]
        }

        $crate::__boundary_fields! {
            /// What all systems have in common.
            Agreed of Base [$({$f ($t) [$($attribute)*]})*]
        }

        $crate::__boundary_fields! {
            /// What is known in common: what was agreed last, and what each system was
            /// last known to have of that.
            Bases of Bases [$({$f ($t) [$($attribute)*]})*]
        }

        $crate::__boundary_fields! {
            /// What systems have refused, in their words.
            Refusals of Refusals [$({$f ($t) [$($attribute)*]})*]
        }

        $crate::__boundary_fields! {
            /// What systems hold instead of what was written to them.
            KeptForms of KeptForms [$({$f ($t) [$($attribute)*]})*]
        }

        impl Refusals {
            /// Adds what systems have refused since, each in place of an earlier refusal of
            /// the same write: `Carried::refused` to what is stored.
            pub fn add(&mut self, more: Self) {
                $($crate::__private::add::<field::$f, $t>(&mut self.$f, more.$f);)*
            }
        }

        impl KeptForms {
            /// Adds what systems hold since, each in place of what it held before:
            /// `Carried::kept` to what is stored.
            pub fn add(&mut self, more: Self) {
                $($crate::__private::keep::<field::$f, $t>(
                    &mut self.$f, more.$f, ::core::option::Option::None);)*
            }
        }

        impl ::core::convert::From<Agreed> for Bases
        where
            $(for<'value> $t: ::core::clone::Clone,)*
        {
            /// What all systems have in common: as it was imported, or known before.
            fn from(agreed: Agreed) -> Self {
                Self { $($f: $crate::sync::Bases::common(agreed.$f, SYSTEMS.len()),)* }
            }
        }

        /// What one system says about one record: [`Slots`], and whose they are.
        pub struct Snapshot<S>(
            Slots,
            // What the slots show in place of what the system itself does.
            ::core::option::Option<::std::boxed::Box<KeptForms>>,
            ::core::marker::PhantomData<fn() -> S>,
        );

        impl<S: $crate::sync::System> ::core::fmt::Debug for Snapshot<S> {
            /// The system; never the values, which may be what no log should hold.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Snapshot").field("system", &S::NAME).finish_non_exhaustive()
            }
        }

        impl<S> ::core::clone::Clone for Snapshot<S>
        where
            for<'value> Slots: ::core::clone::Clone,
            for<'value> KeptForms: ::core::clone::Clone,
        {
            fn clone(&self) -> Self {
                Self(
                    ::core::clone::Clone::clone(&self.0),
                    ::core::clone::Clone::clone(&self.1),
                    ::core::marker::PhantomData,
                )
            }
        }

        impl<S> ::core::cmp::PartialEq for Snapshot<S>
        where
            for<'value> Slots: ::core::cmp::PartialEq,
        {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl<S> ::core::ops::Deref for Snapshot<S> {
            type Target = Slots;

            fn deref(&self) -> &Slots {
                &self.0
            }
        }

        impl<S> ::core::ops::DerefMut for Snapshot<S> {
            /// What was read is input: it may be anything.
            fn deref_mut(&mut self) -> &mut Slots {
                &mut self.0
            }
        }

        impl<S: $crate::sync::System> Snapshot<S> {
            /// A snapshot in which nothing was read yet.
            pub fn by<At>(_: &$crate::sync::Capability<S>) -> Self
            where
                Parties: $crate::sync::declared::Includes<S, At>,
            {
                Self::of(::core::default::Default::default())
            }

            /// Takes over what the system itself has changed.
            ///
            /// A snapshot is what the system shows: this adds what it has said since, and
            /// writes nothing to it.
            pub fn edit(&mut self, edit: Edit<S>) {
                $($crate::__private::take_over(&mut self.0.$f, edit.0.$f);)*
            }

            /// The same, but what the system kept of our own writes counts as what was
            /// written, as long as the system still shows it and that is what was agreed.
            ///
            /// Read a system that has forms of its own by this for a plan. The changes
            /// of the plan know it: they find what they expect in what the system shows.
            pub fn as_kept<At>(mut self, kept: &KeptForms, known: &Bases) -> Self
            where
                Parties: $crate::sync::declared::Includes<S, At>,
            {
                let place = $crate::__private::place::<Parties, S, At>();
                let mut read_by = <KeptForms as ::core::default::Default>::default();
                $($crate::__private::as_kept::<field::$f, $t>(
                    &mut self.0.$f, &kept.$f, place, &known.$f, &mut read_by.$f);)*
                self.1 = ::core::option::Option::Some(::std::boxed::Box::new(read_by));
                self
            }
        }

        impl<S> Snapshot<S> {
            fn of(slots: Slots) -> Self {
                Self(slots, ::core::option::Option::None, ::core::marker::PhantomData)
            }
        }

        /// A change that speaks for `S`. A field that it says nothing of is `Unread`.
        #[must_use = "an edit changes nothing before a snapshot takes it over"]
        pub struct Edit<S>(Slots, ::core::marker::PhantomData<fn() -> S>);

        impl<S> ::core::fmt::Debug for Edit<S> {
            /// Never the values, which may be what no log should hold.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Edit").finish_non_exhaustive()
            }
        }

        /// An edit that speaks for the system whose capability it is.
        pub fn edit<S, At>(_: &$crate::sync::Capability<S>) -> Edit<S>
        where
            S: $crate::sync::System,
            Parties: $crate::sync::declared::Includes<S, At>,
        {
            Edit(::core::default::Default::default(), ::core::marker::PhantomData)
        }

        impl<S> Edit<S> {
            $(
                $($attribute)*
                pub fn $f(mut self, value: impl $crate::sync::declared::IntoSlot<$t>) -> Self
                where
                    $(S: $crate::sync::declared::MayWrite<$owner, field::$f, $crate::sync::declared::$o>,)?
                    $(S: $crate::sync::declared::MayDecide<field::$f, $crate::sync::declared::$kind>,)?
                {
                    self.0.$f = $crate::sync::declared::IntoSlot::into_slot(value);
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
    };
}
