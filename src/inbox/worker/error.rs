//! `WorkerError`: why a worker could not be made.

use std::fmt;

use crate::ConfigError;
use crate::store::StoreError;

/// Why a worker could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkerError {
    /// Its settings or its handlers are refused.
    Config(ConfigError),
    /// The database failed.
    Store(StoreError),
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WorkerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(_) => None,
            Self::Store(error) => error.source(),
        }
    }
}

impl From<ConfigError> for WorkerError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StoreError> for WorkerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
