//! Erlang that a test runs in the server, as rabbitmqctl would, without its start.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The program that runs it in the server of the tests.
pub(super) fn here() -> String {
    std::env::var("TEST_RABBITMQ_EVALUATE")
        .expect("TEST_RABBITMQ_EVALUATE, as `.ci/servers` sets it")
}

pub(super) fn evaluate(program: &str, expression: &str) {
    let pipes = || Stdio::piped();
    let running = Command::new(program).stdin(pipes()).stdout(pipes()).spawn();
    let mut running = running.expect("the program of `.ci/servers`");
    // Without the end of the line, it waits for more.
    writeln!(running.stdin.take().expect("a pipe"), "{expression}.").unwrap();
    let done = running.wait_with_output().unwrap();
    let answer = String::from_utf8_lossy(&done.stdout);
    assert!(answer.starts_with("{ok,"), "{expression} {answer}");
}

/// Text that needs no escape, as a binary of Erlang.
pub(super) fn binary(text: &str) -> String {
    assert!(!text.contains(['"', '\\']), "{text:?}");
    format!("<<\"{text}\">>")
}
