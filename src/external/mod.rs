//! Other crates' traits for this crate's types: one file for each feature.

#[cfg(feature = "serde")]
mod serde_support;
