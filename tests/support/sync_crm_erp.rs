//! The example `sync_crm_erp` as a program: run, and its databases looked at.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) fn command(folder: &Path) -> Command {
    let mut program = std::env::current_exe().expect("a test has a path");
    program.pop();
    program.pop();
    let mut command = Command::new(program.join("examples/sync_crm_erp"));
    command.arg("--folder").arg(folder);
    command
}

/// A folder of the test's own, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("sync-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// Runs it to its end, and gives what it printed.
pub(crate) fn run(folder: &Path) -> String {
    printed(command(folder).output().expect("the example is built"))
}

/// What a program printed that ended well.
pub(crate) fn printed(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
