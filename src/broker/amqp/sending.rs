//! Sending: each event alone on a channel, until the server has confirmed it or had its
//! time; and what is under way is known, so that whoever sends an event again while it is
//! gets the answer to the first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use tokio::sync::watch;
use tokio::time::timeout;

use super::channels::{Channels, Lane};
use super::connection::{Connection, Line};
use super::publishing::Message;
use super::refusal::{Unanswered, of_publish};
use crate::broker::BrokerError;

/// How long the server may take to confirm, well beyond what a relay waits for a send.
/// Then nobody knows, and the event may be sent again.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(60);

/// How long it is known of an event that the server has it, where nobody waits for the
/// answer any more.
const KNOWN_FOR: Duration = Duration::from_secs(10 * 60);

/// An event, as its consumers know it.
pub(super) type Key = (String, String);

/// What a send came to, once it is known.
type Outcome = watch::Receiver<Option<Result<(), BrokerError>>>;

/// The sends on one connection.
pub(super) struct Sender {
    connection: Connection,
    exchange: ShortString,
    channels: Arc<Channels>,
    under_way: Arc<UnderWay>,
}

#[derive(Default)]
struct UnderWay(Mutex<HashMap<Key, Outcome>>);

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Outcome>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on its way, or came to be stored. One that has failed is sent anew.
    fn found(under_way: &HashMap<Key, Outcome>, key: &Key) -> Option<Outcome> {
        under_way
            .get(key)
            .filter(|outcome| !matches!(*outcome.borrow(), Some(Err(_))))
            .cloned()
    }

    fn of(&self, key: &Key) -> Option<Outcome> {
        Self::found(&self.lock(), key)
    }

    fn forget(&self, key: &Key, outcome: &Outcome) {
        let mut under_way = self.lock();
        if under_way.get(key).is_some_and(|other| other.same_channel(outcome)) {
            under_way.remove(key);
        }
    }
}

impl Sender {
    pub(super) fn new(connection: Connection, exchange: ShortString) -> Self {
        let (_, most) = connection.line().limits();
        // One is the connection's own, another one for declarations.
        let most = most.saturating_sub(2);
        Self {
            connection,
            exchange,
            channels: Arc::new(Channels::new(most)),
            under_way: Arc::default(),
        }
    }

    pub(super) const fn line(&self) -> &Line {
        self.connection.line()
    }

    /// Sends an event, or waits for what the send of it that is under way comes to.
    ///
    /// Dropped before it has a channel, it has sent nothing. After that the send goes on
    /// where this is dropped, or answered because the server takes nothing for now: its
    /// frames may be on their way, and a second one would be a second message.
    pub(super) async fn send(
        &self,
        key: Key,
        message: Message,
    ) -> Result<(), BrokerError> {
        let line = self.line();
        message.fits(line.limits().0)?;
        let sent = async {
            let mut outcome = match self.under_way.of(&key) {
                Some(outcome) => outcome,
                None => self.begin(
                    &key,
                    self.channels.take(line, &message.routing_key).await?,
                    message,
                )?,
            };
            let known = known(&mut outcome).await;
            self.under_way.forget(&key, &outcome);
            known
        };
        tokio::select! {
            biased;
            known = sent => known,
            alarm = line.alarmed() => Err(blocked(&alarm)),
        }
    }

    /// From here on, it is the server's.
    fn begin(
        &self,
        key: &Key,
        lane: Lane,
        message: Message,
    ) -> Result<Outcome, BrokerError> {
        let mut under_way = self.under_way.lock();
        if let Some(outcome) = UnderWay::found(&under_way, key) {
            self.channels.release(lane);
            return Ok(outcome);
        }
        if let Some(alarm) = self.line().alarm() {
            self.channels.release(lane);
            return Err(blocked(&alarm));
        }
        let (tell, outcome) = watch::channel(None);
        under_way.insert(key.clone(), outcome.clone());
        let publish = publish(
            self.line().clone(),
            Arc::clone(&self.channels),
            lane,
            self.exchange.clone(),
            message,
        );
        let (key, under_way) = (key.clone(), Arc::clone(&self.under_way));
        tokio::spawn(async move {
            let answer = publish.await;
            let stored = answer.is_ok();
            tell.send_replace(Some(answer));
            if stored {
                let _ = timeout(KNOWN_FOR, tell.closed()).await;
            }
            under_way.forget(&key, &tell.subscribe());
        });
        Ok(outcome)
    }
}

async fn known(outcome: &mut Outcome) -> Result<(), BrokerError> {
    let known = outcome.wait_for(Option::is_some).await;
    let known = known.ok().and_then(|known| known.clone());
    known.unwrap_or_else(|| Err(BrokerError::transient("the send was given up")))
}

fn blocked(alarm: &str) -> BrokerError {
    BrokerError::unavailable(format!("the server takes nothing from anybody: {alarm}"))
}

/// One event on a channel that has nothing else on its way, so that what the server says
/// on it is said of this event. A message that comes back comes before its confirmation.
async fn publish(
    line: Line,
    channels: Arc<Channels>,
    lane: Lane,
    exchange: ShortString,
    message: Message,
) -> Result<(), BrokerError> {
    let Message { routing_key, properties, body, .. } = message;
    let event_type = routing_key.clone();
    let options =
        BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = async {
        let channel = lane.channel();
        let sent = channel
            .basic_publish(exchange.clone(), routing_key, options, &body, properties)
            .await?;
        sent.await
    };
    let confirmed = tokio::select! {
        biased;
        confirmed = line.while_it_lasts(sent) => confirmed,
        () = line.free_for(CONFIRMED_WITHIN) => {
            lane.close(&line).await;
            Err(Unanswered::Late(CONFIRMED_WITHIN))
        }
    };
    let confirmed = confirmed.map_err(|error| of_publish(exchange.as_str(), &error))?;
    channels.release(lane);
    match confirmed {
        Confirmation::Ack(None) => Ok(()),
        // Whoever declares the queue, or binds it, makes the next attempt succeed.
        Confirmation::Ack(Some(_)) => Err(BrokerError::unroutable(format!(
            "no queue gets {event_type} from the exchange {exchange}: declare one, or bind it"
        ))),
        // The other queues that it goes to may have it.
        Confirmation::Nack(_) => Err(BrokerError::unroutable(format!(
            "a queue that gets {event_type} from the exchange {exchange} takes no more: it is full, or cannot store"
        ))),
        Confirmation::NotRequested => {
            Err(BrokerError::transient("the channel confirms nothing"))
        }
    }
}
