//! The figures of SQLite: each side has a file of its own, in WAL mode, with every commit
//! on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{Handled, InboxConfig, sqlite as inbox};
use integration_automation_patterns::outbox::sqlite as outbox;
use integration_automation_patterns::workflow::{WorkflowConfig, sqlite as workflows};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::bare::{self, Bare, Move};
use super::table::{Id, Order, fresh_id, orders, replies};
use super::{Amount, BESIDE, Outcome, Rounds, inbox_config, print_rate, ratio, timed};

const NAME: &str = "SQLite";

pub(super) async fn measure(amount: Amount) -> Outcome {
    let measured = async {
        rate(amount).await?;
        depths(amount).await
    };
    let measured = measured.await;
    let _ = fs::remove_dir_all(folder());
    measured
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("workflow")
}

/// A new file with the tables, of a name that no other side has.
fn fresh(name: &str) -> Outcome<(PathBuf, Connection)> {
    let folder = folder();
    fs::create_dir_all(&folder)?;
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.join(format!("{name}.db{suffix}")));
    }
    let file = folder.join(format!("{name}.db"));
    let mut connection = Connection::open(&file)?;
    outbox::install(&mut connection)?;
    inbox::install(&mut connection)?;
    workflows::install(&mut connection)?;
    Ok((file, connection))
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Begins an instance.
fn start(connection: &mut Connection, id: Id, config: &WorkflowConfig) -> Outcome {
    let business = begin(connection)?;
    workflows::begin(&business, orders::start(id, Order), config)?;
    Ok(business.commit()?)
}

async fn rate(amount: Amount) -> Outcome {
    let ((_, mut ours), (_, mut by_hand)) = (fresh("ours")?, fresh("bare")?);
    let (memory, config) = (inbox_config()?, WorkflowConfig::default());
    let ours = async || {
        let id = fresh_id()?;
        let replies = replies(&id)?;
        timed(async {
            start(&mut ours, id, &config)?;
            for reply in replies {
                let delivery = Delivery::new(reply, ());
                let handled = receive(&mut ours, delivery, &memory, &config)?;
                assert!(matches!(handled, Handled::Processed(_)));
            }
            Ok(())
        })
        .await
    };
    let by_hand = async || {
        let bare = Bare::new();
        timed(async {
            for step in &bare.moves {
                let transaction = begin(&mut by_hand)?;
                write(&transaction, &bare, step)?;
                transaction.commit()?;
            }
            Ok(())
        })
        .await
    };
    print_rate(NAME, ratio(amount.pairs, ours, by_hand).await?);
    Ok(())
}

fn receive(
    connection: &mut Connection,
    delivery: Delivery<()>,
    memory: &InboxConfig,
    config: &WorkflowConfig,
) -> Outcome<Handled<()>> {
    let handler = |transaction: &Transaction<'_>, reply: &_| {
        workflows::receive::<orders::This, _>(transaction, reply, config).map(drop)
    };
    Ok(inbox::process(connection, delivery, memory, handler)?)
}

/// A statement with its values as SQLite numbers them.
fn sql(statement: &str) -> String {
    statement.replace('$', "?")
}

fn write(transaction: &Transaction<'_>, bare: &Bare, step: &Move) -> Outcome {
    let now = bare.now.timestamp_micros();
    let due = step.due_at.map(|at| at.timestamp_micros());
    let awaits = step.command.as_ref().map(|command| &command.id);
    if let Some(reply) = &step.reply {
        transaction.prepare_cached(&sql(bare::REMEMBER))?.execute(params![reply, now])?;
        let mut find = transaction.prepare_cached(&sql(bare::FIND))?;
        let data = find.query_row([&bare.id], |row| row.get::<_, Vec<u8>>(3))?;
        let updated =
            transaction.prepare_cached(&sql(bare::UPDATE))?.execute(params![
                bare.id,
                step.revision,
                step.status,
                step.step,
                awaits,
                due,
                data,
                now
            ])?;
        assert_eq!(updated, 1);
    } else {
        let values = params![bare.id, step.step, awaits, due, bare.content(), now];
        transaction.prepare_cached(&sql(bare::INSERT))?.execute(values)?;
    }
    transaction.prepare_cached(&sql(bare::JOURNAL))?.execute(params![
        bare.id,
        step.revision,
        now,
        step.what,
        step.from,
        step.status,
        step.step,
        step.reply.as_ref().map(|_| "erp"),
        step.reply,
        step.commands
    ])?;
    if let Some(command) = &step.command {
        transaction.prepare_cached(&sql(&bare::send("$7")))?.execute(params![
            command.id,
            command.event_type,
            command.correlation,
            bare.content(),
            bare.ordering_key,
            now,
            bare.tags
        ])?;
    }
    Ok(())
}

/// How a turn of the clerk depends on what stands beside the instance that is due.
async fn depths(amount: Amount) -> Outcome {
    for (state, workflow, due_in) in BESIDE {
        let mut sides = Vec::new();
        for depth in amount.depths {
            let (file, mut connection) = fresh(&format!("depth_{depth}"))?;
            let config = WorkflowConfig::default();
            start(&mut connection, fresh_id()?, &config)?;
            fill(&connection, depth, workflow, due_in)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            let clerk = workflows::Clerk::open(&file, config)?.of::<orders::This>();
            sides.push((connection, clerk));
        }
        let mut rounds = Rounds::default();
        for _ in 0..amount.pairs / 3 {
            let (mut looks, mut turns) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
            for (place, (connection, clerk)) in sides.iter_mut().enumerate() {
                let begun = Instant::now();
                assert_eq!(clerk.run_until_idle().await?.moved, 0);
                looks[place] = begun.elapsed();
                let id = fresh_id()?;
                start(connection, id.clone(), &WorkflowConfig::default())?;
                let due = "UPDATE workflow_instance SET due_at = moved_at, \
                           turn_at = moved_at WHERE id = ?1";
                connection.execute(due, [id.to_string()])?;
                let begun = Instant::now();
                assert_eq!(clerk.run_until_idle().await?.moved, 1);
                turns[place] = begun.elapsed();
            }
            rounds.looks.push(looks);
            rounds.turns.push(turns);
        }
        rounds.print(NAME, state, amount);
    }
    Ok(())
}

/// Instances like the one that is there, each due a little later than the one before.
fn fill(connection: &Connection, depth: u32, workflow: &str, due_in: i32) -> Outcome {
    connection.execute_batch(&format!(
        "WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < {depth}) \
         INSERT INTO workflow_instance (id, workflow, version, fingerprint, revision, status, step, awaits, due_at, turn_at, \
           round, data, begun_at, moved_at) \
         SELECT printf('%08d-0000-5000-8000-000000000000', n), '{workflow}', version, fingerprint, revision, status, step, \
           awaits, moved_at + {due_in} * 1000000 + n * 1000, moved_at + {due_in} * 1000000 + n * 1000, round, data, begun_at, \
           moved_at \
         FROM number, workflow_instance LIMIT {depth}"
    ))?;
    Ok(())
}
