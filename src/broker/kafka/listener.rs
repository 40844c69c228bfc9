//! The receiving side: a member of a consumer group, whose offsets are committed only as far as every event is answered.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::Envelope;
use crate::broker::message::{Value, read as read_message};
use crate::broker::{Answer, Broker, Consumer, Delivery, Found, SendError};
use crate::cloudevents::Binding;
use crate::state::Pending;

/// How long a delivery that was dropped without an answer waits.
const DROPPED: Duration = Duration::from_secs(1);

/// A consumer of one topic, in a group.
///
/// A group has one offset for each partition, and no answer for one event. So the offset is committed as far as every
/// event before it is confirmed; and a delivery that is to be retried, or that is dropped without an answer, is read
/// again with all that follow it in its partition: their order is kept, and what was confirmed already is a duplicate to
/// the inbox. The other partitions go on meanwhile.
///
/// Call [`next`](Consumer::next) at least every five minutes (`max.poll.interval.ms`), or the group gives the partitions
/// to another member.
pub struct Listener {
    config: ClientConfig,
    topic: String,
    shared: Arc<Shared>,
    consumer: Option<Arc<StreamConsumer<Group>>>,
}

#[derive(Default)]
struct Shared {
    partitions: Mutex<HashMap<i32, Partition>>,
    /// Tells the listener that a partition is to be read again.
    rewound: Notify,
    /// One commit at a time, so that none overtakes a later one.
    committing: tokio::sync::Mutex<()>,
}

/// What was handed out of a partition, and where to read it again.
#[derive(Default)]
struct Partition {
    /// Counts how often it was read again.
    reading: u64,
    /// The last offset that was handed out since the group assigned the partition.
    last: Option<i64>,
    /// The deliveries without an answer, and those that were confirmed behind them, by offset.
    open: BTreeMap<i64, Open>,
    /// From where to read again, and when. Nothing is handed out meanwhile.
    rewind: Option<(i64, Instant)>,
}

struct Open {
    /// In which reading it was delivered: an answer to the same offset from before comes too late.
    reading: u64,
    confirmed: bool,
}

impl Shared {
    fn partitions(&self) -> MutexGuard<'_, HashMap<i32, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partition {
    /// Whether an offset may have been handed out before, to this listener or to another: where the group's offset
    /// stands, one may have begun that has never ended.
    fn is_redelivered(&self, offset: i64) -> bool {
        self.last.is_none_or(|last| offset <= last)
    }

    fn deliver(&mut self, offset: i64) -> u64 {
        self.last = self.last.max(Some(offset));
        self.open.insert(offset, Open { reading: self.reading, confirmed: false });
        self.reading
    }

    fn is_open(&self, offset: i64, reading: u64) -> bool {
        self.open.get(&offset).is_some_and(|open| open.reading == reading && !open.confirmed)
    }

    /// Confirms an offset, and gives the one to commit where there is a new one.
    fn confirm(&mut self, offset: i64) -> Option<i64> {
        self.open.get_mut(&offset)?.confirmed = true;
        let mut commit = None;
        while let Some(first) = self.open.first_entry().filter(|first| first.get().confirmed) {
            commit = first.key().checked_add(1);
            first.remove();
        }
        commit
    }

    /// Delivers an offset again, and all that follow it. What came before it can be answered still.
    fn read_again(&mut self, offset: i64, at: Instant) {
        self.open.split_off(&offset);
        // Of two, the earlier offset counts, and its wait: the other one follows it.
        if self.rewind.is_none_or(|(from, _)| offset < from) {
            self.rewind = Some((offset, at));
        }
    }

    fn rewound(&mut self) {
        self.reading = self.reading.saturating_add(1);
        self.rewind = None;
    }
}

/// Forgets the partitions that the group takes away.
struct Group {
    shared: Arc<Shared>,
}

impl ClientContext for Group {}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(revoked) = rebalance {
            let mut partitions = self.shared.partitions();
            for element in revoked.elements() {
                let partition = partitions.entry(element.partition()).or_default();
                partition.open.clear();
                partition.last = None;
                partition.rewound();
            }
        }
    }
}

impl Listener {
    pub(super) fn new(mut config: ClientConfig, topic: String, group: String) -> Self {
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest");
        Self { config, topic, shared: Arc::default(), consumer: None }
    }

    fn consumer(&mut self) -> Result<Arc<StreamConsumer<Group>>, KafkaError> {
        if let Some(consumer) = &self.consumer {
            return Ok(Arc::clone(consumer));
        }
        let group = Group { shared: Arc::clone(&self.shared) };
        let consumer: StreamConsumer<Group> = self.config.create_with_context(group)?;
        consumer.subscribe(&[&self.topic])?;
        Ok(Arc::clone(self.consumer.insert(Arc::new(consumer))))
    }

    /// Goes back to where a delivery is to be read again, and says when the next one is.
    fn rewind(&self, consumer: &StreamConsumer<Group>) -> Result<Option<Instant>, KafkaError> {
        let (now, mut next) = (Instant::now(), None::<Instant>);
        for (number, partition) in self.shared.partitions().iter_mut() {
            match partition.rewind {
                Some((offset, at)) if at <= now => {
                    // Without a time to wait it is begun, and what was read ahead is thrown away.
                    consumer.seek(&self.topic, *number, Offset::Offset(offset), Duration::ZERO)?;
                    partition.rewound();
                }
                Some((_, at)) => next = Some(next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        Ok(next)
    }

    /// The delivery of a message; nothing where its partition is to be read again from an earlier one.
    fn delivery(
        &self,
        message: &BorrowedMessage<'_>,
        consumer: &Arc<StreamConsumer<Group>>,
    ) -> Result<Option<Delivery<Confirm>>, SendError> {
        let (redelivered, reading) = {
            let mut partitions = self.shared.partitions();
            let partition = partitions.entry(message.partition()).or_default();
            if partition.rewind.is_some() {
                return Ok(None);
            }
            (partition.is_redelivered(message.offset()), partition.deliver(message.offset()))
        };
        let answer = Confirm {
            shared: Arc::clone(&self.shared),
            consumer: Arc::downgrade(consumer),
            topic: self.topic.clone(),
            partition: message.partition(),
            offset: message.offset(),
            reading,
            answered: false,
        };
        let delivery = Delivery::new(read(message), answer).redelivered(redelivered);
        Ok(Some(delivery.from_broker(super::Kafka::SYSTEM, Some(message.topic().into()))))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It leaves the group, which would block the runtime.
        let consumer = self.consumer.take();
        std::thread::spawn(move || drop(consumer));
    }
}

impl Consumer for Listener {
    type Answer = Confirm;

    async fn next(&mut self) -> Result<Option<Delivery<Confirm>>, SendError> {
        let unusable = |error: KafkaError| SendError::unreachable(error.to_string());
        let consumer = self.consumer().map_err(unusable)?;
        loop {
            let rewind = self.rewind(&consumer).map_err(unusable)?;
            tokio::select! {
                message = consumer.recv() => match message {
                    Ok(message) => {
                        if let Some(delivery) = self.delivery(&message, &consumer)? {
                            return Ok(Some(delivery));
                        }
                    }
                    // The client goes on by itself.
                    Err(error) => {
                        let reason = format!("the topic {}: {error}", self.topic);
                        return Err(match error.rdkafka_error_code() {
                            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure) => {
                                SendError::unreachable(reason)
                            }
                            _ => SendError::transient(reason),
                        });
                    }
                },
                () = self.shared.rewound.notified() => {}
                () = sleep_until(rewind.unwrap_or_else(Instant::now)), if rewind.is_some() => {}
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("topic", &self.topic).finish_non_exhaustive()
    }
}

fn read(message: &BorrowedMessage<'_>) -> Envelope<Pending> {
    let body = message.payload().unwrap_or_default().to_vec();
    let millis = message.timestamp().to_millis();
    // A topic that was deleted and made again counts from 0 again: so the time too.
    let position = format!("{} {} {}", message.partition(), message.offset(), millis.unwrap_or_default());
    let at = millis.and_then(DateTime::from_timestamp_millis).unwrap_or_else(Utc::now);
    let found = Found { place: message.topic(), position: &position, at };
    let headers = message.headers();
    let headers = headers.iter().flat_map(|headers| headers.iter());
    let headers = headers.filter_map(|header| Some((header.key.to_owned(), Value::of_bytes(header.value?))));
    read_message(Binding::Kafka, headers.collect(), body, &found)
}

/// The answer to a delivery of Kafka. Dropped, it makes the partition be read again from its event on, after a second.
pub struct Confirm {
    shared: Arc<Shared>,
    /// No more than a hint: the last to let go of it waits until it has left the group.
    consumer: Weak<StreamConsumer<Group>>,
    topic: String,
    partition: i32,
    offset: i64,
    reading: u64,
    answered: bool,
}

impl Confirm {
    /// Changes the state of the partition, where it is still as it was when the delivery was made.
    fn with<T>(&mut self, change: impl FnOnce(&mut Partition) -> T) -> Result<T, SendError> {
        self.answered = true;
        let late = || {
            SendError::transient(format!(
                "partition {} of {} is read again, or by another consumer, since this was delivered",
                self.partition, self.topic
            ))
        };
        let mut partitions = self.shared.partitions();
        let partition = partitions.get_mut(&self.partition);
        let partition = partition.filter(|partition| partition.is_open(self.offset, self.reading));
        partition.map(change).ok_or_else(late)
    }

    fn read_again(&mut self, after: Duration) -> Result<(), SendError> {
        let (offset, now) = (self.offset, Instant::now());
        let at = now.checked_add(after).unwrap_or(now);
        self.with(|partition| partition.read_again(offset, at))?;
        self.shared.rewound.notify_one();
        Ok(())
    }
}

impl Answer for Confirm {
    async fn confirm(mut self) -> Result<(), SendError> {
        let one_at_a_time = Arc::clone(&self.shared);
        let _committing = one_at_a_time.committing.lock().await;
        let offset = self.offset;
        // Events before it are without an answer: it is committed with the last of them.
        let Some(commit) = self.with(|partition| partition.confirm(offset))? else { return Ok(()) };
        let failed = |why: String| SendError::transient(format!("the offset was not committed: {why}"));
        let mut offsets = TopicPartitionList::new();
        let added = offsets.add_partition_offset(&self.topic, self.partition, Offset::Offset(commit));
        added.map_err(|error| failed(error.to_string()))?;
        let consumer = self.consumer.upgrade().ok_or_else(|| failed("the listener was dropped".to_owned()))?;
        let committed = tokio::task::spawn_blocking(move || consumer.commit(&offsets, CommitMode::Sync)).await;
        committed.map_err(|ended| failed(ended.to_string()))?.map_err(|error| failed(error.to_string()))
    }

    async fn retry(mut self, after: Duration) -> Result<(), SendError> {
        self.read_again(after)
    }
}

impl Drop for Confirm {
    fn drop(&mut self) {
        if !self.answered {
            // Where it comes too late, the event is delivered again anyhow.
            let _ = self.read_again(DROPPED);
        }
    }
}

impl fmt::Debug for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirm")
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_committed_only_when_all_before_it_are_confirmed() {
        let mut partition = Partition::default();
        for offset in [3, 4, 7] {
            partition.deliver(offset);
        }
        assert_eq!(partition.confirm(4), None);
        assert_eq!(partition.confirm(3), Some(5));
        assert_eq!(partition.confirm(3), None, "confirmed before");
        assert_eq!(partition.confirm(7), Some(8));
    }

    #[test]
    fn the_first_of_an_assignment_may_have_been_delivered_before_and_so_was_what_is_read_again() {
        let mut partition = Partition::default();
        let mut deliver = |offset| (partition.is_redelivered(offset), partition.deliver(offset)).0;
        assert_eq!([3, 4, 5, 4, 5, 6].map(&mut deliver), [true, false, false, true, true, false]);
    }

    #[test]
    fn of_two_retries_the_earlier_offset_counts() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        partition.read_again(5, now);
        partition.read_again(3, now);
        partition.read_again(4, now);
        assert_eq!(partition.rewind.map(|(offset, _)| offset), Some(3));
    }

    #[test]
    fn a_retry_leaves_what_came_before_it_to_be_answered_and_what_follows_to_come_again() {
        let mut partition = Partition::default();
        let [third, _, fifth, sixth] = [3, 4, 5, 6].map(|offset| partition.deliver(offset));
        assert_eq!(partition.confirm(4), None);
        partition.read_again(5, Instant::now());
        partition.rewound();
        let again = partition.deliver(5);
        assert!(partition.is_open(3, third));
        assert!(!partition.is_open(5, fifth) && partition.is_open(5, again), "an answer from before is too late");
        assert!(!partition.is_open(6, sixth));
        assert_eq!(partition.confirm(3), Some(5), "and nothing beyond what is read again");
    }
}
