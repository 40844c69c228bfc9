//! Records as a whole: who has them, who made and deleted them, and what follows; for
//! every state of three systems, and every rule that can be declared.

use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::{
    Authority, Base, Bases, Content, Contract, Deletions, Existed, Existence, Presence,
    Question, RecordBase, RecordPlan, RecordRules, RecordWrite, Slot, Verdict,
};

const POLICIES: [Deletions; 4] =
    [Deletions::Ask, Deletions::Restore, Deletions::Detach, Deletions::Propagate];

/// What the three systems say, and what is known in common.
#[derive(Debug, Clone, PartialEq)]
struct State {
    says: Vec<Presence<u8>>,
    base: RecordBase,
}

fn plan(rules: &RecordRules, state: &State, edited: bool) -> RecordPlan<u8> {
    let mut run = rules.run();
    run.plan((), state.says.clone(), &state.base, edited).expect("one for each");
    run.finish().expect("one record may be gone").remove(0).1
}

/// Every presence and every base that can come about: nobody was known to have the record
/// before something was agreed.
fn states() -> Vec<State> {
    let says = [
        Presence::Unread,
        Presence::Unsupported,
        Presence::Absent,
        Presence::There(7),
        Presence::Merged,
    ];
    let known = [Existed::Never, Existed::There, Existed::Gone, Existed::Missing];
    let mut states = Vec::new();
    for agreed in [Existed::Never, Existed::There, Existed::Gone] {
        for number in 0..5_usize.pow(3) * 4_usize.pow(3) {
            let (of_says, of_known) = (number % 125, number / 125);
            let base = RecordBase {
                agreed,
                confirmed: [of_known % 4, of_known / 4 % 4, of_known / 16]
                    .map(|known_as| known[known_as])
                    .to_vec(),
            };
            let says = [of_says % 5, of_says / 5 % 5, of_says / 25].map(|it| says[it]);
            let possible = match agreed {
                Existed::Never => {
                    base.confirmed.iter().all(|known| *known == Existed::Never)
                }
                Existed::There => true,
                _ => !base.confirmed.contains(&Existed::Missing),
            };
            if possible {
                states.push(State { says: says.to_vec(), base });
            }
        }
    }
    states
}

fn to(write: &RecordWrite<'_, u8>) -> usize {
    match write {
        RecordWrite::Create { to } | RecordWrite::Delete { to, .. } => *to,
    }
}

/// The state after those writes that are made, with the next base stored or not.
fn after(
    state: &State,
    plan: &RecordPlan<u8>,
    made: impl Fn(usize) -> bool,
    stored: bool,
) -> State {
    let mut next = state.clone();
    let mut not_made = Vec::new();
    for write in plan.writes() {
        match write {
            write if !made(to(&write)) => not_made.push(to(&write)),
            RecordWrite::Create { to } => next.says[to] = Presence::There(1),
            RecordWrite::Delete { to, expects } => {
                assert_eq!(next.says[to], Presence::There(*expects), "as it was read");
                next.says[to] = Presence::Absent;
            }
        }
    }
    if stored {
        next.base = plan.next_without(&not_made);
    }
    next
}

fn each(mut check: impl FnMut(Deletions, &State, bool, &RecordPlan<u8>)) {
    for state in states() {
        for policy in POLICIES {
            for edited in [false, true] {
                let rules = RecordRules::new(policy, 1);
                check(policy, &state, edited, &plan(&rules, &state, edited));
            }
        }
    }
}

/// Law 23: a deletion follows what is declared, and never silently against an edit.
#[test]
fn a_deletion_follows_the_declared_policy() {
    let mut deleted = [0; 4];
    each(|policy, state, edited, plan| {
        let deletes =
            plan.writes().any(|write| matches!(write, RecordWrite::Delete { .. }));
        if deletes {
            deleted[3] += 1;
            let agreed = state.base.agreed == Existed::Gone;
            assert!((policy == Deletions::Propagate || agreed) && !edited, "{state:?}");
            let known = agreed
                || state.says.iter().zip(&state.base.confirmed).any(|(says, known)| {
                    *says == Presence::Absent
                        && matches!(known, Existed::There | Existed::Missing)
                });
            assert!(known, "a record that no system is known to have had: {state:?}");
        }
        let asks = plan.question().is_some();
        assert_eq!(asks, plan.existence() == Existence::Ask);
        assert!(!asks || plan.writes().next().is_none(), "{state:?}");
    });
    assert!(deleted[3] > 0);
    let both = RecordBase::common(Existed::There, 2);
    let state = State { says: vec![Presence::There(7), Presence::Absent], base: both };
    let by = |edited| {
        POLICIES
            .map(|policy| plan(&RecordRules::new(policy, 1), &state, edited).existence())
    };
    let [ask, create, detach] = [Existence::Ask, Existence::Create, Existence::Detach];
    assert_eq!(by(false), [ask, create, detach, Existence::Delete]);
    assert_eq!(by(true), [ask, create, detach, ask]);
}

/// Once a plan is carried out, there is nothing left to do; after a part of it, with the
/// progress stored or not, there is the rest.
#[test]
fn a_plan_comes_to_rest_and_can_be_resumed() {
    each(|policy, state, edited, first| {
        let rules = RecordRules::new(policy, 1);
        let settled = [Existence::Create, Existence::Delete].contains(&first.existence());
        if !settled || state.says.contains(&Presence::Merged) {
            return;
        }
        for stored in [false, true] {
            let done = plan(&rules, &after(state, first, |_| true, stored), edited);
            assert_eq!(done.writes().next(), None, "{policy:?} {state:?}");
            assert_ne!(done.existence(), Existence::Ask, "{policy:?} {state:?}");
            for only in 0..3 {
                let next = after(state, first, |place| place == only, stored);
                let rest = plan(&rules, &next, edited);
                let left = first.writes().map(|write| to(&write));
                let left = left.filter(|place| *place != only).collect::<Vec<_>>();
                let found = rest.writes().map(|write| to(&write)).collect::<Vec<_>>();
                assert_eq!(found, left, "{policy:?} {state:?} {next:?}");
            }
        }
    });
}

/// A question stays the same question, and a person who does not answer it does not use
/// up what may be gone in a run.
#[test]
fn a_question_is_asked_again_and_counted_once() {
    let mut asked = 0;
    each(|policy, state, edited, first| {
        if first.existence() == Existence::Ask {
            asked += 1;
            let next = State { base: first.next_without(&[]), ..state.clone() };
            let none = RecordRules::new(policy, 0);
            let mut run = none.run();
            run.plan((), next.says.clone(), &next.base, edited).expect("one for each");
            let again = run.finish().expect("nothing is newly gone").remove(0).1;
            assert_eq!(again.question(), first.question(), "{state:?}");
        }
    });
    assert!(asked > 0);
}

/// Law 37 for records: a system that was not read asks nothing, gets nothing, and its
/// base stays; one that does not keep the record is as good as no party.
#[test]
fn whoever_was_not_read_or_keeps_no_such_record_is_left_alone() {
    each(|policy, state, edited, plan| {
        assert_eq!(plan.presence(), state.says);
        let next = plan.next_without(&[]);
        for (place, says) in state.says.iter().enumerate() {
            if matches!(says, Presence::Unread | Presence::Unsupported) {
                assert!(plan.writes().all(|write| to(&write) != place));
                assert_eq!(next.confirmed[place], state.base.confirmed[place]);
            }
        }
        if state.says[2] == Presence::Unsupported
            && !state.base.confirmed.contains(&Existed::Missing)
        {
            let without = State {
                says: state.says[..2].to_vec(),
                base: RecordBase {
                    confirmed: state.base.confirmed[..2].to_vec(),
                    ..state.base
                },
            };
            let rules = RecordRules::new(policy, 1);
            let alone = self::plan(&rules, &without, edited);
            assert_eq!(alone.existence(), plan.existence(), "{state:?}");
            assert!(
                alone
                    .writes()
                    .map(|write| to(&write))
                    .eq(plan.writes().map(|write| to(&write)))
            );
        }
    });
}

/// A record that two of three systems have agreed on, deleted in one of them: the third,
/// which never had it, is no reason to make it again.
#[test]
fn a_deletion_is_no_creation_by_the_others() {
    let base = RecordBase {
        agreed: Existed::There,
        confirmed: vec![Existed::There, Existed::There, Existed::Never],
    };
    let state = State {
        says: vec![Presence::There(7), Presence::Absent, Presence::Absent],
        base,
    };
    let rules = RecordRules::new(Deletions::Propagate, 1);
    let deletes = plan(&rules, &state, false);
    assert_eq!(
        deletes.writes().collect::<Vec<_>>(),
        [RecordWrite::Delete { to: 0, expects: &7 }]
    );
}

/// Law 45 for records: one that is gone from all and made anew is a new one, whatever is
/// still known of the old one's fields.
#[test]
fn a_record_that_is_made_anew_is_new() {
    let rules = RecordRules::new(Deletions::Ask, 1);
    let gone = State {
        says: vec![Presence::Absent; 2],
        base: RecordBase::common(Existed::There, 2),
    };
    let plan_of_gone = plan(&rules, &gone, false);
    assert_eq!(plan_of_gone.existence(), Existence::Gone);
    assert!(!plan_of_gone.is_new());
    for says in [Presence::There(7), Presence::Absent] {
        let base = RecordBase::common(Existed::There, 2);
        let known = State { says: vec![Presence::There(7), says], base };
        let restored = plan(&RecordRules::new(Deletions::Restore, 1), &known, false);
        assert!(!restored.is_new(), "{:?}", restored.existence());
    }

    let base = plan_of_gone.next_without(&[]);
    let anew = State { says: vec![Presence::Absent, Presence::There(8)], base };
    let plan = plan(&rules, &anew, true);
    assert!(plan.is_new(), "and not asked about");
    assert_eq!(plan.writes().collect::<Vec<_>>(), [RecordWrite::Create { to: 0 }]);
}

/// A record that is gone where it was looked for is not gone while others were not read.
#[test]
fn what_was_not_read_is_not_gone() {
    let says = vec![Presence::Absent, Presence::Unread];
    let state = State { says, base: RecordBase::common(Existed::There, 2) };
    let waits = plan(&RecordRules::new(Deletions::Propagate, 1), &state, false);
    assert_eq!(waits.existence(), Existence::Unread);
    assert_eq!(waits.next_without(&[]), state.base);
}

/// Where a record was made, it is known to be; where that failed, it is not.
#[test]
fn a_record_is_known_where_it_was_made() {
    let says = vec![Presence::There(7), Presence::Absent, Presence::Absent];
    let state = State { says, base: RecordBase::never(3) };
    let created = plan(&RecordRules::new(Deletions::Ask, 1), &state, false);
    assert_eq!(created.existence(), Existence::Create);
    assert_eq!(created.next_without(&[]), RecordBase::common(Existed::There, 3));
    let confirmed = vec![Existed::There, Existed::There, Existed::Never];
    let failed = RecordBase { agreed: Existed::There, confirmed };
    assert_eq!(created.next_without(&[2]), failed);
}

/// A deletion reaches a system that was away when it happened; where people edited the
/// record there meanwhile, they are asked.
#[test]
fn a_deletion_reaches_whoever_was_away() {
    let anybody = RecordRules::new(Deletions::Propagate, 1);
    let says = vec![Presence::Absent, Presence::There(7), Presence::Unread];
    let away = State { says, base: RecordBase::common(Existed::There, 3) };
    // Also one that creates nothing for the others: it is known to have had the record.
    for rules in [anybody.clone(), anybody.created_by([0])] {
        let first = plan(&rules, &away, false);
        let mut back = after(&away, &first, |_| true, true);
        back.says[2] = Presence::There(7);
        for (edited, expected) in [(false, Existence::Delete), (true, Existence::Ask)] {
            assert_eq!(plan(&rules, &back, edited).existence(), expected);
        }
    }
}

/// A direction: only who may create creates, and only who may delete deletes.
#[test]
fn a_direction_is_kept() {
    let rules = RecordRules::new(Deletions::Propagate, 1);
    assert_eq!((rules.creators(), rules.deleters()), (None, None), "every system may");
    let rules = rules.created_by([0]).deleted_by([0]);
    assert_eq!((rules.creators(), rules.deleters()), (Some(&[0][..]), Some(&[0][..])));
    let of_two = rules.clone().created_by([0, 1]).deleted_by([1, 2]);
    assert_eq!(
        (of_two.creators(), of_two.deleters()),
        (Some(&[0, 1][..]), Some(&[1, 2][..]))
    );
    let never = RecordBase::never(2);
    let both = RecordBase::common(Existed::There, 2);
    let there = || Presence::There(7);
    for (says, base, existence) in [
        ([there(), Presence::Absent], &never, Existence::Create),
        ([Presence::Absent, there()], &never, Existence::Local),
        ([there(), there()], &never, Existence::Everywhere),
        ([Presence::Absent, there()], &both, Existence::Delete),
        ([there(), Presence::Absent], &both, Existence::Create),
    ] {
        let state = State { says: says.to_vec(), base: base.clone() };
        let first = plan(&rules, &state, false);
        assert_eq!(first.existence(), existence, "{state:?}");
        let next = after(&state, &first, |_| true, true);
        assert_eq!(plan(&rules, &next, false).writes().next(), None, "{state:?}");
    }
}

/// A filter: a record that falls out of it is not deleted, and one that comes back is not
/// made a second time.
#[test]
fn what_a_filter_leaves_out_is_not_deleted() {
    for policy in POLICIES {
        let rules = RecordRules::new(policy, 0);
        let base = RecordBase::common(Existed::There, 2);
        let out = State { says: vec![Presence::There(7), Presence::Unsupported], base };
        let first = plan(&rules, &out, true);
        assert_eq!(
            (first.existence(), first.writes().count()),
            (Existence::Everywhere, 0)
        );
        let back = State {
            says: vec![Presence::There(7), Presence::There(7)],
            base: first.next_without(&[]),
        };
        assert_eq!(plan(&rules, &back, true).existence(), Existence::Everywhere);
    }
}

/// A merge is no deletion: it is asked about, under its own word.
#[test]
fn a_merge_is_asked_about() {
    for policy in POLICIES {
        let state = State {
            says: vec![Presence::There(7), Presence::Merged],
            base: RecordBase::common(Existed::There, 2),
        };
        let asked = plan(&RecordRules::new(policy, 0), &state, false);
        assert_eq!(asked.question(), Some(Question::Merged), "{policy:?}");
        let decision = Decision::new("on-call", "one customer").expect("not blank");
        let row = asked.review("C-1", ["crm", "erp"]).expect("it is asked");
        assert_eq!(row.question, Question::Merged);
        let settled = asked.settle("C-1", &row, Existence::Delete, decision);
        let settled = settled.expect("it fits");
        assert_eq!(settled.writes().count(), 1);
        let done = State {
            says: vec![Presence::Absent, Presence::Merged],
            base: settled.next_without(&[]),
        };
        assert_eq!(
            plan(&RecordRules::new(policy, 0), &done, false).existence(),
            Existence::Gone
        );
    }
}

/// Law 46: where more records are gone than declared, the run ends without a plan,
/// whatever the policy; one fewer passes. A person may allow it, by name.
#[test]
fn an_empty_or_short_list_deletes_nothing() {
    for policy in POLICIES {
        let rules = RecordRules::new(policy, 3);
        for gone in 0..=8 {
            let mut run = rules.run();
            for key in 0..8 {
                let erp = Presence::of((key >= gone).then_some(7));
                let both = RecordBase::common(Existed::There, 2);
                run.plan(key, vec![Presence::There(7), erp], &both, false)
                    .expect("one for each");
            }
            match run.finish() {
                Ok(plans) => assert!(gone <= 3 && plans.len() == 8, "{policy:?} {gone}"),
                Err(refused) => {
                    assert!(gone > 3, "{policy:?} {gone}");
                    assert_eq!((refused.cause().gone, refused.cause().most), (gone, 3));
                    let decision = Decision::new("on-call", "the ERP was emptied")
                        .expect("not blank");
                    let allowed = refused.into_value().allow(decision.clone());
                    assert_eq!(allowed.plans.len(), 8);
                    assert_eq!((allowed.exceeded.gone, allowed.exceeded.of), (gone, 8));
                    assert_eq!(allowed.decision, decision, "who allowed it, and why");
                }
            }
        }
    }
}

/// A record that is made in another system gets what is known of it there, and nothing
/// that the other system decides about. What that system sets itself is nobody's edit: it
/// is taken over where the field was blank, and asked about where the owner's is.
#[test]
fn a_default_of_the_system_that_gets_the_record_is_no_edit() {
    let contract = Contract::builder("customer")
        .system("crm")
        .system("erp")
        .field("name", Authority::system("crm"))
        .field("terms", Authority::system("crm"))
        .field("region", Authority::Shared)
        .field("stage", Authority::Manual)
        .field("credit", Authority::system("erp"))
        .build()
        .expect("sound");
    let (acme, blank) = (Slot::Value("ACME"), Slot::Empty);
    let by_default = Slot::Value("by default");
    let (lead, never) = (Slot::Value("lead"), Bases::common(Base::Never, 2));
    for (field, in_crm, given, in_erp, verdict) in [
        ("name", acme, Some("ACME"), acme, Verdict::Agreed(0)),
        ("terms", blank, None, by_default, Verdict::Ask(Question::BlankOwner)),
        ("region", blank, None, by_default, Verdict::Write(1)),
        ("stage", lead, Some("lead"), lead, Verdict::Agreed(0)),
        ("credit", acme, None, by_default, Verdict::Write(1)),
    ] {
        let slots = [&in_crm, &Slot::Unsupported];
        let plan =
            contract.plan_with_bases(field, &slots, &never).expect("it is exchanged");
        assert_eq!(plan.initial_value().copied(), given, "{field}");

        let known = plan.next_created(&[1]);
        let made = given.map_or(Base::Never, |given| Base::Known(Some(given)));
        assert_eq!(known, Bases::common(made, 2), "{field}");
        let slots = [&in_crm, &in_erp];
        let plan =
            contract.plan_with_bases(field, &slots, &known).expect("it is exchanged");
        assert_eq!(plan.verdict(), verdict, "{field}");
        let lost = plan.writes().filter_map(|write| write.lost());
        assert_eq!(lost.collect::<Vec<Content<_>>>(), [], "{field}");
    }
}

/// What holds for records stands in the contract: on the page that people sign, and in
/// what a change of it would do; a declared boundary's contract can be extended by it.
#[test]
fn what_holds_for_records_stands_in_the_contract() {
    let builder = || {
        Contract::builder("contact")
            .system("crm")
            .system("erp")
            .field("email", Authority::Shared)
    };
    let rules = RecordRules::new(Deletions::Propagate, 50).created_by([0]);
    let plain = builder().build().expect("sound");
    let declared = builder().records(rules.clone()).build().expect("sound");
    assert_ne!(plain, declared);
    let words = "Records are made by crm and deleted by any system. A deletion is carried \
                 out everywhere, unless somebody has edited it. At most 50 may be gone at \
                 once.";
    assert!(declared.to_string().contains(words), "{declared}");
    let nobody = builder().records(rules.clone().created_by([])).build().expect("sound");
    assert!(nobody.to_string().contains("Records are made by no system"), "{nobody}");
    assert_eq!(
        plain.changes_to(&declared)[0].to_string(),
        format!("of records: \"nothing is declared\" becomes {words:?}")
    );
    let extended = plain.into_builder().records(rules.deleted_by([2])).build();
    assert_eq!(
        extended.expect_err("there is no third system").to_string(),
        "records are created and deleted by parties to the contract, and none has the \
         place 2"
    );
}
