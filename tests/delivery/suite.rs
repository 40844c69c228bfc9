//! What the tests of every database have in common: the database as a test sees it,
//! events, and the list of the tests.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};
use integration_automation_patterns::outbox::{
    Admin, Claim, ClaimOrder, Claimed, LeaseLostError, Migration, Recalled, Settlement,
    Store, StoreError,
};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{
    Decision, DeliveryStatus, Envelope, EventId, RawEvent,
};

/// A database of its own for one test.
pub(crate) trait Database: Sized + Send {
    type Outbox: Store + Admin + Clone;

    fn fresh() -> impl Future<Output = Self> + Send;
    fn outbox(&self) -> &Self::Outbox;
    /// The folder of its migrations.
    const MIGRATIONS: &'static str;
    /// The scripts of its outbox, as a tool of one's own runs them.
    fn scripts() -> Vec<Migration>;
    /// The event `plain`, enqueued as plain SQL does it.
    const PLAIN_ENQUEUE: &'static str;

    /// The outbox as another process opens it.
    fn open(&self) -> impl Future<Output = Result<Self::Outbox, StoreError>> + Send;
    async fn another(&self) -> Self::Outbox {
        self.open().await.unwrap()
    }
    /// Leaves nothing in the database.
    fn drop_tables(&self) -> impl Future<Output = ()> + Send;
    /// Enqueues in one transaction, and commits it or not.
    fn enqueue(
        &self,
        events: Vec<Envelope<Pending>>,
        commit: bool,
    ) -> impl Future<Output = ()> + Send;
    /// Recalls an event in one transaction, and commits it or not.
    fn recall(
        &self,
        id: &EventId,
        decision: Decision,
        commit: bool,
    ) -> impl Future<Output = Recalled> + Send;
    /// SQL that every dialect has.
    fn sql(&self, sql: &str) -> impl Future<Output = ()> + Send;
    /// A moment as a literal of the dialect.
    fn moment(at: DateTime<Utc>) -> String;
}

/// All tests of the suite, on one database. A new test is named here, once.
macro_rules! suite {
    ($database:ty $(, $needs:literal)?) => {
        suite! { @ $database $(, $needs)?;
            outbox: a_rolled_back_transaction_leaves_no_event
            outbox: the_same_id_twice_is_one_event
            outbox: an_attempt_is_counted_before_it_is_made
            outbox: every_end_of_an_attempt_is_stored
            outbox: a_wait_past_the_calendar_keeps_no_other_event
            outbox: a_late_settlement_changes_nothing
            outbox: a_settlement_is_stored_once_however_often_it_is_given
            outbox: the_sweep_changes_nothing_that_was_settled
            outbox: a_renewed_lease_holds
            outbox: what_is_given_back_has_spent_nothing
            outbox: a_crash_loop_ends_as_a_dead_letter
            outbox: events_of_one_key_never_overtake_one_another
            outbox: a_dead_letter_blocks_its_key_or_is_passed_by
            outbox: a_claim_of_any_size_is_answered
            outbox: claimers_never_share_an_event
            outbox: a_row_that_is_no_event_is_a_dead_letter
            naming: each_event_of_a_key_names_the_one_confirmed_before_it
            naming: a_key_at_rest_begins_anew
            aside: what_waits_behind_its_key_is_put_aside_once
            aside: what_is_put_aside_hides_no_other_event
            aside: every_end_of_an_event_lets_the_next_of_its_key_go
            aside: what_was_put_aside_and_forgotten_is_found
            aside: relays_that_share_keys_forget_no_event
            recall: what_no_relay_has_is_taken_back
            recall: what_is_out_stays_out
            recall: what_is_taken_back_lets_the_next_of_its_key_go
            recall: an_event_is_claimed_or_recalled_and_never_both
            forestall: what_is_forestalled_has_had_its_effect_or_never_will
            forestall: what_the_inbox_cannot_remember_is_forgotten_for_good
            forestall: what_is_rolled_back_forestalls_nothing
            forestall: eight_at_once_agree_on_one_end_of_an_event
            admin: a_redrive_gives_a_new_budget
            admin: a_redrive_past_the_window_needs_a_person_to_insist
            admin: an_interrupted_redrive_is_called_again
            admin: what_is_discarded_is_over
            admin: retention_removes_what_is_done_and_nothing_else
            admin: counts_and_ages
            admin: what_waits_is_listed_with_what_it_waits_for
            admin: a_dead_letter_that_is_no_event_is_listed_apart
            admin: rows_that_are_no_event_hide_no_others
            admin: the_books_show_what_was_tampered_with
            outage: what_the_broker_takes_none_of_spends_no_attempt_and_stops_no_other_type
            outage: what_is_due_again_is_found_where_many_others_are_paused
            outage: a_run_that_is_to_end_when_idle_ends_where_the_broker_takes_nothing
            outage: a_broker_that_throttles_is_left_alone_as_long_as_it_asks
            outage: the_next_attempt_waits_as_long_as_the_broker_asks
            outage: sends_that_hang_leave_the_rest_of_the_room_to_the_others
            outage: a_send_that_hangs_keeps_no_outage_on
            outage: no_retry_waits_for_a_poll
            upgrade: what_another_tool_made_is_taken_as_it_is
            upgrade: tables_of_no_stated_version_say_what_to_do
            upgrade: every_older_database_is_taken_forward_with_its_rows
            upgrade: a_newer_schema_that_admits_this_program_is_used
            upgrade: a_newer_schema_that_does_not_is_refused_with_both_numbers
            relay: everything_is_delivered_once
            relay: poison_at_the_head_stops_nothing
            relay: poison_in_one_key_stops_that_key_alone
            relay: a_send_that_never_returns_stops_nothing
            relay: an_outage_spends_no_attempt
            relay: an_outage_ends_a_run_that_is_to_end_when_idle
            relay: a_batch_slower_than_its_lease_is_sent_once
            relay: a_relay_that_stops_gives_back_what_it_holds
            relay: two_relays_share_the_work
            relay: a_panicking_broker_costs_an_attempt
            relay: every_change_is_told_once
            relay: no_more_is_on_its_way_than_allowed
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

pub(crate) fn event(id: &str) -> Envelope<Pending> {
    build(id, None, RetryPolicy::DEFAULT)
}

pub(crate) fn keyed(id: &str, key: &str) -> Envelope<Pending> {
    build(id, Some(key), RetryPolicy::DEFAULT)
}

/// Retried at once, so that no test waits.
pub(crate) fn impatient(id: &str, attempts: u32) -> Envelope<Pending> {
    build(id, None, at_once(attempts))
}

pub(crate) fn at_once(attempts: u32) -> RetryPolicy {
    RetryPolicy::new(attempts, Backoff::Fixed(Duration::ZERO)).unwrap()
}

pub(crate) fn build(
    id: &str,
    key: Option<&str>,
    policy: RetryPolicy,
) -> Envelope<Pending> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", id.as_bytes()))
        .id(id.parse().unwrap())
        .ordering_key(key.unwrap_or_default())
        .correlation_id("import-7")
        .tag("region", "eu-west-1")
        .retry_policy(policy)
        .build()
        .unwrap()
}

pub(crate) fn id(text: &str) -> EventId {
    text.parse().unwrap()
}

pub(crate) fn order(worker: &str, limit: usize) -> ClaimOrder {
    ClaimOrder::new(worker, limit, Duration::from_secs(60))
}

pub(crate) async fn claim<D: Database>(
    database: &D,
    worker: &str,
    limit: usize,
) -> Claimed {
    database.outbox().claim(&order(worker, limit)).await.unwrap()
}

/// Claims one event, which is there.
pub(crate) async fn claim_one<D: Database>(database: &D) -> Claim {
    let mut claims = claim(database, "relay-1", 1).await.claims;
    claims.pop().expect("an event is due")
}

pub(crate) async fn settle<D: Database>(
    database: &D,
    settlement: Settlement,
) -> Vec<LeaseLostError> {
    database.outbox().settle(&[settlement]).await.unwrap()
}

pub(crate) fn ids(claims: &[Claim]) -> Vec<String> {
    claims.iter().map(|claim| claim.id().to_string()).collect()
}

pub(crate) async fn status<D: Database>(
    database: &D,
    text: &str,
) -> (DeliveryStatus, u32) {
    let found = database.outbox().get(&id(text)).await.unwrap();
    let event = found.expect("the event is there").event;
    (event.status(), event.attempts())
}

/// Lets every lease end, without waiting for it.
pub(crate) async fn expire_leases<D: Database>(database: &D) {
    let past = D::moment(DateTime::UNIX_EPOCH);
    database
        .sql(&format!(
            "UPDATE outbox_event SET due_at = {past} WHERE status = 'dispatched'"
        ))
        .await;
}

/// Lets every retry be due, without waiting for it.
pub(crate) async fn make_due<D: Database>(database: &D) {
    let past = D::moment(DateTime::UNIX_EPOCH);
    database
        .sql(&format!(
            "UPDATE outbox_event SET due_at = {past} WHERE status = 'retrying'"
        ))
        .await;
}

pub(crate) async fn assert_balanced<D: Database>(database: &D) {
    assert_eq!(database.outbox().verify().await.unwrap(), [], "the books balance");
}
