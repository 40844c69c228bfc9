//! The parser of a declaration: what may stand in it, and the errors for what may not.

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
        ::core::compile_error!(::core::concat!(
            "a party to the boundary `", ::core::stringify!($b), "` cannot be called `Shared`: the word says ",
            "that a field is shared; rename the system where it is imported"));
    };
    (@name $m:tt $v:tt $b:ident $named:tt [Manual $($rest:ident)*] $fields:tt) => {
        ::core::compile_error!(::core::concat!(
            "a party to the boundary `", ::core::stringify!($b), "` cannot be called `Manual`: the word says ",
            "that a person decides; rename the system where it is imported"));
    };
    // Each step makes an argument of its own for one system: the names look alike, and
    // hygiene tells them apart.
    (@name $m:tt $v:tt $b:ident [$($named:tt)*] [$s:ident $($rest:ident)*] $fields:tt) => {
        $crate::__boundary_party! { $b $s $s
            { @name $m $v $b [$($named)* {$s snapshot}] [$($rest)*] $fields } }
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
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt
        $(#[doc $($doc:tt)*])* $(#[allow $($allow:tt)*])* $(#[expect $($expect:tt)*])* $(#[deprecated $($old:tt)*])*
        #[cfg $($cfg:tt)*] $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "the boundary `", ::core::stringify!($b), "` has a field only under `cfg", ::core::stringify!($($cfg)*),
            "`: a contract is the same in every build; declare two boundaries, each under its `cfg`"));
    };
    // A type stands in the module that is made, one level further in than where it was
    // written, and beside the module of the markers.
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* $f:ident : super :: $($rest:tt)*) => {
        $crate::__boundary! { @read $m $v $b $s $y $x $(#[$a])* $f : self :: super :: super :: $($rest)* }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* $f:ident : field :: $($rest:tt)*) => {
        $crate::__boundary! { @read $m $v $b $s $y $x $(#[$a])* $f : self :: super :: field :: $($rest)* }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* excluded $f:ident : super :: $($rest:tt)*) => {
        $crate::__boundary! { @read $m $v $b $s $y $x $(#[$a])* excluded $f : self :: super :: super :: $($rest)* }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* excluded $f:ident : field :: $($rest:tt)*) => {
        $crate::__boundary! { @read $m $v $b $s $y $x $(#[$a])* excluded $f : self :: super :: field :: $($rest)* }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* $f:ident : Option < $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "the field `", ::core::stringify!($f), "` of the boundary `", ::core::stringify!($b), "` is an `Option`, ",
            "and every field may be empty as it is: write the type within, and clear the field by `None`"));
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* $f:ident : & $to:ident $($rest:tt)*) => {
        $crate::__boundary! { @reference $b $f }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* $f:ident : & [ $($to:tt)* ] $($rest:tt)*) => {
        $crate::__boundary! { @reference $b $f }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* excluded $f:ident : & $to:ident $($rest:tt)*) => {
        $crate::__boundary! { @reference $b $f }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* excluded $f:ident : & [ $($to:tt)* ] $($rest:tt)*) => {
        $crate::__boundary! { @reference $b $f }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* type : $($rest:tt)*) => {
        $crate::__boundary! { @keyword $b type }
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* ref : $($rest:tt)*) => {
        $crate::__boundary! { @keyword $b ref }
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
        ::core::compile_error!(::core::concat!(
            "others may do one of three things with the field `", ::core::stringify!($f), "` of the boundary `",
            ::core::stringify!($b), "`: `Reject` (nothing), `Queue` (propose) or `Overwrite` (change it until the next ",
            "synchronisation); found `", ::core::stringify!($o), "`"));
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $(#[$a:meta])* $f:ident : $t:ty $(, $($rest:tt)*)?) => {
        ::core::compile_error!(::core::concat!(
            "the field `", ::core::stringify!($f), "` of the boundary `", ::core::stringify!($b), "` has no authority: write `",
            ::core::stringify!($f), ": ", ::core::stringify!($t), " => A` with a system, `Shared` or `Manual` for `A`, or `excluded ",
            ::core::stringify!($f), ": ", ::core::stringify!($t), "`"
        ));
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt others $o:ident $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "what others may do in the boundary `", ::core::stringify!($b), "` is said in its first line, as ",
            "`others Reject`, `others Queue` or `others Overwrite`, or behind one field: `name: Type => System (others ",
            "Queue)`"));
    };
    (@read $m:tt $v:tt $b:ident $s:tt $y:tt $x:tt $($other:tt)+) => {
        ::core::compile_error!(::core::concat!(
            "a field of the boundary `", ::core::stringify!($b), "` is `name: Type => A` with a system, `Shared` or `Manual` for ",
            "`A`, or `excluded name: Type`; this is neither: `", ::core::stringify!($($other)+), "`"
        ));
    };
    (@no_owner $b:ident $f:ident) => {
        ::core::compile_error!(::core::concat!(
            "the field `", ::core::stringify!($f), "` of the boundary `", ::core::stringify!($b), "` has no owner, and ",
            "so no others: only behind a system can `(others ...)` stand"));
    };
    (@reference $b:ident $f:ident) => {
        ::core::compile_error!(::core::concat!(
            "the field `", ::core::stringify!($f), "` of the boundary `", ::core::stringify!($b), "` is a reference, and a ",
            "value outlives what it was read from: write an owned type, such as `String` for `&str`"));
    };
    (@keyword $b:ident $f:tt) => {
        ::core::compile_error!(::core::concat!(
            "a field of the boundary `", ::core::stringify!($b), "` is called `", ::core::stringify!($f), "`, which is a word of ",
            "the language: write `r#", ::core::stringify!($f), "`; in the contract it is called `", ::core::stringify!($f), "`"));
    };
    (@read $m:tt $v:tt $b:ident $s:tt [] $x:tt) => {
        ::core::compile_error!(::core::concat!("the boundary `", ::core::stringify!($b), "` exchanges no field: declare one as ",
            "`name: Type => A` with a system, `Shared` or `Manual` for `A`"));
    };
    (@read $m:tt $v:tt $b:ident {$s:tt $all:ident}
        [$({$f:ident $($y:tt)*})*] [$({$xf:ident $($x:tt)*})*]) => {
        $crate::__distinct! {
            ("the field" "of the boundary" $b "is declared twice: it has one authority, or is excluded")
            [$($f)* $($xf)*]
            { $crate::__boundary_module! { @module $m $v $b $s [$({$f $($y)*})*] [$({$xf $($x)*})*] } }
            ($)
        }
    };
}

/// Refuses a party with the name of a type that the module makes, and otherwise goes on
/// with the reading.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_party {
    ($b:ident $name:ident $(Slots)? $(Snapshot)? $(Edit)? $(Agreed)? $(Entries)? $(Plan)? $(Rules)?
        $(Bases)? $(Refusals)? $(KeptForms)? $(Taken)? $(Answers)? $(Writes)? $(Changes)? $(Store)? $(Parties)?
        $(EntryOf)? $(RulesOf)? { $($next:tt)* }) => {
        ::core::compile_error!(::core::concat!(
            "a party to the boundary `", ::core::stringify!($b), "` cannot be called `", ::core::stringify!($name),
            "`: a type of that name is made in the boundary's module; rename the system where it is imported"));
    };
    ($b:ident $name:ident $s:ident { $($next:tt)* }) => {
        $crate::__boundary! { $($next)* }
    };
}
