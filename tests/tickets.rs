//! The example `tickets`: what it asserts of cases and dead letters holds, and it ends.
#![cfg(all(feature = "sqlite", feature = "serde", feature = "signal"))]

use std::process::Command;

#[test]
fn every_ticket_that_can_be_helped_becomes_a_case() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--example", "tickets"])
        .args(["--features", "sqlite,serde,signal"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = String::from_utf8(output.stdout).expect("text");
    for line in [
        "relay: 4 acknowledged, 0 retrying, 0 failed, 0 released",
        "worker: 2 processed, 0 duplicates, 0 retrying, 2 dead letters",
        "redriven: Some(Processed)",
        "redriven: Some(Failed)",
    ] {
        assert!(
            report.lines().any(|found| found == line),
            "{line:?} is not in\n{report}"
        );
    }
}
