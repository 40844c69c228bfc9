//! One outbox is one outbox: that of the first schema of the search path, whoever calls,
//! and from wherever.

use crate::chain::Chain as _;
use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{self, Handled, InboxConfig};
use integration_automation_patterns::outbox::postgres::{
    Outbox, enqueue, enqueue_all, install,
};
use integration_automation_patterns::outbox::{Admin, Enqueued, Filter, Store};
use integration_automation_patterns::retry::RetryPolicy;
use integration_automation_patterns::{DeliveryStatus, Event};
use tokio_postgres::{Client, Config};

use crate::{DAY, Database, FAR, connect, decision, event, ids, keyed, order, server};

impl Database {
    /// A configuration of this path, in which `{}` is the schema of the test.
    fn on_path(&self, path: &str) -> Config {
        let mut config = server();
        config.options(format!("-c search_path={}", path.replace("{}", &self.schema)));
        config.application_name(self.schema.as_str());
        config
    }

    /// A second schema, `NAME_other`, which goes with the first.
    async fn other_schema(&self) -> String {
        let other = format!("{}_other", self.schema);
        self.sql(&format!("CREATE SCHEMA {other}")).await;
        other
    }
}

async fn events_in(client: &Client, schema: &str) -> i64 {
    client
        .query_one(&format!("SELECT count(*) FROM {schema}.outbox_event"), &[])
        .await
        .unwrap()
        .get(0)
}

/// A tenant whose schema comes before that of another outbox has tables, events and
/// memories of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_tenants_outbox_is_not_that_of_the_next_schema() {
    let shared = Database::fresh().await;
    let mut client = shared.session().await;
    inbox::postgres::install(&mut client).await.unwrap();
    let tenant = shared.other_schema().await;
    let config = shared.on_path(&format!("{tenant},{{}}"));

    let mut session = connect(&config).await;
    let business = session.transaction().await.unwrap();
    let refused = enqueue(&business, event("too early")).await.unwrap_err().chain();
    assert!(refused.contains("has no outbox: make one by `install`"), "{refused}");
    drop(business);
    let business = session.transaction().await.unwrap();
    let refused =
        enqueue_all(&business, vec![event("too early")]).await.unwrap_err().chain();
    assert!(refused.contains("has no outbox: make one by `install`"), "{refused}");
    drop(business);

    let outbox = Outbox::connect(config.clone()).await.unwrap();
    let business = session.transaction().await.unwrap();
    enqueue(&business, event("a")).await.unwrap();
    enqueue_all(&business, vec![event("b"), event("a")]).await.unwrap();
    business.commit().await.unwrap();
    assert_eq!(
        (events_in(&session, &tenant).await, events_in(&session, &shared.schema).await),
        (2, 0)
    );
    assert!(shared.claim(10).await.claims.is_empty(), "it is no event of the other");
    assert_eq!(
        ids(&outbox.claim(&order("relay-1", 10)).await.unwrap().claims),
        ["a", "b"]
    );

    // The same id, in each inbox once.
    let inbox_config = InboxConfig::new(7 * DAY, RetryPolicy::DEFAULT).unwrap();
    let receive = async |client: &mut Client| {
        inbox::postgres::process(
            client,
            Delivery::new(event("a"), ()),
            &inbox_config,
            async |_, _| Ok(()),
        )
        .await
    };
    assert!(matches!(receive(&mut client).await.unwrap(), Handled::Processed(_)));
    let refused = receive(&mut session).await.unwrap_err().chain();
    assert!(
        refused.starts_with("receiving an event: `install` makes the tables")
            && refused.ends_with("has no inbox_event"),
        "{refused}"
    );
    inbox::postgres::install(&mut session).await.unwrap();
    assert!(matches!(receive(&mut session).await.unwrap(), Handled::Processed(_)));

    // Where the tenant goes, its relay stays with nothing, and takes nothing of the
    // other's.
    shared.enqueue(vec![event("of the other")]).await;
    shared.sql(&format!("DROP SCHEMA {tenant} CASCADE")).await;
    let refused = outbox.claim(&order("relay-1", 10)).await.unwrap_err().chain();
    assert!(
        refused.contains("outbox_event")
            && refused.contains("`install` makes the tables"),
        "{refused}"
    );
    assert_eq!(ids(&shared.claim(10).await.claims), ["of the other"]);
}

/// A search path whose first schema is not there, or not for this role, leads to no
/// other.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_schema_that_is_missing_is_not_replaced_by_the_next() {
    let database = Database::fresh().await;
    for path in ["nowhere,{}", "\"Nowhere, too\",{}", "nowhere"] {
        let config = database.on_path(&path.replace(' ', "\\ "));
        let refused = Outbox::connect(config.clone()).await.unwrap_err().chain();
        assert!(refused.contains("the first is not there"), "{refused}");
        let refused = install(&mut connect(&config).await).await.unwrap_err().chain();
        assert!(refused.contains("the first is not there"), "{refused}");
    }
    Outbox::connect(database.on_path("\"$user\",{}")).await.unwrap();
    Outbox::connect(database.on_path("{},nowhere")).await.unwrap();
}

/// The functions write where they were installed: from a session of another path, from
/// one with an outbox of its own, beside a temporary table of the name, and from a
/// trigger whose path is a safe one.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_functions_write_where_they_were_installed() {
    let database = Database::fresh().await;
    let (app, other) = (database.schema.clone(), database.other_schema().await);
    let mut elsewhere = connect(&database.on_path(&other)).await;
    let call = |id: &str| {
        format!(
            "SELECT {app}.outbox_enqueue(id => '{id}', event_type => 't', source_system => 's', payload => '{{}}')"
        )
    };
    elsewhere.batch_execute(&call("1")).await.unwrap();
    install(&mut elsewhere).await.unwrap();
    elsewhere.batch_execute(&call("2")).await.unwrap();
    elsewhere
        .batch_execute("CREATE TEMPORARY TABLE outbox_event (id text)")
        .await
        .unwrap();
    elsewhere.batch_execute(&call("3")).await.unwrap();
    elsewhere
        .batch_execute(&format!(
            "CREATE TABLE {app}.lead (id text); \
             CREATE FUNCTION {app}.tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog \
             AS $$ BEGIN PERFORM {app}.outbox_enqueue('lead-' || NEW.id, 'lead', 'crm', '', ordering_key => 'k'); \
             RETURN NEW; END $$; \
             CREATE TRIGGER tell AFTER INSERT ON {app}.lead FOR EACH ROW EXECUTE FUNCTION {app}.tell(); \
             INSERT INTO {app}.lead VALUES ('4')"
        ))
        .await
        .unwrap();
    assert_eq!(
        (events_in(&elsewhere, &app).await, events_in(&elsewhere, &other).await),
        (4, 0)
    );
    assert_eq!(ids(&database.claim(10).await.claims), ["1", "2", "3", "lead-4"]);
    database.sql(&format!("DROP SCHEMA {other} CASCADE")).await;
}

/// A transaction of a business program that has changed its path enqueues nowhere else.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_transaction_of_another_path_is_refused() {
    let database = Database::fresh().await;
    let mut session = database.session().await;
    let business = session.transaction().await.unwrap();
    business.batch_execute("SET LOCAL search_path = pg_catalog").await.unwrap();
    let refused = enqueue(&business, event("a")).await.unwrap_err().chain();
    assert!(
        refused.contains(
            "`install` makes the tables, in the first schema of the search path"
        ),
        "{refused}"
    );
    drop(business);
    let business = session.transaction().await.unwrap();
    assert_eq!(enqueue(&business, event("a")).await.unwrap(), Enqueued::New);
}

/// Outboxes of one database wake none of each other's relays, and no key of one waits for
/// the same key of another.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn two_outboxes_of_a_database_do_not_meet() {
    let database = Database::fresh().await;
    let other = database.other_schema().await;
    let config = database.on_path(&other);
    let outbox = Outbox::connect(config.clone()).await.unwrap();
    // The first ring is that of the listener, which has just come; and a relay looks once
    // more after each.
    for _ in 0..2 {
        outbox.wait(FAR).await;
        assert!(outbox.claim(&order("relay-1", 10)).await.unwrap().claims.is_empty());
    }
    let mut session = database.session().await;
    let held = session.transaction().await.unwrap();
    enqueue(&held, keyed("1", "k")).await.unwrap();
    let mut neighbour = connect(&config).await;
    let business = neighbour.transaction().await.unwrap();
    enqueue(&business, keyed("1", "k")).await.unwrap();
    business.commit().await.unwrap();
    outbox.wait(FAR).await;
    assert_eq!(
        outbox.claim(&order("relay-1", 10)).await.unwrap().claims.len(),
        1,
        "and waits for no neighbour"
    );

    held.commit().await.unwrap();
    assert_eq!(database.outbox.counts().await.unwrap().total(), 1);
    let sql = format!(
        "SELECT count(DISTINCT query) FROM pg_stat_activity \
         WHERE application_name = '{}' AND query LIKE 'LISTEN outbox_event_%'",
        database.schema
    );
    let _ = database.outbox.wait(std::time::Duration::from_millis(1)).await;
    while database.value(&sql).await < 2 {
        tokio::task::yield_now().await;
    }
    drop(outbox);
    database.sql(&format!("DROP SCHEMA {other} CASCADE")).await;
}

/// Every call of an inbox is about that of the first schema, and none is answered from
/// the next.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_tenants_inbox_is_not_that_of_the_next_schema() {
    struct Other;
    impl Event for Other {
        const TYPE: &'static str = "erp.order.placed";
    }

    let shared = Database::fresh().await;
    let mut client = shared.session().await;
    inbox::postgres::install(&mut client).await.unwrap();
    let inbox_config = InboxConfig::new(7 * DAY, RetryPolicy::DEFAULT).unwrap();
    let unknowing = inbox_config.clone().accept::<Other>();
    let dead = inbox::postgres::process(
        &mut client,
        Delivery::new(event("dead"), ()),
        &unknowing,
        async |_, _| Ok(()),
    );
    assert!(matches!(dead.await.unwrap(), Handled::DeadLettered(_)));

    let tenant = shared.other_schema().await;
    let mut session = connect(&shared.on_path(&format!("{tenant},{{}}"))).await;
    let (everything, dead) = (Filter::default(), event("dead"));
    let mut refused = Vec::new();
    for (inbox_config, again) in [
        (&inbox_config, false),
        (&inbox_config, true),
        (&unknowing, false),
        (&unknowing, true),
    ] {
        let delivery = Delivery::new(event("a"), ()).redelivered(again);
        let handled = inbox::postgres::process(
            &mut session,
            delivery,
            inbox_config,
            async |_, _| Ok(()),
        )
        .await;
        refused.push(handled.unwrap_err());
    }
    refused.push(inbox::postgres::counts(&session, DAY).await.unwrap_err());
    refused.push(
        inbox::postgres::dead_letters(&session, &everything, 10).await.unwrap_err(),
    );
    refused.push(
        inbox::postgres::stalled(&session, &everything, DAY, 10).await.unwrap_err(),
    );
    refused.push(
        inbox::postgres::get(&session, "crm", dead.id()).await.map(|_| ()).unwrap_err(),
    );
    refused.push(inbox::postgres::purge(&session, &inbox_config, 10).await.unwrap_err());
    let silent = AuditTrail::silent();
    refused.push(
        inbox::postgres::discard(&mut session, &dead, decision(), &silent)
            .await
            .unwrap_err(),
    );
    let transaction = session.transaction().await.unwrap();
    refused.push(
        inbox::postgres::redrive(transaction, &dead, decision(), &inbox_config)
            .await
            .unwrap_err(),
    );
    for refused in refused {
        let refused = refused.chain();
        assert!(
            refused.contains(": `install` makes the tables")
                && refused.ends_with(&format!("the schema {tenant} has no inbox_event")),
            "{refused}"
        );
    }
    let counts = inbox::postgres::counts(&client, DAY).await.unwrap();
    assert_eq!(
        (counts.of(DeliveryStatus::Failed), counts.by_status.len()),
        (1, 1),
        "the other is as it was"
    );
    shared.sql(&format!("DROP SCHEMA {tenant} CASCADE")).await;
}
