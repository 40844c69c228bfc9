//! Approvals that are stored: votes, what was shown, and questions that leave as events.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_automation_patterns::Event;
use integration_automation_patterns::workflow::{
    AnyRuling, Choice, Person, QuestionAsked, Seen, WorkflowConfig,
};

use crate::orders::order_to_cash::{Any, at};
use crate::orders::*;
use crate::suite::*;

fn ruling<R: workflow_role::Of>(person: &str) -> AnyRuling {
    R::ruling(person)
}

mod workflow_role {
    use super::*;

    pub(crate) trait Of {
        fn ruling(person: &str) -> AnyRuling;
    }

    macro_rules! of {
        ($($role:ident)*) => { $(impl Of for $role {
            fn ruling(person: &str) -> AnyRuling {
                login::seat::<$role>(person).unwrap().decide("a good customer").unwrap().into()
            }
        })* };
    }

    of!(Controller HeadOfFinance);
}

async fn to_the_approval<D: Database>() -> D {
    let database = D::fresh().await;
    let _ = database.begin("1", 12_000, true).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    answered(&database, HoldStock::TYPE, Answer::Does, StockHeld::TYPE).await;
    assert_eq!(stands(&database, "1").await, "awaiting over_limit");
    database
}

fn seen() -> Choice {
    Choice::Approve(Seen::of(b"12000"))
}

/// Protects from an approval of something else than what is sent, and by the one who asks.
pub(crate) async fn what_is_approved_is_what_is_sent<D: Database>() {
    let database: D = to_the_approval().await;
    let asked = last(&database, QuestionAsked::TYPE).await;
    let asked = String::from_utf8(asked.payload().bytes().to_vec()).unwrap();
    assert!(asked.contains(r#""role":"controller""#), "{asked}");
    assert!(asked.contains(r#""shown":"12000""#), "{asked}");
    let decide = async |choice, ruling| {
        database.decide("1", choice, ruling, config()).await.unwrap_err()
    };
    let own = decide(seen(), ruling::<Controller>("Anna")).await;
    assert!(own.contains("another person"), "{own}");
    let other = Choice::Approve(Seen::of(b"1200"));
    let other = decide(other, ruling::<Controller>("carl")).await;
    assert!(other.contains("look at it again"), "{other}");
    assert_eq!(journal(&database, "1").await, "started done done", "nothing is stored");

    let carl = ruling::<Controller>("carl");
    assert_eq!(database.decide("1", seen(), carl, config()).await, Ok(()));
    assert_eq!(stands(&database, "1").await, "awaiting create_order");
    let vote = "SELECT approval || ' ' || person || ' ' || role || ' ' || reason \
         FROM workflow_vote";
    let vote = database.text(vote).await;
    assert_eq!(vote, "over_limit carl controller a good customer");
    let entry = "SELECT by || ' ' || role || ' ' || reason FROM workflow_journal \
         WHERE what = 'approved'";
    assert_eq!(database.text(entry).await, "carl controller a good customer");
    let create = last(&database, CreateOrder::TYPE).await;
    assert_eq!(create.payload().bytes(), b"12000");
    // The votes are read back, and go on with the instance.
    answered(&database, CreateOrder::TYPE, Answer::Does, OrderCreated::TYPE).await;
    answered(&database, IssueInvoice::TYPE, Answer::Does, InvoiceIssued::TYPE).await;
    assert_eq!(stands(&database, "1").await, "completed");
    assert_eq!(
        database.text("SELECT CAST(count(*) AS text) FROM workflow_vote").await,
        "1"
    );
    // A vote that somebody changes afterwards is found out.
    database.sql("UPDATE workflow_vote SET person = 'anna'").await;
    let error = database.load("1").await.unwrap_err();
    assert!(error.contains("anna"), "{error}");
}

/// Protects the four eyes from an instance whose row forgets who has amended it, from one
/// that is changed by hand, and from those that are under way on the day of the migration.
pub(crate) async fn who_has_amended_is_kept<D: Database>() {
    let database: D = to_the_approval().await;
    let Some(Any::Awaiting(at::Awaiting::over_limit(order))) =
        database.load("1").await.unwrap()
    else {
        panic!("the approval is awaited")
    };
    let seat = login::seat::<Controller>("carl").unwrap();
    let seat = seat.instead_of(Person::new("dora \"d\"").unwrap());
    let less = seat.decide("less").unwrap();
    let amended = order.amend(|order| order.total = 11_000, less);
    database.store(amended.into()).await.unwrap();
    let entry = "SELECT what || ' ' || by || ' ' || role || ' ' || instead_of \
         FROM workflow_journal ORDER BY entry DESC LIMIT 1";
    let entry = database.text(entry).await;
    assert_eq!(entry, "amended carl controller dora \"d\"");
    let seen = || Choice::Approve(Seen::of(b"11000"));
    for person in ["carl", "Dora \"d\""] {
        let own = ruling::<Controller>(person);
        let own = database.decide("1", seen(), own, config()).await.unwrap_err();
        assert!(own.contains("those who have amended it"), "{own}");
    }
    let column = "SELECT amended_by FROM workflow_instance";
    let kept = database.text(column).await;
    database.sql("UPDATE workflow_instance SET amended_by = '[]'").await;
    let error = database.load("1").await.unwrap_err();
    assert!(error.contains("at least 1 who have amended it, and found 0"), "{error}");
    // As an instance of the earlier version of the tables is brought up to date.
    let migrations = D::migrations();
    let mut updates = migrations.iter().flat_map(|sql| sql.split(';'));
    let update = updates.find(|sql| sql.contains("SET amended_by")).unwrap();
    database.sql(update).await;
    let found: serde_json::Value =
        serde_json::from_str(&database.text(column).await).unwrap();
    assert_eq!(found, serde_json::from_str::<serde_json::Value>(&kept).unwrap());

    let cora = ruling::<Controller>("cora");
    assert_eq!(database.decide("1", seen(), cora, config()).await, Ok(()));
    let clearance = "SELECT CAST(amended AS text) FROM workflow_clearance";
    assert_eq!(database.text(clearance).await, "1");
    database.sql("UPDATE workflow_vote SET person = 'carl'").await;
    let error = database.load("1").await.unwrap_err();
    assert!(error.contains("those who have amended it, and found carl's"), "{error}");
}

fn directory(people: &[(&str, &[&str])]) -> WorkflowConfig {
    let person = |name: &&str| Person::new(name).unwrap();
    let people = people.iter().map(|(role, members)| {
        ((*role).to_owned(), members.iter().map(person).collect::<Vec<_>>())
    });
    WorkflowConfig::default().directory(people.collect::<BTreeMap<_, _>>())
}

/// Protects from a question that nobody can answer, and nobody knows of.
pub(crate) async fn a_question_for_nobody_says_so<D: Database>() {
    for (people, level, nobody) in [
        (&[("controller", &["anna", "carl"][..])][..], "0", "false"),
        (
            &[("controller", &["anna"][..]), ("head of finance", &["fay"])][..],
            "1",
            "false",
        ),
        (&[("controller", &["anna"][..])][..], "1", "true"),
    ] {
        let database = D::fresh().await;
        let _ = database.begin("1", 12_000, true).await;
        answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE)
            .await;
        let hold = last(&database, HoldStock::TYPE).await;
        let _ = database.participate(delivery(&hold), Answer::Does).await;
        let reply = last(&database, StockHeld::TYPE).await;
        let _ = database.receive(delivery(&reply), directory(people)).await;
        let question = "SELECT CAST(level AS text) || CASE WHEN for_nobody THEN ' true' \
             ELSE ' false' END FROM workflow_instance";
        let found = database.text(question).await;
        assert_eq!(found, format!("{level} {nobody}"), "{people:?}");
        let asked = last(&database, QuestionAsked::TYPE).await;
        let asked = String::from_utf8(asked.payload().bytes().to_vec()).unwrap();
        assert!(asked.contains(&format!(r#""for_nobody":{nobody}"#)), "{asked}");
    }
}

/// Protects from an approval by time.
pub(crate) async fn silence_is_a_refusal<D: Database>() {
    let database: D = to_the_approval().await;
    for expected in ["awaiting over_limit", "awaiting over_limit", "undoing hold_stock"] {
        database.pass_time(Duration::from_secs(30 * 60 * 60)).await;
        assert_eq!(database.clerk(config()).await.moved, 1);
        assert_eq!(stands(&database, "1").await, expected);
    }
    let journal = journal(&database, "1").await;
    assert_eq!(journal, "started done done reminded escalated expired");
    let carl = ruling::<Controller>("carl");
    let late = database.decide("1", seen(), carl, config()).await.unwrap_err();
    assert!(late.contains("cannot approve"), "{late}");
}
