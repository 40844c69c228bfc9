//! The feature `serde`: names that stay, versions that are checked, and no way past a
//! constructor.
#![cfg(feature = "serde")]

use std::time::Duration;

use chrono::{DateTime, Utc};
use integration_automation_patterns::audit::{
    Action, AuditRecord, AuditTrail, JsonLines,
};
use integration_automation_patterns::retry::Backoff;
use integration_automation_patterns::sync::{
    Answer, Authority, Base, Bases, Choice, Contract, Deletions, Existed, FieldPlan,
    Kept, KeptForms, Named, NonOwnerEdits, Question, RecordBase, RecordRules, Refusal,
    Refusals, Review, Rule, Shown, Side, Slot, Stamp, SyncConflict, Verdict, WriteStreak,
};
use integration_automation_patterns::{
    AfterFailure, Decision, DeliveryStatus, Envelope, Event, EventId, Failure,
    FailureClass, RawEvent, Record, RetryPolicy,
};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// In the order in which a JSON object has them.
const SYSTEMS: [&str; 3] = ["billing", "crm", "erp"];

fn at(second: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000 + i64::from(second), 0)
        .expect("a moment in 2026")
}

fn decision() -> Decision {
    Decision::new_at("on-call", "the account exists now", at(9)).expect("not blank")
}

/// A record in which everything is there that can be.
fn record() -> Record {
    let policy = RetryPolicy::new(1, Backoff::Fixed(Duration::from_millis(1_500)))
        .expect("at least 1");
    let payload =
        RawEvent::new("crm.lead.created", br#"{"lead":7}"#).with_schema_version("2.0");
    let event = Envelope::builder("crm", payload)
        .id("evt-001".parse().expect("not empty"))
        .correlation_id("import-7")
        .ordering_key("lead-7")
        .retry_policy(policy.with_full_jitter().give_up_after(Duration::from_secs(60)))
        .build_at(at(0))
        .expect("well formed");
    let AfterFailure::Failed(dead) = event.dispatch().fail_at("timeout", at(1)) else {
        panic!("one attempt is all")
    };
    let AfterFailure::Failed(dead) =
        dead.redrive(decision()).dispatch().fail_at("timeout", at(10))
    else {
        panic!("one attempt is all")
    };
    Record::from(dead.discard(decision()))
}

/// It is written so, and reads back from that and from a binary format.
fn is_written<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
    json: &Value,
) {
    assert_eq!(&serde_json::to_value(value).expect("JSON"), json);
    assert_eq!(&serde_json::from_value::<T>(json.clone()).expect("reads back"), value);
    let bytes = postcard::to_stdvec(value).expect("bytes");
    assert_eq!(&postcard::from_bytes::<T>(&bytes).expect("reads back"), value);
}

fn refusal<T: DeserializeOwned + std::fmt::Debug>(json: Value) -> String {
    serde_json::from_value::<T>(json).expect_err("refused").to_string()
}

fn record_json() -> Value {
    json!({
        "format": 1,
        "id": "evt-001",
        "event_type": "crm.lead.created",
        "source_system": "crm",
        "payload": "eyJsZWFkIjo3fQ==",
        "correlation_id": "import-7",
        "schema_version": "2.0",
        "created_at": "2026-01-05T08:00:00Z",
        "status": "skipped",
        "attempts": 1,
        "retry_policy": {
            "max_attempts": 1,
            "backoff": {"fixed": {"secs": 1, "nanos": 500_000_000}},
            "full_jitter": true,
            "time_limit": {"secs": 60, "nanos": 0},
        },
        "tags": {"ordering_key": "lead-7", "skip_reason": "the account exists now"},
        "failure": {"class": "transient", "reason": "timeout", "at": "2026-01-05T08:00:10Z"},
        "redriven": {"by": "on-call", "reason": "the account exists now", "at": "2026-01-05T08:00:09Z"},
        "discarded": {"by": "on-call", "reason": "the account exists now", "at": "2026-01-05T08:00:09Z"},
    })
}

#[test]
fn a_record_is_written_under_these_names() {
    is_written(&record(), &record_json());
    let read: Record = serde_json::from_value(record_json()).expect("reads back");
    assert_eq!(Record::from(read.rehydrate().expect("valid")), record());
}

#[test]
fn a_record_of_a_typed_payload_holds_its_own_form() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct LeadCreated {
        lead: u64,
    }

    impl Event for LeadCreated {
        const TYPE: &'static str = "crm.lead.created";
    }

    let event = Envelope::builder("crm", LeadCreated { lead: 7 })
        .build_at(at(0))
        .expect("well formed");
    let record = Record::from(event);
    let json = serde_json::to_value(&record).expect("JSON");
    assert_eq!(
        (&json["payload"], &json["correlation_id"]),
        (&json!({"lead": 7}), &Value::Null)
    );
    is_written(&record, &json);
}

#[test]
fn what_is_absent_may_be_left_out() {
    let mut json = record_json();
    let members = json.as_object_mut().expect("an object");
    for name in ["correlation_id", "tags", "failure", "redriven", "discarded"] {
        members.remove(name).expect("it was there");
    }
    let read: Record = serde_json::from_value(json).expect("reads");
    assert!(
        read.tags.is_empty() && read.correlation_id.is_none() && read.failure.is_none()
    );
}

#[test]
fn another_version_and_an_unknown_name_are_refused() {
    for format in [json!(0), json!(2), json!("1"), Value::Null] {
        let mut json = record_json();
        json["format"] = format;
        let error = refusal::<Record>(json);
        assert!(error.contains("format") || error.contains("u32"), "{error}");
    }
    let text =
        record_json().to_string().replacen("\"format\":1", "\"format\":2,\"lease\":9", 1);
    assert!(
        refusal::<Record>(serde_json::from_str(&text).expect("JSON"))
            .contains("found format 2")
    );
    for (name, value) in [("priority", json!(9)), ("payload", json!("no base64!"))] {
        let mut json = record_json();
        json[name] = value;
        let error = refusal::<Record>(json);
        assert!(error.contains(name), "{error}");
    }
    let mut json = record_json();
    json.as_object_mut().expect("an object").remove("format");
    assert!(refusal::<Record>(json).contains("format"));
    let contract = json!({"format": 2, "record_type": "contact", "systems": ["crm", "erp"], "fields": []});
    assert!(refusal::<Contract>(contract).contains("found format 2"));
}

#[test]
fn what_has_rules_is_read_through_them() {
    let policy =
        json!({"max_attempts": 0, "backoff": {"fixed": {"secs": 1, "nanos": 0}}});
    assert!(
        refusal::<RetryPolicy>(policy)
            .starts_with("a retry policy allows at least 1 attempt")
    );
    let blank = json!({"by": " ", "reason": "x", "at": "2026-01-05T08:00:00Z"});
    assert!(refusal::<Decision>(blank).contains("the name of the person is blank"));
    assert!(refusal::<EventId>(json!("")).starts_with("an event id needs text"));
    assert!(
        refusal::<DeliveryStatus>(json!("lost"))
            .starts_with("no delivery status is called \"lost\"")
    );
    assert!(
        refusal::<FailureClass>(json!("final"))
            .starts_with("no failure class is called \"final\"")
    );
    assert!(refusal::<Action>(json!("send")).starts_with("no action is called \"send\""));
    let contract =
        json!({"format": 1, "record_type": "contact", "systems": ["crm"], "fields": []});
    assert!(
        refusal::<Contract>(contract)
            .starts_with("a contract is between at least 2 systems")
    );
    for who in ["created_by", "deleted_by"] {
        let misspelt = json!({
            "format": 1,
            "record_type": "contact",
            "systems": ["crm", "erp"],
            "fields": [{"name": "email", "authority": "shared"}],
            "records": {"deletions": "ask", "most_gone": 1, who: ["crn"]},
        });
        assert_eq!(
            refusal::<Contract>(misspelt),
            "records are created and deleted by parties to the contract (crm, erp), and \
             \"crn\" is none"
        );
    }
}

#[test]
fn names_are_their_text_forms() {
    for status in DeliveryStatus::ALL {
        is_written(status, &json!(status.as_str()));
    }
    for action in Action::ALL {
        is_written(&action, &json!(action.as_str()));
    }
    is_written(&FailureClass::Permanent, &json!("permanent"));
    is_written(&"evt-001".parse::<EventId>().expect("not empty"), &json!("evt-001"));
    let uuid = "83ba5c00-0d91-46c2-a7b1-db674fba3561";
    is_written(&uuid.parse::<EventId>().expect("not empty"), &json!(uuid));
}

#[test]
fn policies_failures_and_decisions_are_written_under_these_names() {
    is_written(
        &RetryPolicy::DEFAULT,
        &json!({
            "max_attempts": 3,
            "backoff": {"exponential": {"base": {"secs": 30, "nanos": 0}, "max": {"secs": 3600, "nanos": 0}}},
            "full_jitter": false,
            "time_limit": null,
        }),
    );
    is_written(
        &Failure {
            class: FailureClass::Transient,
            reason: "timeout".to_owned(),
            at: at(0),
        },
        &json!({"class": "transient", "reason": "timeout", "at": "2026-01-05T08:00:00Z"}),
    );
    is_written(
        &decision(),
        &json!({"by": "on-call", "reason": "the account exists now", "at": "2026-01-05T08:00:09Z"}),
    );
}

#[test]
fn a_contract_is_written_under_these_names() {
    let contract = Contract::builder("contact")
        .system("crm")
        .system("erp")
        .field("email", Authority::system("crm"))
        .non_owner_edits_for("email", NonOwnerEdits::Queue)
        .renamed("email", "e_mail")
        .field("nickname", Authority::Shared)
        .field("status", Authority::Manual)
        .excluded("internal_notes")
        .records(RecordRules::new(Deletions::Propagate, 50).created_by([0]))
        .build()
        .expect("sound");
    is_written(
        &contract,
        &json!({
            "format": 1,
            "record_type": "contact",
            "systems": ["crm", "erp"],
            "fields": [
                {"name": "email", "authority": {"system": "crm"}, "others": "queue",
                 "renamed_from": "e_mail"},
                {"name": "nickname", "authority": "shared", "others": null,
                 "renamed_from": null},
                {"name": "status", "authority": "manual", "others": null,
                 "renamed_from": null},
            ],
            "excluded": ["internal_notes"],
            "records": {
                "deletions": "propagate",
                "most_gone": 50,
                "created_by": ["crm"],
                "deleted_by": null,
            },
        }),
    );
}

#[test]
fn what_is_known_in_common_is_written_under_these_names() {
    let confirmed = vec![Base::Known(Some(2)), Base::Known(None), Base::Never];
    is_written(
        &Named::of(Bases { agreed: Base::Known(Some(2)), confirmed }, SYSTEMS),
        &json!({
            "agreed": {"known": 2},
            "confirmed": {"billing": {"known": 2}, "crm": {"known": null}, "erp": "never"},
        }),
    );
    let confirmed = vec![Existed::There, Existed::Missing, Existed::Gone];
    is_written(
        &Named::of(RecordBase { agreed: Existed::Never, confirmed }, SYSTEMS),
        &json!({
            "agreed": "never",
            "confirmed": {"billing": "there", "crm": "missing", "erp": "gone"},
        }),
    );
}

#[test]
fn rows_of_plans_are_written_under_these_names() {
    is_written(
        &[Rule::Owner(1, NonOwnerEdits::Queue), Rule::Shared, Rule::Manual],
        &json!([{"owner": [1, "queue"]}, "shared", "manual"]),
    );
    is_written(
        &[NonOwnerEdits::Reject, NonOwnerEdits::Overwrite],
        &json!(["reject", "overwrite"]),
    );
    is_written(
        &[
            Verdict::Unread,
            Verdict::Agreed(0),
            Verdict::Write(1),
            Verdict::Merge,
            Verdict::Behind,
            Verdict::Ask(Question::Conflict),
        ],
        &json!([
            "unread",
            {"agreed": 0},
            {"write": 1},
            "merge",
            "behind",
            {"ask": "conflict"},
        ]),
    );
    is_written(
        &[
            Question::FirstDiffers,
            Question::Manual,
            Question::BlankOwner,
            Question::Proposal,
            Question::Refused,
            Question::Poorer,
            Question::GoesBack,
            Question::Stuck,
            Question::Deletion,
            Question::Merged,
        ],
        &json!([
            "first_differs",
            "manual",
            "blank_owner",
            "proposal",
            "refused",
            "poorer",
            "goes_back",
            "stuck",
            "deletion",
            "merged",
        ]),
    );
    is_written(
        &[Slot::Unread, Slot::Unsupported, Slot::Empty, Slot::Value(7)],
        &json!(["unread", "not_kept", "empty", {"value": 7}]),
    );
    is_written(
        &[Base::Never, Base::Known(None), Base::Known(Some(7))],
        &json!(["never", {"known": null}, {"known": 7}]),
    );
    is_written(
        &[Choice::Side(0), Choice::Other(None), Choice::Other(Some(7)), Choice::Leave],
        &json!([{"side": 0}, {"other": null}, {"other": 7}, "leave"]),
    );
    let review = Review {
        record_id: "C-1".to_owned(),
        field: Some("status".to_owned()),
        question: Question::Manual,
        base: Base::Known(Some("gold".to_owned())),
        sides: vec![Shown {
            place: 1,
            system: "erp".to_owned(),
            value: Some("silver".to_owned()),
            refused: Some("no such status".to_owned()),
        }],
    };
    let review_json = json!({
        "record_id": "C-1",
        "field": "status",
        "question": "manual",
        "base": {"known": "gold"},
        "sides": [
            {"place": 1, "system": "erp", "value": "silver", "refused": "no such status"}
        ],
    });
    is_written(&review, &review_json);
    is_written(
        &Answer::to(&review, Choice::Side(1), decision()),
        &json!({"choice": {"side": 1}, "decision": decision_json(), "seen": review_json}),
    );
    let [crm, erp] = ["gold", "silver"].map(|text| Slot::Value(text.to_owned()));
    let (slots, base) = ([&crm, &erp], Base::Known(Some("gold".to_owned())));
    let plan = FieldPlan::new(Rule::Manual, &slots, &base);
    let asked = plan.review("C-1", "status", ["crm", "erp"]).expect("they differ");
    let settled = plan
        .settle("C-1", "status", Answer::to(&asked, Choice::Side(1), decision()))
        .expect("it was asked");
    let write = settled.writes().next().expect("they differ");
    is_written(
        &write.audit("C-1", "status", "crm").expect("a person decided"),
        &json!({
            "record_id": "C-1",
            "field": "status",
            "system": "crm",
            "old": "gold",
            "new": "silver",
            "decision": decision_json(),
        }),
    );
    // Named in the order in which they are stored.
    let mut refused = Refusals::default();
    refused.add(Refusal::of(&write, "no such status"));
    is_written(
        &Named::of(refused, ["crm"]),
        &json!([
            {"system": "crm", "value": "silver", "shown": "gold", "why": "no such status"}
        ]),
    );
    let mut kept = KeptForms::default();
    kept.add(Kept { place: 0, written: Some("silver".to_owned()), held: None });
    is_written(
        &Named::of(kept, ["erp"]),
        &json!([{"system": "erp", "written": "silver", "held": null}]),
    );
    let mut streak = WriteStreak::default();
    streak.count(&write);
    is_written(&streak, &json!({"value": "silver", "in_place_of": "gold", "times": 1}));
    let side = |system: &str, value: &str, modified| Side {
        system: system.to_owned(),
        slot: Slot::Value(value.to_owned()),
        modified,
    };
    is_written(
        &SyncConflict {
            record_id: "C-1".to_owned(),
            field: "nickname".to_owned(),
            base: Base::Never,
            sides: vec![
                side("crm", "Al", Stamp::Unknown),
                side("erp", "Alan", Stamp::OfField(at(0))),
                side("hr", "Ali", Stamp::OfRecord(at(0))),
            ],
        },
        &json!({
            "record_id": "C-1",
            "field": "nickname",
            "base": "never",
            "sides": [
                {"system": "crm", "slot": {"value": "Al"}, "modified": "unknown"},
                {"system": "erp", "slot": {"value": "Alan"}, "modified": {"of_field": "2026-01-05T08:00:00Z"}},
                {"system": "hr", "slot": {"value": "Ali"}, "modified": {"of_record": "2026-01-05T08:00:00Z"}},
            ],
        }),
    );
    let (crm, erp) = (Slot::Value("a@x.org"), Slot::Value("b@x.org"));
    let (slots, base) = ([&crm, &erp], Base::Known(Some("a@x.org")));
    let plan = FieldPlan::new(Rule::Owner(0, NonOwnerEdits::Reject), &slots, &base);
    assert_eq!(
        serde_json::to_value(plan.writes().collect::<Vec<_>>()).expect("JSON"),
        json!([{"to": 1, "value": "a@x.org", "expects": "b@x.org", "overrides_edit": true}])
    );
}

fn decision_json() -> Value {
    json!({"by": "on-call", "reason": "the account exists now", "at": "2026-01-05T08:00:09Z"})
}

fn audit_json() -> Value {
    json!({
        "format": 1,
        "event_id": "evt-001",
        "event_type": "crm.lead.created",
        "source_system": "crm",
        "correlation_id": null,
        "schema_version": "1.0",
        "created_at": "2026-01-05T08:00:00Z",
        "system": "relay-1",
        "action": "reject",
        "status": "failed",
        "attempts": 1,
        "failure": {"class": "permanent", "reason": "no such account", "at": "2026-01-05T08:00:01Z"},
        "decision": null,
        "at": "2026-01-05T08:00:01Z",
    })
}

#[test]
fn an_audit_record_is_written_under_these_names_and_a_json_line_is_one() {
    let log = std::sync::Arc::new(JsonLines::new(Vec::new()));
    let trail = AuditTrail::new("relay-1", log.clone());
    let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
        .id("evt-001".parse().expect("an id"));
    let event = event.build_at(at(0)).expect("well formed");
    let dead = trail.step_at(
        event.dispatch(),
        |event| event.reject_at("no such account", at(1)),
        at(1),
    );
    let record = AuditRecord::of("relay-1", Action::Reject, &dead, dead.status(), at(1));
    is_written(&record, &audit_json());
    drop(trail);
    let log = std::sync::Arc::into_inner(log).expect("nobody else").into_inner();
    assert_eq!(
        log.strip_suffix(b"\n"),
        Some(&*serde_json::to_vec(&record).expect("JSON"))
    );
    assert!(
        serde_json::to_string(&record).expect("JSON").starts_with("{\"format\":1,"),
        "the version stands first"
    );
}

proptest! {
    /// Protects a store: whatever bytes and texts a record holds, it comes back the same
    /// from both kinds of format.
    #[test]
    fn any_record_comes_back(
        texts in ("(?s).{1,6}", "(?s).{0,6}", "(?s).{0,6}", "(?s).{0,6}"),
        payload in any::<Vec<u8>>(),
        attempts in any::<u32>(),
        waits in (any::<u64>(), 0_u32..1_000_000_000, any::<bool>()),
    ) {
        let (id, event_type, source, correlation) = texts;
        let (seconds, nanos, jitter) = waits;
        let wait = Duration::new(seconds, nanos);
        let policy = RetryPolicy::new(attempts.max(1), Backoff::Exponential { base: wait, max: wait }).expect("not 0");
        let record = Record {
            id: id.parse().expect("not empty"),
            event_type: event_type.into(),
            source_system: source.into(),
            payload,
            correlation_id: Some(correlation.clone()),
            attempts,
            retry_policy: if jitter { policy.with_full_jitter() } else { policy },
            tags: [(correlation, id)].into(),
            ..record()
        };
        let json = serde_json::to_string(&record).expect("JSON");
        prop_assert_eq!(&serde_json::from_str::<Record>(&json).expect("reads back"), &record);
        let bytes = postcard::to_stdvec(&record).expect("bytes");
        prop_assert_eq!(&postcard::from_bytes::<Record>(&bytes).expect("reads back"), &record);
    }
}
