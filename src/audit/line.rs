//! `AuditLine`: the line's writer, its escapes, and its parser.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};

use crate::envelope::{UUID_TEXT, to_micros};
use crate::text::must_be_escaped;
use crate::{DeliveryStatus, EventId, Facts, Payload};

/// One event at one moment: [written](Self::write_to) as a line, and
/// [parsed](Self::parse) from one.
///
/// ```
/// use integration_automation_patterns::{AuditLine, Envelope, RawEvent};
///
/// let forged = "crm status=processed\n[INTEGRATION_EVENT] event_id=evt-002";
/// let event = Envelope::builder(forged, RawEvent::new("crm.lead.created", b"{}"))
///     .build()?;
///
/// let line = event.audit_line().to_string();
/// assert!(line.contains(
///     r#"source="crm status=processed\n[INTEGRATION_EVENT] event_id=evt-002""#
/// ));
/// assert_eq!(line.lines().count(), 1);
///
/// let parsed = AuditLine::parse(&line)?;
/// assert_eq!(parsed, event.audit_line());
/// assert_eq!(parsed.source_system, forged);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine<'a> {
    /// The idempotency key: `event_id`.
    pub event_id: Cow<'a, EventId>,
    /// What happened: `type`.
    pub event_type: Cow<'a, str>,
    /// The system that the event comes from: `source`.
    pub source_system: Cow<'a, str>,
    /// The state: `status`.
    pub status: DeliveryStatus,
    /// The number of attempts so far: `attempts`.
    pub attempts: u32,
    /// The workflow, request or transaction that the event belongs to: `correlation`.
    pub correlation_id: Option<Cow<'a, str>>,
    /// The version of the payload's schema: `schema`.
    pub schema_version: Cow<'a, str>,
    /// When the event was created: `created`. To the microsecond, in the years 0000 to
    /// 9999, as in every envelope.
    pub created_at: DateTime<Utc>,
}

/// The word that begins every line.
const PREFIX: &str = "[INTEGRATION_EVENT]";

/// What stands for an absent correlation id.
const NONE: &str = "none";

impl<'a> AuditLine<'a> {
    pub(crate) fn of<P: Payload>(facts: &'a Facts<P>, status: DeliveryStatus) -> Self {
        Self {
            event_id: Cow::Borrowed(facts.id()),
            event_type: Cow::Borrowed(facts.event_type()),
            source_system: Cow::Borrowed(facts.source_system()),
            status,
            attempts: facts.attempts(),
            correlation_id: facts.correlation_id().map(Cow::Borrowed),
            schema_version: Cow::Borrowed(facts.schema_version()),
            created_at: facts.created_at(),
        }
    }

    /// Writes the line, without a line break and without allocation.
    ///
    /// `Display` writes the same. This form is for a buffer of one's own: with its type
    /// known, the writing is inlined.
    ///
    /// # Errors
    ///
    /// Only what the writer itself answers.
    ///
    /// ```
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let mut log = String::with_capacity(256);
    /// event.audit_line().write_to(&mut log)?;
    /// assert_eq!(log, event.audit_line().to_string());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_to<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        self.write_up_to_created(out)?;
        write_time(out, self.created_at)
    }

    fn write_up_to_created<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        out.write_str(PREFIX)?;
        out.write_str(" event_id=")?;
        let mut room = UUID_TEXT;
        match self.event_id.text(&mut room) {
            text if self.event_id.is_uuid() => out.write_str(text)?,
            text => write_value(out, text)?,
        }
        out.write_str(" type=")?;
        write_value(out, &self.event_type)?;
        out.write_str(" source=")?;
        write_value(out, &self.source_system)?;
        out.write_str(" status=")?;
        out.write_str(self.status.as_str())?;
        out.write_str(" attempts=")?;
        match char::from_digit(self.attempts, 10) {
            Some(digit) => out.write_char(digit)?,
            None => write!(out, "{}", self.attempts)?,
        }
        out.write_str(" correlation=")?;
        match self.correlation_id.as_deref() {
            None => out.write_str(NONE)?,
            Some(NONE) => write_quoted(out, NONE)?,
            Some(text) => write_value(out, text)?,
        }
        out.write_str(" schema=")?;
        write_value(out, &self.schema_version)?;
        out.write_str(" created=")
    }

    /// Reads a line back to the values that it was written from.
    ///
    /// It takes exactly what [`write_to`](Self::write_to) writes, but for the creation
    /// time: any form and offset of RFC 3339 will do, and is brought to UTC and to the
    /// microsecond.
    ///
    /// # Errors
    ///
    /// [`ParseAuditLineError`]: where the line first goes wrong, what was wanted there,
    /// and what was found.
    ///
    /// ```
    /// use integration_automation_patterns::{AuditLine, DeliveryStatus};
    ///
    /// let line = "[INTEGRATION_EVENT] event_id=evt-001 type=crm.lead.created source=crm status=retrying attempts=2 \
    ///             correlation=import-7 schema=1.0 created=2026-01-05T08:00:00+00:00";
    /// let parsed = AuditLine::parse(line)?;
    /// assert_eq!(parsed.status, DeliveryStatus::Retrying);
    /// assert_eq!(parsed.attempts, 2);
    ///
    /// let error = AuditLine::parse("[INTEGRATION_EVENT] type=crm.lead.created").unwrap_err();
    /// assert_eq!(error.to_string(), r#"not an audit line: wanted " event_id=" at byte 19, found " type=crm.lead.created""#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline] // All of the parser: compiled where it is used, and not in every build of this crate.
    pub fn parse(line: &'a str) -> Result<Self, ParseAuditLineError> {
        let mut input = Input::new(line);
        let parsed = Self::read(&mut input)?;
        input.end()?;
        let mut rewritten = Same::new(line);
        match parsed.write_up_to_created(&mut rewritten) {
            Ok(()) => Ok(parsed),
            Err(fmt::Error) => Err(rewritten.differs()),
        }
    }

    /// Reads a line as far as an audit line goes.
    #[inline]
    pub(super) fn read(input: &mut Input<'a>) -> Result<Self, ParseAuditLineError> {
        input.literal(PREFIX)?;
        let event_id =
            input.field(" event_id=", "an event id", |value| value.text.parse().ok())?;
        let event_type = input.text(" type=")?;
        let source_system = input.text(" source=")?;
        let status = input
            .field(" status=", "a delivery status", |value| value.bare()?.parse().ok())?;
        let attempts = input.field(" attempts=", "a number of attempts", |value| {
            value
                .bare()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
                .parse()
                .ok()
        })?;
        let correlation_id =
            input.field(" correlation=", "a correlation id", |value| {
                Some(if value.bare() == Some(NONE) { None } else { Some(value.text) })
            })?;
        let schema_version = input.text(" schema=")?;
        let created_at = input.time(" created=")?;
        Ok(Self {
            event_id: Cow::Owned(event_id),
            event_type,
            source_system,
            status,
            attempts,
            correlation_id,
            schema_version,
            created_at,
        })
    }

    /// The same values, with nothing borrowed from the line.
    ///
    /// ```
    /// use integration_automation_patterns::{AuditLine, Envelope, RawEvent};
    ///
    /// fn last(log: String) -> Option<AuditLine<'static>> {
    ///     Some(AuditLine::parse(log.lines().last()?).ok()?.into_owned())
    /// }
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// assert_eq!(last(event.audit_line().to_string()), Some(event.audit_line()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_owned(self) -> AuditLine<'static> {
        AuditLine {
            event_id: Cow::Owned(self.event_id.into_owned()),
            event_type: self.event_type.into_owned().into(),
            source_system: self.source_system.into_owned().into(),
            status: self.status,
            attempts: self.attempts,
            correlation_id: self.correlation_id.map(|text| text.into_owned().into()),
            schema_version: self.schema_version.into_owned().into(),
            created_at: self.created_at,
        }
    }
}

impl fmt::Display for AuditLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

pub(super) fn write_value<W: fmt::Write + ?Sized>(
    out: &mut W,
    value: &str,
) -> fmt::Result {
    if is_plain(value) { out.write_str(value) } else { write_quoted(out, value) }
}

/// Whether a value stands in a line as it is.
fn is_plain(value: &str) -> bool {
    let is_plain_ascii =
        |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'=';
    let is_plain = |c: char| !matches!(c, ' ' | '"' | '=') && !must_be_escaped(c);
    !value.is_empty()
        && (value.bytes().all(is_plain_ascii) || value.chars().all(is_plain))
}

#[cold]
fn write_quoted<W: fmt::Write + ?Sized>(out: &mut W, value: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c if must_be_escaped(c) => write!(out, "\\u{{{:x}}}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// `YYYY-MM-DDTHH:MM:SS`, the microseconds if there are any, `+00:00`.
pub(super) fn write_time<W: fmt::Write + ?Sized>(
    out: &mut W,
    time: DateTime<Utc>,
) -> fmt::Result {
    let (date, clock) = (time.naive_utc().date(), time.naive_utc().time());
    let Ok(year @ 0..=9999) = u32::try_from(date.year()) else {
        return write!(out, "{:?}+00:00", time.naive_utc());
    };
    let seconds = clock.num_seconds_from_midnight();
    let micros = clock.nanosecond() / 1000;
    let ([c0, c1], [y0, y1]) = (two_digits(year / 100), two_digits(year));
    let ([m0, m1], [d0, d1]) = (two_digits(date.month()), two_digits(date.day()));
    let ([h0, h1], [n0, n1]) =
        (two_digits(seconds / 3600), two_digits(seconds / 60 % 60));
    let ([s0, s1], [a0, a1]) = (two_digits(seconds % 60), two_digits(micros / 10_000));
    let ([b0, b1], [e0, e1]) = (two_digits(micros / 100), two_digits(micros));
    #[rustfmt::skip]
    let text = [
        c0, c1, y0, y1, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1,
        b'.', a0, a1, b0, b1, e0, e1, b'+', b'0', b'0', b':', b'0', b'0',
    ];
    let text = str::from_utf8(&text).unwrap_or_default();
    match text.split_at_checked(19) {
        Some((to_the_second, _)) if micros == 0 => {
            out.write_str(to_the_second)?;
            out.write_str("+00:00")
        }
        _ => out.write_str(text),
    }
}

/// The last two decimal digits of a number.
#[inline]
fn two_digits(number: u32) -> [u8; 2] {
    const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
          2021222324252627282930313233343536373839\
          4041424344454647484950515253545556575859\
          6061626364656667686970717273747576777879\
          8081828384858687888990919293949596979899";
    let (pairs, _) = PAIRS.as_chunks();
    usize::try_from(number % 100)
        .ok()
        .and_then(|number| pairs.get(number))
        .copied()
        .unwrap_or_default()
}

/// A writer that only compares: it fails where what is written differs from the line.
pub(super) struct Same<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Same<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    /// What the parser says of a line that is written otherwise.
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
    text: Cow<'a, str>,
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
    fn literal(&mut self, wanted: &'static str) -> Result<(), ParseAuditLineError> {
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
