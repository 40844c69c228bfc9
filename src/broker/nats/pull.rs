//! Pulling: what a consumer at the server is asked for, what of it has come, and whether
//! the server is still there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{Config, Info};
use async_nats::{Message, StatusCode, Subscriber};
use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout};

use super::Inner;
use super::acker::Releasing;
use super::connection::{API, Connection, Listening, Unanswered};
use super::durable::{Durable, waits};
use super::loss::Losses;
use super::pulled::{Pulled, is_for_an_answer};
use super::unread::Unread;
use crate::broker::BrokerError;

/// How long the server keeps a request that it has nothing for.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often it says that it is there meanwhile: as often as an answer may take, within
/// these.
const HEARTBEAT: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_secs(5));
/// How long what is on its way to a listener that has ended is waited for.
const LAST_MESSAGES: Duration = Duration::from_secs(1);

/// What can be done about messages that were deleted unread.
const ADVICE: &str =
    "let the stream keep messages for longer than its slowest consumer stands still";

pub(super) struct Pull {
    inner: Arc<Inner>,
    /// For what is to be told when it is dropped, wherever that is.
    runtime: Handle,
    connection: Connection,
    listening: Listening,
    pub(super) releasing: Releasing,
    durable: Durable,
    consumer: Info,
    subscriber: Option<Subscriber>,
    inbox: String,
    next: String,
    batch: usize,
    expires: Duration,
    heartbeat: Duration,
    losses: Losses,
    unread: Arc<Unread>,
    /// Where what the client could not read is, to be handed out first.
    unread_at: BTreeSet<u64>,
    /// How many messages the server has been asked for and has not sent.
    asked: usize,
    heard: Instant,
}

impl Pull {
    /// `interrupted` where a session before was cut off: by a message that nobody could
    /// read, perhaps.
    pub(super) async fn begin(
        inner: Arc<Inner>,
        durable: Durable,
        unread: Arc<Unread>,
        interrupted: bool,
    ) -> Result<Self, BrokerError> {
        let connection = inner.connection().await?;
        let consumer = durable.open(&connection).await?;
        let unread_at = if interrupted {
            unread.look(&connection, &consumer).await?
        } else {
            BTreeSet::new()
        };
        let found = &consumer.config;
        let listening = connection.listening();
        let inbox = connection.client.new_inbox();
        let subscriber = connection.subscribe(inbox.clone()).await?;
        let next = format!("{API}.CONSUMER.MSG.NEXT.{}.{}", durable.stream, durable.name);
        let (batch, expires, waits) = (batch(found), expires(found), waits(found));
        let heartbeat = inner.config.request_timeout.clamp(HEARTBEAT.0, HEARTBEAT.1);
        Ok(Self {
            runtime: Handle::current(),
            losses: Losses::new(&durable),
            listening,
            releasing: Releasing::start(Arc::clone(&inner), waits),
            inner,
            durable,
            consumer,
            subscriber: Some(subscriber),
            inbox,
            next,
            batch,
            expires,
            heartbeat: heartbeat.min(expires.checked_div(2).unwrap_or(expires)),
            unread,
            unread_at,
            asked: 0,
            heard: Instant::now(),
            connection,
        })
    }

    /// The next message of the stream. Given up, it has taken none.
    pub(super) async fn next(&mut self) -> Result<Pulled, BrokerError> {
        while let Some(sequence) = self.unread_at.first().copied() {
            let read = self.unread.read(&self.connection, &self.consumer, sequence).await;
            let read = read
                .map_err(|error| BrokerError::unreachable(self.about(error.reason())))?;
            self.unread_at.remove(&sequence);
            if let Some(read) = read {
                return Ok(read);
            }
        }
        loop {
            if self.asked <= self.batch.div_euclid(2) {
                if let Some(lost) =
                    self.losses.look(&self.connection, &self.durable).await
                {
                    return Err(BrokerError::lost(lost, ADVICE));
                }
                self.ask().await?;
            }
            let Some(subscriber) = &mut self.subscriber else {
                return Err(self.lost("it has ended"));
            };
            // Three heartbeats: with fewer, a server that is busy for a moment is taken
            // for one that is gone.
            let silent = self
                .heard
                .checked_add(self.heartbeat.saturating_mul(3))
                .unwrap_or(self.heard);
            let message = tokio::select! {
                biased;
                message = subscriber.next() => message,
                news = self.listening.bad_news(&self.next) => return Err(match news {
                    Unanswered::Forbidden(why) => BrokerError::unavailable(self.about(&why)),
                    _ => self.lost("the connection was lost"),
                }),
                () = sleep_until(silent) => return Err(self.lost("the server has said nothing for too long")),
            };
            self.heard = Instant::now();
            let message = message.ok_or_else(|| self.lost("the connection was lost"))?;
            // A message of the stream has an address for its answer, whatever else is
            // written in it.
            if let Some(reply) =
                message.reply.clone().filter(|reply| is_for_an_answer(reply))
            {
                self.asked = self.asked.saturating_sub(1);
                return Ok(Pulled::new(&message, reply));
            }
            self.status(&message)?;
        }
    }

    async fn ask(&mut self) -> Result<(), BrokerError> {
        let more = self.batch.saturating_sub(self.asked);
        let (expires, heartbeat) = (self.expires.as_nanos(), self.heartbeat.as_nanos());
        let request = format!(
            "{{\"batch\":{more},\"expires\":{expires},\"idle_heartbeat\":{heartbeat}}}"
        );
        let told = self
            .connection
            .publish(self.next.clone(), Some(self.inbox.clone()), request)
            .await;
        told.map_err(|unanswered| match unanswered {
            Unanswered::Silence(why) => self.lost(&why),
            _ => self.lost("the connection was lost"),
        })?;
        (self.asked, self.heard) = (self.batch, Instant::now());
        Ok(())
    }

    /// What the server says of a request.
    fn status(&mut self, message: &Message) -> Result<(), BrokerError> {
        let header = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get_last("Nats-Pending-Messages"));
        let unsent = header.and_then(|unsent| unsent.as_str().parse::<usize>().ok());
        let says = message.description.as_deref().unwrap_or_default();
        match (message.status, unsent) {
            (Some(StatusCode::IDLE_HEARTBEAT), _) => Ok(()),
            // A request is over, with so many messages unsent.
            (Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND), None) => {
                self.asked = 0;
                Ok(())
            }
            (
                Some(
                    StatusCode::TIMEOUT
                    | StatusCode::NOT_FOUND
                    | StatusCode::REQUEST_TERMINATED,
                ),
                Some(unsent),
            ) => {
                self.asked = self.asked.saturating_sub(unsent);
                Ok(())
            }
            (Some(StatusCode::NO_RESPONDERS), _) => Err(BrokerError::unavailable(
                self.about("the server has no such consumer any more"),
            )),
            (Some(status), _) if status != StatusCode::OK => Err(BrokerError::transient(
                self.about(&format!("{} {says}", status.as_u16())),
            )),
            // Whoever has written to this address, it was not the stream.
            _ => Ok(()),
        }
    }

    fn about(&self, why: &str) -> String {
        format!(
            "the consumer {} of the stream {}: {why}",
            self.durable.name, self.durable.stream
        )
    }

    fn lost(&self, why: &str) -> BrokerError {
        let told = self.about(why);
        BrokerError::unreachable(match self.unread.forbidden() {
            Some(forbidden) => format!(
                "{told}, and whether a message did that is not to be seen: {forbidden}"
            ),
            None => told,
        })
    }
}

/// How many are fetched ahead: few, since the server's time for an answer runs while they
/// wait here, and none that another listener could have.
fn batch(found: &Config) -> usize {
    const AHEAD: i64 = 8;
    let limits = [found.max_ack_pending, found.max_batch, AHEAD];
    let least = limits.into_iter().filter(|limit| *limit > 0).min().unwrap_or(AHEAD);
    usize::try_from(least).unwrap_or(1)
}

fn expires(found: &Config) -> Duration {
    if found.max_expires.is_zero() { EXPIRES } else { EXPIRES.min(found.max_expires) }
}

impl Drop for Pull {
    /// What was fetched and handed to nobody goes back at once.
    fn drop(&mut self) {
        let Some(mut subscriber) = self.subscriber.take() else { return };
        let (inner, releasing) = (Arc::clone(&self.inner), self.releasing.clone());
        let info = format!("CONSUMER.INFO.{}.{}", self.durable.stream, self.durable.name);
        self.runtime.spawn(async move {
            // First the server stops sending, then what has come is released.
            let _ = timeout(LAST_MESSAGES, subscriber.drain()).await;
            let mut fetched = Vec::new();
            while let Ok(Some(message)) = timeout(LAST_MESSAGES, subscriber.next()).await
            {
                fetched.extend(message.reply.filter(|reply| is_for_an_answer(reply)));
            }
            // Asked about the consumer, the server forgets requests that nobody waits for
            // any more. Servers of 2.9 lose the first message that comes back while there
            // is one.
            if let Ok(connection) = inner.connection().await {
                let _ = connection.api(&info, Vec::new()).await;
            }
            for reply in fetched {
                releasing.release(reply, Duration::ZERO);
            }
        });
    }
}
