//! Where a partition is read on when the client has no place, or none that is there
//! still.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::consumer::{Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::lag::place as place_name;
use super::member::Member;
use crate::broker::{BrokerError, Lost};

/// How long each question to the cluster may take.
const ASK_WITHIN: Duration = Duration::from_secs(3);

/// Where to go on in a partition, and what that passes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It was being read there.
    GoesOn,
    /// The group begins.
    Begins,
    /// What lies between is deleted.
    Deleted { from: i64 },
    /// It ends before what was read: it is another one of the same name, or has lost its
    /// end.
    Anew { read: i64, end: i64 },
}

/// Where to go on, from what was read already, as far as anybody knows, and what is
/// there.
fn place(
    partition: i32,
    read: Option<i64>,
    begin: i64,
    (low, high): (i64, i64),
) -> Place {
    let (offset, why) = match read {
        None => (begin, Why::Begins),
        Some(read) if read < low => (low, Why::Deleted { from: read }),
        Some(read) if read > high => (low, Why::Anew { read, end: high }),
        Some(read) => (read, Why::GoesOn),
    };
    Place { partition, offset, why }
}

impl Place {
    /// What to tell of what is lost.
    pub(super) fn loss(&self, topic: &str, group: &str) -> Option<BrokerError> {
        let (place, offset) = (place_name(topic, self.partition), self.offset);
        match self.why {
            Why::GoesOn | Why::Begins => None,
            Why::Deleted { from } => {
                let number = |offset: i64| u64::try_from(offset).unwrap_or_default();
                let (from, to) = (number(from), number(offset.saturating_sub(1)));
                let advice = format!(
                    "it goes on at {offset}. Let the topic keep events for longer than its slowest group may stand still \
                     (retention.ms, retention.bytes)"
                );
                Some(BrokerError::lost(
                    Lost::new(place, format!("the group {group}"), from, to),
                    &advice,
                ))
            }
            Why::Anew { read, end } => Some(BrokerError::permanent(format!(
                "{place} ends at {end}, and the group {group} had read as far as {read}: the topic was deleted and made \
                 anew, or a broker has lost its end; it is read from {offset} on"
            ))),
        }
    }
}

/// Asks for a place in each partition that the member has. Blocks the thread, for a while
/// at the most.
///
/// `read` is where each is being read, as far as the listener knows; a new group begins
/// at the first event of the time `from`, or at the earliest.
pub(super) fn find(
    member: &Member,
    topic: &str,
    read: &HashMap<i32, i64>,
    from: Option<DateTime<Utc>>,
) -> Result<Vec<Place>, KafkaError> {
    let consumer = member.consumer()?;
    let assigned = consumer.assignment()?;
    let partitions: Vec<i32> =
        assigned.elements().iter().map(|element| element.partition()).collect();
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let committed: HashMap<i32, i64> =
        absolute(&consumer.committed_offsets(assigned, ASK_WITHIN)?);
    let from = from.filter(|_| committed.is_empty());
    let begin = from
        .map(|from| first_of(consumer, topic, &partitions, from, ASK_WITHIN))
        .transpose()?;
    let mut places = Vec::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, ASK_WITHIN)?;
        let read = read.get(&partition).or_else(|| committed.get(&partition)).copied();
        let begin = begin
            .as_ref()
            .map_or(low, |begin| begin.get(&partition).copied().unwrap_or(high));
        places.push(place(partition, read, begin, (low, high)));
    }
    Ok(places)
}

/// The first offset of this time or later; none of a partition that has none.
pub(super) fn first_of<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    topic: &str,
    partitions: &[i32],
    from: DateTime<Utc>,
    within: Duration,
) -> Result<HashMap<i32, i64>, KafkaError> {
    let mut times = TopicPartitionList::new();
    for partition in partitions {
        times.add_partition_offset(
            topic,
            *partition,
            Offset::Offset(from.timestamp_millis().max(0)),
        )?;
    }
    Ok(absolute(&consumer.offsets_for_times(times, within)?))
}

/// The offsets in a list that are numbers, by partition.
pub(super) fn absolute(offsets: &TopicPartitionList) -> HashMap<i32, i64> {
    let known =
        offsets.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        });
    known.collect()
}

/// Reads on at these places; not where the member has other partitions by now.
pub(super) fn go(
    member: &Member,
    topic: &str,
    places: &[Place],
) -> Result<bool, KafkaError> {
    let consumer = member.consumer()?;
    let mut has: Vec<i32> = consumer
        .assignment()?
        .elements()
        .iter()
        .map(|element| element.partition())
        .collect();
    let mut found: Vec<i32> = places.iter().map(|place| place.partition).collect();
    has.sort_unstable();
    found.sort_unstable();
    if has != found {
        return Ok(false);
    }
    let mut offsets = TopicPartitionList::new();
    for place in places {
        offsets.add_partition_offset(
            topic,
            place.partition,
            Offset::Offset(place.offset),
        )?;
    }
    // A partition that the client has stopped cannot be sought in.
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => {
            consumer.incremental_unassign(&offsets)?;
            consumer.incremental_assign(&offsets)?;
        }
        RebalanceProtocol::Eager | RebalanceProtocol::None => {
            consumer.assign(&offsets)?
        }
    }
    // So the group has a place from the beginning on, and a loss is told once. Where it
    // only goes on, what was handed out last may have no answer yet.
    let mut moved = TopicPartitionList::new();
    for place in places.iter().filter(|place| place.why != Why::GoesOn) {
        moved.add_partition_offset(
            topic,
            place.partition,
            Offset::Offset(place.offset),
        )?;
    }
    consumer.store_offsets(&moved)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_goes_on_and_what_is_gone_is_told_with_from_to_and_how_many() {
        let found = |read| place(3, read, 7, (50, 100));
        assert_eq!(found(Some(60)), Place { partition: 3, offset: 60, why: Why::GoesOn });
        assert_eq!(found(Some(100)).why, Why::GoesOn, "all is read");
        assert_eq!(found(None), Place { partition: 3, offset: 7, why: Why::Begins });
        let deleted = found(Some(10));
        assert_eq!((deleted.offset, deleted.why), (50, Why::Deleted { from: 10 }));
        let told = deleted
            .loss("crm", "erp")
            .unwrap_or_else(|| BrokerError::transient("nothing is told"));
        assert!(told.reason().starts_with(
            "partition 3 of crm: messages 10 to 49, 40 in all, were deleted before the group erp had read them"
        ));
        assert_eq!(
            told.loss().map(|lost| (lost.from, lost.to, lost.count())),
            Some((10, 49, 40))
        );
        let anew = found(Some(101));
        assert_eq!((anew.offset, anew.why), (50, Why::Anew { read: 101, end: 100 }));
        assert!(
            anew.loss("crm", "erp")
                .is_some_and(|told| told.reason().contains("ends at 100"))
        );
    }
}
