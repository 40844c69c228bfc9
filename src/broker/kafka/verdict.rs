//! What an answer of the cluster says: of the event, of the batch that it was in, or of
//! the place.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataTopic;

use super::client::Watch;
use crate::broker::{BrokerError, BrokerErrorKind};

/// Whether an answer may be meant for other events of the same batch: then it says
/// nothing of this one.
pub(super) const fn is_of_batch(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidDifferentRecord
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::PolicyViolation
    )
}

/// What an answer to an event that was alone in its batch makes of it.
pub(super) const fn verdict(code: Code) -> BrokerErrorKind {
    match code {
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidRecord
        | Code::PolicyViolation => BrokerErrorKind::Permanent,
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::Resolve
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::SSL => BrokerErrorKind::Unreachable,
        // A record has the time at which it is sent: the clock of this machine is wrong
        // for each of them.
        Code::InvalidTimestamp
        | Code::BrokerNotAvailable
        | Code::ClusterAuthorizationFailed
        | Code::Fatal
        | Code::GroupAuthorizationFailed
        | Code::InvalidTopic
        | Code::KafkaStorageError
        | Code::LeaderNotAvailable
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::NotLeaderForPartition
        | Code::PurgeQueue
        | Code::QueueFull
        | Code::ReplicaNotAvailable
        | Code::ThrottlingQuotaExceeded
        | Code::TopicAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::UnknownPartition
        | Code::UnknownTopic
        | Code::UnknownTopicId
        | Code::UnknownTopicOrPartition
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedVersion => BrokerErrorKind::Unavailable,
        _ => BrokerErrorKind::Transient,
    }
}

/// What a listener, or whoever asks about a group, is told of an error of its client.
pub(super) fn told(watch: &Watch, error: &KafkaError, said: String) -> BrokerError {
    match error.rdkafka_error_code().map(verdict) {
        Some(BrokerErrorKind::Unreachable) => {
            BrokerError::unreachable(watch.with_words_or_guess(said))
        }
        Some(BrokerErrorKind::Unavailable) => {
            BrokerError::unavailable(watch.with_words(said))
        }
        _ => BrokerError::transient(watch.with_words(said)),
    }
}

/// Why a topic takes nothing for now, as its metadata say, where they do.
pub(super) fn sick(topic: &MetadataTopic, min_insync: Option<usize>) -> Option<String> {
    if let Some(error) = topic.error() {
        return Some(Code::from(error).to_string());
    }
    if topic.partitions().is_empty() {
        return Some("it has no partitions".to_owned());
    }
    topic.partitions().iter().find_map(|partition| {
        let (number, in_sync) = (partition.id(), partition.isr().len());
        if partition.leader() < 0 {
            return Some(format!("its partition {number} has no leader"));
        }
        let wanted = min_insync.filter(|wanted| in_sync < *wanted)?;
        Some(format!(
            "its partition {number} has {in_sync} of the {wanted} replicas in sync that min.insync.replicas asks for"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_a_batch_condemns_no_event_and_one_of_the_place_spends_no_attempt() {
        for code in [
            Code::InvalidDifferentRecord,
            Code::InvalidRecord,
            Code::InvalidTimestamp,
            Code::MessageSizeTooLarge,
        ] {
            assert!(is_of_batch(code), "{code}");
        }
        for code in [
            Code::NotEnoughReplicas,
            Code::TopicAuthorizationFailed,
            Code::UnknownTopicOrPartition,
            Code::Fatal,
        ] {
            assert!(!is_of_batch(code), "{code}");
            assert_eq!(verdict(code), BrokerErrorKind::Unavailable, "{code}");
        }
        assert_eq!(verdict(Code::MessageSizeTooLarge), BrokerErrorKind::Permanent);
        assert_eq!(
            verdict(Code::InvalidTimestamp),
            BrokerErrorKind::Unavailable,
            "a clock is no fault of an event"
        );
        assert_eq!(verdict(Code::InvalidDifferentRecord), BrokerErrorKind::Transient);
        assert_eq!(verdict(Code::MessageTimedOut), BrokerErrorKind::Transient);
    }
}
