//! The steps of a workflow as spans: a command goes on from the reply that caused it, and
//! a deadline from the step before.

#[path = "../../examples/support/orders.rs"]
#[allow(dead_code, missing_debug_implementations, unreachable_pub)]
mod orders;

use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::trace::{SpanContext, names};
use integration_automation_patterns::workflow::{AnyAdvance, InstanceId};
use integration_automation_patterns::{
    AnyEnvelope, Envelope, Event, RawEvent, RetryPolicy,
};

use self::orders::order_to_cash::{self, This};
use self::orders::{CreditReserved, HoldStock, Order, Sales, login};
use crate::subscriber::{Heard, Kept};

const HOUR: Duration = Duration::from_secs(60 * 60);
const REPLY: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn first() -> AnyAdvance<This> {
    let anna = login::seat::<Sales>("anna").unwrap();
    order_to_cash::start(InstanceId::of("1").unwrap(), Order::of(31_415), &anna).into()
}

/// The reply to the first command, in a trace of its own.
fn reply(events: &[AnyEnvelope]) -> Delivery<()> {
    let payload = RawEvent::new(CreditReserved::TYPE, b"{}");
    let reply = Envelope::builder("crm", payload).tag("traceparent", REPLY);
    let correlation = events[0].correlation_id().unwrap();
    Delivery::new(reply.correlation_id(correlation).build().unwrap(), ())
}

fn inbox_config() -> InboxConfig {
    InboxConfig::new(7 * 24 * HOUR, RetryPolicy::DEFAULT).unwrap()
}

/// Where a command continues: the trace of the reply.
fn assert_goes_on(command: &AnyEnvelope) {
    let context = SpanContext::of(command).expect("it has a context");
    let reply = REPLY.parse::<integration_automation_patterns::trace::TraceParent>();
    let reply = reply.unwrap();
    assert_eq!(context.traceparent.trace_id(), reply.trace_id(), "{command:?}");
}

fn assert_step(span: &Kept, step: &str, outcome: &str) {
    assert_eq!(span.declared, names::OF_STEPS, "it has no other field");
    assert_eq!(span.get(names::WORKFLOW_NAME), "order_to_cash");
    let id = InstanceId::<This>::of("1").unwrap().to_string();
    assert_eq!(span.get(names::WORKFLOW_INSTANCE), id);
    let came_to = (span.get(names::WORKFLOW_STEP), span.get(names::WORKFLOW_OUTCOME));
    assert_eq!(came_to, (step, outcome));
    assert_eq!((span.get(names::ERROR_TYPE), span.handles), ("", 0), "it has ended");
    assert!(!format!("{span:?}").contains("31415"), "no data: {span:?}");
}

/// The steps that were heard, of which the second was caused by the reply.
fn assert_steps(heard: &Heard, expected: &[(&str, &str)]) {
    let steps = heard.spans("workflow step");
    assert_eq!(steps.len(), expected.len(), "{steps:?}");
    for (span, (step, outcome)) in steps.iter().zip(expected) {
        assert_step(span, step, outcome);
    }
    let process = &heard.spans("process")[0];
    assert_eq!(steps[1].within, Some("process"));
    assert_eq!(steps[1].get(names::PARENT_ID), process.get(names::SPAN_ID));
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(steps[1].get(names::TRACE_ID), trace_id);
    if let Some(deadline) = steps.get(2) {
        assert_eq!(deadline.within, None, "its trace is not that of the clerk's loop");
        assert_eq!(deadline.get(names::TRACE_ID), trace_id);
        assert_eq!(deadline.get(names::PARENT_ID), steps[1].get(names::SPAN_ID));
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use integration_automation_patterns::workflow::{WorkflowConfig, sqlite};
    use integration_automation_patterns::{inbox, outbox, testing};
    use rusqlite::{Connection, Transaction};

    use super::*;
    use crate::subscriber::Listener;

    /// Protects from a trace that ends at the first reply, or at the first silence. (The
    /// clerk of a file works on a thread that a test's subscriber does not hear: what it
    /// sends goes on all the same.)
    #[tokio::test]
    async fn commands_go_on_from_replies_and_deadlines_from_steps() {
        let heard = Heard::default();
        let _guard = tracing::subscriber::set_default(Listener(heard.clone()));
        let name = format!("steps-{}.db", std::process::id());
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut connection = Connection::open(&path).unwrap();
        outbox::sqlite::install(&mut connection).unwrap();
        inbox::sqlite::install(&mut connection).unwrap();
        sqlite::install(&mut connection).unwrap();
        let config = WorkflowConfig::default();
        let business = connection.transaction().unwrap();
        let _ = sqlite::begin(&business, first(), &config).unwrap();
        business.commit().unwrap();
        let reply = reply(&testing::sqlite::enqueued(&connection).unwrap());
        let receive = |transaction: &Transaction<'_>, event: &_| {
            sqlite::receive::<This, _>(transaction, event, &config).map(drop)
        };
        let handled =
            inbox::sqlite::process(&mut connection, reply, &inbox_config(), receive);
        let _committed = handled.unwrap();
        assert_steps(&heard, &[("reserve_credit", "started"), ("hold_stock", "done")]);
        let events = testing::sqlite::enqueued(&connection).unwrap();
        assert_eq!(events[1].event_type(), HoldStock::TYPE);
        assert_goes_on(&events[1]);

        testing::sqlite::pass_time(&connection, HOUR).unwrap();
        let clerk = sqlite::Clerk::open(&path, config).unwrap().of::<This>();
        assert_eq!(clerk.run_until_idle().await.unwrap().moved, 1);
        assert_goes_on(testing::sqlite::enqueued(&connection).unwrap().last().unwrap());
        drop((clerk, connection));
        std::fs::remove_file(path).unwrap();
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use integration_automation_patterns::workflow::{WorkflowConfig, postgres};
    use integration_automation_patterns::{inbox, outbox, testing};
    use tokio_postgres::{Client, Config, NoTls};

    use super::*;
    use crate::subscriber::Listener;

    async fn connect(config: &Config) -> Client {
        let (client, connection) = config.connect(NoTls).await.expect("it answers");
        tokio::spawn(connection);
        client
    }

    /// Protects from a deadline that nobody finds in the trace of what it ends.
    #[tokio::test]
    #[ignore = "needs PostgreSQL"]
    async fn commands_go_on_from_replies_and_deadlines_from_steps() {
        let heard = Heard::default();
        let _guard = tracing::subscriber::set_default(Listener(heard.clone()));
        let schema = format!("steps_{}", uuid::Uuid::now_v7().simple());
        let mut config: Config = crate::servers::postgres().parse().unwrap();
        let admin = connect(&config).await;
        admin.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        config.options(format!("-c search_path={schema}"));
        let mut client = connect(&config).await;
        outbox::postgres::install(&mut client).await.unwrap();
        inbox::postgres::install(&mut client).await.unwrap();
        postgres::install(&mut client).await.unwrap();
        let rules = WorkflowConfig::default();
        let business = client.transaction().await.unwrap();
        let _ = postgres::begin(&business, first(), &rules).await.unwrap();
        business.commit().await.unwrap();
        let reply = reply(&testing::postgres::enqueued(&client).await.unwrap());
        let of_inbox = inbox_config();
        let handled = inbox::postgres::process(
            &mut client,
            reply,
            &of_inbox,
            async |transaction, event| {
                let received =
                    postgres::receive::<This, _, _>(transaction, event, &rules);
                received.await.map(drop)
            },
        );
        let _committed = handled.await.unwrap();
        testing::postgres::pass_time(&client, HOUR).await.unwrap();
        let clerk = postgres::Clerk::connect(config, rules).await.unwrap().of::<This>();
        assert_eq!(clerk.run_until_idle().await.unwrap().moved, 1);
        let expected = [
            ("reserve_credit", "started"),
            ("hold_stock", "done"),
            ("hold_stock", "timed_out"),
        ];
        assert_steps(&heard, &expected);
        let events = testing::postgres::enqueued(&client).await.unwrap();
        assert_eq!(events[1].event_type(), HoldStock::TYPE);
        events.iter().skip(1).for_each(assert_goes_on);
        admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    }
}
