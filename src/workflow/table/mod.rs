//! `workflow!`: a workflow is a table, and the compiler holds the laws of the saga in it.

mod module;
mod read;
mod step;

/// Declares a workflow: its steps in their order, and what follows from each answer, and
/// from silence.
#[macro_export]
macro_rules! workflow {
    ($(#[$m:meta])* $vis:vis mod $name:ident of $data:ident requested by $role:ident, version $v:literal $(sealed $seal:literal)? { $($rows:tt)* }) => {
        $crate::__workflow_read! { @row {[$role] [$(#[$m])*] [$vis] $name $data $v [$($seal)?]} (before) [] [] [] [] ([] []) $($rows)* }
    };
    ($(#[$m:meta])* $vis:vis mod $name:ident of $data:ident, version $v:literal $(sealed $seal:literal)? { $($rows:tt)* }) => {
        $crate::__workflow_read! { @row {[] [$(#[$m])*] [$vis] $name $data $v [$($seal)?]} (before) [] [] [] [] ([] []) $($rows)* }
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "a workflow is declared as `pub mod name of Data requested by Role, version 1 { kind step: ...; ... }`"
        );
    };
}
