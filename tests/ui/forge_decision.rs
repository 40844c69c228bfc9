//! Making up a person's decision from its parts
//@ code: E0451
//@ error: fields `by`, `reason` and `at` of struct `Decision` are private
//@ twin: Decision => Note

use integration_automation_patterns::Decision;
use chrono::{DateTime, Utc};

pub struct Note {
    pub by: Box<str>,
    pub reason: Box<str>,
    pub at: DateTime<Utc>,
}

pub fn nobody(decision: &Decision, at: DateTime<Utc>) {
    let _ = Decision { by: "".into(), reason: "".into(), at }; //@ here
}
