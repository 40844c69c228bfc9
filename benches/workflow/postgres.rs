//! The figures of PostgreSQL on 127.0.0.1: each side has a schema of its own, and both
//! the server's settings.

use std::time::{Duration, Instant};

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{Handled, postgres as inbox};
use integration_automation_patterns::outbox::postgres as outbox;
use integration_automation_patterns::workflow::{WorkflowConfig, postgres as workflows};
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::bare::{self, Bare, Move};
use super::table::{Id, Order, fresh_id, orders, replies};
use super::{Amount, BESIDE, Outcome, Rounds, inbox_config, print_rate, ratio, timed};

const NAME: &str = "PostgreSQL";

pub(super) async fn measure(amount: Amount) -> Outcome {
    let measured = async {
        rate(amount).await?;
        depths(amount).await
    };
    let measured = measured.await;
    for side in ["ours", "bare"] {
        drop_schema(side).await?;
    }
    for depth in amount.depths {
        drop_schema(&format!("depth_{depth}")).await?;
    }
    measured
}

fn server() -> Outcome<Config> {
    Ok(crate::servers::postgres().parse()?)
}

async fn connect(config: &Config) -> Outcome<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn drop_schema(name: &str) -> Outcome {
    let drop = format!(
        "SET client_min_messages = warning; DROP SCHEMA IF EXISTS bench_workflow_{name} CASCADE"
    );
    Ok(connect(&server()?).await?.batch_execute(&drop).await?)
}

/// A schema with the tables, made anew.
async fn fresh(name: &str) -> Outcome<(Config, Client)> {
    drop_schema(name).await?;
    let create = format!("CREATE SCHEMA bench_workflow_{name}");
    connect(&server()?).await?.batch_execute(&create).await?;
    let mut config = server()?;
    config.options(format!("-c search_path=bench_workflow_{name}"));
    let mut client = connect(&config).await?;
    outbox::install(&mut client).await?;
    inbox::install(&mut client).await?;
    workflows::install(&mut client).await?;
    Ok((config, client))
}

/// Begins an instance.
async fn start(client: &mut Client, id: Id, config: &WorkflowConfig) -> Outcome {
    let business = client.transaction().await?;
    workflows::begin(&business, orders::start(id, Order), config).await?;
    Ok(business.commit().await?)
}

async fn rate(amount: Amount) -> Outcome {
    let ((_, mut ours), (_, by_hand)) = (fresh("ours").await?, fresh("bare").await?);
    let mut by_hand = ByHand::new(by_hand).await?;
    let (memory, config) = (inbox_config()?, WorkflowConfig::default());
    let ours = async || {
        let id = fresh_id()?;
        let replies = replies(&id)?;
        timed(async {
            start(&mut ours, id, &config).await?;
            for reply in replies {
                let delivery = Delivery::new(reply, ());
                let handled = inbox::process(
                    &mut ours,
                    delivery,
                    &memory,
                    async |orders, reply| {
                        let received = workflows::receive::<orders::This, _, _>(
                            orders, reply, &config,
                        );
                        received.await.map(drop)
                    },
                );
                assert!(matches!(handled.await?, Handled::Processed(_)));
            }
            Ok(())
        })
        .await
    };
    let by_hand = async || {
        let bare = Bare::new();
        timed(async {
            for step in &bare.moves {
                by_hand.write(&bare, step).await?;
            }
            Ok(())
        })
        .await
    };
    print_rate(NAME, ratio(amount.pairs, ours, by_hand).await?);
    Ok(())
}

/// A connection with the statements that a program by hand prepares.
struct ByHand {
    client: Client,
    remember: Statement,
    find: Statement,
    insert: Statement,
    update: Statement,
    journal: Statement,
    send: Statement,
}

impl ByHand {
    async fn new(client: Client) -> Outcome<Self> {
        let find = format!("{} FOR UPDATE", bare::FIND);
        Ok(Self {
            remember: client.prepare(bare::REMEMBER).await?,
            find: client.prepare(&find).await?,
            insert: client.prepare(bare::INSERT).await?,
            update: client.prepare(bare::UPDATE).await?,
            journal: client.prepare(bare::JOURNAL).await?,
            send: client.prepare(&bare::send("$7::text::jsonb")).await?,
            client,
        })
    }

    async fn write(&mut self, bare: &Bare, step: &Move) -> Outcome {
        let transaction = self.client.transaction().await?;
        let (id, now, content) = (&bare.id, &bare.now, bare.content());
        let (due, awaits) =
            (&step.due_at, &step.command.as_ref().map(|command| &command.id));
        if let Some(reply) = &step.reply {
            transaction.execute(&self.remember, &[reply, now]).await?;
            let found = transaction.query_one(&self.find, &[id]).await?;
            let data: Vec<u8> = found.try_get(3)?;
            let updated = transaction
                .execute(
                    &self.update,
                    &[
                        id,
                        &step.revision,
                        &step.status,
                        &step.step,
                        awaits,
                        due,
                        &data,
                        now,
                    ],
                )
                .await?;
            assert_eq!(updated, 1);
        } else {
            transaction
                .execute(&self.insert, &[id, &step.step, awaits, due, &content, now])
                .await?;
        }
        let source = step.reply.as_ref().map(|_| "erp");
        transaction
            .execute(
                &self.journal,
                &[
                    id,
                    &step.revision,
                    now,
                    &step.what,
                    &step.from,
                    &step.status,
                    &step.step,
                    &source,
                    &step.reply,
                    &step.commands,
                ],
            )
            .await?;
        if let Some(command) = &step.command {
            transaction
                .execute(
                    &self.send,
                    &[
                        &command.id,
                        &command.event_type,
                        &command.correlation,
                        &content,
                        &bare.ordering_key,
                        now,
                        &bare.tags,
                    ],
                )
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// How a turn of the clerk depends on what stands beside the instance that is due.
async fn depths(amount: Amount) -> Outcome {
    for (state, workflow, due_in) in BESIDE {
        let mut sides = Vec::new();
        for depth in amount.depths {
            let (database, mut client) = fresh(&format!("depth_{depth}")).await?;
            let config = WorkflowConfig::default();
            start(&mut client, fresh_id()?, &config).await?;
            client.batch_execute(&fill(depth, workflow, due_in)).await?;
            client.batch_execute("VACUUM ANALYZE workflow_instance").await?;
            let clerk = workflows::Clerk::connect(database, config).await?;
            sides.push((client, clerk.of::<orders::This>()));
        }
        let mut rounds = Rounds::default();
        for _ in 0..amount.pairs / 3 {
            let (mut looks, mut turns) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
            for (place, (client, clerk)) in sides.iter_mut().enumerate() {
                let begun = Instant::now();
                assert_eq!(clerk.run_until_idle().await?.moved, 0);
                looks[place] = begun.elapsed();
                let id = fresh_id()?;
                start(client, id.clone(), &WorkflowConfig::default()).await?;
                let due = "UPDATE workflow_instance SET due_at = moved_at, \
                           turn_at = moved_at WHERE id = $1";
                client.execute(due, &[&id.to_string()]).await?;
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
fn fill(depth: u32, workflow: &str, due_in: i32) -> String {
    format!(
        "INSERT INTO workflow_instance (id, workflow, version, fingerprint, revision, status, step, awaits, due_at, turn_at, \
           round, data, begun_at, moved_at) \
         SELECT lpad(n::text, 8, '0') || '-0000-5000-8000-000000000000', '{workflow}', version, fingerprint, revision, status, \
           step, awaits, due, due, round, data, begun_at, moved_at \
         FROM workflow_instance, generate_series(1, {depth}) AS n, \
           LATERAL (SELECT moved_at + {due_in} * interval '1 s' + n * interval '1 ms' AS due) AS time"
    )
}
