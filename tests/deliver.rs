//! The example `deliver`: every line is accounted for, whatever stands in the file.

use std::path::Path;
use std::process::{Command, Output};

fn deliver(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--example", "deliver", "--"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs")
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The number behind a word of the closing table.
fn count(report: &str, word: &str) -> usize {
    let line = report
        .lines()
        .rfind(|line| line.starts_with(&format!("{word} ")))
        .expect("a row");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[test]
fn every_event_of_the_sample_is_accounted_for_and_every_failure_has_its_reason() {
    let report = text(deliver(&[]));
    let lines = include_str!("../examples/data/events.jsonl").lines().count();
    assert_eq!(count(&report, "total"), lines);
    assert_eq!(count(&report, "missing"), 0);
    assert_eq!(
        count(&report, "processed")
            + count(&report, "failed")
            + count(&report, "skipped"),
        lines
    );
    for word in ["processed", "failed", "skipped"] {
        assert!(count(&report, word) > 0, "the sample has no {word} event");
    }
    let reasons = report
        .lines()
        .filter(|line| line.starts_with("  ") && line.contains(" failure: "));
    assert_eq!(reasons.count(), count(&report, "failed"));
    assert!(report.contains("status=retrying"), "no event was refused once");
    assert_eq!(report, text(deliver(&[])), "the simulation always behaves the same");
}

#[test]
fn a_bad_line_is_reported_with_its_number_and_does_not_stop_the_rest() {
    let good =
        include_str!("../examples/data/events.jsonl").lines().next().expect("a line");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad_lines.jsonl");
    let bytes = [
        b"{\n\n[1]\n{\"type\":\"a\"}\n\xff\n",
        good.as_bytes(),
        b"\r\n{\"source\":\"\",\"type\":\"t\"}",
    ]
    .concat();
    std::fs::write(&file, bytes).expect("a writable folder");
    let report = text(deliver(&[file.to_str().expect("text")]));
    for line in [1, 3, 4, 5, 7] {
        assert!(
            report.contains(&format!("  line {line}: ")),
            "line {line} is not reported:\n{report}"
        );
    }
    assert_eq!(count(&report, "unreadable"), 5);
    assert_eq!(count(&report, "total"), 6);
    assert_eq!(count(&report, "missing"), 0);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let output = deliver(&["no such file"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("no such file: "));
}
