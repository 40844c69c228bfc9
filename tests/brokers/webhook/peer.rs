//! HTTP servers of the tests' own: a receiver that answers as its path says, and one that
//! an endpoint is mounted in.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use integration_automation_patterns::broker::webhook::Endpoint;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::serve::{connections, serve};

/// What a receiver was sent.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A receiver that answers as the path says, and keeps what it was sent.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    connections: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let (got, connections) = <(Arc<Mutex<Vec<Got>>>, Arc<AtomicUsize>)>::default();
        let (kept, counted) = (Arc::clone(&got), Arc::clone(&connections));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request: Request<Incoming>| {
                    let kept = Arc::clone(&kept);
                    async move {
                        let (head, body) = request.into_parts();
                        let path = head.uri.path().to_owned();
                        let (method, headers) = (head.method, head.headers);
                        let body =
                            body.collect().await.map_err(io::Error::other)?.to_bytes();
                        let got = Got { method, path: path.clone(), headers, body };
                        kept.lock().unwrap().push(got);
                        answer(&path).await
                    }
                });
                let http = http1::Builder::new();
                open.spawn(async move {
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, got, connections, _serving: serving }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// What it was sent, in order.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn answer(path: &str) -> io::Result<Response<Full<Bytes>>> {
    let answer = |status: u16, body: &str| {
        Response::builder().status(status).body(Full::from(body.to_owned())).unwrap()
    };
    Ok(match path.trim_start_matches('/') {
        "hang" => std::future::pending().await,
        "cut" => return Err(io::Error::other("the connection is cut")),
        "moved" => {
            let mut moved = answer(301, "");
            moved.headers_mut().insert("location", "/204".parse().unwrap());
            moved
        }
        "later" => {
            let mut later = answer(429, "one a minute");
            later.headers_mut().insert("retry-after", "7".parse().unwrap());
            later
        }
        "large" => answer(500, &"x".repeat(10 * 1024 * 1024)),
        status => answer(status.parse().unwrap_or(404), "as the path says"),
    })
}

/// An endpoint in a server.
pub(super) struct Mounted {
    pub(super) address: SocketAddr,
    _serving: JoinSet<()>,
}

pub(super) async fn mount(endpoint: Endpoint) -> Mounted {
    mount_at(SocketAddr::from(([127, 0, 0, 1], 0)), endpoint).await
}

/// At this very address, for one that is started again.
pub(super) async fn mount_at(address: SocketAddr, endpoint: Endpoint) -> Mounted {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(serve(connections(listener), endpoint));
    Mounted { address, _serving: serving }
}
