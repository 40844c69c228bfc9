//! One event followed by its trace id: from the producer's span, through failed attempts,
//! a redrive by a person and a duplicate, to the consumer's, and on to the event that it
//! causes there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use integration_automation_patterns::broker::{
    Ack, Broker, BrokerError, Consumer, Delivery, in_process,
};
use integration_automation_patterns::inbox::{
    self, Handled, HandlerError, InboxConfig, Receipt,
};
use integration_automation_patterns::outbox::{
    self, Admin, Filter, Redrive, RedriveOutcome,
};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::state::{Dispatched, Pending};
use integration_automation_patterns::trace::{SpanContext, TraceParent, names};
use integration_automation_patterns::{
    Decision, DeliveryStatus, Envelope, EventId, Facts, RawEvent,
};
use rusqlite::Connection;
use tracing::info_span;

use crate::subscriber::{Heard, Kept, Listener};

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn inbox_config() -> InboxConfig {
    InboxConfig::new(WEEK, RetryPolicy::DEFAULT).unwrap().retry_policy(policy(3))
}

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy::new(attempts, Backoff::Fixed(Duration::ZERO)).unwrap()
}

fn event(id: &str) -> integration_automation_patterns::EnvelopeBuilder<RawEvent> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", br#"{"email":"s3cr3t"}"#))
        .id(id.parse().unwrap())
        .correlation_id("import-7")
        .tag("token", "s3cr3t")
        .retry_policy(policy(2))
}

/// A database of its own, with an outbox and an inbox.
struct Database {
    connection: Connection,
    outbox: outbox::sqlite::Outbox,
    _folder: Folder,
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn database(name: &str) -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("tracing-{}-{number}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut connection = Connection::open(folder.join("db")).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    inbox::sqlite::install(&mut connection).unwrap();
    let outbox = outbox::sqlite::Outbox::open(folder.join("db")).unwrap();
    Database { connection, outbox, _folder: Folder(folder) }
}

impl Database {
    fn enqueue(&mut self, event: Envelope<Pending>) {
        let transaction = self.connection.transaction().unwrap();
        let _new = outbox::sqlite::enqueue(&transaction, event).unwrap();
        transaction.commit().unwrap();
    }

    async fn stored(&self, id: &str) -> (Option<SpanContext>, DeliveryStatus) {
        let event = self.outbox.get(&id.parse().unwrap()).await.unwrap().unwrap().event;
        (SpanContext::of(&event), event.status())
    }
}

/// A broker that refuses the first sends, and hands the later ones to another.
struct Refusing<B> {
    first: AtomicU32,
    then: B,
}

impl<B: Broker> Broker for Refusing<B> {
    const SYSTEM: &'static str = B::SYSTEM;

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        tracing::info!("within the send");
        if self
            .first
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            return Err(BrokerError::transient("connection reset, token s3cr3t"));
        }
        self.then.send(event).await
    }

    fn destination(&self, event: &Facts<RawEvent>) -> Option<std::borrow::Cow<'_, str>> {
        self.then.destination(event)
    }
}

fn hears() -> (Heard, tracing::subscriber::DefaultGuard) {
    let heard = Heard::default();
    (heard.clone(), tracing::subscriber::set_default(Listener(heard)))
}

fn hex(parent: TraceParent) -> (String, String) {
    (format!("{:032x}", parent.trace_id()), format!("{:016x}", parent.span_id()))
}

/// Every span has all the names of the list and no other, and a value only of those; and
/// says no secret.
fn assert_conventional(heard: &Heard) {
    let spans = heard.spans.lock().unwrap().clone();
    for span in spans.iter().filter(|span| span.target == names::TARGET) {
        let declared = span.declared.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(declared, names::ALL.iter().copied().collect(), "{}", span.name);
        assert_eq!(span.handles, 0, "it has ended: {span:?}");
        assert_eq!(span.get("messaging.operation.type"), span.name);
        let failed = !span.get("error.type").is_empty();
        assert_eq!(span.get("otel.status_code") == "ERROR", failed, "{span:?}");
        assert_eq!(span.get("integration_event.outcome").is_empty(), failed, "{span:?}");
        assert!(
            !format!("{span:?}").contains("s3cr3t"),
            "neither payload nor tags nor reasons: {span:?}"
        );
    }
}

async fn followed<B: Broker>(broker: B, mut listener: impl Consumer, destination: &str) {
    let (heard, _guard) = hears();
    let (mut crm, mut erp) = (database("crm"), database("erp"));

    // The producer: its own span, and the event enqueued in it.
    info_span!("register lead")
        .in_scope(|| crm.enqueue(event("evt-001").build().unwrap()));
    let (context, _) = crm.stored("evt-001").await;
    let context = context.expect("the stored event has a context");
    let (trace_id, producer) = hex(context.traceparent);

    // Two attempts that fail, and a dead letter, which a person redrives.
    let broker = Refusing { first: AtomicU32::new(2), then: broker };
    let config = RelayConfig::default().poll_interval(Duration::from_millis(50));
    let relay = Relay::new("relay-1", crm.outbox.clone(), broker, config).unwrap();
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    assert_eq!((summary.claimed, summary.retrying, summary.failed), (2, 1, 1));
    assert_eq!(
        crm.stored("evt-001").await,
        (Some(context.clone()), DeliveryStatus::Failed)
    );
    let order =
        Redrive::new(Decision::new("on-call", "the broker is back").unwrap(), WEEK);
    let verdicts = crm.outbox.redrive(&Filter::default(), &order).await.unwrap();
    assert_eq!(
        verdicts,
        [("evt-001".parse::<EventId>().unwrap(), RedriveOutcome::Redriven)]
    );
    assert_eq!(
        crm.stored("evt-001").await.0,
        Some(context.clone()),
        "a redrive stays in the trace"
    );

    // The consumer, whose effect fails once, and then enqueues an event of its own.
    let consume = async {
        let mut effects = 0;
        while effects < 2 {
            let delivery = listener.next().await.unwrap().expect("a delivery");
            let handled = inbox::sqlite::process(
                &mut erp.connection,
                delivery,
                &inbox_config(),
                |transaction, _| {
                    effects += 1;
                    if effects == 1 {
                        return Err(HandlerError::transient("deadlock, token s3cr3t"));
                    }
                    let caused = event("evt-002").build()?;
                    let _new = outbox::sqlite::enqueue(transaction, caused)
                        .map_err(|refused| refused.to_string())
                        .unwrap();
                    Ok(())
                },
            );
            handled.unwrap().settle().await.unwrap();
        }
    };
    let (summary, ()) =
        tokio::join!(relay.run_until_idle(std::future::pending::<()>()), consume);
    assert_eq!(summary.acknowledged, 1);
    assert_eq!(relay.progress().claimed, 2 + summary.claimed, "all its runs");

    assert_conventional(&heard);
    let of = |name: &str, id: &str| {
        let mut spans = heard.spans(name);
        spans.retain(|span| span.get("messaging.message.id") == id);
        spans
    };
    let ids =
        |span: &Kept| [span.get("trace_id"), span.get("parent_id")].map(str::to_owned);

    let [create] = &of("create", "evt-001")[..] else {
        panic!("one span for the enqueuing")
    };
    assert_eq!((create.within, create.get("parent_id")), (Some("register lead"), ""));
    assert_eq!((create.get("trace_id"), create.get("span_id")), (&*trace_id, &*producer));
    assert_eq!(
        (create.get("otel.name"), create.get("otel.kind")),
        ("enqueue crm.lead.created", "producer")
    );
    assert_eq!(
        (create.get("messaging.system"), create.get("integration_event.outcome")),
        ("outbox", "new")
    );
    assert_eq!(create.get("messaging.message.conversation_id"), "import-7");
    let said =
        [create.get("cloudevents.event_id"), create.get("cloudevents.event_source")];
    assert_eq!(
        (said, create.get("cloudevents.event_type")),
        (["evt-001", "crm"], "crm.lead.created")
    );

    let sends = of("send", "evt-001");
    let attempts = sends
        .iter()
        .map(|span| (span.get("integration_event.attempt"), span.get("error.type")));
    let expected =
        [("1", "transient"), ("2", "transient"), ("1", "transient"), ("2", "")];
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        expected,
        "two, a redrive, one that the consumer had again, and the last"
    );
    let named = if destination.is_empty() {
        "send crm.lead.created".to_owned()
    } else {
        format!("send {destination}")
    };
    for send in &sends {
        assert_eq!(
            ids(send),
            [trace_id.clone(), producer.clone()],
            "every attempt follows the producer"
        );
        assert_eq!(
            (send.get("otel.name"), send.get("otel.kind"), send.within),
            (&*named, "client", None)
        );
        assert_eq!(
            (send.get("messaging.system"), send.get("messaging.client.id")),
            (B::SYSTEM, "relay-1")
        );
        assert_eq!(send.get("messaging.destination.name"), destination);
    }

    let (receives, processes) = (of("receive", "evt-001"), of("process", "evt-001"));
    assert_eq!((receives.len(), processes.len()), (2, 2));
    for (receive, process) in receives.iter().zip(&processes) {
        assert_eq!(
            ids(receive),
            [trace_id.clone(), producer.clone()],
            "across the broker"
        );
        assert_eq!(ids(process), [trace_id.clone(), receive.get("span_id").to_owned()]);
        assert_eq!(
            (receive.get("otel.kind"), process.get("otel.kind")),
            ("client", "consumer")
        );
        assert_eq!(
            (receive.get("messaging.system"), process.get("messaging.system")),
            (B::SYSTEM, B::SYSTEM)
        );
        assert_eq!(process.get("messaging.destination.name"), destination);
        assert_eq!(receive.get("integration_event.outcome"), "new");
    }
    assert_eq!(
        (processes[0].get("error.type"), processes[0].get("integration_event.attempt")),
        ("transient", "1")
    );
    let last = &processes[1];
    assert_eq!(
        (last.get("integration_event.outcome"), last.get("integration_event.attempt")),
        ("processed", "2")
    );

    // The event that the effect has caused goes on in the same trace.
    let [caused] = &of("create", "evt-002")[..] else {
        panic!("one span for the enqueuing")
    };
    assert_eq!(ids(caused), [trace_id.clone(), last.get("span_id").to_owned()]);
    assert_eq!(caused.within, Some("process"));
    assert_eq!(hex(erp.stored("evt-002").await.0.unwrap().traceparent).0, trace_id);

    // Every hop has a span id of its own.
    let all =
        [of("create", "evt-001"), sends, receives, processes, of("create", "evt-002")]
            .concat();
    let distinct =
        all.iter().map(|span| span.get("span_id").to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(heard.events.lock().unwrap().len(), 4, "what a send logs is heard");
}

#[tokio::test]
async fn one_event_is_followed_from_its_producer_to_its_consumer() {
    let (broker, listener) = in_process(16);
    followed(broker, listener, "").await;
}

#[cfg(feature = "cloudevents")]
#[tokio::test]
async fn one_event_is_followed_over_cloudevents_headers() {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    followed(headers::Sender(sender), headers::Receiver(receiver), "leads").await;
}

/// A broker that knows nothing but headers and bytes.
#[cfg(feature = "cloudevents")]
mod headers {
    use std::borrow::Cow;

    use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    pub(super) type Message = (Vec<(String, String)>, Vec<u8>, oneshot::Sender<bool>);

    pub(super) struct Sender(pub(super) mpsc::Sender<Message>);

    impl Broker for Sender {
        const SYSTEM: &'static str = "kafka";

        async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
            let event = CloudEvent::of(event);
            let headers = event
                .headers(Binding::Kafka)
                .map(|(name, value)| (name, value.into_owned()))
                .collect();
            let (answer, answered) = oneshot::channel();
            self.0.send((headers, event.data().to_vec(), answer)).await.unwrap();
            match answered.await {
                Ok(true) => Ok(()),
                _ => Err(BrokerError::transient("not confirmed")),
            }
        }

        fn destination(&self, _: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
            Some("leads".into())
        }
    }

    pub(super) struct Receiver(pub(super) mpsc::Receiver<Message>);

    pub(super) struct Told(oneshot::Sender<bool>);

    impl Consumer for Receiver {
        type Acker = Told;

        async fn next(&mut self) -> Result<Option<Delivery<Told>>, BrokerError> {
            let Some((headers, data, answer)) = self.0.recv().await else {
                return Ok(None);
            };
            let headers =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let event = CloudEvent::from_headers(Binding::Kafka, headers, data)
                .unwrap()
                .into_envelope()
                .unwrap();
            Ok(Some(
                Delivery::new(event, Told(answer))
                    .from_broker(Sender::SYSTEM, Some("leads".into())),
            ))
        }
    }

    impl Ack for Told {
        async fn ack(self) -> Result<(), BrokerError> {
            let _ = self.0.send(true);
            Ok(())
        }

        async fn nack(self, _: Duration) -> Result<(), BrokerError> {
            let _ = self.0.send(false);
            Ok(())
        }
    }
}

/// A delivery without a broker.
struct Nobody;

impl Ack for Nobody {
    async fn ack(self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn nack(self, _: Duration) -> Result<(), BrokerError> {
        Ok(())
    }
}

const REQUEST: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[tokio::test]
async fn a_context_that_the_event_brings_is_kept_and_a_malformed_one_is_dropped() {
    let (heard, _guard) = hears();
    let mut crm = database("crm");
    crm.enqueue(
        event("given")
            .tag("traceparent", REQUEST)
            .tag("tracestate", "rojo=1")
            .build()
            .unwrap(),
    );
    let malformed = [
        "",
        "00-0",
        &REQUEST.to_uppercase(),
        &format!("{REQUEST}-00"),
        &REQUEST.replace("00-0af", "ff-0af"),
    ];
    for (number, text) in malformed.iter().enumerate() {
        let id = format!("malformed-{number}");
        crm.enqueue(
            event(&id)
                .tag("traceparent", *text)
                .tag("tracestate", "rojo=1")
                .build()
                .unwrap(),
        );
        let context = crm.stored(&id).await.0.expect("a fresh one");
        assert_eq!((context.tracestate, context.traceparent.flags()), (None, 1));
        assert!(!REQUEST.contains(&hex(context.traceparent).0));
    }
    let (given, _) = crm.stored("given").await;
    let given = given.expect("the one it brought");
    assert_eq!(
        (given.traceparent.to_string().as_str(), given.tracestate.as_deref()),
        (REQUEST, Some("rojo=1"))
    );
    let created = heard.spans("create");
    assert_eq!(
        created.len(),
        malformed.len(),
        "the conventions want no such span where the producer gave a context"
    );

    // What comes from elsewhere with a malformed context starts a trace of its own.
    let delivery = Delivery::new(
        event("foreign").tag("traceparent", "garbage").build().unwrap(),
        Nobody,
    );
    let handled =
        inbox::sqlite::process(&mut crm.connection, delivery, &inbox_config(), |_, _| {
            Ok(())
        });
    assert!(matches!(handled, Ok(Handled::Processed(_))));
    let receive = &heard.spans("receive")[0];
    assert_eq!((receive.get("trace_id").len(), receive.get("parent_id")), (32, ""));
    assert_eq!(receive.get("messaging.system"), "", "nobody said which");
    assert_conventional(&heard);
}

#[tokio::test]
async fn duplicates_refusals_and_what_is_left_unfinished_are_told_apart() {
    let (heard, _guard) = hears();
    let mut erp = database("erp");
    let deliver = |id: &str| {
        Delivery::new(event(id).tag("traceparent", REQUEST).build().unwrap(), Nobody)
    };
    let outcomes = |name: &str| {
        let told = heard.spans(name).into_iter().map(|span| {
            assert_eq!(span.get("trace_id"), "0af7651916cd43dd8448eb211c80319c");
            format!("{}{}", span.get("integration_event.outcome"), span.get("error.type"))
        });
        told.collect::<Vec<_>>()
    };
    for _ in 0..2 {
        let _told = inbox::sqlite::process(
            &mut erp.connection,
            deliver("1"),
            &inbox_config(),
            |_, _| Ok(()),
        )
        .unwrap();
    }
    let fault = Err(HandlerError::permanent("no such account"));
    let _told = inbox::sqlite::process(
        &mut erp.connection,
        deliver("2"),
        &inbox_config(),
        |_, _| fault,
    )
    .unwrap();
    let transaction = erp.connection.transaction().unwrap();
    let Receipt::New(first) =
        inbox::sqlite::receive(transaction, deliver("3"), &inbox_config()).unwrap()
    else {
        panic!()
    };
    first.in_span(|| tracing::info!("in the span"));
    drop(first); // rolled back, as in a crash
    struct Other;
    impl integration_automation_patterns::Event for Other {
        const TYPE: &'static str = "crm.other.created";
    }
    let picky = inbox_config().accept::<Other>();
    let _told =
        inbox::sqlite::process(&mut erp.connection, deliver("4"), &picky, |_, _| Ok(()))
            .unwrap();
    assert_eq!(outcomes("receive"), ["new", "duplicate", "new", "new", "dead_lettered"]);
    assert_eq!(outcomes("process"), ["processed", "permanent", "unfinished"]);

    // A person takes the dead letter up again, days later: in the trace that it had.
    let decision = Decision::new("on-call", "it exists now").unwrap();
    let transaction = erp.connection.transaction().unwrap();
    let first = inbox::sqlite::redrive(
        transaction,
        deliver("2").facts(),
        decision,
        &inbox_config(),
    )
    .unwrap()
    .expect("a dead letter");
    let _told = first.commit().unwrap();
    assert_eq!(
        outcomes("process"),
        ["processed", "permanent", "unfinished", "processed"]
    );
    let redriven = heard.spans("process").pop().expect("the last");
    assert_eq!(
        (redriven.get("otel.name"), redriven.get("messaging.system")),
        ("redrive crm.lead.created", "inbox")
    );
    assert_conventional(&heard);
}

/// A broker that hangs, or panics.
struct Broken(bool);

impl Broker for Broken {
    const SYSTEM: &'static str = "broken";

    async fn send(&self, _: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        if self.0 { panic!("as ordered") } else { std::future::pending().await }
    }
}

#[tokio::test]
async fn a_send_that_never_ends_is_told_too() {
    for (panics, told) in [(true, "unfinished"), (false, "timed_out")] {
        let (heard, _guard) = hears();
        let mut crm = database("crm");
        crm.enqueue(event("1").retry_policy(policy(1)).build().unwrap());
        let config = RelayConfig::default()
            .poll_interval(Duration::from_millis(1))
            .send_timeout(Duration::from_millis(1));
        let relay =
            Relay::new("relay-1", crm.outbox.clone(), Broken(panics), config).unwrap();
        relay.run_until_idle(std::future::pending::<()>()).await;
        let [send] = &heard.spans("send")[..] else { panic!("one attempt") };
        assert_eq!(send.get("error.type"), told);
        assert_conventional(&heard);
    }
}

#[test]
fn the_names_are_those_of_the_conventions() {
    assert_eq!(names::CONVENTIONS, "1.44");
    // As `messaging-spans` and `cloudevents-spans` of that version have them.
    let conventions = [
        "cloudevents.event_id",
        "cloudevents.event_source",
        "cloudevents.event_type",
        "error.type",
        "messaging.client.id",
        "messaging.destination.name",
        "messaging.message.conversation_id",
        "messaging.message.id",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system",
    ];
    let bridge = ["otel.kind", "otel.name", "otel.status_code"];
    let own = [
        "integration_event.attempt",
        "integration_event.outcome",
        "parent_id",
        "span_id",
        "trace_id",
    ];
    let expected = [&conventions[..], &bridge, &own].concat();
    assert_eq!(
        names::ALL.iter().copied().collect::<BTreeSet<_>>(),
        expected.into_iter().collect()
    );
}

#[test]
fn every_fresh_id_is_another_and_reads_back() {
    let ids = (0..1000).map(|_| TraceParent::fresh()).collect::<Vec<_>>();
    let distinct =
        ids.iter().flat_map(|one| [hex(*one).0, hex(*one).1]).collect::<BTreeSet<_>>();
    assert_eq!(distinct.len(), 2000);
    for one in ids {
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_eq!(one.child().trace_id(), one.trace_id());
    }
    assert_eq!(
        format!("01{}-later", &REQUEST[2..])
            .parse::<TraceParent>()
            .map(|one| one.to_string()),
        Ok(REQUEST.into())
    );
    let zeros = [
        "00-00000000000000000000000000000000-b7ad6b7169203331-00",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-00",
    ];
    for text in zeros {
        let error = text.parse::<TraceParent>().unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("with neither id zero, found {text:?}")),
            "{error}"
        );
    }
    assert_eq!(TraceParent::new(0, 1, 0), None);
}
