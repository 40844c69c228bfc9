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
use tokio::sync::watch;
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
    /// How many events it took.
    taken: watch::Sender<usize>,
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let (got, connections) = <(Arc<Mutex<Vec<Got>>>, Arc<AtomicUsize>)>::default();
        let (kept, counted) = (Arc::clone(&got), Arc::clone(&connections));
        let taken = watch::Sender::new(0);
        let counts = taken.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (kept, counts) = (Arc::clone(&kept), counts.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (kept, counts) = (Arc::clone(&kept), counts.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let path = head.uri.path().to_owned();
                        let (method, headers) = (head.method, head.headers);
                        let body =
                            body.collect().await.map_err(io::Error::other)?.to_bytes();
                        let got = Got { method, path, headers, body };
                        let nth = {
                            let mut kept = kept.lock().unwrap();
                            kept.push(got.clone());
                            kept.len()
                        };
                        let answer = answer(&got, nth).await?;
                        if answer.status().is_success() {
                            counts.send_modify(|taken| *taken += 1);
                        }
                        Ok::<_, io::Error>(answer)
                    }
                });
                let http = http1::Builder::new();
                open.spawn(async move {
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, got, connections, taken, _serving: serving }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// What it was sent, in order.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until it has taken so many events.
    pub(super) async fn has_taken(&self, events: usize) {
        let mut taken = self.taken.subscribe();
        taken.wait_for(|taken| *taken >= events).await.unwrap();
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// What the path says of this request, which is the `nth` of the receiver.
async fn answer(got: &Got, nth: usize) -> io::Result<Response<Full<Bytes>>> {
    let answer = |status: u16, body: &str| {
        Response::builder().status(status).body(Full::from(body.to_owned())).unwrap()
    };
    let path = got.path.trim_start_matches('/');
    if let Some(down) = path.strip_prefix("down-") {
        let is_up = nth > down.parse().unwrap();
        return Ok(answer(if is_up { 204 } else { 503 }, ""));
    }
    Ok(match path {
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
        "echo" => answer(400, &String::from_utf8_lossy(&got.body)),
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
