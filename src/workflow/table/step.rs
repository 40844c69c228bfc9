//! What a row becomes: the stages of its step, and an implementation for each legal verb.

/// Makes the stages and verbs of one row. `$back` names the last compensatable step
/// before it, where there is one.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_step {
    (compensatable $n:ident [$($back:ident)?] ($do:ident $ok:ident $no:ident) ($un:ident $gone:ident)
        ($ut:literal $uu:ident) $undo_asks:tt ($t:literal $u:ident) $asks:tt) => {
        impl __made::Declared for step::$n {
            const STEP: __made::Step = __made::step(::core::stringify!($n), __made::Kind::Compensatable)
                .does(__made::Of::<super::$do>::TYPE, __made::Of::<super::$ok>::TYPE, $crate::__workflow_step!(@in $t $u))
                .refused(__made::Of::<super::$no>::TYPE)
                .undone(__made::Of::<super::$un>::TYPE, __made::Of::<super::$gone>::TYPE, $crate::__workflow_step!(@in $ut $uu), $crate::__workflow_step!(@chain $undo_asks))
                .asks($crate::__workflow_step!(@chain $asks));
            type Workflow = This;
            type Shown = __made::Nothing;
        }
        $crate::__workflow_law! { OwnUndo at $un: step::$n, !__made::are_one(::core::stringify!($do), ::core::stringify!($un)) }
        impl __made::Undoable for step::$n {
            type Undo = super::$un;
            type Undone = super::$gone;
        }
        $crate::__workflow_step! { @commanded $n $do $ok $no }
        $crate::__workflow_step! { @replies $n $ok $no }
        $crate::__workflow_step! { @entrance $n }
        $crate::__workflow_step! { @learned $n $ok }
        $crate::__workflow_step! { @sent Awaiting $n Ask send_do $do }
        $crate::__workflow_step! { @sent Undoing $n Undo send_undo $un }

        $crate::__workflow_step! { @stage Awaiting $n (__menu::done<super::$ok>, __menu::refused<super::$no>, __menu::timed_out, __menu::cancel) }
        $crate::__workflow_step! { @answers Awaiting $n $ok }
        $crate::__workflow_step! { @refuses Awaiting $n $no [$($back)?] }
        $crate::__workflow_step! { @cancels Awaiting $n Undoing<step::$n> }
        $crate::__workflow_step! { @silent $n $asks }
        impl __made::Drive for Awaiting<step::$n> {
            $crate::__workflow_step! { @drive Awaiting $n, done_or_refused::<Self, step::$n> }
            fn decide(at: __made::At<Self>, choice: __made::Choice, by: __made::AnyRuling) -> __made::Decided<Self> {
                __made::cancel(at, choice, by)
            }
        }

        $crate::__workflow_step! { @parked $n $asks ($ok $no) [$($back)?] }

        $crate::__workflow_step! { @stage Undoing $n (__menu::undone<super::$gone>, __menu::timed_out) }
        $crate::__workflow_step! { @undoes Undoing $n $gone [$($back)?] }
        $crate::__workflow_step! { @waits Undoing $n Stuck<step::$n> }
        impl __made::Drive for Undoing<step::$n> {
            $crate::__workflow_step! { @drive Undoing $n, undone::<Self, step::$n> }
        }

        $crate::__workflow_step! { @stage Stuck $n (__menu::settle<$crate::__workflow_step!(@roles $undo_asks)>, __menu::undone<super::$gone>, __menu::timed_out) }
        $crate::__workflow_step! { @undoes Stuck $n $gone [$($back)?] }
        $crate::__workflow_step! { @asks_on Stuck $n $undo_asks }
        $crate::__workflow_step! { @must_succeed Stuck $n Undoing<step::$n> }
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Happens<Stuck<step::$n>> for super::$gone {
            type Then = $crate::workflow::Advance<$crate::__workflow_step!(@back $($back)?)>;
            fn happened(self, at: __made::At<Stuck<step::$n>>, by: __made::Granted<Stuck<step::$n>>) -> Self::Then {
                __made::go(at, __made::Moved::happened(by), KEY)
            }
        }
        impl __made::Drive for Stuck<step::$n> {
            $crate::__workflow_step! { @drive Stuck $n, undone::<Self, step::$n> }
            $crate::__workflow_step! { @settled $undo_asks, must_be_undone::<Self, step::$n, Undoing<step::$n>> }
        }
    };
    (approval $n:ident $back:tt $by:ident $shown:ident [$($($when:ident)::+)?] [$({$num:tt $r:ident $t:tt $remind:tt})+]) => {
        impl __made::Declared for step::$n {
            const STEP: __made::Step = __made::step(::core::stringify!($n), __made::Kind::Approval)
                $(.when(::core::stringify!($($when)::+)))?
                .asks($crate::__workflow_step!(@chain [$({$num $r $t $remind})+]));
            type Workflow = This;
            type Shown = super::$shown;
        }
        $($crate::__workflow_law! { FourEyes at $r: step::$n, !__made::are_one(::core::stringify!($r), ::core::stringify!($by)) })+
        impl step::$n {
            $(const WHEN: fn(&__made::DataOf<Awaiting<Self>>) -> ::core::primitive::bool = super::$($when)::+;)?

            fn shown<T: Says>(data: &T::Data) -> super::$shown {
                <T::Data as Ask>::$n(data)
            }
        }
        $crate::__workflow_step! { @entrance $n $($($when)::+)? }
        impl __made::Enter for Awaiting<step::$n> {
            fn enter(at: &mut __made::At<Self>, key: &Key) {
                let shown = step::$n::shown::<This>(at.data());
                __made::show::<_, step::$n>(at, &shown, key);
            }
        }

        $crate::__workflow_step! { @stage Awaiting $n (__menu::decide<($(super::$r,)+)>, __menu::amend, __menu::timed_out, __menu::cancel) }
        $crate::__workflow_step! { @decide $n $back [$($num)+] $($r)+ }
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Amends for Awaiting<step::$n> {
            fn amended(at: __made::At<Self>, by: $crate::workflow::By) -> $crate::workflow::Advance<Self> {
                __made::amended(at, by, KEY)
            }
        }
        $crate::__workflow_step! { @cancels Awaiting $n $crate::__workflow_step!(@back_of $back) }
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Waits<$crate::workflow::Escalated<Self, $crate::__workflow_step!(@back_of $back)>> for Awaiting<step::$n> {
            fn timed_out(at: __made::At<Self>) -> $crate::workflow::Escalated<Self, $crate::__workflow_step!(@back_of $back)> {
                __made::escalate(at, KEY)
            }
        }
        impl __made::Drive for Awaiting<step::$n> {
            fn any(at: __made::At<Self>) -> Any {
                Any::Awaiting(at::Awaiting::$n(at))
            }
            fn due(at: __made::At<Self>) -> __made::Due<Self> {
                __made::due(at)
            }
            fn decide(at: __made::At<Self>, choice: __made::Choice, by: __made::AnyRuling) -> __made::Decided<Self> {
                __made::by_role_or_cancel(at, choice, by, &[$(__made::Asks::approval::<super::$r>()),+])
            }
        }
    };
    (pivot $n:ident [$($back:ident)?] [$($a:ident)?] ($do:ident $ok:ident $no:ident) ($t:literal $u:ident) [$(($ft:literal $fu:ident))?] $asks:tt) => {
        $($crate::__workflow_law! { Approves at $a: step::$a, __made::is_approval(&<step::$a as __made::Declared>::STEP) })?
        impl __made::Declared for step::$n {
            const STEP: __made::Step = __made::step(::core::stringify!($n), __made::Kind::Pivot)
                .does(__made::Of::<super::$do>::TYPE, __made::Of::<super::$ok>::TYPE, $crate::__workflow_step!(@in $t $u))
                .refused(__made::Of::<super::$no>::TYPE)
                $(.needs(::core::stringify!($a)))?
                $(.forestall_within($crate::__workflow_step!(@in $ft $fu)))?
                .asks($crate::__workflow_step!(@chain $asks));
            type Workflow = This;
            type Shown = __made::Nothing;
        }
        $crate::__workflow_step! { @commanded $n $do $ok $no }
        $crate::__workflow_step! { @replies $n $ok $no }
        $crate::__workflow_step! { @entrance $n }
        $crate::__workflow_step! { @learned $n $ok }
        $crate::__workflow_step! { @sent Awaiting $n Ask send_do $do $($a)? }

        $crate::__workflow_step! { @stage Awaiting $n (__menu::done<super::$ok>, __menu::refused<super::$no>, __menu::timed_out) }
        $crate::__workflow_step! { @answers Awaiting $n $ok }
        $crate::__workflow_step! { @refuses Awaiting $n $no [$($back)?] }
        impl __made::Drive for Awaiting<step::$n> {
            $crate::__workflow_step! { @drive Awaiting $n, done_or_refused::<Self, step::$n> }
        }
        $crate::__workflow_step! { @forestalls $n ($ok $no) [$($back)?] [$($ft)?] $asks }
    };
    (retriable $n:ident $back:tt ($do:ident $ok:ident) ($t:literal $u:ident) $asks:tt) => {
        impl __made::Declared for step::$n {
            const STEP: __made::Step = __made::step(::core::stringify!($n), __made::Kind::Retriable)
                .does(__made::Of::<super::$do>::TYPE, __made::Of::<super::$ok>::TYPE, $crate::__workflow_step!(@in $t $u))
                .asks($crate::__workflow_step!(@chain $asks));
            type Workflow = This;
            type Shown = __made::Nothing;
        }
        $crate::__workflow_step! { @commanded $n $do $ok }
        $crate::__workflow_step! { @entrance $n }
        $crate::__workflow_step! { @learned $n $ok }
        $crate::__workflow_step! { @sent Awaiting $n Ask send_do $do }

        $crate::__workflow_step! { @stage Awaiting $n (__menu::done<super::$ok>, __menu::timed_out) }
        $crate::__workflow_step! { @answers Awaiting $n $ok }
        $crate::__workflow_step! { @waits Awaiting $n Parked<step::$n> }
        impl __made::Drive for Awaiting<step::$n> {
            $crate::__workflow_step! { @drive Awaiting $n, done::<Self, step::$n> }
        }

        $crate::__workflow_step! { @stage Parked $n (__menu::settle<$crate::__workflow_step!(@roles $asks)>, __menu::done<super::$ok>, __menu::timed_out) }
        $crate::__workflow_step! { @listens Parked $n $ok $asks }
        $crate::__workflow_step! { @must_succeed Parked $n Awaiting<step::$n> }
        impl __made::Drive for Parked<step::$n> {
            $crate::__workflow_step! { @drive Parked $n, done::<Self, step::$n> }
            $crate::__workflow_step! { @settled $asks, must_be_done::<Self, step::$n, Awaiting<step::$n>> }
        }
    };

    // ---- parked, and forestalled ----
    (@silent $n:ident []) => { $crate::__workflow_step! { @waits Awaiting $n Undoing<step::$n> } };
    (@silent $n:ident $asks:tt) => { $crate::__workflow_step! { @waits Awaiting $n Parked<step::$n> } };
    (@parked $n:ident [] $replies:tt $back:tt) => {};
    (@parked $n:ident $asks:tt ($ok:ident $no:ident) [$($back:ident)?]) => {
        $crate::__workflow_step! { @stage Parked $n (__menu::settle<$crate::__workflow_step!(@roles $asks)>, __menu::done<super::$ok>, __menu::refused<super::$no>, __menu::timed_out, __menu::cancel) }
        $crate::__workflow_step! { @listens Parked $n $ok $asks }
        $crate::__workflow_step! { @refuses Parked $n $no [$($back)?] }
        $crate::__workflow_step! { @cancels Parked $n Undoing<step::$n> }
        $crate::__workflow_step! { @undecided $n [$($back)?] }
        impl __made::Drive for Parked<step::$n> {
            $crate::__workflow_step! { @drive Parked $n, done_or_refused::<Self, step::$n> }
            fn decide(at: __made::At<Self>, choice: __made::Choice, by: __made::AnyRuling) -> __made::Decided<Self> {
                __made::by_role_or_cancel(at, choice, by,
                    &$crate::__workflow_step!(@settlers $asks, undecided::<Self, step::$n, $crate::__workflow_step!(@back $($back)?)>))
            }
        }
    };
    (@forestalls $n:ident ($ok:ident $no:ident) [$($back:ident)?] [] $asks:tt) => {
        $crate::__workflow_step! { @waits Awaiting $n Parked<step::$n> }
        $crate::__workflow_step! { @parked_pivot $n ($ok $no) [$($back)?] $asks, done_or_refused::<Self, step::$n> }
    };
    (@forestalls $n:ident ($ok:ident $no:ident) [$($back:ident)?] [$ft:literal] $asks:tt) => {
        $crate::__workflow_step! { @waits Awaiting $n Forestalling<step::$n> }
        impl __made::Enter for Forestalling<step::$n> {
            fn enter(at: &mut __made::At<Self>, key: &Key) {
                __made::send(at, &$crate::workflow::Forestall, key);
            }
        }
        $crate::__workflow_step! { @stage Forestalling $n (__menu::done<super::$ok>, __menu::refused<super::$no>, __menu::timed_out) }
        $crate::__workflow_step! { @answers Forestalling $n $ok }
        $crate::__workflow_step! { @refuses Forestalling $n $no [$($back)?] }
        $crate::__workflow_step! { @never Forestalling $n [$($back)?] }
        $crate::__workflow_step! { @never Parked $n [$($back)?] }
        $crate::__workflow_step! { @waits Forestalling $n Parked<step::$n> }
        impl __made::Drive for Forestalling<step::$n> {
            $crate::__workflow_step! { @drive Forestalling $n, done_or_never::<Self, step::$n> }
        }
        $crate::__workflow_step! { @parked_pivot $n ($ok $no) [$($back)?] $asks, done_or_never::<Self, step::$n> }
    };
    (@parked_pivot $n:ident ($ok:ident $no:ident) [$($back:ident)?] $asks:tt, $($replies:tt)+) => {
        $crate::__workflow_step! { @stage Parked $n (__menu::settle<$crate::__workflow_step!(@roles $asks)>, __menu::done<super::$ok>, __menu::refused<super::$no>, __menu::timed_out) }
        $crate::__workflow_step! { @listens Parked $n $ok $asks }
        $crate::__workflow_step! { @refuses Parked $n $no [$($back)?] }
        $crate::__workflow_step! { @undecided $n [$($back)?] }
        impl __made::Drive for Parked<step::$n> {
            $crate::__workflow_step! { @drive Parked $n, $($replies)+ }
            $crate::__workflow_step! { @settled $asks, undecided::<Self, step::$n, $crate::__workflow_step!(@back $($back)?)> }
        }
    };
    // A parked step still listens, is asked about level by level, and settled.
    (@listens Parked $n:ident $ok:ident $asks:tt) => {
        $crate::__workflow_step! { @answers Parked $n $ok }
        $crate::__workflow_step! { @asks_on Parked $n $asks }
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Happens<Parked<step::$n>> for super::$ok {
            type Then = __made::ThenOf<step::$n>;
            fn happened(self, at: __made::At<Parked<step::$n>>, by: __made::Granted<Parked<step::$n>>) -> Self::Then {
                step::$n::learned(at, self, __made::Moved::happened(by))
            }
        }
    };
    (@asks_on $stage:ident $n:ident [$({$num:tt $r:ident $t:tt $remind:tt})+]) => {
        impl __made::Enter for $stage<step::$n> {
            fn enter(_: &mut __made::At<Self>, _: &Key) {}
        }
        $crate::__workflow_step! { @once ($) $n (@settles $stage $n) $($r)+ }
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Waits<$crate::workflow::Advance<Self>> for $stage<step::$n> {
            fn timed_out(at: __made::At<Self>) -> $crate::workflow::Advance<Self> {
                __made::ask_on(at, KEY)
            }
        }
    };

    (@settles $stage:ident $n:ident $r:ident) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::MaySettle<$stage<step::$n>> for super::$r {
            const BY_TABLE: __made::ByTable<Self, $stage<step::$n>> = __made::by_table(KEY);
        }
    };
    // Each role of a chain may answer, and is asked once.
    (@once ($d:tt) $n:ident ($($may:tt)+) $r:ident $($later:ident)*) => {
        macro_rules! __twice {
            $(($later) => { $crate::__workflow_law! { AskedOnce at $r: step::$n, false } };)*
            ($d once:ident) => { $crate::__workflow_step! { $($may)+ $d once } };
        }
        __twice! { $r }
        $crate::__workflow_step! { @once ($d) $n ($($may)+) $($later)* }
    };
    (@once $d:tt $n:ident $may:tt) => {};

    // ---- one verb at one stage ----
    (@stage $stage:ident $n:ident ($($menu:tt)+)) => {
        impl $crate::workflow::Stage for $stage<step::$n> {
            type Workflow = This;
            const STATUS: $crate::workflow::Status = $crate::workflow::Status::$stage;
            const STEP: ::core::option::Option<&'static __made::Step> =
                ::core::option::Option::Some(&<step::$n as __made::Declared>::STEP);
            type Menu = ($($menu)+);
        }
    };
    (@entrance $n:ident) => {
        impl __made::Entrance<This> for step::$n {
            type Then = $crate::workflow::Advance<Awaiting<step::$n>>;
            fn enter<A: $crate::workflow::Stage<Workflow = This>>(at: __made::At<A>, moved: __made::Moved, key: &Key) -> Self::Then {
                __made::go(at, moved, key)
            }
        }
    };
    (@entrance $n:ident $($when:ident)::+) => {
        impl __made::Entrance<This> for step::$n {
            type Then = $crate::workflow::Asked<Awaiting<step::$n>, __made::ThenOf<step::$n>>;
            fn enter<A: $crate::workflow::Stage<Workflow = This>>(mut at: __made::At<A>, moved: __made::Moved, key: &Key) -> Self::Then {
                if step::$n::WHEN(at.data()) {
                    return $crate::workflow::Asked::Needed(__made::go(at, moved, key));
                }
                let shown = step::$n::shown::<This>(at.data());
                __made::not_needed::<_, step::$n>(&mut at, &shown, key);
                $crate::workflow::Asked::NotNeeded(__made::on::<_, step::$n>(at, moved, key))
            }
        }
    };
    (@learned $n:ident $ok:ident) => {
        impl step::$n {
            fn learned<A: $crate::workflow::Stage<Workflow = This>>(
                mut at: __made::At<A>,
                reply: super::$ok,
                moved: __made::Moved,
            ) -> __made::ThenOf<step::$n> {
                fn learn<T: Says>(data: &mut T::Data, reply: super::$ok) {
                    <T::Data as Learn>::$n(data, reply);
                }
                __made::learn(&mut at, |data| learn::<This>(data, reply), KEY);
                __made::on::<_, step::$n>(at, moved, KEY)
            }
        }
    };
    (@commanded $n:ident $do:ident $ok:ident $($no:ident)?) => {
        impl __made::Commanded for step::$n {
            type Do = super::$do;
            type Done = super::$ok;
        }
        $(impl __made::Refusable for step::$n {
            type Refused = super::$no;
        })?
    };
    (@sent $stage:ident $n:ident $trait:ident $send:ident $do:ident) => {
        impl __made::Enter for $stage<step::$n> {
            fn enter(at: &mut __made::At<Self>, key: &Key) {
                fn command<T: Says>(data: &T::Data) -> super::$do {
                    <T::Data as $trait>::$n(data)
                }
                let command = command::<This>(at.data());
                __made::$send::<_, step::$n>(at, &command, key);
            }
        }
    };
    (@sent $stage:ident $n:ident $trait:ident $send:ident $do:ident $a:ident) => {
        impl __made::Enter for $stage<step::$n> {
            fn enter(at: &mut __made::At<Self>, key: &Key) {
                fn command<T: Says>(data: &T::Data, cleared: &$crate::workflow::Cleared<step::$a>) -> super::$do {
                    <T::Data as $trait>::$n(data, cleared)
                }
                __made::send_cleared::<_, step::$n, step::$a>(at, command::<This>, key);
            }
        }
    };
    (@answers $stage:ident $n:ident $ok:ident) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Answers<$stage<step::$n>> for super::$ok {
            type Then = __made::ThenOf<step::$n>;
            fn done(self, at: __made::At<$stage<step::$n>>) -> Self::Then {
                step::$n::learned(at, self, __made::Moved::done())
            }
        }
    };
    (@refuses $stage:ident $n:ident $no:ident [$($back:ident)?]) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Refuses<$stage<step::$n>> for super::$no {
            type Back = $crate::__workflow_step!(@back $($back)?);
            fn refused(self, at: __made::At<$stage<step::$n>>) -> $crate::workflow::Advance<Self::Back> {
                __made::go(at, __made::Moved::refused(), KEY)
            }
        }
    };
    (@never $stage:ident $n:ident [$($back:ident)?]) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Refuses<$stage<step::$n>> for $crate::workflow::Forestalled {
            type Back = $crate::__workflow_step!(@back $($back)?);
            fn refused(self, at: __made::At<$stage<step::$n>>) -> $crate::workflow::Advance<Self::Back> {
                __made::go(at, __made::Moved::refused(), KEY)
            }
        }
    };
    (@undoes $stage:ident $n:ident $gone:ident [$($back:ident)?]) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Undoes<$stage<step::$n>> for super::$gone {
            type Back = $crate::__workflow_step!(@back $($back)?);
            fn undone(self, at: __made::At<$stage<step::$n>>) -> $crate::workflow::Advance<Self::Back> {
                __made::go(at, __made::Moved::undone(), KEY)
            }
        }
    };
    (@waits $stage:ident $n:ident $late:ty) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Waits<$crate::workflow::Advance<$late>> for $stage<step::$n> {
            fn timed_out(at: __made::At<Self>) -> $crate::workflow::Advance<$late> {
                __made::go(at, __made::Moved::timed_out(), KEY)
            }
        }
    };
    (@cancels $stage:ident $n:ident $back:ty) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Cancels<$crate::workflow::Advance<$back>> for $stage<step::$n> {
            fn cancel(at: __made::At<Self>, by: $crate::workflow::By) -> $crate::workflow::Advance<$back> {
                __made::go(at, __made::Moved::cancelled(by), KEY)
            }
        }
    };
    (@decide $n:ident $back:tt $nums:tt $($r:ident)+) => {
        $crate::__workflow_step! { @once ($) $n (@decides $n $back $nums) $($r)+ }
    };
    (@decides $n:ident $back:tt $nums:tt $r:ident) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Decides<Awaiting<step::$n>> for super::$r {
            const BY_TABLE: __made::ByTable<Self, Awaiting<step::$n>> = __made::by_table(KEY);
            type Then = $crate::__workflow_step!(@voted $n $nums);
            type Back = $crate::__workflow_step!(@back_of $back);
            fn approved(at: __made::At<Awaiting<step::$n>>, granted: __made::Granted<Awaiting<step::$n>>) -> Self::Then {
                $crate::__workflow_step!(@approved $n $nums at granted)
            }
            fn refused(at: __made::At<Awaiting<step::$n>>, by: __made::Granted<Awaiting<step::$n>>) -> $crate::workflow::Advance<Self::Back> {
                __made::go(at, __made::Moved::declined(by), KEY)
            }
        }
    };
    (@undecided $n:ident [$($back:ident)?]) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::Undecided<$crate::workflow::Advance<$crate::__workflow_step!(@back $($back)?)>> for Parked<step::$n> {
            fn did_not_happen(
                at: __made::At<Self>,
                by: __made::Granted<Self>,
                though_sent: ::core::primitive::bool,
            ) -> $crate::workflow::Advance<$crate::__workflow_step!(@back $($back)?)> {
                __made::did_not_happen(at, by, though_sent, KEY)
            }
        }
    };
    (@must_succeed $stage:ident $n:ident $again:ty) => {
        #[diagnostic::do_not_recommend]
        impl $crate::workflow::MustSucceed<$crate::workflow::Advance<$again>> for $stage<step::$n> {
            fn ask_again(at: __made::At<Self>, by: __made::Granted<Self>) -> $crate::workflow::Advance<$again> {
                __made::ask_again(at, by, KEY)
            }
            fn give_up(at: __made::At<Self>, by: __made::Granted<Self>) -> $crate::workflow::Advance<$crate::workflow::GivenUp<This>> {
                __made::give_up(at, by, KEY)
            }
        }
    };

    // ---- what machines do at a stage ----
    (@drive $stage:ident $n:ident, $($replies:tt)+) => {
        fn any(at: __made::At<Self>) -> Any {
            Any::$stage(at::$stage::$n(at))
        }
        fn reply(at: __made::At<Self>, event: &$crate::RawEvent) -> __made::Answer<Self> {
            __made::$($replies)+(at, event)
        }
        fn due(at: __made::At<Self>) -> __made::Due<Self> {
            __made::due(at)
        }
    };
    (@settled $asks:tt, $($word:tt)+) => {
        fn decide(at: __made::At<Self>, choice: __made::Choice, by: __made::AnyRuling) -> __made::Decided<Self> {
            __made::by_role(at, choice, by, &$crate::__workflow_step!(@settlers $asks, $($word)+))
        }
    };
    (@settlers [$({$num:tt $r:ident $t:tt $remind:tt})+], $($word:tt)+) => {
        $crate::__workflow_step!(@settlers_by ($($word)+) $($r)+)
    };
    (@settlers_by $word:tt $($r:ident)+) => {
        [$(__made::Asks::settling::<super::$r>($crate::__workflow_step!(@word $word))),+]
    };
    (@word ($($word:tt)+)) => { __made::$($word)+ };

    // ---- words of the table ----
    (@replies $n:ident $ok:ident $no:ident) => {
        $crate::__workflow_law! { TwoReplies at $no: step::$n, !__made::are_one(::core::stringify!($ok), ::core::stringify!($no)) }
    };
    (@back_of [$($back:ident)?]) => { $crate::__workflow_step!(@back $($back)?) };
    (@back) => { $crate::workflow::Undone<This> };
    (@back $back:ident) => { Undoing<step::$back> };
    (@voted $n:ident [$([])+]) => { __made::ThenOf<step::$n> };
    (@voted $n:ident $num:tt) => { $crate::workflow::Voted<Awaiting<step::$n>, __made::ThenOf<step::$n>> };
    (@approved $n:ident [$([])+] $at:ident $granted:ident) => { __made::approved::<_, step::$n>($at, $granted, KEY) };
    (@approved $n:ident $num:tt $at:ident $granted:ident) => { __made::voted::<_, step::$n>($at, $granted, KEY) };
    (@roles [$({$num:tt $r:ident $t:tt $remind:tt})+]) => { ($(super::$r,)+) };
    (@chain [$({[$($num:literal)?] $r:ident ($t:literal $u:ident) [$(($mt:literal $mu:ident))?]})*]) => {
        &[$($crate::__workflow_step!(@level
            (__made::level(__made::Of::<super::$r>::NAME, $crate::__workflow_step!(@wanted $($num)?), $crate::__workflow_step!(@in $t $u)))
            $($crate::__workflow_step!(@in $mt $mu))?)),*]
    };
    (@level ($level:expr)) => { $level };
    (@level ($level:expr) $reminder:expr) => { __made::reminded($level, $reminder) };
    (@wanted) => { 1 };
    (@wanted $num:literal) => { $num };
    (@in $t:literal s) => { __made::seconds($t, 1) };
    (@in $t:literal min) => { __made::seconds($t, 60) };
    (@in $t:literal h) => { __made::seconds($t, 3_600) };
    (@in $t:literal d) => { __made::seconds($t, 86_400) };
    (@in $t:literal $other:ident) => {{
        $crate::__workflow_law! { InUnits at $other: This, false }
        __made::seconds($t, 1)
    }};
}
