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

/// An error of a listener's client, or of a question about a group.
pub(super) fn broker_error(
    watch: &Watch,
    error: &KafkaError,
    said: String,
) -> BrokerError {
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

/// How many replicas of a partition are to be in sync before it is taken for one that
/// takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InSync {
    /// However many: nothing was refused yet.
    Any,
    /// As many as its topic asks for.
    AtLeast(usize),
    /// All of them: an event had no answer in time, and what its topic asks for is not
    /// known.
    All,
}

/// Why a topic takes nothing for now, as its metadata say, where they do.
pub(super) fn sick(topic: &MetadataTopic, wanted: InSync) -> Option<String> {
    if let Some(error) = topic.error() {
        return Some(Code::from(error).to_string());
    }
    if topic.partitions().is_empty() {
        return Some("it has no partitions".to_owned());
    }
    topic.partitions().iter().find_map(|partition| {
        let number = partition.id();
        if partition.leader() < 0 {
            return Some(format!("its partition {number} has no leader"));
        }
        let lacks = wanted.lacks(partition.isr().len(), partition.replicas().len())?;
        Some(format!("its partition {number} has {lacks}"))
    })
}

impl InSync {
    /// What is missing, where that is so many of so many.
    fn lacks(self, in_sync: usize, replicas: usize) -> Option<String> {
        match self {
            Self::AtLeast(wanted) if in_sync < wanted => Some(format!(
                "{in_sync} of the {wanted} replicas in sync that min.insync.replicas asks for"
            )),
            Self::All if in_sync < replicas => Some(format!(
                "{in_sync} of its {replicas} replicas in sync, and how many its topic asks for is not known here (the right \
                 DESCRIBE_CONFIGS is for that)"
            )),
            _ => None,
        }
    }
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

    #[test]
    fn missing_replicas_are_no_fault_of_an_event_whether_or_not_it_is_known_how_many_are_asked_for()
     {
        let lacks = |wanted: InSync, in_sync| wanted.lacks(in_sync, 3).is_some();
        assert!(lacks(InSync::AtLeast(2), 1) && !lacks(InSync::AtLeast(2), 2));
        assert!(lacks(InSync::All, 2) && !lacks(InSync::All, 3));
        assert!(
            !lacks(InSync::Any, 1),
            "before anything is sent, nothing is known to be refused"
        );
    }
}
