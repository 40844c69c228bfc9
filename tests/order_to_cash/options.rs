//! The command line: what is wrong or misplaced on it is refused in words, and nothing is
//! done.

use crate::place::program;

fn refused(arguments: &[&str]) -> String {
    let output = program().args(arguments).output().expect("the example is built");
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "{arguments:?}: nothing was done");
    message
}

/// Protects from an option that is accepted and not kept.
#[test]
fn what_is_unknown_or_misplaced_is_refused() {
    for (arguments, says) in [
        (&["--colour", "red"][..], "unknown option"),
        (&["orders"], "unknown words"),
        (&["--orders", "0"], "from 1 to"),
        (&["--hour"], "--hour wants a value"),
        (&["--hour", "1", "--hour", "2"], "twice"),
        (&["--by", "carl"], "--by and --reason belong to --approve"),
        (&["--approve", "3", "yes", "--folder", "f"], "--by NAME"),
        (&["--approve", "3", "maybe", "--folder", "f"], "yes|no"),
        (&["--approve", "three", "yes", "--folder", "f"], "has a number"),
        (&["--approve", "3", "yes", "--by", "carl", "--reason", "x"], "--folder"),
        (&["--approve", "3", "yes", "--only", "clerk"], "neither"),
        (&["--only", "clerk"], "--only wants a --broker"),
        (&["--only", "cook", "--folder", "f", "--broker", "file://f"], "sales, relay"),
        (&["--name", "mine"], "--name belongs to"),
        (&["--name", "a'b", "--broker", "file://f"], "small letters, digits and _"),
        (&["--orders", "99999999999"], "from 1 to 4294967295"),
        (&["--grace", "soon"], "a number of seconds"),
        (&["--broker", "pigeon://ann:s3cr3t@coop"], "found the scheme \"pigeon\""),
        (&["--database", "access://ann:s3cr3t@desk"], "wanted one of postgres://"),
    ] {
        let message = refused(arguments);
        assert!(message.contains(says), "{arguments:?}: {message}");
        assert!(!message.contains("s3cr3t"), "{message}");
    }
}

/// Protects a user from looking for an option that their build does not have.
#[test]
fn what_was_not_built_names_its_feature() {
    let off = [
        ("--database", "postgres", cfg!(feature = "postgres")),
        ("--broker", "nats", cfg!(feature = "nats")),
        ("--broker", "amqp", cfg!(feature = "amqp")),
        ("--broker", "amqp1", cfg!(feature = "amqp1")),
        ("--broker", "kafka", cfg!(feature = "kafka")),
        ("--broker", "sqs", cfg!(feature = "sqs")),
        ("--broker", "webhook", cfg!(feature = "webhook")),
    ];
    for (option, feature, _) in off.into_iter().filter(|(.., is_on)| !is_on) {
        let message = refused(&[option, &format!("{feature}://ann:s3cr3t@host")]);
        let says = format!("of the feature `{feature}`, which is off");
        assert!(message.contains(&says) && !message.contains("s3cr3t"), "{message}");
    }
    let help = program().arg("--help").output().expect("the example is built");
    assert!(String::from_utf8_lossy(&help.stdout).contains("--approve ORDER yes|no"));
}
