//! `boundary!`: a contract that the compiler checks, declared as a table.

use std::time::Duration;

use super::conflict::Stamp;
use super::reconcile::{FieldPlan, Question, Rule, Verdict, Write, verdict};
use super::review::{Answer, NotSettled, Settled};
use super::slot::{Base, Slot};
use crate::Refused;

/// Declares a contract between systems of record, so that the compiler knows who decides about each field.
///
/// ```
/// # mod crm {
/// #     use integration_automation_patterns::sync::{Capability, System};
/// #     pub enum Crm {}
/// #     pub struct Key(());
/// #     impl System for Crm { const NAME: &'static str = "crm"; type Key = Key; }
/// #     pub fn connect() -> Capability<Crm> { Capability::mint(&Key(())) }
/// # }
/// # mod erp {
/// #     use integration_automation_patterns::sync::{Capability, System};
/// #     pub enum Erp {}
/// #     pub struct Key(());
/// #     impl System for Erp { const NAME: &'static str = "erp"; type Key = Key; }
/// #     pub fn connect() -> Capability<Erp> { Capability::mint(&Key(())) }
/// # }
/// use crm::Crm;
/// use erp::Erp;
/// use integration_automation_patterns::boundary;
/// use integration_automation_patterns::sync::{Base, Question, Slot, Verdict};
///
/// boundary! {
///     /// A contact, shared by CRM and ERP.
///     pub mod contact between Crm and Erp {
///         email: String => Crm,
///         billing_address: String => Erp,
///         nickname: String => Shared,
///         status: u8 => Manual,
///         excluded internal_notes: String,
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (crm, erp) = (crm::connect(), erp::connect());
/// let mut of_crm = contact::Snapshot::by(&crm);
/// of_crm.edit(contact::Edit::by(&crm).email("new@x.org").nickname("Al"));
/// of_crm.status = Slot::Value(1);
/// let mut of_erp = contact::Snapshot::by(&erp);
/// of_erp.email = Slot::Value("old@x.org".to_owned());
/// of_erp.nickname = Slot::Empty;
/// of_erp.status = Slot::Value(2);
///
/// let base = contact::Agreed { email: Base::Known(Some("old@x.org".to_owned())), ..Default::default() };
/// let plan = contact::reconcile(&of_crm, &of_erp, &base);
///
/// let write = plan.email.writes().next().ok_or("the owner has changed it")?;
/// assert_eq!((contact::SYSTEMS[write.to], write.value.map(String::as_str)), ("erp", Some("new@x.org")));
/// assert_eq!(plan.status.question(), Some(Question::Manual));
/// let asked = plan.verdicts().filter(|(_, verdict)| matches!(verdict, Verdict::Ask(_)));
/// assert_eq!(asked.map(|(field, _)| field).collect::<Vec<_>>(), ["status"]);
/// assert_eq!(plan.next().nickname, Base::Known(Some("Al".to_owned())));
/// assert!(contact::contract()?.is_synced("email"));
/// # Ok(())
/// # }
/// ```
///
/// # What it makes
///
/// A module of the given name, with
///
/// - `Snapshot<S>`: what system `S` says, a [`Slot`] for each field that is exchanged. Made by its capability, and not
///   to be mixed up with another system's. Its fields are input: whatever was read, the values of fields that others own
///   included;
/// - `Edit<S>`: a change that speaks for `S`. A setter exists for every field; it compiles for the owner of the field,
///   for everybody who may edit at all where it is `Shared`, for a person's decision (`Edit::decided`) where it is
///   `Manual`, and for nobody where it is excluded;
/// - `Agreed`: the last common state, a [`Base`] for each field;
/// - `reconcile`: all snapshots, in the order of `between`, and the last common state; its `Plan` has an entry for each
///   field whose type follows from the authority: an [`OwnedField`] or [`SharedField`] may be written, a [`ManualField`]
///   only asked. `verdicts` lists them all, `next` is the common state after;
/// - `contract()`: the same as a [`Contract`](crate::sync::Contract), and `SYSTEMS`, the names in order.
///
/// A field cannot be called `by`, `decided` or `decision`, nor a system or a type `Snapshot`, `Edit`, `Agreed`, `Plan` or
/// `Parties`: the module has these itself. Values are compared with `Eq`.
///
/// Declare it in a module, not in a function: the systems and the types are looked up where it stands.
///
/// A doc comment or an attribute on a field stands on all that is made of it.
///
/// A group of fields that must have one winner is one field of a struct type. The macro reads one field after another:
/// about 120 fit the compiler's default recursion limit, which a crate can raise with `#![recursion_limit = "256"]`.
#[macro_export]
macro_rules! boundary {
    ($(#[$meta:meta])* $vis:vis mod $name:ident between $first:ident $(and $system:ident)+ { $($fields:tt)* }) => {
        $crate::__boundary! { @name [$(#[$meta])*] [$vis] $name [] [$first $($system)+] { $($fields)* } }
    };
    ($(#[$meta:meta])* $vis:vis mod $name:ident between $only:ident { $($fields:tt)* }) => {
        compile_error!(concat!(
            "the boundary `", stringify!($name), "` is between one system: a boundary is between two or more, ",
            "`between ", stringify!($only), " and ...`"
        ));
    };
    ($($other:tt)*) => {
        compile_error!(
            "a boundary is declared as `pub mod name between System and System { field: Type => Authority, ... }`, with \
             the systems by their plain names"
        );
    };
}

/// The parts of [`boundary!`]. A field that is exchanged travels as
/// `{name (type) [attributes] (entry of the plan) (rule) (authority) (bound of the setter)}`.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary {
    (@name $m:tt $v:tt $b:ident $named:tt [Shared $($rest:ident)*] $fields:tt) => {
        compile_error!(concat!("a party to the boundary `", stringify!($b), "` cannot be called `Shared`: the word says ",
            "that a field is shared; rename the system where it is imported"));
    };
    (@name $m:tt $v:tt $b:ident $named:tt [Manual $($rest:ident)*] $fields:tt) => {
        compile_error!(concat!("a party to the boundary `", stringify!($b), "` cannot be called `Manual`: the word says ",
            "that a person decides; rename the system where it is imported"));
    };
    // Each step makes an argument of its own for one system: the names look alike, and hygiene tells them apart.
    (@name $m:tt $v:tt $b:ident [$($named:tt)*] [$s:ident $($rest:ident)*] $fields:tt) => {
        $crate::__boundary! { @name $m $v $b [$($named)* {$s snapshot}] [$($rest)*] $fields }
    };
    (@name $m:tt $v:tt $b:ident $named:tt [] { $($fields:tt)* }) => {
        $crate::__boundary! { @read $m $v $b $named [] [] $($fields)* }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt [$($x:tt)*] $(#[$a:meta])* excluded $f:ident : $t:ty $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s $y [$($x)* {$f ($t) [$(#[$a])*]}] $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt [$($y:tt)*] $x:tt $(#[$a:meta])* $f:ident : $t:ty => Manual $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s [$($y)* {$f ($t) [$(#[$a])*] (ManualField) ($crate::sync::Rule::Manual)
            ($crate::sync::Authority::Manual) (S: $crate::sync::system::MayDecide<field::$f>)}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt [$($y:tt)*] $x:tt $(#[$a:meta])* $f:ident : $t:ty => Shared $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s [$($y)* {$f ($t) [$(#[$a])*] (SharedField) ($crate::sync::Rule::Shared)
            ($crate::sync::Authority::Shared) ()}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt [$($y:tt)*] $x:tt $(#[$a:meta])* $f:ident : $t:ty => $owner:ident $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s [$($y)* {$f ($t) [$(#[$a])*] (OwnedField)
            ($crate::sync::Rule::Owner($crate::sync::boundary::place::<Parties, $owner, _>()))
            ($crate::sync::Authority::system(<$owner as $crate::sync::System>::NAME))
            (S: $crate::sync::system::MayWrite<$owner, field::$f>)}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* $f:ident : $t:ty $(, $($rest:tt)*)?) => {
        compile_error!(concat!(
            "the field `", stringify!($f), "` of the boundary `", stringify!($b), "` has no authority: write `",
            stringify!($f), ": ", stringify!($t), " => A` with a system, `Shared` or `Manual` for `A`, or `excluded ",
            stringify!($f), ": ", stringify!($t), "`"
        ));
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $($other:tt)+) => {
        compile_error!(concat!(
            "a field of the boundary `", stringify!($b), "` is `name: Type => A` with a system, `Shared` or `Manual` for ",
            "`A`, or `excluded name: Type`; this is neither: `", stringify!($($other)+), "`"
        ));
    };
    (@read $m:tt $v:tt $b:ident $s:tt [] $x:tt) => {
        compile_error!(concat!("the boundary `", stringify!($b), "` exchanges no field: declare one as ",
            "`name: Type => A` with a system, `Shared` or `Manual` for `A`"));
    };
    (@read [$(#[$m:meta])*] [$vis:vis] $b:ident [$({$s:ident $snapshot:ident})+]
        [$({$f:ident ($t:ty) [$($attribute:tt)*] ($entry:ident) ($rule:expr) ($authority:expr) ($($bound:tt)*)})*]
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
                $crate::sync::boundary::are_distinct(SYSTEMS),
                "a boundary is between different systems, and two of its parties have the same NAME, or one has none"
            );

            type Parties = $crate::__boundary!(@list $($s)+);

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
                    Parties: $crate::sync::system::Includes<S, At>,
                {
                    Self { $($f: $crate::sync::Slot::Unread,)* __system: ::core::marker::PhantomData }
                }

                /// Takes over what the system itself changes.
                pub fn edit(&mut self, edit: Edit<S>) {
                    self.__take_over(edit);
                }

                /// Takes over what a person decided, and gives the decision back: for the audit, and for the next system.
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
                /// The decision, if it is one; never the values, which may be what no log should hold.
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct("Edit").field("decision", &self.__decision).finish_non_exhaustive()
                }
            }

            impl Edit<$crate::sync::Steward> {
                /// An edit that says what a person decided.
                pub fn decided(decision: $crate::Decision) -> Self {
                    Self { $($f: None,)* __decision: Some(decision), __system: ::core::marker::PhantomData }
                }
            }

            impl<S> Edit<S> {
                /// An edit that speaks for the system whose capability it is.
                pub fn by<At>(_: &$crate::sync::Capability<S>) -> Self
                where
                    S: $crate::sync::System,
                    Parties: $crate::sync::system::Includes<S, At>,
                {
                    Self { $($f: None,)* __decision: None, __system: ::core::marker::PhantomData }
                }

                /// The decision that this edit follows, where a person took one.
                pub fn decision(&self) -> ::core::option::Option<&$crate::Decision> {
                    self.__decision.as_ref()
                }

                $(
                    $($attribute)*
                    pub fn $f(mut self, value: impl ::core::convert::Into<$t>) -> Self
                    where
                        $($bound)*
                    {
                        self.$f = Some($crate::sync::Slot::Value(value.into()));
                        self
                    }
                )*
                $(
                    $($xattribute)*
                    pub fn $xf(self, _: impl ::core::convert::Into<$xt>) -> Self
                    where
                        S: $crate::sync::system::MayWriteExcluded<field::$xf>,
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

            /// What is to be done, field by field.
            #[derive(Debug)]
            #[must_use = "a plan writes nothing itself"]
            pub struct Plan<'a> {
                $($($attribute)* pub $f: $crate::sync::boundary::$entry<'a, $t, { SYSTEMS.len() }>,)*
            }

            impl Plan<'_> {
                /// What is to be done, by field: none is left out.
                pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, $crate::sync::Verdict)> {
                    [$((const { $crate::sync::boundary::name(stringify!($f)) }, self.$f.verdict())),*].into_iter()
                }

                /// What the systems agree on once the plan is carried out.
                pub fn next(&self) -> Agreed {
                    Agreed { $($f: self.$f.next_base(),)* }
                }
            }

            $crate::__boundary! { @reconcile [$({$s $snapshot})+] [$({$f ($entry) ($rule)})*] }

            /// The same contract as data.
            ///
            /// # Errors
            ///
            /// Where two systems have one name, or a name is empty.
            pub fn contract() -> ::core::result::Result<
                $crate::sync::Contract,
                $crate::Refused<$crate::sync::contract::Builder, $crate::sync::contract::Flaw>,
            > {
                let mut builder = $crate::sync::Contract::builder(stringify!($b));
                for system in SYSTEMS {
                    builder = builder.system(*system);
                }
                $(builder = builder.field($crate::sync::boundary::name(stringify!($f)), $authority);)*
                $(builder = builder.excluded($crate::sync::boundary::name(stringify!($xf)));)*
                builder.build()
            }
        }
    };
    (@list) => { () };
    (@list $s:ident $($rest:ident)*) => { ($s, $crate::__boundary!(@list $($rest)*)) };
    (@reconcile $s:tt [$($field:tt)*]) => { $crate::__boundary! { @reconcile_all $s [$({$s $field})*] } };
    (@reconcile_all [$({$s:ident $snapshot:ident})+] [$({$ss:tt {$f:ident ($entry:ident) ($rule:expr)}})*]) => {
        /// Plans one record: what each system says, in the order of the declaration, and what they last agreed on.
        pub fn reconcile<'a>($($snapshot: &'a Snapshot<$s>,)+ agreed: &'a Agreed) -> Plan<'a> {
            Plan { $($f: $crate::sync::boundary::$entry::new($rule, $crate::__boundary!(@slots $f $ss), &agreed.$f),)* }
        }
    };
    (@slots $f:ident [$({$s:ident $snapshot:ident})+]) => { [$(&$snapshot.$f),+] };
}

/// The name of a field, as an identifier that is a keyword stands for it.
#[doc(hidden)]
pub const fn name(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', name @ ..] => match str::from_utf8(name) {
            Ok(name) => name,
            Err(_) => identifier,
        },
        _ => identifier,
    }
}

/// Whether all parties have a name, and no two the same.
#[doc(hidden)]
pub const fn are_distinct(systems: &[&str]) -> bool {
    let mut left = systems;
    while let [first, rest @ ..] = left {
        let mut others = rest;
        while let [other, more @ ..] = others {
            if same(first.as_bytes(), other.as_bytes()) {
                return false;
            }
            others = more;
        }
        if first.is_empty() {
            return false;
        }
        left = rest;
    }
    true
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([a, one @ ..], [b, other @ ..]) => *a == *b && same(one, other),
        _ => false,
    }
}

/// The place of a system among the parties.
#[doc(hidden)]
pub const fn place<Parties: super::system::Includes<S, At>, S, At>() -> usize {
    Parties::PLACE
}

macro_rules! entries {
    ($($(#[$doc:meta])* $entry:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $entry<'a, T, const N: usize> {
                slots: [&'a Slot<T>; N],
                base: &'a Base<T>,
                verdict: Verdict,
            }

            impl<'a, T, const N: usize> $entry<'a, T, N> {
                #[doc(hidden)]
                #[inline]
                pub fn new(rule: Rule, slots: [&'a Slot<T>; N], base: &'a Base<T>) -> Self
                where
                    T: Eq,
                {
                    Self { slots, base, verdict: verdict(rule, &slots, base) }
                }

                /// What is to be done.
                pub fn verdict(&self) -> Verdict {
                    self.verdict
                }

                /// Why a person must decide, where one must.
                pub fn question(&self) -> Option<Question> {
                    match self.verdict {
                        Verdict::Ask(question) => Some(question),
                        _ => None,
                    }
                }

                /// What each system says: its place, and the value or nothing.
                pub fn sides(&self) -> impl Iterator<Item = (usize, Option<&T>)> {
                    self.plan().sides()
                }

                /// What the systems agree on once the plan is carried out.
                pub fn next_base(&self) -> Base<T>
                where
                    T: Clone,
                {
                    self.plan().next_base()
                }

                /// What follows from a person's answer: as [`FieldPlan::settle`].
                ///
                /// # Errors
                ///
                /// [`NotSettled`] where nothing was asked, or the chosen system did not say anything.
                pub fn settle(&self, answer: Answer<T>) -> Result<Settled<'_, T>, Refused<Answer<T>, NotSettled>> {
                    self.plan().settle(answer)
                }

                fn plan(&self) -> FieldPlan<'_, T> {
                    FieldPlan::decided(self.verdict, &self.slots, self.base)
                }
            }
        )*
    };
}

entries! {
    /// The plan for a field that one system owns: its value is written to the others, and never to itself.
    OwnedField;
    /// The plan for a field that the systems share.
    SharedField;
    /// The plan for a field that only a person decides on: it has questions, and no writes.
    ManualField;
}

macro_rules! written {
    ($($entry:ident)*) => {
        $(impl<T: Eq, const N: usize> $entry<'_, T, N> {
            /// What is to be written where.
            pub fn writes(&self) -> impl Iterator<Item = Write<'_, T>> {
                self.plan().writes()
            }
        })*
    };
}

written!(OwnedField SharedField);

impl<T, const N: usize> SharedField<'_, T, N> {
    /// The same entry, with a conflict settled in favour of a system, by its place: as [`FieldPlan::prefer`].
    #[must_use = "this gives the settled entry back"]
    pub fn prefer(self, place: usize) -> Self {
        Self { verdict: self.plan().prefer(place).verdict(), ..self }
    }

    /// The same entry, with a conflict settled in favour of a system, unless its field is blank: as
    /// [`FieldPlan::prefer_unless_blank`].
    #[must_use = "this gives the settled entry back"]
    pub fn prefer_unless_blank(self, place: usize) -> Self {
        Self { verdict: self.plan().prefer_unless_blank(place).verdict(), ..self }
    }

    /// The same entry, with a conflict settled in favour of the last writer: as [`FieldPlan::prefer_last_writer`].
    #[must_use = "this gives the settled entry back"]
    pub fn prefer_last_writer(self, stamps: &[Stamp; N], tolerance: Duration) -> Self
    where
        T: Eq,
    {
        Self { verdict: self.plan().prefer_last_writer(stamps, tolerance).verdict(), ..self }
    }
}
