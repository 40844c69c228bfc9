//! How far a listener is behind, partition by partition.

use rdkafka::Statistics;

/// How far a listener is behind in one of the partitions that it has.
#[doc(alias = "consumer lag")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// The partition's number.
    pub partition: i32,
    /// How many offsets lie between the last one that is confirmed and the end. Marks of
    /// transactions are among them, so on a topic that others write to in transactions it
    /// need not come to 0.
    pub behind: u64,
    /// How many of them lie behind a transaction that is open still: none is read before
    /// it ends.
    pub held_back: u64,
}

impl Lag {
    /// What the client's statistics say of a topic's partitions, once the first records
    /// were fetched.
    pub(super) fn of(statistics: &Statistics, topic: &str) -> Vec<Self> {
        let partitions = statistics.topics.get(topic).map(|topic| &topic.partitions);
        let mut lag: Vec<Self> = partitions
            .into_iter()
            .flat_map(|partitions| partitions.values())
            .filter(|partition| {
                partition.partition >= 0 && partition.fetch_state == "active"
            })
            .filter_map(|partition| {
                let end = u64::try_from(partition.hi_offset).ok()?;
                let stable = u64::try_from(partition.ls_offset).unwrap_or(end);
                let done = partition.stored_offset.max(partition.committed_offset);
                let done = u64::try_from(done)
                    .or_else(|_| u64::try_from(partition.lo_offset))
                    .unwrap_or_default();
                Some(Self {
                    partition: partition.partition,
                    behind: end.saturating_sub(done),
                    held_back: end.saturating_sub(stable),
                })
            })
            .collect();
        lag.sort_by_key(|lag| lag.partition);
        lag
    }
}
