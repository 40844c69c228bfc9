//! `boundary!`: a contract that the compiler checks, declared as a table.

/// Declares a contract between systems of record, so that the compiler knows who decides
/// about each field.
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
/// of_crm.edit(contact::edit(&crm).email("new@x.org").nickname("Al"));
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
///
/// let (mut in_crm, mut in_erp) = (contact::Snapshot::by(&crm), contact::Snapshot::by(&erp));
/// in_crm.nickname = of_crm.nickname.clone();
/// (in_erp.email, in_erp.nickname) = (of_erp.email.clone(), Slot::Empty);
/// let carried = plan.apply(contact::Answers::default(), &mut in_crm, &mut in_erp)?;
/// assert_eq!((in_erp.email, carried.moved_on.len()), (Slot::Value("new@x.org".to_owned()), 0));
/// # Ok(())
/// # }
/// ```
///
/// # What others may do
///
/// A system that does not own a field may do nothing with it, unless the declaration says
/// otherwise: behind the owner, as in `billing_address: String => Erp (others Queue)`, or
/// for the whole boundary in its first line, as `others Queue`.
/// [`NonOwnerEdits`](crate::sync::NonOwnerEdits) has the three words and what follows
/// from each.
///
/// # What it makes
///
/// A module of the given name, with
///
/// - `Snapshot<S>`: what system `S` says, a [`Slot`](crate::sync::Slot) for each field
///   that is exchanged. Made by its capability, and not to be mixed up with another
///   system's. Its fields are input: whatever was read, the values of fields that others
///   own included;
/// - `edit` and `decided`: an `Edit`, a change that speaks for a system or for a person.
///   A setter exists for every field; it compiles for the owner of the field, for every
///   party where others may do something or the field is `Shared`, for a person's
///   decision where it is `Manual`, and for nobody where it is excluded. It takes a
///   value, or `None` to clear;
/// - `Agreed`: the last common state, a [`Base`](crate::sync::Base) for each field;
/// - `reconcile`: all snapshots, in the order of `between`, and the last common state.
///   Its `Plan` has an [`Entry`](crate::sync::entry::Entry) for each field whose shape
///   follows from the authority. `verdicts` lists them all, `reviews` is what people are
///   asked, `next` is the common state after;
/// - `Plan::apply`: carries the plan out, once, through a `Store` of each system;
///   `Answers` permit what no program may write; `Changes` is what one system gets;
/// - `contract()`: the same as a [`Contract`](crate::sync::Contract), and `SYSTEMS`, the
///   names in order.
///
/// A field may have any name. A system or a type cannot be called as one of the types of
/// the module is: `Snapshot`, `Edit`, `Agreed`, `Answers`, `Changes`, `Store`, `Plan` or
/// `Parties`. Values are compared with `Eq`.
///
/// Declare it in a module, not in a function: the systems and the types are looked up
/// where it stands.
///
/// A doc comment or an attribute on a field stands on all that is made of it.
///
/// A group of fields that must have one winner is one field of a struct type. The macro
/// reads one field after another: about 115 fit the compiler's default recursion limit,
/// which a crate can raise with `#![recursion_limit = "256"]`.
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

/// The parts of [`boundary!`]. A field that is exchanged travels as `{name (type)
/// [attributes] of System NonOwnerEdits}`, or with `is Shared` or `is Manual` at the end.
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
    // Each step makes an argument of its own for one system: the names look alike, and
    // hygiene tells them apart.
    (@name $m:tt $v:tt $b:ident [$($named:tt)*] [$s:ident $($rest:ident)*] $fields:tt) => {
        $crate::__boundary! { @name $m $v $b [$($named)* {$s snapshot}] [$($rest)*] $fields }
    };
    (@name $m:tt $v:tt $b:ident $named:tt [] { $($fields:tt)* }) => {
        $crate::__boundary! { @others $m $v $b $named $($fields)* }
    };
    (@others $m:tt $v:tt $b:ident $s:tt others Reject $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b {$s Reject} [] [] $($($rest)*)? }
    };
    (@others $m:tt $v:tt $b:ident $s:tt others Queue $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b {$s Queue} [] [] $($($rest)*)? }
    };
    (@others $m:tt $v:tt $b:ident $s:tt others Overwrite $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b {$s Overwrite} [] [] $($($rest)*)? }
    };
    (@others $m:tt $v:tt $b:ident $s:tt $($fields:tt)*) => {
        $crate::__boundary! { @read $m $v $b {$s Reject} [] [] $($fields)* }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt [$($x:tt)*] $(#[$a:meta])* excluded $f:ident : $t:ty $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s $y [$($x)* {$f ($t) [$(#[$a])*]}] $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt [$($y:tt)*] $x:tt $(#[$a:meta])* $f:ident : $t:ty => Manual $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s [$($y)* {$f ($t) [$(#[$a])*] is Manual}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt [$($y:tt)*] $x:tt $(#[$a:meta])* $f:ident : $t:ty => Shared $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s [$($y)* {$f ($t) [$(#[$a])*] is Shared}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident {$s:tt $o:ident} [$($y:tt)*] $x:tt
        $(#[$a:meta])* $f:ident : $t:ty => $owner:ident $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b {$s $o} [$($y)* {$f ($t) [$(#[$a])*] of $owner $o}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt
        $(#[$a:meta])* $f:ident : $t:ty => Shared (others $o:ident) $($rest:tt)*) => {
        $crate::__boundary! { @no_owner $b $f }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt
        $(#[$a:meta])* $f:ident : $t:ty => Manual (others $o:ident) $($rest:tt)*) => {
        $crate::__boundary! { @no_owner $b $f }
    };
    (@read $m:tt $v:tt $b:ident $s:tt [$($y:tt)*] $x:tt
        $(#[$a:meta])* $f:ident : $t:ty => $owner:ident (others Reject) $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s [$($y)* {$f ($t) [$(#[$a])*] of $owner Reject}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt [$($y:tt)*] $x:tt
        $(#[$a:meta])* $f:ident : $t:ty => $owner:ident (others Queue) $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s [$($y)* {$f ($t) [$(#[$a])*] of $owner Queue}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt [$($y:tt)*] $x:tt
        $(#[$a:meta])* $f:ident : $t:ty => $owner:ident (others Overwrite) $(, $($rest:tt)*)?) => {
        $crate::__boundary! { @read $m $v $b $s [$($y)* {$f ($t) [$(#[$a])*] of $owner Overwrite}] $x $($($rest)*)? }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt
        $(#[$a:meta])* $f:ident : $t:ty => $owner:ident (others $o:ident) $($rest:tt)*) => {
        compile_error!(concat!("others may do one of three things with the field `", stringify!($f), "` of the boundary `",
            stringify!($b), "`: `Reject` (nothing), `Queue` (propose) or `Overwrite` (change it until the next ",
            "synchronisation); found `", stringify!($o), "`"));
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* $f:ident : $t:ty $(, $($rest:tt)*)?) => {
        compile_error!(concat!(
            "the field `", stringify!($f), "` of the boundary `", stringify!($b), "` has no authority: write `",
            stringify!($f), ": ", stringify!($t), " => A` with a system, `Shared` or `Manual` for `A`, or `excluded ",
            stringify!($f), ": ", stringify!($t), "`"
        ));
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt others $o:ident $($rest:tt)*) => {
        compile_error!(concat!("what others may do in the boundary `", stringify!($b), "` is said in its first line, as ",
            "`others Reject`, `others Queue` or `others Overwrite`, or behind one field: `name: Type => System (others ",
            "Queue)`"));
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $($other:tt)+) => {
        compile_error!(concat!(
            "a field of the boundary `", stringify!($b), "` is `name: Type => A` with a system, `Shared` or `Manual` for ",
            "`A`, or `excluded name: Type`; this is neither: `", stringify!($($other)+), "`"
        ));
    };
    (@no_owner $b:ident $f:ident) => {
        compile_error!(concat!("the field `", stringify!($f), "` of the boundary `", stringify!($b), "` has no owner, and ",
            "so no others: only behind a system can `(others ...)` stand"));
    };
    (@read $m:tt $v:tt $b:ident $s:tt [] $x:tt) => {
        compile_error!(concat!("the boundary `", stringify!($b), "` exchanges no field: declare one as ",
            "`name: Type => A` with a system, `Shared` or `Manual` for `A`"));
    };
    (@read $m:tt $v:tt $b:ident {$s:tt $all:ident}
        [$({$f:ident $($y:tt)*})*] [$({$xf:ident $($x:tt)*})*]) => {
        $crate::__boundary! { @distinct $b [$($f)* $($xf)*]
            [$m $v $b $s [$({$f $($y)*})*] [$({$xf $($x)*})*]] ($) }
    };
    // A matcher names each of its variables once. Where a field is declared twice, this
    // one does not compile, and spares the reader some twenty errors that follow from two
    // fields of one name; the constant says it in words.
    (@distinct $b:ident [$($f:ident)*] [$($declaration:tt)*] ($d:tt)) => {
        const _: () = {
            const NAMES: &[&str] = &[$(stringify!($f)),*];
            $(assert!(
                $crate::sync::declared::is_once(NAMES, stringify!($f)),
                concat!("the field `", stringify!($f), "` of the boundary `", stringify!($b), "` is declared twice: it has ",
                    "one authority, or is excluded")
            );)*
        };
        macro_rules! __declare {
            ($($d $f:tt)*) => { $crate::__boundary! { @module $($declaration)* } };
        }
        __declare! { $($f)* }
    };
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
                $crate::sync::declared::are_distinct(SYSTEMS),
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
                Parties: $crate::sync::system::Includes<S, At>,
            {
                Edit { $($f: None,)* __decision: None, __system: ::core::marker::PhantomData }
            }

            impl<S> Edit<S> {
                $(
                    $($attribute)*
                    pub fn $f(mut self, value: impl $crate::sync::entry::IntoSlot<$t>) -> Self
                    where
                        $(S: $crate::sync::system::MayWrite<$owner, field::$f, $crate::sync::system::$o>,)?
                        $(S: $crate::sync::system::MayDecide<field::$f, $crate::sync::entry::$kind>,)?
                    {
                        self.$f = Some(value.into_slot());
                        self
                    }
                )*
                $(
                    $($xattribute)*
                    pub fn $xf(self, _: impl $crate::sync::entry::IntoSlot<$xt>) -> Self
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
                    $crate::sync::entry::found_all(&[$($crate::sync::entry::found(&self.$f, &now.$f)),*])
                }
            }

            /// Where a system keeps its records: what carries out the changes to one of
            /// them.
            #[diagnostic::on_unimplemented(
                message = "`{Self}` is not where `{S}` keeps its records",
                label = "wanted a `Store<{S}>`: one for each system, in the order of the declaration"
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
                        $($crate::sync::entry::make(&changes.$f, &mut self.$f);)*
                    }
                    Ok(found)
                }
            }

            /// What is to be done, field by field.
            #[derive(Debug)]
            #[must_use = "a plan writes nothing itself"]
            pub struct Plan<'a> {
                $($($attribute)* pub $f: $crate::sync::entry::Entry<
                    'a, $t,
                    $($crate::sync::entry::Owned<$crate::sync::system::$o>)? $($crate::sync::entry::$kind)?,
                    { SYSTEMS.len() }
                >,)*
            }

            impl Plan<'_> {
                /// What is to be done, by field: none is left out.
                pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, $crate::sync::Verdict)> {
                    [$((const { $crate::sync::declared::name(stringify!($f)) }, self.$f.verdict())),*].into_iter()
                }

                /// What is asked, as rows of a review queue, with values in a form that
                /// all fields share.
                pub fn reviews<V>(&self, record_id: &str) -> ::std::vec::Vec<$crate::sync::Review<V>>
                where
                    $($t: Into<V>,)*
                {
                    let systems = || SYSTEMS.iter().copied();
                    [$(self.$f.review(record_id, $crate::sync::declared::name(stringify!($f)), systems())
                        .map(|row| row.map(Into::into))),*].into_iter().flatten().collect()
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
                ) -> ::core::result::Result<Changes<'p, S>, $crate::sync::entry::ApplyError>
                where
                    S: $crate::sync::System,
                    Parties: $crate::sync::system::Includes<S, At>,
                {
                    self.__fits(answers)?;
                    Ok(self.__changes(answers, $crate::sync::declared::place::<Parties, S, At>()))
                }

                fn __fits(&self, answers: &Answers) -> ::core::result::Result<(), $crate::sync::entry::ApplyError> {
                    $(if let Some(cause) = self.$f.misfit(answers.$f.as_ref()) {
                        let field = $crate::sync::declared::name(stringify!($f));
                        return Err($crate::sync::entry::ApplyError::Answer { field, cause });
                    })*
                    Ok(())
                }

                fn __changes<'p, S>(&'p self, answers: &'p Answers, to: usize) -> Changes<'p, S> {
                    Changes {
                        $($f: self.$f.change(answers.$f.as_ref(), to),)*
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
                    $crate::sync::entry::Carried<Agreed>,
                    $crate::Refused<Answers, $crate::sync::entry::ApplyError>,
                > {
                    if let Err(cause) = self.__fits(&answers) {
                        return Err($crate::sync::entry::refuse(answers, cause));
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
                                    let cause = $crate::sync::entry::ApplyError::Store { system, cause: error.into() };
                                    return Err($crate::sync::entry::refuse(answers, cause));
                                }
                            }
                        }
                    })+
                    let agreed = Agreed { $($f: self.$f.base_after(answers.$f.as_ref(), &places),)* };
                    Ok($crate::sync::entry::Carried { agreed, moved_on })
                }
            }

            $crate::__boundary! { @reconcile [$({$s $snapshot})+] [$({$f (
                $($crate::sync::Rule::Owner(
                    $crate::sync::declared::place::<Parties, $owner, _>(), $crate::sync::NonOwnerEdits::$o))?
                $($crate::sync::Rule::$kind)?
            )})*] }

            /// The same contract as data.
            ///
            /// # Errors
            ///
            /// Where two systems have one name, or a name is empty.
            pub fn contract() -> ::core::result::Result<
                $crate::sync::Contract,
                $crate::Refused<$crate::sync::contract::Builder, $crate::sync::contract::ContractError>,
            > {
                let mut builder = $crate::sync::Contract::builder(stringify!($b));
                for system in SYSTEMS {
                    builder = builder.system(*system);
                }
                $(
                    let field = $crate::sync::declared::name(stringify!($f));
                    $(builder = builder
                        .field(field, $crate::sync::Authority::system(<$owner as $crate::sync::System>::NAME))
                        .non_owner_edits_for(field, $crate::sync::NonOwnerEdits::$o);)?
                    $(builder = builder.field(field, $crate::sync::Authority::$kind);)?
                )*
                $(builder = builder.excluded($crate::sync::declared::name(stringify!($xf)));)*
                builder.build()
            }
        }
    };
    (@list) => { () };
    (@list $s:ident $($rest:ident)*) => { ($s, $crate::__boundary!(@list $($rest)*)) };
    (@reconcile $s:tt [$($field:tt)*]) => { $crate::__boundary! { @reconcile_all $s [$({$s $field})*] } };
    (@reconcile_all [$({$s:ident $snapshot:ident})+] [$({$ss:tt {$f:ident ($rule:expr)}})*]) => {
        /// Plans one record: what each system says, in the order of the declaration, and
        /// what they last agreed on.
        pub fn reconcile<'a>($($snapshot: &'a Snapshot<$s>,)+ agreed: &'a Agreed) -> Plan<'a> {
            Plan { $($f: $crate::sync::entry::Entry::new($rule, $crate::__boundary!(@slots $f $ss), &agreed.$f),)* }
        }
    };
    (@slots $f:ident [$({$s:ident $snapshot:ident})+]) => { [$(&$snapshot.$f),+] };
}
