//! The reconcile example on real records: every cell is accounted for, a second run
//! writes nothing, and a broken file changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

type Table = BTreeMap<String, BTreeMap<String, String>>;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/records");

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reconcile").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a writable folder");
    folder
}

fn reconcile(inputs: &Path, out: &Path) -> Output {
    Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--example", "reconcile", "--"])
        .args(["curated.csv", "official.csv", "base.csv"].map(|name| inputs.join(name)))
        .arg(out)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs")
}

fn report(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The numbers behind a word of the table: agreed, to curated, to official, lost, asked.
fn row(report: &str, field: &str) -> Vec<usize> {
    let line = report
        .lines()
        .rfind(|line| line.starts_with(&format!("{field} ")))
        .expect("a row");
    line.split_whitespace()
        .skip(1)
        .map(|number| number.parse().expect("a number"))
        .collect()
}

fn table(path: PathBuf) -> Table {
    let mut reader = csv::Reader::from_path(path).expect("a file");
    let columns = reader.headers().expect("a header").clone();
    let rows = reader.records().map(|row| {
        let row = row.expect("a row");
        let cells = columns
            .iter()
            .zip(row.iter())
            .map(|(column, cell)| (column.to_owned(), cell.to_owned()));
        (row[0].to_owned(), cells.collect())
    });
    rows.collect()
}

#[test]
fn every_cell_of_the_sample_is_accounted_for() {
    let out = folder("sample");
    let report = report(&reconcile(Path::new(SAMPLES), &out));
    let read = |name: &str| table(Path::new(SAMPLES).join(format!("{name}.csv")));
    let (curated, official, base) = (read("curated"), read("official"), read("base"));

    // What must come out, from the three tables alone.
    let common =
        curated.keys().filter(|key| official.contains_key(*key)).collect::<Vec<_>>();
    for field in ["email", "capitol_address", "name"] {
        let conflict = |key: &&&String| {
            let [a, b, m] =
                [&curated, &official, &base].map(|table| &table[**key][field]);
            a != b && a != m && b != m
        };
        assert_eq!(
            row(&report, field)[4],
            common.iter().filter(conflict).count(),
            "{field}"
        );
    }
    let differ = common
        .iter()
        .filter(|key| curated[**key]["status"] != official[**key]["status"])
        .count();
    assert_eq!(row(&report, "status"), [common.len() - differ, 0, 0, 0, differ]);
    for field in ["capitol_phone", "capitol_fax"] {
        let numbers = row(&report, field);
        assert_eq!(numbers[2], 0, "the owner of {field} is never written");
        let edited = |key: &&&String| {
            let [a, b, m] =
                [&curated, &official, &base].map(|table| &table[**key][field]);
            a != b && a != m
        };
        assert_eq!(
            numbers[3],
            common.iter().filter(edited).count(),
            "every edit of {field} that is overwritten"
        );
    }
    let asked = row(&report, "total")[4];
    assert_eq!(
        fs::read_to_string(out.join("review.csv")).expect("written").lines().count() - 1,
        asked
    );

    // Every field of every record that both have is agreed, written one way or asked.
    let fields = base
        .values()
        .next()
        .expect("a row")
        .keys()
        .filter(|field| *field != "id")
        .collect::<Vec<_>>();
    for field in &fields {
        assert_eq!(
            row(&report, field).iter().sum::<usize>() - row(&report, field)[3],
            common.len(),
            "{field}"
        );
    }

    // Every edit that was overwritten is on record, with what it was and what replaced
    // it.
    let mut lost = csv::Reader::from_path(out.join("lost.csv")).expect("written");
    let lost = lost.records().map(|row| row.expect("a row")).collect::<Vec<_>>();
    assert_eq!(lost.len(), row(&report, "total")[3]);
    let after = [table(out.join("curated.csv")), table(out.join("official.csv"))];
    for edit in &lost {
        let (key, field, system) =
            (&edit[0], &edit[1], usize::from(&edit[2] == "official"));
        assert_eq!([&curated, &official][system][key][field], &edit[3], "what it was");
        assert_eq!(after[system][key][field], &edit[4], "what replaced it");
    }

    // After the plan, both tables agree wherever nothing was asked.
    let mut asked = csv::Reader::from_path(out.join("review.csv")).expect("written");
    let asked = asked
        .records()
        .map(|row| row.expect("a row"))
        .map(|row| (row[0].to_owned(), row[1].to_owned()));
    let asked = asked.collect::<BTreeSet<_>>();
    for (key, field) in
        common.iter().flat_map(|key| fields.iter().map(move |field| (*key, *field)))
    {
        let agree = after[0][key][field] == after[1][key][field];
        assert_eq!(
            agree,
            !asked.contains(&(key.clone(), field.clone())),
            "{key} {field}"
        );
    }
}

#[test]
fn a_second_run_on_its_own_output_writes_nothing_and_asks_the_same() {
    let (first, second) = (folder("first"), folder("second"));
    let before = report(&reconcile(Path::new(SAMPLES), &first));
    let after = report(&reconcile(&first, &second));
    let (asked, again) = (row(&before, "total"), row(&after, "total"));
    assert!(
        asked[1] > 0 && asked[2] > 0 && asked[3] > 0,
        "the sample has something of everything"
    );
    assert_eq!((again[1], again[2], again[3], again[4]), (0, 0, 0, asked[4]));
    let again = report(&reconcile(&first, &first));
    assert_eq!(row(&again, "total")[1..4], [0, 0, 0], "in place");
    let lost = fs::read_to_string(first.join("lost.csv")).expect("written");
    assert_eq!(
        lost.lines().count() - 1,
        asked[3],
        "what was lost before stays on record"
    );
    for name in ["curated.csv", "official.csv", "base.csv", "records.csv", "review.csv"] {
        let read =
            |folder: &Path| fs::read_to_string(folder.join(name)).expect("written");
        assert_eq!(read(&first), read(&second), "{name}");
    }
}

/// A record that both have exists in common, even while its fields are asked about:
/// deleted in one of them, it is not made again.
#[test]
fn a_record_that_is_asked_about_and_then_deleted_is_not_made_again() {
    let (first, second) = (folder("asked"), folder("deleted"));
    let read = |name: &str| fs::read_to_string(Path::new(SAMPLES).join(name));
    for file in ["curated.csv", "official.csv", "base.csv"] {
        let table = read(file).expect("the sample");
        let row = table.lines().nth(1).expect("a row").to_owned();
        let head = table.lines().next().expect("a header");
        let status = head.split(',').position(|name| name == "status").expect("a column");
        let mut cells = row.split(',').map(str::to_owned).collect::<Vec<_>>();
        cells[0] = "new".to_owned();
        cells[status] = file.to_owned(); // no two say the same of a manual field
        let added = format!("{table}{}\n", cells.join(","));
        let table = if file == "base.csv" { table } else { added };
        fs::write(first.join(file), table).expect("a writable folder");
    }
    report(&reconcile(&first, &first));
    let asked = fs::read_to_string(first.join("review.csv")).expect("written");
    assert!(asked.contains("new,status,"), "{asked}");
    assert!(!table(first.join("base.csv")).contains_key("new"));

    let official = fs::read_to_string(first.join("official.csv")).expect("written");
    let without = official.lines().filter(|line| !line.starts_with("new,"));
    let without = without.map(|line| format!("{line}\n")).collect::<String>();
    fs::write(first.join("official.csv"), without).expect("a writable folder");
    report(&reconcile(&first, &second));
    assert!(!table(second.join("official.csv")).contains_key("new"));
    let asked = fs::read_to_string(second.join("review.csv")).expect("written");
    assert!(asked.contains("new,(record),deleted in one"), "{asked}");
}

#[test]
fn a_broken_file_is_named_with_its_line_and_nothing_is_written() {
    let good =
        fs::read_to_string(Path::new(SAMPLES).join("curated.csv")).expect("the sample");
    let lines = good.lines().collect::<Vec<_>>();
    let with = |line: &str| [lines[0], lines[1], line].join("\n");
    for (name, text, place, reason) in [
        (
            "column",
            good.replacen("email", "mail", 1),
            ":1: ",
            "wanted a column \"email\"",
        ),
        ("key", with(lines[1]), ":3: ", "wanted a key that no other row has"),
        (
            "no_key",
            with(&lines[2][lines[2].find(',').expect("a comma")..]),
            ":3: ",
            "and found \"\"",
        ),
        ("row", with("a,b,c"), ":3: ", "wanted 13 columns, and found 3"),
        ("empty", String::new(), ":1: ", "wanted a column \"id\""),
        ("twice", good.replacen("party", "email", 1), ":1: ", "wanted "),
    ] {
        let (inputs, out) =
            (folder(&format!("broken_{name}")), folder(&format!("broken_{name}_out")));
        for file in ["official.csv", "base.csv"] {
            fs::copy(Path::new(SAMPLES).join(file), inputs.join(file)).expect("a copy");
        }
        fs::write(inputs.join("curated.csv"), text).expect("a writable folder");
        let output = reconcile(&inputs, &out);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(
            error.contains(&format!("curated.csv{place}")) && error.contains(reason),
            "{name}: {error}"
        );
        assert_eq!(
            fs::read_dir(&out).expect("a folder").count(),
            0,
            "{name}: something was written"
        );
    }
}
