//! A listener's link, in the hands of a task: it passes on what arrives, sends what is
//! answered, and gives back the rest when the listener is dropped.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{IllegalLinkStateError, LinkStateError, RecvError};
use fe2o3_amqp::types::messaging::{Body, Modified, Source};
use fe2o3_amqp::types::primitives::{Symbol, Value};
use fe2o3_amqp::{Delivery as Received, Receiver};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::Amqp1;
use super::acker::{Acker, Answer, Answered};
use super::config::{Kind, NackAs};
use super::connection::Connection;
use super::credit::Credit;
use super::outcome::{Ended, of_receiver_refused};
use super::reading::read;
use super::server::Server;
use crate::broker::{Broker, BrokerError, Delivery};
use crate::reason::reason;

/// How long nothing must arrive, once a listener has ended, until its link is closed:
/// what was on its way then is given back, and not lost with the link, which some servers
/// count as a delivery.
const TO_ARRIVE: Duration = Duration::from_millis(100);

/// How long what a listener has handed out may take to be answered, once it is dropped.
const TO_BE_ANSWERED: Duration = Duration::from_secs(5);

/// How long the end of a link may take.
const TO_END: Duration = Duration::from_secs(1);

/// So many messages in a row that cannot be decoded are rejected. The next ones are kept
/// from this link: some servers deliver again at once what is rejected.
const REJECTED_IN_A_ROW: u32 = 3;

/// By which a link to Azure Service Bus reads one session.
const SESSION_FILTER: &str = "com.microsoft:session-filter";

/// What a listener reads, and how.
#[derive(Debug, Clone)]
pub(super) struct Reads {
    pub(super) address: String,
    pub(super) kind: Kind,
    pub(super) session: Option<String>,
    pub(super) nack_as: NackAs,
    pub(super) prefetch: u16,
    pub(super) within: Duration,
}

/// What comes to a listener. With its end the task gives back what it holds.
pub(super) struct Arriving {
    pub(super) deliveries: mpsc::Receiver<Arrived>,
    /// As long as it is here, ackers can be made.
    _answers: mpsc::UnboundedSender<Answered>,
}

pub(super) type Arrived = Result<Delivery<Acker>, BrokerError>;

/// Connects, and attaches a link to what is read.
pub(super) async fn attach(
    server: &Server,
    reads: Reads,
) -> Result<Arriving, BrokerError> {
    let mut connection = Connection::open(server, reads.within).await?;
    let capability = reads.kind.capability();
    let place = format!("{} of {server}", reads.address);
    let mut source = Source::builder()
        .address(reads.address.as_str())
        .capabilities(vec![Symbol::from(capability)]);
    if let Some(session) = &reads.session {
        let session = Value::String(session.clone());
        source = source.add_to_filter_using_legacy_format(SESSION_FILTER, session);
    }
    let link = Receiver::builder()
        .name(Uuid::now_v7().to_string())
        .source(source.build())
        .credit_mode(CreditMode::Manual)
        .attach(&mut connection.session);
    let link = match timeout(reads.within, link).await {
        Ok(link) => link.map_err(|error| of_receiver_refused(&error, &place))?,
        Err(_) => {
            let why = format!("{place}: no link within {:?}", reads.within);
            return Err(BrokerError::unreachable(why));
        }
    };
    let (answers, answered) = mpsc::unbounded_channel();
    let (deliver, deliveries) = mpsc::channel(reads.prefetch.into());
    let task = Task {
        link,
        _connection: connection,
        credit: Credit::new(reads.prefetch.into()),
        destination: reads.address.as_str().into(),
        reads,
        place,
        deliver,
        answers: answers.downgrade(),
        answered,
        held: BTreeMap::new(),
        undecoded: 0,
    };
    tokio::spawn(task.run());
    Ok(Arriving { deliveries, _answers: answers })
}

struct Task {
    // Before the connection, so that its end goes first.
    link: Receiver,
    _connection: Connection,
    credit: Credit,
    reads: Reads,
    place: String,
    destination: Arc<str>,
    /// With room for as much as the server may send ahead.
    deliver: mpsc::Sender<Arrived>,
    answers: mpsc::WeakUnboundedSender<Answered>,
    answered: mpsc::UnboundedReceiver<Answered>,
    /// What is to go back at its time.
    held: BTreeMap<(Instant, u32), DeliveryInfo>,
    /// How many messages in a row could not be decoded.
    undecoded: u32,
}

impl Task {
    async fn run(mut self) {
        match self.deliver_until_dropped().await {
            Ok(()) => {
                // Where it fails, the link has ended, and the server has all of it.
                let _ = self.give_back().await;
                let _ = timeout(TO_END, self.link.close()).await;
            }
            Err(ended) => {
                let (deliver, why) = (self.deliver.clone(), ended.of_unsent(&self.place));
                drop(self); // so that no answer waits for a listener that nobody polls
                let _ = deliver.send(Err(why)).await;
            }
        }
    }

    /// Until the listener is dropped, or the link ends.
    async fn deliver_until_dropped(&mut self) -> Result<(), Ended> {
        loop {
            if let Some(credit) = self.credit.give() {
                self.give_credit(credit).await?;
            }
            let next_back = self.held.keys().next().map(|(at, _)| *at);
            tokio::select! {
                biased;
                () = self.deliver.closed() => return Ok(()),
                answered = self.answered.recv() => {
                    let Some(answered) = answered else { return Ok(()) };
                    self.answer(answered).await?;
                    while let Ok(more) = self.answered.try_recv() {
                        self.answer(more).await?;
                    }
                }
                () = at(next_back) => self.release_due(Instant::now()).await?,
                received = receive(&self.deliver, &mut self.link) => {
                    self.received(received).await?;
                }
            }
        }
    }

    async fn received(&mut self, received: ReceivedOrNot) -> Result<(), Ended> {
        let received = match received {
            Ok(received) => received,
            Err(RecvError::MessageDecode(error)) => {
                self.credit.delivered();
                return self.undecodable(error.info, &reason(&error.source)).await;
            }
            Err(error) => return Err(ended(&error)),
        };
        self.credit.delivered();
        self.undecoded = 0;
        let (delivery, message) = received.into_parts();
        let Some(answers) = self.answers.upgrade() else {
            return self.release(delivery).await; // the listener is gone
        };
        let acker = Acker::new(delivery, answers);
        let event = read(message, &self.reads.address);
        // No server counts each of its deliveries: one that is killed forgets the count.
        let delivery = Delivery::new(event, acker).redelivered(true);
        let destination = Some(Arc::clone(&self.destination));
        let delivery = delivery.from_broker(Amqp1::SYSTEM, destination);
        self.pass_on(Ok(delivery));
        Ok(())
    }

    /// A message of which nothing can be read, and so no event be made, blocks nothing.
    async fn undecodable(
        &mut self,
        delivery: DeliveryInfo,
        why: &str,
    ) -> Result<(), Ended> {
        self.undecoded = self.undecoded.saturating_add(1);
        let link = &self.link;
        let what = if self.undecoded > REJECTED_IN_A_ROW {
            let not_here = modified(true, true);
            self.in_time(link.modify(delivery, not_here)).await?;
            "it is kept from this listener, since the server brings back what is rejected"
        } else {
            self.in_time(link.reject(delivery, None)).await?;
            "it is rejected, and with the server's dead letters where it has a place for \
             them"
        };
        self.credit.settled();
        let place = &self.place;
        let why = format!("{place}: a message cannot be decoded: {why}; {what}");
        self.pass_on(Err(BrokerError::permanent(why)));
        Ok(())
    }

    /// There is room, or nothing was received. Where the listener is gone, a delivery is
    /// answered by its acker.
    fn pass_on(&self, arrived: Arrived) {
        let _ = self.deliver.try_send(arrived);
    }

    async fn answer(&mut self, answered: Answered) -> Result<(), Ended> {
        let Answered { delivery, answer, sent } = answered;
        match answer {
            Answer::Ack => {
                self.in_time(self.link.accept(delivery)).await?;
                self.credit.settled();
            }
            Answer::Nack { after } => {
                match Instant::now().checked_add(after).filter(|_| !after.is_zero()) {
                    Some(at) => {
                        self.held.insert((at, delivery.delivery_id()), delivery);
                    }
                    None => self.release(delivery).await?,
                }
            }
        }
        if let Some(sent) = sent {
            let _ = sent.send(());
        }
        Ok(())
    }

    /// Gives back what was to go back by now.
    async fn release_due(&mut self, now: Instant) -> Result<(), Ended> {
        while let Some(first) = self.held.first_entry() {
            if first.key().0 > now {
                break;
            }
            let delivery = first.remove();
            self.release(delivery).await?;
        }
        Ok(())
    }

    async fn release(&mut self, delivery: DeliveryInfo) -> Result<(), Ended> {
        let link = &self.link;
        match self.reads.nack_as {
            NackAs::Released => self.in_time(link.release(delivery)).await?,
            NackAs::Modified => {
                self.in_time(link.modify(delivery, modified(true, false))).await?
            }
        }
        self.credit.settled();
        Ok(())
    }

    /// Gives back what the listener leaves behind, with no credit for more, so that none
    /// of it comes back to this link; and waits a while for the answers to what it has
    /// handed out.
    ///
    /// Not for long: ActiveMQ Artemis may have set events aside for a link whose credit
    /// ends, and gives them to no other before the link is closed.
    async fn give_back(&mut self) -> Result<(), Ended> {
        self.give_credit(0).await?;
        while let Some((_, delivery)) = self.held.pop_first() {
            self.release(delivery).await?;
        }
        let mut at_the_latest = pin!(sleep(TO_BE_ANSWERED));
        loop {
            tokio::select! {
                biased;
                answered = self.answered.recv() => {
                    let Some(mut answered) = answered else { break };
                    if answered.answer != Answer::Ack {
                        answered.answer = Answer::Nack { after: Duration::ZERO };
                    }
                    self.answer(answered).await?;
                }
                received = self.link.recv::<Body<Value>>() => {
                    self.received_too_late(received).await?;
                }
                () = &mut at_the_latest => return Ok(()),
            }
        }
        while let Ok(received) = timeout(TO_ARRIVE, self.link.recv::<Body<Value>>()).await
        {
            self.received_too_late(received).await?;
        }
        Ok(())
    }

    async fn received_too_late(&mut self, received: ReceivedOrNot) -> Result<(), Ended> {
        match received {
            Ok(received) => self.release(received.into()).await,
            Err(RecvError::MessageDecode(error)) => self.release(error.info).await,
            Err(error) => Err(ended(&error)),
        }
    }

    async fn give_credit(&mut self, credit: u32) -> Result<(), Ended> {
        let within = self.reads.within;
        in_time(within, self.link.set_credit(credit)).await
    }

    async fn in_time(
        &self,
        said: impl Future<Output = Result<(), IllegalLinkStateError>>,
    ) -> Result<(), Ended> {
        in_time(self.reads.within, said).await
    }
}

type ReceivedOrNot = Result<Received<Body<Value>>, RecvError>;

/// The next message, once there is room for what comes of it: a listener that nobody
/// polls rejects no more than that, however many cannot be decoded.
async fn receive(deliver: &mpsc::Sender<Arrived>, link: &mut Receiver) -> ReceivedOrNot {
    // Nobody else takes the room, which is given back where this wait is given up.
    let _room = deliver.reserve().await;
    link.recv().await
}

/// What is said to the server goes out in time, or the link counts as gone.
async fn in_time(
    within: Duration,
    said: impl Future<Output = Result<(), IllegalLinkStateError>>,
) -> Result<(), Ended> {
    match timeout(within, said).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err((&LinkStateError::from(error)).into()),
        Err(_) => Err(Ended::Lost(format!("nothing could be sent within {within:?}"))),
    }
}

fn ended(error: &RecvError) -> Ended {
    match error {
        RecvError::LinkStateError(error) => error.into(),
        error => Ended::Lost(reason(error)),
    }
}

fn modified(failed: bool, undeliverable_here: bool) -> Modified {
    Modified {
        delivery_failed: Some(failed),
        undeliverable_here: undeliverable_here.then_some(true),
        message_annotations: None,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
