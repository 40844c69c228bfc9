//! A member of a consumer group: the client, and what it says of its own accord.

use std::sync::Arc;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{
    BaseConsumer, Consumer as _, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::blocking::aside;
use super::client::Context;
use super::partition::Shared;
use crate::broker::BrokerError;

/// A consumer that is dropped in a thread of its own: it leaves its group, which would
/// block the runtime.
pub(super) struct Member(Option<StreamConsumer<Callbacks>>);

impl Member {
    pub(super) fn join(
        client_config: &ClientConfig,
        callbacks: Callbacks,
    ) -> Result<Self, KafkaError> {
        let topic = Arc::clone(&callbacks.topic);
        let consumer: StreamConsumer<Callbacks> =
            client_config.create_with_context(callbacks)?;
        let member = Self(Some(consumer));
        member.consumer()?.subscribe(&[&topic])?;
        Ok(member)
    }

    pub(super) fn consumer(&self) -> Result<&StreamConsumer<Callbacks>, KafkaError> {
        self.0.as_ref().ok_or(KafkaError::Canceled)
    }

    /// Leaves the group. Blocks the thread.
    pub(super) fn leave(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(consumer) = self.0.take() {
            aside(move || drop(consumer));
        }
    }
}

/// What the client calls.
pub(super) struct Callbacks {
    pub(super) shared: Arc<Shared>,
    pub(super) topic: Arc<str>,
    pub(super) context: Context,
}

impl ClientContext for Callbacks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.watch.heard(&error, reason);
    }

    fn generate_oauth_token(
        &self,
        _: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.context.token()
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(revoked) = rebalance {
            let mut partitions = self.shared.partitions();
            for element in revoked.elements() {
                partitions.entry(element.partition()).or_default().revoke();
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        // One that waited when it was taken away would wait still.
        if let Rebalance::Assign(assigned) = rebalance {
            let _ = consumer.resume(assigned);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        let Err(error) = result else { return };
        // There was nothing to commit; the group is being shared out, and who gets the
        // partition reads on from before; or the client has ended, and says so itself.
        if matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::NoOffset
                    | RDKafkaErrorCode::RebalanceInProgress
                    | RDKafkaErrorCode::Fatal
            )
        ) {
            return;
        }
        let told = BrokerError::transient(format!(
            "offsets of {} were not committed: {error}",
            self.topic
        ));
        self.shared.errors().add("commit", told);
        self.shared.woken.notify_one();
    }
}
