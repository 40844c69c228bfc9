//! What a program holds by the places of systems is stored by their names: sorting the
//! systems of a contract, or putting another one among them, moves no base.
#![cfg(feature = "serde")]

use std::fmt::Debug;

use integration_automation_patterns::sync::{
    Answer, AnswerError, Base, Bases, ByPlace, Capability, Choice, Deletions, Existed,
    Existence, Kept, KeptForms, Named, Presence, Question, RecordBase, RecordRules,
    Refusal, Refusals, Review, Slot, System, Verdict,
};
use integration_automation_patterns::{Decision, boundary};
use serde::Serialize;
use serde::de::DeserializeOwned;
use static_assertions::assert_not_impl_any;

// Without names there is no stored form: a place would come back.
assert_not_impl_any!(Bases<u8>: Serialize, DeserializeOwned);
assert_not_impl_any!(RecordBase: Serialize, DeserializeOwned);
assert_not_impl_any!(Refusals<u8>: Serialize, DeserializeOwned);
assert_not_impl_any!(Refusal<u8>: Serialize, DeserializeOwned);
assert_not_impl_any!(KeptForms<u8>: Serialize, DeserializeOwned);
assert_not_impl_any!(Kept<u8>: Serialize, DeserializeOwned);

struct Key(());
enum Pas {}
enum Billing {}
enum Lab {}

impl System for Pas {
    const NAME: &'static str = "pas";
    type Key = Key;
}

impl System for Billing {
    const NAME: &'static str = "billing";
    type Key = Key;
}

impl System for Lab {
    const NAME: &'static str = "lab";
    type Key = Key;
}

fn speak<S: System<Key = Key>>() -> Capability<S> {
    Capability::mint(&Key(()))
}

boundary! {
    mod patient between Pas and Billing { phone: String => Shared }
}
boundary! {
    mod sorted between Billing and Pas { phone: String => Shared }
}
boundary! {
    mod in_front between Lab and Pas and Billing { phone: String => Shared }
}
boundary! {
    mod at_the_end between Pas and Billing and Lab { phone: String => Shared }
}
boundary! {
    mod elsewhere between Pas and Lab { phone: String => Shared }
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// PAS and billing agreed on "new" while billing still had "old".
fn known() -> patient::Bases {
    let (new, old) = (Base::Known(text("new")), Base::Known(text("old")));
    let phone = Bases { agreed: new.clone(), confirmed: vec![new, old] };
    patient::Bases { phone }
}

/// Reads under one declaration what was stored under another.
fn again<A: Serialize, B: DeserializeOwned>(stored: &A) -> B {
    let json = serde_json::to_string(stored).expect("it is stored");
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// The plan that follows under each order: billing is behind, and gets the newer value.
macro_rules! billing_is_behind_in {
    ($contract:ident: $($name:ident of $system:ident says $says:expr),+) => {{
        let bases = again::<_, $contract::Bases>(&known());
        $(
            let mut $name = $contract::Snapshot::by(&speak::<$system>());
            $name.phone = $says;
        )+
        let plan = $contract::reconcile($(&$name),+, &bases);
        assert_eq!(plan.phone.verdict(), Verdict::Behind);
        let writes = plan.phone.writes().map(|write| {
            let value = write.value().map(String::as_str);
            ($contract::SYSTEMS[write.to()], value, write.lost().is_some())
        });
        assert_eq!(writes.collect::<Vec<_>>(), [("billing", Some("new"), false)]);
    }};
}

#[test]
fn bases_of_a_declared_boundary_go_by_the_names_of_its_systems() {
    let [new, old] = ["new", "old"].map(|value| Slot::Value(value.to_owned()));
    let (new, old) = (|| new.clone(), || old.clone());
    billing_is_behind_in!(patient: a of Pas says new(), b of Billing says old());
    billing_is_behind_in!(sorted: a of Billing says old(), b of Pas says new());
    billing_is_behind_in!(
        in_front: a of Lab says Slot::Unread, b of Pas says new(), c of Billing says old()
    );
    billing_is_behind_in!(
        at_the_end: a of Pas says new(),
            b of Billing says old(),
            c of Lab says Slot::Unread
    );
}

#[test]
fn refusals_and_kept_forms_of_a_declared_boundary_go_by_name_too() {
    let mut refused = patient::Refusals::default();
    let (value, shown, why) = (text("0123"), text("old"), "no 0".to_owned());
    refused.phone.add(Refusal { place: 1, value, shown, why });
    let mut kept = patient::KeptForms::default();
    kept.phone.add(Kept { place: 1, written: text("0123"), held: text("123") });

    let place = |refused: &Refusals<String>, kept: &KeptForms<String>| {
        (refused.as_slice()[0].place, kept.as_slice()[0].place)
    };
    let sorted =
        (again::<_, sorted::Refusals>(&refused), again::<_, sorted::KeptForms>(&kept));
    assert_eq!(place(&sorted.0.phone, &sorted.1.phone), (0, 0), "billing, by its place");
    let in_front = (
        again::<_, in_front::Refusals>(&refused),
        again::<_, in_front::KeptForms>(&kept),
    );
    assert_eq!(place(&in_front.0.phone, &in_front.1.phone), (2, 2));
}

/// A system with a new name would pass for a new one, whose old values are edits.
#[test]
fn a_system_that_is_no_party_is_an_error_that_says_what_to_do() {
    let stored = serde_json::to_string(&known()).expect("it is stored");
    let error = serde_json::from_str::<elsewhere::Bases>(&stored).err();
    let error = error.expect("billing is no party").to_string();
    let wanted = "what is stored is of the systems pas, billing, and the contract is \
                  between pas, lab: in what is stored, rename a system that has a new \
                  name, and remove one that has left";
    assert!(error.starts_with(wanted), "{error}");

    let renamed = stored.replace(r#""billing":"#, r#""lab":"#);
    let bases = serde_json::from_str::<elsewhere::Bases>(&renamed).expect("as it says");
    assert!(bases.phone == known().phone);

    let by_place = r#"{"phone": {"agreed": "never", "confirmed": ["never", "never"]}}"#;
    let error = serde_json::from_str::<patient::Bases>(by_place).err();
    let error = error.expect("places say nothing").to_string();
    assert!(error.contains("expected what each system has, by its name"), "{error}");

    let twice = r#"{"agreed": "gone", "confirmed": {"pas": "gone", "pas": "there"}}"#;
    let error = serde_json::from_str::<Named<RecordBase>>(twice).unwrap_err();
    assert!(error.to_string().starts_with("the system \"pas\" twice"), "{error}");
}

/// The only copy of a record, which one system never got, is not a deletion there.
#[test]
fn a_record_that_was_created_nowhere_else_is_not_deleted_under_another_order() {
    let confirmed = vec![Existed::There, Existed::Never];
    let base = RecordBase { agreed: Existed::There, confirmed };
    let stored = serde_json::to_string(&Named::of(base, patient::SYSTEMS));
    let stored = stored.expect("it is stored");
    for (systems, pas) in
        [(patient::SYSTEMS, 0), (sorted::SYSTEMS, 1), (in_front::SYSTEMS, 1)]
    {
        let named = serde_json::from_str::<Named<RecordBase>>(&stored).expect("it reads");
        let base = named.by_place(systems).expect("its parties");
        assert_eq!(base.confirmed.len(), systems.len());
        let mut presence = vec![Presence::Absent; systems.len()];
        presence[pas] = Presence::There(());
        let mut run = RecordRules::new(Deletions::Propagate, 50).run();
        run.plan("P-1", presence, &base, false).expect("one for each");
        let (_, plan) = run.finish().expect("nothing is gone").remove(0);
        assert_eq!(plan.existence(), Existence::Create, "{systems:?}");
    }
}

/// Every order of up to three systems, out of each and back into the first: nothing is
/// moved, and what reads it finds by name what was stored.
#[test]
fn what_is_stored_by_name_is_the_same_in_every_order() {
    fn law<T: ByPlace + Clone + Debug + PartialEq>(
        value: &T,
        of: impl Fn(&T, usize) -> String,
    ) where
        Named<T>: Serialize + DeserializeOwned + PartialEq,
    {
        let names = ["pas", "billing", "lab"];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let systems = order.map(|place| names[place]);
            let stored = Named::of(value.clone(), names);
            let moved =
                again::<_, Named<T>>(&stored).by_place(systems).expect("them all");
            for (place, was) in order.into_iter().enumerate() {
                assert_eq!(
                    of(&moved, place),
                    of(value, was),
                    "{order:?}: {}",
                    names[was]
                );
            }
            let back = Named::of(moved, systems).by_place(names).expect("them all");
            assert_eq!(back, *value, "{order:?}");
        }
    }
    let confirmed = vec![Base::Known(Some(1)), Base::Never, Base::Known(None)];
    law(&Bases { agreed: Base::Known(Some(1)), confirmed }, |bases, place| {
        format!("{:?}", bases.of(place))
    });
    let confirmed = vec![Existed::There, Existed::Gone, Existed::Never];
    law(&RecordBase { agreed: Existed::There, confirmed }, |base, place| {
        format!("{:?}", base.confirmed[place])
    });
    let (mut refused, mut kept) = (Refusals::default(), KeptForms::default());
    for place in 0..3 {
        let why = format!("no {place}");
        refused.add(Refusal { place, value: Some(place), shown: None, why });
        kept.add(Kept { place, written: Some(place), held: None });
    }
    law(&refused, |refused, place| {
        let of = refused.as_slice().iter().find(|refusal| refusal.place == place);
        of.map(|refusal| refusal.why.clone()).unwrap_or_default()
    });
    law(&kept, |kept, place| {
        let of = kept.as_slice().iter().find(|kept| kept.place == place);
        format!("{:?}", of.map(|kept| kept.written))
    });
}

/// A system that joins has no base: its own first difference is asked about.
#[test]
fn a_system_that_joins_was_never_synchronised() {
    let bases = again::<_, in_front::Bases>(&known());
    let says = |value: &str| Slot::Value(value.to_owned());
    let mut of_lab = in_front::Snapshot::by(&speak::<Lab>());
    let mut of_pas = in_front::Snapshot::by(&speak::<Pas>());
    let mut of_billing = in_front::Snapshot::by(&speak::<Billing>());
    (of_lab.phone, of_pas.phone) = (says("else"), says("new"));
    of_billing.phone = says("old");
    let plan = in_front::reconcile(&of_lab, &of_pas, &of_billing, &bases);
    assert_eq!(plan.phone.question(), Some(Question::FirstDiffers));
}

/// A place beyond the names would be lost in what is stored.
#[test]
fn a_place_without_a_name_is_refused() {
    let bases = Named::of(Bases::common(Base::Known(Some(1)), 3), ["pas", "billing"]);
    let error = serde_json::to_string(&bases).expect_err("one has no name").to_string();
    assert_eq!(
        error,
        "what is stored by name wants a system at place 2, and found 2 systems"
    );
    assert!(bases.by_place(["pas", "billing", "lab"]).is_err());
}

/// An answer keeps what the person saw by place too. Under another order it fits no
/// question, and comes back: nobody chose what stands at that place now.
#[test]
fn an_answer_that_was_given_under_another_order_is_given_back() {
    let [a, b] = ["a", "b"].map(|value| Slot::Value(value.to_owned()));
    let (mut of_pas, mut of_billing) =
        (patient::Snapshot::by(&speak()), patient::Snapshot::by(&speak()));
    (of_pas.phone, of_billing.phone) = (a.clone(), b.clone());
    let never = patient::Bases::default();
    let mut rows = Vec::<Review<String>>::new();
    patient::reconcile(&of_pas, &of_billing, &never).reviews("P-1", &mut rows);
    let decision = Decision::new("ada", "asked the patient").expect("not blank");
    let phone = Some(Answer::to(&rows[0], Choice::Side(0), decision));

    let (mut in_billing, mut in_pas) =
        (sorted::Snapshot::by(&speak()), sorted::Snapshot::by(&speak()));
    (in_billing.phone, in_pas.phone) = (b.clone(), a.clone());
    let (of_billing, of_pas) = (in_billing.clone(), in_pas.clone());
    let never = sorted::Bases::default();
    let plan = sorted::reconcile(&of_billing, &of_pas, &never).about("P-1");
    let answers = again::<_, sorted::Answers>(&patient::Answers { phone });
    let carried = plan.apply(answers, &mut in_billing, &mut in_pas).expect("in memory");
    assert_eq!(carried.misfits[0].cause, AnswerError::MovedOn);
    assert!(carried.answers.phone.is_some(), "it is given back");
    assert_eq!((&in_billing.phone, &in_pas.phone), (&b, &a), "and nothing is written");
}
