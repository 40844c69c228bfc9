//! The example that the guide shows: what stands there is what it prints.

use std::process::Command;

use integration_automation_patterns::audit::AuditRecord;

#[test]
fn the_guide_shows_what_the_example_prints() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--example", "lead_to_case"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("text");
    let shown = include_str!("../src/guide/lead_to_case.md")
        .split("```")
        .filter_map(|block| block.strip_prefix("text\n"));
    let shown = shown.skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(shown, printed, "run the example, and put its output into the guide");

    let records =
        printed.lines().filter(|line| line.starts_with('[')).map(AuditRecord::parse);
    let records = records.collect::<Result<Vec<_>, _>>().expect("every line reads back");
    assert!(records.len() > 20);
    assert!(!printed.contains("555-"), "no value of a field is printed");
}
