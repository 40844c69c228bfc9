//! Which deliveries may share a transaction. A handler that ends the process ends it for
//! all of them, so that the attempts of redeliveries are counted ahead, in one commit.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use super::InboxConfig;
use super::batch::{Placed, Taken};
use super::counting::{Begun, NextAttempt, next_attempt};
use super::entry::{Entry, LastAttempt};
use super::intake::Counted;
use super::reply::Done;
use crate::DeliveryStatus;
use crate::broker::Delivery;

/// How a delivery may be handled.
pub(crate) enum Sharing {
    /// With others: no attempt of it is counted ahead.
    Free,
    /// With others, once it is stored that its attempt begins.
    Counted(Box<NextAttempt>),
    /// Alone.
    Alone,
}

impl Sharing {
    /// How a redelivery may be handled, by what the inbox has of its event.
    ///
    /// Alone, if an attempt of it never ended: that may happen again, and shows the
    /// guilty one. Alone, if none follows this one: it would be a dead letter, guilty or
    /// not.
    pub(crate) fn of<A>(
        delivery: &Delivery<A>,
        before: Option<Entry>,
        config: &InboxConfig,
        at: DateTime<Utc>,
    ) -> Self {
        if is_suspect(before.as_ref()) {
            return Self::Alone;
        }
        match next_attempt(delivery, before, config, Counted::AtItsEnd) {
            Ok(None) => Self::Free,
            Ok(Some(next)) if !next.is_last(at) => Self::Counted(Box::new(next.shared())),
            // Alone, a row that is no event is an error of that event.
            Ok(Some(_)) | Err(_) => Self::Alone,
        }
    }
}

/// Whether the last attempt of an event keeps it from sharing a transaction. (One of a
/// dead letter that this inbox knows now would take the place of the dead letter.)
fn is_suspect(before: Option<&Entry>) -> bool {
    use LastAttempt::{Alone, Begun, Shared, Unknown};
    before.is_some_and(|entry| {
        matches!(entry.last_attempt, Begun | Shared | Alone | Unknown)
    })
}

/// Whether the inbox has nothing of an event but the mark of a first attempt that shared
/// a transaction: its turn, by an order, may still have to come.
pub(crate) fn is_new(found: Option<&Entry>) -> bool {
    found.is_none_or(|entry| {
        entry.last_attempt == LastAttempt::Shared
            && entry.row.attempts <= 1
            // An older program leaves the mark of what it has ended.
            && entry.row.status == DeliveryStatus::Retrying.as_str()
            && entry.due_at.is_none()
    })
}

/// The first deliveries of those that wait, as far as they are handled in the same way.
#[derive(Default)]
pub(crate) struct Front {
    shared: usize,
    alone: usize,
    /// What was counted ahead, by the places of the deliveries.
    counted: BTreeMap<usize, Begun>,
}

impl Front {
    /// Of deliveries of which nothing is to be counted ahead together: there is one, or
    /// none is a redelivery.
    pub(crate) fn uncounted<A>(waiting: &VecDeque<Placed<Delivery<A>>>) -> Option<Self> {
        let shared = waiting.len();
        if shared <= 1 {
            return Some(Self::one_alone());
        }
        let is_fresh = waiting.iter().all(|(_, one)| !one.is_redelivered());
        is_fresh.then(|| Self { shared, ..Self::default() })
    }

    /// The first delivery, to be handled alone.
    pub(crate) fn one_alone() -> Self {
        Self { alone: 1, ..Self::default() }
    }

    /// Adds the next delivery, and returns what to store of it; breaks where the front
    /// ends before it.
    pub(crate) fn add(
        &mut self,
        place: usize,
        sharing: Sharing,
        at: DateTime<Utc>,
    ) -> ControlFlow<(), Option<Entry>> {
        let count = match sharing {
            Sharing::Alone if self.shared == 0 => &mut self.alone,
            Sharing::Free | Sharing::Counted(_) if self.alone == 0 => &mut self.shared,
            _ => return ControlFlow::Break(()),
        };
        *count = count.saturating_add(1);
        ControlFlow::Continue(match sharing {
            Sharing::Counted(next) => {
                let (entry, begun) = next.at(at);
                self.counted.insert(place, begun);
                Some(entry)
            }
            Sharing::Free | Sharing::Alone => None,
        })
    }

    /// Whether it has no deliveries any more.
    pub(crate) const fn is_over(&self) -> bool {
        self.shared == 0 && self.alone == 0
    }

    /// Takes those that share the next transaction.
    pub(crate) fn sharing<A>(
        &self,
        waiting: &mut VecDeque<Placed<Delivery<A>>>,
    ) -> VecDeque<Placed<Delivery<A>>> {
        waiting.drain(..self.shared.min(waiting.len())).collect()
    }

    /// Takes those that are handled alone, and ends.
    pub(crate) fn alone<A>(
        &mut self,
        waiting: &mut VecDeque<Placed<Delivery<A>>>,
    ) -> Vec<Placed<Delivery<A>>> {
        let alone = std::mem::take(self).alone;
        waiting.drain(..alone.min(waiting.len())).collect()
    }

    /// How the attempt of a delivery is counted that shares a transaction.
    pub(crate) fn counted(&self, place: usize) -> Counted {
        if self.counted.contains_key(&place) { Counted::Ahead } else { Counted::AtItsEnd }
    }

    /// The attempts of these that were counted ahead, and did not begin.
    pub(crate) fn idle<A>(&self, taken: &[Placed<Taken<A>>]) -> Vec<&Begun> {
        let waits = |one: &Taken<A>| matches!(one, Taken::Done(Done::RetryLater(..), _));
        let idle = taken.iter().filter(|(_, one)| waits(one));
        idle.filter_map(|(place, _)| self.counted.get(place)).collect()
    }

    /// The transaction is committed: these are left for the next one.
    pub(crate) fn left<A>(&mut self, batch: &VecDeque<Placed<Delivery<A>>>) {
        self.shared = batch.len();
        self.counted = match batch.front() {
            Some((place, _)) => self.counted.split_off(place),
            None => BTreeMap::new(),
        };
    }

    /// Nothing came of the transaction: ends, with the attempts to take back.
    pub(crate) fn undone(&mut self) -> BTreeMap<usize, Begun> {
        std::mem::take(self).counted
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]
mod tests {
    use std::time::Duration;

    use super::super::HandlerError;
    use super::super::failing::Failing;
    use super::super::intake::{Found, Intake, intake, received};
    use super::*;
    use crate::retry::{Backoff, RetryPolicy};
    use crate::store::Row;
    use crate::{DeliveryStatus, Envelope, RawEvent};

    const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Does {
        Writes,
        Fails,
        Kills,
    }

    /// The process has died.
    #[derive(Debug)]
    struct Died;

    /// One event, and what has happened to it.
    #[derive(Debug)]
    struct Event {
        does: Does,
        is_acked: bool,
        /// What its next delivery says.
        again: bool,
        row: Option<Entry>,
        effects: u32,
        failures: u32,
        /// How often it ended its process.
        kills: u32,
        /// Whether an attempt of it alone has begun, and how many never ended.
        is_alone: bool,
        died_alone: u32,
    }

    impl Event {
        fn is(&self, status: DeliveryStatus) -> bool {
            self.row.as_ref().is_some_and(|entry| entry.row.status == status.as_str())
        }
    }

    /// What the next commit stores of an event.
    struct Stored {
        place: usize,
        row: Entry,
        /// What its handler did.
        ended: Option<Does>,
    }

    /// Events at their broker, an inbox, and a process that is killed before or after one
    /// of its commits.
    struct World {
        events: Vec<Event>,
        config: InboxConfig,
        commits: usize,
        killed_at: Option<usize>,
    }

    impl World {
        fn of(sent: &[(Does, bool)], attempts: u32, killed_at: Option<usize>) -> Self {
            let policy = RetryPolicy::new(attempts, Backoff::Fixed(Duration::ZERO));
            let config =
                InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT);
            let event = |(does, again): &(Does, bool)| Event {
                does: *does,
                is_acked: false,
                again: *again,
                row: None,
                effects: 0,
                failures: 0,
                kills: 0,
                is_alone: false,
                died_alone: 0,
            };
            Self {
                events: sent.iter().map(event).collect(),
                config: config.unwrap().retry_policy(policy.unwrap()),
                commits: 0,
                killed_at,
            }
        }

        /// The broker delivers what is not acked; from now on, again.
        fn deliver(&mut self) -> VecDeque<Placed<Delivery<()>>> {
            let open = self.events.iter_mut().enumerate();
            let open = open.filter(|(_, event)| !event.is_acked);
            open.map(|(place, event)| {
                let lead = RawEvent::new("crm.lead.created", b"{}");
                let sent = Envelope::builder("crm", lead)
                    .id(place.to_string().parse().unwrap())
                    .build_at(AT);
                let again = std::mem::replace(&mut event.again, true);
                (place, Delivery::new(sent.unwrap(), ()).redelivered(again))
            })
            .collect()
        }

        fn commit(&mut self, all: Vec<Stored>) -> Result<(), Died> {
            let killed_at = self.killed_at.filter(|at| at / 2 == self.commits);
            self.commits += 1;
            if killed_at.is_some_and(|at| at % 2 == 0) {
                return Err(Died);
            }
            for Stored { place, row, ended } in all {
                let event = &mut self.events[place];
                // As the database does, where the inbox does not hold the event.
                event.row = Some(Entry { due_at: None, ..row });
                event.effects += u32::from(ended == Some(Does::Writes));
                event.failures += u32::from(ended == Some(Does::Fails));
            }
            killed_at.map_or(Ok(()), |_| Err(Died))
        }

        /// Handles a delivery, within the transaction that is open.
        fn handle(
            &mut self,
            (place, delivery): Placed<Delivery<()>>,
            counted: Counted,
        ) -> Result<Option<Stored>, Died> {
            let known = &mut self.events[place];
            let found = Found::of(known.row.clone());
            let (event, _) = received(delivery, &self.config);
            let stored = |row, ended| Ok(Some(Stored { place, row, ended }));
            let event = match intake(event, found, None, counted).unwrap() {
                Intake::Handle(event) | Intake::HandleAgain { event, .. } => event,
                Intake::Bury(failing) => return stored(failing.at(AT).entry(), None),
                Intake::Done(_) => return Ok(None),
            };
            if known.died_alone == 0 {
                let attempt = known.failures + 1;
                assert_eq!(event.attempts(), attempt, "charged for another: {known:?}");
            }
            match known.does {
                Does::Kills => {
                    known.kills += 1;
                    Err(Died)
                }
                Does::Fails => {
                    let error = HandlerError::transient("locked");
                    let failing = Failing::Handler { event, error };
                    stored(failing.at(AT).entry(), Some(Does::Fails))
                }
                Does::Writes => {
                    let status = DeliveryStatus::Processed.as_str().to_owned();
                    let row = Row { status, ..Row::of_record(event.to_record()) };
                    stored(Entry::ended(row), Some(Does::Writes))
                }
            }
        }

        fn count(
            &mut self,
            waiting: &VecDeque<Placed<Delivery<()>>>,
        ) -> Result<Front, Died> {
            let (mut front, mut all) = (Front::default(), Vec::new());
            for (place, delivery) in waiting {
                let before = || self.events[*place].row.clone();
                let sharing = match delivery.is_redelivered() {
                    true => Sharing::of(delivery, before(), &self.config, AT),
                    false => Sharing::Free,
                };
                match front.add(*place, sharing, AT) {
                    ControlFlow::Continue(row) => all.extend(row.map(|row| Stored {
                        place: *place,
                        row,
                        ended: None,
                    })),
                    ControlFlow::Break(()) => break,
                }
            }
            self.commit(all).map(|()| front)
        }

        fn alone(&mut self, one: Placed<Delivery<()>>) -> Result<(), Died> {
            let (place, mut counted) = (one.0, Counted::AtItsEnd);
            let before = self.events[place].row.clone();
            let next = next_attempt(&one.1, before, &self.config, counted).unwrap();
            if let Some(next) = next.filter(|_| one.1.is_redelivered()) {
                let (row, _) = next.at(AT);
                self.events[place].is_alone = true;
                self.commit(vec![Stored { place, row, ended: None }])?;
                counted = Counted::Ahead;
            }
            let stored = self.handle(one, counted)?;
            self.commit(stored.into_iter().collect())?;
            self.events[place].is_alone = false;
            self.answer(place);
            Ok(())
        }

        fn answer(&mut self, place: usize) {
            let event = &mut self.events[place];
            event.is_acked = !event.is(DeliveryStatus::Retrying);
        }

        /// One process, from its start to its death, or until all it was given is stored.
        fn live(&mut self) -> Result<(), Died> {
            let mut waiting = self.deliver();
            while !waiting.is_empty() {
                let mut front = match Front::uncounted(&waiting) {
                    Some(front) => front,
                    None => self.count(&waiting)?,
                };
                let (batch, mut all) = (front.sharing(&mut waiting), Vec::new());
                let places: Vec<_> = batch.iter().map(|(place, _)| *place).collect();
                for one in batch {
                    let counted = front.counted(one.0);
                    all.extend(self.handle(one, counted)?);
                }
                self.commit(all)?;
                places.into_iter().for_each(|place| self.answer(place));
                for one in front.alone(&mut waiting) {
                    self.alone(one)?;
                }
            }
            Ok(())
        }

        fn run(&mut self) {
            for _ in 0..30 {
                if self.live().is_err() {
                    for event in &mut self.events {
                        event.died_alone += u32::from(event.is_alone);
                        event.is_alone = false;
                    }
                }
                if self.events.iter().all(|event| event.is_acked) {
                    return;
                }
            }
            panic!("it never ends: {:?}", self.events);
        }
    }

    /// What must have become of an event.
    fn check(event: &Event, is_fresh: bool, attempts: u32, is_only_killer: bool) {
        let is_dead = event.is(DeliveryStatus::Failed);
        let spent = event.row.as_ref().unwrap().row.attempts;
        assert!(spent <= i64::from(attempts));
        match event.does {
            Does::Writes if event.died_alone == 0 => {
                assert_eq!((event.effects, is_dead, spent), (1, false, 1));
            }
            Does::Writes => assert_eq!(event.effects, u32::from(!is_dead)),
            Does::Fails if event.died_alone == 0 => {
                assert_eq!((event.failures, is_dead), (attempts, true));
            }
            Does::Fails => assert!(is_dead && event.failures <= attempts),
            Does::Kills => {
                let most = attempts + u32::from(is_fresh);
                assert!(is_dead && event.effects == 0 && event.kills <= most);
                assert!(!is_only_killer || event.kills == most);
            }
        }
    }

    /// Protects an event from what its neighbour in a transaction does to the process, and
    /// the process from an event that ends it again and again: of all batches of three,
    /// killed before or after each commit, or by no other than an event.
    #[test]
    fn who_ends_the_process_is_buried_and_no_other_is_charged_for_it() {
        let kinds = [Does::Writes, Does::Fails, Does::Kills];
        let kinds = kinds.map(|does| [(does, false), (does, true)]).concat();
        let three = kinds.len().pow(3);
        for batch in 0..three {
            let sent = [1, 6, 36].map(|place| kinds[batch / place % kinds.len()]);
            for attempts in 1..=3 {
                for killed_at in (0..16).map(Some).chain([None]) {
                    let mut world = World::of(&sent, attempts, killed_at);
                    world.run();
                    let kills = |(does, _): &&(Does, bool)| *does == Does::Kills;
                    let is_only_killer =
                        killed_at.is_none() && sent.iter().filter(kills).count() == 1;
                    for (event, (_, again)) in world.events.iter().zip(sent) {
                        check(event, !again, attempts, is_only_killer);
                    }
                }
            }
        }
    }
}
