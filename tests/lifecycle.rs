//! The lifecycle that the compiler enforces is the one that people read: the rustdoc
//! table, the README's list, and the status at run time. The compiler is asked about all
//! 49 pairs.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use integration_automation_patterns::DeliveryStatus;
use integration_automation_patterns::state::{
    Acknowledged, Dispatched, Failed, Pending, Person, Processed, Program, Retrying,
    Skipped, State, Step,
};

/// Asks the compiler whether `By` may take an envelope from `From` to `To`: the constant
/// of the inherent impl, which has the bound, stands before that of the trait, which has
/// none.
struct Probe<From, To, By>(PhantomData<(From, To, By)>);

trait Illegal {
    const LEGAL: bool = false;
}

impl<From, To, By> Illegal for Probe<From, To, By> {}

impl<From: Step<To, By>, To, By> Probe<From, To, By> {
    const LEGAL: bool = true;
}

/// Who may take a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Program,
    Person,
}

type Edge = (String, String, By);

/// All 49 pairs, by both kinds of actor.
macro_rules! matrix {
    ($($state:ident)*) => { matrix!(@ [$($state)*] [$($state)*]) };
    (@ [$($from:ident)*] $all:tt) => { vec![$(matrix!(@@ $from $all)),*].concat() };
    (@@ $from:ident [$($to:ident)*]) => {
        vec![$(
            (<$from>::STATUS, <$to>::STATUS, By::Program, <Probe<$from, $to, Program>>::LEGAL),
            (<$from>::STATUS, <$to>::STATUS, By::Person, <Probe<$from, $to, Person>>::LEGAL),
        )*]
    };
}

fn asked_of_the_compiler() -> Vec<(DeliveryStatus, DeliveryStatus, By, bool)> {
    matrix!(Pending Dispatched Acknowledged Processed Retrying Failed Skipped)
}

fn legal() -> BTreeSet<Edge> {
    let legal = asked_of_the_compiler().into_iter().filter(|(.., legal)| *legal);
    legal.map(|(from, to, by, _)| (format!("{from:?}"), format!("{to:?}"), by)).collect()
}

#[test]
fn the_compiler_answers_for_every_pair() {
    let answers = asked_of_the_compiler();
    let pairs = answers
        .iter()
        .map(|(from, to, ..)| (from.as_str(), to.as_str()))
        .collect::<BTreeSet<_>>();
    assert_eq!(pairs.len(), 49);
    assert_eq!(answers.len(), 98);
    assert_eq!(
        legal().len(),
        15,
        "the lifecycle has 13 steps of a program and 2 of a person"
    );
}

#[test]
fn the_status_at_run_time_knows_the_same_steps() {
    for (from, to, by, legal) in asked_of_the_compiler() {
        let known = match by {
            By::Program => from.next(),
            By::Person => from.next_by_decision(),
        };
        assert_eq!(known.contains(&to), legal, "{from} to {to} by {by:?}");
    }
}

#[test]
fn a_status_is_terminal_where_no_program_goes_on() {
    let terminal = DeliveryStatus::ALL
        .iter()
        .filter(|status| status.is_terminal())
        .collect::<Vec<_>>();
    assert_eq!(
        terminal,
        [&DeliveryStatus::Processed, &DeliveryStatus::Failed, &DeliveryStatus::Skipped]
    );
}

#[test]
fn every_status_parses_from_its_own_text() {
    for status in DeliveryStatus::ALL {
        assert_eq!(status.as_str().parse(), Ok(*status));
        assert_eq!(status.as_str(), format!("{status:?}").to_lowercase());
    }
    assert!("Pending".parse::<DeliveryStatus>().is_err());
}

#[test]
fn the_rustdoc_table_is_the_lifecycle() {
    let source = include_str!("../src/envelope/state.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | ["));
    let words = |cell: &str| -> Vec<String> {
        let words =
            cell.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let mut documented = BTreeSet::new();
    for row in rows {
        let cells = row.split('|').map(words).collect::<Vec<_>>();
        for (by, to) in [(By::Program, &cells[1]), (By::Person, &cells[2])] {
            documented.extend(to.iter().map(|to| (cells[0][0].clone(), to.clone(), by)));
        }
    }
    assert_eq!(documented, legal());
}

#[test]
fn the_readme_shows_the_lifecycle() {
    let readme = include_str!("../README.md");
    let (_, list) =
        readme.split_once("```text\nPending ").expect("the README lists the lifecycle");
    let (list, _) = list.split_once("```").expect("the list ends");
    let mut shown = BTreeSet::new();
    let mut ends = BTreeSet::new();
    for line in format!("Pending {list}").lines() {
        let (from, to) = line.split_once(" -> ").expect("a state, and where it leads");
        if to == "(the end)" {
            ends.extend(from.trim().split(", ").map(str::to_owned));
            continue;
        }
        for step in to.split(", ") {
            let (to, label) = step.split_once(' ').unwrap_or((step, ""));
            let by = if label.contains("a person") { By::Person } else { By::Program };
            shown.insert((from.trim().to_owned(), to.to_owned(), by));
        }
    }
    assert_eq!(shown, legal());
    let over = |status: &&DeliveryStatus| {
        status.is_terminal() && status.next_by_decision().is_empty()
    };
    let over = DeliveryStatus::ALL
        .iter()
        .filter(over)
        .map(|status| format!("{status:?}"))
        .collect();
    assert_eq!(ends, over);
}
