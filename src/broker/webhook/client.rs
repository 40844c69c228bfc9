//! The HTTP client: connections through the guard, each made in its time, and kept for the
//! next request. It follows no redirect.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client as LegacyClient};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::answer::Failure;
use super::config::WebhookConfig;
use super::guard::{Guard, ResolveError};
use crate::broker::BrokerError;
use crate::reason::reason;
use crate::tls::{Tls, TlsError};

pub(super) type Client = LegacyClient<Connector, Full<Bytes>>;

/// How long a connection is kept that no request uses.
const KEPT: Duration = Duration::from_secs(30);

pub(super) fn client(config: &WebhookConfig) -> Result<Client, TlsError> {
    let within = config.connect_timeout;
    let tls: ClientConfig =
        config.tls.clone().map_or_else(Tls::system, Ok).and_then(|tls| tls.config())?;
    let guard = Guard { allow_private: config.allow_private };
    let mut plain = HttpConnector::new_with_resolver(guard);
    plain.enforce_http(false);
    plain.set_nodelay(true);
    plain.set_connect_timeout(Some(within));
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let connector =
        Connector { https: https.enable_http1().wrap_connector(plain), within };
    let mut builder = LegacyClient::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(KEPT);
    Ok(builder.build(connector))
}

/// Connects within a time that name, connection and TLS share.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector<Guard>>,
    within: Duration,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future =
        Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, within) = (self.https.call(uri), self.within);
        Box::pin(async move {
            let made = timeout(within, connecting).await;
            made.unwrap_or_else(
                |_| Err(format!("no connection within {within:?}").into()),
            )
        })
    }
}

/// What a failed request says of its event: nothing where no connection was made. A name
/// that leads inside may do so by a mistake of its DNS, and lead outside again.
pub(super) fn failed(to: &str, error: &legacy::Error) -> Failure {
    let said = format!("{to}: {}", reason(error));
    if is_internal(error) {
        Failure::Unsent(BrokerError::unavailable(said))
    } else if error.is_connect() {
        Failure::Unsent(BrokerError::unreachable(said))
    } else {
        Failure::Absent(BrokerError::transient(said))
    }
}

/// Whether the guard has refused the connection.
fn is_internal(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<ResolveError>() {
            return matches!(refused, ResolveError::Internal { address: Some(_), .. });
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that leads inside pauses what goes there; one without an address is not
    /// reached.
    #[test]
    fn an_address_inside_is_told_from_a_name_without_one() {
        let internal = |address: Option<[u8; 4]>| ResolveError::Internal {
            name: "shop.example.com".to_owned(),
            address: address.map(Into::into),
        };
        assert!(is_internal(&internal(Some([127, 0, 0, 1]))));
        assert!(!is_internal(&internal(None)));
        let unknown = std::io::Error::other("no answer of the name server");
        assert!(!is_internal(&ResolveError::Unknown(unknown)));
    }
}
