//! What was handed out of each partition, what of it is confirmed, and where to read
//! again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::errors::Errors;

/// How long a partition is a fresh one.
const FRESH: Duration = Duration::from_secs(1);

/// What part of the way since a fresh partition was assigned may be confirmed and not
/// committed.
const UNCOMMITTED: i64 = 4;

/// What a listener, its client's callbacks and the answers to its deliveries know
/// together.
#[derive(Default)]
pub(super) struct Shared {
    partitions: Mutex<HashMap<i32, Partition>>,
    errors: Mutex<Errors>,
    /// Tells the listener that there is something to read again, or to say.
    pub(super) woken: Notify,
}

impl Shared {
    pub(super) fn partitions(&self) -> MutexGuard<'_, HashMap<i32, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn errors(&self) -> MutexGuard<'_, Errors> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client is gone, and every partition with it.
    pub(super) fn forget(&self) {
        self.partitions().values_mut().for_each(Partition::revoke);
    }
}

/// What was handed out of a partition, and where to read it again.
#[derive(Default)]
pub(super) struct Partition {
    /// Counts how often it was read again.
    reading: u64,
    /// The last offset that was handed out since the group assigned the partition.
    last: Option<i64>,
    /// How far it is committed at once, since the first one was handed out.
    fresh: Option<Fresh>,
    /// The next offset to hand out, where that is known.
    position: Option<i64>,
    /// The deliveries without an answer, and those that were confirmed behind them, by
    /// offset.
    open: BTreeMap<i64, Open>,
    /// From where to read again, and when. Nothing is handed out meanwhile.
    pub(super) rewind: Option<(i64, Instant)>,
    /// Whether the client was told to read no more of it meanwhile.
    pub(super) paused: bool,
}

/// A partition that the group has assigned just now: who had it before may have ended in
/// the middle of an event that is near.
struct Fresh {
    since: Instant,
    first: i64,
    committed: i64,
}

struct Open {
    /// In which reading it was delivered: an answer to the same offset from before comes
    /// too late.
    reading: u64,
    confirmed: bool,
}

impl Partition {
    /// Whether an offset may have been handed out before, to this listener or to another:
    /// where the group's offset stands, one may have begun that has never ended.
    pub(super) fn is_redelivered(&self, offset: i64) -> bool {
        self.last.is_none_or(|last| offset <= last)
    }

    pub(super) fn deliver(&mut self, offset: i64) -> u64 {
        self.last = self.last.max(Some(offset));
        self.fresh.get_or_insert_with(|| Fresh {
            since: Instant::now(),
            first: offset,
            committed: offset,
        });
        self.position = offset.checked_add(1);
        self.open.insert(offset, Open { reading: self.reading, confirmed: false });
        self.reading
    }

    pub(super) fn is_open(&self, offset: i64, reading: u64) -> bool {
        self.open
            .get(&offset)
            .is_some_and(|open| open.reading == reading && !open.confirmed)
    }

    /// Confirms an offset, and gives the one to commit where there is a new one.
    pub(super) fn ack(&mut self, offset: i64) -> Option<i64> {
        self.open.get_mut(&offset)?.confirmed = true;
        let mut commit = None;
        while let Some(first) =
            self.open.first_entry().filter(|first| first.get().confirmed)
        {
            commit = first.key().checked_add(1);
            first.remove();
        }
        commit
    }

    /// Whether an offset is to be committed at once: each of the first ones of a fresh
    /// partition, and then ever fewer. So an event that ends its process is a quarter as
    /// far from the first one each time, until it is the first.
    pub(super) fn commits_at_once(&mut self, offset: i64) -> bool {
        let Some(fresh) =
            self.fresh.as_mut().filter(|fresh| fresh.since.elapsed() < FRESH)
        else {
            return false;
        };
        let (way, ahead) = (
            fresh.committed.saturating_sub(fresh.first),
            offset.saturating_sub(fresh.committed),
        );
        let at_once = ahead.saturating_mul(UNCOMMITTED) >= way;
        if at_once {
            fresh.committed = offset;
        }
        at_once
    }

    /// Delivers an offset again, and all that follow it. What came before it can be
    /// answered still.
    pub(super) fn read_again(&mut self, offset: i64, at: Instant) {
        self.open.split_off(&offset);
        // Of two, the earlier offset counts, and its wait: the other one follows it.
        if self.rewind.is_none_or(|(from, _)| offset < from) {
            self.rewind = Some((offset, at));
        }
    }

    pub(super) fn rewound(&mut self) {
        self.reading = self.reading.saturating_add(1);
        if let Some((offset, _)) = self.rewind.take() {
            self.position = Some(offset);
        }
        self.paused = false;
    }

    /// Where it is being read, as far as that is known.
    pub(super) fn reads_at(&self) -> Option<i64> {
        self.rewind.map(|(offset, _)| offset).or(self.position)
    }

    /// Goes on at another place, since there is nothing any more where it was.
    pub(super) fn move_to(&mut self, offset: i64) {
        self.open.clear();
        self.rewind = None;
        self.rewound();
        self.position = Some(offset);
    }

    /// The group has taken it away.
    pub(super) fn revoke(&mut self) {
        self.open.clear();
        self.rewind = None;
        self.rewound();
        (self.last, self.fresh, self.position) = (None, None, None);
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
        assert_eq!(partition.ack(4), None);
        assert_eq!(partition.ack(3), Some(5));
        assert_eq!(partition.ack(3), None, "confirmed before");
        assert_eq!(partition.ack(7), Some(8));
    }

    #[test]
    fn the_first_of_an_assignment_may_have_been_delivered_before_and_so_was_what_is_read_again()
     {
        let mut partition = Partition::default();
        let mut deliver =
            |offset| (partition.is_redelivered(offset), partition.deliver(offset)).0;
        assert_eq!(
            [3, 4, 5, 4, 5, 6].map(&mut deliver),
            [true, false, false, true, true, false]
        );
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
    fn a_retry_leaves_what_came_before_it_to_be_answered_and_what_follows_to_come_again()
    {
        let mut partition = Partition::default();
        let [third, _, fifth, sixth] =
            [3, 4, 5, 6].map(|offset| partition.deliver(offset));
        assert_eq!(partition.ack(4), None);
        partition.read_again(5, Instant::now());
        partition.rewound();
        assert_eq!(partition.position, Some(5));
        let again = partition.deliver(5);
        assert!(partition.is_open(3, third));
        assert!(
            !partition.is_open(5, fifth) && partition.is_open(5, again),
            "an answer from before is too late"
        );
        assert!(!partition.is_open(6, sixth));
        assert_eq!(partition.ack(3), Some(5), "and nothing beyond what is read again");
    }

    /// Delivers and confirms all before an event that ends the process, and says what was
    /// committed at once.
    fn committed_at_once(first: i64, poison: i64) -> Vec<i64> {
        let mut partition = Partition::default();
        let confirmed = (first..poison).filter_map(|offset| {
            partition.deliver(offset);
            partition.ack(offset).filter(|next| partition.commits_at_once(*next))
        });
        confirmed.collect()
    }

    #[test]
    fn an_event_that_ends_its_process_is_soon_the_first_of_its_partition_and_that_costs_few_commits()
     {
        assert_eq!(
            committed_at_once(7, 12),
            [8, 9, 10, 11, 12],
            "of those that are near, each"
        );
        let (mut first, poison) = (0, 10_000);
        for _ in 0..7 {
            let commits = committed_at_once(first, poison);
            assert!(commits.len() < 50, "{} commits for {poison} events", commits.len());
            first = commits.last().copied().unwrap_or(first);
        }
        assert_eq!(first, poison, "where the group begins after seven ends");
    }

    #[test]
    fn what_is_moved_on_answers_nothing_from_before() {
        let mut partition = Partition::default();
        let reading = partition.deliver(3);
        partition.move_to(50);
        assert!(!partition.is_open(3, reading));
        assert_eq!(partition.position, Some(50));
    }
}
