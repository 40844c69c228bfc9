//! Faults that users of other systems have reported, each as a case: it names its source,
//! and says what the users of this crate are protected from.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::Handled;
use integration_automation_patterns::testing::CRASH_AT;
use integration_automation_patterns::workflow::{
    AnyRuling, Begun, Choice, Person, QuestionAsked, Role, Seen, WaitsFor, WorkflowConfig,
};
use integration_automation_patterns::{Event, RawEvent};

use crate::desk::AtADesk;
use crate::orders::*;
use crate::suite::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

async fn begun<D: Database>(total: u64) -> D {
    let database = D::fresh().await;
    assert_eq!(database.begin("1", total, true).await, Begun::New);
    database
}

/// Runs a clerk whose people are these, and says how many instances it moved.
async fn moved<D: Database>(database: &D, config: WorkflowConfig) -> u64 {
    database.clerk(config).await.moved
}

/// A reply to a command, as an event of its own however often it is sent.
async fn reply<D: Database>(database: &D, to: &str, reply: &'static str) -> Handled<()> {
    let command = last(database, to).await;
    let payload = RawEvent::new(reply, b"{}");
    let reply = command.follow("crm", &uuid::Uuid::now_v7().to_string(), payload);
    database.receive(Delivery::new(reply.build().unwrap(), ()), config()).await
}

/// MassTransit #525: the time-out of a request that was answered faulted the saga.
/// Protects an instance from a deadline that it has met.
pub(crate) async fn a_deadline_that_was_met_does_not_come<D: Database>() {
    let database: D = begun(900).await;
    database.pass_time(14 * MINUTE).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    database.pass_time(2 * MINUTE).await;
    assert_eq!(moved(&database, config()).await, 0);
    assert_eq!(stands(&database, "1").await, "awaiting hold_stock");
    assert_eq!(journal(&database, "1").await, "started done");
}

/// MassTransit #374: an answer was faster than the commit of its saga's row. Protects a
/// reply from finding no instance: its command leaves no earlier than that.
pub(crate) async fn no_command_leaves_before_its_instance_is_there<D: Database>() {
    let database = D::fresh().await;
    assert_eq!(database.sent_before_the_commit("1").await, 0);
    assert_eq!(sent(&database).await, [ReserveCredit::TYPE]);
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    assert_eq!(stands(&database, "1").await, "awaiting hold_stock");
}

/// NServiceBus #2446: the time-out of a deleted saga made an empty one. Protects from an
/// instance that nobody has begun.
pub(crate) async fn neither_a_deadline_nor_a_reply_begins_an_instance<D: Database>() {
    let database: D = begun(900).await;
    database.sql("DELETE FROM workflow_instance").await;
    database.pass_time(HOUR).await;
    assert_eq!(moved(&database, config()).await, 0);
    let answer = reply(&database, ReserveCredit::TYPE, CreditReserved::TYPE).await;
    assert!(matches!(answer, Handled::DeadLettered(_)), "{answer:?}");
    let count = "SELECT CAST(count(*) AS text) FROM workflow_instance";
    assert_eq!(database.text(count).await, "0");
}

/// Rebus #937: two first messages ended in a duplicate key, or in two sagas. Protects from
/// an order that is begun twice, and from an error where it is.
pub(crate) async fn an_instance_that_is_there_is_not_begun_again<D: Database>() {
    let database: D = begun(900).await;
    assert_eq!(database.begin("1", 12_000, true).await, Begun::AlreadyThere);
    assert_eq!(sent(&database).await, [ReserveCredit::TYPE]);
    assert_eq!(journal(&database, "1").await, "started");
    let data = "SELECT CAST(count(*) AS text) FROM workflow_instance WHERE revision = 1";
    assert_eq!(database.text(data).await, "1");
}

/// What names the database to a clerk that is to die in it.
const DIES_IN: &str = "CLERK_DIES_IN";

/// Axon #2451: a deadline in flight at the shutdown was lost. Protects an instance from the
/// death of a clerk in the midst of its turn.
pub(crate) async fn a_deadline_outlives_the_clerk_that_takes_it<D: Database>() {
    if let Ok(address) = std::env::var(DIES_IN) {
        let _ = D::at(&address).clerk(config()).await;
        unreachable!("the clerk has died");
    }
    let database: D = begun(900).await;
    database.pass_time(HOUR).await;
    let this = format!("{}::a_deadline_outlives_the_clerk_that_takes_it", D::SUITE);
    let clerk = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &this, "--include-ignored"])
        .env(DIES_IN, database.address())
        .env(CRASH_AT, "before the clerk commits")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert_eq!(clerk.unwrap().code(), None, "it is killed in its turn");
    assert_eq!(journal(&database, "1").await, "started");
    assert_eq!(moved(&database, config()).await, 1, "another clerk takes it");
    assert_eq!(journal(&database, "1").await, "started timed_out");
    assert_eq!(stands(&database, "1").await, "undoing reserve_credit");
}

/// occurrent #998: instances whose timer always throws filled the batch, and no other timer
/// fired any more. Protects the last of many from all that fail before it.
pub(crate) async fn the_one_behind_two_hundred_failing_ones_fires<D: Database>() {
    let database: D = begun(900).await;
    // The program that wrote the others is newer than this one.
    let others = "WITH RECURSIVE number (n) AS \
         (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 200) \
         INSERT INTO workflow_instance (id, workflow, version, fingerprint, revision, \
         status, step, awaits, due_at, turn_at, round, requested_by, data, begun_at, \
         moved_at) SELECT 'other ' || n, workflow, 7, fingerprint, revision, status, \
         step, awaits, due_at, turn_at, round, requested_by, data, begun_at, moved_at \
         FROM workflow_instance, number";
    database.sql(others).await;
    database.sql("DELETE FROM workflow_instance WHERE version = 1").await;
    database.pass_time(HOUR).await;
    let _ = database.begin("the last", 900, true).await;
    database.pass_time(16 * MINUTE).await;
    let summary = database.clerk(config()).await;
    // On a slow machine the first of them are due again by then.
    assert!(summary.failed >= 200, "{summary:?}");
    assert_eq!(summary.moved, 1);
    assert_eq!(stands(&database, "the last").await, "undoing reserve_credit");
}

/// occurrent #748: a renamed step was a null pointer for each instance in it, with neither
/// id nor step in the message. Protects the operator from a search.
pub(crate) async fn a_step_that_is_gone_is_named_with_its_instance<D: AtADesk>() {
    let database: D = begun(900).await;
    database.sql("UPDATE workflow_instance SET step = 'charge_card'").await;
    database.pass_time(HOUR).await;
    assert_eq!(database.clerk(config()).await.failed, 1);
    let stuck = database.stuck(Duration::ZERO).await;
    let [one] = &stuck[..] else { panic!("{stuck:?}") };
    assert_eq!(one.id, id("1").to_string());
    assert_eq!(one.step.as_deref(), Some("charge_card"));
    let WaitsFor::Repair { reason } = &one.waits_for else { panic!("{one:?}") };
    assert!(reason.contains("charge_card"), "{reason}");
    assert_eq!(stands(&database, "1").await, "awaiting charge_card", "nothing is lost");
}

/// eventuate-tram-sagas #75: a compensation that answers failure broke the handler of
/// replies. Protects the replies behind a refused undo, which people are asked about.
pub(crate) async fn an_undo_that_is_refused_parks_one_instance<D: Database>() {
    let database: D = begun(900).await;
    database.pass_time(HOUR).await;
    assert_eq!(moved(&database, config()).await, 1);
    let refused = reply(&database, ReleaseCredit::TYPE, CreditRefused::TYPE).await;
    assert!(matches!(refused, Handled::DeadLettered(_)), "{refused:?}");
    let _ = database.begin("2", 900, true).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    assert_eq!(stands(&database, "2").await, "awaiting hold_stock");
    assert_eq!(stands(&database, "1").await, "undoing reserve_credit");
    database.pass_time(2 * HOUR).await;
    let _ = moved(&database, config()).await;
    assert_eq!(stands(&database, "1").await, "stuck reserve_credit");
    answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
    assert_eq!(stands(&database, "1").await, "undone", "it listens all the same");
}

/// steno #66: an action that did not know its outcome was not undone. Protects the customer
/// from a reservation that nobody knows of.
pub(crate) async fn a_step_whose_answer_was_lost_is_undone<D: Database>() {
    let database: D = begun(900).await;
    let reserve = last(&database, ReserveCredit::TYPE).await;
    let _done = database.participate(delivery(&reserve), Answer::Does).await;
    assert_eq!(effects(&database, "1").await, "1");
    database.pass_time(HOUR).await;
    assert_eq!(moved(&database, config()).await, 1);
    answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
    assert_eq!(stands(&database, "1").await, "undone");
    assert_eq!(effects(&database, "1").await, "0");
}

/// agentmux PR #644: the time-out closed the saga, and the buffered command was executed
/// after it. Protects the account from a command that was pending at its deadline, whether
/// it or its undo arrives first.
pub(crate) async fn a_command_that_is_pending_at_its_deadline_has_no_effect<
    D: Database,
>() {
    for undo_comes_first in [true, false] {
        let database: D = begun(900).await;
        let reserve = last(&database, ReserveCredit::TYPE).await;
        assert_eq!(reserve.status().as_str(), "pending");
        database.pass_time(HOUR).await;
        assert_eq!(moved(&database, config()).await, 1);
        let reserves =
            async || database.participate(delivery(&reserve), Answer::Does).await;
        if !undo_comes_first {
            let _ = reserves().await;
        }
        answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE)
            .await;
        let again = reserves().await;
        let is_stopped = matches!(again, Handled::Forestalled(_) | Handled::Duplicate(_));
        assert!(is_stopped, "{again:?}");
        assert_eq!(stands(&database, "1").await, "undone");
        assert_eq!(effects(&database, "1").await, "0");
    }
}

/// forge-loop #301: a saga was called compensated, and one of its compensations had not
/// run. Protects the word `undone`: it is an answer's, never time's.
pub(crate) async fn what_no_answer_has_undone_is_never_called_undone<D: Database>() {
    let database: D = begun(900).await;
    for _ in 0..6 {
        database.pass_time(5 * HOUR).await;
        assert_eq!(moved(&database, config()).await, 1);
        let stands = stands(&database, "1").await;
        assert!(stands.ends_with(" reserve_credit"), "{stands}");
    }
    assert_eq!(stands(&database, "1").await, "stuck reserve_credit");
    let asked = sent(&database).await;
    let asked = asked.iter().filter(|sent| *sent == QuestionAsked::TYPE).count();
    assert_eq!(asked, 5, "people are asked again and again");
}

/// duroxide #57: a wait that had lost its race took the event of the next wait. Protects a
/// wait from the late reply to another one.
pub(crate) async fn a_late_reply_does_not_answer_the_next_wait<D: Database>() {
    let database: D = begun(900).await;
    database.pass_time(HOUR).await;
    assert_eq!(moved(&database, config()).await, 1);
    for late in [CreditReserved::TYPE, CreditRefused::TYPE] {
        let late = reply(&database, ReserveCredit::TYPE, late).await;
        assert!(matches!(late, Handled::Processed(_)), "{late:?}");
        assert_eq!(stands(&database, "1").await, "undoing reserve_credit");
    }
    answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
    assert_eq!(journal(&database, "1").await, "started timed_out late late undone");
}

/// Begins an order whose approval is asked for, of these people.
async fn at_the_approval<D: Database>(people: &WorkflowConfig) -> D {
    let database: D = begun(12_000).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    let hold = last(&database, HoldStock::TYPE).await;
    let _held = database.participate(delivery(&hold), Answer::Does).await;
    let held = last(&database, StockHeld::TYPE).await;
    let _asked = database.receive(delivery(&held), people.clone()).await;
    assert_eq!(stands(&database, "1").await, "awaiting over_limit");
    database
}

fn people(roles: &[(&str, &[&str])]) -> WorkflowConfig {
    let person = |name: &&str| Person::new(name).unwrap();
    let roles = roles.iter().map(|(role, members)| {
        ((*role).to_owned(), members.iter().map(person).collect::<Vec<_>>())
    });
    WorkflowConfig::default().directory(roles.collect::<BTreeMap<_, _>>())
}

async fn approve<D: Database, R: Role<Key = login::Key>>(
    database: &D,
    person: &str,
) -> Result<(), String> {
    let ruling = login::seat::<R>(person).unwrap().decide("a good customer").unwrap();
    let seen = Choice::Approve(Seen::of(b"12000"));
    database.decide("1", seen, AnyRuling::from(ruling), config()).await
}

/// The level that is asked, and whether nobody may answer.
async fn asked<D: Database>(database: &D) -> String {
    let question = "SELECT CAST(level AS text) || CASE WHEN for_nobody \
         THEN ' nobody' ELSE '' END FROM workflow_instance";
    database.text(question).await
}

/// zigflow #53: an approval was accepted after the time had decided. Protects a decision
/// that has fallen from the one that comes after it.
pub(crate) async fn an_approval_after_its_expiry_is_refused<D: Database>() {
    let database: D = at_the_approval(&config()).await;
    while stands(&database, "1").await == "awaiting over_limit" {
        database.pass_time(DAY).await;
        assert_eq!(moved(&database, config()).await, 1);
    }
    let before = journal(&database, "1").await;
    let late = approve::<D, Controller>(&database, "carl").await.unwrap_err();
    assert!(late.contains("cannot approve"), "{late}");
    assert_eq!(stands(&database, "1").await, "undoing hold_stock");
    assert_eq!(journal(&database, "1").await, before);
}

/// OpenMetadata #14337: who asked approved by the team that was asked. Protects the four
/// eyes from a role that two people share.
pub(crate) async fn who_asks_does_not_approve_as_a_member_of_the_role<D: Database>() {
    let people = people(&[("controller", &["anna", "carl"])]);
    let database: D = at_the_approval(&people).await;
    let own = approve::<D, Controller>(&database, "ANNA").await.unwrap_err();
    assert!(own.contains("another person"), "{own}");
    assert_eq!(stands(&database, "1").await, "awaiting over_limit");
    assert_eq!(approve::<D, Controller>(&database, "carl").await, Ok(()));
}

/// agent-ready-repo PR #931: only the one who asked might have approved, and the gate
/// waited. Protects an order from waiting for nobody unseen.
pub(crate) async fn a_question_that_only_the_asker_may_answer_is_for_nobody<
    D: AtADesk,
>() {
    let people = people(&[("controller", &["anna"]), ("head of finance", &["anna"])]);
    let database: D = at_the_approval(&people).await;
    assert!(asked(&database).await.ends_with(" nobody"));
    let counts = database.counts().await;
    assert_eq!(counts.iter().map(|count| count.for_nobody).sum::<u64>(), 1);
}

/// goalert #4548: a level with nobody on call still waited out its delay. Protects people
/// from a day that nobody uses.
pub(crate) async fn a_level_without_people_is_passed_at_once<D: Database>() {
    let people = people(&[("controller", &[]), ("head of finance", &["fay"])]);
    let database: D = at_the_approval(&people).await;
    assert_eq!(asked(&database).await, "1");
    assert_eq!(approve::<D, HeadOfFinance>(&database, "fay").await, Ok(()));
}

/// sqle #817: the only approver left the company, and the ticket waited. Protects an order
/// from a level whose people go while it waits: the next look finds the next one.
pub(crate) async fn a_level_whose_people_leave_is_passed_at_the_next_look<D: Database>() {
    let before = people(&[("controller", &["carl"]), ("head of finance", &["fay"])]);
    let database: D = at_the_approval(&before).await;
    assert_eq!(asked(&database).await, "0");
    let after = people(&[("head of finance", &["fay"])]);
    database.pass_time(9 * HOUR).await;
    assert_eq!(moved(&database, after).await, 1, "the reminder is the next look");
    assert_eq!(asked(&database).await, "1");
    let question = last(&database, QuestionAsked::TYPE).await;
    let question = String::from_utf8(question.payload().bytes().to_vec()).unwrap();
    assert!(question.contains(r#""role":"head of finance""#), "{question}");
}

/// camunda #57295: nothing told an instance whose message never comes from one that waits
/// rightly. Protects the operator from an instance that is overdue in silence.
pub(crate) async fn what_is_overdue_is_counted_and_listed_at_once<D: AtADesk>() {
    let database: D = begun(900).await;
    let overdue = async || {
        let counts = database.counts().await;
        counts.iter().map(|count| count.overdue).sum::<u64>()
    };
    assert_eq!(overdue().await, 0, "it waits rightly");
    database.pass_time(15 * MINUTE).await;
    assert_eq!(overdue().await, 1);
    let stuck = database.stuck(Duration::ZERO).await;
    let [one] = &stuck[..] else { panic!("{stuck:?}") };
    assert!(one.due_at.is_some_and(|due_at| due_at <= chrono::Utc::now()));
    assert!(matches!(one.waits_for, WaitsFor::Reply { .. }), "{one:?}");
}
