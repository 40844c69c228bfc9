//! How a connection is made, whatever its TLS: in a time that ends, and with words for
//! what was not reached.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_postgres::config::Host;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Socket};

use crate::store::error::{BoxedError, Explained};

/// How long a connection may take to be there, its greeting included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what was written may stay without an answer of the other machine's network.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the server may take to be told that nobody waits for a statement, and then to
/// end it.
const GIVE_UP: Duration = Duration::from_secs(5);

/// How a connection is made, whatever its TLS.
#[derive(Clone)]
pub(crate) struct Connector {
    connect: Arc<dyn Fn(&'static str, Heard) -> Soon<Line> + Send + Sync>,
    cancel: Arc<dyn Fn(CancelToken) -> Soon<()> + Send + Sync>,
    /// The server's addresses, the database and the user.
    to: Arc<str>,
}

type Soon<T> = Pin<Box<dyn Future<Output = Result<T, BoxedError>> + Send>>;
type Heard = Box<dyn Fn() + Send>;

impl Connector {
    pub(crate) fn new<T>(mut config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(NETWORK_TIMEOUT);
        }
        let (to, other) = (address(&config).into(), tls.clone());
        let connect = move |name: &'static str, heard: Heard| -> Soon<Line> {
            let (mut config, tls) = (config.clone(), tls.clone());
            if config.get_application_name().is_none() {
                config.application_name(name);
            }
            Box::pin(async move {
                let (client, mut connection) = config.connect(tls).await?;
                // It ends when the client is dropped, or the connection is lost.
                let driver = tokio::spawn(async move {
                    while let Some(Ok(message)) =
                        poll_fn(|context| connection.poll_message(context)).await
                    {
                        if matches!(message, AsyncMessage::Notification(_)) {
                            heard();
                        }
                    }
                });
                Ok(Line { client, driver })
            })
        };
        let cancel = move |token: CancelToken| -> Soon<()> {
            let tls = other.clone();
            Box::pin(async move { Ok(token.cancel_query(tls).await?) })
        };
        Self { connect: Arc::new(connect), cancel: Arc::new(cancel), to }
    }

    /// A connection that the database's own list shows under `name`, where the program
    /// has not named itself.
    pub(super) async fn line(
        &self,
        name: &'static str,
        heard: impl Fn() + Send + 'static,
    ) -> Result<Line, BoxedError> {
        let unreached = |cause| Explained {
            meaning: format!("no connection to {}", self.to).into(),
            cause,
        };
        match timeout(CONNECT_TIMEOUT, (self.connect)(name, Box::new(heard))).await {
            Ok(answer) => Ok(answer.map_err(unreached)?),
            Err(_) => {
                Err(unreached(format!("no answer within {CONNECT_TIMEOUT:?}").into())
                    .into())
            }
        }
    }

    /// What ends a statement of this connection, and the connection, where nobody waits
    /// for it any more.
    pub(super) fn leash(&self, line: &Line) -> Leash {
        let cancel = Arc::clone(&self.cancel);
        Leash {
            cancel,
            token: line.client.cancel_token(),
            driver: line.driver.abort_handle(),
            is_held: true,
        }
    }
}

/// What ends a statement that nobody waits for, and its connection: dropped while it is
/// held, it tells the server to stop.
pub(super) struct Leash {
    cancel: Arc<dyn Fn(CancelToken) -> Soon<()> + Send + Sync>,
    token: CancelToken,
    driver: AbortHandle,
    is_held: bool,
}

impl Leash {
    /// The work has ended.
    pub(super) fn let_go(mut self) {
        self.is_held = false;
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if !self.is_held || self.driver.is_finished() {
            return;
        }
        let (cancel, driver) = ((self.cancel)(self.token.clone()), self.driver.clone());
        let Ok(runtime) = Handle::try_current() else { return driver.abort() };
        runtime.spawn(async move {
            // A server that cannot be told finds out when it answers.
            drop(timeout(GIVE_UP, cancel).await);
            sleep(GIVE_UP).await;
            driver.abort();
        });
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("to", &self.to).finish_non_exhaustive()
    }
}

/// A connection, and the task that moves its bytes.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) client: Client,
    pub(super) driver: JoinHandle<()>,
}

/// Where a configuration leads, without its password. Of an address with an `@` in its
/// password the driver takes the rest of that for a host or a database.
fn address(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let mut hosts: Vec<String> = hosts.collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    if hosts.iter().map(String::as_str).chain(config.get_dbname()).any(has_at) {
        return "an address that is not shown, with an @ in its host or database: write @ \
                in a password as %40"
            .to_owned();
    }
    let ports = config.get_ports();
    let with_port = |(place, host): (usize, &String)| {
        let port = ports.get(place).or_else(|| ports.first()).copied().unwrap_or(5432);
        format!("{host}:{port}")
    };
    let user = config.get_user().unwrap_or("the user of this process");
    format!(
        "{}, database {}, as {user}",
        hosts.iter().enumerate().map(with_port).collect::<Vec<_>>().join(" or "),
        config.get_dbname().unwrap_or(user)
    )
}

fn has_at(name: &str) -> bool {
    name.contains('@')
}

#[cfg(feature = "tls")]
mod secure {
    //! TLS: always, and with a server that an authority vouches for under the name that
    //! it is called by.

    use tokio_postgres::config::SslMode;
    use tokio_postgres::{Client, Config};
    use tokio_postgres_rustls::MakeRustlsConnect;

    use super::Connector;
    use crate::store::error::Doing;
    use crate::store::{StoreError, StoreErrorKind};
    use crate::tls::Tls;

    /// A configuration that never falls back to plain text, and its TLS.
    pub(crate) fn secured(
        mut config: Config,
        tls: &Tls,
    ) -> Result<(Config, MakeRustlsConnect), StoreError> {
        config.ssl_mode(SslMode::Require);
        let tls = tls.config().doing("preparing TLS")?;
        Ok((config, MakeRustlsConnect::new(tls)))
    }

    /// A connection for a program's own work.
    pub(crate) async fn connect(
        config: &Config,
        tls: &Tls,
    ) -> Result<Client, StoreError> {
        let (config, tls) = secured(config.clone(), tls)?;
        let line = Connector::new(config, tls).line("integration", || {}).await;
        let unreached =
            |error| StoreError::of(StoreErrorKind::Unreachable, "connecting", error);
        Ok(line.map_err(unreached)?.client)
    }
}

#[cfg(feature = "tls")]
pub(crate) use self::secure::{connect, secured};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_password() {
        let config: Config =
            "postgres://crm:s3cr3t@one:6000,two:6001/leads".parse().unwrap();
        assert_eq!(address(&config), "one:6000 or two:6001, database leads, as crm");
        let connector = Connector::new(config, tokio_postgres::NoTls);
        assert!(!format!("{connector:?}").contains("s3cr3t"));
    }

    #[test]
    fn an_at_in_a_password_shows_no_piece_of_it() {
        for password in
            ["s3cr3t@l33t", "s3cr3t@l33t/m0r3", "s3@cr3t@l33t", "s3/cr3t@l33t"]
        {
            let url = format!("postgres://crm:{password}@one:6000/leads");
            let Ok(config) = url.parse::<Config>() else { continue };
            let shown = address(&config);
            let pieces = ["s3", "cr3t", "l33t", "m0r3"];
            assert!(!pieces.iter().any(|piece| shown.contains(piece)), "{shown}");
            assert!(shown.contains("%40"), "{shown}");
        }
    }
}
