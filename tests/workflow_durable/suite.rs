//! What the tests of every database have in common: orders that run, their participants,
//! and the list of the tests.

use std::future::Future;
use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{Handled, HandlerError, InboxConfig};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::{Acknowledged, Pending};
use integration_automation_patterns::workflow::{
    self, AnyAdvance, AnyRuling, Begun, Choice, ClerkSummary, Forestall, Forestalled,
    InstanceId, StepError, Undo, WorkflowConfig,
};
use integration_automation_patterns::{AnyEnvelope, Envelope, Event, EventId, RawEvent};

use crate::orders::order_to_cash::{self, Any, This};
use crate::orders::*;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A database with the workflows, their outbox, an inbox, and a table of the participants'
/// effects.
pub(crate) trait Database: Sized + Sync {
    /// The module of the database's tests.
    const SUITE: &'static str;

    fn fresh() -> impl Future<Output = Self> + Send;
    /// Names the database to another process.
    fn address(&self) -> String;
    /// The database that another process has named.
    fn at(address: &str) -> Self;
    /// Begins an order in one transaction, and commits it or not.
    fn try_begin(
        &self,
        key: &str,
        total: u64,
        commit: bool,
    ) -> impl Future<Output = Result<Begun, StepError>> + Send;
    /// The same of an order that nothing keeps from beginning.
    fn begin(
        &self,
        key: &str,
        total: u64,
        commit: bool,
    ) -> impl Future<Output = Begun> + Send {
        async move { self.try_begin(key, total, commit).await.unwrap() }
    }
    /// Begins an order, and says how many events another connection finds before the
    /// transaction is committed.
    fn sent_before_the_commit(&self, key: &str) -> impl Future<Output = usize> + Send;
    fn load(&self, key: &str)
    -> impl Future<Output = Result<Option<Any>, String>> + Send;
    /// Stores a step in one transaction.
    fn store(
        &self,
        step: AnyAdvance<This>,
    ) -> impl Future<Output = Result<(), StepError>> + Send;
    /// Loads an order, takes a person's decision, and stores it, in one transaction.
    fn decide(
        &self,
        key: &str,
        choice: Choice,
        ruling: AnyRuling,
        config: WorkflowConfig,
    ) -> impl Future<Output = Result<(), String>> + Send;
    /// Every event of the outbox, in the order of their enqueuing.
    fn events(&self) -> impl Future<Output = Vec<AnyEnvelope>> + Send;
    /// Delivers a reply to the manager.
    fn receive(
        &self,
        delivery: Delivery<()>,
        config: WorkflowConfig,
    ) -> impl Future<Output = Handled<()>> + Send;
    /// Delivers a command to its participant, who answers so.
    fn participate(
        &self,
        delivery: Delivery<()>,
        answer: Answer,
    ) -> impl Future<Output = Handled<()>> + Send;
    /// Runs a clerk until no deadline has passed.
    fn clerk(&self, config: WorkflowConfig) -> impl Future<Output = ClerkSummary> + Send;
    fn pass_time(&self, time: Duration) -> impl Future<Output = ()> + Send;
    /// The text that a query answers.
    fn text(&self, sql: &str) -> impl Future<Output = String> + Send;
    fn sql(&self, sql: &str) -> impl Future<Output = ()> + Send;
    /// The scripts that have made the tables.
    fn migrations() -> Vec<&'static str>;
}

/// How a participant answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It does what it is asked.
    Does,
    /// It refuses.
    Refuses,
    /// It fails for the moment.
    Fails,
}

/// What a participant does with a command, once it knows what it is to undo: its effect,
/// and its reply.
pub(crate) struct Act {
    pub(crate) effect: Option<String>,
    pub(crate) reply: Envelope<Pending>,
}

/// Decides what a participant does; `undo` is what it has found.
pub(crate) fn act(
    command: &Envelope<Acknowledged>,
    undo: Undo,
    answer: Answer,
) -> Result<Act, HandlerError> {
    if answer == Answer::Fails {
        return Err(HandlerError::transient("the credit limit is being recomputed"));
    }
    let correlation: workflow::Correlation =
        command.correlation_id().unwrap_or_default().parse()?;
    let (instance, step) = (correlation.instance(), correlation.step());
    let does = format!("INSERT INTO effect VALUES ('{instance}', '{step}')");
    let undoes =
        format!("DELETE FROM effect WHERE instance = '{instance}' AND step = '{step}'");
    let follows = |name: &'static str| {
        let payload = RawEvent::new(name, b"{}");
        command.follow("participant", name, payload).build()
    };
    let (effect, reply) = match (command.event_type(), answer, undo) {
        (_, _, Undo::Forgotten) => return Err(HandlerError::permanent("a person looks")),
        (ReserveCredit::TYPE, Answer::Refuses, _) => (None, CreditRefused::TYPE),
        (ReserveCredit::TYPE, ..) => (Some(does), CreditReserved::TYPE),
        (HoldStock::TYPE, Answer::Refuses, _) => (None, StockRefused::TYPE),
        (HoldStock::TYPE, ..) => (Some(does), StockHeld::TYPE),
        (CreateOrder::TYPE, Answer::Refuses, _) => (None, OrderRefused::TYPE),
        (CreateOrder::TYPE, ..) => (Some(does), OrderCreated::TYPE),
        (IssueInvoice::TYPE, ..) => (Some(does), InvoiceIssued::TYPE),
        (ReleaseCredit::TYPE, ..) => (Some(undoes), CreditReleased::TYPE),
        (FreeStock::TYPE, ..) => (Some(undoes), StockFreed::TYPE),
        (Forestall::TYPE, _, Undo::Of) => (None, OrderCreated::TYPE),
        (Forestall::TYPE, ..) => (None, Forestalled::TYPE),
        (other, ..) => return Err(HandlerError::permanent(format!("{other}?"))),
    };
    let reply = follows(reply).map_err(|refused| refused.to_string())?;
    Ok(Act { effect, reply })
}

pub(crate) fn id(key: &str) -> InstanceId<This> {
    InstanceId::of(key).unwrap()
}

pub(crate) fn first(key: &str, total: u64) -> AnyAdvance<This> {
    let anna = login::seat::<Sales>("anna").unwrap();
    order_to_cash::start(id(key), Order::of(total), &anna).into()
}

pub(crate) fn inbox_config() -> InboxConfig {
    let at_once = RetryPolicy::new(99, Backoff::Fixed(Duration::ZERO)).unwrap();
    InboxConfig::new(7 * DAY, RetryPolicy::DEFAULT).unwrap().retry_policy(at_once)
}

pub(crate) fn config() -> WorkflowConfig {
    WorkflowConfig::default()
}

/// The event as its receiver gets it, whatever has become of it at its sender.
pub(crate) fn delivery(event: &AnyEnvelope) -> Delivery<()> {
    let source = event.source_system().to_owned();
    let mut sent = Envelope::builder(source, event.payload().clone())
        .id(event.id().clone())
        .correlation_id(event.correlation_id().unwrap_or_default());
    for (name, value) in event.tags() {
        sent = sent.tag(name, value);
    }
    Delivery::new(sent.build_at(event.created_at()).unwrap(), ())
}

/// The last event of this type.
pub(crate) async fn last<D: Database>(database: &D, event_type: &str) -> AnyEnvelope {
    let events = database.events().await;
    let found = events.into_iter().rfind(|event| event.event_type() == event_type);
    found.unwrap_or_else(|| panic!("no {event_type} has left"))
}

/// Lets the participant of a command do it, and the manager receive the reply.
pub(crate) async fn answered<D: Database>(
    database: &D,
    command: &str,
    answer: Answer,
    reply: &str,
) {
    let command = last(database, command).await;
    let handled = database.participate(delivery(&command), answer).await;
    assert!(matches!(handled, Handled::Processed(_)), "{handled:?}");
    let reply = last(database, reply).await;
    let handled = database.receive(delivery(&reply), config()).await;
    assert!(matches!(handled, Handled::Processed(_)), "{handled:?}");
}

/// The types of all events that have left.
pub(crate) async fn sent<D: Database>(database: &D) -> Vec<String> {
    let events = database.events().await;
    events.iter().map(|event| event.event_type().to_owned()).collect()
}

/// Where an order stands.
pub(crate) async fn stands<D: Database>(database: &D, key: &str) -> String {
    let sql = "SELECT status || coalesce(' ' || step, '') FROM workflow_instance";
    database.text(&format!("{sql} WHERE id = '{}'", id(key))).await
}

/// What the journal of an order says, the oldest first.
pub(crate) async fn journal<D: Database>(database: &D, key: &str) -> String {
    let sql = "SELECT coalesce(string_agg(what, ' '), '') FROM (\
         SELECT what FROM workflow_journal WHERE instance =";
    database.text(&format!("{sql} '{}' ORDER BY entry) AS entries", id(key))).await
}

/// How many effects an order has had that stand.
pub(crate) async fn effects<D: Database>(database: &D, key: &str) -> String {
    let sql = "SELECT CAST(count(*) AS text) FROM effect WHERE instance =";
    database.text(&format!("{sql} '{}'", id(key))).await
}

#[allow(dead_code, reason = "a name for the ids of rows")]
pub(crate) fn event_id(key: &str) -> EventId {
    id(key).as_event_id().clone()
}

/// All tests of the suite, on one database. A new test is named here, once.
macro_rules! suite {
    ($database:ty $(, $needs:literal)?) => {
        suite! { @ $database $(, $needs)?;
            steps: an_order_goes_through_and_ends
            steps: what_is_rolled_back_never_was
            steps: a_reply_that_is_not_awaited_is_an_entry
            steps: what_answers_nothing_is_a_dead_letter
            steps: a_step_from_an_older_revision_is_overtaken
            steps: a_row_that_no_step_led_to_is_refused
            steps: tables_that_are_missing_are_named_with_what_makes_them
            deadlines: a_deadline_undoes_what_may_have_happened
            deadlines: an_undo_that_comes_between_two_attempts_stops_the_next
            deadlines: a_silent_pivot_is_forestalled
            deadlines: a_command_is_taken_back_or_the_word_is_refused
            deadlines: one_that_fails_costs_the_others_nothing
            deadlines: a_calendar_that_panics_fails_one_turn
            deadlines: what_no_table_is_known_of_waits
            desk: it_says_where_each_stands
            desk: it_says_what_each_waits_for
            desk: it_says_who_has_agreed_at_each_level
            desk: it_names_the_replies_that_are_dead
            desk: it_says_what_a_person_can_repair
            desk: it_says_what_happened_to_one
            verify: it_agrees_with_what_programs_do
            verify: it_agrees_with_what_people_say
            verify: it_finds_what_no_program_did
            verify: it_finds_a_vote_that_nobody_gave
            verify: it_says_whose_table_it_does_not_know
            verify: it_finds_another_event_under_the_id_of_the_command
            desk: one_that_is_repaired_is_taken_up_at_once
            desk: a_deadline_is_moved_by_hand
            desk: the_next_level_is_asked_at_once
            desk: what_ended_long_ago_is_purged
            lives: a_key_is_for_one_life
            lives: a_step_does_not_take_the_event_of_an_earlier_life_for_its_own
            lives: an_event_of_the_same_life_does_not_leave_twice
            deadlines: what_a_person_gives_up_is_not_sent_later
            deadlines: what_a_step_gives_up_is_taken_back
            trail: every_move_is_on_the_audit_trail
            no_data: what_cannot_be_read_is_quoted_nowhere
            people: what_is_approved_is_what_is_sent
            people: a_question_for_nobody_says_so
            people: who_has_amended_is_kept
            people: silence_is_a_refusal
            reports: a_deadline_that_was_met_does_not_come
            reports: no_command_leaves_before_its_instance_is_there
            reports: neither_a_deadline_nor_a_reply_begins_an_instance
            reports: an_instance_that_is_there_is_not_begun_again
            reports: a_deadline_outlives_the_clerk_that_takes_it
            reports: the_one_behind_two_hundred_failing_ones_fires
            reports: a_step_that_is_gone_is_named_with_its_instance
            reports: an_undo_that_is_refused_parks_one_instance
            reports: a_step_whose_answer_was_lost_is_undone
            reports: a_command_that_is_pending_at_its_deadline_has_no_effect
            reports: what_no_answer_has_undone_is_never_called_undone
            reports: a_late_reply_does_not_answer_the_next_wait
            reports: an_approval_after_its_expiry_is_refused
            reports: who_asks_does_not_approve_as_a_member_of_the_role
            reports: a_question_that_only_the_asker_may_answer_is_for_nobody
            reports: a_level_without_people_is_passed_at_once
            reports: a_level_whose_people_leave_is_passed_at_the_next_look
            reports: what_is_overdue_is_counted_and_listed_at_once
            races: of_eight_starts_one_begins
            races: of_a_reply_and_its_deadline_one_moves
            races: of_eight_replies_one_moves
            races: of_an_approval_and_its_expiry_one_decides
            races: of_a_persons_word_and_the_reply_one_counts
            races: every_end_is_the_same_under_eight_at_once
        }
    };
    (@ $database:ty; $($module:ident: $name:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $crate::$module::$name::<$database>().await;
        })*
    };
    (@ $database:ty, $needs:literal; $($module:ident: $name:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        #[ignore = $needs]
        async fn $name() {
            $crate::$module::$name::<$database>().await;
        })*
    };
}
