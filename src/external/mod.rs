//! Other crates' traits for this crate's types: one folder for each feature.

#[cfg(feature = "serde")]
mod serde_support;
#[cfg(feature = "serde")]
pub use serde_support::stored;
