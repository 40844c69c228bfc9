//! The example `order_to_cash` is killed again and again, and its account balances.
#![cfg(all(feature = "workflow", feature = "sqlite", feature = "testing", unix))]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::testing::{CRASH_AT, CrashTest};
use rusqlite::Connection;

/// Builds the example, and says where it is.
fn program() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--example", "order_to_cash"])
        .args(["--features", "workflow,sqlite,testing"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.expect("cargo runs").success());
    let here = std::env::current_exe().expect("a program");
    let profile = here.ancestors().nth(2).expect("target, profile, deps");
    profile.join("examples").join("order_to_cash")
}

fn number(path: &Path, sql: &str) -> i64 {
    let connection = Connection::open(path).expect("a file");
    connection.busy_timeout(Duration::from_secs(20)).expect("a setting");
    // Before the first run has made the tables, there is nothing.
    connection.query_row(sql, [], |row| row.get(0)).unwrap_or(-1)
}

fn run(program: &Path, folder: &Path) -> String {
    let output = Command::new(program).arg(folder).output().expect("it runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    printed
}

/// The lines about the orders, and the account.
fn ends(printed: &str) -> Vec<&str> {
    let is_end = |line: &&str| line.starts_with("order ") || line.starts_with("reserved");
    printed.lines().filter(is_end).collect()
}

/// A folder of its own.
fn folder(name: &str) -> PathBuf {
    let name = format!("order-to-cash-{name}-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs the program to its end in a folder in which it died, and checks what it prints: it
/// fails where its account does not balance.
fn ends_well(program: &Path, folder: &Path) {
    let first = run(program, folder);
    let ends = ends(&first);
    assert_eq!(ends.len(), 25, "{first}");
    for (number, line) in ends.iter().take(24).enumerate() {
        // A deadline may have passed while an event waited for its next attempt; nothing
        // else changes an end.
        let completes = [0, 3, 6].contains(&(number % 8));
        let passed = ["timed_out", "expired"].iter().any(|what| line.contains(what));
        let late = line.contains("undone") && passed;
        let is_right = line.contains(if completes { "completed" } else { "undone" });
        assert!(is_right || late, "{line}");
    }
    let again = run(program, folder);
    assert_eq!(self::ends(&again), ends, "it ends the same");
    std::fs::remove_dir_all(folder).expect("removed");
}

/// Protects the money: what is reserved and not released is that of the orders that were
/// created, whenever the program dies.
#[test]
fn the_account_balances_whenever_the_program_is_killed() {
    let (program, folder) = (program(), folder("random"));
    let (orders, given) = (folder.join("orders.db"), folder.clone());
    let kills = std::env::var("CRASH_KILLS").map_or(12, |kills| kills.parse().unwrap());
    let started = program.clone();
    let waiting = "SELECT count(*) FROM workflow_instance WHERE due_at IS NOT NULL";
    let report = CrashTest::new(u64::from(std::process::id()))
        .kills(kills)
        .pauses(Duration::from_millis(50), Duration::from_millis(500))
        .actor("order_to_cash", move || {
            let mut command = Command::new(&started);
            command.arg(&given).stdout(Stdio::null());
            command
        })
        .run(|| Ok(number(&orders, waiting) == 0))
        .unwrap_or_else(|failed| panic!("{failed}"));
    println!("{report}");
    ends_well(&program, &folder);
}

/// Protects each transaction of a workflow from being committed in part.
#[test]
fn the_account_balances_after_a_death_at_every_named_place() {
    let program = program();
    for point in [
        "before the instance commits#40",
        "before the clerk commits#2",
        "before the forestall commits#3",
    ] {
        let folder = folder(&point.replace([' ', '#'], "-"));
        let mut dies = Command::new(&program);
        let dies = dies.arg(&folder).env(CRASH_AT, point).stdout(Stdio::null()).status();
        assert!(!dies.expect("it runs").success(), "it dies {point}");
        ends_well(&program, &folder);
    }
}
