//! What is checked of a stored instance before it has a stage: all that its row and its
//! votes say, without reading the data.
//!
//! A table may change its times, its roles and what a condition says under its version. So
//! an approval that is not used yet counts by the chain of today, and one whose command has
//! left is history: it is as good as the chain was on its day. Whether an approval has a
//! condition is of the seal: one that was passed over stays so.

use super::approval::Vote;
use super::definition::{Definition, Kind, Step, Wait};
use super::id::{Correlation, Seen};
use super::instance;
use super::record::{InstanceRecord, RecordError};
use super::role::{Actor, Person};
use super::stage::Status;

impl InstanceRecord {
    /// Whether a walk through this table can have led to the record.
    pub(super) fn check(&self, table: &Definition) -> Result<(), RecordError> {
        self.check_table(table)?;
        let step = self.check_stage(table)?;
        self.check_question(step)?;
        if self.revision == 0 {
            return Err(RecordError::NeverStored);
        }
        if table.requested_by.is_some() != self.requested_by.is_some() {
            let found = self.requested_by.as_ref().map(|asker| asker.person.clone());
            let wanted = table.requested_by;
            return Err(RecordError::Requester { wanted, found });
        }
        if let (Some(question), Some(step)) = (&self.question, step) {
            let amended_by = &self.amended_by;
            self.check_votes(step.name, question.seen(), &question.votes, amended_by)?;
        }
        self.check_clearances(table, step)?;
        self.check_passed(table, step)?;
        self.check_command(table, step)
    }

    fn check_table(&self, table: &Definition) -> Result<(), RecordError> {
        if self.workflow != table.name {
            let found = self.workflow.clone();
            return Err(RecordError::OtherWorkflow { wanted: table.name, found });
        }
        if self.version != table.version {
            let (wanted, found) = (table.version, self.version);
            return Err(RecordError::UnknownVersion { wanted, found });
        }
        let wanted = table.fingerprint();
        if self.fingerprint != wanted {
            let (version, found) = (self.version, self.fingerprint);
            return Err(RecordError::TableChanged { version, wanted, found });
        }
        Ok(())
    }

    /// The step, where the table has this stage, and what the stage waits for is there.
    fn check_stage(
        &self,
        table: &Definition,
    ) -> Result<Option<&'static Step>, RecordError> {
        let status = self.status;
        let step = self.step.as_deref().and_then(|name| table.step(name));
        let wait = step.map_or(Wait::Nothing, |step| step.waits(status));
        if (wait == Wait::Nothing) != status.is_end()
            || status.is_end() != self.step.is_none()
        {
            let step = self.step.clone().unwrap_or_default();
            return Err(RecordError::NoSuchStage { status, step });
        }
        match (wait, self.due_at) {
            (Wait::Nothing, Some(found)) => {
                Err(RecordError::DeadlineOfNothing { status, found })
            }
            (Wait::Reply(_) | Wait::People(_), None) => {
                Err(RecordError::NoDeadline { status })
            }
            _ => Ok(step),
        }
    }

    /// There is a question where people are asked; and only one that is put to a vote
    /// shows something, and has votes.
    fn check_question(&self, step: Option<&Step>) -> Result<(), RecordError> {
        let wait = step.map_or(Wait::Nothing, |step| step.waits(self.status));
        let wanted = matches!(wait, Wait::People(_));
        let approves = step.is_some_and(|step| step.kind == Kind::Approval);
        let found = match &self.question {
            None if wanted => "no question",
            Some(_) if !wanted => "a question",
            Some(question) if approves && question.shown.is_none() => {
                "a question that shows nothing to approve"
            }
            Some(question) if !approves && question.shown.is_some() => {
                "a question that shows something to approve"
            }
            Some(question) if !approves && !question.votes.is_empty() => {
                "a question with votes, and nothing to approve"
            }
            _ => return Ok(()),
        };
        Err(RecordError::Question { status: self.status, wanted, found })
    }

    /// The command that is awaited is that of the stage, in a round that it can have; and
    /// where that is an amended question's, it says who has amended it.
    fn check_command(
        &self,
        table: &Definition,
        step: Option<&Step>,
    ) -> Result<(), RecordError> {
        let is_asked_again = step.is_some_and(|step| {
            matches!(step.kind, Kind::Approval | Kind::Retriable)
                || matches!(self.status, Status::Undoing | Status::Stuck)
        });
        let most = if is_asked_again { Correlation::MOST_ROUNDS } else { 1 };
        if !(1..=most).contains(&self.round) {
            return Err(RecordError::Round { most, found: self.round });
        }
        let is_approval = step.is_some_and(|step| step.kind == Kind::Approval);
        let is_amended = is_approval && self.round > 1;
        self.check_amenders(u32::from(is_amended))?;
        let asked = instance::asked(table, &self.id, self.status, step, self.round);
        let wanted = asked.map(|command| command.command_id());
        if self.awaits != wanted {
            let found = self.awaits.clone();
            return Err(RecordError::AwaitsOther { wanted, found });
        }
        Ok(())
    }

    /// It names so many people who have amended it, and gives the first ones.
    fn check_amenders(&self, wanted: u32) -> Result<&[Actor], RecordError> {
        let found = self.amended_by.len();
        let first = usize::try_from(wanted).ok();
        let first = first.and_then(|wanted| self.amended_by.get(..wanted));
        first.ok_or(RecordError::AmendersMissing { wanted, found })
    }

    /// Each vote is about what is shown, of a person of their own, who neither asks nor
    /// has amended it.
    fn check_votes(
        &self,
        approval: &str,
        now: Seen,
        votes: &[Vote],
        amended_by: &[Actor],
    ) -> Result<(), RecordError> {
        let mut people = Vec::<&Person>::new();
        for vote in votes {
            let approval = || approval.to_owned();
            let is_own = |author: &Actor| author.overlaps(&vote.actor);
            let person = || vote.actor.person.clone();
            if self.requested_by.as_ref().is_some_and(is_own) {
                let (approval, person) = (approval(), person());
                return Err(RecordError::ClearedByAsker { approval, person });
            }
            if amended_by.iter().any(is_own) {
                let (approval, person) = (approval(), person());
                return Err(RecordError::ClearedByAmender { approval, person });
            }
            if vote.seen != now {
                let seen = vote.seen;
                return Err(RecordError::SeenOther { approval: approval(), seen, now });
            }
            if let Some(person) = vote.actor.people().find(|one| people.contains(one)) {
                let person = person.clone();
                return Err(RecordError::VotedTwice { approval: approval(), person });
            }
            people.extend(vote.actor.people());
        }
        Ok(())
    }

    /// Each approval is cleared once, by people who may, and enough of them.
    fn check_clearances(
        &self,
        table: &Definition,
        at: Option<&Step>,
    ) -> Result<(), RecordError> {
        let mut seen = Vec::new();
        for clearance in &self.cleared {
            let approval = &clearance.approval;
            let step = table.step(approval);
            let Some(step) = step.filter(|step| step.kind == Kind::Approval) else {
                return Err(RecordError::NoSuchApproval { found: approval.clone() });
            };
            if seen.contains(&approval) {
                let (approval, found) = (approval.clone(), 2);
                return Err(RecordError::ClearanceMissing { approval, found });
            }
            seen.push(approval);
            let amended_by = self.check_amenders(clearance.amended)?;
            let seen = Seen::of(&clearance.shown);
            self.check_votes(approval, seen, &clearance.votes, amended_by)?;
            let is_granted = clearance.is_granted(step);
            if !self.is_history(at) && !is_granted {
                let (approval, found) = (approval.clone(), clearance.votes.len());
                return Err(RecordError::TooFewVotes { approval, found });
            }
        }
        Ok(())
    }

    /// Every approval that the instance has passed is cleared, and none before it.
    fn check_passed(
        &self,
        table: &Definition,
        at: Option<&Step>,
    ) -> Result<(), RecordError> {
        if !self.is_on_its_way() {
            return Ok(());
        }
        let is_cleared =
            |step: &&Step| self.cleared.iter().any(|one| one.approval == step.name);
        let passed = table.before(at.map_or("", |step| step.name));
        let mut passed = passed.filter(|step| step.kind == Kind::Approval);
        if let Some(step) = passed.find(|step| !is_cleared(step)) {
            let approval = step.name.to_owned();
            return Err(RecordError::ClearanceMissing { approval, found: 0 });
        }
        let at = at.map_or("", |step| step.name);
        let ahead = table.steps.iter().skip_while(|step| step.name != at);
        match ahead.filter(|step| step.kind == Kind::Approval).find(is_cleared) {
            Some(step) => {
                Err(RecordError::ClearedAhead { approval: step.name.to_owned() })
            }
            None => Ok(()),
        }
    }

    /// Whether every step before this stage is done, and every approval passed.
    pub(super) fn is_on_its_way(&self) -> bool {
        matches!(
            self.status,
            Status::Awaiting | Status::Forestalling | Status::Parked | Status::Completed
        )
    }

    /// Whether no command will be built of the clearances any more.
    pub(super) fn is_history(&self, at: Option<&Step>) -> bool {
        let is_sent = |step: &Step| matches!(step.kind, Kind::Pivot | Kind::Retriable);
        !self.is_on_its_way() || at.is_none_or(is_sent)
    }
}
