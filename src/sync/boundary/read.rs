//! The reading of a declaration: what stands in it, and what may not.

/// Reads the declaration of [`boundary!`](crate::boundary), one system and one field
/// after the other, and says what is wrong with it.
///
/// A field that is exchanged travels as `{name (type) [attributes] of System
/// NonOwnerEdits}`, or with `is Shared` or `is Manual` at the end; an excluded one as
/// `{name (type) [attributes]}`.
///
/// | | stands for |
/// |---|---|
/// | `$m`, `$v`, `$b` | the boundary's attributes, visibility and name |
/// | `$s` | a system; in the steps from `@read` on: all of them, with what others may do by default |
/// | `$named` | the systems that have an argument of their own already |
/// | `$o`, `$all` | what the others may do: with a field, by default |
/// | `$f`, `$t`, `$a`, `$owner` | a field: its name, type, attributes, owner |
/// | `$y`, `$x` | the fields read so far: those exchanged ("yes"), those excluded |
/// | `$xf` | the name of an excluded field |
/// | `$d` | a `$`, for the matcher that a step writes itself |
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
                $crate::__private::is_once(NAMES, stringify!($f)),
                concat!("the field `", stringify!($f), "` of the boundary `", stringify!($b), "` is declared twice: it has ",
                    "one authority, or is excluded")
            );)*
        };
        macro_rules! __declare {
            ($($d $f:tt)*) => { $crate::__boundary_module! { @module $($declaration)* } };
        }
        __declare! { $($f)* }
    };
}
