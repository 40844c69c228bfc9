//! The declared boundary and the contract at run time are one: the same plans, the same
//! questions, the same words.

use std::time::Duration;

use chrono::DateTime;
use integration_automation_patterns::sync::AnswerError;
use integration_automation_patterns::sync::{
    Answer, Authority, Base, Bases, Capability, Choice, Content, Contract, FailedWrites,
    FieldPlan, NonOwnerEdits, Past, Question, Review, Rule, Slot, Stamp, System, Verdict,
};
use integration_automation_patterns::{Decision, boundary};
use proptest::prelude::*;

/// Three systems, the markers of different kinds of type: how a marker is written makes
/// no difference.
mod systems {
    use super::{Capability, System};

    pub(super) enum Crm {}
    pub(super) struct Erp;
    pub(super) struct Billing(());

    macro_rules! system {
        ($($system:ident $name:literal $connect:ident;)*) => {
            $(impl System for $system {
                const NAME: &'static str = $name;
                type Key = Key;
            }

            pub(super) fn $connect() -> Capability<$system> {
                Capability::mint(&Key(()))
            })*
        };
    }

    pub(super) struct Key(());

    system! {
        Crm "crm" crm;
        Erp "erp" erp;
        Billing "billing" billing;
    }

    impl Billing {
        #[expect(dead_code, reason = "the marker only has to be of this kind")]
        fn new() -> Self {
            Self(())
        }
    }
}

use systems::{Billing, Crm, Erp};

/// A group of fields with one winner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    street: String,
    city: String,
}

boundary! {
    /// A contact, shared by CRM and ERP.
    pub(crate) mod contact between Crm and Erp {
        /// Where the newsletter goes.
        #[doc(alias = "mail")]
        email: String => Crm,
        address: Address => Erp,
        nickname: String => Shared,
        status: u8 => Manual,
        /// For nobody else.
        excluded internal_notes: String,
    }
}

boundary! {
    mod account between Crm and Erp and Billing {
        name: u8 => Crm,
        terms: u8 => Erp,
        dunning: u8 => Billing,
        segment: u8 => Shared,
        excluded margin: u8,
        state: u8 => Manual,
        r#type: u8 => Shared
    }
}

fn text(text: &str) -> Slot<String> {
    Slot::Value(text.to_owned())
}

#[test]
fn a_declaration_is_its_contract() {
    let contract = contact::contract().expect("sound");
    let builder = Contract::builder("contact")
        .system("crm")
        .system("erp")
        .field("email", Authority::system("crm"));
    let builder = builder
        .field("address", Authority::system("erp"))
        .field("nickname", Authority::Shared);
    let builder = builder.field("status", Authority::Manual).excluded("internal_notes");
    assert_eq!(contract, builder.build().expect("sound"));
    let fields = account::contract().expect("sound");
    assert!(fields.is_synced("type"), "a field is called what it is called");
    assert_eq!(
        (contact::SYSTEMS, account::SYSTEMS),
        (&["crm", "erp"][..], &["crm", "erp", "billing"][..])
    );
}

#[test]
fn edits_reach_the_snapshot_of_their_system() {
    let mut of_erp = contact::Snapshot::by(&systems::erp());
    let address = Address { street: "1 Main St".to_owned(), city: "Lansing".to_owned() };
    of_erp.edit(contact::edit(&systems::erp()).address(address.clone()).nickname("Al"));
    assert_eq!((&of_erp.address, &of_erp.nickname), (&Slot::Value(address), &text("Al")));
    assert_eq!(
        (&of_erp.email, of_erp.status),
        (&Slot::Unread, Slot::Unread),
        "what was not edited is as it was"
    );
}

#[test]
fn a_plan_has_the_shape_of_its_authorities() {
    let (mut of_crm, mut of_erp) =
        (contact::Snapshot::by(&systems::crm()), contact::Snapshot::by(&systems::erp()));
    of_crm.email = text("new@x.org");
    of_erp.email = text("typo@x.org");
    of_crm.nickname = text("Al");
    of_erp.nickname = text("Alan");
    of_crm.status = Slot::Value(1);
    of_erp.status = Slot::Empty;
    let agreed = contact::Bases::from(contact::Agreed {
        email: Base::Known(Some("old@x.org".to_owned())),
        ..Default::default()
    });
    let plan = contact::reconcile(&of_crm, &of_erp, &agreed);

    let writes = plan.email.writes().collect::<Vec<_>>();
    assert_eq!(
        writes.iter().map(|write| contact::SYSTEMS[write.to()]).collect::<Vec<_>>(),
        ["erp"]
    );
    assert_eq!(writes[0].lost(), Some(Content::Value(&"typo@x.org".to_owned())));
    assert_eq!(
        (plan.nickname.question(), plan.nickname.writes().count()),
        (Some(Question::FirstDiffers), 0)
    );
    assert_eq!(plan.status.question(), Some(Question::Manual));
    assert_eq!(plan.status.sides().collect::<Vec<_>>(), [(0, Some(&1)), (1, None)]);
    assert_eq!(plan.address.verdict(), Verdict::Unread);
    let next = plan.next();
    assert_eq!(next.email.agreed, Base::Known(Some("new@x.org".to_owned())));
    assert_eq!((next.nickname.agreed, next.address.agreed), (Base::Never, Base::Never));
}

#[test]
fn an_answer_permits_the_writes_that_no_program_may_make() {
    let (mut of_crm, mut of_erp) =
        (contact::Snapshot::by(&systems::crm()), contact::Snapshot::by(&systems::erp()));
    (of_crm.status, of_erp.status) = (Slot::Value(1), Slot::Value(2));
    of_crm.email = Slot::Empty;
    of_erp.email = text("kept@x.org");
    of_crm.nickname = text("Al");
    let agreed = contact::Bases::from(contact::Agreed {
        status: Base::Known(Some(1)),
        ..Default::default()
    });
    let plan = contact::reconcile(&of_crm, &of_erp, &agreed);
    let decision = Decision::new("on-call", "asked the customer").expect("not blank");
    let row = |review: Option<Review<u8>>| review.expect("it is asked");
    let status = row(plan.status.review("C-1", "status", ["crm", "erp"]));
    let status = |choice| Answer::to(&status, choice, decision.clone());

    let settled = plan
        .status
        .settle("C-1", "status", status(Choice::Other(Some(3))))
        .expect("it was asked");
    let found = settled.writes().map(|write| {
        (
            write.to(),
            write.value().copied(),
            write.expects().copied(),
            write.lost().is_some(),
        )
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        [(0, Some(3), Some(1), false), (1, Some(3), Some(2), true)]
    );
    assert_eq!(
        (settled.next_base(), settled.decision()),
        (Base::Known(Some(3)), &decision)
    );
    let kept = plan
        .status
        .settle("C-1", "status", status(Choice::Side(0)))
        .expect("it was asked");
    assert_eq!(kept.writes().map(|write| write.to()).collect::<Vec<_>>(), [1]);

    let email = plan.email.review("C-1", "email", ["crm", "erp"]).expect("it is asked");
    let email = |choice| Answer::to(&email, choice, decision.clone());
    let filled = plan
        .email
        .settle("C-1", "email", email(Choice::Side(1)))
        .expect("the owner is blank");
    assert_eq!(
        filled.writes().map(|write| write.to()).collect::<Vec<_>>(),
        [0],
        "a person may fill the owner's field"
    );
    let cleared = plan
        .email
        .settle("C-1", "email", email(Choice::Other(None)))
        .expect("the owner is blank");
    assert_eq!(
        cleared.writes().map(|write| (write.to(), write.value())).collect::<Vec<_>>(),
        [(1, None)]
    );

    let mut nickname = email(Choice::Side(0)).seen().clone();
    nickname.field = Some("nickname".to_owned());
    let nickname = Answer::to(&nickname, Choice::Side(0), decision.clone());
    let refused = plan
        .nickname
        .settle("C-1", "nickname", nickname.clone())
        .expect_err("nothing was asked");
    assert_eq!(
        refused.to_string(),
        "an answer wants a question, and this plan asks nothing"
    );
    assert_eq!(refused.into_value(), nickname);
    let refused = plan
        .status
        .settle("C-1", "status", status(Choice::Side(2)))
        .expect_err("there is no such system");
    assert_eq!(*refused.cause(), AnswerError::SaysNothing { place: 2 });
}

#[test]
fn a_shared_field_can_declare_who_is_preferred() {
    let (mut of_crm, mut of_erp) =
        (contact::Snapshot::by(&systems::crm()), contact::Snapshot::by(&systems::erp()));
    (of_crm.nickname, of_erp.nickname) = (Slot::Empty, text("Alan"));
    let agreed = contact::Bases::from(contact::Agreed {
        nickname: Base::Known(Some("Al".to_owned())),
        ..Default::default()
    });
    let plan = || contact::reconcile(&of_crm, &of_erp, &agreed);
    let (conflict, to_the_other) = (Verdict::Ask(Question::Conflict), Verdict::Write(1));
    assert_eq!(plan().nickname.verdict(), conflict);

    let mut preferred = plan();
    preferred.rules().nickname.prefer(0);
    assert_eq!(preferred.nickname.verdict(), Verdict::Write(0));
    let mut blank = plan();
    blank.rules().nickname.prefer_unless_blank(0);
    assert_eq!(blank.nickname.verdict(), conflict);
    blank.rules().nickname.prefer_unless_blank(1);
    assert_eq!(
        (blank.nickname.verdict(), blank.nickname.writes().count()),
        (to_the_other, 1)
    );

    let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("in 1970");
    let stamps = [90, 10].map(|seconds| Stamp::OfField(at(seconds)));
    let mut by_time = plan();
    by_time.rules().nickname.prefer_last_writer(
        &stamps,
        Duration::from_secs(60),
        at(100),
    );
    assert_eq!(by_time.nickname.verdict(), Verdict::Write(0));
    assert_eq!(
        by_time.nickname.writes().map(|write| write.lost().is_some()).collect::<Vec<_>>(),
        [true]
    );
}

#[test]
fn a_declared_field_has_the_rules_of_a_plan() {
    let (mut of_crm, mut of_erp) =
        (contact::Snapshot::by(&systems::crm()), contact::Snapshot::by(&systems::erp()));
    let (al, alan) = ("Al".to_owned(), "Alan".to_owned());
    (of_crm.nickname, of_erp.nickname) = (Slot::Value(alan.clone()), text("Al"));
    let nickname = Base::Known(Some(al.clone()));
    let agreed = contact::Agreed { nickname, ..Default::default() }.into();
    let plan = || contact::reconcile(&of_crm, &of_erp, &agreed);
    assert_eq!(plan().nickname.verdict(), Verdict::Write(0));
    assert_eq!(
        plan().nickname.next(),
        Bases::common(Base::Known(Some(alan.clone())), 2),
        "once it is carried out"
    );

    let mut past = Past::new(1);
    past.replaced(&Base::Known(Some(alan.clone())), &Base::Known(Some(al)));
    let mut goes_back = plan();
    goes_back.rules().nickname.ask_before_going_back(&past);
    assert_eq!(goes_back.nickname.question(), Some(Question::GoesBack));

    let mut failed = FailedWrites::default();
    (0..2).for_each(|_| failed.failed(1, Some(&alan)));
    let mut stuck = plan();
    stuck.rules().nickname.ask_if_stuck(&failed);
    assert_eq!(stuck.nickname.question(), Some(Question::Stuck));

    let mut cleared = of_crm.clone();
    cleared.nickname = Slot::Empty;
    let mut filled = contact::reconcile(&cleared, &of_erp, &agreed);
    assert_eq!(filled.nickname.verdict(), Verdict::Write(0), "a blank is an edit");
    filled.rules().nickname.unless_blank();
    assert_eq!(filled.nickname.verdict(), Verdict::Behind, "and then is not");
}

/// What a log may hold of a plan: what is to be done, and no value.
#[test]
fn a_declared_field_shows_its_verdict_and_no_value() {
    let (mut of_crm, of_erp) =
        (contact::Snapshot::by(&systems::crm()), contact::Snapshot::by(&systems::erp()));
    of_crm.nickname = text("secret");
    let agreed = contact::Bases::default();
    let mut plan = contact::reconcile(&of_crm, &of_erp, &agreed);
    let entry = format!("{:?}", plan.nickname);
    assert_eq!(entry, "Entry { verdict: Agreed(0), .. }");
    assert_eq!(format!("{:?}", plan.rules().nickname), format!("FieldRules({entry})"));
    assert_eq!(format!("{:?}", systems::crm()), "Capability<crm>");
}

#[test]
fn never_agreed_and_agreed_on_nothing_stay_apart() {
    let (mut of_crm, mut of_erp) =
        (contact::Snapshot::by(&systems::crm()), contact::Snapshot::by(&systems::erp()));
    of_crm.email = Slot::Empty;
    of_erp.email = text("kept@x.org");
    let first = contact::Bases::default();
    assert_eq!(
        contact::reconcile(&of_crm, &of_erp, &first).email.question(),
        Some(Question::BlankOwner)
    );
    let agreed = contact::Bases::from(contact::Agreed {
        email: Base::Known(None),
        ..Default::default()
    });
    let cleared = contact::reconcile(&of_crm, &of_erp, &agreed);
    assert_eq!(
        cleared.email.writes().map(|write| write.value()).collect::<Vec<_>>(),
        [None]
    );
}

fn slot() -> impl Strategy<Value = Slot<u8>> {
    prop_oneof![Just(Slot::Unread), Just(Slot::Empty), (0_u8..3).prop_map(Slot::Value)]
}

fn base() -> impl Strategy<Value = Base<u8>> {
    prop_oneof![Just(Base::Never), prop::option::of(0_u8..3).prop_map(Base::Known)]
}

proptest! {
    /// Protects the declaration: whatever the systems say, each field is planned by its
    /// own rule and by nothing else.
    #[test]
    fn each_field_is_planned_as_the_kernel_plans_it(
        said in prop::collection::vec(prop::array::uniform3(slot()), 5),
        known in prop::array::uniform5((base(), prop::array::uniform3(base()))),
    ) {
        let mut snapshots = (
            account::Snapshot::by(&systems::crm()),
            account::Snapshot::by(&systems::erp()),
            account::Snapshot::by(&systems::billing()),
        );
        macro_rules! fill {
            ($($place:tt)*) => {
                $({
                    let snapshot = &mut snapshots.$place;
                    snapshot.name = said[0][$place];
                    snapshot.terms = said[1][$place];
                    snapshot.dunning = said[2][$place];
                    snapshot.segment = said[3][$place];
                    snapshot.state = said[4][$place];
                })*
            };
        }
        fill!(0 1 2);
        let known = known.map(|(agreed, confirmed)| Bases { agreed, confirmed: confirmed.to_vec() });
        let [name, terms, dunning, segment, state] = known.clone();
        let all = account::Bases { name, terms, dunning, segment, state, ..Default::default() };
        let plan = account::reconcile(&snapshots.0, &snapshots.1, &snapshots.2, &all);
        let next = plan.next();

        let rules = [Rule::Owner(0, NonOwnerEdits::Reject), Rule::Owner(1, NonOwnerEdits::Reject), Rule::Owner(2, NonOwnerEdits::Reject), Rule::Shared, Rule::Manual];
        let listed = plan.verdicts().collect::<Vec<_>>();
        prop_assert_eq!(listed.len(), account::contract().expect("sound").synced_fields().count());
        let found = [plan.name.verdict(), plan.terms.verdict(), plan.dunning.verdict(), plan.segment.verdict(), plan.state.verdict()];
        let writes = [plan.name.writes().count(), plan.terms.writes().count(), plan.dunning.writes().count(), plan.segment.writes().count(), 0];
        let moved = [next.name, next.terms, next.dunning, next.segment, next.state];
        for (field, rule) in rules.into_iter().enumerate() {
            let slots = said[field].each_ref();
            let expected = FieldPlan::with_bases(rule, &slots, &known[field]);
            prop_assert_eq!(found[field], expected.verdict());
            prop_assert_eq!(listed[field].1, expected.verdict());
            prop_assert_eq!(writes[field], expected.writes().count());
            prop_assert_eq!(moved[field].clone(), expected.next());
        }
    }
}
