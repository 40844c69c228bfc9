//! `Acker`: acks or nacks a delivery of JetStream, and nacks one that is dropped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Subject};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Inner;
use super::config::LONGEST_WAIT;
use super::connection::Unanswered;
use super::unread::Unread;
use crate::broker::{Ack, BrokerError};

/// How long a delivery waits that was dropped.
const DROPPED: Duration = Duration::from_secs(1);

/// Acks or nacks a delivery of JetStream, and waits until the server has confirmed that.
/// Dropped, also before the server has, it nacks the delivery, to come again in a second.
pub struct Acker {
    inner: Arc<Inner>,
    releasing: Releasing,
    /// Where to ack, until the server has confirmed that.
    reply: Option<Subject>,
    /// When it shall come again where it is dropped.
    after: Duration,
    /// Where it is noted as unreadable, and its place there.
    unread: Option<(Arc<Unread>, u64)>,
}

impl Acker {
    pub(super) fn new(
        inner: Arc<Inner>,
        releasing: Releasing,
        reply: Subject,
        unread: Option<(Arc<Unread>, u64)>,
    ) -> Self {
        Self { inner, releasing, reply: Some(reply), after: DROPPED, unread }
    }

    async fn answer(mut self, word: String) -> Result<(), BrokerError> {
        let Some(reply) = self.reply.clone() else { return Ok(()) };
        self.inner.answer(&reply, word).await?;
        self.reply = None;
        Ok(())
    }
}

impl Ack for Acker {
    async fn ack(self) -> Result<(), BrokerError> {
        let unread = self.unread.clone();
        self.answer("+ACK".to_owned()).await?;
        if let Some((unread, sequence)) = unread {
            unread.forget(sequence);
        }
        Ok(())
    }

    async fn nack(mut self, after: Duration) -> Result<(), BrokerError> {
        self.after = after.min(LONGEST_WAIT);
        let again = again(self.after);
        self.answer(again).await
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            self.releasing.release(reply, self.after);
        }
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker").finish_non_exhaustive()
    }
}

/// The word for "again", after a while.
fn again(after: Duration) -> String {
    match after.as_nanos() {
        0 => "-NAK".to_owned(),
        nanos => format!("-NAK {{\"delay\":{nanos}}}"),
    }
}

impl Inner {
    /// Acks or nacks a delivery, and waits until the server has confirmed that.
    async fn answer(&self, reply: &Subject, word: String) -> Result<(), BrokerError> {
        let connection = self.connection().await?;
        let answered = connection.ask(reply, HeaderMap::new(), word.into_bytes()).await;
        answered.map(|_| ()).map_err(|unanswered| match unanswered {
            Unanswered::Lost => BrokerError::transient(
                "the connection was lost before the server had answered",
            ),
            Unanswered::NoResponders => BrokerError::transient(
                "the consumer that made this delivery is gone from the server",
            ),
            Unanswered::Forbidden(why) => BrokerError::unavailable(why),
            Unanswered::TooLarge(why) | Unanswered::Silence(why) => {
                BrokerError::transient(why)
            }
        })
    }
}

/// Nacks the deliveries that are dropped: in their order, from a task that ends with the
/// last of them.
#[derive(Clone)]
pub(super) struct Releasing(mpsc::UnboundedSender<Dropped>);

struct Dropped {
    reply: Subject,
    after: Duration,
    at: Instant,
}

impl Releasing {
    /// What is older than the server `waits` for an ack has come again already, and is
    /// not nacked.
    pub(super) fn start(inner: Arc<Inner>, waits: Duration) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Dropped>();
        tokio::spawn(async move {
            while let Some(Dropped { reply, after, at }) = receiver.recv().await {
                if at.elapsed() >= waits {
                    continue;
                }
                // What does not arrive comes again when the server has waited for its ack.
                if let Ok(connection) = inner.connection().await {
                    let _ =
                        connection.publish(reply.to_string(), None, again(after)).await;
                }
            }
        });
        Self(sender)
    }

    pub(super) fn release(&self, reply: Subject, after: Duration) {
        // Without its task there is no runtime any more.
        let _ = self.0.send(Dropped { reply, after, at: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::net::TcpListener;
    use tokio::time::sleep;

    use super::*;
    use crate::broker::nats::{Nats, NatsConfig};

    #[tokio::test(start_paused = true)]
    async fn what_the_server_has_waited_too_long_for_is_not_given_back()
    -> Result<(), Box<dyn Error>> {
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let address = silent.local_addr()?.to_string();
        let tries = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&tries);
        tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((connection, _)) = silent.accept().await {
                connections.push(connection);
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let inner = Nats::new(
            &address,
            NatsConfig::new("crm").connect_timeout(Duration::from_secs(1)),
        )?
        .inner;
        let releasing = Releasing::start(Arc::clone(&inner), Duration::from_secs(3));
        for number in 0..100 {
            releasing.release(format!("$JS.ACK.{number}").into(), DROPPED);
        }
        drop(releasing);
        while Arc::strong_count(&inner) > 1 {
            sleep(Duration::from_millis(100)).await;
        }
        let tries = tries.load(Ordering::SeqCst);
        assert!((1..=4).contains(&tries), "{tries} tries for a hundred");
        Ok(())
    }
}
