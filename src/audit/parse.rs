//! How a line is read: key by key, and compared with what the writer would have written.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};

use super::write::is_plain;
use crate::envelope::to_micros;

/// A writer that only compares: it fails where a write differs from the line.
pub(super) struct Same<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Same<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    /// The error for a line that the writer would have written in another way.
    pub(super) fn differs(&self) -> ParseAuditLineError {
        let Self { line, at } = *self;
        Input { line, at }
            .wanted("what the writer would write: no quotes or escapes without need")
    }
}

impl fmt::Write for Same<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.line.get(self.at..).unwrap_or_default();
        if !rest.starts_with(text) {
            return Err(fmt::Error);
        }
        self.at = self.at.saturating_add(text.len());
        Ok(())
    }
}

/// What is left of a line that is being parsed.
pub(super) struct Input<'a> {
    line: &'a str,
    at: usize,
}

/// One value of a line, with its quotes and escapes resolved.
pub(super) struct Value<'a> {
    pub(super) text: Cow<'a, str>,
    quoted: bool,
}

impl Value<'_> {
    pub(super) fn bare(&self) -> Option<&str> {
        (!self.quoted).then_some(&*self.text)
    }
}

impl<'a> Input<'a> {
    #[inline]
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    #[inline]
    fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    #[inline]
    fn wanted(&self, wanted: &'static str) -> ParseAuditLineError {
        let found = self.rest().chars().take(ParseAuditLineError::EXCERPT).collect();
        ParseAuditLineError { at: self.at, wanted, found }
    }

    #[inline]
    pub(super) fn literal(
        &mut self,
        wanted: &'static str,
    ) -> Result<(), ParseAuditLineError> {
        if !self.rest().starts_with(wanted) {
            return Err(self.wanted(wanted));
        }
        self.advance(wanted.len());
        Ok(())
    }

    #[inline]
    pub(super) fn end(&self) -> Result<(), ParseAuditLineError> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.wanted("the end of the line"))
        }
    }

    #[inline]
    pub(super) fn time(
        &mut self,
        key: &'static str,
    ) -> Result<DateTime<Utc>, ParseAuditLineError> {
        let read = |value: Value<'_>| DateTime::parse_from_rfc3339(value.bare()?).ok();
        self.field(key, "a time as in RFC 3339", read)
            .map(|time| to_micros(time.to_utc()))
    }

    /// Whether this key comes next.
    #[inline]
    pub(super) fn has(&self, key: &str) -> bool {
        self.rest().starts_with(key)
    }

    #[inline]
    pub(super) fn text(
        &mut self,
        key: &'static str,
    ) -> Result<Cow<'a, str>, ParseAuditLineError> {
        self.field(key, "a text", |value| Some(value.text))
    }

    #[inline]
    pub(super) fn field<T>(
        &mut self,
        key: &'static str,
        wanted: &'static str,
        read: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<T, ParseAuditLineError> {
        self.literal(key)?;
        let at = self.at;
        let value = self.value()?;
        read(value).ok_or_else(|| Self { at, ..*self }.wanted(wanted))
    }

    #[inline]
    fn value(&mut self) -> Result<Value<'a>, ParseAuditLineError> {
        if self.rest().starts_with('"') {
            return Ok(Value { text: self.quoted()?, quoted: true });
        }
        let (bare, _) = self.rest().split_once(' ').unwrap_or((self.rest(), ""));
        if !is_plain(bare) {
            return Err(self.wanted(
                "a value, between quotes if it is empty or would break the line",
            ));
        }
        self.advance(bare.len());
        Ok(Value { text: Cow::Borrowed(bare), quoted: false })
    }

    #[inline]
    fn quoted(&mut self) -> Result<Cow<'a, str>, ParseAuditLineError> {
        let mut text = String::new();
        self.advance(1);
        loop {
            let mut chars = self.rest().chars();
            match chars.next() {
                Some('"') => break,
                Some('\\') => {
                    let (c, length) =
                        escape(chars.as_str()).ok_or_else(|| self.wanted("an escape"))?;
                    text.push(c);
                    self.advance(length.saturating_add(1));
                }
                Some(c) => {
                    text.push(c);
                    self.advance(c.len_utf8());
                }
                None => return Err(self.wanted("a closing quote")),
            }
        }
        self.advance(1);
        Ok(Cow::Owned(text))
    }
}

/// The character that an escape stands for, and its length behind the backslash.
#[inline]
fn escape(behind: &str) -> Option<(char, usize)> {
    let c = match behind.chars().next()? {
        c @ ('"' | '\\') => c,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => {
            let (hex, _) = behind.strip_prefix("u{")?.split_once('}')?;
            let is_hex = (1..=6).contains(&hex.len())
                && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            let code = is_hex.then(|| u32::from_str_radix(hex, 16).ok()).flatten()?;
            return Some((char::from_u32(code)?, hex.len().saturating_add("u{}".len())));
        }
    };
    Some((c, 1))
}

/// A line that is no audit line: where it first goes wrong, what was wanted there, and
/// what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseAuditLineError {
    at: usize,
    wanted: &'static str,
    found: Box<str>,
}

impl ParseAuditLineError {
    /// The length of the excerpt of what was found, in characters.
    const EXCERPT: usize = 40;

    /// The place in the line, in bytes from its beginning.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for ParseAuditLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not an audit line: wanted {:?} at byte {}, found {:?}",
            self.wanted, self.at, self.found
        )
    }
}

impl std::error::Error for ParseAuditLineError {}
