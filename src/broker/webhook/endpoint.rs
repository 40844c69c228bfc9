//! `Endpoint`: what an HTTP server hands its requests to. It answers each once the inbox
//! knows what became of the event.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::delivered::{Delivered, Refusal};
use super::hooks::{Arrived, Hooks, Reply};
use super::route::{Checked, Route, SOURCE};
use super::scheme::{Read, Scheme};
use crate::Envelope;
use crate::broker::ConfigError;
use crate::broker::wait::check_wait;
use crate::sleep::after;
use crate::state::Pending;

/// What an endpoint takes, and how long it lets a sender wait. Everything has a default.
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until it is passed to `endpoint`"]
pub struct EndpointConfig {
    pub(super) answer_timeout: Duration,
    pub(super) tolerance: Duration,
    pub(super) largest_body: usize,
    pub(super) capacity: usize,
}

impl Default for EndpointConfig {
    /// 8 s for an answer, 5 minutes between signature and arrival, 25 MiB for a body, and
    /// room for 100 events that nobody has taken.
    fn default() -> Self {
        Self {
            answer_timeout: Duration::from_secs(8),
            tolerance: Duration::from_secs(5 * 60),
            largest_body: 25 * 1024 * 1024,
            capacity: 100,
        }
    }
}

impl EndpointConfig {
    /// How long a sender waits for its answer, at the most. Then it is answered 503, and
    /// sends the event again: a duplicate, where it was only slow. Let it be shorter than
    /// the sender's own patience: GitHub waits 10 s, Shopify 5 s, Slack 3 s.
    pub fn answer_timeout(self, answer_timeout: Duration) -> Self {
        Self { answer_timeout, ..self }
    }

    /// How old a signature may be, and how far ahead the sender's clock. A request that an
    /// attacker has recorded is refused later.
    pub fn tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// How many bytes a body may have. GitHub sends up to 25 MiB.
    pub fn largest_body(self, largest_body: usize) -> Self {
        Self { largest_body, ..self }
    }

    /// How many events may wait that the worker has not taken. The sender of one more waits
    /// for room, and is answered 429 where there is none in time.
    pub fn capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    fn check(&self) -> Result<(), ConfigError> {
        /// More than this many senders wait for nothing.
        const LARGEST_CAPACITY: usize = 1_000_000;
        check_wait("answer_timeout", self.answer_timeout, Duration::from_millis(1))?;
        check_wait("tolerance", self.tolerance, Duration::from_secs(1))?;
        if self.largest_body == 0 {
            return Err(ConfigError::new("largest_body", "at least 1", "0"));
        }
        if !(1..=LARGEST_CAPACITY).contains(&self.capacity) {
            let wanted = format!("between 1 and {LARGEST_CAPACITY}");
            return Err(ConfigError::new("capacity", wanted, self.capacity.to_string()));
        }
        Ok(())
    }
}

/// An endpoint for webhooks, and the events that arrive there: the one for an HTTP server,
/// the other for a worker.
///
/// # Errors
///
/// [`ConfigError`], where a route or a setting cannot be kept, or two routes have one path
/// or one source.
///
/// ```
/// use http::{Request, StatusCode};
/// use integration_automation_patterns::broker::webhook::{
///     EndpointConfig, Route, Scheme, endpoint,
/// };
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let github = Route::new("/github", Scheme::GitHub, "a secret");
/// let (endpoint, hooks) = endpoint([github], EndpointConfig::default())?;
///
/// let forged = Request::post("/github").body(b"{}")?;
/// assert_eq!(endpoint.receive(&forged).await.status(), StatusCode::UNAUTHORIZED);
/// # drop(hooks);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn endpoint(
    routes: impl IntoIterator<Item = Route>,
    config: EndpointConfig,
) -> Result<(Endpoint, Hooks), ConfigError> {
    config.check()?;
    let mut checked = BTreeMap::<Arc<str>, Checked>::new();
    let mut sources = BTreeSet::new();
    for route in routes {
        let (path, route) = route.check()?;
        const WANTED: &str = "one that no other route has";
        if checked.contains_key(path.as_str()) {
            return Err(ConfigError::new("path", WANTED, path));
        }
        if !route.source.is_empty() && !sources.insert(route.source.clone()) {
            return Err(ConfigError::new(SOURCE, WANTED, route.source));
        }
        checked.insert(Arc::from(path), route);
    }
    let (sender, arrived) = mpsc::channel(config.capacity);
    let hooks = Hooks { arrived, answer_timeout: config.answer_timeout };
    let inner = Inner { routes: checked, sources, config, sender };
    Ok((Endpoint { inner: Arc::new(inner) }, hooks))
}

/// Where webhooks arrive: an HTTP server hands it its requests. A clone is the same one.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

struct Inner {
    routes: BTreeMap<Arc<str>, Checked>,
    /// Of all routes that have one.
    sources: BTreeSet<String>,
    config: EndpointConfig,
    sender: mpsc::Sender<Arrived>,
}

/// How soon a sender may try again, where nothing else is asked for.
const SOON: Duration = Duration::from_secs(1);
/// The event was not handled.
const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
/// The senders are too fast.
const FULL: StatusCode = StatusCode::TOO_MANY_REQUESTS;

impl Endpoint {
    /// How many bytes of a body the server reads at most. Answer a larger one 413 without
    /// reading it all.
    pub fn largest_body(&self) -> usize {
        self.inner.config.largest_body
    }

    /// Takes a request with its whole body, as it came, and gives the answer to it.
    ///
    /// | answer | when |
    /// |---|---|
    /// | 204 | the inbox has the event, now or before |
    /// | 503, with `retry-after` | its handler has failed or is too slow, or there is no worker |
    /// | 429, with `retry-after` | [`capacity`](EndpointConfig::capacity) is used up |
    /// | 401 | the signature or the token is missing, too old, or another |
    /// | 403 | a CloudEvent states a source that is not its sender's ([`Route::source`]) |
    /// | 400, 415 | the sender is known, and the request is no event, or in a form that cannot be read |
    /// | 413 | the body is larger than [`largest_body`](Self::largest_body) |
    /// | 404, 405 | there is no such route, or not for this method |
    /// | 200 | Slack's `url_verification`, or a handshake of CloudEvents |
    ///
    /// The body of a refusal says why. Dropped while it waits, it is as if the connection
    /// had broken: the sender sends again.
    pub async fn receive<B: AsRef<[u8]>>(
        &self,
        request: &Request<B>,
    ) -> Response<String> {
        let path = request.uri().path();
        let Some((path, route)) = self.inner.routes.get_key_value(path) else {
            return answer(StatusCode::NOT_FOUND, "no webhook is expected here");
        };
        if request.method() == Method::OPTIONS && route.scheme == Scheme::CloudEvents {
            return handshake(route, request);
        }
        if request.method() != Method::POST {
            let mut refused =
                answer(StatusCode::METHOD_NOT_ALLOWED, "a webhook is a POST");
            let methods = HeaderValue::from_static(route.scheme.methods());
            refused.headers_mut().insert(ALLOW, methods);
            return refused;
        }
        match self.inner.read(route, request) {
            Err(Refusal { status, why }) => answer(status, why),
            Ok(Read::Challenge(challenge)) => answer(StatusCode::OK, challenge),
            Ok(Read::Event(event)) => self.inner.deliver(event, path).await,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("routes", &self.inner.routes.keys())
            .field("config", &self.inner.config)
            .finish()
    }
}

impl Inner {
    fn read<B: AsRef<[u8]>>(
        &self,
        route: &Checked,
        request: &Request<B>,
    ) -> Result<Read, Refusal> {
        let (body, largest) = (request.body().as_ref(), self.config.largest_body);
        if body.len() > largest {
            let why = format!("a body has {largest} bytes at the most");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let delivered = Delivered::new(request.headers(), body, Utc::now());
        let verified = route.verify(delivered, request.uri().query(), &self.config)?;
        let read = route.scheme.read(&route.source, &verified)?;
        match &read {
            Read::Event(event) if !route.takes(event.source_system(), &self.sources) => {
                let source = event.source_system();
                let why = format!("this route takes no event from the source {source}");
                Err(Refusal::new(StatusCode::FORBIDDEN, why))
            }
            Read::Event(_) | Read::Challenge(_) => Ok(read),
        }
    }

    /// Hands an event to the worker, and waits for what becomes of it.
    async fn deliver(
        &self,
        event: Envelope<Pending>,
        path: &Arc<str>,
    ) -> Response<String> {
        let until: Instant = after(self.config.answer_timeout);
        let (reply, replied) = oneshot::channel();
        let arrived = Arrived { event, path: Arc::clone(path), reply };
        match timeout_at(until, self.sender.send(arrived)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return again(BUSY, SOON, "no worker takes webhooks now"),
            Err(_) => return again(FULL, SOON, "too many webhooks wait"),
        }
        match timeout_at(until, replied).await {
            Ok(Ok(Reply::Stored)) => answer(StatusCode::NO_CONTENT, ""),
            Ok(Ok(Reply::Again(after))) => again(BUSY, after, "it was not handled"),
            Ok(Err(_)) => again(BUSY, SOON, "it was not handled"),
            Err(_) => again(BUSY, SOON, "it was not handled in time"),
        }
    }
}

fn answer(status: StatusCode, body: impl Into<String>) -> Response<String> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    if !answer.body().is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, plain);
    }
    answer
}

fn again(status: StatusCode, after: Duration, why: &str) -> Response<String> {
    let mut answer = answer(status, why);
    let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    answer
}

/// The answer to a sender of CloudEvents that asks whether it may send. Without the
/// headers, it may not.
fn handshake<B>(route: &Checked, request: &Request<B>) -> Response<String> {
    let mut answer = answer(StatusCode::OK, "");
    let headers = answer.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(route.scheme.methods()));
    let origin = request.headers().get("webhook-request-origin");
    let is_allowed =
        |origin: &HeaderValue| origin.to_str().is_ok_and(|one| route.allows(one));
    if let Some(origin) = origin.filter(|origin| is_allowed(origin)) {
        headers.insert("webhook-allowed-origin", origin.clone());
        headers.insert("webhook-allowed-rate", HeaderValue::from_static("*"));
    }
    answer
}
