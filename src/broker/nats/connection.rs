//! One connection: how it is made, what the server says on it beside its answers, and a
//! bound for each question.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::rustls;
use async_nats::{
    AuthError, Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, HeaderMap,
    Message, Request, RequestError, RequestErrorKind, ServerAddr, ServerError,
    Subscriber,
};
use tokio::sync::watch;
use tokio::time::timeout;

use super::credentials::Credentials;
use super::servers::Trust;
use crate::broker::BrokerError;
use crate::reason::reason;

/// What the questions to JetStream itself begin with.
pub(super) const API: &str = "$JS.API";

#[derive(Clone)]
pub(super) struct Connection {
    pub(super) client: Client,
    heard: Arc<Heard>,
    request_timeout: Duration,
}

/// Why a question has no answer.
pub(super) enum Unanswered {
    /// The connection was lost meanwhile.
    Lost,
    /// Nobody listens to such questions.
    NoResponders,
    /// The server refuses to take it: what it says.
    Forbidden(String),
    /// It is more than the server takes in one message.
    TooLarge(String),
    /// No answer came, and why.
    Silence(String),
}

/// A subject as the server writes it in a complaint: without the quotes, it would be
/// found in a longer one too.
fn quoted(subject: &str) -> String {
    format!("{subject:?}")
}

/// What the server says beside its answers.
#[derive(Default)]
struct Heard {
    lost: watch::Sender<bool>,
    complaints: watch::Sender<Complaints>,
}

/// What the server has refused to do. It says so beside the answers, and never answers
/// what it refuses.
#[derive(Default)]
struct Complaints {
    count: u64,
    last: VecDeque<(u64, String)>,
}

impl Complaints {
    const KEPT: usize = 512;

    fn add(&mut self, complaint: String) {
        self.count = self.count.saturating_add(1);
        self.last.push_back((self.count, complaint));
        if self.last.len() > Self::KEPT {
            self.last.pop_front();
        }
    }

    /// The last one that speaks of `subject` and came after so many others.
    fn of(&self, subject: &str, after: u64) -> Option<String> {
        let mut newer = self.last.iter().rev().take_while(|(number, _)| *number > after);
        newer
            .find(|(_, complaint)| complaint.contains(subject))
            .map(|(_, complaint)| complaint.clone())
    }
}

/// Tells of the connection's end, however the client ends it.
struct Telling(Arc<Heard>);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.lost.send_replace(true);
    }
}

impl Telling {
    fn event(&self, event: Event) {
        match event {
            Event::Disconnected | Event::Closed => {
                self.0.lost.send_replace(true);
            }
            Event::ServerError(ServerError::Other(complaint)) => {
                self.0.complaints.send_modify(|complaints| complaints.add(complaint));
            }
            _ => {}
        }
    }
}

/// How a connection is made: everything that it needs, for a task of its own.
pub(super) struct Connecting {
    pub(super) addresses: Vec<ServerAddr>,
    pub(super) credentials: Credentials,
    pub(super) trust: Trust,
    pub(super) only_tls: bool,
    pub(super) within: Duration,
    pub(super) request_timeout: Duration,
    /// Where, and as whom, for the reason of a failure.
    pub(super) told: String,
}

impl Connecting {
    pub(super) async fn connect(self) -> Result<Connection, String> {
        let (told, within) = (self.told.clone(), self.within);
        let made =
            timeout(within, self.dial()).await.unwrap_or_else(|_| Err(late(within)));
        made.map_err(|why| format!("{told}: {why}"))
    }

    async fn dial(self) -> Result<Connection, String> {
        let heard = Arc::new(Heard::default());
        let (telling, credentials) =
            (Arc::new(Telling(Arc::clone(&heard))), self.credentials);
        let made = Arc::new(AtomicBool::new(false));
        let is_made = Arc::clone(&made);
        // The client's own recovery ends here: what was given up must not be sent later.
        // The next send connects anew.
        let sign_in = move |nonce: Vec<u8>| {
            let answer = match is_made.load(Ordering::SeqCst) {
                true => Err(AuthError::new("the connection was lost")),
                false => credentials.answer(&nonce),
            };
            std::future::ready(answer)
        };
        let servers = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut options = ConnectOptions::with_auth_callback(sign_in)
            .connection_timeout(self.within.checked_div(servers).unwrap_or(self.within))
            .request_timeout(None)
            .ping_interval(
                self.request_timeout
                    .clamp(Duration::from_secs(1), Duration::from_secs(10)),
            )
            .max_reconnects(self.addresses.len())
            .ignore_discovered_servers()
            .require_tls(self.only_tls)
            .event_callback(move |event| {
                telling.event(event);
                std::future::ready(())
            });
        if let Some(tls) = self.trust.config {
            options = options.tls_client_config(tls);
        }
        let client = options.connect(self.addresses.as_slice()).await;
        let client = client.map_err(|error| match error.kind() {
            // The client's own time is over as soon as ours, and it does not say what it
            // was.
            ConnectErrorKind::TimedOut => late(self.within),
            _ => refusal(&error, self.trust.nobody.as_deref()),
        })?;
        made.store(true, Ordering::SeqCst);
        let connection =
            Connection { client, heard, request_timeout: self.request_timeout };
        connection.hears().await?;
        Ok(connection)
    }
}

fn late(within: Duration) -> String {
    format!("no connection within {within:?}")
}

/// What a connection was refused for.
fn refusal(error: &ConnectError, nobody: Option<&str>) -> String {
    if error.kind() == ConnectErrorKind::AuthorizationViolation {
        return "authorization violation: the server knows no such login".to_owned();
    }
    let why = reason(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let tls =
            error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match tls.and_then(|error| error.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                let without = (!cfg!(feature = "tls")).then_some(
                    "let integration-automation-patterns have its feature tls",
                );
                return without
                    .or(nobody)
                    .map_or_else(|| why.clone(), |more| format!("{why}: {more}"));
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                return format!("{why}: the server speaks no TLS there");
            }
            _ => cause = error.source(),
        }
    }
    why
}

impl Connection {
    pub(super) fn is_alive(&self) -> bool {
        !*self.heard.lost.borrow() && self.client.connection_state() == State::Connected
    }

    /// Whether this program may hear answers at all: without that, what is sent is stored
    /// and never confirmed.
    async fn hears(&self) -> Result<(), String> {
        const NOT_HEARD: &str = "Permissions Violation for Subscription";
        let asked = format!("{API}.INFO");
        match self
            .until(
                &[NOT_HEARD, &quoted(&asked)],
                self.client.request(asked.clone(), "".into()),
            )
            .await
        {
            Err(Unanswered::Forbidden(why)) if why.contains(NOT_HEARD) => {
                Err(format!("the server's answers cannot be heard: {why}"))
            }
            // Whoever may not ask this has heard that.
            Ok(_) | Err(Unanswered::Forbidden(_)) => Ok(()),
            Err(Unanswered::Silence(why)) => Err(why),
            Err(_) => Err("the connection was lost".to_owned()),
        }
    }

    /// What is answered; nothing for longer than the time of an answer, past the end of
    /// the connection, or past a complaint of the server that speaks of one of these.
    async fn until<T>(
        &self,
        complaints: &[&str],
        answer: impl Future<Output = T>,
    ) -> Result<T, Unanswered> {
        let (mut lost, mut said) =
            (self.heard.lost.subscribe(), self.heard.complaints.subscribe());
        let before = said.borrow().count;
        let of = |said: &Complaints| {
            complaints.iter().find_map(|subject| said.of(subject, before))
        };
        tokio::select! {
            biased;
            answer = timeout(self.request_timeout, answer) => answer.map_err(|_| self.silence()),
            Ok(said) = said.wait_for(|said| of(said).is_some()) => {
                Err(of(&said).map_or_else(|| self.silence(), Unanswered::Forbidden))
            }
            _ = lost.wait_for(|lost| *lost) => Err(Unanswered::Lost),
        }
    }

    fn silence(&self) -> Unanswered {
        let said = self
            .heard
            .complaints
            .borrow()
            .last
            .back()
            .map(|(_, said)| format!(" (it has said: {said})"));
        let (within, said) = (self.request_timeout, said.unwrap_or_default());
        Unanswered::Silence(format!("the server did not answer within {within:?}{said}"))
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(
        &self,
        subject: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Message, Unanswered> {
        let mut request = Request::new().payload(body.into());
        if !headers.is_empty() {
            request = request.headers(headers);
        }
        match self
            .until(
                &[&quoted(subject)],
                self.client.send_request(subject.to_owned(), request),
            )
            .await?
        {
            Ok(message) => Ok(message),
            Err(error) => Err(self.unanswered(&error)),
        }
    }

    fn unanswered(&self, error: &RequestError) -> Unanswered {
        match error.kind() {
            RequestErrorKind::NoResponders => Unanswered::NoResponders,
            RequestErrorKind::MaxPayloadExceeded => Unanswered::TooLarge(reason(error)),
            RequestErrorKind::Other if !self.is_alive() => Unanswered::Lost,
            _ => Unanswered::Silence(reason(error)),
        }
    }

    /// Asks JetStream itself.
    pub(super) async fn api(
        &self,
        verb: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, BrokerError> {
        let answer = self.ask(&format!("{API}.{verb}"), HeaderMap::new(), body).await;
        answer.map(|message| message.payload.to_vec()).map_err(|unanswered| match unanswered {
            Unanswered::Lost => BrokerError::unreachable("the connection was lost"),
            Unanswered::NoResponders => {
                BrokerError::unavailable("JetStream is not there for this login: no responders to its questions")
            }
            Unanswered::Forbidden(why) => BrokerError::unavailable(why),
            Unanswered::TooLarge(why) | Unanswered::Silence(why) => BrokerError::transient(why),
        })
    }

    /// Tells, and waits for no answer.
    pub(super) async fn publish(
        &self,
        subject: String,
        reply: Option<String>,
        body: String,
    ) -> Result<(), Unanswered> {
        let told = async {
            match reply {
                Some(reply) => {
                    self.client.publish_with_reply(subject, reply, body.into()).await
                }
                None => self.client.publish(subject, body.into()).await,
            }
        };
        self.until(&[], told).await?.map_err(|error| Unanswered::Silence(reason(&error)))
    }

    pub(super) async fn subscribe(
        &self,
        inbox: String,
    ) -> Result<Subscriber, BrokerError> {
        match self.until(&[], self.client.subscribe(inbox)).await {
            Ok(subscribed) => {
                subscribed.map_err(|error| BrokerError::unreachable(reason(&error)))
            }
            Err(Unanswered::Silence(why)) => Err(BrokerError::unreachable(why)),
            Err(_) => Err(BrokerError::unreachable("the connection was lost")),
        }
    }

    /// Complaints from now on.
    pub(super) fn listening(&self) -> Listening {
        let complaints = self.heard.complaints.subscribe();
        let before = complaints.borrow().count;
        Listening { lost: self.heard.lost.subscribe(), complaints, before }
    }
}

/// What is heard of a connection, from a moment on.
pub(super) struct Listening {
    lost: watch::Receiver<bool>,
    complaints: watch::Receiver<Complaints>,
    before: u64,
}

impl Listening {
    /// The end of the connection, or a complaint that speaks of `subject`.
    pub(super) async fn bad_news(&mut self, subject: &str) -> Unanswered {
        let (before, subject) = (self.before, quoted(subject));
        tokio::select! {
            biased;
            Ok(said) = self.complaints.wait_for(|said| said.of(&subject, before).is_some()) => {
                said.of(&subject, before).map_or(Unanswered::Lost, Unanswered::Forbidden)
            }
            _ = self.lost.wait_for(|lost| *lost) => Unanswered::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_found_by_its_subject_and_not_twice() {
        let mut complaints = Complaints::default();
        for number in 0..Complaints::KEPT {
            complaints
                .add(format!("Permissions Violation for Publish to \"crm.{number}\""));
        }
        assert!(complaints.of("\"crm.7\"", 0).is_some());
        assert!(complaints.of("\"crm.7\"", 8).is_none(), "it was there before");
        assert!(complaints.of("\"crm\"", 0).is_none());
    }

    #[tokio::test]
    async fn what_is_refused_of_another_consumer_is_no_news() {
        let heard = Heard::default();
        let complain = |consumer: &str| {
            let complaint = format!(
                "Permissions Violation for Publish to \"$JS.API.CONSUMER.MSG.NEXT.crm.{consumer}\""
            );
            heard.complaints.send_modify(|complaints| complaints.add(complaint));
        };
        let (lost, complaints) = (heard.lost.subscribe(), heard.complaints.subscribe());
        let mut listening = Listening { lost, complaints, before: 0 };
        complain("erp2");
        let soon = Duration::from_millis(1);
        assert!(
            timeout(soon, listening.bad_news("$JS.API.CONSUMER.MSG.NEXT.crm.erp"))
                .await
                .is_err()
        );
        complain("erp");
        assert!(matches!(
            listening.bad_news("$JS.API.CONSUMER.MSG.NEXT.crm.erp").await,
            Unanswered::Forbidden(why) if why.ends_with("erp\"")
        ));
    }
}
