//! What a journal says of votes and amendments: replayed, and compared with what is
//! stored.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

use super::finding::Discrepancy;
use super::view::PastEntry;
use crate::workflow::{Actor, Cause, InstanceRecord, Person, Vote};

/// How the votes and the amendments of a record differ from what its journal says.
pub(super) fn compare(
    record: &InstanceRecord,
    journal: &[PastEntry],
) -> Vec<Discrepancy> {
    let said = Said::replay(journal);
    let mut amiss = Vec::new();
    if said.amended_by != record.amended_by {
        let (wanted, found) = (lines(&said.amended_by), lines(&record.amended_by));
        amiss.push(Discrepancy::AmendersDiffer { wanted, found });
    }
    let open = record.step.as_ref().zip(record.question.as_ref());
    let open = open.map(|(step, question)| (step, said.open.as_ref(), &question.votes));
    let cleared = record.cleared.iter().map(|one| {
        let wanted = said.given(&one.approval);
        (&one.approval, wanted, &one.votes)
    });
    for (approval, wanted, found) in open.into_iter().chain(cleared) {
        let found = found.iter().map(Ballot::of).collect::<Vec<_>>();
        if let Some(wanted) = wanted.filter(|wanted| **wanted != found) {
            let (wanted, found) = (lines(wanted), lines(&found));
            let approval = approval.clone();
            amiss.push(Discrepancy::VotesDiffer { approval, wanted, found });
        }
    }
    amiss
}

fn lines(of: &[impl fmt::Display]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

/// A vote, as the journal and its own row have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ballot {
    actor: Actor,
    role: String,
    reason: String,
    at: Option<DateTime<Utc>>,
}

impl Ballot {
    fn of(vote: &Vote) -> Self {
        let Vote { actor, role, reason, at, .. } = vote.clone();
        Self { actor, role, reason, at: Some(at) }
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.actor, self.role)?;
        if let Some(at) = self.at {
            write!(f, " at {}", at.to_rfc3339())?;
        }
        write!(f, ": {:?}", self.reason)
    }
}

/// What a journal says.
#[derive(Default)]
struct Said {
    /// The votes for the question that is open. Unknown once a new version of the table
    /// may have voided them.
    open: Option<Vec<Ballot>>,
    /// The votes of the approvals that were given under the version of the last entry.
    given: BTreeMap<String, Option<Vec<Ballot>>>,
    /// Whether an earlier version has given some, too.
    is_led_over: bool,
    amended_by: Vec<Actor>,
}

impl Said {
    fn replay(journal: &[PastEntry]) -> Self {
        let mut said = Self::default();
        let mut version = journal.first().and_then(|first| first.version);
        for entry in journal {
            let Some(cause) = Cause::of(&entry.what).filter(|cause| cause.is_step())
            else {
                continue;
            };
            if entry.version != version {
                (said.open, said.is_led_over) = (None, true);
                said.given.clear();
            }
            version = entry.version;
            said.take(cause, entry);
        }
        said
    }

    fn take(&mut self, cause: Cause, entry: &PastEntry) {
        let Some(actor) = actor(entry) else {
            if !cause.stays() {
                self.open = Some(Vec::new());
            }
            return;
        };
        let ballot = || Ballot {
            actor: actor.clone(),
            role: entry.role.clone().unwrap_or_default(),
            reason: entry.reason.clone().unwrap_or_default(),
            at: entry.decided_at,
        };
        match cause {
            Cause::Voted => self.open.iter_mut().for_each(|open| open.push(ballot())),
            Cause::Withdrawn => {
                let open = self.open.iter_mut();
                open.for_each(|open| open.retain(|one| one.actor.person != actor.person));
            }
            Cause::Approved => {
                let mut given = self.open.replace(Vec::new());
                given.iter_mut().for_each(|given| given.push(ballot()));
                self.given.insert(entry.step.clone().unwrap_or_default(), given);
            }
            Cause::Amended => {
                self.open = Some(Vec::new());
                if !self.amended_by.contains(&actor) {
                    self.amended_by.push(actor);
                }
            }
            cause if cause.stays() => {}
            _ => self.open = Some(Vec::new()),
        }
    }

    /// The votes by which an approval was cleared, where the journal knows them.
    fn given(&self, approval: &str) -> Option<&Vec<Ballot>> {
        const NONE: &Vec<Ballot> = &Vec::new();
        match self.given.get(approval) {
            Some(given) => given.as_ref(),
            // It was not needed.
            None => Some(NONE).filter(|_| !self.is_led_over),
        }
    }
}

/// The person behind an entry, with the one in whose place they act.
fn actor(entry: &PastEntry) -> Option<Actor> {
    let person = |name: &String| Person::new(name).ok();
    let instead_of = entry.instead_of.as_ref().and_then(person);
    Some(Actor { person: entry.by.as_ref().and_then(person)?, instead_of })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(what: &str, by: &str, version: i64) -> PastEntry {
        let decided_at = "2026-01-05T08:00:00Z".parse().ok();
        PastEntry {
            entry: 1,
            revision: 1,
            at: DateTime::UNIX_EPOCH,
            what: what.to_owned(),
            step: Some("sum".to_owned()),
            status: crate::workflow::Status::Awaiting,
            to_step: Some("sum".to_owned()),
            event: None,
            commands: Vec::new(),
            by: (!by.is_empty()).then(|| by.to_owned()),
            role: Some("controller".to_owned()),
            instead_of: None,
            reason: Some("fine".to_owned()),
            decided_at,
            standing: Vec::new(),
            version: Some(version),
        }
    }

    /// The votes that are open after these words, each with who says it.
    fn open(words: &[(&str, &str, i64)]) -> Option<Vec<String>> {
        let entry = |(what, by, version): &(&str, &str, i64)| entry(what, by, *version);
        let journal = words.iter().map(entry).collect::<Vec<_>>();
        let open = Said::replay(&journal).open?;
        Some(open.iter().map(|one| one.actor.to_string()).collect())
    }

    /// Protects the audit from a vote that the journal says, and the row forgets.
    #[test]
    fn each_word_of_a_journal_counts() {
        let started = ("done", "", 1);
        let (carl, cora) = (("voted", "carl", 1), ("voted", "cora", 1));
        let two = [started, carl, ("reminded", "", 1), ("postponed", "ute", 1), cora];
        assert_eq!(open(&two).unwrap(), ["carl", "cora"]);
        let with = |last| open(&[&two[..], &[last]].concat());
        for (last, left) in [
            (("withdrawn", "Carl", 1), &["cora"][..]),
            (("amended", "eve", 1), &[]),
            (("declined", "dora", 1), &[]),
            (("timed_out", "", 1), &[]),
            (("late", "", 2), &["carl", "cora"]),
        ] {
            assert_eq!(with(last).unwrap(), left, "{last:?}");
        }
        // A new version may have voided them: nobody knows until people are asked anew.
        assert_eq!(with(("voted", "dora", 2)), None);
        let amended = [&two[..], &[("reminded", "", 2), ("amended", "eve", 2)]].concat();
        assert_eq!(open(&amended).unwrap(), [""; 0]);
    }

    /// Protects an approval from votes that stood before it was asked anew.
    #[test]
    fn an_approval_has_the_votes_that_its_journal_says() {
        let entries = [("done", ""), ("voted", "carl"), ("approved", "cora")];
        let journal = entries.map(|(what, by)| entry(what, by, 1));
        let said = Said::replay(&journal);
        let given = said.given("sum").unwrap().iter().map(|one| one.actor.to_string());
        assert_eq!(given.collect::<Vec<_>>(), ["carl", "cora"]);
        assert_eq!(said.given("costs").unwrap(), &[], "it was not needed");
        let led_over = [&journal[..], &[entry("done", "", 2)]].concat();
        assert_eq!(Said::replay(&led_over).given("sum"), None);
    }
}
