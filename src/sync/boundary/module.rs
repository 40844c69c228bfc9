//! The module that a declaration becomes, with its contract as data.

/// Makes the module of [`boundary!`](crate::boundary) from a parsed declaration. The
/// variables have the letters of `read`; those of an excluded field begin with an `x`.
///
/// A name that a user or a prelude can redefine stands here with its whole path.
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_module {
    (@module [$(#[$m:meta])*] [$vis:vis] $b:ident [$({$s:ident $snapshot:ident})+]
        [$({$f:ident ($t:ty) [$($attribute:tt)*] $(of $owner:ident $o:ident)? $(is $kind:ident)?})*]
        [$({$xf:ident ($xt:ty) [$($xattribute:tt)*]})*]) => {
        $(#[$m])*
        #[allow(dead_code, missing_docs, unreachable_pub)]
        $vis mod $b {
            use super::*;

            /// A type for each field, for the compiler to name.
            #[allow(non_camel_case_types, missing_debug_implementations)]
            pub mod field {
                $(
                    pub enum $f {}

                    impl $f {
                        /// The name of the field in the contract.
                        pub const NAME: &'static ::core::primitive::str =
                            $crate::__private::name(::core::stringify!($f));
                    }
                )*
                $(pub enum $xf {})*
            }

            /// The systems, in the order of the declaration.
            pub const SYSTEMS: &[&str] = &[$($crate::__private::name_of::<$s>()),+];

            /// The systems as a list of types, for bounds: a function over any party `S`
            /// wants `Parties: Includes<S, At>`.
            pub type Parties = $crate::__boundary_module!(@list $($s)+);

            const _: () = {
                ::core::assert!(
                    $crate::__private::are_names(SYSTEMS),
                    "a boundary is between different systems, and two of its parties have \
                     the same NAME, or one has none"
                );
                use $crate::__private::IsNotDefault as _;
                $(::core::assert!(
                    !$crate::__private::KeyOf::<$s>::IS_DEFAULT,
                    ::core::concat!(
                        "the key of `", ::core::stringify!($s), "` is `Default`, and so anybody can speak \
                         for that system: a key is a struct with a private field, which its connector makes"
                    )
                );)+
                use $crate::__private::IsNoOption as _;
                $(::core::assert!(
                    !$crate::__private::TypeOf::<$t>::IS_OPTION,
                    ::core::concat!(
                        "the field `", ::core::stringify!($f), "` of the boundary `", ::core::stringify!($b),
                        "` is an `Option`, and every field may be empty as it is: write the type within, and \
                         clear the field by `None`"
                    )
                );)*
            };

            $(impl $crate::sync::declared::Ruled<$t> for field::$f {
                type Value = $t;

                const RULE: $crate::sync::Rule =
                    $($crate::sync::Rule::Owner(
                        $crate::__private::place::<Parties, $owner, _>(), $crate::sync::NonOwnerEdits::$o))?
                    $($crate::sync::Rule::$kind)?;
            })*

            $crate::__boundary_said! { [$({$f ($t) [$($attribute)*] $(of $owner $o)? $(is $kind)?})*]
                [$({$xf ($xt) [$($xattribute)*]})*] }

            $crate::__boundary_plan! { [$({$s $snapshot})+]
                [$({$f ($t) [$($attribute)*]
                    [$($crate::sync::declared::Owned<$crate::sync::declared::$o>)?
                        $($crate::sync::declared::$kind)?]})*] }

            $crate::__boundary_written! { [$({$f ($t) [$($attribute)*]})*] }

            $crate::__boundary_rows! { $({$f ($t)})* }

            $crate::__boundary_module! { @reconcile [$({$s $snapshot})+] [$({$f ($t)})*] }

            /// The same contract as data.
            ///
            /// # Errors
            ///
            /// Where two systems have one name, or a name is empty.
            pub fn contract() -> ::core::result::Result<
                $crate::sync::Contract,
                $crate::Refused<$crate::sync::ContractBuilder, $crate::sync::ContractError>,
            > {
                contract_builder().build()
            }

            /// The same contract as data, to be extended by fields that are known only
            /// when the program runs.
            pub fn contract_builder() -> $crate::sync::ContractBuilder {
                let mut builder = $crate::sync::Contract::builder(
                    $crate::__private::name(::core::stringify!($b)));
                for system in SYSTEMS {
                    builder = builder.system(*system);
                }
                $(builder = $crate::__private::with_field(
                    builder,
                    field::$f::NAME,
                    <field::$f as $crate::sync::declared::Ruled<$t>>::RULE,
                    SYSTEMS,
                );)*
                $(builder = builder.excluded($crate::__private::name(::core::stringify!($xf)));)*
                builder
            }
        }
    };
    (@list) => { () };
    (@list $s:ident $($rest:ident)*) => { ($s, $crate::__boundary_module!(@list $($rest)*)) };
    (@reconcile $s:tt [$($field:tt)*]) => { $crate::__boundary_module! { @reconcile_all $s [$({$s $field})*] } };
    (@reconcile_all [$({$s:ident $snapshot:ident})+] [$({$ss:tt {$f:ident ($t:ty)}})*]) => {
        /// Plans one record: what each system says, in the order of the declaration, and
        /// what is known of it in common.
        #[inline]
        pub fn reconcile<'a>($($snapshot: &'a Snapshot<$s>,)+ known: &'a Bases) -> Plan<'a> {
            Plan(Entries {
                $($f: $crate::__private::entry(
                    $crate::__boundary_module!(@slots $f $ss), &known.$f),)*
            }, ::core::option::Option::None, [$($snapshot.1.as_deref()),+])
        }
    };
    (@slots $f:ident [$({$s:ident $snapshot:ident})+]) => { [$(&$snapshot.0.$f),+] };
}
