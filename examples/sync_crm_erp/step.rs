//! The steps of a run in their order, but for the delivery between them: each may be
//! interrupted, and does the rest when it is begun again.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::sync::{
    Base, Contract, Deletions, Existence, Presence, Slot, Verdict, existence,
};
use integration_automation_patterns::{Envelope, Event, EventId};

use crate::Outcome;
use crate::contract::{Change, RecordChanged, RecordCreated};
use crate::database::{Agreed, Announcement, Database, Review, Row, Rows};

/// Another attempt after a tenth of a second, then twice as long.
pub(crate) const POLICY: RetryPolicy = match RetryPolicy::new(
    8,
    Backoff::Exponential {
        base: Duration::from_millis(100),
        max: Duration::from_secs(5),
    },
) {
    Ok(policy) => policy,
    Err(_) => RetryPolicy::DEFAULT,
};

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

    /// Every record that one of them has, or that both had.
    fn records(&self) -> std::collections::BTreeSet<&str> {
        let agreed = self.agreed.keys().map(|(record, _)| record.as_str());
        self.systems
            .iter()
            .flat_map(|rows| rows.keys().map(String::as_str))
            .chain(agreed)
            .collect()
    }

    /// Whether the record is here or there, and what is to be done about that.
    fn existence(&self, record: &str) -> ([bool; 2], Existence) {
        let present = self.systems.each_ref().map(|rows| rows.contains_key(record));
        let is_agreed = |field: &str| {
            self.agreed.contains_key(&(record.to_owned(), field.to_owned()))
        };
        let existed = is_agreed("name");
        let edited = self.systems.iter().filter_map(|rows| rows.get(record)).any(|row| {
            row.fields.iter().any(|(field, value)| {
                self.agreed.get(&(record.to_owned(), field.clone())) != Some(value)
            })
        });
        let presence = Presence { systems: &present, existed, edited };
        (present, existence(Deletions::Ask, presence))
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
    for record in view.records() {
        planned.records += 1;
        let (present, existence) = view.existence(record);
        match existence {
            Existence::Create => {
                let from = usize::from(!present[0]);
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
    for record in view.records() {
        let (present, existence) = view.existence(record);
        if !matches!(
            existence,
            Existence::Everywhere | Existence::Create | Existence::Gone
        ) {
            let there =
                present.map(|has| if has { "there" } else { "deleted" }.to_owned());
            let [crm, erp] = there;
            closed.review.push([
                record.to_owned(),
                "(record)".to_owned(),
                "deleted in one system".to_owned(),
                crm,
                erp,
            ]);
            continue;
        }
        if existence != Existence::Everywhere {
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
