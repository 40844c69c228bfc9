//! The module that a table becomes: its steps and stages as types, the erased form, and
//! the way in for what is stored.

/// Makes the module of [`workflow!`](crate::workflow!) from rows that were read.
///
/// A name that a user or a prelude can redefine stands here with its whole path.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_module {
    ({[$($by:ident)?] [$($m:tt)*] ([$($vis:tt)*] [$($inner:tt)*] $nested:tt) $w:ident $data:ident $v:literal [$($seal:literal)?] [$($($old:ident)::+)?]}
        [$({$k:ident $n:ident [$($prev:ident)?] $back:tt $($x:tt)*})+]
        [$($c:ident)*] [$($p:ident)*] [$($f:ident)*] [$($r:ident)*] $last:ident) => {
        $($m)*
        #[allow(dead_code, missing_docs, missing_debug_implementations, non_camel_case_types, non_snake_case, non_upper_case_globals, private_bounds, private_interfaces, unreachable_pub, unused_imports, clippy::all)]
        $($vis)* mod $w {
            use $crate::workflow::made as __made;
            use $crate::workflow::made::IfNot as _;
            use $crate::workflow::menu as __menu;

            /// The steps, as types.
            pub mod step {
                $($crate::__workflow_module! { @step $nested $n })+
            }

            /// The command is sent and its reply is not there, or people have not decided.
            $($inner)* struct Awaiting<S>(::core::marker::PhantomData<fn() -> S>);
            /// The participant of a silent step says whether it was done.
            $($inner)* struct Forestalling<S>(::core::marker::PhantomData<fn() -> S>);
            /// A person says what became of a silent step.
            $($inner)* struct Parked<S>(::core::marker::PhantomData<fn() -> S>);
            /// The undo is sent and its reply is not there.
            $($inner)* struct Undoing<S>(::core::marker::PhantomData<fn() -> S>);
            /// A person says what became of a silent undo.
            $($inner)* struct Stuck<S>(::core::marker::PhantomData<fn() -> S>);

            /// The workflow, as a type.
            $($inner)* enum This {}

            /// What only this table's code can make.
            $($inner)* struct Key(());
            const KEY: &Key = &Key(());

            /// What is sent for each step.
            #[diagnostic::on_unimplemented(
                message = "`{Self}` does not say what is sent for each step of this workflow",
                label = "needs `impl Ask for {Self}`, with a method for each step"
            )]
            pub trait Ask { $($crate::__workflow_module! { @ask $k $n $($x)* })+ }
            /// What is sent to undo each compensatable step.
            #[diagnostic::on_unimplemented(
                message = "`{Self}` does not say how the compensatable steps of this workflow are undone",
                label = "needs `impl Undo for {Self}`, with a method for each compensatable step"
            )]
            pub trait Undo { $($crate::__workflow_module! { @undo $k $n $($x)* })+ }
            /// What is kept of each reply.
            #[diagnostic::on_unimplemented(
                message = "`{Self}` does not say what is kept of each reply of this workflow",
                label = "needs `impl Learn for {Self}`, with a method for each step that has a reply"
            )]
            pub trait Learn { $($crate::__workflow_module! { @learn $k $n $($x)* })+ }
            /// What this table is about: the one place where its data must say all that.
            trait Says {
                type Data: Ask + Undo + Learn;
            }
            impl Says for This {
                type Data = super::$data;
            }
            // In one constant, so that a role is refused once, however often it is asked.
            const _: () = {
                $(__made::is_role::<super::$r>();)*
                $(::core::assert!(
                    !__made::Of::<super::$r>::IS_DEFAULT,
                    ::core::concat!("the key of `", ::core::stringify!($r), "` is `Default`, and so anybody can decide in that role: \
                        a key is a struct with a private field, which the login makes")
                );)*
                const NAMES: &[&[(&::core::primitive::str, &::core::primitive::str)]] =
                    &[&[$((::core::stringify!($r), __made::Of::<super::$r>::NAME)),*]];
                $(::core::assert!(
                    !__made::Of::<super::$r>::IS_NAMELESS,
                    ::core::concat!("the NAME of `", ::core::stringify!($r), "` is empty: votes are counted by it")
                );
                ::core::assert!(
                    !__made::is_taken(NAMES, ::core::stringify!($r), __made::Of::<super::$r>::NAME),
                    ::core::concat!("`", ::core::stringify!($r), "` has the NAME of another role of this table: votes are counted \
                        by it, and so each role has its own")
                );)*
            };
            // In one constant too: an event that two rows share is refused once.
            const _: () = {
                const TYPES: &[&[(&::core::primitive::str, &::core::primitive::str)]] =
                    &[$($crate::__workflow_module!(@events [@typed] $k $($x)*)),+];
                $($crate::__workflow_module! { @events [@own_type TYPES] $k $($x)* })+
            };

            impl $crate::workflow::Workflow for This {
                const NAME: &'static ::core::primitive::str = $crate::__private::name(::core::stringify!($w));
                const VERSION: ::core::primitive::u32 = $v;
                const FINGERPRINT: ::core::primitive::u64 = Self::DEFINITION.fingerprint();
                const DEFINITION: __made::Definition = __made::Definition {
                    name: Self::NAME,
                    version: Self::VERSION,
                    requested_by: $crate::__workflow_module!(@by $($by)?),
                    steps: &[$(<step::$n as __made::Declared>::STEP),+],
                };
                type Data = super::$data;
                type Any = Any;
                type Key = Key;

                fn visit<V: __made::Visitor<Self>>(at: Any, visitor: V) -> V::Out {
                    match at {
                        $(Any::Awaiting(at::Awaiting::$n(at)) => visitor.visit(at),)+
                        $(Any::Forestalling(at::Forestalling::$f(at)) => visitor.visit(at),)*
                        $(Any::Parked(at::Parked::$p(at)) => visitor.visit(at),)*
                        $(Any::Undoing(at::Undoing::$c(at)) => visitor.visit(at),)*
                        $(Any::Stuck(at::Stuck::$c(at)) => visitor.visit(at),)*
                        Any::Completed(at) => visitor.visit(at),
                        Any::Undone(at) => visitor.visit(at),
                        Any::GivenUp(at) => visitor.visit(at),
                    }
                }

                fn place(stored: __made::Stored<Self>) -> ::core::result::Result<Any, __made::Stored<Self>> {
                    use $crate::workflow::Status;
                    ::core::result::Result::Ok(match (stored.status(), stored.step()) {
                        $((Status::Awaiting, ::core::stringify!($n)) => Any::Awaiting(at::Awaiting::$n(__made::load(stored, KEY))),)+
                        $((Status::Forestalling, ::core::stringify!($f)) => Any::Forestalling(at::Forestalling::$f(__made::load(stored, KEY))),)*
                        $((Status::Parked, ::core::stringify!($p)) => Any::Parked(at::Parked::$p(__made::load(stored, KEY))),)*
                        $((Status::Undoing, ::core::stringify!($c)) => Any::Undoing(at::Undoing::$c(__made::load(stored, KEY))),)*
                        $((Status::Stuck, ::core::stringify!($c)) => Any::Stuck(at::Stuck::$c(__made::load(stored, KEY))),)*
                        (Status::Completed, "") => Any::Completed(__made::load(stored, KEY)),
                        (Status::Undone, "") => Any::Undone(__made::load(stored, KEY)),
                        (Status::GivenUp, "") => Any::GivenUp(__made::load(stored, KEY)),
                        _ => return ::core::result::Result::Err(stored),
                    })
                }

                fn check_shown(
                    approval: &::core::primitive::str,
                    shown: &[::core::primitive::u8],
                ) -> ::core::result::Result<(), $crate::workflow::WireError> {
                    match approval {
                        $(::core::stringify!($n) => __made::check_shown::<step::$n>(shown),)+
                        _ => ::core::result::Result::Ok(()),
                    }
                }

                fn shown(
                    approval: &::core::primitive::str,
                    data: &super::$data,
                ) -> ::core::option::Option<::core::result::Result<::std::vec::Vec<::core::primitive::u8>, $crate::workflow::WireError>> {
                    $($crate::__workflow_module! { @shown approval data $k $n })+
                    ::core::option::Option::None
                }

                fn is_needed(approval: &::core::primitive::str, data: &super::$data) -> ::core::primitive::bool {
                    $($crate::__workflow_module! { @needed approval data $k $n $($x)* })+
                    true
                }

                $(fn lead(record: &__made::InstanceRecord) -> ::core::result::Result<Any, __made::RecordError> {
                    __made::lead::<super::$($old)::+::This, Self>(record, KEY)
                })?
            }

            $crate::__workflow_law! { Versioned at $w: This, <This as $crate::workflow::Workflow>::VERSION != 0 }
            $($crate::__workflow_law! { Earlier at $w: super::$($old)::+::This, __made::is_earlier::<super::$($old)::+::This, This>() })?
            $($crate::__workflow_law! { @row $n })+
            $crate::__workflow_module! { @seal $w $v [$($seal)?] }

            $($crate::__workflow_module! { @next $n [$($prev)?] })+
            impl __made::Next for step::$last {
                type To = $crate::workflow::Completed<This>;
            }
            $($crate::__workflow_step! { $k $n $back $($x)* })+

            $crate::__workflow_module! { @start $data [$($by)?] $($n)+ }

            /// An instance at any stage.
            #[derive(Debug)]
            pub enum Any {
                Awaiting(at::Awaiting),
                Forestalling(at::Forestalling),
                Parked(at::Parked),
                Undoing(at::Undoing),
                Stuck(at::Stuck),
                Completed($crate::workflow::Instance<$crate::workflow::Completed<This>>),
                Undone($crate::workflow::Instance<$crate::workflow::Undone<This>>),
                GivenUp($crate::workflow::Instance<$crate::workflow::GivenUp<This>>),
            }
            $crate::__workflow_module! { @end Completed Undone GivenUp }

            /// An instance by the step that its stage belongs to.
            pub mod at {
                use super::step;

                #[derive(Debug)]
                pub enum Awaiting { $($n($crate::workflow::Instance<super::Awaiting<step::$n>>)),+ }
                #[derive(Debug)]
                pub enum Forestalling { $($f($crate::workflow::Instance<super::Forestalling<step::$f>>)),* }
                #[derive(Debug)]
                pub enum Parked { $($p($crate::workflow::Instance<super::Parked<step::$p>>)),* }
                #[derive(Debug)]
                pub enum Undoing { $($c($crate::workflow::Instance<super::Undoing<step::$c>>)),* }
                #[derive(Debug)]
                pub enum Stuck { $($c($crate::workflow::Instance<super::Stuck<step::$c>>)),* }
            }
        }
    };

    (@step [$($vis:tt)*] $n:ident) => { $($vis)* enum $n {} };
    (@by) => { ::core::option::Option::None };
    (@by $by:ident) => { ::core::option::Option::Some(__made::Of::<super::$by>::NAME) };
    (@shown $approval:ident $data:ident approval $n:ident) => {
        if $approval == ::core::stringify!($n) {
            return ::core::option::Option::Some(__made::written::<step::$n>(&step::$n::shown::<This>($data)));
        }
    };
    (@shown $($other:tt)*) => {};
    (@needed $approval:ident $data:ident approval $n:ident $by:ident $shown:ident [$($when:ident)::+] $asks:tt) => {
        if $approval == ::core::stringify!($n) {
            return step::$n::WHEN($data);
        }
    };
    (@needed $($other:tt)*) => {};
    (@seal $w:ident $v:literal []) => {};
    (@seal $w:ident $v:literal [$seal:literal]) => {
        const _: () = {
            const WORDS: &::core::primitive::str = ::core::concat!(
                "version ", ::core::stringify!($v), " of `", ::core::stringify!($w), "` was sealed with another table; this one is 0x________________: \
                 give it version ", ::core::stringify!($v), " + 1, and say what becomes of the instances that run (or seal it anew, if none does)");
            const SEAL: ::core::primitive::u64 = <This as $crate::workflow::Workflow>::FINGERPRINT;
            const TEXT: [::core::primitive::u8; WORDS.len()] = __made::filled(WORDS, SEAL);
            const SEALED: ::core::primitive::u64 = $seal;
            if SEAL != SEALED {
                ::core::panic!("{}", __made::text(&TEXT));
            }
        };
    };
    (@next $n:ident []) => {};
    (@next $n:ident [$prev:ident]) => {
        impl __made::Next for step::$prev {
            type To = step::$n;
        }
    };
    (@events $then:tt approval $($x:tt)*) => { $crate::__workflow_module! { @of $then } };
    (@events $then:tt pivot $needs:tt ($($event:ident)+) $($x:tt)*) => { $crate::__workflow_module! { @of $then $($event)+ } };
    (@events $then:tt compensatable ($($event:ident)+) ($($undo:ident)+) $($x:tt)*) => {
        $crate::__workflow_module! { @of $then $($event)+ $($undo)+ }
    };
    (@events $then:tt retriable ($($event:ident)+) $($x:tt)*) => { $crate::__workflow_module! { @of $then $($event)+ } };
    (@of [@typed] $($event:ident)*) => {
        &[$((::core::stringify!($event), __made::Of::<super::$event>::TYPE)),*]
    };
    (@of [@own_type $types:ident] $($event:ident)*) => { $(
        ::core::assert!(
            !__made::Of::<super::$event>::IS_TYPELESS,
            ::core::concat!("the TYPE of `", ::core::stringify!($event), "` is empty: a receiver knows an event by its TYPE")
        );
        ::core::assert!(
            !__made::is_taken($types, ::core::stringify!($event), __made::Of::<super::$event>::TYPE),
            ::core::concat!("`", ::core::stringify!($event), "` has the TYPE of another event of this table: a receiver \
                knows an event by its TYPE, and so each has its own")
        );
    )* };
    (@end $($end:ident)+) => { $(
        impl ::core::convert::From<$crate::workflow::Instance<$crate::workflow::$end<This>>> for Any {
            fn from(at: $crate::workflow::Instance<$crate::workflow::$end<This>>) -> Self {
                Any::$end(at)
            }
        }
    )+ };
    (@start $data:ident [] $first:ident $($n:ident)*) => {
        /// Begins an instance.
        pub fn start(id: $crate::workflow::InstanceId<This>, data: super::$data) -> __made::EntranceOf<step::$first> {
            let at = __made::begin::<This, __made::Anybody>(id, data, ::core::option::Option::None, KEY);
            __made::enter::<_, step::$first>(at, __made::Moved::started(), KEY)
        }
    };
    (@start $data:ident [$by:ident] $first:ident $($n:ident)*) => {
        /// Begins an instance, for the person who sits in the seat.
        pub fn start(
            id: $crate::workflow::InstanceId<This>,
            data: super::$data,
            requester: &$crate::workflow::Seat<super::$by>,
        ) -> __made::EntranceOf<step::$first> {
            let at = __made::begin::<This, super::$by>(id, data, ::core::option::Option::Some(requester), KEY);
            __made::enter::<_, step::$first>(at, __made::Moved::started(), KEY)
        }
    };

    // What the three traits say of each kind.
    (@ask compensatable $n:ident ($do:ident $($x:tt)*) $($y:tt)*) => { fn $n(&self) -> super::$do; };
    (@ask approval $n:ident $by:ident $shown:ident $($x:tt)*) => { fn $n(&self) -> super::$shown; };
    (@ask pivot $n:ident [] ($do:ident $($x:tt)*) $($y:tt)*) => { fn $n(&self) -> super::$do; };
    (@ask pivot $n:ident [$a:ident] ($do:ident $($x:tt)*) $($y:tt)*) => {
        fn $n(&self, cleared: &$crate::workflow::Cleared<step::$a>) -> super::$do;
    };
    (@ask retriable $n:ident ($do:ident $($x:tt)*) $($y:tt)*) => { fn $n(&self) -> super::$do; };
    (@undo compensatable $n:ident $do:tt ($un:ident $gone:ident) $($y:tt)*) => { fn $n(&self) -> super::$un; };
    (@undo $($other:tt)*) => {};
    (@learn approval $($x:tt)*) => {};
    (@learn pivot $n:ident $needs:tt ($do:ident $ok:ident $no:ident) $($y:tt)*) => { fn $n(&mut self, reply: super::$ok); };
    (@learn $k:ident $n:ident ($do:ident $ok:ident $($no:ident)?) $($y:tt)*) => { fn $n(&mut self, reply: super::$ok); };
}
