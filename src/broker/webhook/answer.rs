//! What a receiver's answer says of an event, by its status; and how it is quoted.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::broker::BrokerError;
use crate::text::must_be_escaped;

/// How much of an answer is read, so that its connection can be used again.
const READ: usize = 64 * 1024;
/// How long that may take, once the status is known.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// How many characters of it a reason quotes.
const QUOTED: usize = 200;
/// The longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the answer of a receiver, and says what it makes of the event.
pub(super) async fn judge<B>(to: &str, answer: Response<B>) -> Result<(), BrokerError>
where
    B: BodyExt<Data = Bytes> + Unpin,
{
    let (head, body) = answer.into_parts();
    let asked = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|asked| wait(asked, Utc::now()));
    let said = quote(&beginning(body).await);
    verdict(head.status, asked, &format!("{to} answered {}{said}", head.status))
}

/// What a status makes of the event.
fn verdict(
    status: StatusCode,
    asked: Option<Duration>,
    said: &str,
) -> Result<(), BrokerError> {
    let not_before = |error: BrokerError| match asked {
        Some(asked) => error.with_retry_after(asked),
        None => error,
    };
    let for_good = |why: &str| Err(BrokerError::permanent(format!("{said}{why}")));
    match status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => for_good("; a redirect is not followed: state the address itself"),
        408 | 409 | 425 | 500..=599 => Err(not_before(BrokerError::transient(said))),
        429 => Err(not_before(BrokerError::unavailable(said))),
        410 => for_good("; the receiver wants no events any more: stop sending to it"),
        413 => for_good("; the event is too large for it"),
        _ => for_good(""),
    }
}

/// As much of a body as is there at once.
async fn beginning<B: BodyExt<Data = Bytes> + Unpin>(mut body: B) -> Vec<u8> {
    let mut read = Vec::new();
    let reading = async {
        while read.len() < READ {
            let Some(Ok(frame)) = body.frame().await else { break };
            if let Ok(data) = frame.into_data() {
                read.extend_from_slice(&data);
            }
        }
    };
    let _ = timeout(READ_WITHIN, reading).await;
    read
}

/// The beginning of a body as people read it, on one line.
fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let shown = |c: char| if must_be_escaped(c) { ' ' } else { c };
    let mut text = text.trim().chars().map(shown);
    let mut quoted: String = text.by_ref().take(QUOTED).collect();
    if text.next().is_some() {
        quoted.push_str("...");
    }
    if quoted.is_empty() { quoted } else { format!(": {quoted}") }
}

/// How long a header `retry-after` asks to wait: seconds, or a date in one of the three
/// forms that HTTP has.
fn wait(asked: &str, now: DateTime<Utc>) -> Option<Duration> {
    let asked = asked.trim();
    let wait = match asked.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let forms = [
                "%a, %d %b %Y %H:%M:%S GMT",
                "%A, %d-%b-%y %H:%M:%S GMT",
                "%a %b %e %T %Y",
            ];
            let read = |form| NaiveDateTime::parse_from_str(asked, form).ok();
            let until = forms.into_iter().find_map(read)?.and_utc();
            until.signed_duration_since(now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::BrokerErrorKind::{self, Permanent, Transient, Unavailable};

    /// Protects the table: a status of another class would make a dead letter of a good
    /// event, or repeat a bad one.
    #[test]
    fn every_status_has_its_verdict() -> Result<(), http::status::InvalidStatusCode> {
        for status in 200..=599 {
            let code = StatusCode::from_u16(status)?;
            let asked = Some(Duration::from_secs(7));
            let kind = verdict(code, asked, "said").err().map(|error| {
                assert!(error.reason().starts_with("said"), "{error}");
                let waits = error.retry_after() == asked;
                assert_eq!(waits, error.kind() != Permanent, "{status}");
                error.kind()
            });
            let wanted: Option<BrokerErrorKind> = match status {
                200..=299 => None,
                408 | 409 | 425 | 500.. => Some(Transient),
                429 => Some(Unavailable),
                _ => Some(Permanent),
            };
            assert_eq!(kind, wanted, "{status}");
        }
        Ok(())
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_no_longer_than_a_day() {
        let now = DateTime::from_timestamp(784_111_767, 0).unwrap_or_default();
        for (asked, wanted) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("99999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(10)),
            ("Sun Nov  6 08:49:37 1994", Some(10)),
            ("Sun, 06 Nov 1994 08:49:20 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let found = wait(asked, now).map(|wait| wait.as_secs());
            assert_eq!(found, wanted, "{asked}");
        }
    }

    #[test]
    fn a_quotation_is_one_line_and_has_an_end() {
        assert_eq!(quote(b" \n "), "");
        assert_eq!(quote(b"no\r\nsuch field\x1b[31m"), ": no  such field [31m");
        assert_eq!(quote(&[b'x'; 500]), format!(": {}...", "x".repeat(200)));
        assert_eq!(quote(b"\xff"), ": \u{fffd}");
    }
}
