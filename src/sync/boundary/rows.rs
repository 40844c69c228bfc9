//! What a declared boundary reads from a row of a SQLite table, and writes to it.

/// Makes a system's row a store, if the fields' types have a column type.
#[cfg(feature = "sqlite")]
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_rows {
    ($({$f:ident ($t:ty)})*) => {
        impl<S> $crate::sync::sqlite::ReadRow<S> for Snapshot<S>
        where
            $(for<'value> $t: $crate::__private::FromSql,)*
        {
            fn read_row(
                row: &$crate::sync::sqlite::SystemRow<'_, S>,
            ) -> ::core::result::Result<Self, $crate::__private::SqliteError> {
                let mut slots = <Slots as ::core::default::Default>::default();
                row.row().read(|columns| slots.each_mut(columns))?;
                ::core::result::Result::Ok(Self(slots, ::core::marker::PhantomData))
            }
        }

        impl<S> Store for $crate::sync::sqlite::SystemRow<'_, S>
        where
            $(for<'value> $t: $crate::__private::FromSql + $crate::__private::ToSql,)*
        {
            type System = S;
            type Error = $crate::__private::SqliteError;

            fn write(
                &mut self,
                changes: &Changes<'_, S>,
            ) -> ::core::result::Result<Taken, Self::Error> {
                let found = self.row().write(
                    || ::core::result::Result::Ok(changes.found_in(&self.read()?)),
                    |update| changes.each(update),
                )?;
                ::core::result::Result::Ok(::core::convert::Into::into(found))
            }
        }
    };
}

/// Without the feature `sqlite` there are no rows.
#[cfg(not(feature = "sqlite"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __boundary_rows {
    ($($nothing:tt)*) => {};
}
