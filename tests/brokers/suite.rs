//! What every adapter must do, whichever its broker is.

#[cfg(all(
    feature = "testing",
    unix,
    any(feature = "amqp1", feature = "pubsub", feature = "sqs", feature = "webhook")
))]
mod killed;
#[cfg(any(feature = "amqp", feature = "kafka", feature = "nats", feature = "sqs"))]
mod lag;
mod order;
mod worker;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use integration_automation_patterns::broker::{
    Ack, Broker, BrokerError, BrokerErrorKind, Consumer, Delivery, RetryWait,
};
use integration_automation_patterns::inbox::{
    Handled, HandlerError, InboxConfig, sqlite as inbox,
};
use integration_automation_patterns::outbox::{Filter, sqlite as outbox};
use integration_automation_patterns::relay::{Relay, RelayConfig, Summary};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::{Dispatched, Pending};
use integration_automation_patterns::{Envelope, EventId, RawEvent};
use rusqlite::Connection;
use uuid::Uuid;

#[cfg(all(
    feature = "testing",
    unix,
    any(feature = "amqp1", feature = "pubsub", feature = "sqs", feature = "webhook")
))]
pub(crate) use self::killed::*;
#[cfg(any(feature = "amqp", feature = "kafka", feature = "nats", feature = "sqs"))]
pub(crate) use self::lag::*;
pub(crate) use self::order::*;
pub(crate) use self::worker::*;
use super::proxy::{Mode, Proxy};

/// A place of its own at the broker for one test.
pub(crate) trait Server: Sized {
    type Broker: Broker;
    type Acker: Ack + 'static;
    type Consumer: Consumer<Acker = Self::Acker>;
    /// More than the broker takes in one message.
    const TOO_LARGE: usize;
    /// Whether the broker cannot tell that the first delivery is one.
    const FIRST_MAY_BE_AGAIN: bool = false;
    /// Whether the broker can tell that of no delivery.
    const EACH_MAY_BE_AGAIN: bool = false;

    /// The body of a message that is no event: bytes, where the broker takes them.
    const NO_EVENT: &[u8] = b"\xffhello";

    /// What a send is refused as whose connection is taken and closed at once. Where the
    /// client speaks first, as over HTTP, the server may have read it.
    const CLOSED: BrokerErrorKind = BrokerErrorKind::Unreachable;

    /// How many events are sent while connections are cut: a client that sends many in
    /// one batch meets fewer cuts.
    const CUT: usize = 200;

    fn fresh() -> impl Future<Output = Self>;
    /// Where the server listens.
    fn address(&self) -> SocketAddr;
    /// A proxy in front of the server.
    fn proxy(&self) -> impl Future<Output = Proxy> {
        Proxy::start(self.address())
    }
    /// The sending side, over the address given: the server's, or a proxy's.
    fn broker(&self, address: SocketAddr) -> Self::Broker;
    /// The receiving side. What was not answered to the last one is delivered to the
    /// next.
    fn consumer(&self) -> impl Future<Output = Self::Consumer> {
        self.consumer_at(self.address())
    }
    /// The same, over the address given.
    fn consumer_at(&self, address: SocketAddr) -> impl Future<Output = Self::Consumer>;
    /// A message of another program.
    fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) -> impl Future<Output = ()>;
    /// How this broker calls an attribute of a CloudEvent.
    fn header(attribute: &str) -> String;
    #[cfg_attr(
        not(any(feature = "amqp", feature = "kafka", feature = "nats")),
        allow(dead_code, reason = "where the broker counts what waits")
    )]
    /// The address and what the consumer reads there, as the operator's program wants
    /// them.
    fn place(&self) -> [String; 2];
    fn remove(self) -> impl Future<Output = ()>;
}

/// Ends a test that would wait for ever. No more: what has its time says so itself, and
/// a machine may be busy.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(180), work)
        .await
        .expect("the test does not end")
}

/// What a send was refused as, where it was.
pub(crate) fn refusal(sent: &Result<(), BrokerError>) -> Option<BrokerErrorKind> {
    sent.as_ref().err().map(BrokerError::kind)
}

fn unique(name: &str) -> String {
    format!("{name}-{}", Uuid::now_v7().simple())
}

fn build(id: &str, body: &[u8]) -> Envelope<Pending> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", body))
        .id(id.parse().unwrap())
        .build()
        .unwrap()
}

fn event(id: &str) -> Envelope<Dispatched> {
    build(id, id.as_bytes()).dispatch()
}

async fn next<C: Consumer>(consumer: &mut C) -> Delivery<C::Acker> {
    loop {
        match consumer.next().await {
            Ok(delivery) => return delivery.expect("a delivery"),
            Err(error) => {
                eprintln!("{error}");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn next_id<C: Consumer>(consumer: &mut C) -> String {
    next(consumer).await.facts().id().to_string()
}

fn inbox_config() -> InboxConfig {
    InboxConfig::new(Duration::from_secs(24 * 60 * 60), RetryPolicy::DEFAULT).unwrap()
}

/// A database with an inbox, and one row for each effect.
pub(crate) struct Effects(Connection);

impl Effects {
    pub(crate) fn new() -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        inbox::install(&mut connection).unwrap();
        connection
            .execute_batch("CREATE TABLE effect (id TEXT NOT NULL, key TEXT)")
            .unwrap();
        Self(connection)
    }

    pub(crate) fn process<A>(&mut self, delivery: Delivery<A>) -> Handled<A> {
        let effect = |transaction: &rusqlite::Transaction<'_>, event: &Envelope<_>| {
            transaction.execute(
                "INSERT INTO effect VALUES (?1, ?2)",
                (event.id().to_string(), event.ordering_key()),
            )?;
            Ok(())
        };
        inbox::process(&mut self.0, delivery, &inbox_config(), effect).unwrap()
    }

    /// The effect fails for the moment, and shall be tried again soon.
    pub(crate) fn fail<A>(&mut self, delivery: Delivery<A>) -> Handled<A> {
        self.fail_for(Duration::from_millis(200), delivery)
    }

    /// The same, after a while.
    pub(crate) fn fail_for<A>(
        &mut self,
        wait: Duration,
        delivery: Delivery<A>,
    ) -> Handled<A> {
        let policy = RetryPolicy::new(5, Backoff::Fixed(wait)).unwrap();
        let fail = |_: &rusqlite::Transaction<'_>, _: &Envelope<_>| {
            Err(HandlerError::transient("the ERP is busy"))
        };
        inbox::process(&mut self.0, delivery, &inbox_config().retry_policy(policy), fail)
            .unwrap()
    }

    fn ids(&self) -> Vec<String> {
        let mut rows = self.0.prepare("SELECT id FROM effect ORDER BY rowid").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

/// The ids of so many deliveries, where the effect of the first one fails, and of each
/// other not.
pub(crate) async fn the_first_failing<C: Consumer>(
    consumer: &mut C,
    count: usize,
) -> Vec<String> {
    let (mut effects, mut ids) = (Effects::new(), Vec::new());
    while ids.len() < count {
        let delivery = next(consumer).await;
        ids.push(delivery.facts().id().to_string());
        let handled = if ids.len() == 1 {
            effects.fail(delivery)
        } else {
            effects.process(delivery)
        };
        assert!(!matches!(handled, Handled::Duplicate(_)), "what failed is no duplicate");
        handled.settle().await.unwrap();
    }
    ids
}

/// Takes deliveries in until there were effects of `count` events, and answers each.
async fn consume<C: Consumer>(consumer: &mut C, effects: &mut Effects, count: usize) {
    let mut done = 0;
    while done < count {
        let handled = effects.process(next(consumer).await);
        done += usize::from(matches!(handled, Handled::Processed(_)));
        if let Err(error) = handled.settle().await {
            eprintln!("an answer was lost: {error}");
        }
    }
}

/// Takes deliveries in until there was an effect of this event.
async fn consume_until<C: Consumer>(consumer: &mut C, id: &str) {
    let mut effects = Effects::new();
    while effects.ids().last().is_none_or(|last| last != id) {
        consume(consumer, &mut effects, 1).await;
    }
}

pub(crate) async fn an_event_arrives_with_all_it_says_about_itself<S: Server>() {
    let server = S::fresh().await;
    let sent = Envelope::builder(
        "Payroll (old)",
        RawEvent::new("payroll.run closed/ü", b"\x00\xff{}"),
    )
    .id("evt 1/ü".parse().unwrap())
    .correlation_id("import 7")
    .ordering_key("run-7 %41")
    .tag("region", "Zürich \"Nord\" 100%")
    .tag("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    .tag("Not an extension", "a=b&c\r\nd")
    .build_at("2026-01-05T08:00:00.123456Z".parse().unwrap())
    .unwrap()
    .dispatch();
    server.broker(server.address()).send(&sent).await.unwrap();
    let mut consumer = server.consumer().await;
    let delivery = next(&mut consumer).await;
    let found = delivery.facts();
    assert_eq!(found.id(), sent.id());
    assert_eq!(found.event_type(), sent.event_type());
    assert_eq!(found.source_system(), sent.source_system());
    assert_eq!(found.schema_version(), sent.schema_version());
    assert_eq!(found.correlation_id(), sent.correlation_id());
    assert_eq!(found.ordering_key(), sent.ordering_key());
    assert_eq!(found.tags(), sent.tags());
    assert_eq!(found.created_at(), sent.created_at());
    assert_eq!(found.payload().bytes(), sent.payload().bytes());
    assert_eq!(found.attempts(), 0, "the receiver counts its own");
    drop((delivery, consumer));
    server.remove().await;
}

pub(crate) async fn a_schema_version_and_an_empty_payload_arrive<S: Server>() {
    let server = S::fresh().await;
    let payload = RawEvent::new("crm.lead.created", b"").with_schema_version("2.1");
    let sent = Envelope::builder("crm", payload).build().unwrap().dispatch();
    server.broker(server.address()).send(&sent).await.unwrap();
    let mut consumer = server.consumer().await;
    let delivery = next(&mut consumer).await;
    assert_eq!(
        (delivery.facts().schema_version(), delivery.facts().payload().bytes()),
        ("2.1", &b""[..])
    );
    drop((delivery, consumer));
    server.remove().await;
}

pub(crate) async fn what_is_confirmed_is_not_delivered_again<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    let mut effects = Effects::new();
    broker.send(&event("1")).await.unwrap();
    let mut consumer = server.consumer().await;
    consume(&mut consumer, &mut effects, 1).await;
    drop(consumer);
    broker.send(&event("2")).await.unwrap();
    let mut consumer = server.consumer().await;
    assert_eq!(next_id(&mut consumer).await, "2");
    assert_eq!(effects.ids(), ["1"]);
    drop(consumer);
    server.remove().await;
}

pub(crate) async fn what_is_not_answered_is_delivered_again<S: Server>() {
    let server = S::fresh().await;
    server.broker(server.address()).send(&event("1")).await.unwrap();
    let mut consumer = server.consumer().await;
    drop(next(&mut consumer).await);
    drop(consumer);
    let mut consumer = server.consumer().await;
    assert_eq!(next_id(&mut consumer).await, "1");
    drop(consumer);
    server.remove().await;
}

pub(crate) async fn what_was_delivered_before_says_so<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    for id in ["1", "2"] {
        broker.send(&event(id)).await.unwrap();
    }
    let mut consumer = server.consumer().await;
    let first = next(&mut consumer).await;
    assert_eq!(first.is_redelivered(), S::FIRST_MAY_BE_AGAIN);
    let second = next(&mut consumer).await;
    assert_eq!(
        (second.facts().id().to_string(), second.is_redelivered()),
        ("2".to_owned(), S::EACH_MAY_BE_AGAIN)
    );
    drop((first, second, consumer)); // the consumer died, with both in its hands
    let mut consumer = server.consumer().await;
    let again = loop {
        let again = next(&mut consumer).await;
        assert!(again.is_redelivered(), "{again:?}");
        if again.facts().id().to_string() == "1" {
            break again;
        }
    };

    let mut effects = Effects::new();
    let failed = effects.fail(again);
    assert!(matches!(failed, Handled::RetryLater(_)), "{failed:?}");
    failed.settle().await.unwrap();
    loop {
        let again = next(&mut consumer).await;
        if again.facts().id().to_string() == "1" {
            assert!(again.is_redelivered(), "asked for, it is one too");
            break;
        }
    }
    drop(consumer);
    server.remove().await;
}

pub(crate) async fn an_event_that_is_sent_twice_has_one_effect<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    broker.send(&event("1")).await.unwrap();
    broker.send(&event("1")).await.unwrap(); // stored once or twice, it is a success
    broker.send(&event("2")).await.unwrap();
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    let is_dropped = broker.capabilities().duplicate_window.map(|it| !it.is_zero());
    let mut deliveries = 0;
    while effects.ids().len() < 2 || (is_dropped == Some(false) && deliveries < 3) {
        let handled = effects.process(next(&mut consumer).await);
        handled.settle().await.unwrap();
        deliveries += 1;
    }
    assert_eq!(effects.ids(), ["1", "2"]);
    assert!(is_dropped != Some(true) || deliveries == 2, "the broker drops the second");
    drop(consumer);
    server.remove().await;
}

pub(crate) async fn events_of_one_id_from_two_sources_are_two<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    for source in ["crm", "erp"] {
        let event = Envelope::builder(source, RawEvent::new("crm.lead.created", b"{}"))
            .id("1".parse().unwrap());
        broker.send(&event.build().unwrap().dispatch()).await.unwrap();
    }
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    consume(&mut consumer, &mut effects, 2).await;
    assert_eq!(effects.ids(), ["1", "1"]);
    drop(consumer);
    server.remove().await;
}

pub(crate) async fn a_retry_is_delivered_again_and_then_it_is_the_first_still<
    S: Server,
>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    broker.send(&event("1")).await.unwrap();
    let mut consumer = server.consumer().await;
    assert_eq!(the_first_failing(&mut consumer, 2).await, ["1", "1"]);
    drop(consumer);
    server.remove().await;
}

/// Whose consumer has ended, a delivery that waits for its retry is there for the next one
/// at once where the consumer holds it, and not before its time where the broker does.
pub(crate) async fn a_retry_waits_where_the_adapter_says<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    broker.send(&event("1")).await.unwrap();
    let (mut first, mut effects) = (server.consumer().await, Effects::new());
    let failed = effects.fail_for(Duration::from_secs(600), next(&mut first).await);
    failed.settle().await.unwrap();
    drop(first);
    let mut second = server.consumer().await;
    let wanted = match broker.capabilities().retry_waits_at {
        Some(RetryWait::Broker) => {
            broker.send(&event("2")).await.unwrap();
            "2"
        }
        _ => "1",
    };
    assert_eq!(soon("the next", next_id(&mut second)).await, wanted);
    drop(second);
    server.remove().await;
}

pub(crate) async fn a_cloud_event_of_another_program_arrives<S: Server>() {
    let server = S::fresh().await;
    let headers = [
        ("specversion", "1.0"),
        ("id", "A234-1234-1234"),
        ("source", "//shop.example.com/orders"),
        ("type", "com.example.order.placed"),
        ("tenant", "eu-west-1"),
    ];
    let headers = headers.map(|(name, value)| (S::header(name), value));
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    server.foreign(&headers, b"<order/>").await;
    let mut consumer = server.consumer().await;
    let delivery = next(&mut consumer).await;
    let found = delivery.facts();
    assert_eq!(found.id().to_string(), "A234-1234-1234");
    assert_eq!(
        (found.source_system(), found.event_type()),
        ("//shop.example.com/orders", "com.example.order.placed")
    );
    assert_eq!(
        *found.tags(),
        BTreeMap::from([("tenant".to_owned(), "eu-west-1".to_owned())])
    );
    assert_eq!(found.payload().bytes(), b"<order/>");
    drop((delivery, consumer));
    server.remove().await;
}

pub(crate) async fn a_message_that_is_no_event_is_a_dead_letter_and_blocks_nothing<
    S: Server,
>() {
    let server = S::fresh().await;
    server.foreign(&[("colour", "red")], S::NO_EVENT).await;
    server.broker(server.address()).send(&event("1")).await.unwrap();

    let mut consumer = server.consumer().await;
    let delivery = next(&mut consumer).await;
    let first_id = delivery.facts().id().clone();
    assert_eq!(delivery.facts().event_type(), "unreadable");
    drop((delivery, consumer));

    struct LeadCreated;
    impl integration_automation_patterns::Event for LeadCreated {
        const TYPE: &'static str = "crm.lead.created";
    }
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    let inbox_config = inbox_config().accept::<LeadCreated>();
    let (mut seen, mut ids) = (0, Vec::<EventId>::new());
    while seen < 2 {
        let delivery = next(&mut consumer).await;
        seen += usize::from(!ids.contains(delivery.facts().id()));
        ids.push(delivery.facts().id().clone());
        let handled =
            inbox::process(&mut effects.0, delivery, &inbox_config, |_, _| Ok(()))
                .unwrap();
        handled.settle().await.unwrap();
    }
    assert!(
        ids.contains(&first_id),
        "delivered again, it has the same id: {first_id} of {ids:?}"
    );
    let dead = inbox::dead_letters(&effects.0, &Filter::default(), 10).unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].event.payload().bytes(), S::NO_EVENT);
    let why = &dead[0].event.tags()["unreadable"];
    assert_eq!(
        why,
        "a CloudEvent has the attribute specversion, and this message has none"
    );
    drop(consumer);
    server.remove().await;
}

/// A delivery that nobody answers comes again to whoever listens, long before any server
/// gives up waiting for the answer.
const SOON: Duration = Duration::from_secs(30);

async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work)
        .await
        .unwrap_or_else(|_| panic!("{what} takes longer than {SOON:?}"))
}

/// However its work ends, a delivery that was not answered is given back.
pub(crate) async fn what_nobody_answers_comes_again_soon<S: Server>() {
    let server = S::fresh().await;
    server.broker(server.address()).send(&event("1")).await.unwrap();
    let mut consumer = server.consumer().await;
    let first = next(&mut consumer).await;
    drop(first);
    let failed = soon("dropped, it", next(&mut consumer)).await;
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = failed;
        panic!("what handles deliveries has a bug (a test)");
    }));
    assert!(panics.is_err());
    let slow = soon("after a panic, it", next(&mut consumer)).await;
    let work = async move {
        let _held = slow;
        std::future::pending::<()>().await;
    };
    assert!(tokio::time::timeout(Duration::from_millis(10), work).await.is_err());
    let busy = soon("after a time-out, it", next(&mut consumer)).await;
    let mut locked = Effects::new();
    locked.0.execute_batch("DROP TABLE inbox_event").unwrap();
    assert!(
        inbox::process(&mut locked.0, busy, &inbox_config(), |_, _| Ok(())).is_err(),
        "the database fails"
    );
    soon("after a failure of the database, it", consume_until(&mut consumer, "1")).await;
    drop(consumer);
    server.remove().await;
}

/// Three times as many deliveries without an answer as there may be at once, and the
/// consumer gets on all the same.
pub(crate) async fn failures_in_a_row_starve_no_consumer<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    let events: Vec<_> = (0..100).map(|number| event(&format!("{number:03}"))).collect();
    for sent in
        futures_util::future::join_all(events.iter().map(|event| broker.send(event)))
            .await
    {
        sent.unwrap();
    }
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    for _ in 0..3 {
        let mut held = Vec::new();
        while held.len() < 100 {
            held.push(next(&mut consumer).await);
        }
    }
    consume(&mut consumer, &mut effects, 100).await;
    let mut ids = effects.ids();
    ids.sort();
    assert_eq!(ids, (0..100).map(|number| format!("{number:03}")).collect::<Vec<_>>());
    drop(consumer);
    server.remove().await;
}

/// What a consumer had taken from the broker, handed out or not, is there for the next
/// one.
pub(crate) async fn a_consumer_that_is_dropped_keeps_nothing<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    for number in 0..20 {
        broker.send(&event(&number.to_string())).await.unwrap();
    }
    let mut first = server.consumer().await;
    let held = next(&mut first).await;
    drop(first);
    let (mut second, mut effects) = (server.consumer().await, Effects::new());
    soon("what was not handed out", consume(&mut second, &mut effects, 19)).await;
    drop(held);
    soon("what was handed out", consume(&mut second, &mut effects, 1)).await;
    drop(second);
    server.remove().await;
}

/// Waited for a moment at a time, as in a loop that has other things to do, a consumer
/// connects and delivers all the same.
pub(crate) async fn a_consumer_gets_on_however_briefly_it_is_waited_for<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    for number in 0..20 {
        broker.send(&event(&number.to_string())).await.unwrap();
    }
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    let all = async {
        while effects.ids().len() < 20 {
            if let Ok(delivery) =
                tokio::time::timeout(Duration::from_millis(3), consumer.next()).await
            {
                let Ok(Some(delivery)) = delivery else { continue };
                effects.process(delivery).settle().await.unwrap();
            }
        }
    };
    soon("by moments of 3 ms, it", all).await;
    drop(consumer);
    server.remove().await;
}

/// A loop with a timer drops `next` again and again while it waits, and what is sent next
/// goes to nobody who has gone: the server hands it to who asks then, once.
pub(crate) async fn a_wait_that_is_given_up_takes_no_event_with_it<S: Server>() {
    const EVENTS: usize = 30;
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    let mut given_up = 0_u32;
    let mut sent = 0;
    let all = async {
        while effects.ids().len() < EVENTS {
            let moment = Duration::from_micros(500 + u64::from(given_up % 13) * 500);
            let Ok(next) = tokio::time::timeout(moment, consumer.next()).await else {
                given_up += 1;
                if sent < EVENTS && given_up.is_multiple_of(5) {
                    broker.send(&event(&format!("{sent:02}"))).await.unwrap();
                    sent += 1;
                }
                continue;
            };
            let Ok(Some(delivery)) = next else { continue };
            let again = delivery.is_redelivered();
            assert!(!again || S::FIRST_MAY_BE_AGAIN, "it went to nobody first");
            effects.process(delivery).settle().await.unwrap();
        }
    };
    soon("what is sent between the waits", all).await;
    drop(consumer);
    server.remove().await;
}

pub(crate) async fn what_is_too_large_is_refused_for_good_and_harms_no_other<
    S: Server,
>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    broker.send(&event("1")).await.unwrap();
    let large = build("2", &vec![b'x'; S::TOO_LARGE]).dispatch();
    let next_to_it = event("3");
    let (refused, sent) = tokio::join!(broker.send(&large), broker.send(&next_to_it));
    assert_eq!(refusal(&refused), Some(BrokerErrorKind::Permanent), "{refused:?}");
    sent.unwrap();
    server.remove().await;
}

pub(crate) async fn a_type_or_tag_too_long_for_the_protocol_is_refused_for_good_or_arrives<
    S: Server,
>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    let tagged = |length: usize| {
        let builder = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
        builder
            .tag("note", "n".repeat(length))
            .correlation_id("c".repeat(length))
            .build()
            .unwrap()
            .dispatch()
    };
    let typed = |length: usize| {
        let payload = RawEvent::new("t".repeat(length), b"{}");
        Envelope::builder("s".repeat(length), payload)
            .id("i".repeat(length).parse().unwrap())
            .build()
            .unwrap()
    };
    for event in
        [tagged(300), tagged(300_000), typed(300).dispatch(), typed(300_000).dispatch()]
    {
        let sent = broker.send(&event).await;
        assert!(
            matches!(refusal(&sent), None | Some(BrokerErrorKind::Permanent)),
            "{sent:?}"
        );
    }
    broker.send(&event("1")).await.unwrap();
    let mut consumer = server.consumer().await;
    consume_until(&mut consumer, "1").await;
    drop(consumer);
    server.remove().await;
}

pub(crate) async fn a_server_that_is_gone_is_unreachable_and_used_once_it_is_there<
    S: Server,
>() {
    let server = S::fresh().await;
    let proxy = server.proxy().await;
    proxy.set(Mode::Cut);
    let broker = server.broker(proxy.address);
    let sends = futures_util::future::join_all(
        (0..20).map(|_| async { broker.send(&event("1")).await }),
    );
    for sent in sends.await {
        assert_eq!(refusal(&sent), Some(S::CLOSED), "{sent:?}");
    }
    proxy.set(Mode::Open);
    broker.send(&event("1")).await.unwrap();
    proxy.set(Mode::Cut);
    // The loss itself may be noticed by a send; after that, nothing was sent.
    let mut last = broker.send(&event("2")).await;
    for _ in 0..100 {
        if refusal(&last) == Some(S::CLOSED) {
            break;
        }
        assert_eq!(refusal(&last), Some(BrokerErrorKind::Transient), "{last:?}");
        last = broker.send(&event("2")).await;
    }
    assert_eq!(refusal(&last), Some(S::CLOSED), "{last:?}");
    proxy.set(Mode::Open);
    while let Err(error) = broker.send(&event("3")).await {
        assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
        tokio::task::yield_now().await;
    }
    server.remove().await;
}

pub(crate) async fn nobody_listens_at_the_port<S: Server>() {
    let server = S::fresh().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let sent = server.broker(address).send(&event("1")).await;
    assert_eq!(refusal(&sent), Some(BrokerErrorKind::Unreachable), "{sent:?}");
    server.remove().await;
}

pub(crate) async fn a_confirmation_that_is_lost_is_no_success_and_costs_no_second_effect<
    S: Server,
>() {
    let server = S::fresh().await;
    let proxy = server.proxy().await;
    let broker = server.broker(proxy.address);
    broker.send(&event("1")).await.unwrap();
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    consume(&mut consumer, &mut effects, 1).await;

    proxy.set(Mode::Deaf);
    let two = event("2");
    let (sent, ()) = tokio::join!(broker.send(&two), async {
        consume(&mut consumer, &mut effects, 1).await; // the server has it
        proxy.set(Mode::Cut);
    });
    assert!(
        matches!(
            refusal(&sent),
            Some(BrokerErrorKind::Transient | BrokerErrorKind::Unreachable)
        ),
        "{sent:?}"
    );
    proxy.set(Mode::Open);
    while let Err(error) = broker.send(&event("2")).await {
        assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
        tokio::task::yield_now().await;
    }
    while let Err(error) = broker.send(&event("3")).await {
        assert_ne!(error.kind(), BrokerErrorKind::Permanent, "{error}");
        tokio::task::yield_now().await;
    }
    consume(&mut consumer, &mut effects, 1).await;
    assert_eq!(effects.ids(), ["1", "2", "3"]);
    drop(consumer);
    server.remove().await;
}

pub(crate) async fn a_send_that_is_given_up_harms_no_other<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    for phase in ["before it is connected", "afterwards"] {
        for number in 0..50 {
            let given_up = event(&format!("given up {phase} {number}"));
            tokio::select! {
                biased;
                _ = broker.send(&given_up) => {}
                // After as many looks at it as the number says.
                () = async { for _ in 0..number { tokio::task::yield_now().await } } => {}
            }
        }
        broker.send(&event(phase)).await.unwrap();
    }
    broker.send(&event("1")).await.unwrap();
    let mut consumer = server.consumer().await;
    consume_until(&mut consumer, "1").await;
    drop(consumer);
    server.remove().await;
}

pub(crate) struct File(pub(crate) PathBuf);

impl File {
    pub(crate) fn new(name: &str) -> Self {
        Self(
            PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("{}.db", unique(name))),
        )
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

/// Ten keys with a tenth of the events each, in order, committed.
fn enqueue(file: &File, numbers: Range<usize>, policy: RetryPolicy) {
    let mut crm = Connection::open(&file.0).unwrap();
    outbox::install(&mut crm).unwrap();
    let business = crm.transaction().unwrap();
    for number in numbers {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .id(format!("{number:04}").parse().unwrap())
            .ordering_key(format!("lead-{}", number % 10))
            .retry_policy(policy);
        outbox::enqueue(&business, event.build().unwrap()).unwrap();
    }
    business.commit().unwrap();
}

fn each_once_and_in_order(effects: &Effects, count: usize) {
    let mut ids = effects.ids();
    let by_key = |key: usize| {
        ids.iter().filter(move |id| id.parse::<usize>().unwrap() % 10 == key)
    };
    for key in 0..10 {
        assert!(
            by_key(key).is_sorted(),
            "the order of a key: {:?}",
            by_key(key).collect::<Vec<_>>()
        );
    }
    ids.sort();
    assert_eq!(ids, (0..count).map(|number| format!("{number:04}")).collect::<Vec<_>>());
}

async fn relayed<S: Server>(
    file: &File,
    broker: S::Broker,
    work: impl Future<Output = ()>,
) -> Summary {
    let store = outbox::Outbox::open(&file.0).unwrap();
    let config = RelayConfig::default().poll_interval(Duration::from_millis(20));
    let relay = Relay::new("relay-1", store, broker, config)
        .unwrap()
        .on_incident(|incident| eprintln!("{incident}"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let relay = tokio::spawn(async move {
        relay
            .run(async {
                let _ = stopped.await;
            })
            .await
    });
    work.await;
    drop(stop);
    relay.await.unwrap()
}

pub(crate) async fn what_a_transaction_commits_has_its_effect_once_and_in_order<
    S: Server,
>() {
    let server = S::fresh().await;
    let file = File::new("relay");
    enqueue(&file, 0..200, RetryPolicy::DEFAULT);
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    let summary = relayed::<S>(
        &file,
        server.broker(server.address()),
        consume(&mut consumer, &mut effects, 200),
    )
    .await;
    assert_eq!((summary.claimed, summary.acknowledged), (200, 200));
    each_once_and_in_order(&effects, 200);
    drop(consumer);
    server.remove().await;
}

/// So many sends that are cut are no accident.
const MET: u64 = 5;

/// The answers to many sends may come in one piece, of which no cut takes a part: so often
/// events are sent until enough of them were met.
const ROUNDS: usize = 10;

pub(crate) async fn connections_that_are_cut_again_and_again_cost_no_event_and_no_second_effect<
    S: Server,
>() {
    let server = S::fresh().await;
    let file = File::new("cut");
    let policy = RetryPolicy::new(1000, Backoff::Fixed(Duration::ZERO)).unwrap();
    let proxy = server.proxy().await;
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    proxy.set(Mode::Flaky);
    let (mut sent, mut met) = (0, 0);
    while met < MET {
        assert!(sent < ROUNDS * S::CUT, "{met} of {sent} sends were cut");
        enqueue(&file, sent..sent + S::CUT, policy);
        let consumed = consume(&mut consumer, &mut effects, S::CUT);
        let broker = server.broker(proxy.address);
        let summary = relayed::<S>(&file, broker, consumed).await;
        assert_eq!(summary.failed, 0);
        (sent, met) = (sent + S::CUT, met + summary.retrying);
    }
    each_once_and_in_order(&effects, sent);
    drop(consumer);
    server.remove().await;
}

/// The suite on one server, each test with the attribute given. `counted` is for a broker
/// that says how far a consumer is behind, `lossy` for a server that a proxy can stand in
/// front of, `postgres` what a worker does on that database, `direct` for one that stores
/// nothing, where a send waits for the consumer.
#[macro_export]
macro_rules! suite_on {
    ($server:ty $(, #[$attribute:meta])?) => {
        $crate::suite_on! { @each $server, [$(#[$attribute])?],
            an_event_arrives_with_all_it_says_about_itself
            a_schema_version_and_an_empty_payload_arrive
            what_is_confirmed_is_not_delivered_again
            what_is_not_answered_is_delivered_again
            what_was_delivered_before_says_so
            an_event_that_is_sent_twice_has_one_effect
            events_of_one_id_from_two_sources_are_two
            a_retry_is_delivered_again_and_then_it_is_the_first_still
            a_retry_waits_where_the_adapter_says
            a_cloud_event_of_another_program_arrives
            a_message_that_is_no_event_is_a_dead_letter_and_blocks_nothing
            what_nobody_answers_comes_again_soon
            failures_in_a_row_starve_no_consumer
            a_consumer_that_is_dropped_keeps_nothing
            a_consumer_gets_on_however_briefly_it_is_waited_for
            a_wait_that_is_given_up_takes_no_event_with_it
            what_is_too_large_is_refused_for_good_and_harms_no_other
            a_type_or_tag_too_long_for_the_protocol_is_refused_for_good_or_arrives
            nobody_listens_at_the_port
            a_send_that_is_given_up_harms_no_other
            what_a_transaction_commits_has_its_effect_once_and_in_order
            a_worker_has_every_effect_once_and_what_fails_falls_alone
        }
    };
    (counted $server:ty, #[$attribute:meta]) => {
        $crate::suite_on! { @each $server, [#[$attribute]],
            how_far_a_consumer_is_behind_is_known
            the_operators_program_says_how_far_a_consumer_is_behind
            how_far_a_consumer_is_behind_of_a_server_that_is_gone_has_a_reason
            how_far_a_consumer_is_behind_of_a_server_that_is_silent_has_an_end
        }
    };
    (lossy $server:ty $(, #[$attribute:meta])?) => {
        $crate::suite_on! { @each $server, [$(#[$attribute])?],
            a_server_that_is_gone_is_unreachable_and_used_once_it_is_there
            a_confirmation_that_is_lost_is_no_success_and_costs_no_second_effect
            connections_that_are_cut_again_and_again_cost_no_event_and_no_second_effect
            a_workers_connection_that_is_cut_costs_no_second_effect
        }
    };
    (direct $server:ty) => {
        $crate::suite_on! { @each $server, [],
            nobody_listens_at_the_port
            what_a_transaction_commits_has_its_effect_once_and_in_order
            connections_that_are_cut_again_and_again_cost_no_event_and_no_second_effect
        }
    };
    (unordered $server:ty, #[$attribute:meta]) => {
        $crate::suite_on! { @each $server, [#[$attribute]],
            a_worker_keeps_the_order_that_the_broker_does_not
        }
    };
    (postgres $server:ty, #[$attribute:meta]) => {
        $crate::suite_on! { @each $server, [#[$attribute]],
            a_worker_on_postgres_has_every_effect_once_and_what_fails_falls_alone
        }
    };
    (postgres lossy $server:ty, #[$attribute:meta]) => {
        $crate::suite_on! { @each $server, [#[$attribute]],
            a_workers_connection_on_postgres_that_is_cut_costs_no_second_effect
        }
    };
    (@each $server:ty, $attributes:tt, $($name:ident)*) => {
        $($crate::suite_on! { @one $server, $attributes, $name })*
    };
    (@one $server:ty, [$(#[$attribute:meta])?], $name:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        $(#[$attribute])?
        async fn $name() {
            $crate::suite::in_time($crate::suite::$name::<$server>()).await;
        }
    };
}
