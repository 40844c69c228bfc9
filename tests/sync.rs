//! Contracts at run time: what is refused, rendered and compared; and who wrote last, as
//! far as stamps can prove it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::sync::{
    Authority, Base, Contract, Deletions, NonOwnerEdits, Question, RecordRules, Side,
    Slot, Stamp, SyncConflict, Verdict,
};
use integration_automation_patterns::sync::{ContractError, PlanError};

fn contract() -> Contract {
    let builder =
        Contract::builder("contact").system("crm").system("erp").system("billing");
    let builder = builder
        .field("email", Authority::system("crm"))
        .field("terms", Authority::system("erp"));
    let builder =
        builder.field("nickname", Authority::Shared).field("status", Authority::Manual);
    builder.excluded("internal_notes").build().expect("a sound contract")
}

#[test]
fn a_contract_answers_for_every_field() {
    let contract = contract();
    assert_eq!(contract.record_type(), "contact");
    assert_eq!(contract.systems().collect::<Vec<_>>(), ["crm", "erp", "billing"]);
    assert_eq!(
        contract.synced_fields().collect::<Vec<_>>(),
        ["email", "terms", "nickname", "status"]
    );
    assert_eq!(contract.excluded_fields().collect::<Vec<_>>(), ["internal_notes"]);
    assert_eq!(contract.authority_for("terms"), Some(&Authority::system("erp")));
    assert_eq!(
        (contract.authority_for("internal_notes"), contract.authority_for("unknown")),
        (None, None)
    );
    assert_eq!(
        contract.fields_owned_by(&Authority::Manual).collect::<Vec<_>>(),
        ["status"]
    );
}

#[test]
fn every_flaw_is_named_and_the_builder_comes_back() {
    let sound = || {
        Contract::builder("contact")
            .system("crm")
            .system("erp")
            .field("email", Authority::system("crm"))
    };
    let flaw = |builder: integration_automation_patterns::sync::ContractBuilder| {
        let (back, flaw) = builder.clone().build().expect_err("a flaw").into_parts();
        assert_eq!(back, builder);
        flaw
    };
    assert!(sound().build().is_ok());
    assert_eq!(
        flaw(Contract::builder("").system("crm").system("erp")),
        ContractError::EmptyName
    );
    assert_eq!(flaw(sound().system("")), ContractError::EmptyName);
    assert_eq!(flaw(sound().field("", Authority::Shared)), ContractError::EmptyName);
    assert_eq!(flaw(sound().excluded(" ")), ContractError::EmptyName);
    assert_eq!(
        flaw(Contract::builder("contact").system("crm")),
        ContractError::TooFewSystems { found: 1 }
    );
    assert_eq!(
        flaw(sound().system("crm")),
        ContractError::SystemTwice { system: "crm".into() }
    );
    assert_eq!(
        flaw(sound().field("email", Authority::Shared)),
        ContractError::FieldTwice { field: "email".into() }
    );
    assert_eq!(
        flaw(sound().excluded("x").excluded("x")),
        ContractError::FieldTwice { field: "x".into() }
    );
    assert_eq!(
        flaw(sound().excluded("email")),
        ContractError::SyncedAndExcluded { field: "email".into() }
    );
    let twice = sound()
        .non_owner_edits_for("email", NonOwnerEdits::Queue)
        .non_owner_edits_for("email", NonOwnerEdits::Reject);
    assert_eq!(flaw(twice), ContractError::OthersTwice { field: "email".into() });
    for (builder, field) in [
        (
            sound()
                .field("name", Authority::Shared)
                .non_owner_edits_for("name", NonOwnerEdits::Queue),
            "name",
        ),
        (sound().non_owner_edits_for("fax", NonOwnerEdits::Queue), "fax"),
    ] {
        assert_eq!(flaw(builder), ContractError::OthersOfNoOwner { field: field.into() });
    }
    let stranger = sound().field("badge", Authority::system("hr"));
    assert_eq!(
        flaw(stranger),
        ContractError::OwnerIsNoParty { field: "badge".into(), owner: "hr".into() }
    );
}

#[test]
fn a_contract_plans_by_the_place_of_the_owner() {
    let slots = [&Slot::Value(1), &Slot::Value(2), &Slot::Unread];
    let verdict = |field| {
        contract().plan(field, &slots, &Base::Known(Some(1))).map(|plan| plan.verdict())
    };
    assert_eq!(verdict("email"), Ok(Verdict::Write(0)));
    assert_eq!(verdict("terms"), Ok(Verdict::Write(1)));
    assert_eq!(verdict("nickname"), Ok(Verdict::Write(1)));
    assert_eq!(verdict("status"), Ok(Verdict::Ask(Question::Manual)));
    for field in ["internal_notes", "unknown"] {
        assert_eq!(
            verdict(field),
            Err(PlanError::NotExchanged { field: field.to_owned() })
        );
    }
    let two = contract()
        .plan("email", &slots[..2], &Base::Known(Some(1)))
        .map(|plan| plan.verdict());
    assert_eq!(two, Err(PlanError::Slots { wanted: 3, found: 2 }));
}

#[test]
fn a_business_owner_can_read_and_sign_it() {
    let page = contract().to_string();
    let wanted = "\
# contact

Between crm, erp, billing.

| field | who decides | the others may | when the systems differ |
|---|---|---|---|
| email | owned by crm | do nothing: an edit is refused | crm's value replaces the others |
| terms | owned by erp | do nothing: an edit is refused | erp's value replaces the others |
| nickname | shared | change it | the one that changed is taken over; two different changes are put to a person |
| status | decided by a person | do nothing | nothing is written before a person has decided |
| internal\\_notes | excluded | - | it is not exchanged: every system keeps its own |
";
    assert_eq!(page, wanted);
    let builder = Contract::builder("contact")
        .system("crm")
        .system("erp")
        .non_owner_edits(NonOwnerEdits::Queue);
    let builder = builder
        .field("email", Authority::system("crm"))
        .field("terms", Authority::system("erp"));
    let others = builder
        .non_owner_edits_for("terms", NonOwnerEdits::Overwrite)
        .build()
        .expect("sound")
        .to_string();
    for line in [
        "| email | owned by crm | propose: a person decides | crm's value replaces the others, unless one of them has changed it |",
        "| terms | owned by erp | change it until the next synchronisation | erp's value replaces the others |",
    ] {
        assert!(others.contains(line), "{others}");
    }
    let hostile = Contract::builder("a\n# b")
        .system("x|y")
        .system("z")
        .field("f\n|", Authority::system("x|y"));
    let page = hostile.build().expect("odd names").to_string();
    assert_eq!(page.lines().count(), 7, "no name breaks the page:\n{page}");
    assert!(
        page.contains(
            "| f \\| | owned by x\\|y | do nothing: an edit is refused | x\\|y's value replaces the others |"
        ),
        "{page}"
    );
}

#[test]
fn a_change_of_authority_is_listed_field_by_field() {
    let builder =
        Contract::builder("contact").system("crm").system("erp").system("billing");
    let builder = builder
        .field("email", Authority::system("crm"))
        .field("terms", Authority::Manual);
    let other = builder
        .field("status", Authority::Manual)
        .field("fax", Authority::Shared)
        .build()
        .expect("sound");
    let changes =
        contract().changes_to(&other).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        changes,
        [
            "\"terms\": owned by erp (the others may do nothing: an edit is refused), becomes decided by a person: where the \
             systems differ, nothing is written before a person has decided",
            "\"nickname\": shared, becomes not named: every system keeps its own value",
            "\"internal_notes\": excluded, becomes not named: every system keeps its own value",
            "\"fax\": not named, becomes shared: where the systems differ, the one that changed is taken over; two \
             different changes are put to a person",
        ]
    );
    assert!(contract().changes_to(&contract()).is_empty());
    let with = |others| {
        let builder = Contract::builder("contact")
            .system("crm")
            .system("erp")
            .non_owner_edits(others);
        builder.field("email", Authority::system("crm")).build().expect("sound")
    };
    let changes = with(NonOwnerEdits::Queue).changes_to(&with(NonOwnerEdits::Overwrite));
    assert_eq!(
        changes[0].to_string(),
        "\"email\": owned by crm (the others may propose: a person decides), becomes owned by crm (the others may change \
         it until the next synchronisation): where the systems differ, crm's value replaces the others"
    );
    let two = |first, second| {
        let builder = Contract::builder("contact").system(first).system(second);
        builder.field("email", Authority::Shared).build().expect("sound")
    };
    let changes = two("crm", "erp").changes_to(&two("erp", "crm"));
    let wanted = r#"the systems ["crm", "erp"] become ["erp", "crm"], in this order"#;
    assert_eq!(changes.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
    let forged = Contract::builder("contact")
        .system("crm")
        .system("erp")
        .field("email", Authority::Shared)
        .field("x\n\"y\"", Authority::Shared);
    let changes = two("crm", "erp").changes_to(&forged.build().expect("an odd name"));
    assert_eq!(changes[0].to_string().lines().count(), 1);
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000, 0).expect("in 2026")
        + TimeDelta::seconds(seconds)
}

fn sides(stamps: &[Stamp]) -> Vec<Side<usize>> {
    let side = |(place, stamp): (usize, &Stamp)| Side {
        system: format!("system {place}"),
        slot: Slot::Value(place),
        modified: *stamp,
    };
    stamps.iter().enumerate().map(side).collect()
}

fn last_writer(stamps: &[Stamp], tolerance: u64) -> Option<usize> {
    let conflict = SyncConflict {
        record_id: "C-1".into(),
        field: "email".into(),
        base: Base::Never,
        sides: sides(stamps),
    };
    let writer = conflict
        .last_writer(Duration::from_secs(tolerance), at(1_000_000))
        .map(str::to_owned);
    writer.map(|writer| {
        conflict.sides.iter().position(|side| side.system == writer).expect("one of them")
    })
}

/// Laws 25 and 26, for every pair of stamps over seven seconds and every tolerance up to
/// three.
#[test]
fn the_last_writer_is_proved_or_unknown() {
    let times = -3..=3;
    let mut stamps = vec![Stamp::Unknown];
    stamps.extend(
        times.flat_map(|time| [Stamp::OfField(at(time)), Stamp::OfRecord(at(time))]),
    );
    let shifted = |stamp: Stamp| match stamp {
        Stamp::OfField(time) => Stamp::OfField(time + TimeDelta::days(9)),
        Stamp::OfRecord(time) => Stamp::OfRecord(time + TimeDelta::days(9)),
        Stamp::Unknown => Stamp::Unknown,
    };
    let possible = |stamp: Stamp| -> Vec<DateTime<Utc>> {
        match stamp {
            Stamp::OfField(time) => vec![time],
            Stamp::OfRecord(time) => {
                (0..4).map(|back| time - TimeDelta::seconds(back)).collect()
            }
            Stamp::Unknown => vec![],
        }
    };
    let mut proved = 0;
    for (a, b) in stamps.iter().flat_map(|a| stamps.iter().map(move |b| (*a, *b))) {
        for tolerance in 0..4 {
            let writer = last_writer(&[a, b], tolerance);
            assert_eq!(
                writer,
                last_writer(&[b, a], tolerance).map(|place| 1 - place),
                "antisymmetric"
            );
            assert_eq!(
                writer,
                last_writer(&[shifted(a), shifted(b)], tolerance),
                "only the difference counts"
            );
            let wider = last_writer(&[a, b], tolerance + 1);
            assert!(
                wider.is_none() || wider == writer,
                "more tolerance never turns a verdict"
            );
            let Some(writer) = writer else { continue };
            proved += 1;
            for (a, b) in possible(a)
                .into_iter()
                .flat_map(|a| possible(b).into_iter().map(move |b| (a, b)))
            {
                for error in -(tolerance as i64)..=tolerance as i64 {
                    let later = if a + TimeDelta::seconds(error) > b { 0 } else { 1 };
                    assert_eq!(
                        writer, later,
                        "sound under any clock error within the tolerance"
                    );
                }
            }
        }
    }
    assert!(proved > 0);
}

#[test]
fn among_many_the_last_writer_is_later_than_each() {
    let field = |seconds| Stamp::OfField(at(seconds));
    assert_eq!(last_writer(&[field(1), field(9), Stamp::OfRecord(at(5))], 1), Some(1));
    assert_eq!(last_writer(&[field(9), field(9), field(1)], 0), None, "a tie at the top");
    assert_eq!(last_writer(&[field(9), Stamp::Unknown], 0), None);
    assert_eq!(last_writer(&[field(9)], 0), None, "one side is no conflict");
    assert_eq!(
        last_writer(&[field(9), field(1)], u64::MAX),
        None,
        "a tolerance past every calendar"
    );
}

#[test]
fn a_conflict_names_the_record_and_never_its_values() {
    let stamps = [Stamp::Unknown, Stamp::Unknown];
    let conflict = contract()
        .detect_conflict("nickname", "C-1", &sides(&stamps), &Base::Never)
        .expect("two edits");
    assert_eq!(
        conflict.to_string(),
        r#""nickname" of record "C-1" was changed in different ways in "system 0", "system 1""#
    );
    let owned = contract().detect_conflict("email", "C-1", &sides(&stamps), &Base::Never);
    assert!(owned.is_some(), "whoever decides about the field");
    assert!(
        contract()
            .detect_conflict("internal_notes", "C-1", &sides(&stamps), &Base::Never)
            .is_none()
    );
    assert!(
        contract()
            .detect_conflict("nickname", "C-1", &sides(&stamps), &Base::Known(Some(0)))
            .is_none(),
        "one edit"
    );
}

/// A base of another contract is recognised: whatever a contract says stands in its
/// fingerprint, and nothing else.
#[test]
fn a_fingerprint_tells_contracts_apart() {
    let builder = || Contract::builder("contact").system("crm").system("erp");
    let email = || builder().field("email", Authority::system("crm"));
    let others = |others| email().non_owner_edits_for("email", others);
    let rules = |most| email().records(RecordRules::new(Deletions::Ask, most));
    let all = [
        email(),
        Contract::builder("account")
            .system("crm")
            .system("erp")
            .field("email", Authority::system("crm")),
        builder().system("billing").field("email", Authority::system("crm")),
        builder().field("email", Authority::system("erp")),
        builder().field("email", Authority::Shared),
        builder().field("email", Authority::Manual),
        builder().field("e_mail", Authority::system("crm")),
        email().field("nickname", Authority::Shared),
        email().excluded("nickname"),
        others(NonOwnerEdits::Queue),
        others(NonOwnerEdits::Overwrite),
        rules(1),
        rules(2),
    ];
    let prints = all.map(|builder| builder.build().expect("sound").fingerprint());
    let distinct = prints.iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(distinct.len(), prints.len());

    let again = others(NonOwnerEdits::Reject).build().expect("sound");
    assert_eq!(again.fingerprint(), prints[0], "said in other words");
    assert_eq!(again.fingerprint(), "3596b6b817d8b1cf", "on every machine");
}

/// Fingerprints are stored beside what systems have agreed on. If one moved with another
/// compiler, or when a type was renamed, every stored base would seem to be another
/// contract's, and every record would be asked about anew.
#[test]
fn a_fingerprint_is_the_same_in_every_release() {
    let rules = RecordRules::new(Deletions::Propagate, 50).created_by([0, 1]);
    let contract = Contract::builder("contact")
        .system("crm")
        .system("erp")
        .field("email", Authority::system("erp"))
        .non_owner_edits_for("email", NonOwnerEdits::Queue)
        .field("nickname", Authority::Shared)
        .field("status", Authority::Manual)
        .excluded("notes")
        .records(rules)
        .build()
        .expect("sound");
    assert_eq!(contract.fingerprint(), "65984df61d5f77d7");
}

/// A field that is renamed is the same field; what it was called before is no longer in
/// use, and is one name.
#[test]
fn a_renamed_field_is_the_same_field() {
    let builder = || Contract::builder("contact").system("crm").system("erp");
    let before = builder().field("phone", Authority::Shared).build().expect("sound");
    let renamed = builder()
        .field("telephone", Authority::system("crm"))
        .renamed("telephone", "phone")
        .build()
        .expect("sound");
    let changes =
        before.changes_to(&renamed).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(changes[0], "\"phone\" is \"telephone\" from now on, and keeps its base");
    assert!(changes[1].starts_with("\"telephone\": shared, becomes owned by crm"));
    assert_eq!(changes.len(), 2);

    for (field, former) in [("fax", "telefax"), ("phone", "email"), ("email", "phone")] {
        let refused = builder()
            .field("phone", Authority::Shared)
            .field("email", Authority::Shared)
            .renamed(field, former)
            .build()
            .expect_err("not a renamed field");
        assert!(matches!(refused.cause(), ContractError::NotRenamed { .. }), "{field}");
    }
}
