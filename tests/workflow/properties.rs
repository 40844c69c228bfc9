//! Laws over generated correlations, tables and directories.

use std::collections::BTreeMap;

use integration_automation_patterns::workflow::{
    Actor, Correlation, Directory, Level, Person, Question, Seen, Step, Vote, Workflow,
};
use proptest::prelude::*;

use crate::orders::order_to_cash::This;
use crate::orders::{Controller, HeadOfFinance};
use crate::walk::now;

/// A change of one step of the table.
type Change = (usize, fn(&mut Step));

fn person(name: &str) -> Person {
    Person::new(name).unwrap()
}

proptest! {
    /// Protects the way of a reply to its step: what is written is what is read.
    #[test]
    fn a_correlation_parses_back(
        workflow in "[a-z_]{1,12}",
        id in any::<u128>(),
        step in "[a-z_]{1,12}",
        part in prop::sample::select(vec!["do", "undo", "forestall"]),
        round in 2..=Correlation::MOST_ROUNDS,
    ) {
        let id = uuid::Uuid::from_u128(id);
        for text in [
            format!("{workflow}/{id}/{step}/{part}"),
            format!("{workflow}/{id}/{step}/{part}/{round}"),
        ] {
            prop_assert_eq!(text.parse::<Correlation>().unwrap().to_string(), text);
        }
    }

    /// Protects a participant from a text that has it forestall commands without end.
    #[test]
    fn a_round_above_the_bound_is_refused(
        part in prop::sample::select(vec!["do", "undo", "forestall"]),
        round in Correlation::MOST_ROUNDS + 1..,
    ) {
        let id = uuid::Uuid::from_u128(4711);
        let text = format!("order_to_cash/{id}/create_order/{part}/{round}");
        prop_assert!(text.parse::<Correlation>().is_err(), "{}", text);
    }

    /// Protects the inbox from what other programs write: garbage is refused, and never
    /// taken for another step.
    #[test]
    fn what_is_no_correlation_is_refused_without_a_panic(
        text in "([a-z0-9+/-]|\\PC){0,80}",
    ) {
        if let Ok(read) = text.parse::<Correlation>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    /// Protects the four eyes: nobody decides on their own request or amendment, nor twice,
    /// nor where somebody in whose place they stand has.
    #[test]
    fn who_asks_has_amended_or_has_voted_is_not_eligible(
        members in prop::collection::vec("[a-e]", 0..8),
        authors in prop::collection::vec(("[a-e]", prop::option::of("[a-e]")), 0..3),
        voted in prop::collection::vec(("[a-e]", prop::option::of("[a-e]")), 0..3),
    ) {
        let actor = |name: &str, away: &Option<String>| {
            let instead_of = away.as_deref().map(person);
            Actor { person: person(name), instead_of }
        };
        let votes = voted.iter().map(|(name, away)| Vote {
            actor: actor(name, away),
            role: "controller".to_owned(),
            reason: "fine".to_owned(),
            at: now(),
            seen: Seen::of(b""),
        });
        let question = Question { votes: votes.collect(), ..Question::default() };
        let authors = authors.iter().map(|(name, away)| actor(name, away));
        let authors = authors.collect::<Vec<_>>();
        let listed = members.iter().map(|name| person(name)).collect::<Vec<_>>();
        let people = BTreeMap::from([("controller".to_owned(), listed)]);
        let level = Level::of::<Controller>(1, std::time::Duration::from_secs(60));
        let eligible = question.eligible(&level, &authors, &people);
        let excluded = |one: &Person| {
            let votes = question.votes.iter().map(|vote| &vote.actor);
            votes.chain(&authors).any(|actor| actor.people().any(|other| other == one))
        };
        for one in people.members("controller") {
            let times = eligible.iter().filter(|other| **other == one).count();
            prop_assert_eq!(times, usize::from(!excluded(&one)), "{}", one);
        }
    }
}

/// Protects running instances from a table that changes under its version, and operators
/// from a seal that breaks over a longer deadline.
#[test]
fn a_fingerprint_ignores_times_roles_and_what_conditions_say_and_nothing_else() {
    const HOUR: std::time::Duration = std::time::Duration::from_secs(60 * 60);
    const OTHERS: &[Level] = &[Level::of::<HeadOfFinance>(3, HOUR).remind_after(HOUR)];
    let changed = |at: usize, change: fn(&mut Step)| {
        let mut steps = This::DEFINITION.steps.to_vec();
        change(&mut steps[at]);
        let mut definition = This::DEFINITION;
        definition.steps = Box::leak(steps.into_boxed_slice());
        definition.fingerprint()
    };
    let free: [Change; 6] = [
        (0, |step| step.within = Some(HOUR)),
        (0, |step| step.undo_within = Some(HOUR * 7)),
        (0, |step| step.undo_asks = OTHERS),
        (2, |step| step.asks = OTHERS),
        (2, |step| step.when = Some("Order::is_dear")),
        (3, |step| step.forestall_within = Some(HOUR)),
    ];
    for (at, change) in free {
        assert_eq!(changed(at, change), This::FINGERPRINT, "of step {at}");
    }
    let sealed: [Change; 11] = [
        (0, |step| step.name = "reserve"),
        (0, |step| step.command = Some("a.b.c")),
        (0, |step| step.done = Some("a.b.c")),
        (0, |step| step.refused = Some("a.b.c")),
        (0, |step| step.undo = Some("a.b.c")),
        (0, |step| step.undone = Some("a.b.c")),
        (0, |step| step.asks = OTHERS),
        // What was passed over would be an approval that nobody gave, and the other way round.
        (2, |step| step.when = None),
        (4, |step| step.when = Some("Order::is_dear")),
        (3, |step| step.needs = None),
        (3, |step| step.forestall_within = None),
    ];
    for (at, change) in sealed {
        assert_ne!(changed(at, change), This::FINGERPRINT, "of step {at}");
    }
}
