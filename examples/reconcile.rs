//! Reconciles two systems' tables against their last common state, and accounts for every
//! edit.
//!
//! ```text
//! cargo run --example reconcile [CURATED OFFICIAL BASE FOLDER]
//! ```
//!
//! Reads three CSV files with the columns of the contract and the key `id`; by default
//! real records of state legislators: what a curated database says, what the
//! legislatures' own sites say, and what both said before. Prints the contract as a page,
//! then for each field how many records agreed, were written either way, lost an edit, or
//! were asked.
//!
//! Writes to the folder (`target/reconcile` by default): both tables and the base as they
//! are after the plan, `records.csv` with what is known of each record as a whole,
//! `review.csv` with what a person must decide, and `lost.csv` with every edit that was
//! overwritten. Run again on these tables and this base (with the `records.csv` beside
//! it), it writes nothing and asks the same. Where an input is broken it names file and
//! line, exits with 2 and writes nothing.

#[macro_use]
#[path = "support/say.rs"]
mod say;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use integration_automation_patterns::Refused;
use integration_automation_patterns::sync::{
    Authority, Base, Contract, Deletions, Existed, Existence, Found, Presence,
    RecordBase, RecordPlan, RecordRules, Reply, Slot, Store, Verdict, Write,
};

/// The systems, in the order of the contract.
const SYSTEMS: [&str; 2] = ["curated", "official"];

/// How many records may be gone since the last run: a file that was cut off is no reason
/// to ask about each record that it lacks.
const MOST_GONE: usize = 50;

fn main() -> ExitCode {
    let sample = |name: &str| {
        format!("{}/examples/data/records/{name}.csv", env!("CARGO_MANIFEST_DIR"))
    };
    let mut arguments = std::env::args_os().skip(1);
    let mut next = |default: String| {
        arguments.next().map_or_else(|| PathBuf::from(default), PathBuf::from)
    };
    let files = [next(sample("curated")), next(sample("official")), next(sample("base"))];
    let folder = next("target/reconcile".to_owned());
    match run(&files, &folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(
    [curated, official, base]: &[PathBuf; 3],
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    let contract = contract()?;
    let known = Table::read(base, &contract)?;
    let mut sync = Sync {
        tables: [Table::read(curated, &contract)?, Table::read(official, &contract)?],
        existed: existed(&base.with_file_name("records.csv"), &known)?,
        base: known,
        contract,
        counts: BTreeMap::new(),
        lost: vec![
            ["id", "field", "system", "lost", "replaced by"].map(str::to_owned).to_vec(),
        ],
        review: vec![
            ["id", "field", "question", "curated", "official", "agreed before"]
                .map(str::to_owned)
                .to_vec(),
        ],
    };
    sync.records()?;
    sync.write(folder)?;
    say!("{}", sync.contract);
    sync.print();
    say!("\nwritten to {}", folder.display());
    Ok(())
}

/// Who decides: the curated database about the person, the legislature about its own
/// telephones.
fn contract() -> Result<Contract, Box<dyn Error>> {
    let mut builder =
        Contract::builder("legislator").system(SYSTEMS[0]).system(SYSTEMS[1]);
    for field in ["state", "chamber", "district", "role_start", "party", "image"] {
        builder = builder.field(field, Authority::system(SYSTEMS[0]));
    }
    for field in ["capitol_phone", "capitol_fax"] {
        builder = builder.field(field, Authority::system(SYSTEMS[1]));
    }
    for field in ["name", "email", "capitol_address"] {
        builder = builder.field(field, Authority::Shared);
    }
    Ok(builder.field("status", Authority::Manual).build()?)
}

/// A file of rows by key, with all of its columns.
struct Table {
    columns: Vec<String>,
    rows: BTreeMap<String, BTreeMap<String, String>>,
}

impl Table {
    /// Reads a file whole, or says in which line it is broken.
    fn read(path: &Path, contract: &Contract) -> Result<Self, Box<dyn Error>> {
        let file = path.display();
        let mut reader =
            csv::Reader::from_path(path).map_err(|error| format!("{file}: {error}"))?;
        let columns = reader.headers().map_err(|error| format!("{file}:1: {error}"))?;
        let columns = columns.iter().map(str::to_owned).collect::<Vec<_>>();
        if let Some(missing) = ["id"]
            .into_iter()
            .chain(contract.synced_fields())
            .find(|name| !columns.iter().any(|column| column == name))
        {
            return Err(format!(
                "{file}:1: wanted a column {missing:?}, and found {}",
                columns.join(", ")
            )
            .into());
        }
        if let Some(twice) = columns
            .iter()
            .find(|name| columns.iter().filter(|other| other == name).count() > 1)
        {
            return Err(format!(
                "{file}:1: wanted each column once, and found {twice:?} twice"
            )
            .into());
        }
        let mut rows = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|error| format!("{file}:{}", broken(&error)))?;
            let line = record.position().map_or(0, csv::Position::line);
            let row = columns
                .iter()
                .cloned()
                .zip(record.iter().map(str::to_owned))
                .collect::<BTreeMap<_, _>>();
            let key = row.get("id").cloned().unwrap_or_default();
            if key.is_empty() || rows.insert(key.clone(), row).is_some() {
                return Err(format!(
                    "{file}:{line}: wanted a key that no other row has, and found {key:?}"
                )
                .into());
            }
        }
        Ok(Self { columns, rows })
    }

    /// What the table says about a field of a record.
    fn slot(&self, key: &str, field: &str) -> Slot<String> {
        match self.rows.get(key).and_then(|row| row.get(field)) {
            None => Slot::Unread,
            Some(text) => Slot::from(Some(text.clone()).filter(|text| !text.is_empty())),
        }
    }

    fn set(&mut self, key: &str, field: &str, value: Option<&String>) {
        let row = self.rows.entry(key.to_owned()).or_default();
        row.insert("id".to_owned(), key.to_owned());
        row.insert(field.to_owned(), value.cloned().unwrap_or_default());
    }

    fn lines(&self) -> Vec<Vec<String>> {
        let line = |row: &BTreeMap<String, String>| {
            self.columns
                .iter()
                .map(|column| row.get(column).cloned().unwrap_or_default())
                .collect()
        };
        [self.columns.clone()].into_iter().chain(self.rows.values().map(line)).collect()
    }
}

const EXISTED: [(&str, Existed); 4] = [
    ("never", Existed::Never),
    ("there", Existed::There),
    ("gone", Existed::Gone),
    ("missing", Existed::Missing),
];

fn word(state: Existed) -> String {
    let mut words = EXISTED.into_iter().filter(|(_, known)| *known == state);
    words.next().map_or("never", |(word, _)| word).to_owned()
}

/// What an earlier run has stored of each record as a whole; before the first run, both
/// systems had what is in the base.
fn existed(
    path: &Path,
    base: &Table,
) -> Result<BTreeMap<String, RecordBase>, Box<dyn Error>> {
    if !path.exists() {
        let there = |key: &String| (key.clone(), RecordBase::common(Existed::There, 2));
        return Ok(base.rows.keys().map(there).collect());
    }
    let file = path.display();
    let mut reader =
        csv::Reader::from_path(path).map_err(|error| format!("{file}: {error}"))?;
    let mut known = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("{file}:{}", broken(&error)))?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut words = record.iter();
        let key = words.next().unwrap_or_default().to_owned();
        let of = |word: &str| EXISTED.into_iter().find(|(name, _)| *name == word);
        let states = words.map(|word| Some(of(word)?.1)).collect::<Option<Vec<_>>>();
        let Some([agreed, confirmed @ ..]) = states.as_deref() else {
            let found = record.iter().collect::<Vec<_>>().join(",");
            return Err(format!(
                "{file}:{line}: wanted a key and never, there, gone or missing, and \
                 found {found}"
            )
            .into());
        };
        known.insert(key, RecordBase { agreed: *agreed, confirmed: confirmed.to_vec() });
    }
    Ok(known)
}

/// One field of one record, as both tables have it.
struct Cells<'t> {
    tables: &'t mut [Table; 2],
    key: &'t str,
    field: &'t str,
}

/// Between the plan and the write nothing happens to these tables: a database would check
/// and write in one statement.
impl Store<String> for Cells<'_> {
    type Error = Infallible;

    fn replace(
        &mut self,
        write: &Write<'_, String>,
    ) -> Result<Reply<String>, Infallible> {
        let table = &mut self.tables[write.to()];
        let found = write.found(table.slot(self.key, self.field).value());
        if found == Found::AsExpected {
            table.set(self.key, self.field, write.value());
        }
        Ok(found.into())
    }
}

/// The line and the reason of a broken row.
fn broken(error: &csv::Error) -> String {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}: wanted {expected_len} columns, and found {len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => {
            format!("{line}: wanted UTF-8, and found that {err}")
        }
        _ => format!("{line}: {error}"),
    }
}

/// What became of one field, over all records.
#[derive(Default)]
struct Counts {
    agreed: usize,
    written: [usize; 2],
    lost: usize,
    asked: usize,
}

struct Sync {
    contract: Contract,
    tables: [Table; 2],
    base: Table,
    existed: BTreeMap<String, RecordBase>,
    counts: BTreeMap<String, Counts>,
    lost: Vec<Vec<String>>,
    review: Vec<Vec<String>>,
}

impl Sync {
    fn records(&mut self) -> Result<(), Box<dyn Error>> {
        let rules = RecordRules::new(Deletions::Ask, MOST_GONE);
        let mut run = rules.run();
        let tables = self.tables.iter().flat_map(|table| table.rows.keys());
        let keys = tables.chain(self.existed.keys()).cloned();
        for key in keys.collect::<BTreeSet<_>>() {
            let rows = self.tables.each_ref().map(|table| table.rows.get(&key));
            let before = self.base.rows.get(&key);
            let edited =
                before.is_some() && rows.iter().flatten().any(|row| Some(*row) != before);
            let says = rows.map(|row| Presence::of(row.map(|_| edited)));
            let never = RecordBase::never(2);
            let base = self.existed.get(&key).unwrap_or(&never);
            run.plan(key, says.to_vec(), base, edited).map_err(Refused::into_cause)?;
        }
        for (key, plan) in run.finish().map_err(Refused::into_cause)? {
            self.record(&key, &plan)?;
            self.existed.insert(key, plan.next_without(&[]));
        }
        Ok(())
    }

    fn record(
        &mut self,
        key: &str,
        plan: &RecordPlan<bool>,
    ) -> Result<(), Box<dyn Error>> {
        let present = [0, 1].map(|place| plan.presence()[place].is_there());
        match plan.existence() {
            Existence::Everywhere => self.fields(key)?,
            Existence::Create => self.create(key, present),
            Existence::Gone => drop(self.base.rows.remove(key)),
            Existence::Unread | Existence::Local => {}
            Existence::Delete | Existence::Detach | Existence::Ask => {
                self.counts.entry("(record)".to_owned()).or_default().asked += 1;
                let edited = plan.presence().contains(&Presence::There(true));
                let what = if edited {
                    "deleted in one, edited in the other"
                } else {
                    "deleted in one"
                };
                let [curated, official] =
                    present.map(|has| if has { "there" } else { "deleted" });
                let row = [key, "(record)", what, curated, official, "there"];
                self.review.push(row.map(str::to_owned).to_vec());
            }
        }
        Ok(())
    }

    /// A record that is new in one system, for the other: the fields of the contract, and
    /// no others.
    fn create(&mut self, key: &str, present: [bool; 2]) {
        let (from, to) = if present[0] { (0, 1) } else { (1, 0) };
        for field in self.contract.synced_fields() {
            let value = self.tables[from].slot(key, field);
            self.tables[to].set(key, field, value.value());
            self.base.set(key, field, value.value());
        }
        self.counts.entry("(record)".to_owned()).or_default().written[to] += 1;
    }

    fn fields(&mut self, key: &str) -> Result<(), Box<dyn Error>> {
        let mut agreed = Vec::new();
        let known = self.base.rows.contains_key(key);
        for field in self.contract.synced_fields() {
            let slots = [0, 1].map(|system: usize| self.tables[system].slot(key, field));
            let base = match self.base.slot(key, field) {
                Slot::Unread => Base::Never,
                slot => Base::Known(slot.value().cloned()),
            };
            let sides = slots.each_ref();
            let plan = self.contract.plan(field, &sides, &base)?;
            let counts = self.counts.entry(field.to_owned()).or_default();
            match plan.verdict() {
                Verdict::Agreed(_) | Verdict::Unread => counts.agreed += 1,
                Verdict::Write(_) | Verdict::Merge | Verdict::Behind => {}
                Verdict::Ask(question) => {
                    counts.asked += 1;
                    let text =
                        |slot: &Slot<String>| slot.value().cloned().unwrap_or_default();
                    let before = self.base.slot(key, field);
                    let row = [key.to_owned(), field.to_owned(), question.to_string()]
                        .into_iter();
                    self.review.push(
                        row.chain([text(&slots[0]), text(&slots[1]), text(&before)])
                            .collect(),
                    );
                }
            }
            for write in plan.writes() {
                counts.written[write.to()] += 1;
                if let Some(edit) = write.lost() {
                    counts.lost += 1;
                    let text =
                        |value: Option<&String>| value.cloned().unwrap_or_default();
                    let edit = edit.into_option();
                    let row =
                        [key, field, SYSTEMS[write.to()]].map(str::to_owned).into_iter();
                    self.lost
                        .push(row.chain([text(edit), text(write.value())]).collect());
                }
            }
            let applied =
                plan.apply(&mut Cells { tables: &mut self.tables, key, field })?;
            agreed.push((field.to_owned(), applied.base));
        }
        // A record enters the base when all of its fields are agreed: an empty cell there
        // says "agreed to be empty".
        if known || agreed.iter().all(|(_, base)| *base != Base::Never) {
            for (field, base) in agreed {
                if let Base::Known(value) = base {
                    self.base.set(key, &field, value.as_ref());
                }
            }
        }
        Ok(())
    }

    fn known(&self) -> Vec<Vec<String>> {
        let head = ["id", "agreed", SYSTEMS[0], SYSTEMS[1]].map(str::to_owned).to_vec();
        let line = |(key, known): (&String, &RecordBase)| {
            let states = [known.agreed].into_iter().chain(known.confirmed.clone());
            [key.clone()].into_iter().chain(states.map(word)).collect()
        };
        [head].into_iter().chain(self.existed.iter().map(line)).collect()
    }

    fn print(&self) {
        say!(
            "{:<16}{:>8}{:>12}{:>12}{:>8}{:>8}",
            "field",
            "agreed",
            "to curated",
            "to official",
            "lost",
            "asked"
        );
        let mut sum = Counts::default();
        let row = |name: &str, counts: &Counts| {
            let Counts { agreed, written: [curated, official], lost, asked } = counts;
            say!("{name:<16}{agreed:>8}{curated:>12}{official:>12}{lost:>8}{asked:>8}");
        };
        for (field, counts) in &self.counts {
            row(field, counts);
            sum.agreed += counts.agreed;
            sum.written =
                [sum.written[0] + counts.written[0], sum.written[1] + counts.written[1]];
            sum.lost += counts.lost;
            sum.asked += counts.asked;
        }
        row("total", &sum);
        say!("\nlost edits, added to lost.csv:");
        for lost in self.lost.iter().skip(1).take(5) {
            say!(
                "  {} {} in {}: {:?}, replaced by {:?}",
                lost[0],
                lost[1],
                lost[2],
                lost[3],
                lost[4]
            );
        }
        say!("\nfor a person, all of them in review.csv:");
        for asked in self.review.iter().skip(1).take(5) {
            say!("  {} {}: {}", asked[0], asked[1], asked[2]);
        }
    }

    /// Each file is written whole beside its place, and moved there when all are. Lost
    /// edits are added to those of earlier runs.
    fn write(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let [curated, official] = &self.tables;
        let files = [
            ("lost.csv", self.lost.clone()),
            ("review.csv", self.review.clone()),
            ("curated.csv", curated.lines()),
            ("official.csv", official.lines()),
            ("base.csv", self.base.lines()),
            ("records.csv", self.known()),
        ];
        for (name, lines) in &files {
            let (path, beside) = (folder.join(name), folder.join(format!("{name}.new")));
            let keeps_what_was_there = *name == "lost.csv" && path.exists();
            write_lines(&path, &beside, lines, keeps_what_was_there)
                .map_err(|error| format!("{}: {error}", beside.display()))?;
        }
        for (name, _) in &files {
            let path = folder.join(name);
            fs::rename(folder.join(format!("{name}.new")), &path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }
}

fn write_lines(
    path: &Path,
    beside: &Path,
    lines: &[Vec<String>],
    after_the_old: bool,
) -> Result<(), Box<dyn Error>> {
    let mut writer = csv::Writer::from_path(beside)?;
    let mut lines = lines.iter();
    if after_the_old {
        lines.next();
        for record in
            csv::ReaderBuilder::new().has_headers(false).from_path(path)?.records()
        {
            writer.write_record(&record?)?;
        }
    }
    lines.try_for_each(|line| writer.write_record(line))?;
    Ok(writer.flush()?)
}
