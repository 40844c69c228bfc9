//! What goes wrong between two systems: the situations that the guide's chapter of this
//! name tells, each with what must come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_automation_patterns::Decision;
use integration_automation_patterns::sync::{
    Answer, Authority, Base, Bases, Choice, Contract, FailedWrites, FieldPlan,
    HighWaterMark, News, NonOwnerEdits, Past, Question, Rule, Slot, Stamp, Verdict,
    Version,
};

const OWNERS: [NonOwnerEdits; 3] =
    [NonOwnerEdits::Reject, NonOwnerEdits::Queue, NonOwnerEdits::Overwrite];

/// The plan of a field between two systems, and what it comes to.
fn verdict(rule: Rule, slots: [&Slot<&str>; 2], known: &Bases<&str>) -> Verdict {
    FieldPlan::with_bases(rule, &slots, known).verdict()
}

/// The ERP took the write, and the run died before the progress was stored, or right
/// after. The same person in the CRM edits again: that is no conflict with our own write.
#[test]
fn an_interrupted_run_is_no_conflict_with_itself() {
    let (one, two) = (Slot::Value("one"), Slot::Value("two"));
    let old = Bases::common(Base::Known(Some("old")), 2);
    for rule in
        [Rule::Shared].into_iter().chain(OWNERS.map(|others| Rule::Owner(0, others)))
    {
        // The ERP is written, another system's store fails, and what was made is stored.
        let shown = [one, Slot::Value("old")];
        let slots = shown.each_ref();
        let plan = FieldPlan::with_bases(rule, &slots, &old);
        assert_eq!(plan.verdict(), Verdict::Write(0));
        let known = plan.next_without(&[]);

        let slots = [&two, &one];
        let plan = FieldPlan::with_bases(rule, &slots, &known);
        assert_eq!(plan.verdict(), Verdict::Write(0), "{rule:?}");
        let write = plan.writes().next().expect("the ERP shows what we wrote");
        assert_eq!((write.lost(), write.refused()), (None, None), "{rule:?}");
    }
}

/// The ERP took the write, and the program was killed: all that is stored is what was
/// stored before. That is what it takes for the write to be nobody's edit; the base of the
/// last run alone is not enough.
#[test]
fn what_is_stored_before_the_writes_makes_them_nobodys_edits_after_a_crash() {
    let (one, two) = (Slot::Value("one"), Slot::Value("two"));
    let (was, typo) = (Slot::Value("old"), Slot::Value("typo"));
    let old = Bases::common(Base::Known(Some("old")), 2);
    for rule in
        [Rule::Shared].into_iter().chain(OWNERS.map(|others| Rule::Owner(0, others)))
    {
        let slots = [&one, &was];
        let begun = FieldPlan::with_bases(rule, &slots, &old).next_without(&[0, 1]);
        let lost = |slots: [&Slot<&'static str>; 2], known: &Bases<&'static str>| {
            let plan = FieldPlan::with_bases(rule, &slots, known);
            let writes = plan.writes().map(|write| (write.to(), write.value().copied()));
            let lost = plan.writes().any(|write| write.lost().is_some());
            (writes.collect::<Vec<_>>(), lost, plan.verdict())
        };
        let (writes, _, _) = lost([&one, &one], &begun);
        assert_eq!(writes, [], "{rule:?}: nothing is left");
        let (writes, is_lost, _) = lost([&one, &was], &begun);
        assert_eq!(
            (writes, is_lost),
            (vec![(1, Some("one"))], false),
            "{rule:?}: the rest, even \
             where somebody has set it back"
        );
        let (writes, is_lost, _) = lost([&two, &one], &begun);
        assert_eq!(
            (writes, is_lost),
            (vec![(1, Some("two"))], false),
            "{rule:?}: an edit"
        );
        let (writes, is_lost, _) = lost([&one, &typo], &begun);
        assert!(writes.is_empty() || is_lost, "{rule:?}: an edit in the ERP is seen");

        let (_, is_lost, verdict) = lost([&two, &one], &old);
        assert!(
            is_lost || matches!(verdict, Verdict::Ask(_)),
            "{rule:?}: and without it"
        );
    }
}

/// A system is away while the others agree; when it is back, it gets what it missed, and
/// only what was edited there meanwhile is asked about.
#[test]
fn a_system_that_was_away_holds_nothing_up() {
    let (old, new, other) =
        (Slot::Value("old"), Slot::Value("new"), Slot::Value("other"));
    let known = Bases::common(Base::Known(Some("old")), 2);
    let slots = [&new, &Slot::Unread];
    let away = FieldPlan::with_bases(Rule::Shared, &slots, &known);
    let known = away.next();
    assert_eq!(verdict(Rule::Shared, [&new, &old], &known), Verdict::Behind);
    let edited = verdict(Rule::Shared, [&new, &other], &known);
    assert_eq!(edited, Verdict::Ask(Question::Conflict));
    assert_eq!(verdict(Rule::Shared, [&new, &new], &known), Verdict::Agreed(0));
}

/// The CRM is restored from last night's backup. Today's value, which the ERP still
/// shows, is not rolled back unseen, whoever decides about the field.
#[test]
fn a_restored_system_rolls_nothing_back_unseen() {
    let (yesterday, today) = (Slot::Value("yesterday"), Slot::Value("today"));
    let (slots, agreed) = ([&yesterday, &today], Base::Known(Some("today")));
    let mut past = Past::new(8);
    past.replaced(&Base::Known(Some("yesterday")), &agreed);
    for rule in [Rule::Shared, Rule::Owner(0, NonOwnerEdits::Reject)] {
        let plan = FieldPlan::new(rule, &slots, &agreed);
        assert_eq!(plan.goes_back(&past), Some(0), "on record");
        let asked = plan.ask_before_going_back(&past);
        assert_eq!(asked.verdict(), Verdict::Ask(Question::GoesBack));
        assert_eq!(asked.prefer(0).verdict(), asked.verdict(), "no rule settles it");
    }
    let restored_erp =
        FieldPlan::new(Rule::Owner(1, NonOwnerEdits::Reject), &slots, &agreed);
    assert_eq!(
        restored_erp.goes_back(&past),
        None,
        "the owner's value restores the CRM's"
    );
}

/// A message is looked at, its processing fails, and it is delivered again.
#[test]
fn a_message_whose_processing_failed_is_news_again() {
    let mut latest = HighWaterMark::default();
    let mut processed = Vec::new();
    for fails in [true, true, false, false] {
        if latest.look("crm", 7) == News::Newer && !fails {
            processed.push(7);
            latest.processed("crm", 7);
        }
    }
    assert_eq!(processed, [7], "once, however often it came");
    let stored = latest.versions().collect::<Vec<_>>();
    assert_eq!(stored, [("crm", &Version::from(7))]);
}

/// Two records swap a login that is unique in the ERP: neither can be written first, and
/// that is put to a person in the third run, not tried for ever.
#[test]
fn a_swap_of_unique_values_is_asked_about() {
    let crm = BTreeMap::from([("C-1", "bob"), ("C-2", "ann")]);
    let mut erp = BTreeMap::from([("C-1", "ann"), ("C-2", "bob")]);
    let mut failed = BTreeMap::<&str, FailedWrites<&str>>::new();
    let (mut tried, mut asked) = (0, 0);
    for _ in 0..10 {
        for (record, login) in &crm {
            let slots = [Slot::Value(*login), Slot::Value(erp[record])];
            let (slots, base) = (slots.each_ref(), Base::Known(Some(erp[record])));
            let failed = failed.entry(record).or_default();
            let plan =
                FieldPlan::new(Rule::Owner(0, NonOwnerEdits::Reject), &slots, &base)
                    .ask_if_stuck(failed);
            asked += usize::from(plan.verdict() == Verdict::Ask(Question::Stuck));
            for write in plan.writes() {
                tried += 1;
                if erp.values().any(|taken| Some(taken) == write.value()) {
                    failed.failed(write.to(), write.value());
                } else {
                    erp.insert(record, write.value().expect("a login"));
                }
            }
        }
    }
    assert_eq!((tried, asked), (4, 16), "twice for each record, then a question");
}

/// The first load of a thousand records, none of which was ever agreed on: nobody is said
/// to have changed, proposed or lost anything, and no blank wipes a value.
#[test]
fn a_first_load_speaks_of_no_edits() {
    let rules = OWNERS.map(|others| Rule::Owner(0, others)).into_iter();
    for rule in rules.chain([Rule::Shared]) {
        let mut asked = BTreeMap::<String, usize>::new();
        for record in 0..1_000 {
            let (crm, erp) = match record {
                0..700 => (Slot::Value(record), Slot::Value(record)),
                700..800 => (Slot::Value(record), Slot::Value(-record)),
                800..900 => (Slot::Empty, Slot::Value(record)),
                _ => (Slot::Value(record), Slot::Empty),
            };
            let slots = [&crm, &erp];
            let plan = FieldPlan::new(rule, &slots, &Base::Never);
            if let Verdict::Ask(question) = plan.verdict() {
                *asked.entry(question.to_string()).or_default() += 1;
            }
            assert!(plan.writes().all(|write| {
                write.lost().is_none()
                    && write.refused().is_none()
                    && write.value().is_some()
            }));
        }
        let expected = match rule {
            Rule::Shared => ("different on the first synchronisation", 100),
            _ => ("the owner's field is empty on the first synchronisation", 100),
        };
        assert_eq!(
            asked,
            BTreeMap::from([(expected.0.to_owned(), expected.1)]),
            "{rule:?}"
        );
    }
}

/// A field is left out of the contract for a year and put back. Its base is a year old:
/// what one system no longer keeps is not wiped in the other.
#[test]
fn a_field_that_is_put_back_begins_anew() {
    let contract = |fields: &[&str]| {
        let builder = Contract::builder("contact").system("crm").system("erp");
        let with = fields.iter().fold(builder, |builder, field| {
            builder.field(*field, Authority::system("crm"))
        });
        with.build().expect("sound")
    };
    let (without, with) = (contract(&["email"]), contract(&["email", "phone"]));
    assert!(with.check_fingerprint(&without.fingerprint()).is_err(), "it is told");
    let year_old = |_: &str| Base::Known(Some("1"));
    let base = with.carried_over("phone", &without, year_old);
    let (crm, erp) = (Slot::Empty, Slot::Value("1"));
    let slots = [&crm, &erp];
    let plan = with.plan("phone", &slots, &base).expect("it is exchanged");
    assert_eq!(plan.verdict(), Verdict::Ask(Question::BlankOwner));
    assert_eq!(with.carried_over("email", &without, year_old), year_old("email"));
}

/// A clock that is twelve years ahead wins no conflict.
#[test]
fn a_stamp_from_the_future_wins_nothing() {
    let (crm, erp) = (Slot::Value("Al"), Slot::Value("Alan"));
    let (slots, base) = ([&crm, &erp], Base::Known(None));
    let at = |time: &str| time.parse().expect("a time");
    let stamps =
        |crm| [Stamp::OfField(at(crm)), Stamp::OfField(at("2026-01-05T12:00:30Z"))];
    let now = at("2026-01-05T12:10:00Z");
    let settled = |crm| {
        FieldPlan::new(Rule::Shared, &slots, &base)
            .prefer_last_writer(&stamps(crm), Duration::from_secs(60), now)
            .verdict()
    };
    assert_eq!(settled("2038-01-19T03:14:07Z"), Verdict::Ask(Question::Conflict));
    assert_eq!(settled("2026-01-05T12:09:00Z"), Verdict::Write(0));
}

/// "Owner unless blank", "not null": a blank decides nothing, where that is declared.
#[test]
fn a_blank_decides_nothing_where_that_is_declared() {
    let (blank, value) = (Slot::Empty, Slot::Value("0190"));
    let (slots, base) = ([&blank, &value], Base::Known(Some("0190")));
    for (rule, clears, kept) in [
        (Rule::Owner(0, NonOwnerEdits::Reject), Verdict::Write(0), Verdict::Unread),
        (Rule::Shared, Verdict::Write(0), Verdict::Behind),
    ] {
        let plan = FieldPlan::new(rule, &slots, &base);
        assert_eq!((plan.verdict(), plan.unless_blank().verdict()), (clears, kept));
    }
}

/// What a person decided is on its way, and one of the writes fails: the decision stands,
/// and what it overruled does not come back. A field that is owned is asked about again
/// while its owner has not got it.
#[test]
fn what_a_person_decided_is_not_undone_by_a_failed_write() {
    let (one, two) = (Slot::Value("one"), Slot::Value("two"));
    let slots = [&one, &two];
    let old = Bases::common(Base::Known(Some("old")), 2);
    let decided = Some("three");
    let next = |rule, not_made: &[usize]| {
        let plan = FieldPlan::with_bases(rule, &slots, &old);
        let row = plan.review("C-1", "name", ["crm", "erp"]).expect("it is asked");
        let decision = Decision::new("on-call", "as agreed on the phone").expect("said");
        let answer = Answer::to(&row, Choice::Other(decided), decision);
        plan.settle("C-1", "name", answer).expect("it fits").next_without(not_made)
    };
    for not_made in [&[0, 1][..], &[0], &[1]] {
        let known = next(Rule::Shared, not_made);
        let shown = [0, 1].map(|place| {
            if not_made.contains(&place) { *slots[place] } else { Slot::from(decided) }
        });
        let sides = shown.each_ref();
        let plan = FieldPlan::with_bases(Rule::Shared, &sides, &known);
        assert_eq!(plan.verdict(), Verdict::Behind, "{not_made:?}");
        let written = plan.writes().map(|write| (write.to(), write.value().copied()));
        let left = not_made.iter().map(|place| (*place, decided));
        assert!(written.eq(left), "{not_made:?}");
    }
    let owned = Rule::Owner(0, NonOwnerEdits::Queue);
    let known = next(owned, &[0]);
    let plan = FieldPlan::with_bases(owned, &[&one, &two], &known).verdict();
    assert_eq!(plan, Verdict::Ask(Question::Proposal), "the owner has not got it");
    let known = next(owned, &[1]);
    let three = Slot::from(decided);
    let plan = FieldPlan::with_bases(owned, &[&three, &two], &known).verdict();
    assert_eq!(plan, Verdict::Write(0), "the owner has");
}
