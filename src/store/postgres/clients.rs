//! Connections for transactions that are not this crate's own statements: one for each
//! piece of work at a time, made when it is wanted, and used again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_postgres::Client;

use super::connector::{Connector, Leash, Line};
use crate::store::StoreError;

/// The connections that nobody works with just now.
#[derive(Debug)]
pub(crate) struct Clients {
    connector: Connector,
    /// What the database's own list calls them.
    name: &'static str,
    idle: Mutex<Vec<Line>>,
}

impl Clients {
    pub(crate) const fn new(connector: Connector, name: &'static str) -> Self {
        Self { connector, name, idle: Mutex::new(Vec::new()) }
    }

    /// A connection for one piece of work.
    ///
    /// # Errors
    ///
    /// A server, a database or a role that is not reached.
    pub(crate) async fn hold(
        &self,
        doing: &'static str,
    ) -> Result<HeldClient<'_>, StoreError> {
        let idle = self.idle().pop().filter(|line| !line.client.is_closed());
        let line = match idle {
            Some(line) => line,
            None => self
                .connector
                .line(self.name, || {})
                .await
                .map_err(|error| StoreError::new(doing, error))?,
        };
        Ok(HeldClient { leash: self.connector.leash(&line), line, clients: self })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in the hands of one piece of work. Only work that has ended well
/// [releases](Self::release) it; otherwise its statement is cancelled and it is closed.
pub(crate) struct HeldClient<'a> {
    leash: Leash,
    line: Line,
    clients: &'a Clients,
}

impl HeldClient<'_> {
    pub(crate) const fn client(&mut self) -> &mut Client {
        &mut self.line.client
    }

    pub(crate) fn release(self) {
        let Self { leash, line, clients } = self;
        leash.let_go();
        clients.idle().push(line);
    }
}
