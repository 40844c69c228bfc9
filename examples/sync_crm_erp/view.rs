//! What both systems say now, beside what is remembered of them.

use std::collections::BTreeSet;

use integration_automation_patterns::sync::{
    Answer, Base, Contract, Deletions, Existence, FieldPlan, PlanError, Presence,
    Refusal, Review, Slot, existence,
};

use crate::Outcome;
use crate::database::{Database, Known, Memory, Refusals, Rows};

/// The systems, in the order of the contract.
pub(crate) const SYSTEMS: [&str; 2] = ["crm", "erp"];

/// What both systems say, and what is remembered.
pub(crate) struct View {
    pub(crate) systems: [Rows; 2],
    refusals: [Refusals; 2],
    pub(crate) memory: Memory,
}

/// One field of a record, as a plan takes it.
pub(crate) struct Field {
    slots: [Slot<String>; 2],
    base: Base<String>,
    refusals: Vec<Refusal<String>>,
}

impl View {
    pub(crate) async fn of<D: Database>(crm: &mut D, erp: &mut D) -> Outcome<Self> {
        Ok(Self {
            systems: [crm.rows().await?, erp.rows().await?],
            refusals: [crm.refusals(0).await?, erp.refusals(1).await?],
            memory: crm.memory().await?,
        })
    }

    /// Every record that one of them has, or that both had.
    pub(crate) fn records(&self) -> BTreeSet<&str> {
        let known = self.memory.known.keys();
        let there = self.systems.iter().flat_map(|rows| rows.keys());
        known.chain(there).map(String::as_str).collect()
    }

    pub(crate) fn is_there(&self, record: &str) -> [bool; 2] {
        self.systems.each_ref().map(|rows| rows.contains_key(record))
    }

    /// What is to be done about a record that one of them may lack.
    pub(crate) fn existence(&self, record: &str) -> Existence {
        if self.memory.detached.contains(record) {
            return Existence::Detach;
        }
        let is_edited = |(field, value): (&String, &Option<String>)| {
            let cell = (record.to_owned(), field.clone());
            self.memory.agreed.get(&cell) != Some(value)
        };
        let mut rows = self.systems.iter().filter_map(|rows| rows.get(record));
        let presence = Presence {
            systems: &self.is_there(record),
            existed: self.memory.known.contains_key(record),
            edited: rows.any(|row| row.fields.iter().any(is_edited)),
        };
        existence(Deletions::Ask, presence)
    }

    /// The question about a record that one system has deleted.
    pub(crate) fn deletion(&self, record: &str) -> Review<String> {
        Review::deletion(record, SYSTEMS.into_iter().zip(self.is_there(record)))
    }

    pub(crate) fn field(&self, record: &str, field: &str) -> Field {
        let cell = (record.to_owned(), field.to_owned());
        let slots = self.systems.each_ref().map(|rows| {
            match rows.get(record).and_then(|row| row.fields.get(field)) {
                Some(value) => Slot::from(value.clone()),
                None => Slot::Unread,
            }
        });
        let base = match self.memory.agreed.get(&cell) {
            Some(value) => Base::Known(value.clone()),
            None => Base::Never,
        };
        let refusals = self.refusals.iter().filter_map(|refused| refused.get(&cell));
        Field { slots, base, refusals: refusals.cloned().collect() }
    }

    /// The answer that leaves a field different, where a person gave one.
    pub(crate) fn left(&self, record: &str, field: &str) -> Option<&Answer<String>> {
        self.memory.left.get(&(record.to_owned(), field.to_owned()))
    }

    /// The revisions of a record, and how often one of them has gone back so far.
    pub(crate) fn known(&self, record: &str) -> Known {
        let revisions = self
            .systems
            .each_ref()
            .map(|rows| rows.get(record).map_or(0, |row| row.revision));
        let before = self.memory.known.get(record);
        let has_gone_back = before.is_some_and(|before| {
            let mut places = (0..2).zip(self.is_there(record));
            places
                .any(|(place, there)| there && revisions[place] < before.revisions[place])
        });
        let epoch = before.map_or(0, |before| before.epoch) + i64::from(has_gone_back);
        Known { revisions, epoch }
    }
}

impl Field {
    /// Plans the field, and has the plan looked at.
    pub(crate) fn plan<R>(
        &self,
        contract: &Contract,
        field: &str,
        look: impl FnOnce(FieldPlan<'_, String>) -> R,
    ) -> Result<R, PlanError> {
        let sides = self.slots.each_ref();
        let plan = contract.plan(field, &sides, &self.base)?;
        Ok(look(plan.after_refusals(&self.refusals)))
    }
}
