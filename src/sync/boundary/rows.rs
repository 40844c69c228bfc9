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
                ::core::result::Result::Ok(Self::of(slots))
            }
        }

        impl<S> Store for $crate::sync::sqlite::SystemRow<'_, S>
        where
            $(for<'value> $t: $crate::__private::FromSql + $crate::__private::ToSql
                + ::core::cmp::PartialEq + ::core::clone::Clone,)*
        {
            type System = S;
            type Error = $crate::sync::sqlite::RowError;

            fn write(
                &mut self,
                changes: &Changes<'_, S>,
            ) -> ::core::result::Result<Taken, Self::Error> {
                self.row().check_record(changes.record())?;
                let written = self.row().write(
                    || self.read(),
                    |now: &Snapshot<S>| changes.found_in(now),
                    |update| changes.each(update),
                )?;
                let mut taken = <Taken as ::core::convert::From<_>>::from(written.found);
                $($crate::__private::note(
                    &written, field::$f::NAME, &changes.$f, &written.now.$f,
                    &mut taken.refused.$f, &mut taken.kept.$f);)*
                ::core::result::Result::Ok(taken)
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
