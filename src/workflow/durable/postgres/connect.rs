//! `Database`: a PostgreSQL schema with workflows, as a clerk and a desk connect to it.

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, Socket};

use super::install;
use crate::outbox;
use crate::store::StoreError;
use crate::store::postgres::{Clients, Connector, within};

/// Who connects: the name in the database's own list, and in errors.
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) connecting: &'static str,
}

/// A PostgreSQL schema with workflows.
#[derive(Debug)]
pub struct Database(pub(super) Clients);

/// Connects, with the tables of workflows and outbox made where they are missing.
pub(super) async fn connect<T>(
    caller: &Caller,
    database: Config,
    tls: T,
) -> Result<Database, StoreError>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let clients = Clients::new(Connector::new(database, tls), caller.name);
    let installed = within(caller.connecting, async {
        let mut held = clients.hold(caller.connecting).await?;
        outbox::postgres::install(held.client()).await?;
        install(held.client()).await?;
        held.release();
        Ok(())
    });
    installed.await?;
    Ok(Database(clients))
}
