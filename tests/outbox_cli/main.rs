//! The outbox example as somebody on call uses it: every command on a prepared database,
//! in words and as JSON, and the guide's chapter shows what it prints.
#![cfg(feature = "sqlite")]

#[path = "../support/chapter.rs"]
mod chapter;
mod guide;
mod prepared;
#[path = "../support/program.rs"]
mod program;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use integration_automation_patterns::inbox;
use prepared::{Folder, contents, crm, torn};
use program::{Program, code, ids, keys, stderr};
use serde_json::Value;

static OUTBOX: Program = Program::new("outbox", "sqlite");

fn outbox(folder: &Path, arguments: &[&str]) -> Output {
    OUTBOX.run(folder, arguments)
}

fn text(folder: &Path, arguments: &[&str], wanted: i32) -> String {
    OUTBOX.text(folder, arguments, wanted)
}

fn json(folder: &Path, arguments: &[&str], wanted: i32) -> Vec<Value> {
    OUTBOX.json(folder, arguments, wanted)
}

const DECISION: [&str; 4] = ["--by", "on-call", "--reason", "the account exists now"];
const WEEK: [&str; 2] = ["--dedup-window", "7d"];

#[tokio::test]
async fn counts_are_those_of_the_database() {
    let folder = Folder::new("counts");
    crm(folder.path()).await;
    let found = json(folder.path(), &["crm.db", "counts"], 0);
    let [found] = found.as_slice() else { panic!("one document: {found:?}") };
    assert_eq!(
        keys(found),
        ["by_attempts", "by_status", "oldest_due_seconds", "total", "under_way"]
    );
    let by_status = &found["by_status"];
    assert_eq!(
        (&by_status["acknowledged"], &by_status["failed"], &by_status["skipped"]),
        (&3.into(), &3.into(), &0.into())
    );
    assert_eq!((&found["under_way"], &found["total"]), (&2.into(), &8.into()));
    assert_eq!(found["by_attempts"], serde_json::json!({"0": 1, "1": 2, "3": 2}));
    assert!(found["oldest_due_seconds"].as_u64().expect("something is due") > 26 * 3600);
}

#[tokio::test]
async fn dead_letters_are_listed_by_every_filter() {
    let folder = Folder::new("list");
    crm(folder.path()).await;
    let list =
        |filter: &[&str]| json(folder.path(), &[&["crm.db", "list"], filter].concat(), 0);
    let all = list(&[]);
    assert_eq!(ids(&all), ["evt-1001", "evt-1002", "evt-1003"]);
    for letter in &all {
        assert_eq!(
            keys(letter),
            [
                "attempts",
                "class",
                "correlation_id",
                "created_at",
                "failed_at",
                "first_sent_at",
                "id",
                "ordering_key",
                "reason",
                "source",
                "type"
            ]
        );
    }
    assert_eq!(
        (&all[0]["class"], &all[0]["reason"]),
        (&"permanent".into(), &"unknown account 4711".into())
    );
    assert_eq!((&all[1]["class"], &all[1]["attempts"]), (&"transient".into(), &3.into()));

    assert_eq!(ids(&list(&["--id", "evt-1002"])), ["evt-1002"]);
    assert_eq!(ids(&list(&["--type", "crm.lead.created"])), ["evt-1001"]);
    assert_eq!(
        ids(&list(&["--source", "billing", "--reason-contains", "503"])),
        ["evt-1002", "evt-1003"]
    );
    assert_eq!(ids(&list(&["--since", "1h"])), ["evt-1001", "evt-1002", "evt-1003"]);
    assert_eq!(ids(&list(&["--since", "2999-01-01T00:00:00Z"])), Vec::<&str>::new());
    assert_eq!(
        text(folder.path(), &["crm.db", "list", "--source", "hr"], 0),
        "no dead letters\n"
    );

    let cut = outbox(folder.path(), &["crm.db", "list", "--limit", "2"]);
    assert_eq!(
        String::from_utf8_lossy(&cut.stdout).lines().count(),
        3,
        "a header, and two"
    );
    assert!(stderr(&cut).contains("there are more"), "what is left out is said");
}

#[tokio::test]
async fn what_waits_says_what_it_waits_for() {
    let folder = Folder::new("waiting");
    crm(folder.path()).await;
    let waiting = json(folder.path(), &["crm.db", "waiting"], 0);
    assert_eq!(ids(&waiting), ["evt-1004", "evt-1005"]);
    for event in &waiting {
        let wanted = [
            "attempts",
            "behind",
            "claimed_by",
            "due_at",
            "id",
            "ordering_key",
            "reason",
            "source",
            "status",
            "type",
        ];
        assert_eq!(keys(event), wanted);
    }
    assert_eq!(waiting[0]["behind"], "evt-1002");
    assert_eq!(
        (&waiting[1]["status"], &waiting[1]["reason"]),
        (&"retrying".into(), &"timeout after 10s".into())
    );
    assert_eq!(
        ids(&json(
            folder.path(),
            &["crm.db", "waiting", "--type", "crm.lead.created"],
            0
        )),
        ["evt-1005"]
    );
}

#[tokio::test]
async fn an_event_is_shown_with_all_that_happened_and_its_payload_only_when_asked_for() {
    let folder = Folder::new("show");
    crm(folder.path()).await;
    let shown = json(folder.path(), &["crm.db", "show", "evt-1002"], 0);
    let [shown] = shown.as_slice() else { panic!("one document: {shown:?}") };
    assert_eq!(
        keys(shown),
        [
            "attempts",
            "correlation_id",
            "created_at",
            "discarded",
            "failure",
            "id",
            "max_attempts",
            "moments",
            "ordering_key",
            "redriven",
            "schema_version",
            "source",
            "status",
            "tags",
            "type"
        ]
    );
    let moments = shown["moments"].as_array().expect("a list");
    let actions: Vec<&str> =
        moments.iter().filter_map(|moment| moment["action"].as_str()).collect();
    assert_eq!(
        actions,
        ["create", "dispatch", "fail", "dispatch", "fail", "dispatch", "fail"]
    );
    assert_eq!(keys(&moments[1]), ["action", "at", "attempts", "by", "reason", "status"]);
    assert_eq!(
        (&moments[1]["by"], &moments[2]["reason"]),
        (&"relay-1".into(), &"503 service unavailable".into())
    );

    let secret = "the secret of evt-1002";
    let plain = text(folder.path(), &["crm.db", "show", "evt-1002"], 0);
    assert!(
        !plain.contains(secret) && !shown.to_string().contains(secret),
        "a payload may hold secrets"
    );
    assert!(
        text(folder.path(), &["crm.db", "show", "evt-1002", "--payload"], 0)
            .contains(secret)
    );
    let asked = json(folder.path(), &["crm.db", "show", "evt-1002", "--payload"], 0);
    assert!(asked[0]["payload"].as_str().is_some_and(|payload| payload.contains(secret)));

    let none = outbox(folder.path(), &["crm.db", "show", "evt-9999"]);
    assert_eq!((code(&none), none.stdout.len()), (1, 0));
    assert_eq!(stderr(&none), "outbox: there is no event evt-9999\n");
}

#[tokio::test]
async fn a_redrive_past_the_window_is_refused_until_somebody_insists() {
    let folder = Folder::new("redrive");
    crm(folder.path()).await;
    let redrive = |more: &[&'static str]| {
        [&["crm.db", "redrive", "--reason-contains", "503"], &DECISION[..], &WEEK, more]
            .concat()
    };
    let outcomes = json(folder.path(), &redrive(&[]), 1);
    assert_eq!(ids(&outcomes), ["evt-1002", "evt-1003"]);
    assert_eq!(keys(&outcomes[0]), ["id", "outcome", "why"]);
    assert_eq!(
        (&outcomes[0]["outcome"], &outcomes[1]["outcome"]),
        (&"redriven".into(), &"refused".into())
    );
    assert!(
        outcomes[1]["why"]
            .as_str()
            .is_some_and(|why| why.contains("could take effect twice"))
    );
    let again = json(folder.path(), &redrive(&[]), 1);
    assert_eq!(
        ids(&again),
        ["evt-1003"],
        "what is redriven is no dead letter, and the other is refused again"
    );

    let insisted = json(folder.path(), &redrive(&["--force"]), 0);
    assert_eq!(insisted[0]["outcome"], "redriven");
    let shown = json(folder.path(), &["crm.db", "show", "evt-1003"], 0);
    assert_eq!(
        (&shown[0]["status"], &shown[0]["redriven"]["by"]),
        (&"pending".into(), &"on-call".into())
    );
    assert_eq!(
        json(folder.path(), &redrive(&[]), 0),
        Vec::<Value>::new(),
        "nothing is left to redrive"
    );
    assert_eq!(json(folder.path(), &["crm.db", "verify"], 0)[0]["balanced"], true);
}

#[tokio::test]
async fn one_or_all_are_redriven_when_it_is_said_so() {
    let folder = Folder::new("redrive_all");
    crm(folder.path()).await;
    let redrive = |which: &[&'static str]| {
        [&["crm.db", "redrive"], which, &DECISION, &WEEK].concat()
    };
    assert_eq!(
        ids(&json(folder.path(), &redrive(&["--id", "evt-1001"]), 0)),
        ["evt-1001"]
    );
    let none = outbox(folder.path(), &redrive(&["--id", "evt-1001"]));
    assert_eq!((code(&none), none.stdout.len()), (1, 0), "it is no dead letter any more");
    assert!(stderr(&none).contains("there is no dead letter"));
    assert_eq!(
        ids(&json(folder.path(), &redrive(&["--all"]), 1)),
        ["evt-1002", "evt-1003"]
    );
}

#[tokio::test]
async fn what_is_discarded_is_gone_from_the_list_and_what_is_old_is_purged() {
    let folder = Folder::new("discard");
    crm(folder.path()).await;
    let discarded = json(
        folder.path(),
        &[&["crm.db", "discard", "--type", "crm.lead.created"], &DECISION[..]].concat(),
        0,
    );
    assert_eq!(
        (ids(&discarded), &discarded[0]["outcome"]),
        (vec!["evt-1001"], &"discarded".into())
    );
    assert_eq!(
        ids(&json(folder.path(), &["crm.db", "list"], 0)),
        ["evt-1002", "evt-1003"]
    );
    let shown = json(folder.path(), &["crm.db", "show", "evt-1001"], 0);
    assert_eq!(shown[0]["discarded"]["reason"], "the account exists now");

    let purge = |age: &str| {
        json(folder.path(), &["crm.db", "purge", "--older-than", age, "--batch", "1"], 0)
    };
    assert_eq!(
        purge("30d"),
        [serde_json::json!({"removed": 2})],
        "in batches of one, until there is no more"
    );
    assert_eq!(purge("30d"), [serde_json::json!({"removed": 0})]);
    assert_eq!(
        json(folder.path(), &["crm.db", "counts"], 0)[0]["by_status"]["failed"],
        2,
        "dead letters stay"
    );
    assert_eq!(text(folder.path(), &["crm.db", "verify"], 0), "nothing is wrong\n");
}

#[tokio::test]
async fn books_that_do_not_balance_are_found_and_a_torn_dead_letter_is_seen() {
    let folder = Folder::new("torn");
    torn(folder.path()).await;
    let books = json(folder.path(), &["torn.db", "verify"], 1);
    assert_eq!(
        (keys(&books[0]), &books[0]["balanced"]),
        (vec!["balanced", "findings"], &false.into())
    );
    let findings = books[0]["findings"].as_array().expect("a list");
    let found: Vec<_> =
        findings.iter().map(|finding| finding["event"].as_str().expect("text")).collect();
    assert_eq!(found, ["evt-2001", "evt-2002"]);
    assert!(text(folder.path(), &["torn.db", "verify"], 1).ends_with("2 found\n"));

    let listed = json(folder.path(), &["torn.db", "list"], 1);
    assert_eq!(
        (ids(&listed), keys(&listed[0])),
        (vec!["evt-2001"], vec!["id", "unreadable"])
    );
    for command in [&["discard"][..], &["redrive", "--dedup-window", "7d"]] {
        for which in [&["--id", "evt-2001"][..], &["--all"]] {
            let outcomes = json(
                folder.path(),
                &[&["torn.db"], command, which, &DECISION].concat(),
                1,
            );
            assert_eq!(
                outcomes[0]["outcome"], "unreadable",
                "nobody is told that it is done, or not there"
            );
        }
    }
    assert!(
        text(folder.path(), &["torn.db", "show", "evt-2001"], 1).contains("retry policy")
    );
}

#[tokio::test]
async fn a_wrong_command_line_does_nothing() {
    let folder = Folder::new("usage");
    crm(folder.path()).await;
    let before = contents(&folder.path().join("crm.db"));
    let ordered = |words: &[&'static str]| [words, &DECISION, &WEEK].concat();
    let decided = |words: &[&'static str]| [words, &DECISION].concat();
    let wrong: Vec<(Vec<&str>, &str)> = vec![
        (vec![], "wanted a database"),
        (vec!["crm.db"], "wanted a command"),
        (vec!["crm.db", "drop"], "found \"drop\""),
        (vec!["crm.db", "counts", "now"], "takes no \"now\""),
        (vec!["crm.db", "counts", "--all"], "takes no --all"),
        (vec!["crm.db", "counts", "--colour"], "--colour"),
        (vec!["crm.db", "counts", "-v"], "-v"),
        (vec!["crm.db", "counts", "--json=yes"], "--json"),
        (vec!["crm.db", "counts", "--json", "--json"], "twice"),
        (vec!["crm.db", "list", "--limit", "0"], "--limit"),
        (vec!["crm.db", "list", "--limit", "-1"], "--limit"),
        (vec!["crm.db", "list", "--type"], "--type"),
        (vec!["crm.db", "list", "--since", "yesterday"], "yesterday"),
        (vec!["crm.db", "list", "--since", "+1h"], "+1h"),
        (vec!["crm.db", "list", "--id", ""], "id"),
        (vec!["crm.db", "show"], "wanted an id"),
        (ordered(&["crm.db", "redrive"]), "--all"),
        (ordered(&["crm.db", "redrive", "--all", "--source", "crm"]), "found both"),
        (ordered(&["crm.db", "redrive", "--all", "--payload"]), "takes no --payload"),
        (decided(&["crm.db", "redrive", "--all"]), "--dedup-window"),
        (decided(&["crm.db", "redrive", "--all", "--dedup-window", "7"]), "\"7\""),
        (
            decided(&[
                "crm.db",
                "redrive",
                "--all",
                "--dedup-window",
                "99999999999999999999d",
            ]),
            "duration",
        ),
        (
            decided(&[
                "crm.db",
                "redrive",
                "--all",
                "--dedup-window",
                "9999999999999999999w",
            ]),
            "duration",
        ),
        (
            vec!["crm.db", "redrive", "--all", "--by", "on-call", "--dedup-window", "7d"],
            "--reason",
        ),
        (vec!["crm.db", "discard", "--all", "--reason", "because"], "--by"),
        (
            vec!["crm.db", "discard", "--all", "--by", "on-call", "--reason", " "],
            "reason",
        ),
        (decided(&["crm.db", "discard"]), "--all"),
        (vec!["crm.db", "purge"], "--older-than"),
        (vec!["crm.db", "purge", "--older-than", "1d", "--batch", "0"], "--batch"),
        (vec!["crm.db", "inbox", "redrive"], "inbox discard"),
        (vec!["crm.db", "counts", "--ca", "authority.pem"], "postgres:// address"),
        (vec!["crm.db", "inbox", "stalled", "--older-than", "soon"], "soon"),
        (vec!["crm.db", "inbox", "show", "--id", "evt-1"], "--source"),
        (vec!["crm.db", "inbox", "counts", "--from", "crm/erp"], "--broker"),
        (
            vec![
                "crm.db",
                "inbox",
                "counts",
                "--broker",
                "nats://on-call:secret@127.0.0.1",
            ],
            "--from",
        ),
        (
            vec![
                "crm.db",
                "inbox",
                "counts",
                "--broker",
                "on-call:secret@127.0.0.1",
                "--from",
                "erp",
            ],
            "wanted nats://",
        ),
        (
            vec!["crm.db", "counts", "--broker", "nats://127.0.0.1", "--from", "crm/erp"],
            "takes no --",
        ),
        (vec!["missing.db", "counts"], "missing.db"),
        (
            vec!["postgres://on-call:secret@127.0.0.1:1/crm", "counts"],
            "feature `postgres`",
        ),
    ];
    for (arguments, why) in wrong {
        let output = outbox(folder.path(), &arguments);
        assert_eq!((code(&output), output.stdout.len()), (2, 0), "{arguments:?}");
        let error = stderr(&output);
        assert!(
            error.starts_with("outbox: ") && error.contains(why),
            "{arguments:?}: {error}"
        );
        assert!(!error.contains("secret"), "{arguments:?}: {error}");
    }
    assert_eq!(contents(&folder.path().join("crm.db")), before);
    assert!(
        !folder.path().join("missing.db").exists(),
        "no database is made where a name is mistyped"
    );
    for help in [&["--help"][..], &["-h"], &["crm.db", "redrive", "--help"]] {
        let help = text(folder.path(), help, 0);
        assert!(
            ["--dedup-window", "--ca", "inbox stalled", "inbox held", "inbox show"]
                .iter()
                .all(|what| help.contains(what))
        );
    }
}

#[test]
fn another_database_is_left_alone() {
    let folder = Folder::new("other");
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE lead (name TEXT)")
        .unwrap();
    let before = std::fs::read(&other).unwrap();
    for arguments in [&["other.db", "counts"][..], &["other.db", "inbox", "list"]] {
        let output = outbox(folder.path(), arguments);
        assert_eq!(code(&output), 2);
        assert!(stderr(&output).contains("and this one has none"), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read(&other).unwrap(), before);
    std::fs::write(
        folder.path().join("notes.txt"),
        "no database at all, but a text of some length\n".repeat(30),
    )
    .unwrap();
    assert_eq!(code(&outbox(folder.path(), &["notes.txt", "counts"])), 2);
    assert_eq!(code(&outbox(folder.path(), &[".", "counts"])), 2);
}

/// Protects an operator who has the new program before the consumers have upgraded: what
/// only looks makes no tables, and says which versions do not meet.
#[test]
fn the_inbox_of_an_older_program_is_to_be_upgraded() {
    let folder = Folder::new("older");
    let path = folder.path().join("erp.db");
    let older = rusqlite::Connection::open(&path).unwrap();
    for migration in inbox::sqlite::migrations().filter(|one| one.version <= 2) {
        older.execute_batch(&migration.script()).unwrap();
    }
    drop(older);
    let before = std::fs::read(&path).unwrap();
    for command in ["counts", "list", "stalled", "held"] {
        let output = outbox(folder.path(), &["erp.db", "inbox", command]);
        assert_eq!(code(&output), 2);
        let error = stderr(&output);
        assert!(error.contains("needs version 4 of the inbox tables"), "{error}");
        assert!(error.contains("the database has 2: `install`"), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn foreign_text_moves_no_terminal() {
    let folder = Folder::new("hostile");
    let hostile = "\u{1b}]0;owned\u{7}\r\nevt-forged  \u{202e}\u{9b}2J\u{200b}\u{2028}\u{e0041} é e\u{301} 漢字 \"x\" \\n";
    prepared::hostile(folder.path(), hostile).await;
    let shown = |c: char| {
        c == '\n' || !(c.is_control() || "\u{202e}\u{200b}\u{2028}\u{e0041}".contains(c))
    };
    let show = ["hostile.db", "show", hostile, "--payload"];
    for arguments in [&["hostile.db", "list"][..], &show, &["hostile.db", "waiting"]] {
        for more in [&[][..], &["--json"]] {
            let text = text(folder.path(), &[arguments, more].concat(), 0);
            assert!(text.chars().all(shown), "{arguments:?}: {text:?}");
            assert!(
                text.contains("é e\u{301} 漢字"),
                "what can be read stays as it is: {text}"
            );
        }
    }
    let list = json(folder.path(), &["hostile.db", "list"], 0);
    assert_eq!(
        (ids(&list), &list[0]["reason"]),
        (vec![hostile], &hostile.into()),
        "JSON gives the text itself"
    );
    assert_eq!(
        text(folder.path(), &["hostile.db", "list"], 0).lines().count(),
        2,
        "a header, and one"
    );
    let missing = outbox(folder.path(), &["hostile.db", "show", "\u{1b}[2J"]);
    assert_eq!(stderr(&missing), "outbox: there is no event \\u{1b}[2J\n");
}

#[tokio::test]
async fn a_reader_who_goes_away_is_no_error() {
    let folder = Folder::new("pipe");
    prepared::many(folder.path(), 2000).await;
    let mut child = Command::new(OUTBOX.path())
        .args(["many.db", "list", "--limit", "2000"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
}

#[test]
fn the_dead_letters_of_an_inbox_are_listed_and_discarded() {
    let folder = Folder::new("inbox");
    prepared::erp(folder.path());
    let list = json(folder.path(), &["erp.db", "inbox", "list"], 0);
    assert_eq!(
        (ids(&list), &list[0]["reason"]),
        (vec!["evt-1", "evt-2"], &"no such account".into())
    );
    assert_eq!(
        ids(&json(folder.path(), &["erp.db", "inbox", "list", "--id", "evt-2"], 0)),
        ["evt-2"]
    );
    let discard = [
        &["erp.db", "inbox", "discard", "--source", "crm", "--id", "evt-1"][..],
        &DECISION,
    ]
    .concat();
    assert_eq!(json(folder.path(), &discard, 0)[0]["outcome"], "discarded");
    assert_eq!(ids(&json(folder.path(), &["erp.db", "inbox", "list"], 0)), ["evt-2"]);
    let again = outbox(folder.path(), &discard);
    assert_eq!((code(&again), again.stdout.len()), (1, 0));
    let outbox = outbox(folder.path(), &["erp.db", "counts"]);
    assert_eq!(code(&outbox), 2, "an inbox is no outbox");
}

/// Both in words and as JSON: what the handler said, and what the database said to it.
#[test]
fn the_reason_of_a_dead_letter_has_every_cause() {
    let folder = Folder::new("causes");
    prepared::refused(folder.path());
    let list = ["erp.db", "inbox", "list"];
    let reason = "the account was not opened: NOT NULL constraint failed: account.name";
    let found = json(folder.path(), &list, 0)[0]["reason"].clone();
    assert!(found.as_str().unwrap().starts_with(reason), "{found}");
    let found = text(folder.path(), &list, 0);
    assert!(found.contains(reason), "{found}");
}

#[test]
fn what_an_inbox_waits_for_is_counted_and_listed() {
    let folder = Folder::new("stalled");
    prepared::stalled(folder.path());
    let counts = json(folder.path(), &["erp.db", "inbox", "counts"], 0);
    assert_eq!(keys(&counts[0]), ["by_status", "forestalled", "held", "lag", "stalled"]);
    assert_eq!(
        (&counts[0]["by_status"]["retrying"], &counts[0]["stalled"]),
        (&2.into(), &1.into())
    );
    assert!(counts[0]["lag"].is_null(), "no broker was named");
    assert_eq!(
        json(folder.path(), &["erp.db", "inbox", "counts", "--older-than", "9w"], 0)[0]["stalled"],
        0
    );
    assert!(text(folder.path(), &["erp.db", "inbox", "counts"], 0).contains("stalled"));
    let stalled = json(folder.path(), &["erp.db", "inbox", "stalled"], 0);
    assert_eq!(
        (ids(&stalled), &stalled[0]["reason"]),
        (vec!["evt-old"], &"the account is locked".into())
    );
    assert!(
        text(folder.path(), &["erp.db", "inbox", "stalled"], 0)
            .contains("the account is locked")
    );
    let show = ["erp.db", "inbox", "show", "--source", "crm", "--id", "evt-old"];
    assert_eq!(json(folder.path(), &show, 0)[0]["status"], "retrying");
    let discard = [
        &["erp.db", "inbox", "discard", "--source", "crm", "--id", "evt-old"][..],
        &DECISION,
    ]
    .concat();
    assert_eq!(json(folder.path(), &discard, 0)[0]["outcome"], "discarded");
    assert_eq!(
        text(folder.path(), &["erp.db", "inbox", "stalled"], 0),
        "nothing is stalled\n"
    );
    assert_eq!(code(&outbox(folder.path(), &show)), 1);
}

/// Protects whoever asks why a key stands still.
#[test]
fn what_an_inbox_holds_is_listed_with_what_it_waits_for() {
    let folder = Folder::new("held");
    prepared::stalled(folder.path());
    let list = ["erp.db", "inbox", "held"];
    assert_eq!(text(folder.path(), &list, 0), "nothing is held\n");
    prepared::hold(folder.path(), "evt-new", "evt-lost");
    let held = json(folder.path(), &list, 0);
    assert_eq!((ids(&held), &held[0]["after"]), (vec!["evt-new"], &"evt-lost".into()));
    assert!(text(folder.path(), &list, 0).contains("evt-lost"));
    let show = ["erp.db", "inbox", "show", "--source", "crm", "--id", "evt-new"];
    assert_eq!(json(folder.path(), &show, 0)[0]["id"], "evt-new");
}

#[test]
fn a_message_that_is_no_event_is_shown_with_the_reason_and_its_headers() {
    let folder = Folder::new("unreadable");
    prepared::unreadable(folder.path());
    let show = ["erp.db", "inbox", "show", "--source", "queue", "--id", "evt-torn"];
    let shown = text(folder.path(), &show, 0);
    for said in
        ["unreadable = no specversion", "x-sender = billing", "it can be read by nobody"]
    {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let shown = json(folder.path(), &[&show[..], &["--payload"]].concat(), 0);
    assert_eq!(
        shown[0]["tags"],
        serde_json::json!({"unreadable": "no specversion", "x-sender": "billing"})
    );
    assert_eq!(
        (&shown[0]["failure"]["reason"], &shown[0]["payload"]),
        (&"it can be read by nobody".into(), &"?".into())
    );
}

/// Protects an operator from a list that says nothing of what it cannot read.
#[test]
fn rows_of_an_inbox_that_are_no_event_are_listed_and_out_of_reach() {
    let folder = Folder::new("torn-inbox");
    prepared::stalled(folder.path());
    prepared::hold(folder.path(), "evt-new", "evt-lost");
    prepared::tear(folder.path());
    let listed = json(folder.path(), &["erp.db", "inbox", "list"], 1);
    assert_eq!(ids(&listed), ["evt-old", "evt-new"]);
    assert!(listed[0]["unreadable"].as_str().unwrap().starts_with("from crm: "));
    let text_of = |command: &[&str]| text(folder.path(), command, 1);
    assert!(text_of(&["erp.db", "inbox", "list"]).contains("until the row is repaired"));
    let which = ["--source", "crm", "--id", "evt-old"];
    let show = [&["erp.db", "inbox", "show"][..], &which].concat();
    assert!(text_of(&show).contains("retry policy"), "{}", text_of(&show));
    let discard = [&["erp.db", "inbox", "discard"][..], &which, &DECISION].concat();
    let outcomes = json(folder.path(), &discard, 1);
    assert_eq!(outcomes[0]["outcome"], "unreadable");
}

#[tokio::test]
async fn what_looks_writes_nothing() {
    let folder = Folder::new("looking");
    crm(folder.path()).await;
    let bytes = || std::fs::read(folder.path().join("crm.db")).unwrap();
    let before = bytes();
    for command in
        [&["counts"][..], &["list"], &["waiting"], &["show", "evt-1001"], &["verify"]]
    {
        text(folder.path(), &[&["crm.db"], command].concat(), 0);
    }
    assert_eq!(bytes(), before);
    std::fs::write(folder.path().join("empty.db"), b"").unwrap();
    assert_eq!(code(&outbox(folder.path(), &["empty.db", "counts"])), 2);
    assert_eq!(
        std::fs::read(folder.path().join("empty.db")).unwrap(),
        b"",
        "no table is made"
    );
}

/// As root this proves less: nothing is forbidden to it.
#[cfg(unix)]
#[tokio::test]
async fn a_folder_in_which_nobody_may_write_can_be_looked_at() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new("forbidden");
    crm(folder.path()).await;
    let file = folder.path().join("crm.db");
    set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let found = json(folder.path(), &["crm.db", "counts"], 0);
    assert_eq!(found[0]["total"], 8);
    assert_eq!(ids(&json(folder.path(), &["crm.db", "list"], 0)).len(), 3);
    set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
}
