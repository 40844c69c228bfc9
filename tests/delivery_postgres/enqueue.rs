//! What enqueuing in PostgreSQL promises: the order, one event for each id, and nothing
//! without its transaction.

use crate::chain::Chain as _;
use integration_automation_patterns::outbox::Enqueued::{Duplicate, New};
use integration_automation_patterns::outbox::postgres::{
    Statements, enqueue, enqueue_all,
};
use integration_automation_patterns::outbox::{Claim, Enqueued};
use integration_automation_patterns::retry::RetryPolicy;
use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope, RawEvent};

use crate::{Database, decision, event, ids, keyed};

/// The ids of what is stored, in the order of their sequence numbers.
async fn stored(database: &Database) -> Vec<String> {
    let rows = database
        .client
        .query("SELECT id FROM outbox_event ORDER BY sequence", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The event `id` as another system would name it.
fn anothers(id: &str) -> Envelope<Pending> {
    let builder = Envelope::builder("erp", RawEvent::new("a.b.c", b"{}"));
    builder.id(id.parse().unwrap()).build().unwrap()
}

/// What cannot be stored is given back, with what the database said.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_event_that_is_refused_is_given_back() {
    let database = Database::fresh().await;
    let mut session = database.session().await;
    let business = session.transaction().await.unwrap();
    let nul = Envelope::builder("crm\0", RawEvent::new("crm.lead.created", b"{}"))
        .build()
        .unwrap();
    let refused = enqueue(&business, nul).await.unwrap_err();
    assert!(refused.chain().contains("enqueuing an event: db error"), "{refused}");
    assert_eq!(refused.into_value().source_system(), "crm\0");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn another_event_under_the_same_id_is_refused() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("1")]).await;
    let mut client = database.session().await;
    let business = client.transaction().await.unwrap();
    assert!(
        enqueue(&business, anothers("1"))
            .await
            .unwrap_err()
            .chain()
            .contains("another event has the id")
    );
    assert!(enqueue_all(&business, vec![event("2"), anothers("1")]).await.is_err());
    assert_eq!(enqueue(&business, event("1")).await.unwrap(), Enqueued::Duplicate);
}

/// A driver of one's own enqueues with plain SQL, and gets what an envelope's builder
/// gives.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn plain_sql_enqueues_too() {
    let database = Database::fresh().await;
    let sql = "SELECT outbox_enqueue(id => 'invoice-4711', event_type => 'billing.invoice.issued', \
         source_system => 'billing', payload => '{}', ordering_key => 'customer-1')";
    let new: bool = database.client.query_one(sql, &[]).await.unwrap().get(0);
    let again: bool = database.client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!((new, again), (true, false));
    let claimed = database.claim(10).await;
    let [claim] = claimed.claims.as_slice() else { panic!("one claim: {claimed:?}") };
    assert_eq!(
        (claim.retry_policy(), claim.ordering_key()),
        (RetryPolicy::DEFAULT, Some("customer-1"))
    );
    database.balanced().await;
}

/// A transaction that commits late, after younger events were relayed, is relayed too;
/// and one of the same key makes the younger one wait, so that they cannot change places.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_late_commit_is_neither_lost_nor_overtaken() {
    let database = Database::fresh().await;
    let (mut first, mut second) = (database.session().await, database.session().await);
    let late = first.transaction().await.unwrap();
    enqueue(&late, event("late")).await.unwrap();
    let young = second.transaction().await.unwrap();
    enqueue(&young, event("young")).await.unwrap();
    young.commit().await.unwrap();
    let claims = database.claim(10).await.claims;
    assert_eq!(ids(&claims), ["young"]);
    late.commit().await.unwrap();
    assert_eq!(ids(&database.claim(10).await.claims), ["late"]);

    let late = first.transaction().await.unwrap();
    enqueue(&late, keyed("k1", "k")).await.unwrap();
    let waiting = tokio::spawn(async move {
        let young = second.transaction().await.unwrap();
        enqueue_all(&young, vec![keyed("other", "o"), keyed("k2", "k")]).await.unwrap();
        young.commit().await.unwrap();
    });
    database.until_waiting(1).await;
    assert!(database.claim(10).await.claims.is_empty());
    late.commit().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(ids(&database.claim(10).await.claims), ["k1", "other"]);
}

/// Many events have the order in which they were given, whatever their ids, keys and
/// number.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn many_events_keep_the_order_given() {
    let database = Database::fresh().await;
    let given: Vec<String> =
        (0..2000).map(|number| format!("e{}", number * 7919 % 2000)).collect();
    let key = |place: usize| ["", "z", "a", "m"][place % 4];
    database
        .enqueue(
            given.iter().enumerate().map(|(place, id)| keyed(id, key(place))).collect(),
        )
        .await;
    assert_eq!(stored(&database).await, given);
    database.balanced().await;
}

/// Each answer is that of the event in its place; of an id that is given twice, the first
/// is the event.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_same_id_twice_in_one_call_is_one_event() {
    let database = Database::fresh().await;
    database.enqueue(vec![event("there")]).await;
    let mut session = database.session().await;
    // In the stricter isolation too, where a row of another transaction would be an
    // error.
    let business = session
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let business = business.start().await.unwrap();
    let second = keyed("b", "key of the second");
    let answers = enqueue_all(
        &business,
        vec![event("b"), event("there"), second, event("a"), event("b")],
    )
    .await;
    assert_eq!(answers.unwrap(), [New, Duplicate, Duplicate, New, Duplicate]);
    assert_eq!(
        enqueue_all(&business, Vec::<Envelope<Pending>>::new()).await.unwrap(),
        []
    );
    business.commit().await.unwrap();
    assert_eq!(stored(&database).await, ["there", "b", "a"]);
    assert_eq!(
        database
            .value("SELECT count(*) FROM outbox_event WHERE ordering_key IS NOT NULL")
            .await,
        0
    );

    let business = session.transaction().await.unwrap();
    let refused =
        enqueue_all(&business, vec![event("c"), anothers("c")]).await.unwrap_err();
    assert!(refused.chain().contains("another event has the id \"c\""), "{refused}");
    assert_eq!(refused.into_value().len(), 2, "all are given back");
}

/// Who enqueues many waits for the turns of their keys, sorted, before the first of them
/// has its number: so nothing of a key is overtaken, and nobody who holds a later key is
/// in the way of somebody who waits for it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn many_events_wait_for_their_keys_before_they_have_a_number() {
    let database = Database::fresh().await;
    let (mut first, mut second) = (database.session().await, database.session().await);
    let early = first.transaction().await.unwrap();
    enqueue(&early, keyed("a1", "a")).await.unwrap();
    let waiting = tokio::spawn(async move {
        let late = second.transaction().await.unwrap();
        enqueue_all(&late, vec![event("free"), keyed("b3", "b"), keyed("a3", "a")])
            .await
            .unwrap();
        late.commit().await.unwrap();
    });
    database.until_waiting(1).await;
    // `b` is free: the other waits for `a`, and takes it afterwards.
    assert_eq!(
        enqueue_all(&early, vec![keyed("b2", "b"), keyed("a2", "a")]).await.unwrap(),
        [New, New]
    );
    early.commit().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(stored(&database).await, ["a1", "b2", "a2", "free", "b3", "a3"]);
}

/// A redriven event keeps what is known of its failure and of the decision, enqueued
/// alone or with others.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_redriven_event_is_enqueued_with_its_past() {
    let database = Database::fresh().await;
    let redriven =
        |id| event(id).dispatch().reject(format!("{id} is unknown")).redrive(decision());
    let mut session = database.session().await;
    let business = session.transaction().await.unwrap();
    assert_eq!(enqueue(&business, redriven("1")).await.unwrap(), New);
    assert_eq!(
        enqueue_all(&business, vec![event("2"), redriven("3")]).await.unwrap(),
        [New, New]
    );
    business.commit().await.unwrap();
    let claims = database.claim(10).await.claims;
    let past = |claim: &Claim| {
        let event = claim.event();
        (
            event.failure().map(|failure| failure.reason.clone()),
            event.redriven().map(Decision::by).map(str::to_owned),
        )
    };
    let known = |id| (Some(format!("{id} is unknown")), Some("on-call".to_owned()));
    assert_eq!(ids(&claims), ["1", "2", "3"]);
    assert_eq!(
        claims.iter().map(past).collect::<Vec<_>>(),
        [known("1"), (None, None), known("3")]
    );
}

/// The answers are the same, and the connection parses each statement once, however many
/// transactions use it and whatever becomes of them.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn statements_are_prepared_once_for_a_connection() {
    let database = Database::fresh().await;
    let mut session = database.session().await;
    let statements = Statements::new();
    let mut prepared = Vec::new();
    for round in ["1", "2", "3"] {
        let business = session.transaction().await.unwrap();
        let open = statements.on(&business);
        let many = || vec![event("there"), keyed(&format!("k{round}"), "k")];
        assert_eq!(enqueue(&open, event(round)).await.unwrap(), New);
        assert_eq!(enqueue(&open, event(round)).await.unwrap(), Duplicate);
        let first = if round == "1" { New } else { Duplicate };
        assert_eq!(enqueue_all(&open, many()).await.unwrap(), [first, New]);
        assert_eq!(enqueue_all(&open, many()).await.unwrap(), [Duplicate; 2]);
        let refused = enqueue(&open, anothers(round)).await.unwrap_err();
        assert!(refused.chain().contains("another event has the id"), "{refused}");
        business.commit().await.unwrap();
        let count = "SELECT count(*) FROM pg_prepared_statements";
        let count = session.query_typed_one(count, &[]).await.unwrap();
        prepared.push(count.get::<_, i64>(0));
        // What is prepared outlives the transaction that has prepared it.
        let undone = session.transaction().await.unwrap();
        enqueue(&statements.on(&undone), event("undone")).await.unwrap();
        undone.rollback().await.unwrap();
    }
    assert!(prepared[0] > 0 && prepared == [prepared[0]; 3], "{prepared:?}");
    assert_eq!(stored(&database).await, ["1", "there", "k1", "2", "k2", "3", "k3"]);
    database.balanced().await;
}

/// The mistake that `Statements` allow: the event is given back, nothing is stored, and
/// the error says what to do.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn statements_of_another_connection_are_refused() {
    let database = Database::fresh().await;
    let (mut first, mut second) = (database.session().await, database.session().await);
    let statements = Statements::new();
    let business = first.transaction().await.unwrap();
    enqueue(&statements.on(&business), event("1")).await.unwrap();
    business.commit().await.unwrap();
    let business = second.transaction().await.unwrap();
    let refused = enqueue(&statements.on(&business), event("2")).await.unwrap_err();
    assert!(refused.chain().contains("keep `Statements` for each"), "{refused}");
    assert_eq!(refused.into_value().id().to_string(), "2");
    business.commit().await.unwrap();
    assert_eq!(stored(&database).await, ["1"]);
}
