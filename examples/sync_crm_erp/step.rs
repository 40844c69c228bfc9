//! The steps of a run in their order, but for the delivery between them: each may be
//! interrupted, and does the rest when it is begun again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::sync::{
    Base, Contract, Deletions, Existed, Existence, Presence, RecordBase, RecordPlan,
    RecordRules, Slot, Verdict,
};
use integration_automation_patterns::{Envelope, Event, EventId, Refused};

use crate::Outcome;
use crate::contract::{Change, RecordChanged, RecordCreated};
use crate::database::{Agreed, Announcement, Database, Review, Row, Rows};

/// Another attempt after a tenth of a second, then twice as long.
pub(crate) const POLICY: RetryPolicy = RetryPolicy::retries(
    7,
    Backoff::Exponential {
        base: Duration::from_millis(100),
        max: Duration::from_secs(5),
    },
);

/// How many records may be gone at once: more of them are an outage, and no deletions.
const MOST_GONE: usize = 50;

/// Fills both tables and the common state from the files, where they are empty.
pub(crate) async fn seed<D: Database>(
    crm: &mut D,
    erp: &mut D,
    contract: &Contract,
) -> Outcome<()> {
    // What is imported anew is new, to brokers that remember an earlier import too.
    let revision = chrono::Utc::now().timestamp();
    let read = |name: &str| -> Outcome<Rows> {
        let path =
            format!("{}/examples/data/records/{name}.csv", env!("CARGO_MANIFEST_DIR"));
        let mut reader =
            csv::Reader::from_path(&path).map_err(|error| format!("{path}: {error}"))?;
        let mut rows = Rows::new();
        for line in reader.deserialize::<BTreeMap<String, String>>() {
            let line = line.map_err(|error| format!("{path}: {error}"))?;
            let value =
                |field: &str| line.get(field).filter(|text| !text.is_empty()).cloned();
            let fields = contract
                .synced_fields()
                .map(|field| (field.to_owned(), value(field)))
                .collect();
            rows.insert(
                value("id").ok_or_else(|| format!("{path}: a row has no id"))?,
                Row { revision, fields },
            );
        }
        Ok(rows)
    };
    let (curated, official, base) = (read("curated")?, read("official")?, read("base")?);
    let agreed = base.into_iter().flat_map(|(id, row)| {
        row.fields.into_iter().map(move |(field, value)| ((id.clone(), field), value))
    });
    crm.seed(curated, agreed.collect()).await?;
    erp.seed(official, Agreed::new()).await
}

/// What both systems say, and what they last agreed on.
struct View {
    systems: [Rows; 2],
    agreed: Agreed,
}

impl View {
    async fn of<D: Database>(crm: &mut D, erp: &mut D) -> Outcome<Self> {
        Ok(Self {
            systems: [crm.rows().await?, erp.rows().await?],
            agreed: crm.agreed().await?,
        })
    }

    /// Every record that one of them has, or that both had, and what is to be done about
    /// it as a whole.
    fn records(&self) -> Outcome<Vec<(String, RecordPlan<i64>)>> {
        let rules = RecordRules::new(Deletions::Ask, MOST_GONE);
        let mut run = rules.run();
        let agreed = self.agreed.keys().map(|(record, _)| record.as_str());
        let there = self.systems.iter().flat_map(|rows| rows.keys().map(String::as_str));
        for record in there.chain(agreed).collect::<BTreeSet<_>>() {
            let rows = self.systems.each_ref().map(|rows| rows.get(record));
            let known =
                |field: &str| self.agreed.get(&(record.to_owned(), field.to_owned()));
            let existed = known("name").map_or(Existed::Never, |_| Existed::There);
            let mut fields = rows.iter().flatten().flat_map(|row| &row.fields);
            let edited = fields.any(|(field, value)| known(field) != Some(value));
            let says = rows.map(|row| Presence::of(row.map(|row| row.revision)));
            let base = RecordBase::common(existed, 2);
            run.plan(record.to_owned(), says.to_vec(), &base, edited);
        }
        Ok(run.finish().map_err(Refused::into_cause)?)
    }

    fn slots(&self, record: &str, field: &str) -> [Slot<String>; 2] {
        self.systems.each_ref().map(|rows| {
            match rows.get(record).and_then(|row| row.fields.get(field)) {
                Some(value) => Slot::from(value.clone()),
                None => Slot::Unread,
            }
        })
    }

    fn base(&self, record: &str, field: &str) -> Base<String> {
        match self.agreed.get(&(record.to_owned(), field.to_owned())) {
            Some(value) => Base::Known(value.clone()),
            None => Base::Never,
        }
    }
}

/// What the systems have to tell one another.
#[derive(Default)]
pub(crate) struct Planned {
    pub(crate) records: usize,
    pub(crate) fields: usize,
    pub(crate) events: [usize; 2],
    pub(crate) new: [usize; 2],
    pub(crate) lost: usize,
}

/// Plans, and enqueues what follows: in each system's own transaction, for the other one.
pub(crate) async fn plan<D: Database>(
    crm: &mut D,
    erp: &mut D,
    contract: &Contract,
) -> Outcome<Planned> {
    let view = View::of(crm, erp).await?;
    let mut planned = Planned::default();
    let mut announcements = [Vec::new(), Vec::new()];
    for (record, whole) in view.records()? {
        let record = record.as_str();
        planned.records += 1;
        match whole.existence() {
            Existence::Create => {
                let from = usize::from(!whole.presence()[0].is_there());
                let fields = view.systems[from]
                    .get(record)
                    .map(|row| row.fields.clone())
                    .unwrap_or_default();
                planned.fields += fields.len();
                let created = RecordCreated {
                    record: record.to_owned(),
                    fields: fields.into_iter().collect(),
                };
                announcements[from].push(announce(&view, from, record, created)?);
            }
            Existence::Everywhere => {
                let mut changes = [Vec::new(), Vec::new()];
                for field in contract.synced_fields() {
                    let (slots, base) =
                        (view.slots(record, field), view.base(record, field));
                    let sides = slots.each_ref();
                    let plan = contract.plan(field, &sides, &base)?;
                    for write in plan.writes() {
                        planned.fields += 1;
                        planned.lost += usize::from(write.lost().is_some());
                        let (expects, value) =
                            (write.expects().cloned(), write.value().cloned());
                        changes[1 - write.to()].push(Change {
                            field: field.to_owned(),
                            expects,
                            value,
                        });
                    }
                }
                for (from, changes) in changes
                    .into_iter()
                    .enumerate()
                    .filter(|(_, changes)| !changes.is_empty())
                {
                    let changed = RecordChanged { record: record.to_owned(), changes };
                    announcements[from].push(announce(&view, from, record, changed)?);
                }
            }
            _ => {}
        }
    }
    planned.events = announcements.each_ref().map(Vec::len);
    let [from_crm, from_erp] = announcements;
    planned.new = [crm.announce(from_crm).await?, erp.announce(from_erp).await?];
    Ok(planned)
}

/// The event of a record as it is now: the same state of it is the same event, however
/// often it is planned.
fn announce<P: Event + serde::Serialize + Send + Sync + 'static>(
    view: &View,
    from: usize,
    record: &str,
    payload: P,
) -> Outcome<Announcement> {
    let system = ["crm", "erp"][from];
    let revisions = view
        .systems
        .each_ref()
        .map(|rows| rows.get(record).map_or(0, |row| row.revision));
    let id =
        EventId::derived(system, &format!("{record}@{}/{}", revisions[0], revisions[1]))?;
    let event = Envelope::builder(system, payload)
        .id(id)
        .ordering_key(record)
        .retry_policy(POLICY)
        .build()?;
    let event = event.encode(|payload| serde_json::to_vec(payload))?;
    Ok(Announcement { record: record.to_owned(), revision: revisions[from], event })
}

/// What stands between the systems when all is delivered.
#[derive(Default)]
pub(crate) struct Closed {
    pub(crate) agreed: usize,
    pub(crate) waiting: usize,
    pub(crate) review: Vec<Review>,
}

/// Stores what both systems agree on now, and the questions that are left.
pub(crate) async fn close<D: Database>(
    crm: &mut D,
    erp: &mut D,
    contract: &Contract,
) -> Outcome<Closed> {
    let view = View::of(crm, erp).await?;
    let (mut closed, mut agreed) = (Closed::default(), Agreed::new());
    for (record, whole) in view.records()? {
        let record = record.as_str();
        if whole.existence() == Existence::Ask {
            let there = |place: usize| {
                let has = whole.presence()[place].is_there();
                if has { "there" } else { "deleted" }.to_owned()
            };
            let (crm, erp) = (there(0), there(1));
            closed.review.push([
                record.to_owned(),
                "(record)".to_owned(),
                "deleted in one system".to_owned(),
                crm,
                erp,
            ]);
            continue;
        }
        if whole.existence() != Existence::Everywhere {
            continue;
        }
        for field in contract.synced_fields() {
            let (slots, base) = (view.slots(record, field), view.base(record, field));
            let sides = slots.each_ref();
            let plan = contract.plan(field, &sides, &base)?;
            match plan.verdict() {
                Verdict::Agreed(_) | Verdict::Unread => closed.agreed += 1,
                Verdict::Write(_) | Verdict::Merge | Verdict::Behind => {
                    closed.waiting += 1
                }
                Verdict::Ask(question) => {
                    let shown =
                        |slot: &Slot<String>| slot.value().cloned().unwrap_or_default();
                    let [crm, erp] = [shown(&slots[0]), shown(&slots[1])];
                    closed.review.push([
                        record.to_owned(),
                        field.to_owned(),
                        question.to_string(),
                        crm,
                        erp,
                    ]);
                }
            }
            if plan.writes().next().is_none()
                && let Base::Known(value) = plan.next_base()
            {
                agreed.insert((record.to_owned(), field.to_owned()), value);
            }
        }
    }
    crm.close(agreed, closed.review.clone()).await?;
    Ok(closed)
}
