//! The time of a clean default build, beside that of its three dependencies alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

/// A package with nothing but dependencies.
fn package(name: &str, dependencies: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("build_time").join(name);
    fs::create_dir_all(root.join("src")).unwrap();
    fs::write(root.join("src/lib.rs"), "").unwrap();
    let head = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n";
    fs::write(root.join("Cargo.toml"), format!("{head}{dependencies}")).unwrap();
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"),
        root.join("Cargo.lock"),
    )
    .unwrap();
    root
}

fn clean_build(package: &Path) -> Duration {
    let target = package.join("target");
    let _ = fs::remove_dir_all(&target);
    let start = Instant::now();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline"])
        .current_dir(package)
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .unwrap();
    assert!(status.success());
    start.elapsed()
}

/// The lines of the manifest's `[dependencies]`.
fn dependencies() -> &'static str {
    let manifest = include_str!("../Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    dependencies.split_once("\n[").unwrap().0
}

fn main() {
    let ours = format!(
        "integration-automation-patterns.path = {:?}\n",
        env!("CARGO_MANIFEST_DIR")
    );
    let (ours, alone) = (package("ours", &ours), package("dependencies", dependencies()));
    let mut ratios = (0..ROUNDS)
        .map(|_| clean_build(&ours).as_secs_f64() / clean_build(&alone).as_secs_f64())
        .collect::<Vec<_>>();
    ratios.sort_by(f64::total_cmp);
    println!("| figure | measured | reach |");
    println!("|---|---|---|");
    println!(
        "| a clean default build, beside its dependencies alone | {:.2} | at most 1.5 |",
        ratios[ROUNDS / 2]
    );
}
