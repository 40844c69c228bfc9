//! The guide's wiring to OpenTelemetry: what its own SDK makes of our spans.
#![cfg(all(feature = "tracing", feature = "sqlite"))]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::broker::{Broker, Consumer, in_process};
use integration_automation_patterns::inbox::{self, InboxConfig};
use integration_automation_patterns::outbox::{self, Admin};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::trace::{
    self, SpanContext, TraceContext, TraceParent,
};
use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
use opentelemetry::trace::{
    SpanContext as OtelContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags,
    TraceId, TracerProvider,
};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use rusqlite::Connection;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

/// As in the guide.
struct OpenTelemetry;

impl TraceContext for OpenTelemetry {
    fn current(&self) -> Option<SpanContext> {
        context_of(&tracing::Span::current())
    }

    fn adopt(
        &self,
        span: &tracing::Span,
        parent: Option<&SpanContext>,
    ) -> Option<SpanContext> {
        if let Some(parent) = parent {
            let (ids, state) =
                (parent.traceparent, parent.tracestate.as_deref().unwrap_or_default());
            let remote = OtelContext::new(
                TraceId::from(ids.trace_id()),
                SpanId::from(ids.span_id()),
                TraceFlags::new(ids.flags()),
                true,
                state.parse().unwrap_or_default(),
            );
            span.set_parent(Context::new().with_remote_span_context(remote)).ok()?;
        }
        context_of(span)
    }
}

fn context_of(span: &tracing::Span) -> Option<SpanContext> {
    let context = span.context();
    let (span, flags) = (context.span(), context.span().span_context().trace_flags());
    let (ids, state) = (span.span_context(), span.span_context().trace_state().header());
    Some(SpanContext {
        traceparent: TraceParent::new(
            u128::from_be_bytes(ids.trace_id().to_bytes()),
            u64::from_be_bytes(ids.span_id().to_bytes()),
            flags.to_u8(),
        )?,
        tracestate: Some(state).filter(|state| !state.is_empty()),
    })
}

/// Keeps what would be sent to a collector.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Collector {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Collector {
    fn one(&self, name: &str) -> SpanData {
        let spans = self.0.lock().unwrap();
        let named =
            spans.iter().filter(|span| span.name == name).cloned().collect::<Vec<_>>();
        let [span] = &named[..] else {
            panic!("one span {name}, and found {}", named.len())
        };
        span.clone()
    }
}

fn attribute(span: &SpanData, name: &str) -> Option<Value> {
    span.attributes
        .iter()
        .find(|one| one.key.as_str() == name)
        .map(|one| one.value.clone())
}

#[tokio::test]
async fn the_sdk_sees_one_trace_from_the_producer_to_what_the_consumer_causes() {
    let collector = Collector::default();
    let provider =
        SdkTracerProvider::builder().with_span_processor(collector.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("crm"));
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    assert!(trace::install(OpenTelemetry).is_ok());

    let database = |name: &str| {
        let name = format!("opentelemetry-{}-{name}", std::process::id());
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let outbox = outbox::sqlite::Outbox::open(&path).unwrap();
        let mut connection = Connection::open(&path).unwrap();
        inbox::sqlite::install(&mut connection).unwrap();
        (path, outbox, connection)
    };
    let (crm, sent, mut leads) = database("crm");
    let (erp, caused_in, mut customers) = database("erp");
    let event = |id: &str| {
        let builder = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .id(id.parse().unwrap());
        builder.build().unwrap()
    };
    tracing::info_span!("register lead").in_scope(|| {
        let transaction = leads.transaction().unwrap();
        let _new = outbox::sqlite::enqueue(&transaction, event("evt-001")).unwrap();
        transaction.commit().unwrap();
    });

    let (broker, mut listener) = in_process(16);
    let system = system_of(&broker);
    let relay = Relay::new("relay-1", sent, broker, RelayConfig::default()).unwrap();
    let inbox_config =
        InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), RetryPolicy::DEFAULT)
            .unwrap();
    let consume = async {
        let delivery = listener.next().await.unwrap().expect("a delivery");
        let handled = inbox::sqlite::process(
            &mut customers,
            delivery,
            &inbox_config,
            |transaction, _| {
                let _new =
                    outbox::sqlite::enqueue(transaction, event("evt-002")).unwrap();
                Ok(())
            },
        );
        handled.unwrap().settle().await.unwrap();
    };
    // The relay may well run in a span of its own: the trace of an event is the event's.
    let run = async { relay.run_until_idle(std::future::pending::<()>()).await };
    let (_, ()) = tokio::join!(
        tracing::Instrument::instrument(run, tracing::info_span!("relay")),
        consume
    );

    let (producer, send) =
        (collector.one("register lead"), collector.one("send crm.lead.created"));
    let (receive, process) = (
        collector.one("receive crm.lead.created"),
        collector.one("process crm.lead.created"),
    );
    let mut creates = collector.0.lock().unwrap().clone();
    creates.retain(|span| span.name.starts_with("enqueue"));
    let [create, caused] = &creates[..] else { panic!("two events") };
    let hops = [
        (create, &producer, SpanKind::Producer),
        (&send, create, SpanKind::Client),
        (&receive, create, SpanKind::Client),
        (&process, &receive, SpanKind::Consumer),
        (caused, &process, SpanKind::Producer),
    ];
    for (span, parent, kind) in hops {
        assert_eq!(
            span.span_context.trace_id(),
            producer.span_context.trace_id(),
            "{}",
            span.name
        );
        assert_eq!(span.parent_span_id, parent.span_context.span_id(), "{}", span.name);
        assert_eq!(
            (&span.span_kind, &span.status),
            (&kind, &Status::Unset),
            "{}",
            span.name
        );
    }
    assert_eq!(attribute(&send, "messaging.system"), Some(system.into()));
    assert_eq!(attribute(&send, "messaging.message.id"), Some("evt-001".into()));
    assert_eq!(attribute(&send, "integration_event.attempt"), Some(Value::I64(1)));
    assert_eq!(
        attribute(&send, "integration_event.outcome"),
        Some("confirmed".into()),
        "what is told at its end"
    );
    assert_eq!(attribute(&send, "trace_id"), None, "the SDK has its own");

    let stored = caused_in
        .get(&"evt-002".parse().unwrap())
        .await
        .unwrap()
        .expect("enqueued")
        .event;
    let context = SpanContext::of(&stored).expect("a context");
    assert_eq!(
        SpanId::from(context.traceparent.span_id()),
        caused.span_context.span_id()
    );
    for path in [crm, erp] {
        let _ = std::fs::remove_file(path);
    }
}

fn system_of<B: Broker>(_: &B) -> &'static str {
    B::SYSTEM
}
