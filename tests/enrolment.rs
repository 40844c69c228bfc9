//! The example `enrolment` does what it says.
#![cfg(all(
    feature = "workflow",
    feature = "sqlite",
    feature = "serde",
    feature = "testing"
))]

use std::process::Command;

/// Protects the program that newcomers copy: who is refused keeps no place, whether people
/// or a system refuse. The program itself compares the places.
#[test]
fn who_is_refused_keeps_no_place() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--example", "enrolment"])
        .args(["--features", "workflow,sqlite,serde,testing"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    let mut lines: Vec<&str> = printed.lines().collect();
    // Two questions may be answered in either order.
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "ada  algebra  completed",
            "bob  greek    completed",
            "bob in greek: one more chair",
            "cleo in latin: no chair is left",
            "cleo latin    undone",
            "dora algebra  undone",
        ]
    );
}
