//! A row of SQLite under a declared boundary: what the table makes of a value, refuses or
//! calls otherwise, and whose record the row is.
#![cfg(feature = "sqlite")]

use std::error::Error;

use integration_automation_patterns::sync::sqlite::{RowError, SystemRow, TableRow};
use integration_automation_patterns::sync::{
    Answer, ApplyError, Base, Capability, Choice, Question, Slot, System, Verdict,
};
use integration_automation_patterns::{Decision, boundary};
use rusqlite::Connection;

pub(crate) enum Ward {}
pub(crate) enum Billing {}
pub(crate) struct Key(());

impl System for Ward {
    const NAME: &'static str = "ward";
    type Key = Key;
}

impl System for Billing {
    const NAME: &'static str = "billing";
    type Key = Key;
}

boundary! {
    mod patient between Ward and Billing {
        name: String => Ward,
        phone: String => Shared,
        since: u32 => Ward,
        until: u32 => Ward,
        insurer: String => Billing,
        status: String => Manual,
    }
}

const COLUMNS: &str = "id TEXT, name TEXT, phone TEXT, since INTEGER, until INTEGER, \
                       insurer TEXT, status TEXT";

/// A table of patients: its columns, and what else it does.
fn database(columns: &str, more: &str) -> Connection {
    let db = Connection::open_in_memory().expect("in memory");
    db.execute_batch(&format!(
        "CREATE TABLE patient ({columns});
         INSERT INTO patient VALUES ('P1', 'Ada', '1', 1, 2, 'AOK', 'in'),
                                    ('P2', 'Bob', '2', 1, 2, 'TK', 'in');
         {more}"
    ))
    .expect("a table");
    db
}

fn row<'t, S: System<Key = Key>>(db: &'t Connection, id: &'t &str) -> SystemRow<'t, S> {
    TableRow::new(db, "patient", ("id", id)).of(&Capability::mint(&Key(())))
}

fn set(db: &Connection, what: &str) {
    db.execute(&format!("UPDATE patient SET {what} WHERE id = 'P1'"), []).expect("a row");
}

/// The text of a column of the first patient.
fn shown(db: &Connection, column: &str) -> Option<String> {
    let select = format!("SELECT CAST({column} AS TEXT) FROM patient WHERE id = 'P1'");
    db.query_row(&select, [], |row| row.get(0)).expect("a row")
}

/// What is stored between runs.
#[derive(Default)]
struct Hub {
    known: patient::Bases,
    refused: patient::Refusals,
    kept: patient::KeptForms,
    answers: patient::Answers,
}

/// What a run came to: the verdicts that something follows from, and the edits that it
/// overrode.
#[derive(Debug, PartialEq)]
struct Run {
    news: Vec<(&'static str, Verdict)>,
    overridden: usize,
}

impl Hub {
    /// Plans and writes the first patient, and stores what came of it.
    fn run(
        &mut self,
        ward: &Connection,
        billing: &Connection,
    ) -> Result<Run, ApplyError> {
        let (mut in_ward, mut in_billing) =
            (row::<Ward>(ward, &"P1"), row(billing, &"P1"));
        let of_ward: patient::Snapshot<Ward> = in_ward.read().expect("a row");
        let of_billing: patient::Snapshot<Billing> = in_billing.read().expect("a row");
        let of_ward = of_ward.as_kept(&self.kept, &self.known);
        let of_billing = of_billing.as_kept(&self.kept, &self.known);
        let plan = patient::reconcile(&of_ward, &of_billing, &self.known).about("P1");
        let plan = plan.after_refusals(&self.refused);
        let quiet = |verdict: &Verdict| !matches!(verdict, Verdict::Agreed(_));
        let news = plan.verdicts().filter(|(_, verdict)| quiet(verdict)).collect();
        let overridden =
            plan.name.writes().filter(|write| write.lost().is_some()).count()
                + plan.phone.writes().filter(|write| write.lost().is_some()).count();
        let answers = std::mem::take(&mut self.answers);
        let carried = plan.apply(answers, &mut in_ward, &mut in_billing);
        let carried = carried.map_err(|stopped| stopped.into_cause())?;
        assert_eq!(carried.misfits, []);
        self.known = carried.bases;
        for form in carried.kept.name.as_slice() {
            self.kept.name.add(form.clone());
        }
        for form in carried.kept.phone.as_slice() {
            self.kept.phone.add(form.clone());
        }
        for refusal in carried.refused.phone.as_slice() {
            self.refused.phone.add(refusal.clone());
        }
        for refusal in carried.refused.since.as_slice() {
            self.refused.since.add(refusal.clone());
        }
        Ok(Run { news, overridden })
    }

    /// A hub whose two systems have agreed.
    fn of(ward: &Connection, billing: &Connection) -> Self {
        let mut hub = Self::default();
        let first = hub.run(ward, billing).expect("in memory");
        assert_eq!(first, Run { news: vec![], overridden: 0 });
        hub
    }
}

const CUTS: &str = "CREATE TRIGGER cut AFTER UPDATE ON patient
    WHEN length(NEW.name) > 5 OR length(NEW.phone) > 5 BEGIN
    UPDATE patient SET name = substr(NEW.name, 1, 5), phone = substr(NEW.phone, 1, 5)
    WHERE id = NEW.id; END;";

/// Protects the full value: a form that a trigger makes is kept, is nobody's edit, is not
/// written again, and a later value still arrives.
#[test]
fn what_a_trigger_cuts_is_cut_in_its_own_table_alone() {
    let (ward, billing) = (database(COLUMNS, ""), database(COLUMNS, CUTS));
    let mut hub = Hub::of(&ward, &billing);
    set(&ward, "name = 'Ada Lovelace', phone = '1234567890'");
    let run = hub.run(&ward, &billing).expect("it answers");
    assert_eq!(run.news.len(), 2);
    assert_eq!(shown(&billing, "phone").as_deref(), Some("12345"), "as it cuts");
    for _ in 0..2 {
        let run = hub.run(&ward, &billing).expect("it answers");
        assert_eq!(run, Run { news: vec![], overridden: 0 });
    }

    set(&ward, "name = 'Ada King', phone = '1234599999'");
    let run = hub.run(&ward, &billing).expect("it answers");
    assert_eq!(
        (run.news.len(), run.overridden),
        (2, 0),
        "the cut form is what it expects"
    );
    let run = hub.run(&ward, &billing).expect("it answers");
    assert_eq!(run, Run { news: vec![], overridden: 0 });
    let now =
        ["name", "phone"].map(|column| [&ward, &billing].map(|db| shown(db, column)));
    let expected = [["Ada King", "Ada K"], ["1234599999", "12345"]];
    assert_eq!(now, expected.map(|of| of.map(|text| Some(text.to_owned()))));

    // Somebody's edit of the cut form is one still.
    set(&billing, "phone = '777'");
    hub.run(&ward, &billing).expect("it answers");
    assert_eq!(shown(&ward, "phone").as_deref(), Some("777"));
}

/// Protects the record: a value that its column makes unreadable would end every later
/// run.
#[test]
fn what_cannot_be_read_again_is_not_written() {
    let integer = COLUMNS.replace("phone TEXT", "phone INTEGER");
    let (ward, billing) = (database(COLUMNS, ""), database(&integer, ""));
    billing.execute("UPDATE patient SET phone = NULL", []).expect("a table");
    set(&ward, "phone = '007'");
    let stopped = Hub::default().run(&ward, &billing).expect_err("a number is no text");
    let cause = stopped.source().and_then(Error::source).expect("SQLite's").to_string();
    assert!(cause.contains("phone") && cause.contains("Integer"), "{cause}");
    assert_eq!(shown(&billing, "phone"), None);
    assert_eq!(shown(&billing, "name").as_deref(), Some("Ada"));
}

/// Every way in which a table refuses a value: the other fields are written, and the
/// refused one is asked about in SQLite's words, and not tried again.
#[test]
fn what_the_table_refuses_stops_no_other_field_and_is_asked() {
    let column = |rule: &str| {
        (COLUMNS.replace("phone TEXT", &format!("phone TEXT {rule}")), String::new())
    };
    let trigger = "CREATE TRIGGER locked BEFORE UPDATE OF phone ON patient
        WHEN NEW.phone = '2' BEGIN SELECT RAISE(ABORT, 'the phone is locked'); END;";
    let strict = "CREATE TABLE other (phone INTEGER) STRICT;
        CREATE TRIGGER typed BEFORE UPDATE OF phone ON patient WHEN NEW.phone = 'none'
        BEGIN INSERT INTO other VALUES (NEW.phone); END;";
    let rules = [
        (column("CHECK (phone NOT LIKE '0%')"), "'0123'", "CHECK constraint failed"),
        (column("NOT NULL"), "NULL", "NOT NULL constraint failed: patient.phone"),
        (column("UNIQUE"), "'2'", "UNIQUE constraint failed: patient.phone"),
        ((COLUMNS.to_owned(), trigger.to_owned()), "'2'", "the phone is locked"),
        ((COLUMNS.to_owned(), strict.to_owned()), "'none'", "cannot store TEXT value"),
    ];
    for ((columns, more), phone, words) in rules {
        let (ward, billing) = (database(COLUMNS, ""), database(&columns, &more));
        let mut hub = Hub::of(&ward, &billing);
        set(&ward, &format!("name = 'Ada L', phone = {phone}, until = 7"));
        set(&billing, "insurer = 'TK'");
        hub.run(&ward, &billing).expect("a rule of the table is no failure");
        assert_eq!(shown(&billing, "name").as_deref(), Some("Ada L"), "{words}");
        assert_eq!(shown(&billing, "until").as_deref(), Some("7"), "{words}");
        assert_eq!(shown(&billing, "phone").as_deref(), Some("1"), "{words}");
        assert_eq!(shown(&ward, "insurer").as_deref(), Some("TK"), "{words}");
        let refusals = hub.refused.phone.as_slice();
        let why = &refusals.first().expect("it is refused").why;
        assert!(why.contains(words), "{why}");

        let before = billing.total_changes();
        let again = hub.run(&ward, &billing).expect("it answers");
        assert_eq!(again.news, [("phone", Verdict::Ask(Question::Refused))], "{words}");
        assert_eq!(billing.total_changes(), before, "it is not tried again");
    }
}

/// Which fields are refused makes no difference to the others.
#[test]
fn every_field_that_is_not_refused_is_written() {
    let rule = "name TEXT CHECK (name <> 'no'), phone TEXT CHECK (phone <> 'no')";
    let columns = COLUMNS.replace("name TEXT, phone TEXT", rule);
    let columns = columns.replace("since INTEGER", "since INTEGER CHECK (since <> 99)");
    for bad in 0..8 {
        let (ward, billing) = (database(COLUMNS, ""), database(&columns, ""));
        let mut hub = Hub::of(&ward, &billing);
        let [name, phone] = [1, 2].map(|bit| if bad & bit == 0 { "yes" } else { "no" });
        let since = if bad & 4 == 0 { 7 } else { 99 };
        set(&ward, &format!("name = '{name}', phone = '{phone}', since = {since}"));
        hub.run(&ward, &billing).expect("it answers");
        let or =
            |new: &str, old: &str| Some(if new == "yes" { new } else { old }.to_owned());
        assert_eq!(shown(&billing, "name"), or(name, "Ada"), "{bad}");
        assert_eq!(shown(&billing, "phone"), or(phone, "1"), "{bad}");
        let since = if since == 7 { "7" } else { "1" };
        assert_eq!(shown(&billing, "since").as_deref(), Some(since), "{bad}");
        assert_eq!(hub.known.name.agreed, Base::Known(Some(name.to_owned())), "{bad}");
    }
}

/// Two fields that a rule allows only together are written, though a third is refused.
#[test]
fn a_field_that_waits_for_another_is_written_after_it() {
    let columns = format!("{COLUMNS}, CHECK (since <= until), CHECK (phone <> 'no')");
    let (ward, billing) = (database(COLUMNS, ""), database(&columns, ""));
    let mut hub = Hub::of(&ward, &billing);
    set(&ward, "since = 5, until = 9, phone = 'no'");
    hub.run(&ward, &billing).expect("it answers");
    let now = ["since", "until", "phone"].map(|column| shown(&billing, column));
    assert_eq!(now, ["5", "9", "1"].map(|text| Some(text.to_owned())));
    assert_eq!(hub.refused.since.as_slice(), []);
}

/// What is no refusal of a value stays an error, and writes nothing.
#[test]
fn a_failure_of_the_whole_record_is_an_error() {
    // The constraint itself rolls the transaction back: no field can be written after it.
    let rolls_back = "CREATE TRIGGER never BEFORE UPDATE OF phone ON patient
        WHEN NEW.phone = 'no' BEGIN SELECT RAISE(ROLLBACK, 'never'); END;";
    let (ward, billing) = (database(COLUMNS, ""), database(COLUMNS, rolls_back));
    let mut hub = Hub::of(&ward, &billing);
    set(&ward, "name = 'Ada L', phone = 'no'");
    let stopped = hub.run(&ward, &billing).expect_err("rolled back");
    let cause = stopped.source().expect("the row's");
    assert_eq!(cause.source().expect("SQLite's").to_string(), "never");
    assert_eq!(shown(&billing, "name").as_deref(), Some("Ada"));
    assert!(billing.is_autocommit());

    let missing = COLUMNS.replace(", phone TEXT", "");
    let lacking = Connection::open_in_memory().expect("in memory");
    lacking.execute_batch(&format!("CREATE TABLE patient ({missing})")).expect("a table");
    let read = row::<Billing>(&lacking, &"P1").read::<patient::Snapshot<Billing>>();
    assert!(read.is_err(), "no row, and no column");
}

/// In a transaction of the program's own, such as a handler of the inbox has, the changes
/// are part of it: committed and rolled back with it, refusals and all.
#[test]
fn in_an_open_transaction_the_changes_are_part_of_it() {
    let columns = COLUMNS.replace("phone TEXT", "phone TEXT CHECK (phone <> 'no')");
    for commits in [true, false] {
        let (ward, mut billing) = (database(COLUMNS, ""), database(&columns, ""));
        let mut hub = Hub::of(&ward, &billing);
        set(&ward, "name = 'Ada L', phone = 'no'");
        let transaction = billing.transaction().expect("it begins");
        transaction.execute("UPDATE patient SET insurer = 'TK'", []).expect("rows");
        hub.run(&ward, &transaction).expect("a savepoint");
        assert!(!transaction.is_autocommit(), "it is open still");
        assert_eq!(hub.refused.phone.as_slice().len(), 1);
        if commits {
            transaction.commit().expect("ours to commit");
        } else {
            transaction.rollback().expect("ours to roll back");
        }
        let [name, insurer] = if commits { ["Ada L", "TK"] } else { ["Ada", "AOK"] };
        assert_eq!(shown(&billing, "name").as_deref(), Some(name));
        assert_eq!(shown(&billing, "insurer").as_deref(), Some(insurer));
    }

    // An error undoes the savepoint alone.
    let integer = COLUMNS.replace("phone TEXT", "phone INTEGER");
    let (ward, mut billing) = (database(COLUMNS, ""), database(&integer, ""));
    billing.execute("UPDATE patient SET phone = NULL", []).expect("a table");
    set(&ward, "name = 'Ada L', phone = '007'");
    let transaction = billing.transaction().expect("it begins");
    transaction.execute("UPDATE patient SET insurer = 'TK'", []).expect("rows");
    Hub::default().run(&ward, &transaction).expect_err("it cannot be read again");
    transaction.commit().expect("ours to commit");
    assert_eq!(shown(&billing, "name").as_deref(), Some("Ada"));
    assert_eq!(shown(&billing, "insurer").as_deref(), Some("TK"));
}

/// Protects a patient from another's telephone: the plan of one record is not carried out
/// on the row of another, whatever kind of key it has.
#[test]
fn a_row_takes_no_changes_about_another_record() {
    let (ward, billing) = (database(COLUMNS, ""), database(COLUMNS, ""));
    set(&ward, "phone = '111'");
    let known = Hub::of(&database(COLUMNS, ""), &database(COLUMNS, "")).known;
    let carry_out = |about: Option<&str>, table: TableRow<'_>| {
        let (mut in_ward, in_billing) = (row::<Ward>(&ward, &"P1"), row(&billing, &"P1"));
        let of_ward: patient::Snapshot<Ward> = in_ward.read().expect("a row");
        let of_billing: patient::Snapshot<Billing> = in_billing.read().expect("a row");
        let plan = patient::reconcile(&of_ward, &of_billing, &known);
        let plan = about.into_iter().fold(plan, |plan, record| plan.about(record));
        let mut target = table.of(&Capability::<Billing>::mint(&Key(())));
        let carried = plan.apply(patient::Answers::default(), &mut in_ward, &mut target);
        carried.map(|carried| carried.moved_on).map_err(|stopped| stopped.into_cause())
    };
    let of = |key: &'static dyn rusqlite::ToSql| {
        TableRow::new(&billing, "patient", ("id", key))
    };
    let why = |stopped: ApplyError| match stopped {
        ApplyError::Store { system: "billing", cause } => cause.downcast::<RowError>(),
        other => panic!("{other}"),
    };
    let (p2, seven, blob) = (&"P2", &7, b"P2");
    let refused = |about, table| {
        let stopped = carry_out(about, table).expect_err("another record");
        let other = why(stopped).expect("the row's own");
        assert_eq!(shown(&billing, "phone").as_deref(), Some("1"), "nothing is written");
        *other
    };
    for table in [of(p2), of(seven), of(p2).about("P3")] {
        let RowError::OtherRecord { record, .. } = refused(Some("P1"), table) else {
            panic!("it is another record's")
        };
        assert_eq!(record, "P1");
    }
    let unnamed = refused(None, of(&"P1").about("P1"));
    assert!(matches!(unnamed, RowError::NoRecord { .. }), "{unnamed}");

    // A key that is no id is not compared, and one that the program names is its word.
    let no_row = why(carry_out(Some("P1"), of(blob)).expect_err("there is no such row"));
    assert!(matches!(*no_row.expect("the row's own"), RowError::Sqlite(_)));
    let named = carry_out(Some("patient/1"), of(&"P1").about("patient/1"));
    assert_eq!(named.expect("it is the record's"), Vec::<&str>::new());
    assert_eq!(shown(&billing, "phone").as_deref(), Some("111"));
}

/// Two systems seldom agree on the names of columns: a row says its own, or a view does.
#[test]
fn a_table_calls_its_columns_as_it_likes() {
    let ward = database(COLUMNS, "");
    let billing = Connection::open_in_memory().expect("in memory");
    let columns = COLUMNS.replace("phone", "tel").replace("since", "\"from\"");
    billing
        .execute_batch(&format!(
            "CREATE TABLE debtor ({columns});
             INSERT INTO debtor VALUES ('P1', 'Ada', '1', 1, 2, 'AOK', 'in');
             CREATE VIEW patient AS SELECT id, name, tel AS phone, \"from\" AS since,
                 until, insurer, status FROM debtor;
             CREATE TRIGGER through INSTEAD OF UPDATE ON patient BEGIN
                 UPDATE debtor SET name = NEW.name, tel = NEW.phone, \"from\" = NEW.since
                 WHERE id = NEW.id; END;"
        ))
        .expect("a table");
    let names = [("phone", "tel"), ("since", "from")];
    let table = TableRow::new(&billing, "debtor", ("id", &"P1"));
    let view = TableRow::new(&billing, "patient", ("id", &"P1"));
    let mut known = patient::Bases::default();
    for (phone, target) in [("'3'", table.columns(&names)), ("'4'", view)] {
        set(&ward, &format!("phone = {phone}"));
        let mut in_ward = row::<Ward>(&ward, &"P1");
        let mut in_billing = target.of(&Capability::<Billing>::mint(&Key(())));
        let of_ward: patient::Snapshot<Ward> = in_ward.read().expect("a row");
        let of_billing: patient::Snapshot<Billing> = in_billing.read().expect("a row");
        let mut plan = patient::reconcile(&of_ward, &of_billing, &known).about("P1");
        plan.rules().phone.prefer(0);
        let carried =
            plan.apply(patient::Answers::default(), &mut in_ward, &mut in_billing);
        known = carried.expect("it answers").bases;
        let tel = "SELECT quote(tel) FROM debtor";
        let tel: String = billing.query_row(tel, [], |row| row.get(0)).expect("a row");
        assert_eq!(tel, phone);
    }
    let misspelt = table.columns(&[("phone", "tel"), ("since", "from"), ("fone", "tel")]);
    let misspelt = misspelt.of(&Capability::<Billing>::mint(&Key(())));
    let refused = misspelt.read::<patient::Snapshot<Billing>>().map(drop);
    assert_eq!(refused, Err(rusqlite::Error::InvalidColumnName("fone".to_owned())));
}

/// A system that keeps some of the fields is a party all the same: it gets those, and no
/// plan waits for the others.
#[test]
fn a_table_may_lack_fields() {
    let ward = database(COLUMNS, "");
    let billing = Connection::open_in_memory().expect("in memory");
    billing
        .execute_batch(
            "CREATE TABLE patient (id TEXT, name TEXT, phone TEXT, insurer TEXT, status TEXT);
             INSERT INTO patient VALUES ('P1', 'Ada', '1', 'AOK', 'in')",
        )
        .expect("a table");
    set(&ward, "name = 'Ada L', since = 7");
    let table = TableRow::new(&billing, "patient", ("id", &"P1"));
    let known = patient::Bases::default();
    let mut in_ward = row::<Ward>(&ward, &"P1");
    let mut in_billing =
        table.without(&["since", "until"]).of(&Capability::<Billing>::mint(&Key(())));
    let of_ward: patient::Snapshot<Ward> = in_ward.read().expect("a row");
    let of_billing: patient::Snapshot<Billing> = in_billing.read().expect("a row");
    let plan = patient::reconcile(&of_ward, &of_billing, &known).about("P1");
    let carried = plan.apply(patient::Answers::default(), &mut in_ward, &mut in_billing);
    let bases = carried.expect("it answers").bases;
    assert_eq!(shown(&billing, "name").as_deref(), Some("Ada L"));
    assert_eq!(bases.since.agreed, Base::Known(Some(7)), "nobody waits for it");

    let misspelt = table.without(&["since", "until", "from"]);
    let misspelt = misspelt.of(&Capability::<Billing>::mint(&Key(())));
    let refused = misspelt.read::<patient::Snapshot<Billing>>().map(drop);
    assert_eq!(refused, Err(rusqlite::Error::InvalidColumnName("from".to_owned())));
}

/// An answer is checked, written and refused in a row as in any store.
#[test]
fn an_answer_that_the_table_refuses_is_asked_in_its_words() {
    let columns = COLUMNS.replace("status TEXT", "status TEXT CHECK (status <> 'dead')");
    let (ward, billing) = (database(COLUMNS, ""), database(&columns, ""));
    let mut hub = Hub::of(&ward, &billing);
    set(&ward, "status = 'dead'");
    let (in_ward, in_billing) =
        (row::<Ward>(&ward, &"P1"), row::<Billing>(&billing, &"P1"));
    let (of_ward, of_billing) =
        (in_ward.read().expect("a row"), in_billing.read().expect("a row"));
    let plan = patient::reconcile(&of_ward, &of_billing, &hub.known).about("P1");
    let row = plan.status.review("P1", "status", patient::SYSTEMS.iter().copied());
    let decision = Decision::new("ada", "the doctor says so").expect("not blank");
    let answer = Answer::to(&row.expect("it is asked"), Choice::Side(0), decision);
    hub.answers.status = Some(answer);
    hub.run(&ward, &billing).expect("it answers");
    assert_eq!(shown(&billing, "status").as_deref(), Some("in"));
    let agreed = Base::Known(Some("in".to_owned()));
    assert_eq!(hub.known.status.agreed, agreed, "it is asked again");
    assert_eq!(of_ward.status, Slot::Value("dead".to_owned()));
}
