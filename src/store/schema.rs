//! The versions of a schema, whichever the database: which steps a database still needs,
//! which programs may use it, and who may change it.

use super::{StoreError, StoreErrorKind};

/// What is being done, in the words of an error.
pub(crate) const INSTALLING: &str = "creating the tables";

/// The same, where nothing is made yet, or ever.
pub(crate) const CHECKING: &str = "looking at the tables";

/// What whoever opens a database does about its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// Makes those that are missing, and brings the others up to date.
    Install,
    /// Takes them as they are, or refuses them.
    Check,
}

/// One part of the schema, by name: each entry is the SQL that leads from one version to
/// the next.
///
/// A migration that older programs can live with says so in a line of its own, such as
/// `-- compatible_from: 1`: the oldest version whose programs may use the tables then. So
/// two versions of a program share a database during a rolling deployment.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) versions: &'static [&'static str],
}

/// The version of a part that a database has; 0 where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Installed {
    pub(crate) version: usize,
    /// The oldest version whose programs may use the tables.
    pub(crate) compatible_from: usize,
}

impl Installed {
    /// As the columns say it; the second was added later, and may not be there.
    pub(crate) fn of(version: i64, compatible_from: Option<i64>) -> Self {
        let count = |number: i64| usize::try_from(number).unwrap_or(0);
        let version = count(version);
        Self { version, compatible_from: compatible_from.map_or(version, count) }
    }
}

impl Part {
    /// The version of the tables that this program makes.
    pub(crate) fn latest(&self) -> Installed {
        let version = self.versions.len();
        let stated = self.versions.last().and_then(|sql| compatible_from(sql));
        Installed { version, compatible_from: stated.unwrap_or(version) }
    }

    /// The steps that a database still needs.
    ///
    /// # Errors
    ///
    /// Tables of a newer version, which this program may not use.
    pub(crate) fn missing(
        &self,
        found: Installed,
    ) -> Result<&'static [&'static str], StoreError> {
        let known = self.versions.len();
        match self.versions.get(found.version..) {
            Some(steps) => Ok(steps),
            None if found.compatible_from <= known => Ok(&[]),
            None => {
                let what = format!(
                    "this program knows version {known} of the {} tables, and the database has {}: use a newer program, \
                     of version {} or later",
                    self.name, found.version, found.compatible_from
                );
                Err(StoreError::of(StoreErrorKind::NewerSchema, CHECKING, what))
            }
        }
    }
}

impl Part {
    /// Finds out whether this program can use the tables as they are, in the `place` that
    /// an error names.
    ///
    /// # Errors
    ///
    /// Tables that are missing, older than this program's, or too new for it.
    pub(crate) fn check(&self, found: Installed, place: &str) -> Result<(), StoreError> {
        if self.missing(found)?.is_empty() {
            return Ok(());
        }
        let (name, needed) = (self.name, self.versions.len());
        let (has, cure) = match found.version {
            0 => ("none".to_owned(), "makes them"),
            version => (version.to_string(), "brings them up to date"),
        };
        let what = format!(
            "this program needs version {needed} of the {name} tables, and {place} has {has}: `install` {cure}, and so do \
             the scripts of `migrations`"
        );
        Err(StoreError::of(StoreErrorKind::OlderSchema, CHECKING, what))
    }
}

/// What a migration says of older programs.
pub(super) fn compatible_from(migration: &str) -> Option<usize> {
    migration
        .lines()
        .find_map(|line| line.strip_prefix("-- compatible_from: "))
        .and_then(|version| version.trim().parse().ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const PART: Part = Part {
        name: "test",
        versions: &["1", "2", "-- Adds.\n-- compatible_from: 2\n3"],
    };

    #[test]
    fn a_database_gets_the_steps_that_it_has_not_had() {
        let missing = |version| PART.missing(Installed::of(version, None)).unwrap();
        assert_eq!(missing(0), PART.versions);
        assert_eq!(missing(2), &PART.versions[2..]);
        assert!(missing(3).is_empty());
        assert_eq!(PART.latest(), Installed { version: 3, compatible_from: 2 });
    }

    #[test]
    fn a_program_that_changes_nothing_says_what_it_needs() {
        let check = |found| PART.check(found, "the database");
        assert!(check(Installed::of(3, Some(1))).is_ok());
        assert!(check(Installed::of(5, Some(3))).is_ok());
        let old = StoreErrorKind::OlderSchema;
        for (version, found, kind) in [
            (0, "the database has none: `install` makes", old),
            (2, "the database has 2: `install` brings", old),
            (5, "has 5", StoreErrorKind::NewerSchema),
        ] {
            let refused = check(Installed::of(version, None)).unwrap_err();
            assert_eq!(refused.kind(), kind);
            let refused = format!("{refused:#}");
            assert!(refused.contains("version 3 of the test tables"), "{refused}");
            assert!(refused.contains(found), "{refused}");
        }
    }

    #[test]
    fn a_newer_schema_says_which_programs_may_use_it() {
        assert!(PART.missing(Installed::of(5, Some(3))).unwrap().is_empty());
        for (compatible_from, wanted) in
            [(Some(4), "of version 4 or later"), (None, "of version 5 or later")]
        {
            let refused = PART.missing(Installed::of(5, compatible_from)).unwrap_err();
            assert_eq!(refused.kind(), StoreErrorKind::NewerSchema);
            let refused = format!("{refused:#}");
            assert!(refused.contains("knows version 3 of the test tables"), "{refused}");
            assert!(refused.contains("the database has 5"), "{refused}");
            assert!(refused.contains(wanted), "{refused}");
        }
    }
}
