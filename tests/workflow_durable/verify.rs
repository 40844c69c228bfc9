//! What the desk finds wrong with instances, on every database.

use integration_automation_patterns::workflow::{
    AnyRuling, Choice, Correlation, Discrepancy, Forestall, Forestalled, InstanceFinding,
    Person, Role, Seen,
};
use integration_automation_patterns::{Event, RawEvent};

use crate::desk::{AtADesk, HOUR, at_its_approval, update};
use crate::orders::order_to_cash::{Any, at};
use crate::orders::*;
use crate::suite::*;

/// Protects `verify` from false alarms: whatever replies, deadlines and undos do is a
/// move of the table.
pub(crate) async fn it_agrees_with_what_programs_do<D: AtADesk>() {
    let database = D::fresh().await;
    at_its_approval(&database, "1").await;
    for _ in 0..3 {
        database.pass_time(30 * HOUR).await;
        assert_eq!(database.clerk(config()).await.moved, 1);
    }
    undone(&database).await;
    for key in ["2", "3"] {
        let _ = database.begin(key, 900, true).await;
        answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE)
            .await;
        answered(&database, HoldStock::TYPE, Answer::Does, StockHeld::TYPE).await;
        if key == "2" {
            database.pass_time(2 * HOUR).await;
            assert_eq!(database.clerk(config()).await.moved, 1);
            answered(&database, Forestall::TYPE, Answer::Does, Forestalled::TYPE).await;
            undone(&database).await;
        }
    }
    answered(&database, CreateOrder::TYPE, Answer::Does, OrderCreated::TYPE).await;
    answered(&database, IssueInvoice::TYPE, Answer::Does, InvoiceIssued::TYPE).await;
    let _ = database.begin("4", 900, true).await;
    let reserve = last(&database, ReserveCredit::TYPE).await;
    let _done = database.participate(delivery(&reserve), Answer::Does).await;
    database.pass_time(HOUR).await;
    assert_eq!(database.clerk(config()).await.moved, 1);
    let late = last(&database, CreditReserved::TYPE).await;
    let _late = database.receive(delivery(&late), config()).await;
    assert_eq!(journal(&database, "4").await, "started timed_out late");
    assert_eq!(database.verify().await, []);
}

/// A ruling of somebody in this role.
fn ruling<R: Role<Key = login::Key>>(person: &str) -> AnyRuling {
    login::seat::<R>(person).unwrap().decide("as I saw it").unwrap().into()
}

/// Protects `verify` from false alarms: every word of a person is a move of the table,
/// and every command that follows from it is the one that is awaited.
pub(crate) async fn it_agrees_with_what_people_say<D: AtADesk>() {
    let database = D::fresh().await;
    let silent = async || {
        database.pass_time(60 * HOUR).await;
        assert_eq!(database.clerk(config()).await.moved, 1);
        assert_eq!(database.verify().await, []);
    };
    let says = async |key: &str, choice: Choice, by: AnyRuling, leads: &str| {
        database.decide(key, choice.clone(), by, config()).await.unwrap();
        assert_eq!(stands(&database, key).await, leads, "{choice:?}");
        assert_eq!(database.verify().await, [], "{choice:?}");
    };
    let happened = |reply: &'static str| Choice::Happened(RawEvent::new(reply, b"{}"));
    let did_not = Choice::DidNotHappen { though_sent: true };

    at_its_approval(&database, "1").await;
    database.reassign(&event_id("1"), 3, config()).await.unwrap();
    assert_eq!(database.verify().await, []);
    let approves = Choice::Approve(Seen::of(b"12000"));
    says("1", approves, ruling::<HeadOfFinance>("fred"), "awaiting create_order").await;
    silent().await;
    silent().await;
    let erp = || ruling::<ErpDesk>("dora");
    says("1", happened(OrderCreated::TYPE), erp(), "awaiting notify_billing").await;
    let billing = || ruling::<BillingDesk>("bill");
    silent().await;
    says("1", Choice::AskAgain, billing(), "awaiting notify_billing").await;
    silent().await;
    says("1", Choice::GiveUp, billing(), "given_up").await;

    at_its_approval(&database, "2").await;
    let refuses = ruling::<Controller>("carl");
    says("2", Choice::Refuse, refuses, "undoing hold_stock").await;
    silent().await;
    says("2", Choice::AskAgain, erp(), "undoing hold_stock").await;
    silent().await;
    says("2", happened(StockFreed::TYPE), erp(), "undoing reserve_credit").await;
    silent().await;
    says("2", Choice::GiveUp, ruling::<CreditDesk>("cleo"), "given_up").await;

    let _ = database.begin("3", 900, true).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    says("3", Choice::Cancel, erp(), "undoing hold_stock").await;
    undone(&database).await;
    let _ = database.begin("4", 900, true).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    answered(&database, HoldStock::TYPE, Answer::Does, StockHeld::TYPE).await;
    silent().await;
    silent().await;
    says("4", did_not, erp(), "undoing hold_stock").await;
}

async fn undone<D: Database>(database: &D) {
    answered(database, FreeStock::TYPE, Answer::Does, StockFreed::TYPE).await;
    answered(database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
}

/// Protects the audit from a row or a journal that somebody has changed by hand.
pub(crate) async fn it_finds_what_no_program_did<D: AtADesk>() {
    let database = D::fresh().await;
    for key in ["1", "2", "3", "4", "5", "6"] {
        let _ = database.begin(key, 900, true).await;
        if matches!(key, "3" | "4") {
            answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE)
                .await;
        }
    }
    assert_eq!(database.verify().await, []);
    let entry = async |key: &str, number: u32, change: &str| {
        let of = format!("WHERE instance = '{}' AND entry = {number}", id(key));
        database.sql(&change.replace("THE", &of)).await;
    };
    // The command that a row awaits follows from its stage, or the row cannot be read.
    let awaits = |key: &str, command: &str| {
        let command = format!("order_to_cash/{}/{command}", id(key));
        command.parse::<Correlation>().unwrap().command_id()
    };
    let hold = awaits("1", "hold_stock/do");
    update(&database, "1", &format!("step = 'hold_stock', awaits = '{hold}'")).await;
    entry("2", 1, "UPDATE workflow_journal SET what = 'done' THE").await;
    let free = awaits("3", "hold_stock/undo");
    update(&database, "3", &format!("status = 'undoing', awaits = '{free}'")).await;
    entry("3", 2, "UPDATE workflow_journal SET status = 'undoing' THE").await;
    entry("4", 1, "DELETE FROM workflow_journal THE").await;
    let gone = format!("DELETE FROM workflow_instance WHERE id = '{}'", id("5"));
    database.sql(&gone).await;
    update(&database, "6", "version = 7").await;

    let findings = database.verify().await;
    let of = |key: &str| {
        let found = findings.iter().filter(|one| one.instance == id(key).to_string());
        found.map(|one| one.what.clone()).collect::<Vec<_>>()
    };
    let stage = |text: &str, revision| (text.to_owned(), revision);
    let row = stage("awaiting hold_stock", 1);
    let journal = Some(stage("awaiting reserve_credit", 1));
    assert_eq!(of("1"), [Discrepancy::RowDiffers { row, journal }]);
    let no_such_move = |entry, what: &str, from: Option<&str>, to: &str| {
        let (what, from, to) = (what.into(), from.map(Into::into), to.into());
        Discrepancy::NoSuchMove { entry, what, from, to }
    };
    let begins = no_such_move(1, "done", None, "awaiting reserve_credit");
    assert_eq!(of("2"), [begins]);
    let from = Some("awaiting reserve_credit");
    assert_eq!(of("3"), [no_such_move(2, "done", from, "undoing hold_stock")]);
    let [Discrepancy::Gap { wanted: 1, found: 2, .. }] = of("4")[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(of("5"), [Discrepancy::NoRow]);
    let [Discrepancy::Unreadable { reason }] = &of("6")[..] else {
        panic!("{findings:?}")
    };
    assert!(reason.contains("found version 7"), "{reason}");
    assert_eq!(findings.len(), 6);
}

/// An order that carl has amended, in the place of dora, and cora has approved.
async fn amended_and_approved<D: AtADesk>() -> D {
    let database = D::fresh().await;
    at_its_approval(&database, "1").await;
    let at = database.load("1").await.unwrap().unwrap();
    let Any::Awaiting(at::Awaiting::over_limit(order)) = at else { panic!() };
    let carl = login::seat::<Controller>("carl").unwrap();
    let carl = carl.instead_of(Person::new("dora").unwrap()).decide("less").unwrap();
    let amended = order.amend(|order| order.total = 11_000, carl);
    database.store(amended.into()).await.unwrap();
    assert_eq!(database.verify().await, []);
    let cora = login::seat::<Controller>("cora").unwrap().decide("fine").unwrap();
    let seen = Choice::Approve(Seen::of(b"11000"));
    database.decide("1", seen, AnyRuling::from(cora), config()).await.unwrap();
    assert_eq!(stands(&database, "1").await, "awaiting create_order");
    assert_eq!(database.verify().await, []);
    database
}

/// The one finding after a change of this table, which is taken back.
async fn finding<D: AtADesk>(
    database: &D,
    table: &str,
    change: &str,
) -> Option<InstanceFinding> {
    database.sql(&format!("CREATE TABLE saved AS SELECT * FROM {table}")).await;
    database.sql(change).await;
    let mut findings = database.verify().await;
    assert!(findings.len() < 2, "{change}: {findings:?}");
    let back = format!(
        "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved; DROP TABLE saved"
    );
    database.sql(&back).await;
    assert_eq!(database.verify().await, [], "{change}");
    findings.pop()
}

/// Protects the four eyes from a vote, or an amendment, that somebody writes, changes or
/// removes by hand: each column by itself.
pub(crate) async fn it_finds_a_vote_that_nobody_gave<D: AtADesk>() {
    let database: D = amended_and_approved().await;
    for change in [
        "person = 'eve'",
        "instead_of = 'eve'",
        "role = 'head of finance'",
        "reason = 'hm'",
        "at = (SELECT begun_at FROM workflow_instance)",
    ] {
        let change = format!("UPDATE workflow_vote SET {change}");
        let found = finding(&database, "workflow_vote", &change).await.unwrap();
        let Discrepancy::VotesDiffer { approval, wanted, found: stored } = &found.what
        else {
            panic!("{change}: {found}")
        };
        assert_eq!((approval.as_str(), wanted.len(), stored.len()), ("over_limit", 1, 1));
        assert!(wanted[0].starts_with("cora as controller at 20"), "{wanted:?}");
        assert_ne!(wanted, stored, "{change}");
        assert!(found.to_string().contains("restore the rows"), "{found}");
    }
    let none = "DELETE FROM workflow_vote";
    let found = finding(&database, "workflow_vote", none).await.unwrap();
    assert!(matches!(found.what, Discrepancy::VotesDiffer { .. }), "{found}");
    for (change, said) in [
        ("seen = '0000000000000000'", "found one about 0000000000000000"),
        ("approval = 'under_limit'", "asked or cleared, and found \"under_limit\""),
    ] {
        let change = format!("UPDATE workflow_vote SET {change}");
        let found = finding(&database, "workflow_vote", &change).await.unwrap();
        assert!(matches!(found.what, Discrepancy::Unreadable { .. }), "{found}");
        assert!(found.to_string().contains(said), "{found}");
    }

    let amended_by =
        |list: &str| format!("UPDATE workflow_instance SET amended_by = '{list}'");
    for list in [
        r#"[{"person":"carl","instead_of":null}]"#,
        r#"[{"person":"eve","instead_of":"dora"}]"#,
        r#"[{"person":"carl","instead_of":"dora"},{"person":"eve"}]"#,
    ] {
        let change = amended_by(list);
        let found = finding(&database, "workflow_instance", &change).await.unwrap();
        let Discrepancy::AmendersDiffer { wanted, .. } = &found.what else {
            panic!("{found}")
        };
        assert_eq!(wanted, &["carl in place of dora"]);
    }
    let change = amended_by("[]");
    let found = finding(&database, "workflow_instance", &change).await.unwrap();
    assert!(matches!(found.what, Discrepancy::Unreadable { .. }), "{found}");
    // An entry that is changed is found by the votes that are stored.
    let entry = "UPDATE workflow_journal SET by = 'eve' WHERE what = 'approved'";
    let found = finding(&database, "workflow_journal", entry).await.unwrap();
    assert!(matches!(found.what, Discrepancy::VotesDiffer { .. }), "{found}");
}

/// Protects an instance from waiting for a reply that cannot come.
pub(crate) async fn it_finds_another_event_under_the_id_of_the_command<D: AtADesk>() {
    let database: D = amended_and_approved().await;
    let command = last(&database, CreateOrder::TYPE).await.id().clone();
    let update =
        |change: &str| format!("UPDATE outbox_event SET {change} WHERE id = '{command}'");
    for column in ["event_type", "source_system", "correlation_id"] {
        let change = update(&format!("{column} = 'erp.order.print'"));
        let found = finding(&database, "outbox_event", &change).await.unwrap();
        let Discrepancy::OtherCommand { command: id, wanted, found } = &found.what else {
            panic!("{found}")
        };
        assert_eq!(id, &command);
        assert!(wanted.starts_with("`erp.order.create` of order_to_cash for"));
        assert!(found.contains("erp.order.print"), "{found}");
    }
    for status in ["failed", "skipped"] {
        let change = update(&format!("status = '{status}', due_at = NULL"));
        let found = finding(&database, "outbox_event", &change).await.unwrap();
        assert!(matches!(found.what, Discrepancy::CommandStopped { .. }), "{found}");
        assert!(found.to_string().contains(status), "{found}");
    }
    let purged = format!("DELETE FROM outbox_event WHERE id = '{command}'");
    assert_eq!(finding(&database, "outbox_event", &purged).await, None, "it has left");
    // Behind its deadline and that of its participant, people look at it.
    database.sql(&update("status = 'skipped', due_at = NULL")).await;
    for _ in 0..2 {
        database.pass_time(2 * HOUR).await;
        assert_eq!(database.clerk(config()).await.moved, 1);
    }
    assert_eq!(stands(&database, "1").await, "parked create_order");
    assert_eq!(database.verify().await, []);
}

/// Protects from an all-clear for instances that nobody has checked.
pub(crate) async fn it_says_whose_table_it_does_not_know<D: AtADesk>() {
    let database = D::fresh().await;
    for key in ["1", "2", "3"] {
        let _ = database.begin(key, 900, true).await;
    }
    let others = format!("WHERE id <> '{}'", id("3"));
    database
        .sql(&format!("UPDATE workflow_instance SET workflow = 'hiring' {others}"))
        .await;
    let found = database.verify().await;
    let [finding] = &found[..] else { panic!("{found:?}") };
    let wanted =
        Discrepancy::UnknownTable { workflow: "hiring".to_owned(), instances: 2 };
    assert_eq!(finding.what, wanted);
    assert_eq!(finding.instance, id("1").to_string().min(id("2").to_string()));
    assert!(finding.to_string().contains("the table of hiring is unknown"), "{finding}");
}
