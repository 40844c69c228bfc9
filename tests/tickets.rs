//! The examples `tickets` and `tickets_rabbitmq`: they do what they say, and stay as short
//! as a reader's patience.
#![cfg(all(feature = "serde", any(feature = "sqlite", feature = "postgres")))]

#[cfg(feature = "postgres")]
#[path = "support/servers.rs"]
mod servers;

use std::process::Command;

/// Runs an example to its end: what fails is redriven, and what nobody can read stays a
/// dead letter. Returns what it printed.
fn runs(
    example: &str,
    features: &str,
    environment: &[(&str, String)],
    arguments: &[String],
) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--example", example])
        .args(["--features", features, "--"])
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    for ended in ["redriven: Some(Processed)", "redriven: Some(Failed)"] {
        assert_eq!(printed.matches(ended).count(), 1, "{printed}");
    }
    printed
}

/// The lines of a program that are neither blank nor a comment.
fn lines(program: &str) -> usize {
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    program.lines().map(str::trim).filter(is_code).count()
}

#[test]
fn the_examples_stay_short() {
    assert!(lines(include_str!("../examples/tickets.rs")) <= 70);
    assert!(lines(include_str!("../examples/tickets_rabbitmq.rs")) <= 85);
}

#[cfg(feature = "sqlite")]
#[test]
fn what_failed_is_redriven() {
    let printed = runs("tickets", "sqlite,serde,signal", &[], &[]);
    let summary = "relay: 4 acknowledged, 0 retrying, 0 failed, 0 released\n\
                   worker: 2 processed, 0 duplicates, 0 retrying, 2 dead letters\n";
    assert!(printed.starts_with(summary), "{printed}");
}

#[cfg(all(feature = "postgres", feature = "amqp"))]
#[test]
#[ignore = "needs PostgreSQL and RabbitMQ"]
fn what_failed_is_redriven_with_servers_too() {
    let rabbitmq = format!("amqp://127.0.0.1:{}", servers::rabbitmq());
    let environment = [("POSTGRES", servers::postgres()), ("RABBITMQ", rabbitmq)];
    let name = format!("tickets_{}", std::process::id());
    runs("tickets_rabbitmq", "postgres,amqp,serde", &environment, &[name]);
}
