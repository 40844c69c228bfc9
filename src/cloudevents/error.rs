//! What is wrong with a message, or with a CloudEvent that no envelope can carry.

use std::error::Error;
use std::fmt;

use crate::event::BuildError;

/// A message that is no CloudEvent, or none that can be read so.
///
/// What is found is shown for the standard's own attributes alone: an extension may hold
/// what no log should.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseCloudEventError {
    /// A required attribute is missing.
    Missing {
        /// The attribute.
        attribute: &'static str,
    },
    /// An attribute is there twice.
    Twice {
        /// The attribute.
        attribute: String,
    },
    /// An attribute is not called as attributes are.
    Name {
        /// What it is called.
        found: String,
    },
    /// An attribute has another value than the standard allows it.
    Value {
        /// The attribute.
        attribute: String,
        /// What the standard wants.
        wanted: &'static str,
        /// The value, or its beginning; empty for an extension.
        found: String,
    },
    /// The message is in structured mode: its body is the whole event.
    Structured {
        /// The content type that says so.
        content_type: String,
    },
    /// The body of a message in structured mode is not the JSON of an event.
    Json {
        /// What is wrong with it.
        wrong: String,
    },
}

impl ParseCloudEventError {
    pub(super) fn value(attribute: &str, wanted: &'static str, found: &str) -> Self {
        const SHOWN: [&str; 8] = [
            "specversion",
            "id",
            "source",
            "type",
            "time",
            "subject",
            "dataschema",
            "datacontenttype",
        ];
        let length = if SHOWN.contains(&attribute) { 40 } else { 0 };
        let found = found.chars().take(length).collect();
        Self::Value { attribute: attribute.to_owned(), wanted, found }
    }
}

impl fmt::Display for ParseCloudEventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { attribute } => {
                write!(
                    f,
                    "a CloudEvent has the attribute {attribute}, and this message has \
                     none"
                )
            }
            Self::Twice { attribute } => {
                write!(
                    f,
                    "a CloudEvent has each attribute once, and this message has \
                     {attribute:?} twice"
                )
            }
            Self::Name { found } => write!(
                f,
                "an attribute of a CloudEvent is called by lower-case letters and \
                 digits, and not \"data\", and found {found:?}"
            ),
            Self::Value { attribute, wanted, found } if found.is_empty() => {
                write!(
                    f,
                    "the attribute {attribute} of a CloudEvent is {wanted}, and this \
                     one is not"
                )
            }
            Self::Value { attribute, wanted, found } => {
                write!(
                    f,
                    "the attribute {attribute} of a CloudEvent is {wanted}, and found \
                     {found:?}"
                )
            }
            Self::Structured { content_type } => write!(
                f,
                "wanted a message in binary mode, and found one in structured mode \
                 ({content_type:?}): where it is JSON, read its body with \
                 CloudEvent::from_json (feature serde)"
            ),
            Self::Json { wrong } => write!(
                f,
                "wanted the JSON of a CloudEvent, and found something else: {wrong}"
            ),
        }
    }
}

impl Error for ParseCloudEventError {}

/// A CloudEvent cannot become an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FromCloudEventError {
    /// An attribute of this crate's own has another form than this crate writes.
    Attribute {
        /// The attribute.
        name: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
    /// An envelope cannot be built of it.
    Build(BuildError),
}

impl fmt::Display for FromCloudEventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute { name, wanted } => {
                write!(
                    f,
                    "wanted {wanted} as the attribute {name}, and found something \
                     else"
                )
            }
            Self::Build(cause) => cause.fmt(f),
        }
    }
}

impl Error for FromCloudEventError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Attribute { .. } => None,
            Self::Build(cause) => cause.source(),
        }
    }
}
