//! Requests without an answer: how many in a row are no accident of one event any more.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many requests in a row without an answer are no accident of one event.
const SILENT: u64 = 3;

/// One may be an accident of the many events that share it: a second one would cost each of
/// them another attempt.
const SHARED: u64 = 1;

/// The requests of one topic that got no answer, whichever connection they were made on.
#[derive(Debug, Default)]
pub(super) struct Silence(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Since the last answer.
    in_a_row: u64,
    /// From the first on.
    ever: u64,
}

/// How many requests were silent when something began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Silence {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.counts().ever)
    }

    /// The server has answered.
    pub(super) fn end(&self) {
        self.counts().in_a_row = 0;
    }

    /// A request got no answer. Many events may share one that began at the mark: the
    /// first of them counts it. Whether the server answers nobody any more.
    pub(super) fn grow(&self, shared: Option<Mark>) -> bool {
        let mut counts = self.counts();
        if shared.is_none_or(|began| began == Mark(counts.ever)) {
            counts.in_a_row = counts.in_a_row.saturating_add(1);
            counts.ever = counts.ever.saturating_add(1);
        }
        counts.in_a_row > if shared.is_some() { SHARED } else { SILENT }
    }

    /// Whether a connection made at the mark is half open, as far as anybody can tell.
    pub(super) fn is_half_open(&self, made: Mark) -> bool {
        let counts = self.counts();
        counts.in_a_row.min(counts.ever.saturating_sub(made.0)) >= SILENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred events of one request are no reason to pause the relay.
    #[test]
    fn a_request_counts_once_however_many_events_share_it() {
        let silence = Silence::default();
        for request in 1..=5 {
            let began = silence.mark();
            for event in 0..100 {
                let pauses = silence.grow(Some(began));
                assert_eq!(pauses, request > SHARED, "event {event} of {request}");
            }
        }
    }

    #[test]
    fn requests_of_their_own_each_count_and_an_answer_ends_the_row() {
        let silence = Silence::default();
        for _ in 0..3 {
            assert_eq!([(); 4].map(|()| silence.grow(None)), [false, false, false, true]);
            silence.end();
        }
    }

    /// A row that began on another connection says nothing about this one.
    #[test]
    fn a_connection_is_half_open_after_three_silent_requests_of_its_own() {
        let silence = Silence::default();
        for _ in 0..3 {
            let made = silence.mark();
            let after = [(); 3].map(|()| {
                silence.grow(None);
                silence.is_half_open(made)
            });
            assert_eq!(after, [false, false, true]);
        }
        let made = silence.mark();
        silence.grow(None);
        silence.grow(None);
        silence.end();
        silence.grow(None);
        assert!(!silence.is_half_open(made), "it has answered meanwhile");
    }
}
