//! A connection to the server, with its one session: made within its time, or given up
//! with all that belongs to it; and ended where it is dropped, whatever the server does.

use std::time::Duration;

use fe2o3_amqp::connection::{ConnectionHandle, OpenError};
use fe2o3_amqp::link::SessionStopReason;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::{BeginError, SessionHandle};
use fe2o3_amqp::{Connection as Client, Session};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use uuid::Uuid;

use super::outcome::{Ended, Said};
use super::server::{Login, Server};
use crate::broker::BrokerError;
use crate::broker::socket::Socket;
use crate::reason::reason;

/// How long a connection that is dropped may take to say so to the server.
const TO_CLOSE: Duration = Duration::from_secs(1);

/// A server that says nothing for so many times as a connection may take is gone. Without
/// this a frozen one is never noticed.
const IDLE_FACTOR: u32 = 3;

/// No server is asked to say something more often than twice in that time.
const SHORTEST_IDLE: Duration = Duration::from_secs(2);

/// The largest frame. A message that is larger takes several.
const FRAME: u32 = 64 * 1024;

/// The ends of its parts are watched by whoever has it.
pub(super) struct Connection {
    pub(super) session: SessionHandle<()>,
    client: Option<(ConnectionHandle<()>, Socket)>,
}

impl Connection {
    /// Everything up to the session, within one time: a server of TLS that is spoken to
    /// in clear may never answer, nor one in clear that is spoken to in TLS.
    pub(super) async fn open(
        server: &Server,
        within: Duration,
    ) -> Result<Self, BrokerError> {
        // In a place of its own, so that what may have to connect is no larger for it.
        match timeout(within, Box::pin(Self::try_to_open(server, idle(within)))).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(why)) => Err(BrokerError::unreachable(format!("{server}: {why}"))),
            Err(_) => Err(BrokerError::unreachable(format!(
                "{server}: no connection within {within:?}; where a port is for TLS, the \
                 address is amqps://"
            ))),
        }
    }

    async fn try_to_open(server: &Server, idle: u32) -> Result<Self, String> {
        let place = (server.host.as_str(), server.port);
        let stream = TcpStream::connect(place).await.map_err(|error| reason(&error))?;
        // Else an answer and the next credit wait for each other's acknowledgement.
        stream.set_nodelay(true).map_err(|error| reason(&error))?;
        let socket = Socket::of(&stream).map_err(|error| reason(&error))?;
        let login = match &server.login {
            Login::Anonymous => SaslProfile::Anonymous,
            Login::Plain { user, password } => {
                SaslProfile::Plain { username: user.clone(), password: password.clone() }
            }
        };
        let client = Client::builder()
            // Some servers take one connection of a name.
            .container_id(format!("{}-{}", env!("CARGO_PKG_NAME"), Uuid::now_v7()))
            .hostname(server.virtual_host.as_str())
            .sasl_profile(login)
            .max_frame_size(FRAME)
            .idle_time_out(idle);
        #[cfg(feature = "tls")]
        let opened = match &server.tls {
            Some((name, config)) => {
                let tls = tokio_rustls::TlsConnector::from(std::sync::Arc::clone(config));
                let stream = tls.connect(name.clone(), stream).await;
                let stream =
                    stream.map_err(|error| format!("no TLS: {}", reason(&error)))?;
                client.open_with_stream(stream).await
            }
            None => client.open_with_stream(stream).await,
        };
        #[cfg(not(feature = "tls"))]
        let opened = client.open_with_stream(stream).await;
        let mut client = opened.map_err(|error| refused(&error))?;
        let session = Session::begin(&mut client).await;
        let session = session.map_err(|error| not_begun(&error))?;
        Ok(Self { session, client: Some((client, socket)) })
    }
}

/// In milliseconds, how long a server may say nothing.
fn idle(within: Duration) -> u32 {
    let idle = within.saturating_mul(IDLE_FACTOR).max(SHORTEST_IDLE);
    u32::try_from(idle.as_millis()).unwrap_or(u32::MAX)
}

/// Why no connection was opened, in the server's words.
fn refused(error: &OpenError) -> String {
    match error {
        OpenError::SaslError { .. } => {
            "the server refuses the login: no such user, or another password".to_owned()
        }
        OpenError::NotImplemented(Some(what)) => {
            format!("the server does not take this login: {what}")
        }
        OpenError::ProtocolHeaderMismatch(_) => {
            "the server speaks another protocol, or only within TLS (amqps://)".to_owned()
        }
        OpenError::RemoteClosedWithError(error) => {
            format!("the server has closed the connection: {}", Said::from(error))
        }
        error => reason(error),
    }
}

/// Some servers tell only here that they have refused the login.
fn not_begun(error: &BeginError) -> String {
    match error {
        BeginError::ConnectionStopped(why) => {
            let why = SessionStopReason::ConnectionStopped(why.clone());
            format!("the connection has ended: {}", Ended::from(&why))
        }
        BeginError::RemoteEndedWithError(error) => {
            format!("the server has ended the session: {}", Said::from(error))
        }
        error => reason(error),
    }
}

impl Drop for Connection {
    /// In peace where there is a runtime and the server answers; and then, or else,
    /// without.
    fn drop(&mut self) {
        let (Some((mut client, socket)), Ok(runtime)) =
            (self.client.take(), Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            let _ = timeout(TO_CLOSE, client.close()).await;
            drop(socket);
        });
    }
}
