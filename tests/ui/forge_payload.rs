//! Carrying a payload without an event type
//@ code: E0277
//@ error: an envelope cannot carry `Blob`: it does not say which event it is
//@ label: needs `impl Event for Blob` with its TYPE, or to be carried as `RawEvent` bytes
//@ twin: Payload => Carried

use std::borrow::Cow;

use integration_automation_patterns::event::{BuildError, WrongEventError};
use integration_automation_patterns::{Payload, RetryPolicy};

type Text = Cow<'static, str>;

pub trait Carried: Sized {
    type Body;
    fn event_type(&self) -> &str;
    fn schema_version(&self) -> &str;
    fn default_retry_policy() -> RetryPolicy;
    fn check(event_type: &str) -> Result<(), BuildError>;
    fn expect(event_type: &str, schema_version: &str) -> Result<(), WrongEventError>;
    fn body(&self) -> &Self::Body;
    fn into_stored(self) -> (Text, Text, Self::Body);
    fn from_stored(event_type: Text, schema_version: Text, body: Self::Body) -> Self;
}

pub fn carry<P: Payload>() {}

pub struct Blob;

impl Payload for Blob { //@ here
    type Body = Vec<u8>;

    fn event_type(&self) -> &str {
""
    }

    fn schema_version(&self) -> &str {
        ""
    }

    fn default_retry_policy() -> RetryPolicy {
        RetryPolicy::DEFAULT
    }

    fn check(_: &str) -> Result<(), BuildError> {
        Ok(())
    }

    fn expect(_: &str, _: &str) -> Result<(), WrongEventError> {
        Ok(())
    }

    fn body(&self) -> &Vec<u8> {
        const { &Vec::new() }
    }

    fn into_stored(self) -> (Text, Text, Vec<u8>) {
        (Text::default(), Text::default(), Vec::new())
    }

    fn from_stored(_: Text, _: Text, _: Vec<u8>) -> Self {
        Blob
    }
}
