//! What an answer of SQS says about the place and the event. It goes by the code as text:
//! the client's own error types know only some of the spellings.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;

use super::queue::Queue;
use crate::broker::{BrokerError, BrokerErrorKind};
use crate::reason::reason;

/// What a code says, with the status of the answer.
pub(super) fn kind(code: &str, status: u16) -> BrokerErrorKind {
    match plain(code) {
        // The queue, a permission, the credentials or the clock: it holds for every event.
        "QueueDoesNotExist"
        | "NonExistentQueue"
        | "QueueDeletedRecently"
        | "InvalidAddress"
        | "AccessDenied"
        | "ExpiredToken"
        | "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "InvalidSignature"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "RequestTimeTooSkewed"
        | "RequestExpired"
        | "InvalidSecurity"
        | "OptInRequired"
        // As the queue is set, it takes nothing that this adapter sends.
        | "MissingParameter"
        | "UnsupportedOperation"
        // Too much for now. Nothing was stored.
        | "RequestThrottled"
        | "Throttling"
        | "ThrottledRequest"
        | "TooManyRequests"
        | "OverLimit"
        | "ServiceUnavailable" => BrokerErrorKind::Unavailable,
        code if code.starts_with("KMS.") || code.starts_with("Kms") => {
            BrokerErrorKind::Unavailable
        }
        "InvalidMessageContents"
        | "InvalidParameterValue"
        | "InvalidAttributeValue"
        | "MessageTooLong"
        | "BatchRequestTooLong" => BrokerErrorKind::Permanent,
        _ if matches!(status, 429 | 503) => BrokerErrorKind::Unavailable,
        _ => BrokerErrorKind::Transient,
    }
}

/// A request that did not succeed. [`Permanent`](BrokerErrorKind::Permanent) is meant for
/// one event: of several, nobody knows which one is refused.
pub(super) fn of_request<E>(queue: &Queue, failed: &SdkError<E>) -> BrokerError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let about = |what: &str| format!("the queue {}: {what}", queue.name);
    let in_full = || about(&reason(failed));
    match failed {
        SdkError::DispatchFailure(failure) => {
            let cause = failure.as_connector_error().map(as_error);
            if cause.is_some_and(was_never_sent) {
                BrokerError::unreachable(in_full())
            } else {
                BrokerError::transient(in_full())
            }
        }
        SdkError::ServiceError(answer) => {
            let (code, message) = (answer.err().code(), answer.err().message());
            let status = answer.raw().status().as_u16();
            let code = code.unwrap_or_default();
            let said = message.unwrap_or_default();
            let reason = about(&format!("{code} (status {status}): {said}"));
            let error = BrokerError::new(kind(code, status), reason);
            match answer.raw().headers().get("retry-after").and_then(seconds) {
                Some(wait) => error.with_retry_after(wait),
                None => error,
            }
        }
        SdkError::ResponseError(answer) => {
            BrokerError::new(kind("", answer.raw().status().as_u16()), in_full())
        }
        _ => BrokerError::transient(in_full()),
    }
}

/// One entry that a request which succeeded has refused.
pub(super) fn of_entry(queue: &Queue, failed: &BatchResultErrorEntry) -> BrokerError {
    let kind = match (kind(failed.code(), 0), failed.sender_fault()) {
        (BrokerErrorKind::Permanent, false) => BrokerErrorKind::Transient,
        (kind, _) => kind,
    };
    let said = failed.message().unwrap_or_default();
    BrokerError::new(kind, format!("the queue {}: {}: {said}", queue.name, failed.code()))
}

/// Whether the message of an old handle is meant: it comes again, or is gone, and the
/// inbox knows it either way.
///
/// Of a FIFO queue, and of a visibility that cannot be changed any more, AWS says it in
/// words alone.
pub(super) fn is_of_an_old_handle(failed: &BatchResultErrorEntry) -> bool {
    let code = plain(failed.code());
    let said = failed.message().unwrap_or_default();
    match code {
        "ReceiptHandleIsInvalid" | "MessageNotInflight" => true,
        "InvalidParameterValue" => {
            said.contains("receipt handle has expired")
                || said.contains("not available for visibility timeout change")
        }
        _ => false,
    }
}

/// A code as each of its spellings has it.
fn plain(code: &str) -> &str {
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    code.strip_suffix("Exception").unwrap_or(code)
}

fn as_error(error: &aws_sdk_sqs::error::ConnectorError) -> &(dyn Error + 'static) {
    error
}

/// Whether nothing of the request has left: no connection was made, or none was tried for
/// want of credentials. A connection that was lost may have carried it.
fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    let mut chain = Some(error);
    while let Some(error) = chain {
        let http = error.downcast_ref::<hyper_util::client::legacy::Error>();
        if http.is_some_and(|http| http.is_connect()) || error.is::<CredentialsError>() {
            return true;
        }
        chain = error.source();
    }
    false
}

fn seconds(header: &str) -> Option<Duration> {
    header.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use BrokerErrorKind::{Permanent, Transient, Unavailable};

    /// Every spelling that AWS and its stand-ins have.
    #[test]
    fn a_code_says_the_same_however_it_is_spelled() {
        for (code, status, wanted) in [
            ("AWS.SimpleQueueService.NonExistentQueue", 400, Unavailable),
            ("QueueDoesNotExist", 400, Unavailable),
            ("AccessDeniedException", 403, Unavailable),
            ("AccessDenied", 403, Unavailable),
            ("ExpiredTokenException", 403, Unavailable),
            ("ThrottlingException", 400, Unavailable),
            ("RequestThrottled", 403, Unavailable),
            ("KMS.ThrottlingException", 400, Unavailable),
            ("KMS.AccessDeniedException", 400, Unavailable),
            ("AWS.SimpleQueueService.UnsupportedOperation", 400, Unavailable),
            ("", 503, Unavailable),
            ("", 429, Unavailable),
            ("InvalidMessageContents", 400, Permanent),
            ("InvalidParameterValueException", 400, Permanent),
            ("AWS.SimpleQueueService.BatchRequestTooLong", 400, Permanent),
            ("InternalFailure", 500, Transient),
            ("InternalError", 500, Transient),
            ("SomethingNew", 403, Transient),
            ("", 500, Transient),
        ] {
            assert_eq!(kind(code, status), wanted, "{code} {status}");
        }
    }
}
