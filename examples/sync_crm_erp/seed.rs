//! The tables as they stand in the files, for databases that are empty.

use std::collections::BTreeMap;

use integration_automation_patterns::sync::{Base, Bases, Contract};

use crate::Outcome;
use crate::database::{Agreed, Database, Row, Rows};

/// Fills both tables and the common state from the files, where they are empty.
pub(crate) async fn seed<D: Database>(
    crm: &mut D,
    erp: &mut D,
    contract: &Contract,
) -> Outcome<()> {
    // What is imported anew is new, to brokers that remember an earlier import too.
    let revision = chrono::Utc::now().timestamp();
    let read = |name: &str| read(name, revision, contract);
    let (curated, official, base) = (read("curated")?, read("official")?, read("base")?);
    let agreed = base.into_iter().flat_map(|(id, row)| {
        row.fields.into_iter().map(move |(field, value)| {
            ((id.clone(), field), Bases::common(Base::Known(value), 2))
        })
    });
    crm.seed(curated, agreed.collect()).await?;
    erp.seed(official, Agreed::new()).await
}

fn read(name: &str, revision: i64, contract: &Contract) -> Outcome<Rows> {
    let path = format!("{}/examples/data/records/{name}.csv", env!("CARGO_MANIFEST_DIR"));
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
}
