//! The connections that many tasks use in turn: each is made when it is wanted, and made
//! anew when it was lost.

use std::future::Future;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use tokio_postgres::Error;

use super::connector::{Connector, Leash, Line};
use super::link::{Begins, Link};
use super::pooler::{REFUSED, shares_sessions};
use super::tables::{Place, prepare};
use crate::store::error::Doing;
use crate::store::schema::{CHECKING, INSTALLING, Part, Upkeep};
use crate::store::{StoreError, StoreErrorKind};

/// How long one piece of work may take that nobody else gives up: longer than the server
/// lets a look last.
const LONGEST: Duration = Duration::from_secs(120);

/// How long a second connection is waited for: a pooler may keep who asks for one
/// waiting.
const SECOND: Duration = Duration::from_secs(2);

/// How long no spare connection is asked for after the database had none to give.
const WITHOUT: Duration = Duration::from_secs(10);

/// One piece of work, which ends: the server may be there and answer no more.
pub(crate) async fn within<T>(
    doing: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match timeout(LONGEST, work).await {
        Ok(answer) => answer,
        Err(_) => {
            let silent = format!("PostgreSQL did not answer within {LONGEST:?}");
            Err(StoreError::of(StoreErrorKind::Unreachable, doing, silent))
        }
    }
}

/// A connection for relays, a spare one for whoever finds it in use, and one for people.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Connector,
    place: Place,
    begins: Arc<Begins>,
    link: Mutex<Option<Link>>,
    spare: Mutex<Option<Link>>,
    /// Since when the database has had no spare connection to give.
    no_spare: std::sync::Mutex<Option<Instant>>,
    people: Mutex<Option<Link>>,
}

impl Pool {
    /// The connections to a database, whose tables are made or checked.
    pub(crate) async fn connect(
        connector: Connector,
        part: &Part,
        upkeep: Upkeep,
    ) -> Result<Self, StoreError> {
        let connected = async {
            let mut first = line(&connector, CHECKING).await?;
            let second = timeout(SECOND, line(&connector, CHECKING))
                .await
                .ok()
                .and_then(Result::ok);
            if let Some(second) = &second
                && shares_sessions(&first.client, &second.client).await.doing(CHECKING)?
            {
                return Err(StoreError::new(CHECKING, REFUSED));
            }
            prepare(&mut first.client, part, upkeep).await?;
            Ok((Place::of(&first.client).await?, first, second))
        };
        let doing = match upkeep {
            Upkeep::Install => INSTALLING,
            Upkeep::Check => CHECKING,
        };
        let (place, first, second) = within(doing, connected).await?;
        let begins = Arc::new(Begins::of(&place));
        let link = |line| Mutex::new(Some(Link::new(line, Arc::clone(&begins))));
        let no_spare = std::sync::Mutex::new(second.is_none().then(Instant::now));
        let (first, second) = (link(first), second.map_or_else(Mutex::default, link));
        Ok(Self {
            connector,
            place,
            begins,
            link: first,
            spare: second,
            no_spare,
            people: Mutex::default(),
        })
    }

    /// Where its tables are.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Does one piece of work of a relay's, and no longer than its caller waits.
    pub(crate) async fn run<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Link) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.hold(doing).await?.run(doing, work).await
    }

    /// Does one piece of work that people wait for, which ends: it takes its time, and
    /// holds no relay up.
    pub(crate) async fn run_for_people<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Link) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        within(doing, async { self.hold_for_people(doing).await?.run(doing, work).await })
            .await
    }

    /// Does one piece of work that nobody waits for, which ends.
    pub(crate) async fn run_aside<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Link) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        within(doing, self.run(doing, work)).await
    }

    /// A connection, for one piece of work. Where the database has no second one to give,
    /// or not soon, the work waits for the first.
    async fn hold(&self, doing: &'static str) -> Result<Held<'_>, StoreError> {
        if let Ok(slot) = self.link.try_lock() {
            return self.link_in(slot, doing).await;
        }
        let spare = match self.spare.try_lock() {
            Ok(spare) if !self.has_no_spare() => spare,
            _ => return self.link_in(self.link.lock().await, doing).await,
        };
        let spare = async {
            let held = self.link_in(spare, doing).await;
            *self.no_spare() = held.is_err().then(Instant::now);
            held
        };
        tokio::select! {
            biased;
            slot = self.link.lock() => self.link_in(slot, doing).await,
            Ok(held) = spare => Ok(held),
        }
    }

    fn has_no_spare(&self) -> bool {
        self.no_spare().is_some_and(|since| since.elapsed() < WITHOUT)
    }

    fn no_spare(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.no_spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection of people: what they ask and decide takes its time, and holds no
    /// relay up. Where the database has none to give, or not soon, one of the others.
    async fn hold_for_people(&self, doing: &'static str) -> Result<Held<'_>, StoreError> {
        let slot = self.people.lock().await;
        match timeout(SECOND, self.link_in(slot, doing)).await {
            Ok(Ok(held)) => Ok(held),
            _ => self.hold(doing).await,
        }
    }

    async fn link_in<'a>(
        &'a self,
        mut slot: MutexGuard<'a, Option<Link>>,
        doing: &'static str,
    ) -> Result<Held<'a>, StoreError> {
        let link = match slot.take().filter(|link| !link.line.client.is_closed()) {
            Some(link) => link,
            None => {
                Link::new(line(&self.connector, doing).await?, Arc::clone(&self.begins))
            }
        };
        Ok(Held { leash: self.connector.leash(&link.line), slot, link })
    }
}

async fn line(connector: &Connector, doing: &'static str) -> Result<Line, StoreError> {
    let line = connector.line("outbox worker", || {}).await;
    line.map_err(|error| StoreError::of(StoreErrorKind::Unreachable, doing, error))
}

/// One of the pool's connections, in the hands of one piece of work.
///
/// Only work that has ended well gives it back. Otherwise (an error, or a caller who
/// waits no longer) it is given up, so that no statement goes on, no transaction is left
/// open and no dead connection is tried twice: the next piece of work makes another.
struct Held<'a> {
    leash: Leash,
    slot: MutexGuard<'a, Option<Link>>,
    link: Link,
}

impl Held<'_> {
    async fn run<T>(
        mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Link) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let done = work(&mut self.link).await.doing(doing)?;
        let Self { leash, mut slot, link } = self;
        leash.let_go();
        *slot = Some(link);
        Ok(done)
    }
}
