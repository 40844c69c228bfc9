//! The workflow example as somebody on call uses it: every command on a prepared file, in
//! words and as JSON, and the guide's chapter shows what it prints.
#![cfg(all(feature = "sqlite", feature = "testing", feature = "workflow"))]

#[path = "../support/chapter.rs"]
mod chapter;
mod guide;
#[path = "../../examples/support/orders.rs"]
#[allow(dead_code, missing_debug_implementations, unreachable_pub)]
mod orders;
#[cfg(feature = "postgres")]
mod postgres;
mod prepared;
#[path = "../support/program.rs"]
mod program;
#[cfg(feature = "postgres")]
#[path = "../support/servers.rs"]
mod servers;

use std::path::Path;

use prepared::{Folder, Shop, id, orders, seen};
use program::{Program, code, ids, keys, stderr};
use serde_json::{Value, json};

const FEATURES: &str = if cfg!(feature = "postgres") {
    "postgres,sqlite,workflow"
} else {
    "sqlite,workflow"
};

static WORKFLOW: Program = Program::new("workflow", FEATURES);

fn text(folder: &Path, arguments: &[&str], wanted: i32) -> String {
    WORKFLOW.text(folder, arguments, wanted)
}

fn json(folder: &Path, arguments: &[&str], wanted: i32) -> Vec<Value> {
    WORKFLOW.json(folder, arguments, wanted)
}

/// The one document of a command.
fn one(folder: &Path, arguments: &[&str], wanted: i32) -> Value {
    let mut found = json(folder, arguments, wanted);
    assert_eq!(found.len(), 1, "{arguments:?}: {found:?}");
    found.remove(0)
}

async fn prepared(name: &str) -> Folder {
    let folder = Folder::new(name);
    orders(folder.path()).await;
    folder
}

const DORA: [&str; 4] = ["--by", "dora", "--reason", "the ERP desk has looked"];

/// A move of one order, on the revision that it has now.
fn moves(folder: &Path, key: &str, words: &[&str], wanted: i32) -> Value {
    let found = one(folder, &["orders.db", "look", "--key", key], 0);
    let revision = found["revision"].to_string();
    let command = [&["orders.db", words[0], "--key", key], &words[1..], &DORA].concat();
    one(folder, &[&command[..], &["--revision", &revision]].concat(), wanted)
}

/// The last entry of an order's journal.
fn last_entry(folder: &Path, key: &str) -> Value {
    let found = one(folder, &["orders.db", "look", "--key", key], 0);
    found["journal"].as_array().and_then(|all| all.last()).expect("an entry").clone()
}

fn stands(found: &Value) -> (&str, &str) {
    (found["status"].as_str().expect("one"), found["step"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn it_counts_where_the_instances_are() {
    let folder = prepared("counts").await;
    let found = json(folder.path(), &["orders.db", "counts"], 0);
    let numbers = found.iter().map(|count| {
        (stands(count), count["instances"].as_u64(), count["overdue"].as_u64())
    });
    let expected = [
        (("awaiting", "charge_card"), Some(1), Some(1)),
        (("awaiting", "over_limit"), Some(1), Some(0)),
        (("awaiting", "reserve_credit"), Some(2), Some(2)),
        (("completed", ""), Some(1), Some(0)),
        (("parked", "create_order"), Some(1), Some(1)),
    ];
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
    assert_eq!(found[2]["failing"], 1);
    let wanted = [
        "failing",
        "for_nobody",
        "instances",
        "oldest",
        "overdue",
        "status",
        "step",
        "workflow",
    ];
    assert_eq!(keys(&found[0]), wanted);
}

/// Protects somebody on call from guessing what an instance waits for.
#[tokio::test]
async fn it_says_what_each_waits_for_and_since_when() {
    let folder = prepared("stuck").await;
    let stuck = json(folder.path(), &["orders.db", "stuck"], 0);
    let kind = |key: &str| {
        let of = |one: &&Value| one["id"] == id(key).as_str();
        stuck.iter().find(of).unwrap_or_else(|| panic!("{key}: {stuck:?}"))["waits_for"]
            .clone()
    };
    let reply = kind("order 4711");
    assert_eq!(
        (&reply["kind"], &reply["command_status"]),
        (&json!("reply"), &json!("pending"))
    );
    let people = kind("order 4712");
    assert_eq!(
        (&people["kind"], &people["role"]),
        (&json!("people"), &json!("controller"))
    );
    assert!(people["since"].is_string());
    assert_eq!(kind("order 4713")["role"], "erp desk");
    let turn = kind("order 4715");
    assert_eq!((&turn["kind"], &turn["failures"]), (&json!("turn"), &json!(3)));
    let repair = kind("order 4716");
    assert_eq!(repair["kind"], "repair");
    assert!(repair["reason"].as_str().is_some_and(|why| why.contains("charge_card")));
    assert_eq!(stuck.len(), 5, "what has ended waits for nothing");

    let first = WORKFLOW.run(folder.path(), &["orders.db", "stuck", "--limit", "2"]);
    assert_eq!(
        String::from_utf8_lossy(&first.stdout).lines().count(),
        5,
        "a header, and two lines for each"
    );
    assert!(stderr(&first).contains("there are more"), "what is left out is said");
    let quiet = text(folder.path(), &["orders.db", "stuck", "--older-than", "7d"], 0);
    assert_eq!(quiet, "nothing is stuck\n");
}

/// Protects somebody on call from waiting for a reply that has come, and that nobody could
/// take.
#[tokio::test]
async fn it_names_a_reply_that_is_a_dead_letter() {
    let folder = prepared("dead").await;
    Shop::new(&folder.path().join("orders.db")).answers_of_another_step("order 4711");
    let look = ["orders.db", "look", "--key", "order 4711"];
    let found = one(folder.path(), &look, 0);
    let [dead] = &found["dead_replies"].as_array().expect("a list")[..] else {
        panic!("{found}")
    };
    assert_eq!(
        (&dead["source"], &dead["event_type"]),
        (&"erp".into(), &"erp.stock.held".into())
    );
    assert_eq!(keys(dead), ["event_type", "failed_at", "failure", "id", "source"]);
    for command in [&look[..], &["orders.db", "stuck"]] {
        let said = text(folder.path(), command, 0);
        let line = said.lines().find(|line| line.contains("could not take"));
        let line = line.unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains("`erp.stock.held`"), "{line}");
        assert!(line.ends_with("or discard it and settle the step"), "{line}");
    }
}

#[tokio::test]
async fn it_says_what_happened_to_one() {
    let folder = prepared("look").await;
    let by_key = one(folder.path(), &["orders.db", "look", "--key", "order 4713"], 0);
    let by_id = one(folder.path(), &["orders.db", "look", &id("order 4713")], 0);
    assert_eq!(by_key, by_id);
    assert_eq!(stands(&by_key), ("parked", "create_order"));
    let journal = by_key["journal"].as_array().expect("a list");
    let what: Vec<_> =
        journal.iter().filter_map(|entry| entry["what"].as_str()).collect();
    assert_eq!(what, ["started", "done", "done", "timed_out", "timed_out"]);
    let none = WORKFLOW.run(folder.path(), &["orders.db", "look", "--key", "order 1"]);
    assert_eq!((code(&none), none.stdout.len()), (1, 0));
    let said = format!(
        "workflow: there is no instance {} (--key was looked for among those of \
         order_to_cash, the workflow that this program knows: name any other by its \
         id)\n",
        id("order 1")
    );
    assert_eq!(stderr(&none), said);
}

/// Protects customers: what an order is about, and what an approval shows, stays in the
/// database.
#[tokio::test]
async fn nothing_shows_what_an_order_is_about() {
    let folder = prepared("data").await;
    let look = ["orders.db", "look", "--key", "order 4712"];
    for command in [
        &["orders.db", "counts"][..],
        &["orders.db", "stuck"],
        &look,
        &["orders.db", "verify"],
        &["orders.db", "diagram"],
    ] {
        for form in [&[][..], &["--json"]] {
            let output = WORKFLOW.run(folder.path(), &[command, form].concat());
            let said = format!("{output:?}");
            assert!(!said.contains("31415"), "{command:?}: {said}");
        }
    }
}

/// Protects from a person's word that nobody can find again.
#[tokio::test]
async fn a_silent_step_is_settled_by_name_role_and_reason() {
    for (word, wanted) in [
        (&["happened"][..], ("awaiting", "notify_billing")),
        (&["did-not-happen"], ("undoing", "hold_stock")),
    ] {
        let folder = prepared(&format!("settle-{}", word[0])).await;
        let words = [&["settle"], word, &["--as", "erp desk", "--instead-of", "eve"]];
        let settled = moves(folder.path(), "order 4713", &words.concat(), 0);
        assert_eq!(settled["outcome"], "done");
        assert_eq!(stands(&settled), wanted);
        let entry = last_entry(folder.path(), "order 4713");
        assert_eq!((&entry["by"], &entry["role"]), (&json!("dora"), &json!("erp desk")));
        assert_eq!(entry["instead_of"], "eve");
        assert_eq!(entry["reason"], "the ERP desk has looked");
    }
}

#[tokio::test]
async fn what_the_reply_would_have_said_is_read_from_a_file() {
    let folder = prepared("reply").await;
    std::fs::write(folder.path().join("reply.json"), "{}").unwrap();
    let words = ["settle", "happened", "--as", "erp desk", "--payload", "reply.json"];
    let settled = moves(folder.path(), "order 4713", &words, 0);
    assert_eq!(stands(&settled), ("awaiting", "notify_billing"));
}

/// Protects from the hand of somebody who is not asked, or comes too late.
#[tokio::test]
async fn what_is_not_legal_is_refused_and_changes_nothing() {
    let folder = prepared("refused").await;
    let before = one(folder.path(), &["orders.db", "look", "--key", "order 4713"], 0);
    for (words, why) in [
        (&["settle", "happened", "--as", "billing desk"][..], "erp desk"),
        (&["settle", "give-up", "--as", "erp desk"], "give up"),
        (&["cancel"], "cancel"),
        (&["withdraw", "--as", "erp desk"], "cannot withdraw"),
    ] {
        let refused = moves(folder.path(), "order 4713", words, 1);
        assert_eq!(keys(&refused), ["id", "outcome", "why"]);
        let said = refused["why"].as_str().expect("a reason");
        assert!(said.contains(why), "{words:?}: {said}");
    }
    let late = ["orders.db", "settle", "--key", "order 4713", "happened"];
    let late = [&late[..], &["--as", "erp desk", "--revision", "4"], &DORA].concat();
    let late = one(folder.path(), &late, 1);
    assert!(late["why"].as_str().is_some_and(|why| why.contains("found revision 5")));
    let after = one(folder.path(), &["orders.db", "look", "--key", "order 4713"], 0);
    assert_eq!(before, after);
    let none = ["orders.db", "cancel", "--key", "order 1", "--revision", "1"];
    let none = WORKFLOW.run(folder.path(), &[&none[..], &DORA].concat());
    assert_eq!((code(&none), none.stdout.len()), (1, 0));
}

#[tokio::test]
async fn an_approval_is_given_by_what_was_seen() {
    let folder = prepared("approve").await;
    let seen = seen();
    let other = ["approve", "--seen", "0123456789abcdef", "--as", "controller"];
    let other = moves(folder.path(), "order 4712", &other, 1);
    assert!(other["why"].as_str().is_some_and(|why| why.contains("look at it again")));
    let asker =
        ["approve", "--seen", &seen, "--as", "controller", "--instead-of", "anna"];
    let asker = moves(folder.path(), "order 4712", &asker, 1);
    assert!(asker["why"].as_str().is_some_and(|why| why.contains("another person")));
    let words = ["approve", "--seen", &seen, "--as", "controller"];
    let approved = moves(folder.path(), "order 4712", &words, 0);
    assert_eq!(stands(&approved), ("awaiting", "create_order"));
    assert_eq!(last_entry(folder.path(), "order 4712")["what"], "approved");

    let folder = prepared("refuse").await;
    let refused =
        moves(folder.path(), "order 4712", &["refuse", "--as", "controller"], 0);
    assert_eq!(stands(&refused), ("undoing", "hold_stock"));
}

#[tokio::test]
async fn an_order_is_cancelled_postponed_and_put_to_the_next_level() {
    let folder = prepared("hands").await;
    let cancelled = moves(folder.path(), "order 4711", &["cancel"], 0);
    assert_eq!(stands(&cancelled), ("undoing", "reserve_credit"));
    assert_eq!(last_entry(folder.path(), "order 4711")["by"], "dora");

    let until = ["postpone", "--until", "2999-01-01T00:00:00Z"];
    let postponed = moves(folder.path(), "order 4712", &until, 0);
    assert_eq!(postponed["due_at"], "2999-01-01T00:00:00.000000Z");
    assert_eq!(last_entry(folder.path(), "order 4712")["what"], "postponed");

    let reassigned = moves(folder.path(), "order 4712", &["reassign"], 0);
    assert_eq!(reassigned["waits_for"]["role"], "head of finance");
    let last = moves(folder.path(), "order 4712", &["reassign"], 1);
    assert_eq!(last["outcome"], "refused");
    let entry = last_entry(folder.path(), "order 4712");
    assert_eq!((&entry["what"], &entry["by"]), (&json!("reassigned"), &json!("dora")));
}

#[tokio::test]
async fn what_was_repaired_is_taken_up() {
    let folder = prepared("take-up").await;
    let take_up =
        |key: &'static str| [&["orders.db", "take-up", "--key", key], &DORA[..]].concat();
    let taken = one(folder.path(), &take_up("order 4715"), 0);
    assert_eq!(
        (&taken["outcome"], &taken["waits_for"]["kind"]),
        (&json!("done"), &json!("reply"))
    );
    let none = WORKFLOW.run(folder.path(), &take_up("order 4711"));
    assert_eq!(code(&none), 1);
    assert!(stderr(&none).contains("no instance whose turn has failed"));
}

#[tokio::test]
async fn what_ended_is_purged_and_what_somebody_changed_is_found() {
    let folder = prepared("purge").await;
    let found = one(folder.path(), &["orders.db", "verify"], 1);
    assert_eq!(found["balanced"], false);
    let findings = found["findings"].as_array().expect("a list");
    assert!(findings.iter().all(|one| one["instance"] == id("order 4716").as_str()));
    let purge = |age: &str| {
        let purge = ["orders.db", "purge", "--older-than", age, "--batch", "1"];
        one(folder.path(), &[&purge[..], &DORA].concat(), 0)
    };
    assert_eq!(purge("7d"), json!({"removed": 0}));
    assert_eq!(purge("1h"), json!({"removed": 1}));
    let gone = ["orders.db", "look", "--key", "order 4714"];
    assert_eq!(code(&WORKFLOW.run(folder.path(), &gone)), 1);

    let folder = Folder::new("balanced");
    let mut shop = Shop::new(&folder.path().join("orders.db"));
    shop.begin("order 1", 900);
    assert_eq!(text(folder.path(), &["orders.db", "verify"], 0), "nothing is wrong\n");
}

#[tokio::test]
async fn the_diagram_says_how_many_stand_where() {
    let folder = prepared("diagram").await;
    let diagram = text(folder.path(), &["orders.db", "diagram"], 0);
    assert!(diagram.starts_with("stateDiagram-v2\n    [*] --> reserve_credit\n"));
    for note in [
        "note right of reserve_credit: 2, 2 overdue",
        "note right of parked_create_order: 1, 1 overdue",
        "note right of completed: 1",
    ] {
        assert!(diagram.lines().any(|line| line.trim() == note), "{note}: {diagram}");
    }
    assert_eq!(one(folder.path(), &["orders.db", "diagram"], 0)["mermaid"], diagram);
}

#[tokio::test]
async fn a_wrong_command_line_does_nothing() {
    let folder = prepared("usage").await;
    let key = ["--key", "order 4713"];
    let decided = |words: &[&'static str]| {
        [&["orders.db"], words, &key, &DORA, &["--revision", "5"]].concat()
    };
    for (arguments, why) in [
        (vec![], "wanted a database"),
        (vec!["orders.db"], "wanted a command"),
        (vec!["orders.db", "drop"], "found \"drop\""),
        (vec!["orders.db", "counts", "now"], "takes no \"now\""),
        (vec!["orders.db", "counts", "--by", "dora"], "takes no --by"),
        (vec!["orders.db", "look"], "wanted the id"),
        (vec!["orders.db", "look", "--key", ""], "id"),
        (vec!["orders.db", "purge"], "--older-than"),
        (decided(&["settle"]), "wanted happened"),
        (decided(&["settle", "maybe"]), "found \"maybe\""),
        (decided(&["settle", "happened"]), "--as"),
        (decided(&["settle", "happened", "--as", "boss"]), "\"erp desk\""),
        (
            decided(&[
                "settle",
                "happened",
                "--as",
                "erp desk",
                "--payload",
                "none.json",
            ]),
            "none.json",
        ),
        (
            decided(&["settle", "give-up", "--as", "erp desk", "--though-sent"]),
            "takes no --though-sent",
        ),
        (decided(&["cancel", "--as", "erp desk"]), "takes no --as"),
        (decided(&["approve", "--as", "controller"]), "--seen"),
        (decided(&["approve", "--as", "controller", "--seen", "it"]), "sixteen"),
        (decided(&["postpone", "--until", "soon"]), "soon"),
        (
            vec!["orders.db", "cancel", "--key", "a", "--by", "x", "--revision", "1"],
            "--reason",
        ),
        ([&["orders.db", "cancel", "--key", "a"], &DORA[..]].concat(), "--revision"),
        (vec!["missing.db", "counts"], "missing.db"),
        (vec!["orders.db", "counts", "--ca", "authority.pem"], "postgres:// address"),
    ] {
        let output = WORKFLOW.run(folder.path(), &arguments);
        let said = stderr(&output);
        assert_eq!((code(&output), output.stdout.len()), (2, 0), "{arguments:?}: {said}");
        assert!(
            said.starts_with("workflow: ") && said.contains(why),
            "{arguments:?}: {said}"
        );
    }
    assert!(!folder.path().join("missing.db").exists(), "no database is made");
    let stands = one(folder.path(), &["orders.db", "look", "--key", "order 4713"], 0);
    assert_eq!(stands["revision"], 5);
    let help = text(folder.path(), &["--help"], 0);
    assert!(
        ["settle", "postpone", "reassign", "take-up"].iter().all(|c| help.contains(c))
    );
    assert_eq!(
        ids(&json(folder.path(), &["orders.db", "stuck", "--limit", "1"], 0)).len(),
        1
    );
}
