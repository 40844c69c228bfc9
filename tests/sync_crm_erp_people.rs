//! The example `sync_crm_erp` and the people around it: they answer its questions, edit
//! and delete records, forbid values, and restore backups.
#![cfg(all(feature = "serde", feature = "signal", feature = "sqlite", unix))]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use integration_automation_patterns::outbox::sqlite::enqueue;
use integration_automation_patterns::{Envelope, RawEvent};
use program::{command, folder, printed, run};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

#[path = "support/sync_crm_erp.rs"]
mod program;
#[cfg(feature = "postgres")]
#[path = "support/servers.rs"]
mod servers;

/// Protects from a mistyped folder that looks like one where nothing is asked.
#[test]
fn questions_are_those_of_a_run_that_was_made() {
    let folder = folder("nowhere");
    let answer = ["answer", "all", "email", "erp", "--by", "ada", "--reason", "seen"];
    for ask in [&["questions"][..], &answer] {
        let output = command(&folder).args(ask).output().expect("it is built");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("no run has its files in"), "{errors}");
        assert!(!folder.exists(), "what looks makes nothing");
    }
}

/// Protects a password with an `@`, behind which a host would begin.
#[cfg(feature = "postgres")]
#[test]
fn a_password_with_an_at_is_refused_and_not_shown() {
    let address = ["--database", "postgres://ann:s3@cr3t@127.0.0.1:1/crm"];
    let folder = folder("password");
    for words in [&address[..], &[&["questions"], &address[..]].concat()] {
        let output = command(&folder).args(words).output().expect("it is built");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{errors}");
        assert!(errors.contains("%40") && !errors.contains("cr3t"), "{errors}");
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// Both systems' databases, in step but for the questions.
struct Systems {
    folder: PathBuf,
}

impl Drop for Systems {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Systems {
    fn in_step(name: &str) -> Self {
        let systems = Self { folder: folder(name) };
        run(&systems.folder);
        systems
    }

    fn run(&self) -> String {
        run(&self.folder)
    }

    fn database(&self, system: &str) -> Connection {
        let path = self.folder.join(format!("{system}.db"));
        Connection::open(path).expect("a database")
    }

    /// A person changes a field of a record, in one of the systems.
    fn edit(&self, system: &str, id: &str, field: &str, value: &str) {
        let sql = format!(
            "UPDATE record SET {field} = ?2, revision = revision + 1 WHERE id = ?1"
        );
        self.database(system).execute(&sql, params![id, value]).expect("a record");
    }

    fn delete(&self, system: &str, id: &str) {
        let sql = "DELETE FROM record WHERE id = ?1";
        self.database(system).execute(sql, [id]).expect("a record");
    }

    /// What both show of a field; nothing where the record is not there.
    fn shown(&self, id: &str, field: &str) -> [Option<String>; 2] {
        ["crm", "erp"].map(|system| {
            let sql = format!("SELECT coalesce({field}, '') FROM record WHERE id = ?1");
            let database = self.database(system);
            let found = database.query_row(&sql, [id], |row| row.get(0)).optional();
            found.expect("a column")
        })
    }

    /// The questions about a record: the field, and why.
    fn asked(&self, id: &str) -> Vec<(String, String)> {
        let database = self.database("crm");
        let sql = "SELECT field, question FROM review WHERE id = ?1 ORDER BY field";
        let mut statement = database.prepare(sql).expect("a table");
        let rows = statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.expect("texts").map(|row| row.expect("a row")).collect()
    }

    fn count(&self, what: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {what}");
        self.database("crm").query_row(&sql, [], |row| row.get(0)).expect("a table")
    }

    /// A record that agrees in both systems, in all of its fields.
    fn quiet_record(&self) -> String {
        let database = self.database("crm");
        database
            .execute("ATTACH ?1 AS erp", [self.folder.join("erp.db").to_string_lossy()])
            .expect("the other database");
        let sql = "SELECT id FROM record JOIN erp.record AS other USING (id)
            WHERE record.email IS NOT NULL AND record.district IS NOT NULL
            AND id NOT IN (SELECT id FROM review) ORDER BY id LIMIT 1";
        database.query_row(sql, [], |row| row.get(0)).expect("most of them agree")
    }

    fn answer(&self, [record, field, choice]: [&str; 3]) -> std::process::Output {
        let mut command = command(&self.folder);
        command.args(["answer", record, field, choice, "--by", "ada"]);
        command.args(["--reason", "asked them"]).output().expect("the example is built")
    }
}

fn table(name: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let path = format!("examples/data/records/{name}.csv");
    let mut reader = csv::Reader::from_path(path).expect("a table");
    let rows = reader.deserialize::<BTreeMap<String, String>>();
    rows.map(|row| row.expect("a row")).map(|row| (row["id"].clone(), row)).collect()
}

/// The real tables: what becomes of every cell, by rules that stand here and use nothing
/// of ours; and then nothing more.
#[test]
fn every_cell_of_the_real_tables_is_accounted_for() {
    let systems = Systems::in_step("accounted");
    let [crm, erp, base] = ["curated", "official", "base"].map(table);
    let mut cells = 0;
    for id in crm.keys().filter(|id| erp.contains_key(*id)) {
        let asked = systems.asked(id);
        for field in
            base.values().next().expect("a row").keys().filter(|field| *field != "id")
        {
            let [a, b] = [&crm[id][field], &erp[id][field]];
            let agreed = base.get(id).map(|row| &row[field]);
            let is_new = |value: &String| {
                agreed.map_or(!value.is_empty(), |agreed| value != agreed)
            };
            let wanted = match field.as_str() {
                "capitol_phone" | "capitol_fax" => Some(b),
                "status" => (a == b).then_some(a),
                "name" | "email" | "capitol_address" => match (is_new(a), is_new(b)) {
                    (true, true) if a != b => None,
                    (true, _) => Some(a),
                    _ => Some(b),
                },
                _ => Some(a),
            };
            let shown = systems.shown(id, field);
            let is_asked = asked.iter().any(|(of, _)| of == field);
            let (in_crm, in_erp) = wanted.map_or((a, b), |value| (value, value));
            assert_eq!(
                shown,
                [Some(in_crm.clone()), Some(in_erp.clone())],
                "{id} {field}"
            );
            assert_eq!(is_asked, wanted.is_none(), "{id} {field}");
            cells += 1;
        }
    }
    assert_eq!(cells, 12 * crm.keys().filter(|id| erp.contains_key(*id)).count());
    let again = systems.run();
    assert!(again.contains(" 0 fields to write"), "{again}");
}

/// All the questions of the real tables, from the command line, to the end.
#[test]
fn every_question_is_answered_with_a_name_and_a_reason() {
    let systems = Systems::in_step("answered");
    assert_eq!(systems.count("review"), 89);
    let listed =
        printed(command(&systems.folder).arg("questions").output().expect("runs"));
    assert_eq!(listed.lines().count(), 90, "each of them, and their number");

    let deleted = systems.database("crm");
    let sql = "SELECT id FROM review WHERE field = '(record)' ORDER BY id";
    let mut deleted = deleted.prepare(sql).expect("a table");
    let deleted: Vec<String> = (deleted.query_map([], |row| row.get(0)).expect("ids"))
        .map(|id| id.expect("a text"))
        .collect();
    assert_eq!(deleted.len(), 2);
    for answer in [
        ["all", "status", "crm"],
        ["all", "capitol_address", "erp"],
        ["all", "email", "=office@x.org"],
        [deleted[0].as_str(), "(record)", "restore"],
        [deleted[1].as_str(), "(record)", "delete"],
    ] {
        printed(systems.answer(answer));
    }
    assert_eq!(systems.count("review"), 0);
    let report = systems.run();
    assert!(report.contains("0 are to be written yet, 0 wait for a person"), "{report}");
    assert_eq!(systems.shown(&deleted[1], "name"), [None, None]);
    assert!(systems.shown(&deleted[0], "name").iter().all(Option::is_some));

    let database = systems.database("crm");
    let erp = systems.folder.join("erp.db");
    database.execute("ATTACH ?1 AS erp", [erp.to_string_lossy()]).expect("attached");
    let fields = "id, status, state, chamber, district, role_start, name, party, email,
        capitol_phone, capitol_fax, capitol_address, image";
    let sql = format!(
        "SELECT count(*) FROM (SELECT {fields} FROM record EXCEPT SELECT {fields} FROM erp.record)"
    );
    let different: i64 = database.query_row(&sql, [], |row| row.get(0)).expect("a count");
    assert_eq!(different, 0, "both tables are equal");
    let answers = "answer WHERE decided_by = 'ada' AND reason = 'asked them'";
    assert_eq!(systems.count(answers), 89);

    let again = systems.run();
    assert!(again.contains(" 0 fields to write"), "{again}");
    assert!(again.contains("0 wait for a person"), "{again}");
}

/// One answer of many does not fit any more: it alone is not carried out.
#[test]
fn an_answer_to_what_has_changed_is_given_back_alone() {
    let systems = Systems::in_step("changed");
    let (id, before): (String, i64) = systems
        .database("crm")
        .query_row(
            "SELECT min(id), count(*) FROM review WHERE field = 'status'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("questions");
    systems.edit("erp", &id, "status", "on leave");
    let output = systems.answer(["all", "status", "erp"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(&id) && error.contains("something else by now"), "{error}");
    assert_eq!(systems.count("review WHERE field = 'status'"), 1);
    assert_eq!(systems.count("answer"), before - 1);
    assert_ne!(systems.shown(&id, "status")[0].as_deref(), Some("on leave"));

    systems.run();
    printed(systems.answer([&id, "status", "erp"]));
    systems.run();
    assert_eq!(
        systems.shown(&id, "status"),
        [Some("on leave".to_owned()), Some("on leave".to_owned())]
    );
}

#[test]
fn a_second_answer_to_the_same_question_finds_none() {
    let systems = Systems::in_step("twice");
    let id: String = systems
        .database("crm")
        .query_row("SELECT min(id) FROM review WHERE field = 'status'", [], |row| {
            row.get(0)
        })
        .expect("a question");
    let [_, erp] = systems.shown(&id, "status");
    printed(systems.answer([&id, "status", "erp"]));
    let output = systems.answer([&id, "status", "crm"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("nothing is asked about status"), "{error}");
    systems.run();
    assert_eq!(systems.shown(&id, "status"), [erp.clone(), erp], "they do not swap");
}

#[test]
fn what_is_left_different_is_not_asked_again_until_it_changes() {
    let systems = Systems::in_step("left");
    printed(systems.answer(["all", "status", "leave"]));
    let sql = "SELECT min(id) FROM answer";
    let id: String =
        systems.database("crm").query_row(sql, [], |row| row.get(0)).expect("an answer");
    let different = systems.shown(&id, "status");
    for _ in 0..2 {
        let report = systems.run();
        assert!(
            report.contains("71 fields are different, as a person decided"),
            "{report}"
        );
        assert!(report.contains("18 wait for a person"), "{report}");
    }
    assert_eq!(systems.shown(&id, "status"), different);
    systems.edit("erp", &id, "status", "on leave");
    let report = systems.run();
    assert!(report.contains("70 fields are different"), "{report}");
    assert_eq!(systems.asked(&id).len(), 1, "it is asked anew");
}

/// The ERP's own rule refuses one value: the other field of the record arrives, and the
/// refusal is a question with the ERP's words.
#[test]
fn a_field_that_the_other_system_refuses_is_told() {
    let systems = Systems::in_step("refused");
    let id = systems.quiet_record();
    let rule = "CREATE TRIGGER rule BEFORE UPDATE OF district ON record
        WHEN new.district = 'none' BEGIN SELECT RAISE(ABORT, 'a district has a number'); END";
    systems.database("erp").execute_batch(rule).expect("a rule");
    let [_, before] = systems.shown(&id, "district");
    systems.edit("crm", &id, "district", "none");
    systems.edit("crm", &id, "party", "Green");
    let report = systems.run();
    assert_eq!(
        systems.shown(&id, "party")[1].as_deref(),
        Some("Green"),
        "the good field"
    );
    assert_eq!(systems.shown(&id, "district"), [Some("none".to_owned()), before.clone()]);
    assert!(!report.contains("dead"), "{report}");
    let asked =
        [("district".to_owned(), "a system refuses to take the value".to_owned())];
    assert_eq!(systems.asked(&id), asked);
    let listed =
        printed(command(&systems.folder).arg("questions").output().expect("runs"));
    assert!(listed.contains("refuses: a district has a number"), "{listed}");

    let again = systems.run();
    assert!(again.contains(" 0 fields to write"), "it is not tried again: {again}");
    systems.edit("crm", &id, "party", "Blue");
    systems.run();
    assert_eq!(systems.shown(&id, "party")[1].as_deref(), Some("Blue"));
    assert_eq!(systems.asked(&id), asked, "one question, whatever else is edited");

    systems.database("erp").execute_batch("DROP TRIGGER rule").expect("lifted");
    printed(systems.answer([&id, "district", "crm"]));
    systems.run();
    assert_eq!(systems.shown(&id, "district")[1].as_deref(), Some("none"));
    assert_eq!(systems.asked(&id), []);
}

/// A sender that runs another contract, or none, tells the ERP what it may not: neither
/// is written, and so neither comes back as the ERP's own edit.
#[test]
fn what_the_sender_may_not_write_is_a_dead_letter() {
    let systems = Systems::in_step("forged");
    let id = systems.quiet_record();
    let send = |field: &str, value: &str| {
        let [_, expects] = systems.shown(&id, field);
        let change = json!({"field": field, "expects": expects, "value": value});
        let payload = json!({"record": id, "changes": [change]}).to_string();
        let payload = RawEvent::new("directory.legislator.changed", payload.into_bytes());
        let event = Envelope::builder("crm", payload).ordering_key(id.clone());
        let mut database = systems.database("crm");
        let transaction = database.transaction().expect("a transaction");
        let event = event.build().expect("well formed");
        enqueue(&transaction, event).expect("an outbox");
        transaction.commit().expect("committed");
    };
    let [phones, states] = ["capitol_phone", "status"].map(|of| systems.shown(&id, of));
    send("capitol_phone", "of the CRM");
    send("status", "decided by nobody");
    send("name", "Ada Lovelace");
    systems.run();
    systems.run();
    assert_eq!(systems.shown(&id, "capitol_phone"), phones);
    assert_eq!(systems.shown(&id, "status"), states);
    let name = || Some("Ada Lovelace".to_owned());
    assert_eq!(systems.shown(&id, "name"), [name(), name()], "anybody may, and did");

    let database = systems.database("erp");
    let sql = "SELECT failure_reason FROM inbox_event WHERE status = 'failed' ORDER BY 1";
    let mut reasons = database.prepare(sql).expect("an inbox");
    let reasons = reasons.query_map([], |row| row.get::<_, String>(0)).expect("texts");
    let reasons = reasons.map(|reason| reason.expect("a reason")).collect::<Vec<_>>();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    let wanted = [
        r#""crm" may not write "capitol_phone": its system of record is "erp""#,
        r#""crm" may not write "status": only a person decides on it"#,
    ];
    for (reason, wanted) in reasons.iter().zip(wanted) {
        assert!(reason.starts_with(wanted), "{reason}");
    }
}

fn copy(from: &Path, to: &Path) {
    for end in ["", "-wal", "-shm"] {
        let path = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        let _ = std::fs::remove_file(path(to));
        if path(from).exists() {
            std::fs::copy(path(from), path(to)).expect("copied");
        }
    }
}

/// A run is stopped after it has delivered and before it has compared: what it wrote
/// itself is nobody's edit, and the same person's next one arrives.
#[test]
fn what_an_interrupted_run_wrote_is_no_edit() {
    let systems = Systems::in_step("interrupted");
    let id = systems.quiet_record();
    let stop = "CREATE TRIGGER stop BEFORE DELETE ON review
        BEGIN SELECT RAISE(ABORT, 'stopped here'); END";
    systems.database("crm").execute_batch(stop).expect("a trigger");
    systems.edit("crm", &id, "email", "one@x.org");
    let output = command(&systems.folder).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(systems.shown(&id, "email")[1].as_deref(), Some("one@x.org"));

    systems.database("crm").execute_batch("DROP TRIGGER stop").expect("gone");
    systems.edit("crm", &id, "email", "two@x.org");
    systems.run();
    assert_eq!(systems.shown(&id, "email")[1].as_deref(), Some("two@x.org"));
    assert_eq!(systems.asked(&id), []);
}

/// A person clears a field that the systems never agreed on: nothing comes back.
#[test]
fn a_field_that_a_person_clears_stays_clear() {
    let systems = Systems::in_step("cleared");
    printed(systems.answer(["all", "email", "="]));
    let sql = "SELECT min(id) FROM answer";
    let id: String =
        systems.database("crm").query_row(sql, [], |row| row.get(0)).expect("an answer");
    systems.run();
    assert_eq!(systems.shown(&id, "email"), [Some(String::new()), Some(String::new())]);
    let again = systems.run();
    assert!(again.contains(" 0 fields to write"), "{again}");
}

/// The ERP's database is restored from a backup: the run ends, what the CRM owns is sent
/// to it again, and what both share is not rolled back.
#[test]
fn after_a_restore_the_run_ends_and_the_owner_writes_again() {
    let systems = Systems::in_step("restored");
    let id = systems.quiet_record();
    let (erp, backup) = (systems.folder.join("erp.db"), systems.folder.join("backup"));
    copy(&erp, &backup);
    systems.edit("crm", &id, "district", "99");
    systems.edit("crm", &id, "email", "today@x.org");
    systems.run();
    assert_eq!(systems.shown(&id, "district")[1].as_deref(), Some("99"));
    copy(&backup, &erp);
    assert_ne!(systems.shown(&id, "district")[1].as_deref(), Some("99"), "restored");
    systems.run();
    assert_eq!(systems.shown(&id, "district")[1].as_deref(), Some("99"));
    let today = Some("today@x.org".to_owned());
    assert_eq!(systems.shown(&id, "email"), [today.clone(), today]);
    let again = systems.run();
    assert!(again.contains(" 0 fields to write"), "{again}");
}

/// What the restored system owns does not undo what came after the backup, unasked.
#[test]
fn after_a_restore_what_the_restored_system_owns_is_asked_about() {
    let systems = Systems::in_step("restored-owner");
    let id = systems.quiet_record();
    let (erp, backup) = (systems.folder.join("erp.db"), systems.folder.join("backup"));
    copy(&erp, &backup);
    systems.edit("erp", &id, "capitol_phone", "555-0199");
    systems.run();
    copy(&backup, &erp);
    systems.edit("crm", &id, "district", "99");
    for _ in 0..2 {
        systems.run();
        let [in_crm, in_erp] = systems.shown(&id, "capitol_phone");
        assert_eq!(in_crm.as_deref(), Some("555-0199"), "it is not rolled back");
        assert_ne!(in_erp, in_crm);
        let question = "an older common value has come back".to_owned();
        assert_eq!(systems.asked(&id), [("capitol_phone".to_owned(), question)]);
    }
    printed(systems.answer([&id, "capitol_phone", "crm"]));
    systems.run();
    let phone = Some("555-0199".to_owned());
    assert_eq!(systems.shown(&id, "capitol_phone"), [phone.clone(), phone]);
    let again = systems.run();
    assert!(again.contains(" 0 fields to write"), "{again}");
    assert_eq!(systems.asked(&id), []);
}

/// Whether both had a record is stored, and does not follow from what they agree on.
#[test]
fn a_deleted_record_is_asked_about_though_a_question_is_open() {
    let systems = Systems::in_step("deleted");
    let id = "ocd-person/new-1";
    for (system, name) in [("crm", "Bob"), ("erp", "Robert")] {
        let sql = "INSERT INTO record (id, revision, name) VALUES (?1, 1, ?2)";
        systems.database(system).execute(sql, params![id, name]).expect("a record");
    }
    systems.run();
    assert_eq!(systems.asked(id).len(), 1, "the names differ");
    systems.delete("erp", id);
    systems.run();
    assert_eq!(systems.shown(id, "name")[1], None, "it is not made again, unasked");
    let question = "deleted in one system and not in another".to_owned();
    assert_eq!(systems.asked(id), [("(record)".to_owned(), question)]);
}

#[test]
fn a_record_that_was_gone_everywhere_and_is_made_anew_is_new() {
    let systems = Systems::in_step("anew");
    let id = systems.quiet_record();
    for system in ["crm", "erp"] {
        systems.delete(system, &id);
    }
    systems.run();
    assert_eq!(systems.count(&format!("agreed WHERE id = '{id}'")), 0);
    let sql = "INSERT INTO record (id, revision, name) VALUES (?1, 1, 'Eve')";
    systems.database("crm").execute(sql, [&id]).expect("a record");
    systems.run();
    assert_eq!(systems.shown(&id, "name")[1].as_deref(), Some("Eve"));
    assert_eq!(systems.asked(&id), []);
}

#[test]
fn an_answer_without_a_name_a_reason_or_a_choice_is_refused() {
    let systems = Systems { folder: folder("unsigned") };
    for arguments in [
        vec!["answer", "all", "status", "crm"],
        vec!["answer", "all", "status", "crm", "--by", "ada"],
        vec!["answer", "all", "status", "crm", "--by", "ada", "--reason", " "],
        vec!["answer", "all", "status", "crew", "--by", "ada", "--reason", "x"],
        vec!["answer", "all", "(record)", "crm", "--by", "ada", "--reason", "x"],
        vec!["question"],
    ] {
        let refused = command(&systems.folder).args(&arguments).output().expect("runs");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(!systems.folder.exists(), "nothing was made");
    }
}

/// The same in PostgreSQL, where a refused value would end the whole transaction.
#[cfg(feature = "postgres")]
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn in_postgresql_questions_are_answered_and_refusals_told() {
    let connect = async |config: &str| {
        let (client, connection) = tokio_postgres::connect(config, tokio_postgres::NoTls)
            .await
            .expect("it runs");
        tokio::spawn(connection);
        client
    };
    let (name, port) =
        (format!("sync_people_{}", std::process::id()), servers::postgres_port());
    let all = connect(&servers::postgres()).await;
    all.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("made");
    let folder = folder("people");
    let program = |arguments: &[&str]| {
        let mut command = command(&folder);
        command.args([
            "--database",
            &format!("postgres://postgres@127.0.0.1:{port}/{name}"),
        ]);
        printed(command.args(arguments).output().expect("the example is built"))
    };
    let answer = |[record, field, choice]: [&str; 3]| {
        let signed = ["--by", "ada", "--reason", "asked them"];
        program(&[["answer", record, field, choice].as_slice(), &signed].concat())
    };
    assert!(program(&[]).contains("89 wait for a person"));

    let config =
        servers::postgres().replace("dbname=postgres", &format!("dbname={name}"));
    let client = connect(&config).await;
    let rule = "CREATE FUNCTION sync_erp.rule() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'a district has a number'; END $$;
        CREATE TRIGGER rule BEFORE UPDATE OF district ON sync_erp.record FOR EACH ROW
        WHEN (new.district = 'none') EXECUTE FUNCTION sync_erp.rule()";
    client.batch_execute(rule).await.expect("a rule");
    let quiet = "SELECT min(id) FROM sync_crm.record JOIN sync_erp.record USING (id)
        WHERE id NOT IN (SELECT id FROM sync_crm.review)";
    let id: String = client.query_one(quiet, &[]).await.expect("most agree").get(0);
    let edit = "UPDATE sync_crm.record SET district = 'none', party = 'Green',
        revision = revision + 1 WHERE id = $1";
    client.execute(edit, &[&id]).await.expect("a record");
    assert!(program(&[]).contains("90 wait for a person"));
    assert!(program(&["questions"]).contains("refuses: a district has a number"));
    let shown = "SELECT party, district FROM sync_erp.record WHERE id = $1";
    let row = client.query_one(shown, &[&id]).await.expect("a record");
    assert_eq!(row.get::<_, &str>(0), "Green", "the good field");
    assert_ne!(row.get::<_, &str>(1), "none");

    client.batch_execute("DROP TRIGGER rule ON sync_erp.record").await.expect("lifted");
    let sides = [[id.as_str(), "district", "crm"], ["all", "status", "leave"]];
    let texts = [["all", "capitol_address", "erp"], ["all", "email", "="]];
    for answered in sides.into_iter().chain(texts).chain([["all", "(record)", "delete"]])
    {
        answer(answered);
    }
    let report = program(&[]);
    assert!(report.contains("0 are to be written yet, 0 wait for a person"), "{report}");
    assert!(report.contains("71 fields are different"), "{report}");
    let row = client.query_one(shown, &[&id]).await.expect("a record");
    assert_eq!(row.get::<_, &str>(1), "none");
    assert!(program(&[]).contains(" 0 fields to write"));

    drop(client);
    all.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("gone");
    let _ = std::fs::remove_dir_all(folder);
}
