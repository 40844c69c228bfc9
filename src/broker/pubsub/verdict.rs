//! What a failure of Pub/Sub says about the place and the event: by the status of the
//! answer, or by how far the request came where there is none.

use std::time::Duration;

use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::{Code, StatusDetails};

use crate::broker::{BrokerError, BrokerErrorKind};
use crate::reason::reason;

/// What a status says.
pub(super) const fn kind(code: Code) -> BrokerErrorKind {
    match code {
        // The topic or subscription, a permission, the credentials, a key of KMS: it
        // holds for every event.
        Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::Unimplemented
        // Too much for now. Nothing was stored.
        | Code::ResourceExhausted
        | Code::Unavailable => BrokerErrorKind::Unavailable,
        Code::InvalidArgument | Code::OutOfRange => BrokerErrorKind::Permanent,
        _ => BrokerErrorKind::Transient,
    }
}

/// A request that did not succeed; `about` is the topic or subscription.
pub(super) fn of(about: &str, error: &Error) -> BrokerError {
    let why = format!("{about}: {}", reason(error));
    if let Some(status) = error.status() {
        let code = status.code;
        let why = format!("{about}: {} ({code})", status.message);
        let failed = BrokerError::new(kind(code), why);
        return match status.details.iter().find_map(wait) {
            Some(wait) => failed.with_retry_after(wait),
            None => failed,
        };
    }
    if error.is_connect() || error.is_authentication() || error.is_serialization() {
        return BrokerError::unreachable(why); // nothing was sent
    }
    BrokerError::transient(why)
}

/// Whether it failed since nobody answered in time.
pub(super) fn is_silence(error: &Error) -> bool {
    let code = error.status().map(|status| status.code);
    error.is_timeout() || error.is_exhausted() || code == Some(Code::DeadlineExceeded)
}

/// How long the answer asks to wait.
fn wait(detail: &StatusDetails) -> Option<Duration> {
    let StatusDetails::RetryInfo(info) = detail else { return None };
    Duration::try_from(info.retry_delay?).ok()
}

#[cfg(test)]
mod tests {
    use BrokerErrorKind::{Permanent, Transient, Unavailable};
    use google_cloud_gax::error::rpc::Status;

    use super::*;

    #[test]
    fn each_status_says_whether_it_is_the_event_or_the_place() {
        for (code, wanted) in [
            (Code::InvalidArgument, Permanent),
            (Code::OutOfRange, Permanent),
            (Code::NotFound, Unavailable),
            (Code::PermissionDenied, Unavailable),
            (Code::Unauthenticated, Unavailable),
            (Code::FailedPrecondition, Unavailable),
            (Code::ResourceExhausted, Unavailable),
            (Code::Unavailable, Unavailable),
            (Code::Unimplemented, Unavailable),
            (Code::Internal, Transient),
            (Code::Unknown, Transient),
            (Code::DeadlineExceeded, Transient),
            (Code::Aborted, Transient),
            (Code::Cancelled, Transient),
            (Code::DataLoss, Transient),
        ] {
            let error =
                Error::service(Status::default().set_code(code).set_message("why"));
            let failed = of("the topic orders", &error);
            assert_eq!(failed.kind(), wanted, "{code}");
            assert_eq!(failed.reason(), format!("the topic orders: why ({code})"));
        }
    }

    #[test]
    fn what_was_never_sent_costs_no_attempt() {
        let refused = of("the topic orders", &Error::connect("connection refused"));
        assert_eq!(refused.kind(), BrokerErrorKind::Unreachable);
        assert_eq!(of("the topic orders", &Error::io("reset")).kind(), Transient);
    }
}
