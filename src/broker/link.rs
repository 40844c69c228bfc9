//! How an adapter connects: the one connection that it sends on ([`Link`]), made when it
//! is first needed, by one sender at a time, and made anew once it is broken; and a
//! listener's session ([`Beginning`]).

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
#[cfg(any(feature = "amqp", feature = "amqp1", feature = "nats"))]
use tokio::time::{Instant, sleep_until};

use super::BrokerError;
use crate::reason::reason;

pub(super) struct Link<C> {
    state: Mutex<State<C>>,
    /// How many tries to connect have failed.
    failures: AtomicU64,
}

struct State<C> {
    connection: Option<Made<C>>,
    /// The try that is under way. It goes on where the sender that began it is given up:
    /// a client that is dropped in the middle of it may leave half a connection behind.
    connecting: Option<JoinHandle<Result<Made<C>, BrokerError>>>,
    /// Why the last try failed.
    failure: Option<BrokerError>,
}

/// A connection, and a task of the runtime that drives it: it ends with that runtime, as
/// the client's own tasks do, which say nothing of it.
struct Made<C> {
    connection: C,
    runtime: AbortHandle,
}

impl<C> Made<C> {
    fn now(connection: C) -> Self {
        let runtime = tokio::spawn(std::future::pending::<()>()).abort_handle();
        Self { connection, runtime }
    }
}

impl<C> Drop for Made<C> {
    fn drop(&mut self) {
        self.runtime.abort();
    }
}

impl<C> Default for Link<C> {
    fn default() -> Self {
        let state = State { connection: None, connecting: None, failure: None };
        Self { state: Mutex::new(state), failures: AtomicU64::new(0) }
    }
}

impl<C: Clone + Send + 'static> Link<C> {
    /// The connection, made now where there is none that is alive, within the time given.
    ///
    /// Who waits while another one's try fails gets its failure: a server that is gone
    /// costs a hundred sends one try.
    pub(super) async fn get<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        is_alive: impl Fn(&C) -> bool,
        within: Duration,
        connect: impl Future<Output = Result<C, E>> + Send + 'static,
    ) -> Result<C, BrokerError> {
        let seen = self.failures.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        if let Some(made) = &state.connection
            && !made.runtime.is_finished()
            && is_alive(&made.connection)
        {
            return Ok(made.connection.clone());
        }
        state.connection = None;
        if self.failures.load(Ordering::SeqCst) != seen
            && let Some(failure) = &state.failure
        {
            return Err(failure.clone());
        }
        // What came of a try that nobody has waited for is old: good while it lives, and
        // else no reason not to try again.
        if let Some(over) =
            state.connecting.take_if(|connecting| connecting.is_finished())
            && let Ok(Ok(made)) = over.await
            && !made.runtime.is_finished()
            && is_alive(&made.connection)
        {
            let connection = made.connection.clone();
            state.connection = Some(made);
            return Ok(connection);
        }
        let connecting = state.connecting.get_or_insert_with(|| {
            tokio::spawn(async move {
                match timeout(within, connect).await {
                    Ok(Ok(connection)) => Ok(Made::now(connection)),
                    Ok(Err(error)) => Err(failure(error.into())),
                    Err(_) => Err(BrokerError::unreachable(format!(
                        "no connection within {within:?}"
                    ))),
                }
            })
        });
        let made = connecting.await;
        state.connecting = None;
        match made.unwrap_or_else(|ended| Err(failure(ended.into()))) {
            Ok(made) => {
                let connection = made.connection.clone();
                state.connection = Some(made);
                Ok(connection)
            }
            Err(failure) => {
                state.failure = Some(failure.clone());
                self.failures.fetch_add(1, Ordering::SeqCst);
                Err(failure)
            }
        }
    }
}

/// What a try says of itself, where it does; else the broker was not reached.
fn failure(error: Box<dyn Error + Send + Sync>) -> BrokerError {
    match error.downcast::<BrokerError>() {
        Ok(said) => *said,
        Err(error) => BrokerError::unreachable(reason(&*error)),
    }
}

/// How long a listener waits at least between two tries to begin, so that a loop around
/// it does not spin.
#[cfg(any(feature = "amqp", feature = "amqp1", feature = "nats"))]
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// A listener's session on its way. The try goes on where the call that began it is given
/// up, so that a listener which is asked for a moment at a time begins all the same.
#[cfg(any(feature = "amqp", feature = "amqp1", feature = "nats"))]
pub(super) struct Beginning<S> {
    under_way: Option<JoinHandle<Result<S, BrokerError>>>,
    last: Option<Instant>,
}

#[cfg(any(feature = "amqp", feature = "amqp1", feature = "nats"))]
impl<S> Default for Beginning<S> {
    fn default() -> Self {
        Self { under_way: None, last: None }
    }
}

#[cfg(any(feature = "amqp", feature = "amqp1", feature = "nats"))]
impl<S: Send + 'static> Beginning<S> {
    /// The session, begun now or by an earlier call, and no sooner than a second after
    /// the try before. Where it is not there within the time given, the try is given up.
    pub(super) async fn session(
        &mut self,
        within: Duration,
        begin: impl Future<Output = Result<S, BrokerError>> + Send + 'static,
    ) -> Result<S, BrokerError> {
        let not_before = self.last.and_then(|last| last.checked_add(BETWEEN_TRIES));
        let under_way = self.under_way.get_or_insert_with(|| {
            tokio::spawn(async move {
                if let Some(not_before) = not_before {
                    sleep_until(not_before).await;
                }
                let begun = timeout(within, begin).await;
                begun.unwrap_or_else(|_| {
                    Err(BrokerError::unreachable(format!("no session within {within:?}")))
                })
            })
        });
        let begun = under_way.await;
        (self.under_way, self.last) = (None, Some(Instant::now()));
        begun.unwrap_or_else(|ended| Err(BrokerError::unreachable(reason(&ended))))
    }
}

#[cfg(any(feature = "amqp", feature = "amqp1", feature = "nats"))]
impl<S> Drop for Beginning<S> {
    fn drop(&mut self) {
        if let Some(under_way) = &self.under_way {
            under_way.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn who_waits_for_a_try_that_fails_does_not_try_too() {
        let link = Link::<u8>::default();
        let tries = Arc::new(AtomicU64::new(0));
        let fail = || {
            let tries = Arc::clone(&tries);
            async move {
                tries.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Err::<u8, _>(std::io::Error::other("nobody listens"))
            }
        };
        let (first, second) = tokio::join!(
            link.get(|_| true, LONG, fail()),
            link.get(|_| true, LONG, fail())
        );
        assert_eq!(first, Err(BrokerError::unreachable("nobody listens")));
        assert_eq!(first, second);
        assert_eq!(tries.load(Ordering::SeqCst), 1, "one try for both");
        assert_eq!(
            link.get(|_| true, LONG, async { Ok::<_, std::io::Error>(7) }).await,
            Ok(7),
            "the next one tries again"
        );
    }

    #[tokio::test]
    async fn a_try_goes_on_where_its_sender_is_given_up() {
        let link = Link::<u8>::default();
        let connect = async {
            tokio::task::yield_now().await;
            Ok::<_, std::io::Error>(1)
        };
        tokio::select! {
            biased;
            _ = link.get(|_| true, LONG, connect) => {}
            () = std::future::ready(()) => {}
        }
        assert_eq!(
            link.get(|_| true, LONG, async {
                Err(std::io::Error::other("a second try"))
            })
            .await,
            Ok(1)
        );
    }

    #[tokio::test]
    async fn what_came_of_a_try_that_nobody_waited_for_is_looked_at_before_it_is_used() {
        for earlier in [Ok(1), Err("yesterday's reason")] {
            let link = Link::<u8>::default();
            let (began, begun) = tokio::sync::oneshot::channel();
            let connect = async move {
                let _ = began.send(());
                earlier.map_err(std::io::Error::other)
            };
            tokio::select! {
                biased;
                _ = link.get(|_| true, LONG, connect) => unreachable!("it is given up before"),
                () = std::future::ready(()) => {}
            }
            assert_eq!(begun.await, Ok(()), "and goes on");
            tokio::task::yield_now().await;
            let is_alive = |connection: &u8| *connection != 1;
            assert_eq!(
                link.get(is_alive, LONG, async { Ok::<_, std::io::Error>(2) }).await,
                Ok(2),
                "{earlier:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_live_connection_is_kept_and_a_broken_one_replaced() {
        let link = Link::default();
        let connect = |number: u8| async move { Ok::<_, std::io::Error>(number) };
        assert_eq!(link.get(|_| true, LONG, connect(1)).await, Ok(1));
        assert_eq!(link.get(|_| true, LONG, connect(2)).await, Ok(1));
        assert_eq!(link.get(|_| false, LONG, connect(3)).await, Ok(3));
    }

    /// What drives a connection ends with the runtime in which it was made, and a client
    /// may wait for that without an end.
    #[test]
    fn a_connection_is_made_anew_where_its_runtime_has_ended() -> std::io::Result<()> {
        let link = Link::default();
        let get = |number: u8| {
            let connect = async move { Ok::<_, std::io::Error>(number) };
            let runtime = tokio::runtime::Runtime::new()?;
            let got = runtime.block_on(link.get(|_| true, LONG, connect));
            Ok::<_, std::io::Error>((runtime, got))
        };
        let (first, one) = get(1)?;
        let (second, shared) = get(2)?;
        assert_eq!((one, shared), (Ok(1), Ok(1)), "runtimes may share it");
        drop(second);
        let (third, shared) = get(3)?;
        assert_eq!(shared, Ok(1), "it was not made in the one that ended");
        drop((third, first));
        assert_eq!(get(4)?.1, Ok(4));
        Ok(())
    }

    #[cfg(any(feature = "amqp", feature = "amqp1", feature = "nats"))]
    #[tokio::test(start_paused = true)]
    async fn a_session_begins_however_briefly_it_is_waited_for_and_a_try_a_second_is_made()
     {
        let tries = Arc::new(AtomicU64::new(0));
        let mut beginning = Beginning::default();
        let began = Instant::now();
        let session = loop {
            let tries = Arc::clone(&tries);
            let begin = async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                match tries.fetch_add(1, Ordering::SeqCst) {
                    0..3 => Err(BrokerError::unreachable("nobody listens")),
                    _ => Ok(7),
                }
            };
            if let Ok(Ok(session)) =
                timeout(Duration::from_millis(3), beginning.session(LONG, begin)).await
            {
                break session;
            }
        };
        assert_eq!((session, tries.load(Ordering::SeqCst)), (7, 4));
        assert!(
            began.elapsed() >= Duration::from_secs(3),
            "a second lies between two tries"
        );
        let never =
            beginning.session(Duration::from_secs(1), std::future::pending()).await;
        assert_eq!(never, Err(BrokerError::unreachable("no session within 1s")));
    }
}
