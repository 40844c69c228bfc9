//! What both systems say now, beside what is remembered of them.

use std::collections::{BTreeMap, BTreeSet};

use integration_automation_patterns::Refused;
use integration_automation_patterns::sync::{
    Answer, Authority, Base, Bases, Contract, Deletions, FieldPlan, Past, PlanError,
    Presence, RecordBase, RecordPlan, RecordRules, Refusal, Slot,
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
    back: [bool; 2],
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
    /// and what is to be done about it as a whole. What a system shows of a record is its
    /// fields: a person's answer is to these.
    pub(crate) fn records(&self) -> Outcome<BTreeMap<String, RecordPlan<String>>> {
        let rules = RecordRules::new(Deletions::Ask, MOST_GONE);
        let mut run = rules.run();
        let known = self.memory.known.keys();
        let there = self.systems.iter().flat_map(|rows| rows.keys());
        for record in known.chain(there).collect::<BTreeSet<_>>() {
            if self.memory.detached.contains(record) {
                continue;
            }
            let rows = self.systems.each_ref().map(|rows| rows.get(record));
            let mut says = Vec::with_capacity(rows.len());
            for row in rows {
                let shown = row.map(|row| serde_json::to_string(&row.fields));
                says.push(Presence::of(shown.transpose()?));
            }
            let is_edited = |(field, value): (&String, &Option<String>)| {
                let known = self.memory.agreed.get(&(record.clone(), field.clone()));
                known.is_none_or(|known| known.agreed != Base::Known(value.clone()))
            };
            let mut fields = rows.iter().flatten().flat_map(|row| &row.fields);
            let (base, edited) = (self.record_base(record), fields.any(is_edited));
            run.plan(record.clone(), says, &base, edited).map_err(Refused::into_cause)?;
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
        let known = known.unwrap_or_else(|| Bases::common(Base::Never, 2));
        let refusals = self.refusals.iter().filter_map(|refused| refused.get(&cell));
        let (refusals, back) = (refusals.cloned().collect(), self.known(record).back);
        Field { slots, known, refusals, back }
    }

    /// The answer that leaves a field different, where a person gave one.
    pub(crate) fn left(&self, record: &str, field: &str) -> Option<&Answer<String>> {
        self.memory.left.get(&(record.to_owned(), field.to_owned()))
    }

    /// Whether an answer about a field is on its way to the ERP.
    pub(crate) fn is_under_way(&self, record: &str, field: &str) -> bool {
        self.memory.under_way.contains(&(record.to_owned(), field.to_owned()))
    }

    /// What is known of a record from now on: whether one of the systems shows an older
    /// revision than it did, because it was restored from a backup.
    pub(crate) fn known(&self, record: &str) -> Known {
        let (before, revisions) = (self.memory.known.get(record), self.revisions(record));
        let goes_back = [0, 1].map(|place: usize| {
            let is_there = self.systems[place].contains_key(record);
            let newest = before.map_or(0, |before| before.revisions[place]);
            is_there && revisions[place] < newest
        });
        let was_back = before.map_or([false; 2], |before| before.back);
        Known {
            base: self.record_base(record),
            revisions,
            epoch: before.map_or(0, |before| before.epoch)
                + i64::from(goes_back.contains(&true)),
            back: [0, 1].map(|place: usize| goes_back[place] || was_back[place]),
        }
    }

    fn revisions(&self, record: &str) -> [i64; 2] {
        let row = |rows: &Rows| rows.get(record).map_or(0, |row| row.revision);
        self.systems.each_ref().map(row)
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
        // A system that was restored shows its past. That is no edit; and what the system
        // owns undoes what came after it only if a person says so.
        let (mut known, mut past) = (self.known.clone(), Past::new(2));
        for place in [0, 1].into_iter().filter(|place: &usize| self.back[*place]) {
            let shown = Base::Known(self.slots[place].value().cloned());
            past.replaced(&shown, &known.agreed);
            let owner = Authority::system(SYSTEMS[place]);
            if contract.authority_for(field) != Some(&owner) {
                known.confirmed[place] = shown;
            }
        }
        let sides = self.slots.each_ref();
        let plan = contract.plan_with_bases(field, &sides, &known)?;
        let plan = plan.ask_before_going_back(&past);
        Ok(look(plan.after_refusals(&self.refusals)))
    }
}
