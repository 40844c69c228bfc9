//! The sending side's link, in the hands of a task: each event is passed to it with a
//! place for its answer.
//!
//! A send of the client's own never returns once its connection has died. Here every
//! event has its answer, since the link is dropped when it ends or falls silent.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fe2o3_amqp::link::SendError;
use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::types::definitions::SenderSettleMode;
use fe2o3_amqp::types::messaging::{Outcome, Source, Target};
use fe2o3_amqp::types::primitives::Symbol;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use super::config::Amqp1Config;
use super::connection::Connection;
use super::outcome::{Ended, of_outcome, of_send, of_sender_refused, wants_a_new_link};
use super::outgoing::Outgoing;
use super::server::Server;
use crate::broker::wait::LONGEST_WAIT;
use crate::broker::{BrokerError, BrokerErrorKind};

/// How long what a link leaves behind may take.
const TO_END: Duration = Duration::from_secs(1);

/// What a large event adds to the time in which the server must take it.
const SECONDS_FOR_A_MEBIBYTE: u64 = 1;

/// What a sender takes from a server: where it does not say so, Qpid Broker-J closes the
/// link instead of rejecting an event.
const OUTCOMES: [&str; 4] = [
    "amqp:accepted:list",
    "amqp:rejected:list",
    "amqp:released:list",
    "amqp:modified:list",
];

type Answer = oneshot::Sender<Result<(), BrokerError>>;

/// An event that waits for its turn.
struct Waiting {
    message: Outgoing,
    answer: Answer,
}

/// A link that events are sent on.
pub(super) struct Sender {
    events: mpsc::UnboundedSender<Waiting>,
    fate: Arc<Fate>,
}

/// What its task has to say of a link.
#[derive(Default)]
struct Fate {
    /// Another link may fare better.
    retired: AtomicBool,
    /// Why it has ended.
    ended: OnceLock<BrokerError>,
}

/// An event that a link did not take, since it had ended before, and why it had.
pub(super) struct Unsent {
    message: Outgoing,
    why: BrokerError,
}

/// Sends an event on a link; where that ended in the meantime, on one more. A server that
/// ends each new one at once is not asked for a third.
pub(super) async fn send<L>(
    message: Outgoing,
    mut link: impl FnMut() -> L,
) -> Result<(), BrokerError>
where
    L: Future<Output = Result<Arc<Sender>, BrokerError>>,
{
    let unsent = match link().await?.send(message).await {
        Ok(answered) => return answered,
        Err(unsent) => unsent,
    };
    let sent = link().await?.send(unsent.message).await;
    sent.unwrap_or_else(|unsent| Err(ends_at_once(&unsent.why)))
}

fn ends_at_once(why: &BrokerError) -> BrokerError {
    let said = format!(
        "{}; a new link ends at once, before it takes an event: the server's log says why",
        why.reason()
    );
    match why.kind() {
        BrokerErrorKind::Unavailable => BrokerError::unavailable(said),
        _ => BrokerError::unreachable(said),
    }
}

impl Sender {
    /// Connects, and attaches a link to the queue or topic.
    pub(super) async fn attach(
        server: &Server,
        config: &Amqp1Config,
    ) -> Result<Self, BrokerError> {
        let within = config.connect_timeout;
        let mut connection = Connection::open(server, within).await?;
        let capability = config.kind.capability();
        let place = format!("the {capability} {} of {server}", config.address);
        let source = Source::builder().outcomes(OUTCOMES.map(Symbol::from).to_vec());
        let target = Target::builder()
            .address(config.target())
            .capabilities(vec![Symbol::from(capability)]);
        let link = fe2o3_amqp::Sender::builder()
            .name(Uuid::now_v7().to_string())
            .source(source.build())
            .target(target.build())
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .attach(&mut connection.session);
        let link = match timeout(within, link).await {
            Ok(link) => link.map_err(|error| of_sender_refused(&error, &place))?,
            Err(_) => {
                let why = format!("{place}: no link within {within:?}");
                return Err(BrokerError::unreachable(why));
            }
        };
        let (events, waiting) = mpsc::unbounded_channel();
        let fate = Arc::<Fate>::default();
        let heard =
            Heard { place, within, fate: Arc::clone(&fate), last: Instant::now() };
        let on_its_way = FuturesUnordered::new();
        tokio::spawn(Task { link, connection, waiting, on_its_way, heard }.run());
        Ok(Self { events, fate })
    }

    /// Whether more can be sent on it.
    pub(super) fn is_alive(&self) -> bool {
        !self.events.is_closed() && !self.fate.retired.load(Ordering::Relaxed)
    }

    /// Sends an event and waits for what comes of it; or gives it back, where the link
    /// had ended before.
    async fn send(&self, message: Outgoing) -> Result<Result<(), BrokerError>, Unsent> {
        let (answer, answered) = oneshot::channel();
        if let Err(unsent) = self.events.send(Waiting { message, answer }) {
            let why = self.fate.ended.get().cloned();
            let why =
                why.unwrap_or_else(|| BrokerError::unreachable("the link has ended"));
            return Err(Unsent { message: unsent.0.message, why });
        }
        Ok(answered.await.unwrap_or_else(|_| {
            Err(BrokerError::transient("the link has ended, and nothing is known"))
        }))
    }
}

/// An event that was sent: what comes of it, and who waits for that.
type OnItsWay = FuturesUnordered<BoxFuture<'static, (Settled, Answer)>>;
type Settled = Result<Outcome, SendError>;

/// What the server was heard to say, and when.
struct Heard {
    place: String,
    within: Duration,
    fate: Arc<Fate>,
    /// When it last settled an event, or the first one was sent that it has to settle.
    last: Instant,
}

impl Heard {
    /// Passes on what came of an event; and says how the link has ended, where that did.
    fn settled(&mut self, settled: Settled, answer: Answer) -> Option<Ended> {
        self.last = Instant::now();
        let (answered, ended) = match settled {
            Ok(outcome) => {
                if wants_a_new_link(&outcome) {
                    self.fate.retired.store(true, Ordering::Relaxed);
                }
                (of_outcome(outcome, &self.place), None)
            }
            Err(error) => match of_send(&error) {
                Ok(ended) => (Err(ended.of_sent(&self.place)), Some(ended)),
                Err(refused) => (Err(refused), None),
            },
        };
        let _ = answer.send(answered);
        ended
    }

    /// When a server that has settled nothing since then, or since a later moment, counts
    /// as silent.
    fn silent_at(&self, since: Instant, patience: Duration) -> Instant {
        let since = since.max(self.last);
        since.checked_add(patience.min(LONGEST_WAIT)).unwrap_or(since)
    }

    /// How long the server may take to settle the next of the events sent to it.
    fn to_settle(&self) -> Duration {
        self.within.saturating_mul(2)
    }

    /// How long it may let an event of this size wait for credit.
    fn to_take(&self, size: usize) -> Duration {
        let mebibytes = u64::try_from(size >> 20).unwrap_or(u64::MAX);
        let seconds = mebibytes.saturating_mul(SECONDS_FOR_A_MEBIBYTE);
        self.within.saturating_add(Duration::from_secs(seconds))
    }
}

struct Task {
    link: fe2o3_amqp::Sender,
    connection: Connection,
    waiting: mpsc::UnboundedReceiver<Waiting>,
    on_its_way: OnItsWay,
    heard: Heard,
}

impl Task {
    async fn run(mut self) {
        let ended = loop {
            let to_settle = self.heard.to_settle();
            let silent_at = self.heard.silent_at(self.heard.last, to_settle);
            tokio::select! {
                biased;
                Some((settled, answer)) = self.on_its_way.next() => {
                    if let Some(ended) = self.heard.settled(settled, answer) {
                        break ended;
                    }
                }
                detached = self.link.on_detach() => break Ended::from(&detached),
                _ = self.connection.session.on_end() => break self.why_it_ended(),
                () = sleep_until(silent_at), if !self.on_its_way.is_empty() => {
                    let sent = self.on_its_way.len();
                    break Ended::Silent(format!(
                        "within {to_settle:?}, none of {sent} events was settled"
                    ));
                }
                next = self.waiting.recv() => match next {
                    Some(next) => if let Some(ended) = self.send(next).await {
                        break ended;
                    },
                    None => return self.end_in_peace().await,
                },
            }
        };
        self.end(&ended).await;
    }

    /// Sends an event as soon as the server takes one; and says how the link has ended,
    /// where that did.
    async fn send(&mut self, waiting: Waiting) -> Option<Ended> {
        let Waiting { message, answer } = waiting;
        if answer.is_closed() {
            return None; // given up before its turn
        }
        let began = Instant::now();
        let patience = self.heard.to_take(message.body.0.len());
        let mut sending = pin!(self.link.send_batchable(message));
        let sent = loop {
            tokio::select! {
                biased;
                sent = &mut sending => break Ok(sent),
                Some((settled, answer)) = self.on_its_way.next() => {
                    if let Some(ended) = self.heard.settled(settled, answer) {
                        break Err(ended);
                    }
                }
                _ = self.connection.session.on_end() => {
                    break Err(Ended::Lost("the session has ended".to_owned()));
                }
                () = sleep_until(self.heard.silent_at(began, patience)) => {
                    break Err(Ended::Silent(format!(
                        "it took no event within {patience:?}: it is full, or blocked"
                    )));
                }
            }
        };
        let ended = match sent {
            Ok(Ok(outcome)) => {
                if self.on_its_way.is_empty() {
                    self.heard.last = Instant::now();
                }
                self.on_its_way.push(on_its_way(outcome, answer));
                return None;
            }
            Ok(Err(error)) => match of_send(&error) {
                Ok(ended) => ended,
                Err(refused) => {
                    let _ = answer.send(Err(refused));
                    return None;
                }
            },
            Err(ended) => ended,
        };
        let _ = answer.send(Err(ended.of_unsent(&self.heard.place)));
        Some(ended)
    }

    /// The link's own words on the end of its session.
    fn why_it_ended(&mut self) -> Ended {
        match self.link.on_detach().now_or_never() {
            Some(detached) => Ended::from(&detached),
            None => Ended::Lost("the session has ended".to_owned()),
        }
    }

    /// Nobody sends any more: what is on its way may still be settled.
    async fn end_in_peace(mut self) {
        let to_settle = self.heard.to_settle();
        let settle = async {
            while let Some((settled, answer)) = self.on_its_way.next().await {
                self.heard.settled(settled, answer);
            }
        };
        let _ = timeout(to_settle, settle).await;
        let _ = timeout(TO_END, self.link.close()).await;
    }

    /// Drops the link, by which whatever is on its way gets its answer.
    async fn end(self, ended: &Ended) {
        let Self { link, connection, mut waiting, mut on_its_way, heard } = self;
        // Before the door is closed: whoever finds it closed asks why.
        let _ = heard.fate.ended.set(ended.of_unsent(&heard.place));
        waiting.close();
        drop(link);
        while let Ok(unsent) = waiting.try_recv() {
            let _ = unsent.answer.send(Err(ended.of_unsent(&heard.place)));
        }
        let settle = async {
            while let Some((settled, answer)) = on_its_way.next().await {
                let settled = match settled {
                    Ok(outcome) => of_outcome(outcome, &heard.place),
                    Err(_) => Err(ended.of_sent(&heard.place)),
                };
                let _ = answer.send(settled);
            }
        };
        let _ = timeout(TO_END, settle).await;
        drop(connection);
    }
}

fn on_its_way(
    outcome: DeliveryFut<Settled>,
    answer: Answer,
) -> BoxFuture<'static, (Settled, Answer)> {
    async move { (outcome.await, answer) }.boxed()
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::broker::amqp1::outgoing::outgoing;
    use crate::{Envelope, RawEvent};

    fn message() -> Option<Outgoing> {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
        outgoing(&event.build().ok()?.dispatch(), &Amqp1Config::queue("orders")).ok()
    }

    /// A link that is there when it is asked for, and has ended when it is used.
    fn ended(why: &BrokerError) -> Arc<Sender> {
        let (events, _) = mpsc::unbounded_channel();
        let fate = Fate { ended: OnceLock::from(why.clone()), ..Fate::default() };
        Arc::new(Sender { events, fate: Arc::new(fate) })
    }

    /// Else a server that ends each link keeps its senders busy without an end.
    #[tokio::test]
    async fn links_that_end_at_once_are_two_and_the_last_says_why() {
        let message = message().expect("an event");
        for why in [BrokerError::unreachable("gone"), BrokerError::unavailable("full")] {
            let mut links = 0;
            let link = || {
                links += 1;
                ready(Ok(ended(&why)))
            };
            let refused = send(message.clone(), link).await.expect_err("it was not sent");
            assert_eq!((refused.kind(), links), (why.kind(), 2));
            let said = refused.reason();
            assert!(said.starts_with(why.reason()), "{said}");
            assert!(said.contains("the server's log"), "{said}");
        }
    }

    #[tokio::test]
    async fn what_the_link_did_not_take_the_next_one_sends() {
        let (events, mut waiting) = mpsc::unbounded_channel::<Waiting>();
        tokio::spawn(async move {
            let next = waiting.recv().await.map(|waiting| waiting.answer.send(Ok(())));
            assert_eq!(next, Some(Ok(())));
        });
        let alive = Arc::new(Sender { events, fate: Arc::default() });
        let mut links = [ended(&BrokerError::unreachable("gone")), alive].into_iter();
        let link = || ready(Ok(links.next().expect("a third")));
        let sent = send(message().expect("an event"), link).await;
        assert_eq!(sent, Ok(()));
    }
}
