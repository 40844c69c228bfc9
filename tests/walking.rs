//! What is declared can be walked, copied, compared, extended and stored, by code that is
//! written once for every boundary; and nothing is demanded of a field's type before.

use std::collections::BTreeMap;

use integration_automation_patterns::sync::declared::{Includes, Visit};
use integration_automation_patterns::sync::{
    Answer, Authority, Base, Capability, Choice, Content, FieldPlan, Found, Kept,
    Question, Refusal, Review, Slot, System, Verdict, Write,
};
use integration_automation_patterns::{Decision, boundary};

mod systems {
    use super::{Capability, System};

    pub(super) enum Crm {}
    pub(super) enum Erp {}
    pub(super) struct Key(());

    impl System for Crm {
        const NAME: &'static str = "crm";
        type Key = Key;
    }

    impl System for Erp {
        const NAME: &'static str = "erp";
        type Key = Key;
    }

    pub(super) fn crm() -> Capability<Crm> {
        Capability::mint(&Key(()))
    }

    pub(super) fn erp() -> Capability<Erp> {
        Capability::mint(&Key(()))
    }
}

use systems::{Crm, Erp, crm, erp};

boundary! {
    mod contact between Crm and Erp {
        email: String => Crm,
        terms: u8 => Erp,
        nickname: String => Shared,
        r#type: char => Manual,
        excluded notes: String,
    }
}

/// What a field can be, and no more: no text, no order, no default, no stored form.
#[derive(Clone, PartialEq, Eq)]
struct Plain;

boundary! {
    mod plain between Crm and Erp {
        one: Plain => Crm,
    }
}

type Row = BTreeMap<&'static str, String>;

/// A row of texts, to be written or to be read.
struct Cells(Row);

impl<T: ToString> Visit<&Slot<T>> for Cells {
    fn visit(&mut self, field: &'static str, slot: &Slot<T>) {
        if let Slot::Value(value) = slot {
            self.0.insert(field, value.to_string());
        }
    }
}

impl<T: std::str::FromStr> Visit<&mut Slot<T>> for Cells {
    fn visit(&mut self, field: &'static str, slot: &mut Slot<T>) {
        if let Some(text) = self.0.get(field) {
            *slot = Slot::from(text.parse().ok());
        }
    }
}

/// A snapshot of any party.
fn read<S: System, At>(by: &Capability<S>, row: &Row) -> contact::Snapshot<S>
where
    contact::Parties: Includes<S, At>,
{
    let mut snapshot = contact::Snapshot::by(by);
    snapshot.each_mut(&mut Cells(row.clone()));
    snapshot
}

fn row(cells: [(&'static str, &str); 4]) -> Row {
    cells.map(|(field, text)| (field, text.to_owned())).into()
}

fn seen() -> (contact::Snapshot<Crm>, contact::Snapshot<Erp>) {
    let of_crm =
        [("email", "new@x.org"), ("terms", "30"), ("nickname", "Al"), ("type", "a")];
    let of_erp =
        [("email", "old@x.org"), ("terms", "30"), ("nickname", "Ali"), ("type", "b")];
    (read(&crm(), &row(of_crm)), read(&erp(), &row(of_erp)))
}

#[test]
fn a_row_is_a_snapshot_and_back() {
    let of_crm = seen().0;
    assert_eq!((of_crm.terms, of_crm.r#type), (Slot::Value(30), Slot::Value('a')));
    let mut cells = Cells(Row::new());
    of_crm.each(&mut cells);
    let fields = ["email", "nickname", "terms", "type"];
    assert_eq!(
        cells.0.keys().copied().collect::<Vec<_>>(),
        fields,
        "all, by their names"
    );
    assert_eq!(read(&crm(), &cells.0), of_crm);
}

/// What a plan does, in words.
#[derive(Default)]
struct Words(Vec<String>);

impl<T: ToString> Visit<FieldPlan<'_, T>> for Words {
    fn visit(&mut self, field: &'static str, plan: FieldPlan<'_, T>) {
        if let Verdict::Ask(question) = plan.verdict() {
            self.0.push(format!("{field}: {question}"));
        }
    }
}

impl<T: ToString> Visit<&Option<Write<'_, T>>> for Words {
    fn visit(&mut self, field: &'static str, write: &Option<Write<'_, T>>) {
        if let Some(value) = write.and_then(|write| write.value()) {
            self.0.push(format!("{field} := {}", value.to_string()));
        }
    }
}

impl<T: ToString> Visit<Review<T>> for Words {
    fn visit(&mut self, field: &'static str, row: Review<T>) {
        let row = row.map(|value| value.to_string());
        let sides = row.sides.iter().map(|side| side.value.as_deref().unwrap_or("-"));
        self.0.push(format!("{field}? {}", sides.collect::<Vec<_>>().join(" or ")));
    }
}

/// The rows of a queue in which every value is a text, and the answers to them.
#[derive(Default)]
struct Queue(Vec<Review<String>>, BTreeMap<String, Answer<String>>);

impl<T: ToString> Visit<Review<T>> for Queue {
    fn visit(&mut self, _field: &'static str, row: Review<T>) {
        self.0.push(row.map(ToString::to_string));
    }
}

impl<T: std::str::FromStr> Visit<&mut Option<Answer<T>>> for Queue {
    fn visit(&mut self, field: &'static str, answer: &mut Option<Answer<T>>) {
        let given = self.1.get(field).map(|given| given.try_map(|text| text.parse()));
        *answer = given.and_then(Result::ok);
    }
}

#[test]
fn plans_questions_answers_and_changes_are_walked() {
    let (of_crm, of_erp) = seen();
    let never = contact::Bases::default();
    let plan = contact::reconcile(&of_crm, &of_erp, &never).about("C-1");
    let mut words = Words::default();
    plan.each(&mut words);
    let manual = Question::Manual.to_string();
    assert_eq!(words.0[1..], [format!("type: {manual}")]);
    assert_eq!(
        words.0.len(),
        plan.verdicts().filter(|(_, v)| matches!(v, Verdict::Ask(_))).count()
    );

    let mut words = Words::default();
    plan.reviews("C-1", &mut words);
    assert_eq!(words.0, ["nickname? Al or Ali", "type? a or b"], "u8, char and String");

    let mut queue = Queue::default();
    plan.reviews("C-1", &mut queue);
    let decision = Decision::new("ada", "the customer confirmed").expect("not blank");
    let answers = Answer::to_each(&queue.0, &Choice::Side(0), &decision);
    let named = |answer: Answer<String>| Some((answer.seen().field.clone()?, answer));
    queue.1 = answers.filter_map(named).collect();
    let mut answers = contact::Answers::default();
    answers.each_mut(&mut queue);
    let to_erp = erp();
    let changes = plan.changes(&to_erp, &answers).expect("each was asked");
    let mut words = Words::default();
    changes.each(&mut words);
    assert_eq!(words.0, ["email := new@x.org", "nickname := Al", "type := a"]);
}

/// Protects an edit: after a system has moved on, the base of what was to be written to it
/// is as it was, for stores that carry the changes out themselves too.
#[test]
fn the_base_of_a_system_that_has_moved_on_is_as_it_was() {
    let (of_crm, of_erp) = seen();
    let never = contact::Bases::default();
    let plan = contact::reconcile(&of_crm, &of_erp, &never).about("C-1");
    let (to_erp, answers) = (erp(), contact::Answers::default());
    let changes = plan.changes(&to_erp, &answers).expect("nothing was answered");
    let mut meanwhile = of_erp.clone();
    meanwhile.email = Slot::Value("newer@x.org".to_owned());
    assert_eq!(changes.found_in(&meanwhile), Found::MovedOn);

    let nothing = contact::Refusals::default();
    let next =
        plan.next_after(&answers, &["erp"], &nothing).expect("nothing was answered");
    let new = Base::Known(Some("new@x.org".to_owned()));
    assert_eq!(next.email.confirmed, [new, Base::Never], "the ERP has yet to get it");
    assert_eq!(next.terms.agreed, Base::Known(Some(30)));
    let carried_out =
        plan.next_after(&answers, &[], &nothing).expect("nothing was answered");
    let error = plan.next_after(&answers, &["Erp"], &nothing).expect_err("no party");
    assert_eq!(error.to_string(), r#"a plan is between crm, erp, and found "Erp""#);
    assert_eq!(carried_out, plan.next());
    assert_ne!(carried_out, next);

    let mut refused = contact::Refusals::default();
    refused.email.add(Refusal::of(&changes.email.expect("a write"), "locked"));
    let without = plan.next_after(&answers, &[], &refused).expect("a party");
    assert_eq!(without.email, next.email, "what the ERP refused it has yet to get");
    assert_eq!(without.terms, carried_out.terms, "and the rest it has");
}

/// The order of a rule and of what was refused makes no difference: what the rule wants
/// and a system refuses is a question, and not silence.
#[test]
fn a_declared_plan_takes_rules_and_refusals_in_any_order() {
    let mut of_crm = contact::Snapshot::by(&crm());
    let mut of_erp = contact::Snapshot::by(&erp());
    (of_crm.nickname, of_erp.nickname) =
        (Slot::Value("Al".to_owned()), Slot::Value("Alan".to_owned()));
    let never = contact::Bases::default();
    let mut refused = contact::Refusals::default();
    for value in ["Al", "AlAlan"] {
        refused.nickname.add(Refusal {
            place: 1,
            value: Some(value.to_owned()),
            shown: Some("Alan".to_owned()),
            why: "locked".to_owned(),
        });
    }
    let asked = Some(Question::Refused);
    let plan = || contact::reconcile(&of_crm, &of_erp, &never);
    let mut before = plan().after_refusals(&refused);
    before.rules().nickname.prefer(0);
    let mut after = plan();
    after.rules().nickname.prefer(0);
    let after = after.after_refusals(&refused);
    assert_eq!((before.nickname.question(), after.nickname.question()), (asked, asked));
    assert_eq!(before.nickname.writes().count(), 0);

    let mut merged = plan().after_refusals(&refused);
    merged.rules().nickname.merge(|_, edits| {
        let all = edits.iter().flatten().map(|edit| edit.as_str());
        Some(Content::Value(all.collect::<String>()))
    });
    assert_eq!(merged.nickname.verdict(), Verdict::Merge, "the CRM takes it");
    let writes = merged.nickname.writes().map(|write| write.to());
    assert_eq!(writes.collect::<Vec<_>>(), [0], "and the ERP has refused it");
}

/// What is stored of a record's refusals and forms grows by what a run brought, field by
/// field, the latest of each.
#[test]
fn what_a_run_brought_is_added_to_what_is_stored() {
    let refusal = |why: &str| Refusal {
        place: 1,
        value: Some("new@x.org".to_owned()),
        shown: None,
        why: why.to_owned(),
    };
    let kept = |held| Kept { place: 0, written: Some(30), held: Some(held) };
    let (mut refused, mut forms) =
        (contact::Refusals::default(), contact::KeptForms::default());
    for (why, held) in [("locked", 29), ("too long", 28)] {
        let (mut more, mut of_run) =
            (contact::Refusals::default(), contact::KeptForms::default());
        more.email.add(refusal(why));
        of_run.terms.add(kept(held));
        refused.add(more);
        forms.add(of_run);
    }
    assert_eq!(refused.email.as_slice(), [refusal("too long")]);
    assert_eq!(forms.terms.as_slice(), [kept(28)]);
}

#[test]
fn a_declared_contract_is_extended_by_fields_of_the_run() {
    let contract = contact::contract_builder()
        .field("region", Authority::system("erp"))
        .build()
        .expect("sound");
    assert!(contract.is_synced("email") && contract.is_synced("region"));
    let (crm, erp) = (Slot::Value("north"), Slot::Value("south"));
    let (slots, base) = ([&crm, &erp], Base::Never);
    let plan = contract.plan("region", &slots, &base).expect("exchanged");
    assert_eq!(plan.verdict(), Verdict::Write(1));
    let again = contact::contract_builder().field("email", Authority::Shared).build();
    assert!(again.is_err(), "what is declared stands");
}

#[test]
fn nothing_more_is_demanded_of_a_type_than_to_be_equal_and_copied() {
    let mut of_crm = plain::Snapshot::by(&crm());
    of_crm.edit(plain::edit(&crm()).one(Plain));
    let of_erp = plain::Snapshot::by(&erp());
    assert!(of_crm.clone() == of_crm, "a snapshot is what it is a copy of");
    let agreed = plain::Agreed::default();
    let known = agreed.clone().into();
    let plan = plain::reconcile(&of_crm, &of_erp, &known);
    assert_eq!(plan.one.verdict(), Verdict::Agreed(0));
    assert_eq!(
        format!("{of_crm:?} {agreed:?}"),
        "Snapshot { system: \"crm\", .. } Agreed { .. }"
    );
}

#[cfg(feature = "serde")]
mod stored {
    use super::*;

    fn agreed() -> contact::Agreed {
        let (email, terms) = (Base::Known(Some("a@x.org".to_owned())), Base::Known(None));
        contact::Agreed { email, terms, ..Default::default() }
    }

    #[test]
    fn what_was_agreed_and_said_is_stored_by_the_names_of_the_fields() {
        let json = serde_json::to_string(&agreed()).expect("JSON");
        assert_eq!(
            json,
            r#"{"email":{"known":"a@x.org"},"terms":{"known":null},"nickname":"never","type":"never"}"#
        );
        assert_eq!(
            serde_json::from_str::<contact::Agreed>(&json).expect("ours"),
            agreed()
        );
        let bytes = postcard::to_stdvec(&agreed()).expect("bytes");
        assert_eq!(
            postcard::from_bytes::<contact::Agreed>(&bytes).expect("ours"),
            agreed()
        );

        let of_crm = seen().0;
        let json = serde_json::to_string(&*of_crm).expect("JSON");
        let mut again = contact::Snapshot::by(&crm());
        *again = serde_json::from_str(&json).expect("ours");
        assert_eq!(
            again, of_crm,
            "a snapshot comes back through its system's capability"
        );
    }

    #[test]
    fn a_field_that_is_missing_was_never_agreed_on_and_a_strange_one_is_an_error() {
        let read = |json| serde_json::from_str::<contact::Agreed>(json);
        assert_eq!(read("{}").expect("nothing stored"), contact::Agreed::default());
        let error = |json| read(json).expect_err("not ours").to_string();
        let strange = error(r#"{"phone":"never"}"#);
        assert!(
            strange.starts_with("unknown field `phone`, expected one of `email`"),
            "{strange}"
        );
        let twice = error(r#"{"terms":"never","terms":{"known":7}}"#);
        assert!(twice.starts_with(r#"the field "terms" twice"#), "{twice}");
        let other = error(r#"{"terms":{"known":"thirty"}}"#);
        assert!(other.contains("expected u8"), "{other}");
    }
}

/// A row of SQLite under the declaration: names that SQL would read otherwise, a system
/// that has moved on, and what a table does not have.
#[cfg(feature = "sqlite")]
mod table_row {
    use integration_automation_patterns::sync::sqlite::TableRow;
    use integration_automation_patterns::sync::{Capability, Found, Slot, System};
    use rusqlite::Connection;

    pub(crate) enum Crm {}
    pub(crate) enum Erp {}
    pub(crate) struct Key(());

    impl System for Crm {
        const NAME: &'static str = "crm";
        type Key = Key;
    }

    impl System for Erp {
        const NAME: &'static str = "erp";
        type Key = Key;
    }

    integration_automation_patterns::boundary! {
        mod sale between Crm and Erp {
            order: String => Crm,
            group: u32 => Crm,
        }
    }

    const TABLE: &str = "a \"select\"";

    fn database(columns: &str) -> Connection {
        let db = Connection::open_in_memory().expect("in memory");
        let name = TABLE.replace('"', "\"\"");
        db.execute_batch(&format!(
            "CREATE TABLE \"{name}\" (\"where\" TEXT, {columns});
             INSERT INTO \"{name}\" VALUES ('1', 'old', 3), ('2', 'old', 3)"
        ))
        .expect("a table");
        db
    }

    fn read(row: TableRow<'_>) -> rusqlite::Result<sale::Snapshot<Erp>> {
        let mut erp = sale::Snapshot::by(&Capability::mint(&Key(())));
        row.read(|columns| erp.each_mut(columns)).map(|()| erp)
    }

    #[test]
    fn a_row_is_written_whole_or_not_at_all() {
        let db = database("\"order\" TEXT, \"group\" INTEGER");
        let row = TableRow::new(&db, TABLE, ("where", &"1"));
        let mut crm = sale::Snapshot::by(&Capability::mint(&Key(())));
        (crm.order, crm.group) = (Slot::Value("new".to_owned()), Slot::Empty);
        let agreed = sale::Agreed {
            group: integration_automation_patterns::sync::Base::Known(Some(3)),
            ..Default::default()
        };
        let (seen, known) = (read(row).expect("a row"), agreed.into());
        let plan = sale::reconcile(&crm, &seen, &known);
        let answers = sale::Answers::default();
        let changes = plan.changes(&Capability::mint(&Key(())), &answers);
        let changes = changes.expect("no answers");
        let write = || {
            let found = |now: &_| changes.found_in(now);
            row.write(|| read(row), found, |update| changes.each(update))
                .map(|written| written.found)
        };

        let name = TABLE.replace('"', "\"\"");
        let set = |group: u32| {
            let sql = format!("UPDATE \"{name}\" SET \"group\" = {group}");
            db.execute(&sql, []).expect("a row")
        };
        set(4); // meanwhile
        assert_eq!(write().expect("it answers"), Found::MovedOn);
        let now = read(row).expect("a row");
        assert_eq!((&now.order, &now.group), (&seen.order, &Slot::Value(4)));

        set(3);
        assert_eq!(write().expect("it answers"), Found::AsExpected);
        let now = read(row).expect("a row");
        assert_eq!((&now.order, &now.group), (&crm.order, &crm.group));
        assert_eq!(write().expect("it answers"), Found::AlreadyWritten);
        let other = TableRow::new(&db, TABLE, ("where", &"2"));
        assert!(read(other).expect("a row") == seen, "one row alone");

        let twice =
            format!("UPDATE \"{name}\" SET \"where\" = 1, \"order\" = ?1, \"group\" = 3");
        db.execute(&twice, [seen.order.value()]).expect("a row");
        let refused = Err(rusqlite::Error::StatementChangedRows(2));
        assert_eq!(write(), refused, "its key names two rows");
        assert!(read(row).expect("a row") == seen, "neither is changed");
    }

    /// A row as a store: it is written as the plan says, and by nobody who has not seen
    /// what it holds.
    #[test]
    fn a_row_is_the_store_of_its_system() {
        let db = database("\"order\" TEXT, \"group\" INTEGER");
        let erp = Capability::<Erp>::mint(&Key(()));
        let mut in_erp = TableRow::new(&db, TABLE, ("where", &"1")).of(&erp);
        let mut crm = sale::Snapshot::by(&Capability::<Crm>::mint(&Key(())));
        crm.order = Slot::Value("new".to_owned());
        let known = sale::Bases::default();
        let name = TABLE.replace('"', "\"\"");
        let set = format!("UPDATE \"{name}\" SET \"order\" = ?1");
        for meanwhile in [Some("meanwhile"), None] {
            let (seen, mut in_crm) = (in_erp.read().expect("a row"), crm.clone());
            let plan = sale::reconcile(&crm, &seen, &known);
            if let Some(order) = meanwhile {
                db.execute(&set, [order]).expect("a row");
            }
            let carried = plan.apply(sale::Answers::default(), &mut in_crm, &mut in_erp);
            let moved_on = carried.expect("it answers").moved_on;
            assert_eq!(moved_on.contains(&"erp"), meanwhile.is_some());
        }
        let now: sale::Snapshot<Erp> = in_erp.read().expect("a row");
        assert_eq!((&now.order, &now.group), (&crm.order, &Slot::Value(3)));
        assert_eq!(
            format!("{in_erp:?}"),
            r#"SystemRow { system: "erp", table: "a \"select\"", .. }"#
        );
    }

    /// The key and the values may be what no log should hold.
    #[test]
    fn a_row_shows_its_names_and_no_value() {
        let db = database("\"order\" TEXT, \"group\" INTEGER");
        let row = TableRow::new(&db, TABLE, ("where", &"1"));
        assert_eq!(format!("{row:?}"), format!("TableRow {{ table: {TABLE:?}, .. }}"));
        let mut shown = Vec::new();
        row.read(|columns| shown.push(format!("{columns:?}"))).expect("a row");

        let mut crm = sale::Snapshot::by(&Capability::mint(&Key(())));
        crm.order = Slot::Value("new".to_owned());
        let (seen, known) = (read(row).expect("a row"), sale::Bases::default());
        let plan = sale::reconcile(&crm, &seen, &known);
        let answers = sale::Answers::default();
        let changes = plan.changes::<Erp, _>(&Capability::mint(&Key(())), &answers);
        let changes = changes.expect("no answers");
        let walk = |update: &mut _| {
            changes.each(update);
            shown.push(format!("{update:?}"));
        };
        row.write(|| Ok(()), |()| Found::AsExpected, walk).expect("it answers");
        assert_eq!(shown, ["Columns { .. }", r#"Update { columns: ["order"], .. }"#]);
    }

    #[test]
    fn what_the_table_does_not_have_is_an_error() {
        let db = database("\"order\" TEXT, other INTEGER");
        let error = read(TableRow::new(&db, TABLE, ("where", &"1"))).map(drop);
        assert!(error.is_err_and(|error| error.to_string().contains("group")));
        let none = TableRow::new(&db, TABLE, ("where", &"3"));
        assert_eq!(read(none).map(drop), Err(rusqlite::Error::QueryReturnedNoRows));
    }
}

/// Protects what rows and walks are for: two tables, a queue and the answers in it are not
/// much more than what is said of them. Each outcome is in it: progress that is kept when a
/// store fails or the program dies, what was overridden, refused and kept, the reason of an
/// answer that comes back, and an answer that lasts.
#[cfg(all(feature = "serde", feature = "sqlite"))]
#[path = "../examples/two_tables/main.rs"]
mod two_tables;

#[cfg(all(feature = "serde", feature = "sqlite"))]
#[test]
fn two_tables_are_kept_in_step_by_two_pages() {
    two_tables::main().expect("in step");
    let program = include_str!("../examples/two_tables/sync.rs").lines().map(str::trim);
    let count =
        program.filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    assert!(count <= 150, "{count} lines, with the imports and the declaration");
}
