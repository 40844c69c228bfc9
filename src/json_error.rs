//! `JsonError`: what is wrong with JSON and where, without what stands there.

use std::error::Error;
use std::fmt;

use serde_json::error::Category;

/// An error of `serde_json` as logs and audit trails may have it: its own words quote the
/// value that it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonError(String);

impl From<&serde_json::Error> for JsonError {
    fn from(error: &serde_json::Error) -> Self {
        let said = error.to_string();
        Self(match error.classify() {
            Category::Data if !names_a_field_alone(&said) => {
                let place = match (error.line(), error.column()) {
                    (0, 0) => String::new(),
                    (line, column) => format!(" at line {line} column {column}"),
                };
                format!("a value has another type or form than is expected{place}")
            }
            // Of what is not JSON at all it says what it expects, and nothing else.
            Category::Data | Category::Syntax | Category::Eof | Category::Io => said,
        })
    }
}

/// Whether these are serde's words for a field that is missing: its name is the program's.
fn names_a_field_alone(said: &str) -> bool {
    let behind = said.strip_prefix("missing field `");
    let Some((field, place)) = behind.and_then(|behind| behind.split_once('`')) else {
        return false;
    };
    let is_place = |c: char| c.is_ascii_digit() || " atlinecoum".contains(c);
    field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && place.chars().all(is_place)
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for JsonError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects the position, which is all that leads to the value, and the words that
    /// quote none.
    #[test]
    fn what_quotes_no_value_is_kept() {
        let of = |json: &str| {
            let refused = serde_json::from_str::<u8>(json).err();
            refused.map(|error| JsonError::from(&error).to_string())
        };
        assert_eq!(of("7"), None);
        assert_eq!(
            of("\n \"ada@example.com\"").as_deref(),
            Some("a value has another type or form than is expected at line 2 column 18")
        );
        assert_eq!(
            of("").as_deref(),
            Some("EOF while parsing a value at line 1 column 0")
        );
        assert_eq!(of("ada").as_deref(), Some("expected value at line 1 column 1"));
        let of_a_value = serde_json::from_value::<u8>("ada".into()).err();
        assert_eq!(
            of_a_value.map(|error| JsonError::from(&error).to_string()).as_deref(),
            Some("a value has another type or form than is expected")
        );
    }

    #[test]
    fn a_missing_field_is_named_where_nothing_else_is_said() {
        for (said, is_one) in [
            ("missing field `age` at line 1 column 2", true),
            ("missing field `age`", true),
            ("missing field `ada@example.com` at line 1 column 2", false),
            ("missing field `age` in ada@example.com at line 1 column 2", false),
            ("unknown field `age` at line 1 column 2", false),
        ] {
            assert_eq!(names_a_field_alone(said), is_one, "{said}");
        }
    }
}
