//! A connection to the server: made within its time, or given up with all that belongs to
//! it; watched while it lasts; and ended where it is dropped, whatever the server does.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_rs::Runtime;
use futures_util::{Stream, StreamExt};
use lapin::protocol::AMQPErrorKind;
use lapin::tcp::AsyncTcpStream;
use lapin::{Channel, ConnectionProperties, ErrorKind, Event};
use tokio::net::lookup_host;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::address::Server;
use super::refusal::Unanswered;
use super::stream::{Incoming, Readable, runtime};
use crate::broker::socket::Socket;
use crate::reason::reason;

/// How long a connection that is dropped may take to say so to the server.
const TO_CLOSE: Duration = Duration::from_secs(1);

/// How often a connection is looked at, of whose end nothing may have been told.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A connection, and what it needs to be ended.
pub(super) struct Connection {
    line: Line,
    socket: Option<Socket>,
    watcher: AbortHandle,
}

/// What is asked over a connection, by whoever has a copy, as long as it lasts.
#[derive(Clone)]
pub(super) struct Line {
    connection: Arc<lapin::Connection>,
    state: watch::Receiver<State>,
    within: Duration,
}

#[derive(Debug, Clone)]
enum State {
    Free,
    /// The server has an alarm, and takes nothing.
    Blocked(String),
    Ended(String),
}

impl Connection {
    /// Without recovery: what was on its way is known to nobody, and so its end is told
    /// to each send.
    pub(super) async fn make(server: &Server, within: Duration) -> Result<Self, String> {
        // In a place of its own, so that what may have to connect is no larger for it.
        match timeout(within, Box::pin(Self::try_to_make(server, within))).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(format!("{server}: {}", reason(&*error))),
            Err(_) => Err(format!("{server}: no connection within {within:?}")),
        }
    }

    /// Dropped in the middle, it leaves nothing: the socket is its own, and with its end
    /// the client's thread ends.
    async fn try_to_make(
        server: &Server,
        within: Duration,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let authority = &server.uri.authority;
        let addresses: Vec<SocketAddr> =
            lookup_host((authority.host.as_str(), authority.port)).await?.collect();
        let stream: Incoming =
            AsyncTcpStream::connect(&Runtime::tokio_current(), addresses).await?;
        let AsyncTcpStream::Plain(plain) = &stream else {
            return Err("a plain stream was wanted".into());
        };
        let socket = Socket::of(plain.get_ref())?;
        #[cfg(feature = "tls")]
        let stream = match &server.tls {
            Some(config) => {
                let secured =
                    stream.into_rustls(&Arc::clone(config).into(), &authority.host).await;
                secured.map_err(no_tls)?
            }
            None => stream,
        };

        let stream = Mutex::new(Some(AsyncTcpStream::Plain(Readable::new(stream))));
        let hand_over = async move |_, _| {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            stream.ok_or_else(|| {
                io::Error::other("the stream was handed over already").into()
            })
        };
        let name = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
        let properties =
            ConnectionProperties::default().with_connection_name(name.into());
        let made = lapin::Connection::connector(
            server.uri.clone(),
            runtime(),
            hand_over,
            properties,
        )
        .await;
        let connection = Arc::new(made.map_err(no_amqp)?);

        let (tell, state) = watch::channel(State::Free);
        let status = connection.status().clone();
        let watching =
            watch(connection.events_listener(), move || status.connected(), tell);
        let watcher = tokio::spawn(watching).abort_handle();
        Ok(Self {
            line: Line { connection, state, within },
            socket: Some(socket),
            watcher,
        })
    }

    pub(super) const fn line(&self) -> &Line {
        &self.line
    }
}

/// What a client of TLS says of a server that speaks none.
#[cfg(feature = "tls")]
fn no_tls(error: io::Error) -> Box<dyn Error + Send + Sync> {
    let found = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match found {
        Some(rustls::Error::InvalidMessage(_)) => {
            format!("no TLS is spoken there: {}", reason(&error)).into()
        }
        _ => error.into(),
    }
}

/// What a client of AMQP says of a server that speaks something else, or hangs up.
fn no_amqp(error: lapin::Error) -> Box<dyn Error + Send + Sync> {
    match error.kind() {
        ErrorKind::ParsingError(_) | ErrorKind::IOError(_) => format!(
            "no AMQP is spoken there, or only within TLS (amqps://): {}",
            reason(&error)
        )
        .into(),
        _ => error.into(),
    }
}

impl Drop for Connection {
    /// In peace where there is a runtime and the server answers; and then, or else,
    /// without.
    fn drop(&mut self) {
        self.watcher.abort();
        let (connection, socket) =
            (Arc::clone(&self.line.connection), self.socket.take());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = timeout(TO_CLOSE, connection.close(200, "OK".into())).await;
                drop(socket);
            });
        }
    }
}

/// Tells what becomes of a connection, until it ends.
async fn watch(
    events: impl Stream<Item = Event>,
    connected: impl Fn() -> bool,
    tell: watch::Sender<State>,
) {
    let mut events = std::pin::pin!(events);
    let why = loop {
        // Its last word comes after its end.
        let had_ended = !connected();
        match timeout(LOOK_EVERY, events.next()).await {
            Ok(Some(Event::ConnectionBlocked(alarm))) => {
                drop(tell.send_replace(State::Blocked(alarm)))
            }
            Ok(Some(Event::ConnectionUnblocked)) => drop(tell.send_replace(State::Free)),
            Ok(Some(Event::Error(error))) if !is_of_a_channel(&error) => {
                break reason(&error);
            }
            Ok(Some(_)) => {}
            Err(_) if !had_ended => {}
            Ok(None) | Err(_) => break "the server is gone".to_owned(),
        }
    };
    tell.send_replace(State::Ended(why));
}

/// The protocol has errors that end a channel, and others, which end the connection.
fn is_of_a_channel(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if matches!(error.kind(), AMQPErrorKind::Soft(_)))
}

async fn free_for(mut state: watch::Receiver<State>, time: Duration) {
    // Once the connection has ended, no alarm comes any more.
    while timeout(time, state.wait_for(|state| matches!(state, State::Blocked(_))))
        .await
        .is_ok_and(|told| told.is_ok())
    {
        let _ = state.wait_for(|state| !matches!(state, State::Blocked(_))).await;
    }
}

impl Line {
    pub(super) fn is_alive(&self) -> bool {
        self.connection.status().connected()
    }

    /// The most bytes of a frame, and the most channels, as the server and the client
    /// have agreed.
    pub(super) fn limits(&self) -> (u32, u16) {
        let agreed = self.connection.configuration();
        (agreed.frame_max(), agreed.channel_max())
    }

    pub(super) async fn channel(&self) -> Result<Channel, Unanswered> {
        self.answer(self.connection.create_channel()).await
    }

    /// What the server answers, within its time.
    pub(super) async fn answer<T>(
        &self,
        asked: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Unanswered> {
        timeout(self.within, self.while_it_lasts(asked))
            .await
            .unwrap_or(Err(Unanswered::Late(self.within)))
    }

    /// What the server answers, however late, as long as the connection lasts.
    pub(super) async fn while_it_lasts<T>(
        &self,
        asked: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Unanswered> {
        tokio::select! {
            biased;
            answer = asked => answer.map_err(Unanswered::Refused),
            why = self.ended() => Err(Unanswered::Ended(why)),
        }
    }

    /// Waits for the end of the connection, and says what was told of it.
    pub(super) async fn ended(&self) -> String {
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| matches!(state, State::Ended(_))).await;
        match ended.as_deref() {
            Ok(State::Ended(why)) => why.clone(),
            _ => "it was given up".to_owned(),
        }
    }

    /// Why the server takes nothing, where that is so.
    pub(super) fn alarm(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Blocked(alarm) => Some(alarm.clone()),
            // It may not be told of yet.
            _ => self.connection.status().blocked().then(|| "an alarm".to_owned()),
        }
    }

    /// Waits for so long, counted anew with the end of each alarm: what was on its way
    /// arrives then.
    pub(super) async fn free_for(&self, time: Duration) {
        free_for(self.state.clone(), time).await;
    }

    /// How long the server may take to answer.
    pub(super) const fn within(&self) -> Duration {
        self.within
    }

    /// Waits until the server takes nothing, and says why.
    pub(super) async fn alarmed(&self) -> String {
        let mut state = self.state.clone();
        while state.wait_for(|state| matches!(state, State::Blocked(_))).await.is_ok() {
            if let Some(alarm) = self.alarm() {
                return alarm;
            }
        }
        // It has ended, of which the sends are told.
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::stream;
    use lapin::protocol::{AMQPError, AMQPHardError, AMQPSoftError};

    use super::*;

    fn event(kind: AMQPErrorKind, said: &str) -> Event {
        Event::Error(ErrorKind::ProtocolError(AMQPError::new(kind, said.into())).into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_for_its_own_reason_and_not_for_one_of_its_channels() {
        let no_exchange =
            || event(AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND), "no exchange");
        let maintenance =
            || event(AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED), "maintenance");
        for (last, wanted) in
            [(Some(maintenance()), "maintenance"), (None, "the server is gone")]
        {
            let connected = AtomicBool::new(true);
            let events = async {
                tokio::time::sleep(LOOK_EVERY * 7).await;
                connected.store(false, Ordering::SeqCst);
                // Well after a look has found it ended.
                tokio::time::sleep(LOOK_EVERY / 2).await;
                last
            };
            let events = stream::iter([no_exchange()])
                .chain(stream::once(events).filter_map(async |last| last));
            let (tell, state) = watch::channel(State::Free);
            watch(
                events.chain(stream::pending()),
                || connected.load(Ordering::SeqCst),
                tell,
            )
            .await;
            let State::Ended(why) = state.borrow().clone() else {
                unreachable!("it has ended")
            };
            assert!(why.contains(wanted) && !why.contains("no exchange"), "{why}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_takes_none_of_the_time_that_a_confirmation_has() {
        let alarm = async |state: &watch::Sender<State>| {
            state.send_replace(State::Blocked("memory".to_owned()));
            tokio::time::sleep(Duration::from_secs(3600)).await;
            state.send_replace(State::Free);
        };
        let (tell, state) = watch::channel(State::Free);
        let (began, minute) = (tokio::time::Instant::now(), Duration::from_secs(60));
        tokio::join!(free_for(state, minute), async {
            tokio::time::sleep(minute / 2).await;
            alarm(&tell).await;
        });
        assert_eq!(began.elapsed(), Duration::from_secs(30 + 3600 + 60));
    }
}
