//! The grants that the guide names are enough for each role, and no more than it says.

use crate::chain::Chain as _;
use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{self, Handled, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::postgres::{Outbox, enqueue, enqueue_all};
use integration_automation_patterns::outbox::{
    Admin, Filter, Redrive, Store, StoreError, StoreErrorKind,
};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::RetryPolicy;
use integration_automation_patterns::{AuditTrail, DeliveryStatus};
use tokio_postgres::{Client, Config};

use crate::{Counting, DAY, Database, connect, decision, event, impatient, keyed, order};

const GUIDE: &str = include_str!("../../src/guide/operating.md");
const ROLES: [&str; 5] = ["producer", "relay", "consumer", "observer", "operator"];

/// The roles of the guide, as roles of this test.
struct Roles(Database);

impl Roles {
    async fn granted(database: Database) -> Self {
        inbox::postgres::install(&mut database.session().await).await.unwrap();
        let grants = GUIDE
            .split("```sql\n")
            .find(|block| block.starts_with("-- Who enqueues."))
            .unwrap();
        let mut grants = grants
            .split("```")
            .next()
            .unwrap()
            .replace(" crm.", &format!(" {}.", database.schema));
        grants = grants.replace("SCHEMA crm", &format!("SCHEMA {}", database.schema));
        for role in ROLES {
            let own = format!("{}_{role}", database.schema);
            database.sql(&format!("CREATE ROLE {own} LOGIN")).await;
            grants = grants.replace(&format!("TO {role};"), &format!("TO {own};"));
        }
        database.sql(&grants).await;
        Self(database)
    }

    fn config(&self, role: &str) -> Config {
        let mut config = self.0.config.clone();
        config.user(format!("{}_{role}", self.0.schema));
        config
    }

    async fn session(&self, role: &str) -> Client {
        connect(&self.config(role)).await
    }

    async fn outbox(&self, role: &str) -> Outbox {
        Outbox::connect(self.config(role)).await.unwrap()
    }

    async fn dropped(self) {
        for role in ROLES {
            let own = format!("{}_{role}", self.0.schema);
            self.0.sql(&format!("DROP OWNED BY {own}; DROP ROLE {own}")).await;
        }
    }
}

/// The permission is named, and where to read what is needed.
fn denied<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let refused = answer.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Denied);
    let refused = refused.chain();
    assert!(
        refused.contains("permission denied for table")
            && refused.contains("stands in the guide"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn each_role_can_do_its_work_and_no_other() {
    let roles = Roles::granted(Database::fresh().await).await;
    let mut producer = roles.session("producer").await;
    let business = producer.transaction().await.unwrap();
    enqueue(&business, keyed("1", "k")).await.unwrap();
    enqueue_all(
        &business,
        vec![event("2"), keyed("3", "k"), impatient("4", 1), event("2")],
    )
    .await
    .unwrap();
    business.commit().await.unwrap();
    denied(Outbox::connect(roles.config("producer")).await);

    // A claim, a failure, an end of a lease, and what is put aside and let go.
    let outbox = roles.outbox("relay").await;
    let mut claims = outbox.claim(&order("relay-1", 10)).await.unwrap().claims;
    let last = claims.pop().unwrap();
    let failed = claims.pop().unwrap().release("stopped");
    assert_eq!(outbox.renew(&[last.lease()], DAY).await.unwrap(), []);
    assert_eq!(outbox.settle(&[last.reject("no"), failed]).await.unwrap(), []);
    roles.0.end_leases().await;
    roles.0.sql("UPDATE outbox_event SET retry_policy = '5 fixed 0s' WHERE status = 'dispatched'").await;
    let relay = Relay::new(
        "relay-1",
        outbox.clone(),
        Counting::default(),
        RelayConfig::default(),
    )
    .unwrap();
    assert_eq!(relay.run_until_idle(std::future::pending::<()>()).await.acknowledged, 3);
    denied(outbox.purge(std::time::Duration::ZERO, 10).await);
    denied(outbox.verify().await);

    let mut consumer = roles.session("consumer").await;
    inbox::postgres::install(&mut consumer).await.unwrap();
    let inbox_config = InboxConfig::new(7 * DAY, RetryPolicy::DEFAULT).unwrap();
    let effect = inbox::postgres::process(
        &mut consumer,
        Delivery::new(event("1"), ()),
        &inbox_config,
        async |_, _| Ok(()),
    );
    assert!(matches!(effect.await.unwrap(), Handled::Processed(_)));
    let effect = inbox::postgres::process(
        &mut consumer,
        Delivery::new(event("2"), ()),
        &inbox_config,
        async |_, _| Err(HandlerError::permanent("no")),
    );
    assert!(matches!(effect.await.unwrap(), Handled::DeadLettered(_)));
    inbox::postgres::purge(&consumer, &inbox_config, 10).await.unwrap();

    let (everything, observer) = (Filter::default(), roles.outbox("observer").await);
    assert_eq!(observer.counts().await.unwrap().total(), 4);
    assert_eq!(observer.waiting(&everything, 10).await.unwrap().len(), 0);
    assert_eq!(observer.dead_letters(&everything, 10).await.unwrap().len(), 1);
    assert_eq!(observer.unreadable(&everything).await.unwrap(), []);
    assert!(observer.get(&"4".parse().unwrap()).await.unwrap().is_some());
    assert_eq!(observer.verify().await.unwrap(), []);
    let looking = roles.session("observer").await;
    assert_eq!(
        inbox::postgres::dead_letters(&looking, &everything, 10).await.unwrap().len(),
        1
    );
    denied(observer.claim(&order("relay-2", 1)).await);
    denied(observer.redrive(&everything, &Redrive::new(decision(), DAY)).await);
    denied(observer.discard(&everything, &decision()).await);
    denied(observer.purge(std::time::Duration::ZERO, 10).await);

    let operator = roles.outbox("operator").await;
    assert_eq!(
        operator
            .redrive(&everything, &Redrive::new(decision(), DAY))
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(operator.counts().await.unwrap().of(DeliveryStatus::Failed), 0);
    assert_eq!(operator.purge(std::time::Duration::ZERO, 10).await.unwrap(), 3);
    assert_eq!(operator.verify().await.unwrap(), []);
    let mut deciding = roles.session("operator").await;
    let discarded = inbox::postgres::discard(
        &mut deciding,
        &event("2"),
        decision(),
        &AuditTrail::silent(),
    )
    .await
    .unwrap();
    assert!(discarded);
    drop((relay, outbox, observer, operator));
    roles.dropped().await;
}
