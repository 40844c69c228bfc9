//! The rules of CloudEvents 1.0 for the names and values of context attributes.

use std::fmt;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

/// Whether an attribute may be called so: ASCII lower-case letters and digits, and not
/// `data`.
pub(super) fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty() && name != "data" && name.bytes().all(is_allowed)
}

/// Whether a text may be the value of an attribute: no control character, and no
/// noncharacter of Unicode.
pub(super) fn is_string(text: &str) -> bool {
    let is_noncharacter = |c: char| {
        matches!(c, '\u{fdd0}'..='\u{fdef}') || (u32::from(c) & 0xfffe) == 0xfffe
    };
    !text.chars().any(|c| c.is_control() || is_noncharacter(c))
}

/// What the standard wants of an attribute's value, where it is not as the standard wants
/// it.
pub(super) fn flaw(name: &str, value: &str) -> Option<&'static str> {
    let (is_right, wanted) = match name {
        "specversion" => (value == "1.0", "1.0"),
        "id" | "type" | "subject" | "correlationid" | "partitionkey" => {
            (!value.is_empty(), "a text that is not empty")
        }
        "source" => (
            !value.is_empty() && is_uri_reference(value),
            "a URI reference as in RFC 3986 that is not empty",
        ),
        "dataschema" => (is_uri(value), "a URI as in RFC 3986"),
        "datacontenttype" => (is_media_type(value), "a media type as in RFC 2046"),
        "time" => (time(value).is_some(), "a time as in RFC 3339"),
        _ => (true, ""),
    };
    if !is_string(value) {
        return Some("a text without control characters and noncharacters");
    }
    (!is_right).then_some(wanted)
}

pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

/// Whether a text is a `URI-reference`, RFC 3986 section 4.1.
fn is_uri_reference(text: &str) -> bool {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = match rest.split_once(':') {
        Some((scheme, path)) if !scheme.contains('/') => {
            if !is_scheme(scheme) {
                return false;
            }
            path
        }
        _ => rest,
    };
    let (authority, path) = match path.strip_prefix("//") {
        Some(behind) => behind.split_at(behind.find('/').unwrap_or(behind.len())),
        None => ("", path),
    };
    of_uri(authority, "[]:@")
        && of_uri(path, ":@/")
        && of_uri(query, ":@/?")
        && of_uri(fragment, ":@/?")
}

/// Whether a text is a `URI`, RFC 3986 section 3.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme))
        && is_uri_reference(text)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether a part of a URI holds nothing but unreserved characters, sub-delimiters,
/// escapes, and those given.
fn of_uri(part: &str, others: &str) -> bool {
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                tail
            }
            (byte, tail) if is_unreserved(*byte) || b"!$&'()*+,;=".contains(byte) => tail,
            (byte, tail) if others.as_bytes().contains(byte) => tail,
            _ => return false,
        };
    }
    true
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether a text is a media type: type, `/`, subtype, and perhaps parameters.
fn is_media_type(text: &str) -> bool {
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let parts = media_type(text).split_once('/');
    text.is_ascii()
        && text.trim() == text
        && parts.is_some_and(|(main, sub)| is_token(main) && is_token(sub))
}

/// A content type without its parameters.
pub(super) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// A text that displays with every byte escaped as `%XX` that is not an unreserved
/// character of a URI, or `/`.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if is_unreserved(byte) || byte == b'/' {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// The text with its escapes resolved; `None` if that is not UTF-8. A `%` that begins no
/// escape stands for itself.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, tail))
            }
            _ => None,
        };
        let (byte, tail) = escape.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}
