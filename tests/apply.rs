//! A declared boundary to the end: what others may do, answers, merges, and the stores
//! that carry a plan out.

use std::collections::BTreeSet;

use chrono::DateTime;
use integration_automation_patterns::sync::AnswerError;
use integration_automation_patterns::sync::{
    Answer, Base, Capability, Choice, Content, Contract, Existence, Found, NonOwnerEdits,
    Question, Refusal, Review, Slot, System, Verdict, Write,
};
use integration_automation_patterns::sync::{
    Deletions, Existed, Presence, RecordAnswerError, RecordBase, RecordPlan, RecordRules,
};
use integration_automation_patterns::{Decision, boundary};

struct Key(());

macro_rules! systems {
    ($($connect:ident $system:ident;)*) => {
        $(pub(crate) enum $system {}

        impl System for $system {
            const NAME: &'static str = stringify!($connect);
            type Key = Key;
        }

        fn $connect() -> Capability<$system> {
            Capability::mint(&Key(()))
        })*
    };
}

systems! {
    crm Crm;
    erp Erp;
    billing Billing;
}

type Labels = BTreeSet<&'static str>;

boundary! {
    pub(crate) mod account between Crm and Erp and Billing {
        others Queue,
        name: String => Crm,
        terms: u64 => Erp (others Reject),
        limit: u64 => Billing (others Overwrite),
        nickname: String => Shared,
        labels: Labels => Shared,
        state: u8 => Manual,
        by: u8 => Shared,
        decision: u8 => Manual,
        decided: u8 => Crm,
        others: u8 => Crm,
        edit: u8 => Shared,
        next: u8 => Shared,
        apply: u8 => Shared
    }
}

type All = (account::Snapshot<Crm>, account::Snapshot<Erp>, account::Snapshot<Billing>);

fn nothing_read() -> All {
    (
        account::Snapshot::by(&crm()),
        account::Snapshot::by(&erp()),
        account::Snapshot::by(&billing()),
    )
}

macro_rules! say {
    ($all:ident, $field:ident: $crm:expr, $erp:expr, $billing:expr) => {
        ($all.0.$field, $all.1.$field, $all.2.$field) = ($crm, $erp, $billing)
    };
}

/// Every system as it is, for a store that is not the snapshot that was planned on.
fn copy((crm_says, erp_says, billing_says): &All) -> All {
    let mut all = nothing_read();
    macro_rules! copy {
        ($($field:ident)*) => {
            $(
                all.0.$field = crm_says.$field.clone();
                all.1.$field = erp_says.$field.clone();
                all.2.$field = billing_says.$field.clone();
            )*
        };
    }
    copy!(name terms limit nickname labels state);
    all
}

fn decision() -> Decision {
    Decision::new_at("on-call", "the customer confirmed", DateTime::UNIX_EPOCH)
        .expect("not blank")
}

fn text(text: &str) -> Slot<String> {
    Slot::Value(text.to_owned())
}

/// What the cause of an error says.
fn cause_of(error: &dyn std::error::Error) -> String {
    error.source().expect("a cause").to_string()
}

#[test]
fn each_of_the_three_that_others_may_do_works() {
    let mut seen = nothing_read();
    say!(seen, name: text("ACME"), text("ACME Inc"), text("ACME"));
    say!(seen, terms: Slot::Value(60), Slot::Value(30), Slot::Value(30));
    say!(seen, limit: Slot::Value(9), Slot::Value(5), Slot::Value(5));
    let agreed = account::Bases::from(account::Agreed {
        name: Base::Known(Some("ACME".to_owned())),
        terms: Base::Known(Some(30)),
        limit: Base::Known(Some(5)),
        ..Default::default()
    });
    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &agreed);

    assert_eq!(
        plan.name.question(),
        Some(Question::Proposal),
        "queue: a proposal is put to a person"
    );
    assert_eq!(plan.name.writes().count(), 0);
    let terms = plan.terms.writes().collect::<Vec<_>>();
    assert_eq!(
        (terms[0].to(), terms[0].value(), terms[0].refused()),
        (0, Some(&30), Some(Content::Value(&60))),
        "reject: refused"
    );
    let limit = plan.limit.writes().collect::<Vec<_>>();
    assert_eq!(
        (limit[0].to(), limit[0].value(), limit[0].lost()),
        (0, Some(&5), Some(Content::Value(&9)))
    );
    assert_eq!(
        limit[0].refused(),
        None,
        "overwrite: it is lost, and nobody had forbidden it"
    );

    let contract = account::contract().expect("sound");
    let said = ["name", "terms", "limit", "nickname", "state"]
        .map(|field| contract.non_owner_edits_for(field));
    let (queue, reject, overwrite) = (
        Some(NonOwnerEdits::Queue),
        Some(NonOwnerEdits::Reject),
        Some(NonOwnerEdits::Overwrite),
    );
    assert_eq!(said, [queue, reject, overwrite, None, None]);
    let slots = [&seen.0.name, &seen.1.name, &seen.2.name];
    let at_run_time = contract.plan_with_bases("name", &slots, &agreed.name);
    let at_run_time = at_run_time.expect("exchanged");
    assert_eq!(at_run_time.verdict(), plan.name.verdict());
}

#[test]
fn a_setter_takes_a_value_or_nothing_and_any_name_is_free() {
    let mut of_erp = nothing_read().1;
    of_erp.edit(
        account::edit(&erp()).terms(30).nickname("Al").by(1).edit(2).next(3).apply(4),
    );
    assert_eq!(
        (of_erp.terms, &of_erp.nickname, of_erp.by, of_erp.edit),
        (Slot::Value(30), &text("Al"), Slot::Value(1), Slot::Value(2))
    );
    of_erp.edit(account::edit(&erp()).terms(None).nickname(Some("Alan".to_owned())));
    assert_eq!((of_erp.terms, &of_erp.nickname), (Slot::Empty, &text("Alan")));
    of_erp.edit(account::edit(&erp()).name("ACME Inc").limit(7_u64));
    assert_eq!(
        (&of_erp.name, of_erp.limit),
        (&text("ACME Inc"), Slot::Value(7)),
        "a proposal, and a change for itself"
    );
    of_erp.edit(account::edit(&erp()).decided(3));
    assert_eq!(of_erp.decided, Slot::Value(3));
}

#[test]
fn a_plan_is_carried_out_system_by_system_and_comes_to_rest() {
    let mut seen = nothing_read();
    say!(seen, name: text("ACME AG"), text("ACME"), text("ACME"));
    say!(seen, terms: Slot::Value(60), Slot::Value(30), Slot::Unsupported);
    say!(seen, nickname: text("Al"), text("Al"), text("Alan"));
    let agreed = account::Bases::from(account::Agreed {
        name: Base::Known(Some("ACME".to_owned())),
        nickname: Base::Known(Some("Al".to_owned())),
        ..Default::default()
    });
    let mut now = copy(&seen);
    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &agreed);
    let carried = plan
        .apply(account::Answers::default(), &mut now.0, &mut now.1, &mut now.2)
        .expect("stores in memory");
    assert_eq!(carried.moved_on, Vec::<&str>::new());
    assert_eq!(
        (&now.1.name, &now.2.name, now.0.terms),
        (&text("ACME AG"), &text("ACME AG"), Slot::Value(30))
    );
    assert_eq!((&now.0.nickname, &now.1.nickname), (&text("Alan"), &text("Alan")));
    assert_eq!(now.2.terms, Slot::Unsupported, "it has no such field, and gets none");
    assert_eq!(
        carried.bases.terms.agreed,
        Base::Known(Some(30)),
        "and nobody waits for it"
    );

    let again = account::reconcile(&now.0, &now.1, &now.2, &carried.bases);
    assert!(
        again
            .verdicts()
            .all(|(_, verdict)| matches!(verdict, Verdict::Agreed(_) | Verdict::Unread))
    );
}

#[test]
fn a_system_that_moved_on_gets_nothing_and_is_planned_again() {
    let mut seen = nothing_read();
    say!(seen, name: text("new"), text("old"), text("old"));
    say!(seen, nickname: text("Al"), text("Alan"), text("Al"));
    let agreed = account::Bases::from(account::Agreed {
        name: Base::Known(Some("old".to_owned())),
        nickname: Base::Known(Some("Al".to_owned())),
        ..Default::default()
    });
    let mut now = copy(&seen);
    now.2.nickname = text("Ali"); // meanwhile
    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &agreed);
    let carried = plan
        .apply(account::Answers::default(), &mut now.0, &mut now.1, &mut now.2)
        .expect("stores in memory");
    assert_eq!(carried.moved_on, ["billing"]);
    assert_eq!(
        (&now.2.name, &now.2.nickname),
        (&text("old"), &text("Ali")),
        "all of its changes or none"
    );
    assert_eq!(
        (&now.1.name, &now.0.nickname),
        (&text("new"), &text("Alan")),
        "the others have theirs"
    );
    for (known, had, has) in
        [(&carried.bases.name, "old", "new"), (&carried.bases.nickname, "Al", "Alan")]
    {
        let [had, has] = [had, has].map(|value| Base::Known(Some(value.to_owned())));
        assert_eq!(known.agreed, has);
        assert_eq!(known.confirmed, [has.clone(), has, had], "billing is behind");
    }

    let again = account::reconcile(&now.0, &now.1, &now.2, &carried.bases);
    assert_eq!(
        again.name.writes().map(|write| write.to()).collect::<Vec<_>>(),
        [2],
        "what is left"
    );
    assert_eq!(
        again.nickname.question(),
        Some(Question::Conflict),
        "the edit that would have been lost"
    );
}

#[test]
fn what_moved_on_in_one_field_leaves_the_common_state_of_another() {
    let mut seen = nothing_read();
    say!(seen, terms: Slot::Value(1), Slot::Value(2), Slot::Value(2));
    say!(seen, nickname: text("Al"), text("Al"), text("Al"));
    let mut now = copy(&seen);
    now.0.terms = Slot::Value(3);
    let none = account::Bases::default();
    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &none);
    let carried = plan
        .apply(account::Answers::default(), &mut now.0, &mut now.1, &mut now.2)
        .expect("stores in memory");
    assert_eq!(carried.moved_on, ["crm"]);
    let (never, two) = (Base::Never, Base::Known(Some(2)));
    assert_eq!(carried.bases.terms.confirmed, [never, two, two], "the CRM is behind");
    assert_eq!(
        carried.bases.nickname.agreed,
        Base::Known(Some("Al".to_owned())),
        "on this all agree"
    );
}

/// What a row of the queue holds, whatever the field's type.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Text(String),
    Number(u64),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u8> for Cell {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<Labels> for Cell {
    fn from(labels: Labels) -> Self {
        Self::Text(labels.into_iter().collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn questions_come_out_as_rows_and_answers_go_in_as_writes_with_an_audit() {
    let mut seen = nothing_read();
    say!(seen, name: Slot::Empty, text("ACME"), Slot::Unread);
    say!(seen, nickname: text("Al"), text("Alan"), text("Al"));
    say!(seen, state: Slot::Value(1), Slot::Value(2), Slot::Value(1));
    let none = account::Bases::default();
    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &none).about("A-1");
    let mut rows = Vec::<Review<Cell>>::new();
    plan.reviews("A-1", &mut rows);
    let asked = rows.iter().map(|row| {
        (row.field.as_deref().unwrap_or("(record)"), row.question, row.sides.len())
    });
    let (blank, first, manual) =
        (Question::BlankOwner, Question::FirstDiffers, Question::Manual);
    assert_eq!(
        asked.collect::<Vec<_>>(),
        [("name", blank, 2), ("nickname", first, 3), ("state", manual, 3)]
    );
    let words = rows.iter().map(|row| row.question.to_string()).collect::<Vec<_>>();
    let blank = "the owner's field is empty on the first synchronisation";
    let first = "different on the first synchronisation";
    assert_eq!(words, [blank, first, "a person decides on this field"]);
    assert_eq!(
        (&rows[2].sides[1].value, rows[2].sides[1].system.as_str()),
        (&Some(Cell::Number(2)), "erp")
    );

    let row = plan
        .state
        .review("A-1", "state", account::SYSTEMS.iter().copied())
        .expect("it is asked");
    let name = plan
        .name
        .review("A-1", "name", account::SYSTEMS.iter().copied())
        .expect("it is asked");
    let answers = account::Answers {
        name: Some(Answer::to(&name, Choice::Side(1), decision())),
        state: Some(Answer::to(&row, Choice::Other(Some(3)), decision())),
        ..Default::default()
    };
    let mut audit = Vec::new();
    for change in plan.changes(&crm(), &answers).iter() {
        audit.extend(
            change.name.as_ref().and_then(|write| write.audit("A-1", "name", "crm")),
        );
        let state = change
            .state
            .as_ref()
            .and_then(|write| write.audit("A-1", "state", "crm"))
            .expect("decided");
        assert_eq!(
            (state.old, state.new, state.decision.by()),
            (Some(1), Some(3), "on-call")
        );
        assert!(change.nickname.is_none(), "nobody has answered");
    }
    assert_eq!(
        (audit.len(), audit[0].new.as_deref(), audit[0].decision.reason()),
        (1, Some("ACME"), "the customer confirmed")
    );

    let mut now = copy(&seen);
    let carried = plan
        .apply(answers, &mut now.0, &mut now.1, &mut now.2)
        .expect("stores in memory");
    assert_eq!(
        (&now.0.name, now.0.state, now.2.state),
        (&text("ACME"), Slot::Value(3), Slot::Value(3))
    );
    assert_eq!(carried.bases.state.agreed, Base::Known(Some(3)));
    let acme = Base::Known(Some("ACME".to_owned()));
    assert_eq!(
        carried.bases.name.confirmed,
        [acme.clone(), acme, Base::Never],
        "not read"
    );
    let again = account::reconcile(&now.0, &now.1, &now.2, &carried.bases);
    let mut rows = Vec::<Review<Cell>>::new();
    again.reviews("A-1", &mut rows);
    assert_eq!(rows.len(), 1, "the conflict that nobody has answered");
}

/// Law 48 for a declared boundary: an answer that does not fit is given back alone, and
/// the rest of the record goes on.
#[test]
fn an_answer_that_does_not_fit_is_given_back_and_the_rest_goes_on() {
    let mut seen = nothing_read();
    say!(seen, terms: Slot::Value(1), Slot::Value(2), Slot::Value(2));
    say!(seen, state: Slot::Value(1), Slot::Value(2), Slot::Value(1));
    let none = account::Bases::default();
    say!(seen, nickname: text("Al"), text("Alan"), text("Ali"));
    let asked = account::reconcile(&seen.0, &seen.1, &seen.2, &none);
    let systems = || account::SYSTEMS.iter().copied();
    let row = asked.state.review("A-1", "state", systems()).expect("it is asked");
    let nickname =
        asked.nickname.review("A-1", "nickname", systems()).expect("it is asked");
    say!(seen, nickname: Slot::Unread, Slot::Unread, Slot::Unread);
    seen.1.state = Slot::Value(7); // the person saw 2
    let row_now = account::reconcile(&seen.0, &seen.1, &seen.2, &none)
        .state
        .review("A-1", "state", systems())
        .expect("it is asked");
    let given_back = |record: Option<&str>, answers: account::Answers| {
        let mut now = copy(&seen);
        let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &none);
        let plan = match record {
            Some(record) => plan.about(record),
            None => plan,
        };
        let carried = plan
            .apply(answers, &mut now.0, &mut now.1, &mut now.2)
            .expect("stores in memory");
        assert_eq!(now.0.terms, Slot::Value(2), "the rest of the record goes on");
        assert_eq!(now.0.state, Slot::Value(1), "and nothing follows from the answer");
        let [misfit] = carried.misfits.as_slice() else { panic!("one misfit") };
        (misfit.field, misfit.cause.clone(), carried.answers)
    };
    let here = Some("A-1");
    let stale = Answer::to(&row, Choice::Side(1), decision());
    let of_state = |answer: &Answer<u8>| account::Answers {
        state: Some(answer.clone()),
        ..Default::default()
    };
    let (field, cause, back) = given_back(here, of_state(&stale));
    assert_eq!((field, cause), ("state", AnswerError::MovedOn));
    assert_eq!(back.state, Some(stale), "given back");

    let fits = Answer::to(&row_now, Choice::Side(1), decision());
    let (wanted, found) = ("A-2".to_owned(), "A-1".to_owned());
    let (_, cause, _) = given_back(Some("A-2"), of_state(&fits));
    assert_eq!(cause, AnswerError::OtherRecord { wanted, found });
    let (_, cause, _) = given_back(None, of_state(&fits));
    assert_eq!(cause, AnswerError::NoRecord);

    let decided = account::Answers { decision: Some(fits.clone()), ..Default::default() };
    let (field, cause, _) = given_back(here, decided);
    let (wanted, found) = ("decision".to_owned(), Some("state".to_owned()));
    assert_eq!((field, cause), ("decision", AnswerError::OtherField { wanted, found }));

    let nickname = Answer::to(&nickname, Choice::Other(None), decision());
    let of_nickname = account::Answers { nickname: Some(nickname), ..Default::default() };
    let (field, cause, _) = given_back(here, of_nickname);
    assert_eq!((field, cause), ("nickname", AnswerError::NothingAsked));

    let unread = Answer::to(&row_now, Choice::Side(9), decision());
    let (_, cause, _) = given_back(here, of_state(&unread));
    assert_eq!(cause, AnswerError::SaysNothing { place: 9 });
}

/// Two people answer at once, and each has planned before the other has written.
#[test]
fn two_answers_given_crosswise_do_not_swap_the_values() {
    let mut seen = nothing_read();
    say!(seen, state: Slot::Value(1), Slot::Value(2), Slot::Value(1));
    let none = account::Bases::default();
    let plan = || account::reconcile(&seen.0, &seen.1, &seen.2, &none).about("A-1");
    let row = plan().state.review("A-1", "state", account::SYSTEMS.iter().copied());
    let row = row.expect("it is asked");
    let answers = |choice| account::Answers {
        state: Some(Answer::to(&row, choice, decision())),
        ..Default::default()
    };
    let choices = [Choice::Side(0), Choice::Side(1), Choice::Other(Some(3))];
    for (one, other) in
        choices.into_iter().flat_map(|one| choices.map(|other| (one, other)))
    {
        let (ada, bob, mut now) = (plan(), plan(), copy(&seen));
        let first = ada
            .apply(answers(one), &mut now.0, &mut now.1, &mut now.2)
            .expect("stores in memory");
        assert_eq!(first.misfits, []);
        let second = bob
            .apply(answers(other), &mut now.0, &mut now.1, &mut now.2)
            .expect("stores in memory");
        assert_eq!((&now.0.state, &now.1.state), (&now.1.state, &now.2.state));
        let is_told = !second.misfits.is_empty() || !second.moved_on.is_empty();
        let is_there =
            first.bases.state.agreed == Base::Known(now.0.state.value().copied());
        assert!(is_there && (is_told || one == other), "{one:?} {other:?}");
    }
}

/// A system that takes no state but 1, and says so.
struct Strict(account::Snapshot<Erp>);

impl account::Store for Strict {
    type System = Erp;
    type Error = std::convert::Infallible;

    fn write(
        &mut self,
        changes: &account::Changes<'_, Erp>,
    ) -> Result<account::Taken, Self::Error> {
        let found = changes.found_in(&self.0);
        let mut taken = account::Taken::from(found);
        if found == Found::AsExpected {
            if let Some(write) = &changes.limit {
                taken.refused.limit.add(Refusal::of(write, "a limit is at most 5"));
            }
            if let Some(write) = &changes.name {
                self.0.name = Slot::from(write.value().cloned());
            }
        }
        Ok(taken)
    }
}

/// Law 49 for a declared boundary: the other fields are written, and the refused one is a
/// question, which is not tried again.
#[test]
fn a_field_that_its_system_refuses_stops_no_other_and_is_asked() {
    let mut seen = nothing_read();
    say!(seen, name: text("ACME AG"), text("ACME"), text("ACME AG"));
    say!(seen, limit: Slot::Value(9), Slot::Value(5), Slot::Value(9));
    let agreed = account::Bases::from(account::Agreed {
        name: Base::Known(Some("ACME".to_owned())),
        limit: Base::Known(Some(5)),
        ..Default::default()
    });
    let (mut in_crm, in_erp, mut in_billing) = copy(&seen);
    let mut in_erp = Strict(in_erp);
    let carried = account::reconcile(&seen.0, &seen.1, &seen.2, &agreed)
        .apply(account::Answers::default(), &mut in_crm, &mut in_erp, &mut in_billing)
        .expect("it answers");
    assert_eq!(in_erp.0.name, text("ACME AG"), "the good field arrives");
    assert_eq!((in_erp.0.limit, in_crm.limit), (Slot::Value(5), Slot::Value(9)));
    assert_eq!(carried.refused.limit.as_slice().len(), 1);

    let (of_crm, of_erp, of_billing) = copy(&(in_crm, in_erp.0, in_billing));
    let again = account::reconcile(&of_crm, &of_erp, &of_billing, &carried.bases)
        .after_refusals(&carried.refused);
    assert_eq!(again.limit.question(), Some(Question::Refused));
    let nothing = account::Answers::default();
    let changes = again.changes(&erp(), &nothing).expect("no answers");
    assert!(changes.is_empty(), "it is not tried again");
    let row = again.limit.review("A-1", "limit", account::SYSTEMS.iter().copied());
    let row = row.expect("it is asked");
    assert_eq!(row.sides[1].refused.as_deref(), Some("a limit is at most 5"));
}

/// A store that fails for a while.
struct Failing(account::Snapshot<Erp>, bool);

impl account::Store for Failing {
    type System = Erp;
    type Error = &'static str;

    fn write(
        &mut self,
        changes: &account::Changes<'_, Erp>,
    ) -> Result<account::Taken, Self::Error> {
        if self.1 {
            return Err("no connection");
        }
        account::Store::write(&mut self.0, changes).map_err(|never| match never {})
    }
}

#[test]
fn a_store_that_fails_leaves_the_rest_to_the_next_plan() {
    let mut seen = nothing_read();
    say!(seen, limit: Slot::Value(1), Slot::Value(1), Slot::Value(2));
    say!(seen, state: Slot::Value(4), Slot::Value(5), Slot::Value(4));
    let agreed = account::Bases::from(account::Agreed {
        limit: Base::Known(Some(1)),
        ..Default::default()
    });
    let (mut in_crm, in_erp, mut in_billing) = copy(&seen);
    let mut in_erp = Failing(in_erp, true);
    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &agreed).about("A-1");
    let row = plan
        .state
        .review("A-1", "state", account::SYSTEMS.iter().copied())
        .expect("it is asked");
    let answers = account::Answers {
        state: Some(Answer::to(&row, Choice::Side(0), decision())),
        ..Default::default()
    };
    let refused = plan
        .apply(answers, &mut in_crm, &mut in_erp, &mut in_billing)
        .expect_err("no connection");
    assert_eq!(
        [refused.to_string(), cause_of(&refused)],
        [
            "a plan wants every system to take its changes, and \"erp\" did not: see to the \
                 cause, and plan again",
            "no connection"
        ]
    );
    assert_eq!(
        (in_crm.limit, in_erp.0.limit),
        (Slot::Value(2), Slot::Value(1)),
        "what was written stays"
    );

    in_erp.1 = false;
    let seen = copy(&(in_crm, in_erp.0, in_billing));
    let (mut in_crm, in_erp, mut in_billing) = copy(&seen);
    let mut in_erp = Failing(in_erp, false);
    let stopped = refused.into_value();
    let progress = stopped.bases;
    let why = "no connection".to_owned();
    assert_eq!(
        stopped.misfits[0].cause,
        AnswerError::Unchecked { why },
        "it can be given again"
    );
    let (one, two) = (Base::Known(Some(1)), Base::Known(Some(2)));
    assert_eq!(progress.limit.agreed, two);
    assert_eq!(progress.limit.confirmed, [two, one, two], "the ERP is behind");
    assert_eq!(progress.state.agreed, Base::Never, "its answer can be given again");

    // Meanwhile somebody edits what was written: that is no conflict with the write.
    let mut edited = copy(&seen);
    edited.0.limit = Slot::Value(7);
    let plan = account::reconcile(&edited.0, &edited.1, &edited.2, &progress);
    assert_eq!(plan.limit.question(), None);

    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &progress).about("A-1");
    let carried = plan
        .apply(stopped.misfit_answers, &mut in_crm, &mut in_erp, &mut in_billing)
        .expect("it is back");
    assert_eq!((in_erp.0.limit, in_erp.0.state), (Slot::Value(2), Slot::Value(4)));
    assert_eq!(
        (carried.bases.limit.agreed, carried.bases.state.agreed),
        (Base::Known(Some(2)), Base::Known(Some(4)))
    );
}

/// A store that says yes to checks, and has moved on when it is to write.
struct Overtaken(account::Snapshot<Erp>);

impl account::Store for Overtaken {
    type System = Erp;
    type Error = std::convert::Infallible;

    fn write(
        &mut self,
        changes: &account::Changes<'_, Erp>,
    ) -> Result<account::Taken, Self::Error> {
        let write = changes.state.as_ref();
        let is_check = write.is_some_and(Write::is_check);
        let is_lost = write.is_some_and(|write| write.lost().is_some());
        assert_eq!(is_lost, !is_check, "what is only looked at is not lost");
        let found = if is_check { changes.found_in(&self.0) } else { Found::MovedOn };
        Ok(found.into())
    }
}

/// Between its check and the write the ERP moves on: the answer was not carried out, and
/// comes back.
#[test]
fn an_answer_that_is_overtaken_is_given_back() {
    let mut seen = nothing_read();
    say!(seen, state: Slot::Value(4), Slot::Value(5), Slot::Value(4));
    let four = Base::Known(Some(4));
    let known = account::Agreed { state: four, ..Default::default() }.into();
    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &known).about("A-1");
    let row = plan.state.review("A-1", "state", account::SYSTEMS.iter().copied());
    let answer = Answer::to(&row.expect("it is asked"), Choice::Side(0), decision());
    let answers = account::Answers { state: Some(answer.clone()), ..Default::default() };
    let (mut in_crm, in_erp, mut in_billing) = copy(&seen);
    let carried = plan
        .apply(answers, &mut in_crm, &mut Overtaken(in_erp), &mut in_billing)
        .expect("it answers");
    assert_eq!(carried.moved_on, ["erp"]);
    assert_eq!(carried.misfits[0].cause, AnswerError::MovedOn);
    assert_eq!(carried.answers.state, Some(answer), "given back");
    assert_eq!(carried.bases.state.agreed, four, "and nothing has moved");
}

#[test]
fn a_shared_field_can_declare_what_is_made_of_two_edits() {
    let labels =
        |labels: &[&'static str]| Slot::Value(labels.iter().copied().collect::<Labels>());
    let mut seen = nothing_read();
    say!(seen, labels: labels(&["a", "b"]), labels(&["a", "c"]), labels(&["a"]));
    let agreed = account::Bases::from(account::Agreed {
        labels: Base::Known(Some(Labels::from(["a"]))),
        ..Default::default()
    });
    let union = |_: &Base<Labels>, edits: &[Option<&Labels>]| {
        Some(Content::Value(edits.iter().copied().flatten().flatten().copied().collect()))
    };
    let plan = || {
        let mut plan = account::reconcile(&seen.0, &seen.1, &seen.2, &agreed);
        plan.rules().labels.merge(union);
        plan
    };
    assert_eq!(plan().labels.verdict(), Verdict::Merge);
    assert_eq!(
        plan().next().labels.agreed,
        Base::Known(Some(Labels::from(["a", "b", "c"])))
    );
    let mut now = copy(&seen);
    let carried = plan()
        .apply(account::Answers::default(), &mut now.0, &mut now.1, &mut now.2)
        .expect("in memory");
    assert_eq!(
        [&now.0.labels, &now.1.labels, &now.2.labels],
        [&labels(&["a", "b", "c"]); 3]
    );
    assert_eq!(
        carried.bases.labels.agreed,
        Base::Known(Some(Labels::from(["a", "b", "c"])))
    );
    let mut kept = account::reconcile(&now.0, &now.1, &now.2, &carried.bases);
    kept.rules().labels.merge(|_, _| Some(Content::Empty));
    assert!(
        matches!(kept.labels.verdict(), Verdict::Agreed(_)),
        "where there is no conflict, nothing is merged"
    );
}

#[test]
fn debug_shows_no_value() {
    let mut seen = nothing_read();
    say!(seen, name: text("secret"), text("hidden"), Slot::Unread);
    let agreed = account::Bases::from(account::Agreed {
        name: Base::Known(None),
        ..Default::default()
    });
    let plan = account::reconcile(&seen.0, &seen.1, &seen.2, &agreed).about("A-1");
    let row = plan
        .name
        .review("A-1", "name", account::SYSTEMS.iter().copied())
        .expect("it is asked");
    let choice = Choice::Other(Some("secret".to_owned()));
    let answers = account::Answers {
        name: Some(Answer::to(&row, choice, decision())),
        ..Default::default()
    };
    let changes = plan.changes(&erp(), &answers).expect("it is asked");
    assert_eq!(
        changes.name.as_ref().and_then(|write| write.value()).map(String::as_str),
        Some("secret")
    );
    let shown = format!("{:?} {plan:?} {changes:?} {answers:?}", seen.0);
    assert!(
        shown.contains("Ask(Proposal)")
            && !shown.contains("secret")
            && !shown.contains("hidden"),
        "{shown}"
    );
}

#[test]
fn a_contract_of_one_word_is_the_same_as_one_that_says_it_for_each_field() {
    let builder = || Contract::builder("contact").system("crm").system("erp");
    let owned = |builder: integration_automation_patterns::sync::ContractBuilder| {
        builder.field(
            "email",
            integration_automation_patterns::sync::Authority::system("crm"),
        )
    };
    let all =
        owned(builder().non_owner_edits(NonOwnerEdits::Queue)).build().expect("sound");
    let each = owned(builder())
        .non_owner_edits_for("email", NonOwnerEdits::Queue)
        .build()
        .expect("sound");
    assert_eq!(all, each);
    assert_ne!(all, owned(builder()).build().expect("sound"));
}

/// Law 23, the answer: a deletion that is asked about follows a person's decision, and no
/// other way.
#[test]
fn what_becomes_of_a_record_is_settled_by_an_answer() {
    let all = [
        Existence::Unread,
        Existence::Gone,
        Existence::Everywhere,
        Existence::Local,
        Existence::Create,
        Existence::Delete,
        Existence::Detach,
        Existence::Ask,
    ];
    let rules = RecordRules::new(Deletions::Ask, 1);
    let plan = |says: [Presence<u8>; 2]| {
        let mut run = rules.run();
        let base = RecordBase::common(Existed::There, 2);
        run.plan((), says.to_vec(), &base, false).expect("one for each");
        run.finish().expect("one may be gone").remove(0).1
    };
    let [asked, quiet] =
        [plan([Presence::Absent, Presence::There(7)]), plan([Presence::There(7); 2])];
    assert_eq!(quiet.review("A-1", ["crm", "erp"]), None);
    let row = asked.review("A-1", ["crm", "erp"]).expect("it is asked");
    assert_eq!((row.question, row.field.as_deref()), (Question::Deletion, None));
    let sides =
        row.sides.iter().map(|side| (side.place, side.system.as_str(), side.value));
    assert_eq!(sides.collect::<Vec<_>>(), [(1, "erp", Some(7))]);
    for chosen in all {
        let can_be_done =
            matches!(chosen, Existence::Create | Existence::Delete | Existence::Detach);
        match asked.settle("A-1", &row, chosen, decision()) {
            Ok(settled) => {
                assert!(can_be_done, "{chosen:?}");
                let expected = (chosen, &decision());
                assert_eq!((settled.outcome(), settled.decision()), expected);
            }
            Err(refused) => {
                assert!(!can_be_done, "{chosen:?}");
                assert_eq!(refused.cause(), &RecordAnswerError::NothingToDo { chosen });
                assert_eq!(refused.into_value(), decision());
            }
        }
        let refused = quiet.settle("A-1", &row, chosen, decision());
        let refused = refused.expect_err("nothing is asked");
        assert_eq!(refused.cause(), &RecordAnswerError::NothingAsked);
    }

    // Law 48 for a whole record: another one, an edit since, another question.
    let merged = plan([Presence::Merged, Presence::There(7)]);
    let edited = plan([Presence::Absent, Presence::There(8)]);
    let cause = |plan: &RecordPlan<u8>, record: &str| {
        let refused = plan.settle(record, &row, Existence::Delete, decision());
        refused.expect_err("it does not fit").into_cause()
    };
    let (wanted, found) = ("A-2".to_owned(), "A-1".to_owned());
    assert_eq!(cause(&asked, "A-2"), RecordAnswerError::OtherRecord { wanted, found });
    assert_eq!(cause(&edited, "A-1"), RecordAnswerError::MovedOn);
    let (wanted, found) = (Question::Merged, Question::Deletion);
    assert_eq!(cause(&merged, "A-1"), RecordAnswerError::OtherQuestion { wanted, found });
}
