//! How a line writes a value: as it is, or between quotes with escapes; and a time.

use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};

use crate::text::must_be_escaped;

/// Writes a value, between quotes where it would break the line.
pub(super) fn write_value<W: fmt::Write + ?Sized>(
    out: &mut W,
    value: &str,
) -> fmt::Result {
    if is_plain(value) { out.write_str(value) } else { write_quoted(out, value) }
}

/// Whether a value stands in a line as it is.
pub(super) fn is_plain(value: &str) -> bool {
    let is_plain_ascii =
        |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'=';
    let is_plain = |c: char| !matches!(c, ' ' | '"' | '=') && !must_be_escaped(c);
    !value.is_empty()
        && (value.bytes().all(is_plain_ascii) || value.chars().all(is_plain))
}

#[cold]
pub(super) fn write_quoted<W: fmt::Write + ?Sized>(
    out: &mut W,
    value: &str,
) -> fmt::Result {
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
