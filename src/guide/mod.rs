//! The guide: one chapter for each question that people ask.

#[doc = include_str!("payloads.md")]
pub mod payloads {}

#[doc = include_str!("retries.md")]
pub mod retries {}

#[doc = include_str!("storing.md")]
pub mod storing {}

#[doc = include_str!("audit_line.md")]
pub mod audit_line {}

#[doc = include_str!("fields.md")]
pub mod fields {}

#[doc = include_str!("coming_from_python.md")]
pub mod coming_from_python {}
