//! JSON documents, one on each line, in which a terminal finds nothing that it would obey.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::terminal::is_hidden;

pub(crate) fn lines(documents: &[Value]) -> String {
    documents.iter().fold(String::new(), |text, document| text + &line(document))
}

/// One line, with what a terminal would not show as it is escaped as JSON escapes it.
fn line(document: &Value) -> String {
    let mut line = String::new();
    for c in document.to_string().chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string succeeds.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

/// RFC 3339, in UTC.
pub(crate) fn time(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}
