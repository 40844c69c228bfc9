//! NATS, with JetStream: an event is sent when the stream has stored it.
//!
//! An event goes to the subject `{prefix}.{event type}`, in CloudEvents binary mode. `Nats-Msg-Id` is its source and id,
//! by which the server drops what it has stored already within the stream's duplicate window; to the sender that is a
//! success. The guide's chapter [on brokers](crate::guide::brokers) shows it in use.
//!
//! **Subjects.** In a subject, `.` parts tokens, and no token is empty. So a dot that begins or ends the type, or follows
//! another dot, is written `%2E`, and whatever is not printable ASCII, `*`, `>` and `%` are percent-encoded too. The type
//! itself is unchanged in the header `ce-type`.
//!
//! ```no_run
//! use integration_automation_patterns::broker::nats::{Nats, Settings};
//! use integration_automation_patterns::broker::{Answer, Broker, Consumer};
//! use integration_automation_patterns::{Envelope, Untyped};
//! use std::time::Duration;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let nats = Nats::new("nats://127.0.0.1:4222", Settings::new("crm"))?; // connects when it is first used
//! nats.create_stream(Duration::from_secs(2 * 60)).await?;
//!
//! let event = Envelope::builder("crm", Untyped::new("lead.created", b"{}")).build()?.dispatch();
//! nats.send(&event).await?; // to crm.lead.created
//!
//! let mut listener = nats.listen("erp")?;
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "lead.created");
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, AckKind, Context, ContextBuilder, ErrorCode, stream};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, RequestErrorKind, ServerAddr, Subject};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::link::Link;
use super::{Answer, Broker, Consumer, Delivery, Found, SendError, Unusable, read_message};
use crate::cloudevents::{Binding, CloudEvent};
use crate::state::{Dispatched, Pending};
use crate::{Envelope, Facts, Untyped};

/// The longest subject: with it, what the server reads as one line stays within its default of 4,096 bytes. Beyond that
/// the server ends the connection, and every other send with it.
const LONGEST_SUBJECT: usize = 2048;

/// The longest wait that is asked of the server.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long a listener waits at least between two tries to begin, so that a loop around it does not spin.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Which stream, and how long to wait for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing before an adapter has them"]
pub struct Settings {
    stream: String,
    prefix: String,
    connect_within: Duration,
    answer_within: Duration,
}

impl Settings {
    /// The stream of this name, with subjects that begin with its name; 3 s to connect, and 5 s for an answer.
    ///
    /// A relay waits 10 s for a send where nothing else is said. Stay below it: a send that it gives up counts as an
    /// attempt, and one that finds the server gone does not.
    pub fn new(stream: impl Into<String>) -> Self {
        let stream = stream.into();
        Self {
            prefix: stream.clone(),
            stream,
            connect_within: Duration::from_secs(3),
            answer_within: Duration::from_secs(5),
        }
    }

    /// What subjects begin with, in place of the stream's name.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// How long a connection may take to be made.
    pub fn connect_within(self, connect_within: Duration) -> Self {
        Self { connect_within, ..self }
    }

    /// How long the server may take to answer. Then the attempt has failed.
    pub fn answer_within(self, answer_within: Duration) -> Self {
        Self { answer_within, ..self }
    }

    fn check(self) -> Result<Self, Unusable> {
        is_name(&self.stream).then_some(()).ok_or_else(|| Unusable::new("stream", NAME, &self.stream))?;
        let is_prefix = self.prefix.split('.').all(is_name);
        is_prefix.then_some(()).ok_or_else(|| Unusable::new("prefix", PREFIX, &self.prefix))?;
        Ok(self)
    }
}

const NAME: &str = "a name of printable ASCII without . * > / \\ %";
const PREFIX: &str = "names of printable ASCII without * > / \\ %, with dots between";

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b".*>/\\%".contains(&byte);
    !name.is_empty() && name.bytes().all(is_plain)
}

/// A connection to NATS, made when it is first needed and made anew once it is broken. A clone shares it.
#[derive(Clone)]
pub struct Nats {
    inner: Arc<Inner>,
}

struct Inner {
    servers: Vec<ServerAddr>,
    settings: Settings,
    link: Link<Connection>,
}

#[derive(Clone)]
struct Connection {
    context: Context,
    /// Whether the connection was lost.
    lost: watch::Receiver<bool>,
}

impl Connection {
    fn client(&self) -> Client {
        self.context.client()
    }

    fn is_alive(&self) -> bool {
        !*self.lost.borrow() && self.client().connection_state() == State::Connected
    }

    /// What `answer` gives; nothing where the connection is lost meanwhile.
    async fn unless_lost<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let mut lost = self.lost.clone();
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            _ = lost.wait_for(|lost| *lost) => None,
        }
    }
}

impl Nats {
    /// The servers of one cluster, as `nats://user:password@host:4222` or `tls://token@host:4222`, with commas between
    /// them. Nothing is connected before it is needed.
    ///
    /// # Errors
    ///
    /// [`Unusable`], where an address or a setting is none.
    ///
    /// ```
    /// use integration_automation_patterns::broker::nats::{Nats, Settings};
    ///
    /// assert!(Nats::new("127.0.0.1", Settings::new("crm")).is_ok());
    /// let refused = Nats::new("127.0.0.1", Settings::new("crm.leads")).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     r#"the stream is to be a name of printable ASCII without . * > / \ %, and found "crm.leads""#
    /// );
    /// ```
    pub fn new(servers: &str, settings: Settings) -> Result<Self, Unusable> {
        // What was found is not shown: it may hold a password.
        let unusable = || Unusable::new("address of a server", "nats://host:4222 or tls://host:4222", "something else");
        let servers: Vec<ServerAddr> =
            servers.split(',').map(|server| server.trim().parse().map_err(|_| unusable())).collect::<Result<_, _>>()?;
        Ok(Self { inner: Arc::new(Inner { servers, settings: settings.check()?, link: Link::default() }) })
    }

    /// Creates the stream where it is missing: in files, on one server, without limits, with every subject that begins
    /// with the prefix. A stream that must have more (replicas, a greatest age) is created by its operator.
    ///
    /// `duplicate_window` is how long the server knows an event that it has stored: what a relay sends again within it
    /// is stored once. It does not stand in for an inbox, which knows every duplicate for as long as its rules say.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](super::SendErrorKind::Unreachable); [`Permanent`](super::SendErrorKind::Permanent) where a stream of this name has another window or does not
    /// take the subjects in; [`Transient`](super::SendErrorKind::Transient) for whatever else the server answers.
    pub async fn create_stream(&self, duplicate_window: Duration) -> Result<(), SendError> {
        let connection = self.inner.connection().await?;
        let settings = &self.inner.settings;
        let subject = format!("{}.>", settings.prefix);
        let wanted = stream::Config {
            name: settings.stream.clone(),
            subjects: vec![subject.clone()],
            duplicate_window,
            ..stream::Config::default()
        };
        let stream = connection.context.get_or_create_stream(wanted).await;
        let stream =
            stream.map_err(|error| SendError::transient(format!("the stream {}: {error}", settings.stream)))?;
        let found = &stream.cached_info().config;
        if found.duplicate_window != duplicate_window || !found.subjects.contains(&subject) {
            return Err(SendError::permanent(format!(
                "the stream {} was to have the duplicate window {duplicate_window:?} and the subject {subject}, and has \
                 {:?} and {}: change it, or say so here",
                settings.stream,
                found.duplicate_window,
                found.subjects.join(", ")
            )));
        }
        Ok(())
    }

    /// A consumer of the stream, under a durable name: listeners of one name share its events, each name gets them all.
    ///
    /// # Errors
    ///
    /// [`Unusable`], where the name is none.
    pub fn listen(&self, durable: impl Into<String>) -> Result<Listener, Unusable> {
        let durable = durable.into();
        if !is_name(&durable) {
            return Err(Unusable::new("durable name", NAME, durable));
        }
        Ok(Listener {
            inner: Arc::clone(&self.inner),
            durable,
            only: ">".to_owned(),
            answer_after: Duration::from_secs(30),
            unanswered: 100,
            session: None,
            not_before: None,
        })
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Inner {
    async fn connection(&self) -> Result<Connection, SendError> {
        let settings = &self.settings;
        let (servers, connect_within, answer_within) =
            (self.servers.clone(), settings.connect_within, settings.answer_within);
        let connect = async move {
            let (tell, lost) = watch::channel(false);
            let tell = Arc::new(tell);
            let options = ConnectOptions::new()
                .connection_timeout(connect_within)
                .request_timeout(Some(answer_within))
                .ping_interval(Duration::from_secs(10))
                // Each server is tried once. The client's own recovery would go on for ever, and end for good where the
                // server refuses the credentials for a moment; here the next send connects.
                .max_reconnects(servers.len())
                .event_callback(move |event| {
                    if matches!(event, Event::Disconnected | Event::Closed) {
                        tell.send_replace(true);
                    }
                    std::future::ready(())
                });
            let client = options.connect(servers.as_slice()).await?;
            let context = ContextBuilder::new().timeout(answer_within).build(client);
            Ok::<_, async_nats::ConnectError>(Connection { context, lost })
        };
        self.link.get(Connection::is_alive, connect_within, connect).await
    }

    async fn publish(&self, event: &Envelope<Dispatched>) -> Result<(), SendError> {
        let event = CloudEvent::of(event);
        let subject = subject(&self.settings.prefix, event.event_type());
        if subject.len() > LONGEST_SUBJECT {
            let length = subject.len();
            let reason =
                format!("a subject has at most {LONGEST_SUBJECT} bytes, and that of this event's type has {length}");
            return Err(SendError::permanent(reason));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in event.headers(Binding::Nats) {
            headers.insert(name, &*value);
        }
        // In the binding's form, neither holds a blank: no two events have the same text.
        let attribute = |name: &str| headers.get(name).map(ToString::to_string).unwrap_or_default();
        let message_id = format!("{} {}", attribute("ce-source"), attribute("ce-id"));
        let message = PublishMessage::build()
            .headers(headers)
            .message_id(message_id)
            .expected_stream(&self.settings.stream)
            .payload(event.into_data().into());

        let connection = self.connection().await?;
        let stored = async { connection.context.send_publish(subject.clone(), message).await?.await };
        match connection.unless_lost(stored).await {
            // A duplicate is an event that the stream has: what was wanted.
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(self.refusal(&subject, &error)),
            None => Err(SendError::transient("the connection was lost before the server had confirmed")),
        }
    }

    fn refusal(&self, subject: &str, error: &async_nats::jetstream::context::PublishError) -> SendError {
        use std::error::Error as _;
        let stream = &self.settings.stream;
        let answer = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
        match (error.kind(), answer.map(jetstream::Error::error_code)) {
            (PublishErrorKind::MaxPayloadExceeded, _) => SendError::permanent(error.to_string()),
            (_, Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM)) => {
                SendError::permanent(format!("the stream {stream}: {error}"))
            }
            (PublishErrorKind::StreamNotFound, _) => SendError::transient(format!(
                "no stream takes in {subject}: create the stream {stream}, or let it have this subject"
            )),
            (_, Some(ErrorCode::STREAM_NOT_MATCH)) => {
                SendError::transient(format!("another stream than {stream} takes in {subject}: {error}"))
            }
            _ => SendError::transient(error.to_string()),
        }
    }

    /// Tells the server what became of a delivery, and waits for its answer to that.
    async fn answer(&self, reply: &Subject, kind: AckKind) -> Result<(), SendError> {
        let connection = self.connection().await?;
        let client = connection.client();
        let answered = client.request(reply.clone(), kind.into());
        match connection.unless_lost(answered).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                Err(SendError::transient("the consumer that made this delivery is gone from the server"))
            }
            Some(Err(error)) => Err(SendError::transient(error.to_string())),
            None => Err(SendError::transient("the connection was lost before the server had answered")),
        }
    }
}

impl Broker for Nats {
    const SYSTEM: &'static str = "nats";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), SendError> {
        self.inner.publish(event).await
    }

    fn destination(&self, event: &Facts<Untyped>) -> Option<Cow<'_, str>> {
        Some(subject(&self.inner.settings.prefix, event.event_type()).into())
    }
}

/// The subject of an event type.
fn subject(prefix: &str, event_type: &str) -> String {
    let mut subject = format!("{prefix}.");
    let mut rest = event_type.chars().peekable();
    while let Some(c) = rest.next() {
        let is_plain = match c {
            '.' => !subject.ends_with('.') && rest.peek().is_some(),
            '*' | '>' | '%' => false,
            c => c.is_ascii_graphic(),
        };
        if is_plain {
            subject.push(c);
        } else {
            let mut room = [0; 4];
            for byte in c.encode_utf8(&mut room).bytes() {
                // A text takes whatever is written to it.
                let _ = write!(subject, "%{byte:02X}");
            }
        }
    }
    subject
}

/// The receiving side: a durable pull consumer with an answer for each message.
///
/// What is not answered within [`answer_after`](Self::answer_after) is delivered again, to any listener of the name.
pub struct Listener {
    inner: Arc<Inner>,
    durable: String,
    only: String,
    answer_after: Duration,
    unanswered: u16,
    session: Option<Session>,
    /// After a failure: when to connect again.
    not_before: Option<Instant>,
}

struct Session {
    connection: Connection,
    messages: pull::Stream,
}

impl Listener {
    /// Only event types of this pattern, as subjects have them behind the prefix: `lead.created`, `lead.*`, `lead.>`.
    #[must_use = "this gives the changed listener back"]
    pub fn only(self, pattern: impl Into<String>) -> Self {
        Self { only: pattern.into(), ..self }
    }

    /// How long the server waits for an answer before it delivers again: 30 s where nothing is said.
    #[must_use = "this gives the changed listener back"]
    pub fn answer_after(self, answer_after: Duration) -> Self {
        Self { answer_after, ..self }
    }

    /// How many deliveries may be without an answer at once, over all listeners of the name: 100 where nothing is said.
    /// With 1, the next event comes only when the one before is answered, so that a retry changes no order.
    #[must_use = "this gives the changed listener back"]
    pub fn unanswered(self, unanswered: u16) -> Self {
        Self { unanswered, ..self }
    }

    async fn open(&self) -> Result<Session, SendError> {
        let connection = self.inner.connection().await?;
        let settings = &self.inner.settings;
        let config = pull::Config {
            durable_name: Some(self.durable.clone()),
            ack_wait: self.answer_after,
            max_ack_pending: i64::from(self.unanswered.max(1)),
            filter_subject: format!("{}.{}", settings.prefix, self.only),
            ..pull::Config::default()
        };
        let refused = |error: String| {
            SendError::transient(format!("the consumer {} of the stream {}: {error}", self.durable, settings.stream))
        };
        let opened = async {
            let consumer = connection.context.create_consumer_on_stream(config, &settings.stream).await;
            let consumer = consumer.map_err(|error| refused(error.to_string()))?;
            let messages = consumer.stream().max_messages_per_batch(usize::from(self.unanswered.max(1)));
            messages.heartbeat(Duration::from_secs(5)).messages().await.map_err(|error| refused(error.to_string()))
        };
        let lost = || SendError::unreachable("the connection was lost");
        let messages = connection.unless_lost(opened).await.ok_or_else(lost)??;
        Ok(Session { connection, messages })
    }
}

impl Consumer for Listener {
    type Answer = Confirm;

    async fn next(&mut self) -> Result<Option<Delivery<Confirm>>, SendError> {
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                if let Some(at) = self.not_before {
                    sleep_until(at).await;
                }
                self.not_before = Instant::now().checked_add(BETWEEN_TRIES);
                let session = self.open().await?;
                self.session.insert(session)
            }
        };
        let failed = match session.connection.clone().unless_lost(session.messages.next()).await {
            Some(Some(Ok(message))) => {
                let info = message.info().map_err(|error| SendError::transient(error.to_string()))?;
                let (event, redelivered) = (read(&message, &info), info.delivered > 1);
                let reply = message.message.reply.ok_or_else(|| SendError::transient(NO_REPLY.to_owned()))?;
                let answer = Confirm { inner: Arc::clone(&self.inner), reply };
                let subject = message.message.subject.as_str().into();
                let delivery = Delivery::new(event, answer).from_broker(Nats::SYSTEM, Some(subject));
                return Ok(Some(delivery.redelivered(redelivered)));
            }
            Some(Some(Err(error))) => SendError::transient(error.to_string()),
            Some(None) => SendError::transient("the server ended the consumer"),
            None => SendError::unreachable("the connection was lost"),
        };
        self.session = None;
        Err(failed)
    }
}

const NO_REPLY: &str = "the server delivered a message that it wants no answer to";

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("durable", &self.durable).field("only", &self.only).finish_non_exhaustive()
    }
}

fn read(message: &jetstream::Message, info: &jetstream::message::Info<'_>) -> Envelope<Pending> {
    // A stream that was deleted and made again counts from 1 again: so the time too.
    let position = format!("{} {} {}", info.stream, info.stream_sequence, info.published.timestamp_micros());
    let found = Found { place: &message.subject, position: &position, at: info.published };
    let headers = message.headers.iter().flat_map(HeaderMap::iter);
    let headers = headers.flat_map(|(name, values)| values.iter().map(|value| (name.as_ref(), value.as_str())));
    read_message(Binding::Nats, headers, message.payload.to_vec(), &found)
}

/// The answer to a delivery of JetStream. It waits until the server has taken it in.
pub struct Confirm {
    inner: Arc<Inner>,
    reply: Subject,
}

impl Answer for Confirm {
    async fn confirm(self) -> Result<(), SendError> {
        self.inner.answer(&self.reply, AckKind::Ack).await
    }

    async fn retry(self, after: Duration) -> Result<(), SendError> {
        let after = Some(after).filter(|after| !after.is_zero());
        self.inner.answer(&self.reply, AckKind::Nak(after.map(|after| after.min(LONGEST_WAIT)))).await
    }
}

impl fmt::Debug for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirm").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::subject;

    #[test]
    fn every_event_type_has_a_subject_without_an_empty_token_or_a_wildcard() {
        for (event_type, wanted) in [
            ("crm.lead.created", "s.crm.lead.created"),
            ("lead", "s.lead"),
            (".a..b.", "s.%2Ea.%2Eb%2E"),
            (".", "s.%2E"),
            ("a*.>", "s.a%2A.%3E"),
            ("100%", "s.100%25"),
            ("Größe neu", "s.Gr%C3%B6%C3%9Fe%20neu"),
        ] {
            assert_eq!(subject("s", event_type), wanted);
        }
    }
}
