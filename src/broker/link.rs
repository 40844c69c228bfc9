//! The one connection that an adapter sends on: made when it is first needed, by one sender at a time, and made anew
//! once it is broken.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::SendError;

pub(super) struct Link<C> {
    state: Mutex<State<C>>,
    /// How many tries to connect have failed.
    failures: AtomicU64,
}

struct State<C> {
    connection: Option<C>,
    /// The try that is under way. It goes on where the sender that began it is given up: a client that is dropped in the
    /// middle of it may leave half a connection behind.
    connecting: Option<JoinHandle<Result<C, String>>>,
    /// Why the last try failed.
    reason: String,
}

impl<C> Default for Link<C> {
    fn default() -> Self {
        let state = State { connection: None, connecting: None, reason: String::new() };
        Self { state: Mutex::new(state), failures: AtomicU64::new(0) }
    }
}

impl<C: Clone + Send + 'static> Link<C> {
    /// The connection, made now where there is none that is alive, within the time given.
    ///
    /// Who waits while another one's try fails gets its failure: a server that is gone costs a hundred sends one try.
    pub(super) async fn get<E: Display>(
        &self,
        is_alive: impl Fn(&C) -> bool,
        within: Duration,
        connect: impl Future<Output = Result<C, E>> + Send + 'static,
    ) -> Result<C, SendError> {
        let seen = self.failures.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.take_if(|connection| is_alive(connection)) {
            state.connection = Some(connection.clone());
            return Ok(connection);
        }
        state.connection = None;
        if self.failures.load(Ordering::SeqCst) != seen {
            return Err(SendError::unreachable(state.reason.clone()));
        }
        let connecting = state.connecting.get_or_insert_with(|| {
            tokio::spawn(async move {
                match timeout(within, connect).await {
                    Ok(made) => made.map_err(|error| error.to_string()),
                    Err(_) => Err(format!("no connection within {within:?}")),
                }
            })
        });
        let made = connecting.await;
        state.connecting = None;
        match made.unwrap_or_else(|ended| Err(ended.to_string())) {
            Ok(connection) => {
                state.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(reason) => {
                state.reason.clone_from(&reason);
                self.failures.fetch_add(1, Ordering::SeqCst);
                Err(SendError::unreachable(reason))
            }
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
                Err::<u8, _>("nobody listens")
            }
        };
        let (first, second) = tokio::join!(link.get(|_| true, LONG, fail()), link.get(|_| true, LONG, fail()));
        assert_eq!(first, Err(SendError::unreachable("nobody listens")));
        assert_eq!(first, second);
        assert_eq!(tries.load(Ordering::SeqCst), 1, "one try for both");
        assert_eq!(link.get(|_| true, LONG, async { Ok::<_, &str>(7) }).await, Ok(7), "the next one tries again");
    }

    #[tokio::test]
    async fn a_try_goes_on_where_its_sender_is_given_up() {
        let link = Link::<u8>::default();
        let connect = async {
            tokio::task::yield_now().await;
            Ok::<_, &str>(1)
        };
        tokio::select! {
            biased;
            _ = link.get(|_| true, LONG, connect) => {}
            () = std::future::ready(()) => {}
        }
        assert_eq!(link.get(|_| true, LONG, async { Err("a second try") }).await, Ok(1));
    }

    #[tokio::test]
    async fn a_live_connection_is_kept_and_a_broken_one_replaced() {
        let link = Link::default();
        let connect = |number: u8| async move { Ok::<_, &str>(number) };
        assert_eq!(link.get(|_| true, LONG, connect(1)).await, Ok(1));
        assert_eq!(link.get(|_| true, LONG, connect(2)).await, Ok(1));
        assert_eq!(link.get(|_| false, LONG, connect(3)).await, Ok(3));
    }
}
