//! People answer: at the prompt, and from the command line beside a run.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use integration_automation_patterns::testing::CRASH_AT;

use crate::place::{Place, printed};

/// Starts a run whose questions people answer, with what they type: all of it at once.
fn people(place: &Place, arguments: &[&str], typed: &str) -> Child {
    let mut command = place.command(&[&["--approve"], arguments].concat());
    let run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut run = run.expect("the example is built");
    let mut stdin = run.stdin.take().expect("a pipe");
    stdin.write_all(typed.as_bytes()).expect("it reads");
    run
}

/// Protects from a decision of somebody who has no say: it is refused in words, and the
/// question is put again.
#[test]
fn at_the_prompt_the_right_person_decides() {
    let place = Place::files("prompt");
    let nobody = "erik\nyes\nI want it\n";
    let her_own = "anna\nyes\nI want it\n";
    let his = "carl\nperhaps\nno\nI do not know them\n";
    let typed = [nobody, her_own, his].concat();
    let run =
        people(&place, &["--orders", "4", "--hour", "10"], &typed).wait_with_output();
    let printed = printed(run.expect("it ends"));
    assert!(printed.contains("erik is no controller: wanted anna or carl"), "{printed}");
    assert!(printed.contains("found anna's"), "{printed}");
    assert!(printed.contains("wanted yes or no; found \"perhaps\""), "{printed}");
    let end = "over_limit: declined by carl as controller (I do not know them)";
    assert!(printed.contains(end), "{printed}");
}

/// Protects from an answer that is taken for another question, or twice.
#[test]
fn an_answer_counts_for_one_question() {
    let place = Place::files("one-answer");
    let typed = "carl\nyes\na good customer\n";
    let mut run = people(&place, &["--orders", "12", "--hour", "60"], typed);
    let lines = BufReader::new(run.stdout.take().expect("a pipe")).lines();
    let lines = lines.map(|line| line.expect("text"));
    let told: Vec<_> =
        lines.take_while(|line| !line.contains("nobody types any more")).collect();
    run.kill().expect("it runs");
    run.wait().expect("it ends");
    let asked = told.iter().filter(|line| line.contains("above the limit"));
    let asked: Vec<_> =
        asked.map(|line| line.split(' ').nth(1).expect("a number")).collect();
    assert_eq!(asked.len(), 2, "one was answered, and then the input ended: {told:?}");
    let closed = place.answer(asked[0], "yes", "carl").expect_err("it is closed");
    assert!(closed.contains("asks nothing"), "{closed}");
    place.answer(asked[1], "yes", "carl").expect("it was left open");
    place.answer(asked[1], "no", "carl").expect_err("once");
}

/// Waits until an order asks somebody: whoever has no say in it hears who has.
fn until_asked(place: &Place, order: &str, role: &str) {
    let is_asked = || {
        let refused = place.answer(order, "yes", "nobody").expect_err("nobody has a say");
        refused.contains(&format!("nobody is no {role}"))
    };
    for _ in 0..1_000 {
        if is_asked() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("order {order} asks no {role}");
}

/// Protects a command from being taken back without the step that gives it up, or the
/// other way round; and the order from being created after that.
fn a_recall_survives_a_death(place: &Place) {
    let broker = place.broker();
    // Order 3 waits for its approval; nothing is sent any more.
    let mut run =
        people(place, &["--orders", "4", "--hour", "20", "--broker", &broker], "");
    until_asked(place, "3", "controller");
    run.kill().expect("it runs");
    run.wait().expect("it ends");
    let approves = ["--approve", "3", "yes", "--by", "carl", "--reason", "I looked"];
    place.run(&[approves.as_slice(), &["--hour", "1"]].concat());
    // The ERP does not answer, since it was never told, and its command is taken back.
    let clerk = || {
        let mut clerk =
            place.command(&["--only", "clerk", "--hour", "1", "--broker", &broker]);
        clerk.stdout(Stdio::null());
        clerk
    };
    let dies = clerk().env(CRASH_AT, "before the recall commits").status();
    assert!(!dies.expect("the example is built").success(), "it dies there");
    let mut clerk = clerk().spawn().expect("the example is built");
    until_asked(place, "3", "erp desk");
    clerk.kill().expect("it runs");
    clerk.wait().expect("it ends");
    place.run(&["--approve", "3", "no", "--by", "eve", "--reason", "it never left"]);
    let printed = place.run(&["--orders", "4", "--broker", &broker]);
    let ends = "order  3  undone      over_limit: approved by carl as controller (I looked)  \
                create_order: timed_out  create_order: timed_out  \
                create_order: did_not_happen by eve as erp desk (it never left)";
    assert!(printed.contains(ends), "{printed}");
}

#[test]
fn a_recall_survives_a_death_in_files() {
    a_recall_survives_a_death(&Place::files("recall"));
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn a_recall_survives_a_death_on_postgres() {
    a_recall_survives_a_death(&Place::schemas("recall"));
}
