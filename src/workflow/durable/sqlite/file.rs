//! `File`: a SQLite file with workflows, as a clerk and a desk open it.

use std::path::Path;

use super::PART;
use crate::outbox::sqlite::Outbox;
use crate::store::StoreError;
use crate::store::sqlite::Shared;

/// A SQLite file with workflows.
#[derive(Debug)]
pub struct File(pub(super) Shared);

impl File {
    /// With the tables of workflows and outbox made where they are missing.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        drop(Outbox::open(path)?);
        Ok(Self(Shared::open(path, &PART)?))
    }

    pub(super) fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        drop(Outbox::open_read_only(path)?);
        Ok(Self(Shared::open_read_only(path, &PART)?))
    }
}
