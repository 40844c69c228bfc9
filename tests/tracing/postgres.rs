//! The same spans on PostgreSQL, whose effects wait.

use std::time::Duration;

use integration_automation_patterns::broker::{Consumer, in_process};
use integration_automation_patterns::inbox::{self, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::{self, Enqueued};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::{Envelope, RawEvent};
use tokio_postgres::{Client, Config, NoTls};

use crate::subscriber::{Heard, Listener};

fn server() -> Config {
    crate::servers::postgres().parse().unwrap()
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn one_event_is_followed_through_effects_that_wait() {
    let schema = format!("trace_{}", uuid::Uuid::now_v7().simple());
    let admin = connect(&server()).await;
    admin.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let mut config = server();
    config.options(format!("-c search_path={schema}"));
    let outbox = outbox::postgres::Outbox::connect(config.clone()).await.unwrap();
    let (mut crm, mut erp) = (connect(&config).await, connect(&config).await);
    inbox::postgres::install(&mut erp).await.unwrap();

    let heard = Heard::default();
    let _guard = tracing::subscriber::set_default(Listener(heard.clone()));
    let policy = RetryPolicy::new(3, Backoff::Fixed(Duration::ZERO)).unwrap();
    let event = |id: &str| {
        let builder =
            Envelope::builder("crm", RawEvent::new("crm.lead.created", b"s3cr3t"));
        builder.id(id.parse().unwrap()).retry_policy(policy).build().unwrap()
    };
    let business = crm.transaction().await.unwrap();
    let new = outbox::postgres::enqueue_all(&business, vec![event("1"), event("2")])
        .await
        .unwrap();
    assert_eq!(new, [Enqueued::New; 2]);
    business.commit().await.unwrap();

    let (broker, mut listener) = in_process(16);
    let relay = Relay::new("relay-1", outbox, broker, RelayConfig::default()).unwrap();
    let inbox_config = InboxConfig::new(Duration::from_secs(7 * 24 * 3600), policy)
        .unwrap()
        .retry_policy(policy);
    let (told, stop) = tokio::sync::oneshot::channel();
    let consume = async {
        for number in 0..3 {
            let delivery = listener.next().await.unwrap().expect("a delivery");
            let handled = inbox::postgres::process(
                &mut erp,
                delivery,
                &inbox_config,
                async |transaction, _| {
                    transaction.execute("SELECT 1", &[]).await?;
                    tracing::info!("in the effect, after it has waited");
                    if number == 0 {
                        return Err(HandlerError::transient("deadlock"));
                    }
                    let caused = event(&format!("caused-{number}"));
                    outbox::postgres::enqueue(transaction, caused)
                        .await
                        .map(drop)
                        .map_err(|_| HandlerError::transient("no"))
                },
            );
            handled.await.unwrap().settle().await.unwrap();
        }
        drop(listener); // nobody takes what was caused
        told.send(()).unwrap();
    };
    let stopped = async { drop(stop.await) };
    let (summary, ()) = tokio::join!(relay.run(stopped), consume);
    assert_eq!(summary.acknowledged, 2);

    for create in heard.spans("create") {
        let id = create.get("messaging.message.id").to_owned();
        assert_eq!(create.get("integration_event.outcome"), "new");
        for name in ["send", "receive"] {
            let mut hops = heard.spans(name);
            hops.retain(|hop| hop.get("messaging.message.id") == id);
            assert!(!hops.is_empty() || id.starts_with("caused"), "{name} of {id}");
            for hop in hops {
                assert_eq!(hop.get("trace_id"), create.get("trace_id"));
                assert_eq!(hop.get("parent_id"), create.get("span_id"));
            }
        }
    }
    let processed = heard.spans("process");
    assert_eq!(processed.len(), 3);
    assert_eq!(
        processed.iter().filter(|span| span.get("error.type") == "transient").count(),
        1
    );
    let mut caused = heard.spans("create");
    caused.retain(|span| span.get("messaging.message.id").starts_with("caused"));
    assert_eq!(caused.len(), 2);
    for caused in caused {
        assert_eq!(caused.within, Some("process"));
        let cause = processed
            .iter()
            .find(|span| span.get("span_id") == caused.get("parent_id"))
            .expect("its cause");
        assert_eq!(cause.get("trace_id"), caused.get("trace_id"));
        assert_eq!(cause.get("integration_event.outcome"), "processed");
    }
    assert!(!format!("{heard:?}").contains("s3cr3t"));
    admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}
