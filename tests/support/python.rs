//! A Python with packages of others, in an environment of its own below `target`, which is
//! made on the first run, from PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a step of the preparation; what is missing is said in the failure.
fn prepare(what: &str, command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        output.status.success(),
        "{what}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A Python that has the packages: whether it has, this import shows.
pub(crate) fn with(name: &str, packages: &[&str], import: &str) -> PathBuf {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-python"));
    let python = home.join("bin").join("python");
    let imports = Command::new(&python).args(["-c", import]).output();
    if !imports.is_ok_and(|output| output.status.success()) {
        let venv = ["-m", "venv", "--clear"];
        prepare(
            "python3 with its module venv is missing",
            Command::new("python3").args(venv).arg(&home),
        );
        let install = ["-m", "pip", "install", "--quiet"];
        prepare(
            "the packages cannot be had from PyPI",
            Command::new(&python).args(install).args(packages),
        );
    }
    python
}
