//! A server of HTTP/1.1 that an endpoint is mounted in, with a task for each connection.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt as _, unfold};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use integration_automation_patterns::broker::webhook::Endpoint;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long the next connection waits after one that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections that clients make.
pub(crate) fn connections(
    listener: TcpListener,
) -> impl Stream<Item = io::Result<TcpStream>> + Send {
    unfold(listener, |listener| async {
        let accepted = listener.accept().await;
        Some((accepted.map(|(stream, _)| stream), listener))
    })
}

/// Serves the endpoint until there are no more connections. One that cannot be accepted
/// (its client has gone, or too many files are open) is reported, and the server goes on.
pub(crate) async fn serve(
    connections: impl Stream<Item = io::Result<TcpStream>> + Send,
    endpoint: Endpoint,
) {
    let mut connections = Box::pin(connections);
    let mut open = JoinSet::new();
    while let Some(accepted) = connections.next().await {
        while open.try_join_next().is_some() {}
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                eprintln!("webhook: a connection could not be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let endpoint = endpoint.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(receive(&endpoint, request).await) }
        });
        let http = http1::Builder::new();
        open.spawn(async move {
            // What breaks a connection is the client's to see: it sends again.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn receive(
    endpoint: &Endpoint,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    match Limited::new(body, endpoint.largest_body()).collect().await {
        Ok(body) => {
            let request = Request::from_parts(head, body.to_bytes());
            endpoint.receive(&request).await.map(Full::from)
        }
        Err(_) => {
            let mut too_large = Response::new(Full::default());
            *too_large.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            too_large
        }
    }
}
