//! `Database`: a PostgreSQL schema with workflows, as a clerk and a desk connect to it.

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, Socket};

use super::PART;
use crate::outbox;
use crate::store::postgres::{Clients, Connector, prepare, within};
use crate::store::{StoreError, Upkeep};

/// Who connects: the name in the database's own list, and in errors.
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) connecting: &'static str,
}

/// A PostgreSQL schema with workflows.
#[derive(Debug)]
pub struct Database(pub(super) Clients);

/// Connects, with the tables of workflows and outbox made, or taken as they are.
pub(super) async fn connect<T>(
    caller: &Caller,
    database: Config,
    tls: T,
    upkeep: Upkeep,
) -> Result<Database, StoreError>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let clients = Clients::new(Connector::new(database, tls), caller.name);
    let prepared = within(caller.connecting, async {
        let mut held = clients.hold(caller.connecting).await?;
        prepare(held.client(), &outbox::postgres::PART, upkeep).await?;
        prepare(held.client(), &PART, upkeep).await?;
        held.release();
        Ok(())
    });
    prepared.await?;
    Ok(Database(clients))
}
