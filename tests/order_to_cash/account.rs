//! What the program says of the books, and to whom it does not say it.

use std::process::Stdio;

use rusqlite::Connection;

use crate::place::Place;

/// Protects from an account that balances because nothing is left of either side, as after
/// the systems were restored from an empty backup.
#[test]
fn completed_orders_that_the_erp_has_not_are_no_account() {
    let place = Place::files("lost");
    place.run(&["--orders", "8"]);
    // A run that is about fewer of them finds the same books.
    place.run(&["--orders", "4"]);
    let systems = Connection::open(place.folder().join("systems.db")).expect("a file");
    let lost =
        "DELETE FROM erp_order; DELETE FROM invoice; UPDATE stock SET freed = TRUE;
        UPDATE credit SET released = TRUE";
    systems.execute_batch(lost).expect("its tables");
    let again = place.command(&["--orders", "8"]).output().expect("it is built");
    let errors = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1), "{errors}");
    let says = "3 orders are completed; the ERP has 0 of them, and billing 0";
    assert!(errors.contains(says), "{errors}");
}

/// Protects from a mistyped folder that looks like one where nothing is asked.
#[test]
fn an_answer_is_about_a_run_that_was_made() {
    let place = Place::files("nowhere");
    let refused = place.answer("3", "yes", "carl").expect_err("no run was made");
    assert!(refused.contains("no run has its files in"), "{refused}");
    assert!(!place.folder().exists(), "an answer makes nothing");
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn an_answer_is_about_a_run_that_was_made_on_postgres() {
    let place = Place::schemas("nowhere");
    let refused = place.answer("3", "yes", "carl").expect_err("no run was made");
    assert!(refused.contains("no run has its schemas"), "{refused}");
    place.run(&["--orders", "1"]);
}

/// Protects a password with an `@`, behind which a host would begin.
#[cfg(feature = "postgres")]
#[test]
fn a_password_with_an_at_is_refused_and_not_shown() {
    let address = ["--database", "postgres://ann:s3@cr3t@127.0.0.1:1/orders"];
    let answer = ["--approve", "3", "yes", "--by", "carl", "--reason", "I looked"];
    for words in [&address[..], &[&address[..], &answer].concat()] {
        let output = crate::place::program().args(words).output().expect("it is built");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{errors}");
        assert!(errors.contains("%40") && !errors.contains("cr3t"), "{errors}");
    }
}

/// Protects from a panic where a reader such as `head` has read enough.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::files("head");
    let mut command = place.command(&["--orders", "2"]);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut run = run.expect("it is built");
    drop(run.stdout.take());
    let output = run.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// Protects what is on its way from a stop: the parts end it, and the next run goes on.
#[cfg(feature = "signal")]
#[test]
fn sigterm_stops_it_and_the_next_run_goes_on() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Command;

    let place = Place::files("stopped");
    let mut command = place.command(&["--approve", "--hour", "5", "--orders", "4"]);
    let run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut run = run.expect("it is built");
    let mut printed = BufReader::new(run.stdout.take().expect("a pipe"));
    let mut line = String::new();
    // From its first question on, it waits for a person.
    while !line.contains("who are you?") {
        line.clear();
        assert_ne!(printed.read_line(&mut line).expect("text"), 0, "it asks");
    }
    let id = run.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
    let mut rest = String::new();
    printed.read_to_string(&mut rest).expect("text");
    assert!(run.wait().expect("it ends").success(), "{rest}");
    assert!(rest.contains("stopped: what is left is for the next run"), "{rest}");
    place.answer("3", "yes", "carl").expect("it asks still");
    let next = place.run(&["--orders", "4"]);
    assert!(next.contains("0 orders begin, 4 were there before"), "{next}");
}
