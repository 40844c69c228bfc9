//! How far a group is behind, partition by partition: asked of the cluster by clients
//! that are members of no group.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::blocking::aside;
use super::client::{Context, Watch};
use super::config::KafkaConfig;
use super::offsets::{absolute, first_of};
use super::topic::partitions;
use super::verdict::broker_error;
use crate::broker::{BrokerError, Lag};
use crate::reason::reason;

/// What keeps events from a group that only reads what is committed.
const OPEN_TRANSACTION: &str = "a transaction of another program that is open still";

/// How long a client is listened to, for the token that it asks for, or for why it has
/// failed. It has nothing to read.
const LISTEN: Duration = Duration::from_millis(100);

/// A question about a group.
pub(super) struct Question {
    pub(super) config: KafkaConfig,
    /// That of a member.
    pub(super) client_config: ClientConfig,
    /// Where the group begins that has committed nothing: at the earliest, or at this
    /// time.
    pub(super) from: Option<DateTime<Utc>>,
}

/// What is known of one partition, in offsets.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    done: i64,
    /// Where the first transaction begins that is open, or else the end.
    stable: i64,
    end: i64,
}

impl Offsets {
    fn lag(self, topic: &str, partition: i32) -> Lag {
        let between = |from: i64, to: i64| {
            u64::try_from(to.saturating_sub(from)).unwrap_or_default()
        };
        let held_back = between(self.stable.max(self.done), self.end);
        Lag::new(place(topic, partition), between(self.done, self.end))
            .held_back(held_back, OPEN_TRANSACTION)
    }
}

/// What a partition is called.
pub(super) fn place(topic: &str, partition: i32) -> String {
    format!("partition {partition} of {topic}")
}

impl Question {
    /// Asks, and is done at the time given. Blocks the thread.
    pub(super) fn ask(&self, by: Instant) -> Result<Vec<Lag>, BrokerError> {
        let watch = Arc::<Watch>::default();
        let [committed, all] = ["read_committed", "read_uncommitted"]
            .map(|level| self.client(level, &watch));
        let clients = committed.and_then(|committed| Ok((committed, all?)));
        let (committed, all) =
            clients.map_err(|error| BrokerError::unreachable(reason(&error)))?;
        let asked = self.offsets(&committed, &all, by);
        if asked.is_err() {
            let _ = (committed.poll(LISTEN), all.poll(LISTEN));
        }
        // Their end waits for their threads.
        aside(move || drop((committed, all)));
        let topic = &self.config.topic;
        let found = asked.map_err(|error| {
            broker_error(&watch, &error, format!("the topic {topic}: {error}"))
        })?;
        let found = found.map_err(|why| {
            BrokerError::unavailable(format!("the topic {topic}: {why}"))
        })?;
        Ok(found
            .into_iter()
            .map(|(partition, offsets)| offsets.lag(topic, partition))
            .collect())
    }

    fn client(
        &self,
        isolation_level: &str,
        watch: &Arc<Watch>,
    ) -> Result<BaseConsumer<Context>, KafkaError> {
        let mut client_config = self.client_config.clone();
        client_config.set("isolation.level", isolation_level);
        let client: BaseConsumer<Context> =
            client_config.create_with_context(self.config.context(watch))?;
        if client_config.get("sasl.mechanism") == Some("OAUTHBEARER") {
            let _ = client.poll(LISTEN);
        }
        Ok(client)
    }

    /// By partition; or why the topic has none.
    fn offsets(
        &self,
        committed: &BaseConsumer<Context>,
        all: &BaseConsumer<Context>,
        by: Instant,
    ) -> Result<Result<Vec<(i32, Offsets)>, String>, KafkaError> {
        let (topic, left) =
            (self.config.topic.as_str(), || by.saturating_duration_since(Instant::now()));
        let partitions = match partitions(committed.client(), topic, left())? {
            Ok(partitions) => partitions,
            Err(why) => return Ok(Err(why)),
        };
        let mut asked = TopicPartitionList::new();
        for partition in &partitions {
            asked.add_partition(topic, *partition);
        }
        let done: HashMap<i32, i64> =
            absolute(&committed.committed_offsets(asked, left())?);
        let from = self.from.filter(|_| done.is_empty());
        let begin = from
            .map(|from| first_of(committed, topic, &partitions, from, left()))
            .transpose()?;
        let mut offsets = Vec::new();
        for partition in partitions {
            let (low, stable) = committed.fetch_watermarks(topic, partition, left())?;
            let (_, end) = all.fetch_watermarks(topic, partition, left())?;
            let begin = begin
                .as_ref()
                .map_or(low, |begin| begin.get(&partition).copied().unwrap_or(end));
            let done = done.get(&partition).copied().unwrap_or(begin).max(low);
            offsets.push((partition, Offsets { done, stable, end }));
        }
        Ok(Ok(offsets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_an_open_transaction_is_held_back() {
        let lag = |done, stable, end| {
            let lag = Offsets { done, stable, end }.lag("crm", 3);
            (lag.behind, lag.held_back, lag.waits_for)
        };
        assert_eq!(lag(10, 22, 22), (12, 0, None));
        assert_eq!(lag(10, 18, 22), (12, 4, Some(OPEN_TRANSACTION)));
        assert_eq!(lag(22, 22, 22), (0, 0, None));
        assert_eq!(lag(30, 22, 22), (0, 0, None), "made anew");
    }
}
