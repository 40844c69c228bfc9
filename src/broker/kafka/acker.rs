//! `Acker`: acks a delivery, which moves its partition's offset on, or nacks it, so that
//! it is read again.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::{Instant, timeout};

use super::blocking::apart;
use super::member::Member;
use super::partition::{Partition, Shared};
use crate::broker::{Ack, BrokerError};

/// How long a delivery that was dropped waits.
const DROPPED: Duration = Duration::from_secs(1);

/// How long a commit that is to be made at once is waited for.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Acks or nacks a delivery of Kafka. Dropped, it nacks it: the listener reads the
/// partition again from its event on, after a second.
///
/// An ack is committed in the background, a tenth of a second later at the most, and when
/// the group rebalances or the listener ends. What a crash leaves uncommitted comes again,
/// as a duplicate to the inbox. In the first second that a listener has a partition, the
/// first acks are committed at once, and then ever fewer: so an event whose handler ends
/// its process again and again is soon the first of the partition, which counts [as
/// redelivered](crate::broker::Delivery::redelivered).
pub struct Acker {
    pub(super) shared: Arc<Shared>,
    /// No more than a hint: with the listener, its member of the group goes.
    pub(super) member: Weak<Member>,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) reading: u64,
    pub(super) settled: bool,
}

impl Acker {
    /// Changes the state of the partition, where it is still as it was when the delivery
    /// was made.
    fn with<T>(
        &mut self,
        change: impl FnOnce(&mut Partition) -> T,
    ) -> Result<T, BrokerError> {
        self.settled = true;
        let late = || {
            BrokerError::transient(format!(
                "partition {} of {} is read again, or by another consumer, since this was delivered",
                self.partition, self.topic
            ))
        };
        let mut partitions = self.shared.partitions();
        let partition = partitions.get_mut(&self.partition);
        let partition =
            partition.filter(|partition| partition.is_open(self.offset, self.reading));
        partition.map(change).ok_or_else(late)
    }

    fn read_again(&mut self, after: Duration) -> Result<(), BrokerError> {
        let (offset, now) = (self.offset, Instant::now());
        let at = now.checked_add(after).unwrap_or(now);
        self.with(|partition| partition.read_again(offset, at))?;
        self.shared.woken.notify_one();
        Ok(())
    }
}

impl Ack for Acker {
    async fn ack(mut self) -> Result<(), BrokerError> {
        let offset = self.offset;
        let ack = |partition: &mut Partition| {
            let commit = partition.ack(offset)?;
            Some((commit, partition.commits_at_once(commit)))
        };
        // Events before it are unacked: it is committed with the last of them.
        let Some((commit, at_once)) = self.with(ack)? else { return Ok(()) };
        let failed = |why: String| {
            BrokerError::transient(format!("the offset was not committed: {why}"))
        };
        let member = self
            .member
            .upgrade()
            .ok_or_else(|| failed("the listener was dropped".to_owned()))?;
        let mut offsets = TopicPartitionList::new();
        let added = offsets.add_partition_offset(
            &self.topic,
            self.partition,
            Offset::Offset(commit),
        );
        let stored = added.and_then(|()| member.consumer()?.store_offsets(&offsets));
        stored.map_err(|error| failed(error.to_string()))?;
        if at_once {
            // Where it fails, or takes too long, the commit in the background is left,
            // which says what is wrong.
            let committed =
                apart(move || member.consumer()?.commit(&offsets, CommitMode::Sync));
            let _ = timeout(AT_ONCE, committed).await;
        }
        Ok(())
    }

    async fn nack(mut self, after: Duration) -> Result<(), BrokerError> {
        self.read_again(after)
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        if !self.settled {
            // Where it comes too late, the event is delivered again anyhow.
            let _ = self.read_again(DROPPED);
        }
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker")
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
