//! What the desk says of instances, on every database.

use std::time::Duration;

use chrono::{DateTime, Utc};
use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::Handled;
use integration_automation_patterns::workflow::{
    DeskError, InstanceFinding, InstanceHistory, InstanceView, NotDecidedError,
    NotStoredError, QuestionAsked, QuestionClosed, Seen, StageCount, StepError, WaitsFor,
    WorkflowConfig,
};
use integration_automation_patterns::{Decision, Envelope, Event, EventId, RawEvent};

use crate::orders::*;
use crate::suite::*;

pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// A database with a desk, which knows the table of the orders.
pub(crate) trait AtADesk: Database {
    fn counts(&self) -> impl Future<Output = Vec<StageCount>> + Send;
    fn stuck(&self, than: Duration) -> impl Future<Output = Vec<InstanceView>> + Send;
    fn look(&self, id: &EventId) -> impl Future<Output = Option<InstanceHistory>> + Send;
    fn verify(&self) -> impl Future<Output = Vec<InstanceFinding>> + Send;
    fn take_up(&self, id: &EventId) -> impl Future<Output = bool> + Send;
    fn postpone(
        &self,
        id: &EventId,
        revision: i64,
        until: DateTime<Utc>,
    ) -> impl Future<Output = Result<(), DeskError>> + Send;
    fn reassign(
        &self,
        id: &EventId,
        revision: i64,
        config: WorkflowConfig,
    ) -> impl Future<Output = Result<(), DeskError>> + Send;
    fn purge(&self, age: Duration, most: usize) -> impl Future<Output = usize> + Send;
    fn unreadable(&self) -> impl Future<Output = Vec<InstanceView>> + Send;
    /// Purges what is older, under this configuration.
    fn purge_by(
        &self,
        age: Duration,
        config: WorkflowConfig,
    ) -> impl Future<Output = usize> + Send;
    /// Writes another text over the data of all instances.
    fn spoil(&self, data: &str) -> impl Future<Output = ()> + Send;
}

macro_rules! at_a_desk {
    ($database:ty, $bytes:literal, $name:ident => $desk:expr) => {
        impl $crate::desk::AtADesk for $database {
            async fn counts(
                &self,
            ) -> Vec<integration_automation_patterns::workflow::StageCount> {
                let $name = self;
                $desk.of::<This>().counts().await.unwrap()
            }

            async fn stuck(
                &self,
                than: Duration,
            ) -> Vec<integration_automation_patterns::workflow::InstanceView> {
                let $name = self;
                $desk.of::<This>().stuck(than, 100).await.unwrap()
            }

            async fn look(
                &self,
                id: &integration_automation_patterns::EventId,
            ) -> Option<integration_automation_patterns::workflow::InstanceHistory> {
                let $name = self;
                $desk.of::<This>().look(id).await.unwrap()
            }

            async fn verify(
                &self,
            ) -> Vec<integration_automation_patterns::workflow::InstanceFinding> {
                let $name = self;
                $desk.of::<This>().verify().await.unwrap()
            }

            async fn take_up(
                &self,
                id: &integration_automation_patterns::EventId,
            ) -> bool {
                let $name = self;
                $desk.take_up(id, &$crate::desk::decision()).await.unwrap()
            }

            async fn postpone(
                &self,
                id: &integration_automation_patterns::EventId,
                revision: i64,
                until: chrono::DateTime<chrono::Utc>,
            ) -> Result<(), integration_automation_patterns::workflow::DeskError> {
                let $name = self;
                let decision = $crate::desk::decision();
                $desk.of::<This>().postpone(id, revision, until, &decision).await
            }

            async fn reassign(
                &self,
                id: &integration_automation_patterns::EventId,
                revision: i64,
                config: integration_automation_patterns::workflow::WorkflowConfig,
            ) -> Result<(), integration_automation_patterns::workflow::DeskError> {
                let ($name, decision) = (self, $crate::desk::decision());
                $desk.of::<This>().config(config).reassign(id, revision, &decision).await
            }

            async fn unreadable(
                &self,
            ) -> Vec<integration_automation_patterns::workflow::InstanceView> {
                let $name = self;
                $desk.of::<This>().unreadable(100).await.unwrap()
            }

            async fn purge_by(
                &self,
                age: std::time::Duration,
                config: integration_automation_patterns::workflow::WorkflowConfig,
            ) -> usize {
                let ($name, decision) = (self, $crate::desk::decision());
                $desk.config(config).purge(age, 10, &decision).await.unwrap()
            }

            async fn spoil(&self, data: &str) {
                let bytes = format!("CAST('{data}' AS {})", $bytes);
                self.sql(&format!("UPDATE workflow_instance SET data = {bytes}")).await;
            }

            async fn purge(&self, age: std::time::Duration, most: usize) -> usize {
                let $name = self;
                $desk.purge(age, most, &$crate::desk::decision()).await.unwrap()
            }
        }
    };
}

pub(crate) fn decision() -> Decision {
    Decision::new("ute", "the warehouse counts its stock").unwrap()
}

pub(crate) async fn update<D: Database>(database: &D, key: &str, set: &str) {
    let sql = format!("UPDATE workflow_instance SET {set} WHERE id = '{}'", id(key));
    database.sql(&sql).await;
}

/// Begins an order of 12,000 whose approval is asked for.
pub(crate) async fn at_its_approval<D: Database>(database: &D, key: &str) {
    let _ = database.begin(key, 12_000, true).await;
    answered(database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    answered(database, HoldStock::TYPE, Answer::Does, StockHeld::TYPE).await;
}

/// Protects the operator from a stage whose instances nobody counts.
pub(crate) async fn it_says_where_each_stands<D: AtADesk>() {
    let database = D::fresh().await;
    assert_eq!(database.counts().await, []);
    at_its_approval(&database, "1").await;
    let _ = database.begin("2", 900, true).await;
    answered(&database, ReserveCredit::TYPE, Answer::Refuses, CreditRefused::TYPE).await;
    for key in ["3", "4", "5"] {
        let _ = database.begin(key, 900, true).await;
    }
    update(&database, "4", "turn_failures = 1, turn_failure = 'no answer'").await;
    update(&database, "1", "for_nobody = true").await;
    database.pass_time(HOUR).await;
    let counts = database.counts().await;
    let counts = counts.iter().map(|count| {
        let step = count.step.as_deref().unwrap_or_default();
        let numbers = (count.overdue, count.failing, count.for_nobody);
        (count.status.as_str(), step, count.instances, numbers)
    });
    let expected = [
        ("awaiting", "over_limit", 1, (0, 0, 1)),
        ("awaiting", "reserve_credit", 3, (3, 1, 0)),
        ("undone", "", 1, (0, 0, 0)),
    ];
    assert_eq!(counts.collect::<Vec<_>>(), expected);
}

/// Protects the operator from an instance that waits, and from guessing for whom; and the
/// customer from a list that shows what the order is about.
pub(crate) async fn it_says_what_each_waits_for<D: AtADesk>() {
    let database = D::fresh().await;
    at_its_approval(&database, "1").await;
    let _ = database.begin("2", 31_415, true).await;
    assert_eq!(database.stuck(HOUR).await, [], "they have moved just now");
    database.pass_time(2 * HOUR).await;
    let stuck = database.stuck(HOUR).await;
    let [approval, reply] = &stuck[..] else { panic!("{stuck:?}") };
    let WaitsFor::People {
        role,
        level,
        since,
        remind_at,
        wanted,
        agreed,
        for_nobody,
        ..
    } = &approval.waits_for
    else {
        panic!("{approval:?}")
    };
    assert_eq!((*role, *level, *wanted, *agreed), ("controller", 0, 1, 0));
    assert_eq!((*since, *for_nobody), (approval.moved_at, false));
    assert_eq!(approval.due_at, Some(*since + DAY), "the end of the level");
    assert_eq!(*remind_at, Some(*since + 8 * HOUR));
    let WaitsFor::Reply { command: Some(command), state: Some(state) } = &reply.waits_for
    else {
        panic!("{reply:?}")
    };
    assert_eq!(command, last(&database, ReserveCredit::TYPE).await.id());
    assert_eq!((state.status.as_str(), state.attempts), ("pending", 0));
    let shown = format!("{stuck:?}");
    assert!(!shown.contains("12000") && !shown.contains("31415"), "{shown}");
    // A reminder is no new question.
    database.pass_time(28 * HOUR).await;
    update(&database, "2", "turn_at = due_at, workflow = 'hiring'").await;
    assert_eq!(database.clerk(config()).await.moved, 1);
    let stuck = database.stuck(Duration::ZERO).await;
    let [other, approval] = &stuck[..] else { panic!("{stuck:?}") };
    assert_eq!(other.waits_for, WaitsFor::OtherTable);
    let WaitsFor::People { since, .. } = &approval.waits_for else {
        panic!("{approval:?}")
    };
    assert!(*since < approval.moved_at, "{approval:?}");
}

/// Protects a dean from being asked twice: whichever level is asked, the votes of every one
/// are shown.
pub(crate) async fn it_says_who_has_agreed_at_each_level<D: AtADesk>() {
    let database = D::fresh().await;
    at_its_approval(&database, "1").await;
    let vote = format!(
        "INSERT INTO workflow_vote (instance, approval, place, person, role, reason, at, \
         seen) SELECT id, 'over_limit', 0, 'fay', 'head of finance', 'good', begun_at, '{}' \
         FROM workflow_instance",
        Seen::of(b"12000")
    );
    database.sql(&vote).await;
    let found = database.look(&event_id("1")).await.unwrap().instance;
    let WaitsFor::People { role, agreed, other_levels, .. } = &found.waits_for else {
        panic!("{found:?}")
    };
    assert_eq!((*role, *agreed), ("controller", 0));
    let others = other_levels.iter().map(|one| (one.role, one.wanted, one.agreed));
    assert_eq!(others.collect::<Vec<_>>(), [("head of finance", 1, 1)]);
    let said = found.waits_for.to_string();
    assert!(said.contains("0 of 1, head of finance 1 of 1"), "{said}");
}

/// Protects the operator from an instance that waits for a reply which came long ago, and
/// which its manager could not take.
pub(crate) async fn it_names_the_replies_that_are_dead<D: AtADesk>() {
    let database = D::fresh().await;
    for key in ["2", "1"] {
        let _ = database.begin(key, 900, true).await;
    }
    let reserve = last(&database, ReserveCredit::TYPE).await;
    let to = reserve.correlation_id().unwrap();
    let reply = Envelope::builder("crm", RawEvent::new(StockHeld::TYPE, b"{}"));
    let reply = reply.correlation_id(to).build().unwrap();
    let of_reply = reply.id().to_string();
    let handled = database.receive(Delivery::new(reply, ()), config()).await;
    assert!(matches!(handled, Handled::DeadLettered(_)), "{handled:?}");

    let stuck = database.stuck(Duration::ZERO).await;
    let found = database.look(&event_id("1")).await.unwrap().instance;
    let [dead] = &found.dead_replies[..] else { panic!("{found:?}") };
    assert!(stuck.contains(&found), "the list and the look agree: {stuck:?}");
    assert_eq!((dead.source_system.as_str(), &dead.id), ("crm", &of_reply));
    assert_eq!(dead.event_type, StockHeld::TYPE);
    assert!(dead.failure.contains(CreditReserved::TYPE), "{dead:?}");
    assert!(dead.to_string().ends_with("discard it and settle the step"), "{dead}");
    let other = database.look(&event_id("2")).await.unwrap().instance;
    assert_eq!(other.dead_replies, [], "it is none of this one");

    database.sql("UPDATE inbox_event SET status = 'skipped'").await;
    let found = database.look(&event_id("1")).await.unwrap().instance;
    assert_eq!(found.dead_replies, [], "somebody has discarded it");
    database.sql("DROP TABLE inbox_event").await;
    assert_eq!(database.stuck(Duration::ZERO).await.len(), 2);
}

/// Protects an instance from being passed over because its row or its turn is broken.
pub(crate) async fn it_says_what_a_person_can_repair<D: AtADesk>() {
    let database = D::fresh().await;
    for key in ["1", "2", "3"] {
        let _ = database.begin(key, 900, true).await;
    }
    update(&database, "1", "version = 7").await;
    update(&database, "2", "step = 'charge_card'").await;
    update(&database, "3", "turn_failures = 2, turn_failure = 'no stock'").await;
    database.pass_time(HOUR).await;
    let stuck = database.stuck(Duration::ZERO).await;
    let of = |key: &str| {
        let found = stuck.iter().find(|view| view.id == id(key).to_string());
        found.unwrap_or_else(|| panic!("{key}: {stuck:?}")).waits_for.clone()
    };
    let repair = |waits_for| match waits_for {
        WaitsFor::Repair { reason } => reason,
        other => panic!("{other:?}"),
    };
    let mut listed = database.unreadable().await;
    listed.sort_by_key(|view| view.id == id("2").to_string());
    let [first, second] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!([&first.waits_for, &second.waits_for], [&of("1"), &of("2")]);
    assert!(repair(of("1")).contains("found version 7"));
    assert!(repair(of("2")).contains("charge_card"));
    let WaitsFor::Turn { failures, reason, again_at } = of("3") else {
        panic!("{stuck:?}")
    };
    assert_eq!((failures, reason.as_str()), (2, "no stock"));
    assert!(again_at.is_some());
}

/// Protects the answer to "what happened to my order?".
pub(crate) async fn it_says_what_happened_to_one<D: AtADesk>() {
    let database = D::fresh().await;
    assert_eq!(database.look(&event_id("1")).await, None);
    at_its_approval(&database, "1").await;
    let found = database.look(&event_id("1")).await.unwrap();
    assert_eq!(found.instance.step.as_deref(), Some("over_limit"));
    assert_eq!(found.instance.revision, 3);
    let journal = found.journal.iter().map(|entry| {
        (entry.entry, entry.what.as_str(), entry.to_step.as_deref().unwrap_or_default())
    });
    let expected = [
        (1, "started", "reserve_credit"),
        (2, "done", "hold_stock"),
        (3, "done", "over_limit"),
    ];
    assert_eq!(journal.collect::<Vec<_>>(), expected);
    let [first, second, _] = &found.journal[..] else { panic!("{found:?}") };
    let reserve = last(&database, ReserveCredit::TYPE).await.id().to_string();
    assert_eq!(first.commands, [reserve]);
    let reserved = last(&database, CreditReserved::TYPE).await.id().to_string();
    assert_eq!(second.event, Some(("participant".to_owned(), reserved)));
}

/// Protects an instance that is repaired from waiting until a clerk looks again.
pub(crate) async fn one_that_is_repaired_is_taken_up_at_once<D: AtADesk>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    assert!(!database.take_up(&event_id("1")).await, "nothing is wrong with it");
    update(&database, "1", "version = 7").await;
    database.pass_time(HOUR).await;
    assert_eq!(database.clerk(config()).await.failed, 1);
    update(&database, "1", "version = 1").await;
    assert_eq!(database.clerk(config()).await.moved, 0, "it waits for a while");
    assert!(database.take_up(&event_id("1")).await);
    assert_eq!(database.clerk(config()).await.moved, 1);
    assert_eq!(stands(&database, "1").await, "undoing reserve_credit");
    assert!(!database.take_up(&event_id("2")).await, "there is none");
    let found = database.look(&event_id("1")).await.unwrap();
    let [_, taken_up, moved] = &found.journal[..] else { panic!("{found:?}") };
    assert_eq!((taken_up.what.as_str(), taken_up.revision), ("taken_up", 1));
    assert_eq!(taken_up.by.as_deref(), Some("ute"));
    assert_eq!(taken_up.reason.as_deref(), Some("the warehouse counts its stock"));
    assert_eq!((moved.what.as_str(), moved.revision), ("timed_out", 2));
    assert_eq!(database.verify().await, []);
}

/// Protects a customer from the undo of an order that is only late, and the operator from
/// moving a deadline that is another one by now.
pub(crate) async fn a_deadline_is_moved_by_hand<D: AtADesk>() {
    let database = D::fresh().await;
    let _ = database.begin("1", 900, true).await;
    let found = database.look(&event_id("1")).await.unwrap().instance;
    let until = found.due_at.unwrap() + 3 * HOUR;
    let leaves = sent(&database).await;
    let id = event_id("1");
    database.postpone(&id, found.revision, until).await.unwrap();
    assert_eq!(sent(&database).await, leaves, "what was asked stays asked");
    let again = database.postpone(&id, found.revision, until).await.unwrap_err();
    let DeskError::Step(StepError::NotStored(cause)) = &again else { panic!("{again}") };
    assert!(
        matches!(cause, NotStoredError::Overtaken { wanted: 1, found: 2 }),
        "{again}"
    );
    let moved = database.look(&id).await.unwrap();
    assert_eq!(moved.instance.due_at, Some(until));
    let entry = moved.journal.last().unwrap();
    assert_eq!((entry.what.as_str(), entry.by.as_deref()), ("postponed", Some("ute")));

    database.pass_time(2 * HOUR).await;
    assert_eq!(database.clerk(config()).await.moved, 0, "it has time yet");
    database.pass_time(2 * HOUR).await;
    assert_eq!(database.clerk(config()).await.moved, 1);
    assert_eq!(journal(&database, "1").await, "started postponed timed_out");
    answered(&database, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
    let over = database.postpone(&id, 4, until).await.unwrap_err();
    assert_eq!(over.to_string(), "cannot postpone: the instance is undone");
    let none = database.postpone(&event_id("2"), 1, until).await.unwrap_err();
    assert!(matches!(none, DeskError::NoSuchInstance { .. }), "{none}");
    assert_eq!(database.verify().await, []);
}

/// Protects an order from waiting for people who are away, and from two open questions.
pub(crate) async fn the_next_level_is_asked_at_once<D: AtADesk>() {
    let database = D::fresh().await;
    let _ = database.begin("2", 900, true).await;
    let replies = database.reassign(&event_id("2"), 1, config()).await.unwrap_err();
    let said = replies.to_string();
    assert_eq!(said, "cannot reassign: the instance is awaiting at `reserve_credit`");
    at_its_approval(&database, "1").await;
    let id = event_id("1");
    database.reassign(&id, 3, config()).await.unwrap();
    let events = database.events().await;
    let [.., closed, asked] = &events[..] else { panic!("{events:?}") };
    assert_eq!(closed.event_type(), QuestionClosed::TYPE);
    assert_eq!(asked.event_type(), QuestionAsked::TYPE);
    let asked = String::from_utf8(asked.payload().bytes().to_vec()).unwrap();
    assert!(asked.contains(r#""role":"head of finance""#), "{asked}");
    let found = database.look(&id).await.unwrap();
    let WaitsFor::People { role, level, since, .. } = found.instance.waits_for else {
        panic!("{found:?}")
    };
    assert_eq!((role, level, since), ("head of finance", 1, found.instance.moved_at));
    let day = found.instance.due_at.unwrap() - found.instance.moved_at;
    assert_eq!(day.to_std().unwrap(), DAY, "the level has the time that its table gives");

    let last = database.reassign(&id, 4, config()).await.unwrap_err();
    let DeskError::NotDecided(NotDecidedError::LastLevel { role }) = last else {
        panic!("{last}")
    };
    assert_eq!(role, "head of finance");
    assert_eq!(journal(&database, "1").await, "started done done reassigned");
    assert_eq!(database.verify().await, []);
}

/// Protects what is under way, or has ended just now, from the purge; and a person's data
/// from staying behind it.
pub(crate) async fn what_ended_long_ago_is_purged<D: AtADesk>() {
    let database = D::fresh().await;
    let refused = async |key| {
        let _ = database.begin(key, 900, true).await;
        answered(&database, ReserveCredit::TYPE, Answer::Refuses, CreditRefused::TYPE)
            .await;
    };
    for key in ["1", "2", "3"] {
        refused(key).await;
    }
    at_its_approval(&database, "4").await;
    database.pass_time(2 * DAY).await;
    refused("5").await;
    let vote = "INSERT INTO workflow_vote (instance, approval, place, person, role, \
         reason, at, seen) SELECT id, 'over_limit', 0, 'carl', 'controller', 'good', \
         begun_at, '0000000000000000' FROM workflow_instance WHERE status = 'undone'";
    database.sql(vote).await;
    assert_eq!(database.purge(DAY, 2).await, 2);
    assert_eq!(database.purge(DAY, 2).await, 1);
    assert_eq!(database.purge(DAY, 2).await, 0);
    for table in ["workflow_vote", "workflow_journal"] {
        let left = format!(
            "SELECT CAST(count(DISTINCT instance) AS text) FROM {table} \
             WHERE instance NOT IN ('{}', '{}')",
            id("4"),
            id("5")
        );
        assert_eq!(database.text(&left).await, "0", "{table}");
    }
    assert_eq!(stands(&database, "4").await, "awaiting over_limit");
    assert_eq!(stands(&database, "5").await, "undone");
}
