//! Webhooks out, to a server in this process, beside the bare client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use integration_automation_patterns::broker::Broker as _;
use integration_automation_patterns::broker::webhook::{Webhook, WebhookConfig};
use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
use tokio::net::TcpListener;

use super::{Amount, Outcome, PAYLOAD, event, ratio};

/// How many are on their way at once.
const IN_FLIGHT: usize = 100;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(super) async fn measure(amount: Amount) -> Outcome {
    let url = format!("http://{}/", receiver().await?);
    let config = WebhookConfig::new(SECRET).allow_http().allow_private();
    let (webhook, bare) = (Webhook::new(&url, config)?, Bare::new(url.parse()?));
    let (pairs, events) = (amount.pairs / 3, 3_000);
    let by_us = async || {
        let events: Vec<_> = (0..events).map(|_| event().dispatch()).collect();
        in_flight(events.iter().map(async |event| Ok(webhook.send(event).await?))).await
    };
    let bare = async || in_flight((0..events).map(async |_| bare.send().await)).await;
    let sent = ratio(pairs, by_us, bare).await?;
    println!(
        "| webhooks: events per second sent with {IN_FLIGHT} in flight, signed, beside the \
         bare client | {sent:.2} | at least 0.7 |"
    );
    Ok(())
}

/// A server that answers everything 204, on a thread of its own.
async fn receiver() -> Outcome<SocketAddr> {
    let (told, address) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let serve = async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _ = told.send(listener.local_addr()?);
            loop {
                let (stream, _) = listener.accept().await?;
                let service = service_fn(async |request: Request<Incoming>| {
                    let _ = request.into_body().collect().await;
                    let mut answer = Response::new(Full::<Bytes>::default());
                    *answer.status_mut() = StatusCode::NO_CONTENT;
                    Ok::<_, Infallible>(answer)
                });
                let http = http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        };
        runtime.and_then(|runtime| runtime.block_on(serve)) as std::io::Result<()>
    });
    Ok(address.await?)
}

/// As many sends as may be on their way, until all have ended; how long that takes.
async fn in_flight<S: Future<Output = Outcome>>(
    mut sends: impl Iterator<Item = S>,
) -> Outcome<Duration> {
    let (start, mut on_their_way) = (Instant::now(), FuturesUnordered::new());
    loop {
        on_their_way.extend(sends.by_ref().take(IN_FLIGHT - on_their_way.len()));
        let Some(sent) = on_their_way.next().await else { return Ok(start.elapsed()) };
        sent?;
    }
}

/// The client alone, with the headers of an event, and as many as a signature has.
struct Bare {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    headers: Vec<(String, String)>,
}

impl Bare {
    fn new(uri: Uri) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let event = CloudEvent::of(&event());
        let headers = event.headers(Binding::Http);
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name, value.into_owned())).collect();
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        for (name, value) in
            [("id", event.id()), ("timestamp", "0"), ("signature", signature)]
        {
            headers.push((format!("webhook-{name}"), value.to_owned()));
        }
        Self { client, uri, headers }
    }

    async fn send(&self) -> Outcome {
        let mut request = Request::post(self.uri.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from_static(PAYLOAD.as_bytes())))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        if status.is_success() { Ok(()) } else { Err(status.to_string().into()) }
    }
}
