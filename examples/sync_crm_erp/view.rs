//! What both systems say now, beside what is remembered of them.

use std::collections::{BTreeMap, BTreeSet};

use integration_automation_patterns::Refused;
use integration_automation_patterns::sync::{
    Answer, Base, Bases, Contract, Deletions, FieldPlan, PlanError, Presence, RecordBase,
    RecordPlan, RecordRules, Refusal, Review, Slot,
};

use crate::Outcome;
use crate::database::{Database, Known, Memory, Refusals, Rows};

/// The systems, in the order of the contract.
pub(crate) const SYSTEMS: [&str; 2] = ["crm", "erp"];

/// How many records may be gone at once: more of them are an outage, and no deletions.
const MOST_GONE: usize = 50;

/// What both systems say, and what is remembered.
pub(crate) struct View {
    pub(crate) systems: [Rows; 2],
    refusals: [Refusals; 2],
    pub(crate) memory: Memory,
}

/// One field of a record, as a plan takes it.
pub(crate) struct Field {
    slots: [Slot<String>; 2],
    known: Bases<String>,
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

    /// Every record that one of them has, or had, but those that a person has taken out;
    /// and what is to be done about it as a whole.
    pub(crate) fn records(&self) -> Outcome<BTreeMap<String, RecordPlan<i64>>> {
        let rules = RecordRules::new(Deletions::Ask, MOST_GONE);
        let mut run = rules.run();
        let known = self.memory.known.keys();
        let there = self.systems.iter().flat_map(|rows| rows.keys());
        for record in known.chain(there).collect::<BTreeSet<_>>() {
            if self.memory.detached.contains(record) {
                continue;
            }
            let rows = self.systems.each_ref().map(|rows| rows.get(record));
            let says = rows.map(|row| Presence::of(row.map(|row| row.revision)));
            let is_edited = |(field, value): (&String, &Option<String>)| {
                let known = self.memory.agreed.get(&(record.clone(), field.clone()));
                known.is_none_or(|known| known.agreed != Base::Known(value.clone()))
            };
            let mut fields = rows.iter().flatten().flat_map(|row| &row.fields);
            let (base, edited) = (self.record_base(record), fields.any(is_edited));
            run.plan(record.clone(), says.to_vec(), &base, edited);
        }
        let plans = run.finish().map_err(Refused::into_cause)?;
        Ok(plans.into_iter().collect())
    }

    fn record_base(&self, record: &str) -> RecordBase {
        let known = self.memory.known.get(record);
        known.map_or_else(|| RecordBase::never(2), |known| known.base.clone())
    }

    pub(crate) fn field(&self, record: &str, field: &str) -> Field {
        let cell = (record.to_owned(), field.to_owned());
        let slots = self.systems.each_ref().map(|rows| {
            match rows.get(record).and_then(|row| row.fields.get(field)) {
                Some(value) => Slot::from(value.clone()),
                None => Slot::Unread,
            }
        });
        let known = self.memory.agreed.get(&cell).cloned();
        let mut known = known.unwrap_or_else(|| Bases::common(Base::Never, 2));
        // A system that was restored shows its past, and that is no edit.
        let gone_back = (0..2).zip(self.gone_back(record));
        for place in gone_back.filter_map(|(place, back)| back.then_some(place)) {
            known.confirmed[place] = Base::Known(slots[place].value().cloned());
        }
        let refusals = self.refusals.iter().filter_map(|refused| refused.get(&cell));
        Field { slots, known, refusals: refusals.cloned().collect() }
    }

    /// The answer that leaves a field different, where a person gave one.
    pub(crate) fn left(&self, record: &str, field: &str) -> Option<&Answer<String>> {
        self.memory.left.get(&(record.to_owned(), field.to_owned()))
    }

    /// What is known of a record from now on, with the base that follows from its plan.
    pub(crate) fn known(&self, record: &str, base: RecordBase) -> Known {
        let epoch = self.memory.known.get(record).map_or(0, |known| known.epoch);
        let has_gone_back = self.gone_back(record).contains(&true);
        let revisions = self.revisions(record);
        Known { base, revisions, epoch: epoch + i64::from(has_gone_back) }
    }

    pub(crate) fn revisions(&self, record: &str) -> [i64; 2] {
        let row = |rows: &Rows| rows.get(record).map_or(0, |row| row.revision);
        self.systems.each_ref().map(row)
    }

    /// Whether each system shows an older revision of a record than it did: it was
    /// restored from a backup.
    fn gone_back(&self, record: &str) -> [bool; 2] {
        let Some(before) = self.memory.known.get(record) else { return [false; 2] };
        let now = self.revisions(record);
        [0, 1].map(|place: usize| {
            let is_there = self.systems[place].contains_key(record);
            is_there && now[place] < before.revisions[place]
        })
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
        let (sides, bases) = (self.slots.each_ref(), self.known.each());
        let plan = contract.plan_with_bases(field, &sides, &bases, &self.known.agreed)?;
        Ok(look(plan.after_refusals(&self.refusals)))
    }
}

/// The question about a record that one system has deleted.
pub(crate) fn deletion(record: &str, plan: &RecordPlan<i64>) -> Review<String> {
    let there = plan.presence().iter().map(Presence::is_there);
    Review::deletion(record, SYSTEMS.into_iter().zip(there))
}
