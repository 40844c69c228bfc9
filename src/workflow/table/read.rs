//! The grammar of `workflow!`: legal rows are read whole, and what is left says what is
//! wrong with it.

/// Reads one row after another, in `@row head (phase) [rows] [compensatable] [parked]
/// [forestalled] (before) rest`: what was read so far, the steps that have stages besides
/// `Awaiting`, and the step before with the last compensatable one and the roles.
///
/// A legal row is read in one step, so that a table of 40 fits the compiler's default
/// recursion limit.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_read {
    // ---- names that cannot be had ----
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} $phase:tt $s:tt $c:tt $p:tt $f:tt $b:tt $k:ident return $($rest:tt)*) => {
        $crate::__workflow_read! { @keyword $w return }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} $phase:tt $s:tt $c:tt $p:tt $f:tt $b:tt $k:ident type $($rest:tt)*) => {
        $crate::__workflow_read! { @keyword $w type }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} $phase:tt $s:tt $c:tt $p:tt $f:tt $b:tt $k:ident match $($rest:tt)*) => {
        $crate::__workflow_read! { @keyword $w match }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} $phase:tt $s:tt $c:tt $p:tt $f:tt $b:tt $k:ident move $($rest:tt)*) => {
        $crate::__workflow_read! { @keyword $w move }
    };
    (@keyword $w:ident $n:tt) => {
        $crate::__workflow_refused! { $w
            "a step of the workflow `", ::core::stringify!($w), "` is called `", ::core::stringify!($n),
            "`, which is a word of the language: give it another name" }
    };

    // ---- legal rows ----
    (@row $h:tt (before) [$($s:tt)*] [$($c:tt)*] $p:tt $f:tt ($prev:tt $back:tt [$($roles:ident)*])
        compensatable $n:ident : $do:ident => $ok:ident | $no:ident ,
        undone by $un:ident => $gone:ident within $ut:literal $uu:ident
            else asks $($($unum:literal of)? $ur:ident within $urt:literal $uru:ident $(remind after $umt:literal $umu:ident)?)then+ ,
        within $t:literal $u:ident else undo ; $($rest:tt)*) => {
        $crate::__workflow_read! { @row $h (before)
            [$($s)* {compensatable $n $prev $back ($do $ok $no) ($un $gone) ($ut $uu)
                [$({[$($unum)?] $ur ($urt $uru) [$(($umt $umu))?]})+] ($t $u) []}]
            [$($c)* $n] $p $f ([$n] [$n] [$($roles)* $($ur)+]) $($rest)* }
    };
    (@row $h:tt (before) [$($s:tt)*] [$($c:tt)*] [$($p:tt)*] $f:tt ($prev:tt $back:tt [$($roles:ident)*])
        compensatable $n:ident : $do:ident => $ok:ident | $no:ident ,
        undone by $un:ident => $gone:ident within $ut:literal $uu:ident
            else asks $($($unum:literal of)? $ur:ident within $urt:literal $uru:ident $(remind after $umt:literal $umu:ident)?)then+ ,
        within $t:literal $u:ident
            else asks $($($num:literal of)? $r:ident within $rt:literal $ru:ident $(remind after $mt:literal $mu:ident)?)then+ ; $($rest:tt)*) => {
        $crate::__workflow_read! { @row $h (before)
            [$($s)* {compensatable $n $prev $back ($do $ok $no) ($un $gone) ($ut $uu)
                [$({[$($unum)?] $ur ($urt $uru) [$(($umt $umu))?]})+] ($t $u)
                [$({[$($num)?] $r ($rt $ru) [$(($mt $mu))?]})+]}]
            [$($c)* $n] [$($p)* $n] $f ([$n] [$n] [$($roles)* $($ur)+ $($r)+]) $($rest)* }
    };
    (@row {[$by:ident] $($h:tt)*} (before) [$($s:tt)*] $c:tt $p:tt $f:tt ($prev:tt $back:tt [$($roles:ident)*])
        approval $n:ident of $shown:ident $(when $($when:ident)::+)? :
        asks $($($num:literal of)? $r:ident within $rt:literal $ru:ident $(remind after $mt:literal $mu:ident)?)then+
        else refuse ; $($rest:tt)*) => {
        $crate::__workflow_read! { @row {[$by] $($h)*} (before)
            [$($s)* {approval $n $prev $back $by $shown [$($($when)::+)?] [$({[$($num)?] $r ($rt $ru) [$(($mt $mu))?]})+]}]
            $c $p $f ([$n] $back [$($roles)* $($r)+]) $($rest)* }
    };
    (@row $h:tt (before) [$($s:tt)*] $c:tt [$($p:tt)*] [$($f:tt)*] ($prev:tt $back:tt [$($roles:ident)*])
        pivot $n:ident $(needs $a:ident)? : $do:ident => $ok:ident | $no:ident ,
        within $t:literal $u:ident
            else forestall within $ft:literal $fu:ident , then
            asks $($($num:literal of)? $r:ident within $rt:literal $ru:ident $(remind after $mt:literal $mu:ident)?)then+ ; $($rest:tt)*) => {
        $crate::__workflow_read! { @row $h (behind $n)
            [$($s)* {pivot $n $prev $back [$($a)?] ($do $ok $no) ($t $u) [($ft $fu)]
                [$({[$($num)?] $r ($rt $ru) [$(($mt $mu))?]})+]}]
            $c [$($p)* $n] [$($f)* $n] ([$n] $back [$($roles)* $($r)+]) $($rest)* }
    };
    (@row $h:tt (before) [$($s:tt)*] $c:tt [$($p:tt)*] $f:tt ($prev:tt $back:tt [$($roles:ident)*])
        pivot $n:ident $(needs $a:ident)? : $do:ident => $ok:ident | $no:ident ,
        within $t:literal $u:ident
            else asks $($($num:literal of)? $r:ident within $rt:literal $ru:ident $(remind after $mt:literal $mu:ident)?)then+ ; $($rest:tt)*) => {
        $crate::__workflow_read! { @row $h (behind $n)
            [$($s)* {pivot $n $prev $back [$($a)?] ($do $ok $no) ($t $u) []
                [$({[$($num)?] $r ($rt $ru) [$(($mt $mu))?]})+]}]
            $c [$($p)* $n] $f ([$n] $back [$($roles)* $($r)+]) $($rest)* }
    };
    (@row $h:tt $phase:tt [$($s:tt)*] $c:tt [$($p:tt)*] $f:tt ($prev:tt $back:tt [$($roles:ident)*])
        retriable $n:ident : $do:ident => $ok:ident ,
        within $t:literal $u:ident
            else asks $($($num:literal of)? $r:ident within $rt:literal $ru:ident $(remind after $mt:literal $mu:ident)?)then+ ; $($rest:tt)*) => {
        $crate::__workflow_read! { @row $h (after $n)
            [$($s)* {retriable $n $prev $back ($do $ok) ($t $u)
                [$({[$($num)?] $r ($rt $ru) [$(($mt $mu))?]})+]}]
            $c [$($p)* $n] $f ([$n] $back [$($roles)* $($r)+]) $($rest)* }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} $phase:tt [$({$k:ident $n:ident $($x:tt)*})+] $c:tt $p:tt $f:tt ([$last:ident] $back:tt $r:tt)) => {
        $crate::__workflow_distinct! {
            ($) { $crate::__workflow_module! { {$by $m $vis $w $($h)*} [$({$k $n $($x)*})+] $c $p $f $r $last } }
            ($w "` is a step of the workflow `", ::core::stringify!($w), "` twice: a reply names its step, and so no two have one name")
            $($n)+
        }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} (before) [] [] [] [] $b:tt) => {
        $crate::__workflow_refused! { $w
            "the workflow `", ::core::stringify!($w), "` has no step: write one row at least, such as \
             `retriable name: Command => Reply, within 1 h else asks Role within 4 h;`" }
    };

    // ---- rows in the wrong place ----
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} (behind $p:ident) $s:tt $c:tt $q:tt $f:tt $b:tt compensatable $n:ident $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the compensatable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` stands behind the pivot `", ::core::stringify!($p),
            "`, where nothing is undone any more: move it before the pivot, or make it retriable" }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} (behind $p:ident) $s:tt $c:tt $q:tt $f:tt $b:tt approval $n:ident $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the approval `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` stands behind the pivot `", ::core::stringify!($p),
            "`, where a refusal comes too late: ask before the pivot" }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} (behind $p:ident) $s:tt $c:tt $q:tt $f:tt $b:tt pivot $n:ident $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the workflow `", ::core::stringify!($w), "` has two pivots: with `", ::core::stringify!($p), "` done and `", ::core::stringify!($n),
            "` refused there is no way on, and none back; make `", ::core::stringify!($n), "` compensatable and put it before `", ::core::stringify!($p),
            "`, or make it retriable" }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} (after $p:ident) $s:tt $c:tt $q:tt $f:tt $b:tt compensatable $($rest:tt)*) => {
        $crate::__workflow_read! { @order $w $p compensatable $($rest)* }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} (after $p:ident) $s:tt $c:tt $q:tt $f:tt $b:tt approval $($rest:tt)*) => {
        $crate::__workflow_read! { @order $w $p approval $($rest)* }
    };
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} (after $p:ident) $s:tt $c:tt $q:tt $f:tt $b:tt pivot $($rest:tt)*) => {
        $crate::__workflow_read! { @order $w $p pivot $($rest)* }
    };
    (@order $w:ident $p:ident $k:ident $n:ident $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the ", ::core::stringify!($k), " `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` stands behind the retriable step `", ::core::stringify!($p),
            "`: the order is compensatable steps and approvals, then one pivot or none, then retriable steps" }
    };

    // ---- rows that lack something ----
    (@row {$by:tt $m:tt $vis:tt $w:ident $($h:tt)*} $phase:tt $s:tt $c:tt $p:tt $f:tt $b:tt $($row:tt)+) => {
        $crate::__workflow_amiss! { $by $w $($row)+ }
    };
}

/// Goes on with a table where no two of the names are the same, and refuses it with these
/// words where two are.
// Two names at a time are compared with all behind them, so that the depth of the
// expansion grows by one for each name. What goes on is handed through: a token in the body
// of a macro stands at that macro in an error.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_distinct {
    (($d:tt) $then:tt $words:tt $one:ident $two:ident $($later:ident)*) => {
        macro_rules! __twice {
            ($two $two $d then:tt) => { $crate::__workflow_distinct! { @twice $two $words } };
            $(
                ($later $d other:ident $d then:tt) => { $crate::__workflow_distinct! { @twice $later $words } };
                ($d other:ident $later $d then:tt) => { $crate::__workflow_distinct! { @twice $later $words } };
            )*
            ($d one:ident $d two:ident $d then:tt) => { $crate::__workflow_distinct! { ($d) $d then $words $($later)* } };
        }
        __twice! { $one $two $then }
    };
    (@twice $name:ident ($at:ident $($words:tt)+)) => {
        $crate::__workflow_refused! { $at "`", ::core::stringify!($name), $($words)+ }
    };
    ($d:tt { $($then:tt)* } $words:tt $($last:ident)?) => { $($then)* };
}
