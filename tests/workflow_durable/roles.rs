//! The grants that the guide names for workflows in PostgreSQL are enough for each role,
//! and no more than it says.

use std::mem::ManuallyDrop;
use std::time::Duration;

use integration_automation_patterns::Event;
use integration_automation_patterns::outbox::{StoreError, StoreErrorKind};
use integration_automation_patterns::workflow::postgres::Desk;
use integration_automation_patterns::workflow::{Choice, DeskError, Seen, StepError};

use crate::desk::{AtADesk, HOUR, at_its_approval, decision, update};
use crate::orders::order_to_cash::{Any, This, at};
use crate::orders::*;
use crate::postgres::Postgres;
use crate::suite::*;

const GUIDE: &str = include_str!("../../src/guide/operating.md");
const ROLES: [&str; 3] = ["manager", "onlooker", "keeper"];

/// A database with the roles of the guide.
struct Roles(Postgres);

impl Roles {
    async fn granted() -> Self {
        let database = Postgres::fresh().await;
        let schema = &database.schema;
        let block = |block: &&str| block.starts_with("-- Who begins, receives");
        let grants = GUIDE.split("```sql\n").find(block).unwrap();
        let grants = grants.split("```").next().unwrap();
        let mut grants = grants
            .replace(" crm.", &format!(" {schema}."))
            .replace("SCHEMA crm", &format!("SCHEMA {schema}"));
        for role in ROLES {
            let own = format!("{schema}_{role}");
            database.sql(&format!("CREATE ROLE {own} LOGIN")).await;
            grants = grants.replace(&format!("TO {role};"), &format!("TO {own};"));
        }
        database.sql(&grants).await;
        // The effects are the program's own.
        let effects = format!("GRANT ALL ON {schema}.effect TO {schema}_manager");
        database.sql(&effects).await;
        Self(database)
    }

    /// The database as a role finds it. (Its tables are dropped once, with the roles.)
    fn of(&self, role: &str) -> ManuallyDrop<Postgres> {
        let (mut config, schema) = (self.0.config.clone(), self.0.schema.clone());
        config.user(format!("{schema}_{role}"));
        ManuallyDrop::new(Postgres { config, schema })
    }

    async fn desk(&self, role: &str) -> Desk {
        Desk::connect(self.of(role).config.clone()).await.unwrap().of::<This>()
    }

    async fn dropped(self) {
        for role in ROLES {
            let own = format!("{}_{role}", self.0.schema);
            self.0.sql(&format!("DROP OWNED BY {own}; DROP ROLE {own}")).await;
        }
    }
}

fn denied<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let refused = answer.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Denied, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn each_role_can_do_its_work_and_no_other() {
    let roles = Roles::granted().await;
    let (database, manager) = (&roles.0, roles.of("manager"));
    // A command that its deadline takes back.
    let _ = manager.begin("1", 900, true).await;
    database.pass_time(HOUR).await;
    assert_eq!(manager.clerk(config()).await.moved, 1);
    // A reply that comes too late, and one that ends it.
    answered(&*manager, ReleaseCredit::TYPE, Answer::Does, CreditReleased::TYPE).await;
    assert_eq!(stands(database, "1").await, "undone");
    // An amendment, an order of the desk, a vote, and what it clears.
    at_its_approval(&*manager, "2").await;
    let at = manager.load("2").await.unwrap().unwrap();
    let Any::Awaiting(at::Awaiting::over_limit(order)) = at else { panic!() };
    let carl = login::seat::<Controller>("carl").unwrap().decide("less").unwrap();
    let amended = order.amend(|order| order.total = 11_000, carl);
    manager.store(amended.into()).await.unwrap();
    let id = event_id("2");
    let seen = manager.look(&id).await.unwrap().instance;
    let until = seen.due_at.unwrap() + 2 * HOUR;
    manager.postpone(&id, seen.revision, until).await.unwrap();
    let cora = login::seat::<Controller>("cora").unwrap().decide("fine").unwrap();
    let approve = Choice::Approve(Seen::of(b"11000"));
    manager.decide("2", approve, cora.into(), config()).await.unwrap();
    answered(&*manager, CreateOrder::TYPE, Answer::Does, OrderCreated::TYPE).await;
    update(database, "2", "turn_failures = 1, turn_failure = 'no answer'").await;
    assert!(manager.take_up(&id).await);
    answered(&*manager, IssueInvoice::TYPE, Answer::Does, InvoiceIssued::TYPE).await;
    assert_eq!(stands(database, "2").await, "completed");
    denied(roles.desk("manager").await.purge(Duration::ZERO, 1, &decision()).await);

    let onlooker = roles.of("onlooker");
    let _ = manager.begin("3", 900, true).await;
    assert_eq!(onlooker.counts().await.len(), 3);
    assert_eq!(onlooker.stuck(Duration::ZERO).await.len(), 1);
    assert!(onlooker.look(&event_id("3")).await.is_some());
    assert_eq!(onlooker.unreadable().await.len(), 0);
    assert_eq!(onlooker.verify().await, []);
    let desk = roles.desk("onlooker").await;
    let postponed = desk.postpone(&event_id("3"), 1, until, &decision()).await;
    let Err(DeskError::Step(StepError::Store(refused))) = postponed else {
        panic!("{postponed:?}")
    };
    denied::<()>(Err(refused));
    denied(desk.purge(Duration::ZERO, 1, &decision()).await);

    assert_eq!(roles.of("keeper").purge(Duration::ZERO, 10).await, 2);
    assert_eq!(database.verify().await, []);
    drop(desk);
    roles.dropped().await;
}
