//! What is wrong with a row that stands where it may, and what is legal instead.

/// Refuses a table, in the module that it would have become: an import from a module with
/// an error in it is no second error.
// `compile_error!` stands at the whole table, whatever tokens it is given: it is where the
// macro's own tokens are. An error at one word is a law's, and a law needs the module.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_refused {
    ($w:ident $($words:tt)+) => {
        pub mod $w {
            ::core::compile_error!(::core::concat!($($words)+));
        }
    };
}

/// What is wrong with a row that stands where it may.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_amiss {
    ($by:tt $w:ident $k:ident $n:ident - $more:ident $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "a step of the workflow `", ::core::stringify!($w), "` is called `", ::core::stringify!($n), "-", ::core::stringify!($more),
            "`, and a name has no `-`: write `", ::core::stringify!($n), "_", ::core::stringify!($more), "`" }
    };
    ([] $w:ident approval $n:ident $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the workflow `", ::core::stringify!($w), "` asks for the approval `", ::core::stringify!($n),
            "`, and does not say who asks for it: write `of Data requested by Role` in its first line" }
    };
    ($by:tt $w:ident approval $n:ident of $sh:ident $(when $($wh:ident)::+)? :
        asks $($($num:literal of)? $r:ident within $t:literal $u:ident $(remind after $mt:literal $mu:ident)?)then+ else approve ; $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the approval `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` would be given by nobody: \
             silence is no approval, write `else refuse`" }
    };
    ($by:tt $w:ident approval $n:ident of $sh:ident $(when $($wh:ident)::+)? :
        asks $($($num:literal of)? $r:ident within $t:literal $u:ident $(remind after $mt:literal $mu:ident)?)then+ else undo ; $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the approval `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` has nothing of its own to undo: \
             write `else refuse`, and the steps before it are undone" }
    };
    ($by:tt $w:ident compensatable $n:ident : $do:ident => $ok:ident | $no:ident , within $t:literal $u:ident else undo , undone $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the compensatable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` ends in its own deadline: write \
             `within ", ::core::stringify!($t), " ", ::core::stringify!($u), " else undo;` behind `undone by`" }
    };
    ($by:tt $w:ident compensatable $n:ident : $do:ident => $ok:ident | $no:ident , within $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the compensatable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` does not say how it is undone: write `undone by \
             Command => Reply within 1 h else asks Role within 4 h`, or make it the pivot" }
    };
    ($by:tt $w:ident compensatable $n:ident : $do:ident => $ok:ident | $no:ident , undone by $un:ident => $gone:ident $(within $ut:literal $uu:ident)? , $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the undo of the compensatable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` may wait for ever: write `undone by ",
            ::core::stringify!($un), " => ", ::core::stringify!($gone), " within 1 h else asks Role within 4 h`" }
    };
    ($by:tt $w:ident retriable $n:ident : $do:ident => $ok:ident | $no:ident $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the retriable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` can be refused by `", ::core::stringify!($no),
            "`: behind it nothing is undone, so it must succeed in the end; or make it the pivot" }
    };
    ($by:tt $w:ident compensatable $n:ident : $do:ident => $ok:ident , $($rest:tt)*) => {
        $crate::__workflow_amiss! { @not_refused $w compensatable $n $ok }
    };
    ($by:tt $w:ident pivot $n:ident $(needs $a:ident)? : $do:ident => $ok:ident , $($rest:tt)*) => {
        $crate::__workflow_amiss! { @not_refused $w pivot $n $ok }
    };
    (@not_refused $w:ident $k:ident $n:ident $ok:ident) => {
        $crate::__workflow_refused! { $w
            "the ", ::core::stringify!($k), " `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` cannot be refused: write `",
            ::core::stringify!($ok), " | Refused`, or make it retriable, behind the pivot" }
    };
    ($by:tt $w:ident pivot $n:ident $(needs $a:ident)? : $do:ident => $ok:ident | $no:ident , undone $($rest:tt)*) => {
        $crate::__workflow_amiss! { @not_undone $w pivot $n }
    };
    ($by:tt $w:ident retriable $n:ident : $do:ident => $ok:ident , undone $($rest:tt)*) => {
        $crate::__workflow_amiss! { @not_undone $w retriable $n }
    };
    (@not_undone $w:ident $k:ident $n:ident) => {
        $crate::__workflow_refused! { $w
            "the ", ::core::stringify!($k), " `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` is not undone: leave `undone by` out, \
             or make it compensatable, before the pivot" }
    };
    ($by:tt $w:ident $k:ident $n:ident $(needs $a:ident)? : $do:ident => $ok:ident $(| $no:ident)? , within $t:literal $u:ident else undo ; $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the ", ::core::stringify!($k), " `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` that does not answer may have happened: only a person \
             can say so, write `else asks Role within 4 h`" }
    };
    ($by:tt $w:ident $k:ident $n:ident $(needs $a:ident)? : $do:ident => $ok:ident $(| $no:ident)? , within $t:literal $u:ident ; $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` has a deadline, and nobody to turn to when it passes: write `within ",
            ::core::stringify!($t), " ", ::core::stringify!($u), " else asks Role within 4 h`" }
    };
    ($by:tt $w:ident $k:ident $n:ident $(needs $a:ident)? : $do:ident => $ok:ident $(| $no:ident)? , else $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` may wait for ever: write `within 1 h else asks Role within 4 h`" }
    };
    ($by:tt $w:ident pivot $n:ident $(needs $a:ident)? : $do:ident => $ok:ident | $no:ident , within $t:literal $u:ident else forestall $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the forestalled pivot `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` is `", ::core::stringify!($n),
            $(" needs ", ::core::stringify!($a),)? ": Command => Done | Refused, within 1 h else forestall within 10 min, then asks Role within 4 h;`" }
    };
    ($by:tt $w:ident compensatable $n:ident : $do:ident => $ok:ident | $no:ident , undone by $un:ident => $gone:ident within $ut:literal $uu:ident
        else asks $($($unum:literal of)? $ur:ident within $urt:literal $uru:ident $(remind after $umt:literal $umu:ident)?)then+ ,
        within $t:literal $u:ident else forestall $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the compensatable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w),
            "` is forestalled by its undo: write `else undo`, or `else asks Role within 4 h`" }
    };
    ($by:tt $w:ident retriable $n:ident : $do:ident => $ok:ident , within $t:literal $u:ident else forestall $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the retriable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w),
            "` must succeed in the end, and so is not forestalled: write `else asks Role within 4 h`" }
    };
    ($by:tt $w:ident pivot $n:ident needs $a:ident , $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "the pivot `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` needs more than one approval: write `needs` with the one \
             that shows what is sent; the others are decided before it all the same" }
    };
    ($by:tt $w:ident compensatable $n:ident needs $($rest:tt)*) => {
        $crate::__workflow_amiss! { @needs $w compensatable $n }
    };
    ($by:tt $w:ident retriable $n:ident needs $($rest:tt)*) => {
        $crate::__workflow_amiss! { @needs $w retriable $n }
    };
    (@needs $w:ident $k:ident $n:ident) => {
        $crate::__workflow_refused! { $w
            "the ", ::core::stringify!($k), " step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` needs an approval, and only a pivot \
             sends what was approved: leave `needs` out, since each approval holds back the rows behind it" }
    };
    ($by:tt $w:ident pivot $n:ident needs $a:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { {$w pivot $n [$a]} $($rest)* }
    };
    ($by:tt $w:ident compensatable $n:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { {$w compensatable $n []} $($rest)* }
    };
    ($by:tt $w:ident approval $n:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { {$w approval $n []} $($rest)* }
    };
    ($by:tt $w:ident pivot $n:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { {$w pivot $n []} $($rest)* }
    };
    ($by:tt $w:ident retriable $n:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { {$w retriable $n []} $($rest)* }
    };
    ($by:tt $w:ident $other:tt $($rest:tt)*) => {
        $crate::__workflow_refused! { $w
            "a row of the workflow `", ::core::stringify!($w), "` is a `compensatable`, an `approval`, a `pivot` or a `retriable`, and this one is `", ::core::stringify!($other), "`" }
    };
}

/// Looks for a slip that can stand in any row, token by token up to the end of the row;
/// where there is none, states the whole form of the row.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_slip {
    // ---- one word for another ----
    ($row:tt -> $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "has a `->`: what answers a command stands behind `=>`" }
    };
    ($row:tt or $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "says `or`: the reply that refuses it stands behind `|`" }
    };
    ($row:tt ask $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "says `ask`: it is `asks Role within 4 h`" }
    };
    ($row:tt $reply:ident undone by $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "lacks the comma between `", ::core::stringify!($reply), "` and `undone by`" }
    };
    ($row:tt undone by $undo:ident within $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "does not say what answers its undo: write `undone by ", ::core::stringify!($undo), " => Undone within 1 h`" }
    };

    // ---- whom it asks ----
    ($row:tt asks $num:literal $r:ident within $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "asks `", ::core::stringify!($num), " ", ::core::stringify!($r), "`: write `", ::core::stringify!($num), " of ", ::core::stringify!($r), "`" }
    };
    ($row:tt asks $r:ident ; $($rest:tt)*) => { $crate::__workflow_slip! { @until $row $r } };
    ($row:tt asks $r:ident else $($rest:tt)*) => { $crate::__workflow_slip! { @until $row $r } };
    ($row:tt asks $r:ident then $($rest:tt)*) => { $crate::__workflow_slip! { @until $row $r } };
    (@until $row:tt $r:ident) => {
        $crate::__workflow_slip! { @wrong $row "does not say until when `", ::core::stringify!($r), "` is asked: write `", ::core::stringify!($r), " within 4 h`" }
    };
    ($row:tt asks $num:ident of $r:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "asks `", ::core::stringify!($num), " of ", ::core::stringify!($r), "`: how many people is a number, such as `2 of ", ::core::stringify!($r), "`" }
    };
    ($row:tt then $num:ident of $r:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { $row asks $num of $r }
    };
    ($row:tt $other:ident :: $name:ident :: $($rest:tt)*) => {
        $crate::__workflow_slip! { $row $other::$name $($rest)* }
    };
    ($row:tt $other:ident :: $name:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "names `", ::core::stringify!($name), "` by a path: import it with `use`, and write `", ::core::stringify!($name), "`" }
    };
    // ---- when ----
    ($row:tt when $first:ident $(:: $more:ident)* : $($rest:tt)*) => {
        $crate::__workflow_slip! { $row $($rest)* }
    };
    ($row:tt when $first:ident $(:: $more:ident)* $next:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "goes on with `", ::core::stringify!($next), "` behind its condition: `when Data::condition:` ends in a colon, and stands before `asks`" }
    };
    ($row:tt when $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "has a condition that is no path: write the name of a function, such as `when Data::condition:`" }
    };
    // ---- until when ----
    ($row:tt remind $t:literal $u:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "says `remind ", ::core::stringify!($t), " ", ::core::stringify!($u), "`: it is `remind after ", ::core::stringify!($t), " ", ::core::stringify!($u), "`" }
    };
    ($row:tt $r:ident remind $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "says when `", ::core::stringify!($r), "` is reminded before it says until when it is asked: write `", ::core::stringify!($r), " within 24 h remind after 8 h`" }
    };
    ($row:tt $word:ident $t:literal $u:ident $($rest:tt)*) => {
        $crate::__workflow_slip! { @span $row $u ($word $t) $($rest)* }
    };
    ($row:tt $word:ident $t:literal $($rest:tt)*) => {
        $crate::__workflow_slip! { @no_unit $row $word $t }
    };
    (@span $row:tt else $span:tt $($rest:tt)*) => { $crate::__workflow_slip! { @no_unit $row $span } };
    (@span $row:tt then $span:tt $($rest:tt)*) => { $crate::__workflow_slip! { @no_unit $row $span } };
    (@span $row:tt remind $span:tt $($rest:tt)*) => { $crate::__workflow_slip! { @no_unit $row $span } };
    (@span $row:tt $u:ident $span:tt within $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong $row "lacks the comma before its own deadline, the last `within`" }
    };
    (@span $row:tt $u:ident $span:tt asks $($rest:tt)*) => { $crate::__workflow_slip! { @no_else $row "asks Role within 4 h" } };
    (@span $row:tt $u:ident $span:tt undo $($rest:tt)*) => { $crate::__workflow_slip! { @no_else $row "undo" } };
    (@span $row:tt $u:ident $span:tt refuse $($rest:tt)*) => { $crate::__workflow_slip! { @no_else $row "refuse" } };
    (@no_else $row:tt $then:literal) => {
        $crate::__workflow_slip! { @wrong $row "lacks `else`: what follows from silence is `else ", $then, "`" }
    };
    (@span $row:tt of $span:tt $($rest:tt)*) => { $crate::__workflow_slip! { $row of $($rest)* } };
    (@span {$w:ident approval $n:ident $a:tt} $u:ident $span:tt ; $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong {$w approval $n $a} "does not say what follows from silence: it ends in `else refuse`" }
    };
    (@span $row:tt $u:ident $span:tt $($rest:tt)*) => { $crate::__workflow_slip! { $row $($rest)* } };
    (@no_unit $row:tt ($word:ident $t:literal)) => { $crate::__workflow_slip! { @no_unit $row $word $t } };
    (@no_unit $row:tt $word:ident $t:literal) => {
        $crate::__workflow_slip! { @wrong $row "says `", ::core::stringify!($word), " ", ::core::stringify!($t), "`: a span is a number and a unit, with a space between them, such as `48 h`" }
    };

    // ---- how it ends ----
    ({$w:ident approval $n:ident $a:tt} else asks $($rest:tt)*) => {
        $crate::__workflow_slip! { @wrong {$w approval $n $a} "asks again behind `else`: whom it asks next stands behind `then`, and it ends in `else refuse`" }
    };
    ($row:tt ; $($rest:tt)*) => { $crate::__workflow_slip! { @form $row } };
    ($row:tt) => { $crate::__workflow_slip! { @wrong $row "lacks the `;` at its end" } };
    ($row:tt compensatable $next:ident $($rest:tt)*) => { $crate::__workflow_slip! { @unended $row $next } };
    ($row:tt approval $next:ident $($rest:tt)*) => { $crate::__workflow_slip! { @unended $row $next } };
    ($row:tt pivot $next:ident $($rest:tt)*) => { $crate::__workflow_slip! { @unended $row $next } };
    ($row:tt retriable $next:ident $($rest:tt)*) => { $crate::__workflow_slip! { @unended $row $next } };
    (@unended $row:tt $next:ident) => {
        $crate::__workflow_slip! { @wrong $row "runs on into `", ::core::stringify!($next), "`: end it with `;`" }
    };
    (@wrong {$w:ident $k:ident $n:ident $a:tt} $($words:tt)+) => {
        $crate::__workflow_refused! { $w
            "the row `", ::core::stringify!($k), " ", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` ", $($words)+ }
    };

    // ---- the whole form ----
    (@form {$w:ident compensatable $n:ident []}) => {
        $crate::__workflow_refused! { $w
            "the compensatable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` is `", ::core::stringify!($n),
            ": Command => Done | Refused, undone by Command => Undone within 1 h else asks Role within 4 h, within 15 min else undo;`" }
    };
    (@form {$w:ident approval $n:ident []}) => {
        $crate::__workflow_refused! { $w
            "the approval `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` is `", ::core::stringify!($n),
            " of Shown when Data::condition: asks 2 of Role within 24 h remind after 8 h then Role within 24 h else refuse;`, \
             where `when`, `2 of`, `remind after` and `then` may be left out, each with its words" }
    };
    (@form {$w:ident pivot $n:ident [$a:ident]}) => {
        $crate::__workflow_refused! { $w
            "the pivot `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` is `", ::core::stringify!($n), " needs ", ::core::stringify!($a),
            ": Command => Done | Refused, within 1 h else asks Role within 4 h;`" }
    };
    (@form {$w:ident pivot $n:ident []}) => {
        $crate::__workflow_refused! { $w
            "the pivot `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` is `", ::core::stringify!($n),
            ": Command => Done | Refused, within 1 h else asks Role within 4 h;`, with `needs approval` before the colon \
             where it sends what was approved" }
    };
    (@form {$w:ident retriable $n:ident []}) => {
        $crate::__workflow_refused! { $w
            "the retriable step `", ::core::stringify!($n), "` of the workflow `", ::core::stringify!($w), "` is `", ::core::stringify!($n),
            ": Command => Done, within 2 d else asks Role within 1 d;`" }
    };

    ($row:tt $skipped:tt $($rest:tt)*) => { $crate::__workflow_slip! { $row $($rest)* } };
}
