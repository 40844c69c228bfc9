//! The versions of a schema, whichever the database: which steps a database still needs.

use crate::store::StoreError;

/// What is being done, in the words of an error.
pub(crate) const INSTALLING: &str = "creating the tables";

/// One part of the schema, by name: each entry is the SQL that leads from one version to
/// the next.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) versions: &'static [&'static str],
}

impl Part {
    /// The steps that a database of version `found` still needs.
    ///
    /// # Errors
    ///
    /// Tables that a newer version of this crate has made.
    pub(crate) fn missing(
        &self,
        found: usize,
    ) -> Result<&'static [&'static str], StoreError> {
        self.versions.get(found..).ok_or_else(|| {
            let what = format!(
                "this program knows version {} of the {} tables, and the database has {found}: use a newer program",
                self.versions.len(),
                self.name
            );
            StoreError::new(INSTALLING, what)
        })
    }
}
