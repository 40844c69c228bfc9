//! Instances of version 1 in a file, which version 2 leads over.

use integration_automation_patterns::workflow::sqlite as workflows;
use integration_automation_patterns::workflow::{
    AnyAdvance, Driven, InstanceId, InstanceRecord, LoadError, RecordError, Status,
    Verdict,
};
use integration_automation_patterns::{Event, inbox, outbox};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::desk::HOUR;
use crate::orders::*;
use crate::sqlite::Sqlite;
use crate::suite::*;
use crate::version_two::order_to_cash::This as Two;
use crate::walk::{every_stage, id as walked};

fn new_id() -> InstanceId<Two> {
    InstanceId::of("order 4711").unwrap()
}

fn fresh(name: &str) -> Connection {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    let mut connection = Connection::open(&path).unwrap();
    outbox::sqlite::install(&mut connection).unwrap();
    inbox::sqlite::install(&mut connection).unwrap();
    workflows::install(&mut connection).unwrap();
    connection
}

fn open(connection: &mut Connection) -> Transaction<'_> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

/// Protects the operator from findings about instances that a new version has led over:
/// before its first step, and behind it.
#[tokio::test(flavor = "multi_thread")]
async fn verify_agrees_with_what_a_new_version_leads_over() {
    let database = Sqlite::fresh().await;
    let _ = database.begin("1", 900, true).await;
    answered(&database, ReserveCredit::TYPE, Answer::Does, CreditReserved::TYPE).await;
    answered(&database, HoldStock::TYPE, Answer::Does, StockHeld::TYPE).await;
    database.pass_time(2 * HOUR).await;
    assert_eq!(database.clerk(config()).await.moved, 1);
    assert_eq!(stands(&database, "1").await, "forestalling create_order");
    let desk = || workflows::Desk::open(database.address()).unwrap().of::<Two>();
    assert_eq!(desk().verify().await.unwrap(), []);
    let clerk = workflows::Clerk::open(database.address(), config()).unwrap();
    let clerk = clerk.of::<Two>().on_incident(|_| {});
    for _ in 0..2 {
        database.pass_time(9 * HOUR).await;
        assert_eq!(clerk.run_until_idle().await.unwrap().moved, 1);
        assert_eq!(desk().verify().await.unwrap(), []);
    }
    assert_eq!(stands(&database, "1").await, "parked create_order");
}

/// Writes the row as version 1 has left it.
fn write(connection: &Connection, row: &InstanceRecord) {
    connection.execute_batch("DELETE FROM workflow_clearance").unwrap();
    let due_at = row.due_at.map(|at| at.timestamp_micros());
    let question = row.question.as_ref();
    let asker = row.requested_by.as_ref().map(|asker| asker.person.name());
    connection
        .execute(
            "INSERT OR REPLACE INTO workflow_instance (id, workflow, version, fingerprint, \
             revision, status, step, awaits, due_at, turn_at, round, level, reminded, \
             for_nobody, shown, requested_by, data, begun_at, moved_at) VALUES (?1, ?2, ?3, \
             ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 0, 0)",
            params![
                row.id.to_string(),
                row.workflow,
                row.version,
                format!("{:016x}", row.fingerprint),
                i64::try_from(row.revision).unwrap(),
                row.status.as_str(),
                row.step,
                row.awaits.as_ref().map(ToString::to_string),
                due_at,
                row.round,
                question.map(|question| question.level),
                question.map(|question| question.reminded),
                question.map(|question| question.for_nobody),
                question.and_then(|question| question.shown.clone()),
                asker,
                row.data,
            ],
        )
        .unwrap();
    for (place, one) in (0i64..).zip(&row.cleared) {
        assert!(one.votes.is_empty(), "the order is a small one");
        connection
            .execute(
                "INSERT INTO workflow_clearance (instance, approval, place, shown) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![row.id.to_string(), one.approval, place, one.shown],
            )
            .unwrap();
    }
}

/// Protects the orders that are under way on the day of a new version.
#[test]
fn an_instance_in_a_file_goes_on_from_every_stage() {
    let mut connection = fresh("follow.db");
    let mut reached = every_stage(900);
    let large = every_stage(90_000).into_iter();
    reached.extend(large.filter(|((_, step), _)| step.as_deref() == Some("over_limit")));
    assert_eq!(reached.len(), 15);
    for ((status, step), store) in reached {
        write(&connection, store.record(walked().as_event_id()).unwrap());
        let transaction = open(&mut connection);
        let at = workflows::load(&transaction, &new_id()).unwrap().unwrap();
        let (at, standing) = Two::standing(at);
        let goes_on =
            if status == Status::Forestalling { Status::Parked } else { status };
        assert_eq!((standing.status, standing.step), (goes_on, step.as_deref()));
        let Verdict::Moved(advance) = Two::due(at) else {
            assert!(status.is_end());
            continue;
        };
        let advance: AnyAdvance<Two> = advance;
        workflows::store(&transaction, advance, &config()).unwrap();
        assert!(workflows::load(&transaction, &new_id()).is_ok());
        let refused = workflows::load(&transaction, &walked()).unwrap_err();
        let newer = RecordError::UnknownVersion { wanted: 1, found: 2 };
        let LoadError::Row(found) = refused else { panic!("{refused}") };
        assert_eq!(found.to_string(), newer.to_string());
    }
}
