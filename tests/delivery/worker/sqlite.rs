//! The worker's tests on SQLite, and what is SQLite's own of it.

use integration_automation_patterns::audit::AuditTrail;
use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::Filter;
use integration_automation_patterns::inbox::sqlite::{
    Worker, discard, handlers, held, migrations,
};
use integration_automation_patterns::outbox::Migration;
use integration_automation_patterns::outbox::sqlite::enqueue;

use integration_automation_patterns::state::Pending;
use integration_automation_patterns::{Decision, Envelope};

use super::order::named;
use super::{
    Does, Gate, How, LeadClosed, LeadCreated, LeadCreatedV1, Running, Works, fails,
    follow_up, start, tables, text, worker_suite,
};
use crate::sqlite::Sqlite;

impl Works for Sqlite {
    const LANES: usize = 1;

    const HANDLERS_BLOCK: bool = true;

    const REFUSE_ATTEMPTS: &'static str = "CREATE TRIGGER refuse \
         BEFORE UPDATE ON inbox_event WHEN NEW.last_attempt = 'begun' \
         BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";

    const ADMIT_ATTEMPTS: &'static str = "DROP TRIGGER refuse";

    fn inbox_migrations() -> Vec<Migration> {
        migrations().collect()
    }

    async fn work<C>(&self, consumer: C, gate: Gate, how: How) -> Running
    where
        C: Consumer<Acker: 'static> + 'static,
    {
        self.connect().execute_batch(&tables("INTEGER")).unwrap();
        let handlers = handlers()
            .on::<LeadCreated>()
            .or::<LeadCreatedV1>()
            .effect(move |transaction, lead| {
                if lead.payload.does == Does::Wait {
                    tokio::runtime::Handle::current().block_on(gate.pass());
                }
                if lead.payload.does == Does::Busy && !gate.is_open() {
                    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                    return Err(rusqlite::Error::SqliteFailure(busy, None).into());
                }
                let sql = "INSERT INTO effect (name, owner) VALUES (?1, ?2)";
                let owner = lead.payload.does.owner();
                transaction.execute(sql, (&lead.payload.name, owner))?;
                fails(&lead)?;
                let _new = enqueue(transaction, follow_up(&lead))?;
                Ok(())
            })
            .on::<LeadClosed>()
            .decode(text)
            .effect(|transaction, lead| {
                let sql = "INSERT INTO effect (name) VALUES ('closed ' || ?1)";
                transaction.execute(sql, [&lead.payload.0])?;
                Ok(())
            });
        let worker = Worker::open(&self.path, how.inbox, consumer, handlers, how.config);
        start!(worker.unwrap(), how)
    }

    async fn discard(&self, event: Envelope<Pending>) -> bool {
        let decision = Decision::new("on-call", "given up").unwrap();
        let (mut inbox, trail) = (self.connect(), AuditTrail::silent());
        discard(&mut inbox, &event, decision, &trail).unwrap()
    }

    async fn held(&self) -> Vec<(String, Option<String>)> {
        named(held(&self.connect(), &Filter::default(), 100).unwrap())
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let connection = self.connect();
        let mut statement = connection.prepare(sql).unwrap();
        let texts = statement.query_map([], |row| row.get(0)).unwrap();
        texts.map(Result::unwrap).collect()
    }
}

worker_suite!(Sqlite);
