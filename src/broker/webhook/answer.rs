//! What a receiver's answer says of an event, by its status; and how it is quoted.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::broker::BrokerError;
use crate::sleep::after;
use crate::text::must_be_escaped;

/// How much of an answer is read, so that its connection can be used again.
const READ: usize = 64 * 1024;
/// How long that may take, once the status is known.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// How many characters of it a reason quotes.
const QUOTED: usize = 200;
/// The longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// A request without success, by how far it came.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection was made.
    Unsent(BrokerError),
    /// No answer came, or one from a server that stands before the receiver and does not
    /// reach it.
    Absent(BrokerError),
    /// The receiver has answered.
    Answered(BrokerError),
}

/// What a reason quotes of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quotes<'a> {
    /// Its status alone: the rest may repeat the payload.
    Nothing,
    /// The beginning of its body, without our token.
    Beginning { token: Option<&'a str> },
}

/// Waits for the answer of a receiver, and says what it makes of the event: all within this
/// time. A status that has come decides, even where its body is kept back.
pub(super) async fn judge<B>(
    to: &str,
    quotes: Quotes<'_>,
    within: Duration,
    answer: impl Future<Output = Result<Response<B>, Failure>>,
) -> Result<(), Failure>
where
    B: BodyExt<Data = Bytes> + Unpin,
{
    let until = after(within);
    let Ok(answer) = timeout_at(until, answer).await else {
        let late = format!("{to} did not answer within {within:?}");
        return Err(Failure::Absent(BrokerError::transient(late)));
    };
    let (head, body) = answer?.into_parts();
    let asked = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|asked| wait(asked, Utc::now()));
    let said = beginning(body, until.min(after(READ_WITHIN))).await;
    let said = match quotes {
        Quotes::Nothing => String::new(),
        Quotes::Beginning { token } => quote(&said, token),
    };
    verdict(head.status, asked, &format!("{to} answered {}{said}", head.status))
}

/// What a status makes of the event.
fn verdict(
    status: StatusCode,
    asked: Option<Duration>,
    said: &str,
) -> Result<(), Failure> {
    let not_before = |error: BrokerError| match asked {
        Some(asked) => error.with_retry_after(asked),
        None => error,
    };
    let for_now = || not_before(BrokerError::transient(said));
    let for_good = |why: &str| {
        Err(Failure::Answered(BrokerError::permanent(format!("{said}{why}"))))
    };
    match status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => for_good("; a redirect is not followed: state the address itself"),
        // A load balancer without a receiver, or a receiver without a worker.
        502..=504 => Err(Failure::Absent(for_now())),
        408 | 409 | 425 | 500..=599 => Err(Failure::Answered(for_now())),
        429 => Err(Failure::Answered(not_before(BrokerError::unavailable(said)))),
        410 => for_good("; the receiver wants no events any more: stop sending to it"),
        413 => for_good("; the event is too large for it"),
        _ => for_good(""),
    }
}

/// As much of a body as is there in time.
async fn beginning<B>(mut body: B, until: Instant) -> Vec<u8>
where
    B: BodyExt<Data = Bytes> + Unpin,
{
    let mut read = Vec::new();
    let reading = async {
        while read.len() < READ {
            let Some(Ok(frame)) = body.frame().await else { break };
            if let Ok(data) = frame.into_data() {
                read.extend_from_slice(&data);
            }
        }
    };
    let _ = timeout_at(until, reading).await;
    read
}

/// The beginning of a body as people read it, on one line, without our token.
fn quote(body: &[u8], token: Option<&str>) -> String {
    let mut text = String::from_utf8_lossy(body);
    if let Some(token) = token {
        // JSON may have a backslash before each slash.
        let escaped = token.replace('/', r"\/");
        text = text.replace(token, "***").replace(&escaped, "***").into();
    }
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
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::{Body, Frame};
    use tokio::time::Instant;

    use super::*;
    use crate::broker::BrokerErrorKind::{self, Permanent, Transient, Unavailable};

    fn error(failure: Failure) -> BrokerError {
        let (Failure::Unsent(error) | Failure::Absent(error) | Failure::Answered(error)) =
            failure;
        error
    }

    /// Protects the table: a status of another class would make a dead letter of a good
    /// event, or repeat a bad one.
    #[test]
    fn every_status_has_its_verdict() -> Result<(), http::status::InvalidStatusCode> {
        for status in 200..=599 {
            let code = StatusCode::from_u16(status)?;
            let asked = Some(Duration::from_secs(7));
            let failure = verdict(code, asked, "said").err();
            let is_absent = matches!(failure, Some(Failure::Absent(_)));
            assert_eq!(is_absent, matches!(status, 502..=504), "{status}");
            let kind = failure.map(error).map(|error| {
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

    /// The body of an answer that never comes.
    struct KeptBack;

    impl Body for KeptBack {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    /// Protects an event that the receiver has taken from a second send, and one that it
    /// has refused for good from a retry; and the relay from a send that lasts longer.
    #[tokio::test(start_paused = true)]
    async fn a_status_decides_though_its_body_never_comes() {
        let within = Duration::from_millis(100);
        for (status, wanted) in
            [(200, None), (410, Some(Permanent)), (429, Some(Unavailable))]
        {
            let mut answer = Response::new(KeptBack);
            *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
            let began = Instant::now();
            let answer = async { Ok(answer) };
            let judged = judge("a shop", Quotes::Nothing, within, answer).await;
            let kind = judged.err().map(|failure| error(failure).kind());
            assert_eq!(kind, wanted, "{status}");
            assert!(began.elapsed() <= within, "{:?}", began.elapsed());
        }
        let silent = std::future::pending::<Result<Response<KeptBack>, Failure>>();
        let late = judge("a shop", Quotes::Nothing, within, silent).await.err();
        assert!(matches!(late, Some(Failure::Absent(_))), "{late:?}");
        assert_eq!(late.map(|late| error(late).kind()), Some(Transient));
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
        assert_eq!(quote(b" \n ", None), "");
        assert_eq!(quote(b"no\r\nsuch field\x1b[31m", None), ": no  such field [31m");
        assert_eq!(quote(&[b'x'; 500], None), format!(": {}...", "x".repeat(200)));
        assert_eq!(quote(b"\xff", None), ": \u{fffd}");
        let echoed = b"no route for Bearer s3cr3t";
        assert_eq!(quote(echoed, Some("s3cr3t")), ": no route for Bearer ***");
        let echoed = br#"{"token":"a\/s3cr3t\/z"}"#;
        assert_eq!(quote(echoed, Some("a/s3cr3t/z")), r#": {"token":"***"}"#);
    }
}
