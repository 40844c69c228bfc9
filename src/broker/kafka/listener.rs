//! The receiving side: a member of a consumer group, whose offsets are committed only as
//! far as every event is acked.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::acker::Acker;
use super::blocking::{apart, begin_apart};
use super::client::Watch;
use super::config::KafkaConfig;
use super::errors::{BETWEEN, LOST};
use super::group::{Begin, Group};
use super::lag::Question;
use super::member::{Callbacks, Member};
use super::offsets::{self, Place, Why};
use super::partition::{Partition, Shared};
use super::verdict::broker_error;
use crate::Envelope;
use crate::broker::message::{Value, read as read_message};
use crate::broker::{
    Broker, BrokerError, BrokerErrorKind, Consumer, Delivery, Lag, MessageOrigin,
};
use crate::cloudevents::Binding;
use crate::reason::reason;
use crate::state::Pending;

/// How long a member may take to leave its group.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// How much longer than the client itself a question is waited for, so that the client
/// says why it has failed.
const ASKED_LATE: Duration = Duration::from_secs(1);

/// A consumer of one topic, in a group.
///
/// A group has one offset for each partition, and no ack for one event. So the offset is
/// committed as far as every event before it is acked; and a delivery that is nacked or
/// dropped is read again with all that follow it in its partition: their order is kept,
/// and what was acked already is a duplicate to the inbox. The other partitions go on
/// meanwhile.
///
/// Events that are deleted before the group has read them are reported:
/// [`next`](Consumer::next) fails with a [`loss`](BrokerError::loss), which says which
/// and how many; called again, it goes on behind them.
///
/// Call [`next`](Consumer::next) at least every five minutes (`max.poll.interval.ms`), or
/// the group gives the partitions to another member.
pub struct Listener {
    config: KafkaConfig,
    client_config: ClientConfig,
    group: Group,
    topic: Arc<str>,
    /// When it was made: where a group begins that wants what comes from now on.
    since: DateTime<Utc>,
    shared: Arc<Shared>,
    watch: Arc<Watch>,
    member: Option<Arc<Member>>,
    /// When a new member may join after one that has ended.
    not_before: Option<Instant>,
    /// When to look for the place of partitions that the client has stopped at.
    place_at: Option<Instant>,
    finding: Option<oneshot::Receiver<Result<Vec<Place>, KafkaError>>>,
}

impl Listener {
    pub(super) fn new(
        config: KafkaConfig,
        client_config: ClientConfig,
        group: Group,
    ) -> Self {
        Self {
            topic: config.topic.as_str().into(),
            config,
            client_config,
            group,
            since: Utc::now(),
            shared: Arc::default(),
            watch: Arc::default(),
            member: None,
            not_before: None,
            place_at: None,
            finding: None,
        }
    }

    /// The time at which the group begins that has no place yet; the earliest, where
    /// there is none.
    fn begins(&self) -> Option<DateTime<Utc>> {
        match self.group.begin {
            Begin::Earliest => None,
            Begin::Latest => Some(self.since),
            Begin::At(time) => Some(time),
        }
    }

    /// Ends it, and waits until what was acked is committed and the group knows that it
    /// has left, 5 s at the most. Dropped, it does the same in the background, as far as
    /// the process lives.
    pub async fn close(mut self) {
        let Some(member) = self.member.take().and_then(Arc::into_inner) else { return };
        // Frozen, a broker answers nothing: the thread goes on by itself.
        let _ = timeout(LEAVE_WITHIN, apart(move || member.leave())).await;
    }

    /// The member, made now where there is none, and no sooner than a second after the
    /// last one has ended.
    async fn member(&mut self) -> Result<Arc<Member>, BrokerError> {
        if let Some(member) = &self.member {
            return Ok(Arc::clone(member));
        }
        if let Some(not_before) = self.not_before {
            sleep_until(not_before).await;
        }
        self.not_before = Instant::now().checked_add(BETWEEN);
        let context = self.config.context(&self.watch);
        let callbacks = Callbacks {
            shared: Arc::clone(&self.shared),
            topic: Arc::clone(&self.topic),
            context,
        };
        let joined = Member::join(&self.client_config, callbacks)
            .map_err(|error| BrokerError::unreachable(reason(&error)))?;
        Ok(Arc::clone(self.member.insert(Arc::new(joined))))
    }

    /// The client can go on no more: the next call makes another.
    fn end(&mut self) {
        self.shared.forget();
        (self.member, self.finding, self.place_at) = (None, None, None);
        self.not_before = Instant::now().checked_add(BETWEEN);
    }

    /// Goes back to where a delivery is to be read again, and says when the next one is.
    /// Meanwhile nothing more is read of its partition.
    fn rewind(&self, member: &Member) -> Result<Option<Instant>, KafkaError> {
        let (now, mut next, consumer) =
            (Instant::now(), None::<Instant>, member.consumer()?);
        for (number, partition) in self.shared.partitions().iter_mut() {
            let Some((offset, at)) = partition.rewind else { continue };
            let mut this = TopicPartitionList::new();
            this.add_partition_offset(&self.topic, *number, Offset::Offset(offset))?;
            if at <= now {
                // Without a time to wait it is begun, and what was read ahead is thrown
                // away.
                consumer.seek(
                    &self.topic,
                    *number,
                    Offset::Offset(offset),
                    Duration::ZERO,
                )?;
                if partition.paused {
                    consumer.resume(&this)?;
                }
                partition.rewound();
            } else {
                if !partition.paused {
                    consumer.pause(&this)?;
                    partition.paused = true;
                }
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        Ok(next)
    }

    /// Begins to look where partitions go on that the client has stopped at.
    fn find_places(&mut self, member: &Arc<Member>) {
        self.place_at = None;
        let read: HashMap<i32, i64> = {
            let partitions = self.shared.partitions();
            partitions
                .iter()
                .filter_map(|(number, partition)| Some((*number, partition.reads_at()?)))
                .collect()
        };
        let (member, topic) = (Arc::clone(member), Arc::clone(&self.topic));
        let from = self.begins();
        self.finding =
            Some(begin_apart(move || offsets::find(&member, &topic, &read, from)));
    }

    /// Goes on at the places that were found, and keeps what is lost to be told.
    fn go_on(&mut self, member: &Member, found: Result<Vec<Place>, KafkaError>) {
        let went = found.and_then(|mut places| {
            // What was handed out meanwhile is not handed out again.
            let partitions = self.shared.partitions();
            for found in places.iter_mut().filter(|found| found.why == Why::GoesOn) {
                let reads_at =
                    partitions.get(&found.partition).and_then(Partition::reads_at);
                found.offset = reads_at.unwrap_or(found.offset);
            }
            drop(partitions);
            offsets::go(member, &self.topic, &places).map(|went| (went, places))
        });
        let places = match went {
            Ok((true, places)) => places,
            // Shared out anew meanwhile.
            Ok((false, _)) => {
                self.place_at = Instant::now().checked_add(BETWEEN);
                return;
            }
            Err(error) => {
                self.complain(&error, "no place to go on was found: ");
                self.place_at = Instant::now().checked_add(BETWEEN);
                return;
            }
        };
        let (mut partitions, mut errors) =
            (self.shared.partitions(), self.shared.errors());
        for found in places {
            let partition = partitions.entry(found.partition).or_default();
            // It was assigned anew, which ends a pause.
            partition.paused = false;
            if found.why != Why::GoesOn {
                partition.move_to(found.offset);
            }
            if let Some(lost) = found.loss(&self.topic, &self.group.name) {
                errors.add(LOST, lost);
            }
        }
    }

    /// Keeps what the client said to be told.
    fn complain(&self, error: &KafkaError, what: &str) {
        let said = format!("the topic {}: {what}{error}", self.topic);
        let told = broker_error(&self.watch, error, said);
        let kind = match told.kind() {
            BrokerErrorKind::Unreachable => "unreachable",
            BrokerErrorKind::Unavailable => "unavailable",
            _ => "other",
        };
        self.shared.errors().add(kind, told);
    }

    /// What becomes of an error of the client.
    fn failed(&mut self, error: &KafkaError) {
        match error {
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => {
                if self.finding.is_none() {
                    self.place_at.get_or_insert_with(Instant::now);
                } else {
                    self.place_at = Instant::now().checked_add(BETWEEN);
                }
            }
            KafkaError::MessageConsumptionFatal(_) => {
                self.complain(error, "the client has ended, and a new one begins: ");
                self.end();
            }
            error => self.complain(error, ""),
        }
    }

    /// The delivery of a message; nothing where its partition is to be read again from an
    /// earlier one.
    fn delivery(
        &self,
        message: &BorrowedMessage<'_>,
        member: &Arc<Member>,
    ) -> Option<Delivery<Acker>> {
        let (redelivered, reading) = {
            let mut partitions = self.shared.partitions();
            let partition = partitions.entry(message.partition()).or_default();
            if partition.rewind.is_some() {
                return None;
            }
            (
                partition.is_redelivered(message.offset()),
                partition.deliver(message.offset()),
            )
        };
        let answer = Acker {
            shared: Arc::clone(&self.shared),
            member: Arc::downgrade(member),
            topic: Arc::clone(&self.topic),
            partition: message.partition(),
            offset: message.offset(),
            reading,
            settled: false,
        };
        let delivery = Delivery::new(read(message), answer).redelivered(redelivered);
        Some(delivery.from_broker(super::Kafka::SYSTEM, Some(Arc::clone(&self.topic))))
    }
}

/// `max.poll.interval.ms`, where it is not set.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(5 * 60);

impl Consumer for Listener {
    type Acker = Acker;

    fn ack_wait(&self) -> Option<Duration> {
        let set = self.client_config.get("max.poll.interval.ms");
        let set = set.and_then(|millis| millis.parse().ok()).map(Duration::from_millis);
        Some(set.unwrap_or(MAX_POLL_INTERVAL))
    }

    async fn next(&mut self) -> Result<Option<Delivery<Acker>>, BrokerError> {
        loop {
            if let Some(error) = self.shared.errors().next_due(Instant::now()) {
                return Err(error);
            }
            let member = self.member().await?;
            if self.place_at.is_some_and(|at| at <= Instant::now())
                && self.finding.is_none()
            {
                self.find_places(&member);
            }
            let rewind = self.rewind(&member).unwrap_or_else(|error| {
                self.complain(&error, "a delivery is to come again: ");
                None
            });
            let due = self.shared.errors().due();
            let place_at = self.place_at.filter(|_| self.finding.is_none());
            let wake = [rewind, due, place_at].into_iter().flatten().min();
            let consumer = member
                .consumer()
                .map_err(|error| BrokerError::transient(reason(&error)))?;
            let finding = self.finding.as_mut();
            tokio::select! {
                message = consumer.recv() => match message {
                    Ok(message) => {
                        if let Some(delivery) = self.delivery(&message, &member) {
                            return Ok(Some(delivery));
                        }
                    }
                    Err(error) => self.failed(&error),
                },
                found = async { match finding { Some(finding) => finding.await, None => std::future::pending().await } } => {
                    self.finding = None;
                    self.go_on(&member, found.unwrap_or(Err(KafkaError::Canceled)));
                }
                () = self.shared.woken.notified() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        let (config, client_config, from) =
            (self.config.clone(), self.client_config.clone(), self.begins());
        let within = config.send_within();
        let late = || {
            BrokerError::unreachable(format!(
                "the topic {}: no answer within {within:?}",
                self.topic
            ))
        };
        let by = Instant::now().checked_add(within).ok_or_else(late)?;
        let question = Question { config, client_config, from };
        let asked = timeout(
            within.saturating_add(ASKED_LATE),
            apart(move || question.ask(by.into_std())),
        )
        .await;
        asked.ok().flatten().unwrap_or_else(|| Err(late()))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("topic", &self.topic)
            .field("group", &self.group.name)
            .finish_non_exhaustive()
    }
}

fn read(message: &BorrowedMessage<'_>) -> Envelope<Pending> {
    let body = message.payload().unwrap_or_default().to_vec();
    let millis = message.timestamp().to_millis();
    // A topic that was deleted and made again counts from 0 again: so the time too.
    let position = format!(
        "{} {} {}",
        message.partition(),
        message.offset(),
        millis.unwrap_or_default()
    );
    let at = millis.and_then(DateTime::from_timestamp_millis).unwrap_or_else(Utc::now);
    let found = MessageOrigin { place: message.topic(), position: &position, at };
    let headers = message.headers();
    let headers = headers.iter().flat_map(|headers| headers.iter());
    let headers = headers.filter_map(|header| {
        Some((header.key.to_owned(), Value::of_bytes(header.value?)))
    });
    read_message(Binding::Kafka, headers.collect(), body, &found)
}
