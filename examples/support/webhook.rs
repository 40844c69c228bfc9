//! The two ways over HTTP: each system posts to the endpoint of the other, and this
//! process serves both, each on a free port.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use integration_automation_patterns::EventId;
use integration_automation_patterns::broker::webhook::{
    Endpoint, EndpointConfig, Hooks, Route, Scheme, Webhook, WebhookConfig, endpoint,
};
use tokio::net::TcpListener;

use crate::Outcome;
use crate::ways::{Names, Way, Ways};

/// Longer than the effect of an event takes on a busy database.
const PATIENCE: Duration = Duration::from_secs(9);

pub(crate) async fn ways(
    host: &str,
    [there, back]: [Names; 2],
) -> Outcome<Ways<Webhook, Hooks>> {
    Ok(Ways { there: way(there.name, host).await?, back: way(back.name, host).await? })
}

async fn way(name: &'static str, host: &str) -> Outcome<Way<Webhook, Hooks>> {
    // Both ends are in this process: what they share need not outlive it.
    let secret = format!("whsec_{}", STANDARD.encode(EventId::generate().to_string()));
    let listener = TcpListener::bind((host, 0)).await;
    let listener = listener.map_err(|error| format!("{host}: {error}"))?;
    let url = format!("http://{}/events", listener.local_addr()?);

    let route = Route::new("/events", Scheme::CloudEvents, &secret);
    let config = EndpointConfig::default().answer_timeout(PATIENCE);
    let (endpoint, consumer) = endpoint([route], config)?;
    tokio::spawn(serve(listener, endpoint));
    let config = WebhookConfig::new(secret).allow_http().allow_private();
    let broker = Webhook::new(&url, config.request_timeout(PATIENCE))?;
    Ok(Way { name, broker, consumer })
}

/// Serves until the process ends.
async fn serve(listener: TcpListener, endpoint: Endpoint) {
    while let Ok((stream, _)) = listener.accept().await {
        let endpoint = endpoint.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(receive(&endpoint, request).await) }
        });
        let http = http1::Builder::new();
        tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
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
