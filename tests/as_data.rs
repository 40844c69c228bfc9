//! The guide's chapter on data: the forms that it shows are those that serde writes and
//! reads. (That none is left out, `documents` says.)
#![cfg(feature = "serde")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use integration_automation_patterns::audit::{Action, AuditRecord};
use integration_automation_patterns::retry::Backoff;
use integration_automation_patterns::sync::{
    Answer, Audited, Authority, Base, Bases, ByPlace, Choice, Contract, Deletions,
    Existed, FieldPlan, Kept, KeptForms, Named, NonOwnerEdits, Question, RecordBase,
    RecordRules, Refusal, Refusals, Review, Rule, Side, Slot, Stamp, SyncConflict,
    Verdict, WriteStreak,
};
use integration_automation_patterns::{
    Decision, Envelope, Failure, FailureClass, RawEvent, Record, RetryPolicy,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const CHAPTER: &str = include_str!("../src/guide/as_data.md");

/// The rows of the chapter: a type, and what stands between backticks in its form.
fn rows() -> BTreeMap<String, Vec<String>> {
    let rows = CHAPTER.lines().filter_map(|line| line.strip_prefix("| [`"));
    let code = |form: &str| {
        // A form within a form, and a link, say more about a name, and are none.
        let mut depth = 0_u32;
        let outer = |c: &char| {
            depth = match c {
                '(' => depth + 1,
                ')' => depth - 1,
                _ => depth,
            };
            depth == 0
        };
        let form = form.chars().filter(outer).collect::<String>();
        form.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let read = rows.filter_map(|row| {
        let (name, rest) = row.split_once("`]")?;
        Some((name.to_owned(), code(rest.split_once(" | ")?.1)))
    });
    // Three that share one line have the text form, which has no names.
    read.filter(|(_, form)| !form.is_empty()).collect()
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000, 0).expect("in 2026")
}

fn decision() -> Decision {
    Decision::new_at("on-call", "the account exists now", at()).expect("not blank")
}

/// A type with fields: its names.
fn names(value: &impl Serialize) -> BTreeSet<String> {
    let value = serde_json::to_value(value).expect("JSON");
    value.as_object().expect("an object").keys().cloned().collect()
}

/// What is stored by the names of two systems.
fn stored<T: ByPlace>(value: T) -> Value
where
    Named<T>: Serialize,
{
    serde_json::to_value(Named::of(value, ["crm", "erp"])).expect("JSON")
}

/// A type of a few forms: each one shown reads as such a value, and is written so again.
fn is_read<T: Serialize + DeserializeOwned>(form: &str) -> bool {
    let json: Value = serde_json::from_str(form).unwrap_or_else(|_| panic!("{form}"));
    let value: T = serde_json::from_value(json.clone()).expect(form);
    serde_json::to_value(value).expect("JSON") == json
}

/// Where serde reads a name that it does not know, it says which ones there are.
fn variants<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>("\"nobody's\"").err().expect("no such form");
    let listed = error.to_string();
    listed.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// The name that a form begins with.
fn variant(form: &str) -> String {
    form.split('"').nth(1).expect("a name").to_owned()
}

#[test]
fn every_enum_is_shown_in_each_of_its_forms() {
    let rows = rows();
    let mut checked = BTreeSet::new();
    macro_rules! check {
        ($($name:literal: $type:ty;)*) => {$({
            let shown = rows.get($name).unwrap_or_else(|| panic!("no row of {}", $name));
            for form in shown {
                assert!(is_read::<$type>(form), "{}: {form}", $name);
            }
            let names = shown.iter().map(|form| variant(form)).collect::<BTreeSet<_>>();
            assert_eq!(names, variants::<$type>(), "{}", $name);
            checked.insert($name.to_owned());
        })*};
    }
    check! {
        "Backoff": Backoff;
        "Authority": Authority;
        "NonOwnerEdits": NonOwnerEdits;
        "Rule": Rule;
        "Verdict": Verdict;
        "Question": Question;
        "Choice": Choice<String>;
        "Slot": Slot<String>;
        "Base": Base<String>;
        "Stamp": Stamp;
        "Existed": Existed;
        "Deletions": Deletions;
    }
    let shown = rows.iter().filter(|(_, forms)| forms[0].starts_with(['"', '{']));
    assert_eq!(shown.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(), checked);
}

/// A question, its answer, the audit of it, and a write of another plan.
fn asked_and_answered() -> (Review<String>, Answer<String>, Audited<String>) {
    let [crm, erp] = ["gold", "silver"].map(|text| Slot::Value(text.to_owned()));
    let (slots, base) = ([&crm, &erp], Base::Known(Some("gold".to_owned())));
    let plan = FieldPlan::new(Rule::Manual, &slots, &base);
    let row = plan.review("C-1", "status", ["crm", "erp"]).expect("it is asked");
    let answer = Answer::to(&row, Choice::Side(1), decision());
    let settled = plan.settle("C-1", "status", answer.clone()).expect("it fits");
    let write = settled.writes().next().expect("they differ");
    (row, answer, write.audit("C-1", "status", "crm").expect("a person decided"))
}

#[test]
fn every_type_with_fields_has_the_names_that_are_shown() {
    let (crm, erp) = (Slot::Value("a"), Slot::Value("b"));
    let (slots, base) = ([&crm, &erp], Base::Known(Some("b")));
    let write = FieldPlan::new(Rule::Shared, &slots, &base).writes().next();
    let (row, answer, audited) = asked_and_answered();
    let side =
        Side { system: "crm".to_owned(), slot: crm, modified: Stamp::OfField(at()) };
    let conflict = SyncConflict {
        record_id: "C-1".to_owned(),
        field: "nickname".to_owned(),
        base: Base::Never,
        sides: vec![side.clone()],
    };
    let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
    let dead = event.build_at(at()).expect("well formed").dispatch().reject("no account");
    let contract = Contract::builder("contact").system("crm").system("erp");
    let contract = contract.field("nickname", Authority::Shared);
    let contract = contract.records(RecordRules::new(Deletions::Ask, 50)).build();
    let contract = contract.expect("two systems");
    let records = serde_json::to_value(&contract).expect("JSON")["records"].clone();
    let failure = Failure {
        class: FailureClass::Transient,
        reason: "timeout".to_owned(),
        at: at(),
    };
    let mut refused = Refusals::default();
    refused.add(Refusal::of(&write.expect("one edit"), "no"));
    let mut kept = KeptForms::default();
    kept.add(Kept { place: 1, written: Some(1), held: None });
    let audit = AuditRecord::of("relay", Action::Reject, &dead, dead.status(), at());
    let samples: BTreeMap<&str, BTreeSet<String>> = [
        ("Record", names(&Record::from(dead))),
        ("AuditRecord", names(&audit)),
        ("Contract", names(&contract)),
        ("RetryPolicy", names(&RetryPolicy::DEFAULT)),
        ("Failure", names(&failure)),
        ("Decision", names(&decision())),
        ("Answer", names(&answer)),
        ("Review", names(&row)),
        ("Shown", names(&row.sides[0])),
        ("Audited", names(&audited)),
        ("Write", names(&write.expect("one edit"))),
        ("Refusals", names(&stored(refused)[0])),
        ("KeptForms", names(&stored(kept)[0])),
        ("WriteStreak", names(&WriteStreak::<u8>::default())),
        ("Bases", names(&stored(Bases::common(Base::<u8>::Never, 2)))),
        ("RecordBase", names(&stored(RecordBase::never(2)))),
        ("RecordRules", names(&records)),
        ("SyncConflict", names(&conflict)),
        ("Side", names(&side)),
    ]
    .into();
    let rows = rows();
    for (name, names) in &samples {
        let shown = rows.get(*name).unwrap_or_else(|| panic!("no row of {name}"));
        assert_eq!(shown.iter().cloned().collect::<BTreeSet<_>>(), *names, "{name}");
    }
    let shown = rows.iter().filter(|(_, forms)| !forms[0].starts_with(['"', '{']));
    let shown = shown.map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>();
    assert_eq!(shown, samples.keys().copied().collect());
}

/// An answer without its question would pass for one to whatever is asked now.
#[test]
fn an_answer_that_does_not_say_what_it_answers_is_refused() {
    let (_, answer, _) = asked_and_answered();
    let json = serde_json::to_value(&answer).expect("JSON");
    let read: Answer<String> =
        serde_json::from_value(json.clone()).expect("its own form");
    assert_eq!(read, answer);

    for name in ["choice", "decision", "seen"] {
        let mut without = json.clone();
        without.as_object_mut().expect("an object").remove(name);
        let error = serde_json::from_value::<Answer<String>>(without).expect_err(name);
        assert!(error.to_string().contains(name), "{error}");
    }
    let mut nobody = json.clone();
    nobody["seen"] = Value::Null;
    assert!(serde_json::from_value::<Answer<String>>(nobody).is_err());
    for name in ["record_id", "question", "base", "sides"] {
        let mut without = json.clone();
        without["seen"].as_object_mut().expect("an object").remove(name);
        let error = serde_json::from_value::<Answer<String>>(without).expect_err(name);
        assert!(error.to_string().contains(name), "{error}");
    }
}
