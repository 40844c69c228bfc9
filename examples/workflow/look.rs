//! How many instances need a look of people, for each reason.

use std::fmt;

use chrono::{DateTime, Utc};
use integration_automation_patterns::workflow::{
    InstanceView, StageCount, Status, WaitsFor,
};

/// How many instances need a look. One may be counted under several reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    parked: u64,
    stuck: u64,
    overdue: u64,
    failing: u64,
    for_nobody: u64,
}

impl Look {
    pub(crate) fn at(counts: &[StageCount]) -> Self {
        let of = |count: fn(&StageCount) -> u64| counts.iter().map(count).sum();
        let standing = |status| {
            let there = counts.iter().filter(|count| count.status == status);
            there.map(|count| count.instances).sum()
        };
        Self {
            parked: standing(Status::Parked),
            stuck: standing(Status::Stuck),
            overdue: of(|count| count.overdue),
            failing: of(|count| count.failing),
            for_nobody: of(|count| count.for_nobody),
        }
    }

    /// What is left of it behind those that are listed.
    pub(crate) fn without(self, listed: &[InstanceView], now: DateTime<Utc>) -> Self {
        let rest = |all: u64, is_one: fn(&InstanceView, DateTime<Utc>) -> bool| {
            listed
                .iter()
                .filter(|one| is_one(one, now))
                .fold(all, |rest, _| rest.saturating_sub(1))
        };
        Self {
            parked: rest(self.parked, |one, _| one.status == Status::Parked),
            stuck: rest(self.stuck, |one, _| one.status == Status::Stuck),
            overdue: rest(self.overdue, |one, now| {
                let remind_at = match &one.waits_for {
                    WaitsFor::People { remind_at, .. } => *remind_at,
                    _ => None,
                };
                one.due_at.into_iter().chain(remind_at).any(|due| due <= now)
            }),
            failing: rest(self.failing, |one, _| {
                matches!(one.waits_for, WaitsFor::Turn { .. })
            }),
            for_nobody: rest(self.for_nobody, |one, _| {
                matches!(one.waits_for, WaitsFor::People { for_nobody: true, .. })
            }),
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = [
            (self.parked, "parked"),
            (self.stuck, "stuck"),
            (self.overdue, "overdue"),
            (self.failing, "failing"),
            (self.for_nobody, "for nobody"),
        ];
        let reasons = reasons.iter().filter(|(count, _)| *count > 0);
        let reasons = reasons.map(|(count, reason)| format!("{count} {reason}"));
        f.write_str(&reasons.collect::<Vec<_>>().join(", "))
    }
}
