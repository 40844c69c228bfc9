//! The sending side: many events in one batch, and each its own verdict.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::{Instant, sleep, timeout};

use super::blocking::apart;
use super::client::Watch;
use super::config::KafkaConfig;
use super::producer::Producer;
use super::topic::{ASK_WITHIN, ask, create, limits};
use super::verdict::{InSync, is_of_batch, verdict};
use crate::Envelope;
use crate::broker::BrokerError;
use crate::broker::link::Link;
use crate::cloudevents::{Binding, CloudEvent};
use crate::reason::reason;
use crate::state::Dispatched;

/// How long what is known of a topic that takes nothing counts, so that a hundred sends
/// ask once.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// The most bytes that a batch has where the topic allows more.
const BATCH: usize = 1_000_000;

pub(super) struct Sender {
    config: KafkaConfig,
    client_config: ClientConfig,
    link: Link<Connected>,
}

/// What came of connecting.
#[derive(Clone)]
enum Connected {
    To(Arc<Open>),
    /// The cluster is there, and takes nothing for this topic.
    Refused(BrokerError, Instant),
}

impl Connected {
    fn is_alive(&self) -> bool {
        match self {
            Self::To(open) => !open.watch.is_lost(),
            Self::Refused(_, at) => at.elapsed() < KNOWN_FOR,
        }
    }
}

/// What sends, as long as it is not lost.
struct Open {
    config: KafkaConfig,
    client_config: ClientConfig,
    watch: Arc<Watch>,
    together: Producer,
    /// One event to a batch: what the cluster says is said of that event. Made where it
    /// is first needed.
    alone: OnceCell<Producer>,
    min_insync: Option<usize>,
    /// What the topic's metadata said last of why it takes nothing.
    asked: Mutex<Option<(Instant, Option<String>)>>,
}

/// An event as it is sent.
struct Message {
    key: String,
    headers: OwnedHeaders,
    body: Vec<u8>,
}

impl Message {
    /// Without a time: the cluster reckons by a record's time how long it is kept, and
    /// its clock is the sender's. When the event was created is among its attributes.
    fn of(
        event: &Envelope<Dispatched>,
        max_message_size: u32,
    ) -> Result<Self, BrokerError> {
        let key =
            event.ordering_key().map_or_else(|| event.id().to_string(), str::to_owned);
        let event = CloudEvent::of(event);
        let mut headers = OwnedHeaders::new();
        let mut size = key.len().saturating_add(event.data().len());
        for (name, value) in event.headers(Binding::Kafka) {
            size = size.saturating_add(name.len()).saturating_add(value.len());
            headers = headers.insert(Header { key: &name, value: Some(&*value) });
        }
        if u32::try_from(size).map_or(true, |size| size > max_message_size) {
            let reason = format!(
                "a message has at most {max_message_size} bytes here, and that of this event has {size}"
            );
            return Err(BrokerError::permanent(reason));
        }
        Ok(Self { key, headers, body: event.into_data() })
    }
}

/// Why an event was not confirmed.
enum Undelivered {
    Refused(KafkaError),
    /// The producer is lost, and nobody knows.
    Lost,
    /// Its batch was refused, and there was no answer to it alone in the time that was
    /// left.
    Late,
}

impl Sender {
    pub(super) fn new(config: KafkaConfig, client_config: ClientConfig) -> Self {
        Self { config, client_config, link: Link::default() }
    }

    pub(super) async fn send(
        &self,
        event: &Envelope<Dispatched>,
    ) -> Result<(), BrokerError> {
        let (message, began) =
            (Message::of(event, self.config.max_message_size)?, Instant::now());
        let open = match self.connected().await? {
            Connected::To(open) => open,
            Connected::Refused(why, _) => return Err(why),
        };
        let mut delivered = open.deliver(&open.together, message).await;
        if let Err(Undelivered::Refused(error)) = &delivered
            && error.rdkafka_error_code().is_some_and(is_of_batch)
        {
            let alone = open.alone().await.map_err(|error| open.unreachable(&error))?;
            let left = self.config.send_within().saturating_sub(began.elapsed());
            let again =
                open.deliver(alone, Message::of(event, self.config.max_message_size)?);
            delivered = timeout(left, again).await.unwrap_or(Err(Undelivered::Late));
        }
        open.judge(delivered).await
    }

    /// Makes the topic where the cluster does not know it, and waits until it takes
    /// events, for a while at the most.
    pub(super) async fn create_topic(
        &self,
        partitions: u16,
        replicas: u16,
    ) -> Result<(), BrokerError> {
        if let Connected::To(_) = self.connected().await? {
            return Ok(());
        }
        create(&self.config, &self.client_config, partitions, replicas).await?;
        let made = Instant::now();
        loop {
            match self.connected().await? {
                Connected::Refused(why, _)
                    if made.elapsed() > self.config.connect_timeout =>
                {
                    return Err(why);
                }
                Connected::Refused(..) => sleep(Duration::from_millis(50)).await,
                Connected::To(_) => return Ok(()),
            }
        }
    }

    async fn connected(&self) -> Result<Connected, BrokerError> {
        let (config, client_config) = (self.config.clone(), self.client_config.clone());
        // The client keeps the time itself, and says why it has failed.
        let within =
            self.config.connect_timeout.saturating_add(ASK_WITHIN.saturating_mul(2));
        self.link.get(Connected::is_alive, within, connect(config, client_config)).await
    }
}

/// Makes a producer, and asks whether there is any broker, what the topic allows and
/// whether it takes anything: a producer is one before it has met a broker.
async fn connect(
    config: KafkaConfig,
    mut client_config: ClientConfig,
) -> Result<Connected, String> {
    let watch = Arc::<Watch>::default();
    let producer = {
        let (config, client_config, watch) =
            (config.clone(), client_config.clone(), Arc::clone(&watch));
        apart(move || meet(&config, &client_config, &watch))
            .await
            .ok_or("the client has ended")??
    };
    let mut producer = match producer {
        Ok(producer) => producer,
        Err(why) => {
            let why =
                BrokerError::unavailable(format!("the topic {}: {why}", config.topic));
            return Ok(Connected::Refused(why, Instant::now()));
        }
    };
    let limits = limits(&config, &client_config).await;
    if let Some(most) = limits.max_message_size.filter(|most| *most < BATCH) {
        client_config.set("batch.size", most.to_string());
        producer = Producer::new(&client_config, config.context(&watch))
            .map_err(|error| reason(&error))?;
    }
    Ok(Connected::To(Arc::new(Open {
        config,
        client_config,
        watch,
        together: producer,
        alone: OnceCell::new(),
        min_insync: limits.min_insync,
        asked: Mutex::default(),
    })))
}

/// A producer that has met a broker; or why its topic takes nothing. Blocks the thread.
fn meet(
    config: &KafkaConfig,
    client_config: &ClientConfig,
    watch: &Arc<Watch>,
) -> Result<Result<Producer, String>, String> {
    let began = Instant::now();
    let producer = Producer::new(client_config, config.context(watch))
        .map_err(|error| reason(&error))?;
    loop {
        let asked = ask(&producer, config, config.connect_timeout, InSync::Any);
        match asked.map_err(|error| watch.with_words_soon(reason(&error)))? {
            None => return Ok(Ok(producer)),
            Some(why) if began.elapsed() > config.connect_timeout.min(KNOWN_FOR) => {
                return Ok(Err(why));
            }
            // One that is just being made has no leader yet.
            Some(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

impl Open {
    async fn alone(&self) -> Result<&Producer, KafkaError> {
        let make = || async {
            let mut client_config = self.client_config.clone();
            client_config.set("batch.num.messages", "1");
            let context = self.config.context(&self.watch);
            apart(move || Producer::new(&client_config, context))
                .await
                .unwrap_or(Err(KafkaError::Canceled))
        };
        self.alone.get_or_try_init(make).await
    }

    async fn deliver(
        &self,
        producer: &Producer,
        message: Message,
    ) -> Result<(), Undelivered> {
        let record =
            FutureRecord::to(&self.config.topic).key(&message.key).payload(&message.body);
        let queued = producer
            .get()
            .map_err(Undelivered::Refused)?
            .send_result(record.headers(message.headers));
        let delivered = queued.map_err(|(error, _)| Undelivered::Refused(error))?;
        tokio::select! {
            biased;
            delivered = delivered => match delivered {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(Undelivered::Refused(error)),
                Err(_) => Err(Undelivered::Lost),
            },
            () = self.watch.loss() => Err(Undelivered::Lost),
        }
    }

    /// What the answer to an event makes of it.
    async fn judge(&self, delivered: Result<(), Undelivered>) -> Result<(), BrokerError> {
        let error = match delivered {
            Ok(()) => return Ok(()),
            Err(Undelivered::Lost) => {
                return Err(BrokerError::transient(
                    self.watch.with_words("no broker is there, and none has confirmed"),
                ));
            }
            Err(Undelivered::Late) => {
                let late = format!(
                    "its batch was refused, and alone it had no answer in {:?}",
                    self.config.send_within()
                );
                return Err(BrokerError::transient(self.watch.with_words(late)));
            }
            Err(Undelivered::Refused(error)) => error,
        };
        let said = format!("the topic {}: {error}", self.config.topic);
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if matches!(
            code,
            RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::PurgeQueue
                | RDKafkaErrorCode::PurgeInflight
        ) {
            self.watch.lose();
        }
        if code == RDKafkaErrorCode::MessageTimedOut
            && let Some(why) = self.sickness().await
        {
            return Err(BrokerError::unavailable(format!("{said}: {why}")));
        }
        Err(BrokerError::new(verdict(code), self.watch.with_words(said)))
    }

    /// Why the topic takes nothing. The client itself tries again until the time is over,
    /// and then does not say what for.
    async fn sickness(&self) -> Option<String> {
        let mut asked = self.asked.lock().await;
        if let Some((_, known)) =
            asked.as_ref().filter(|(at, _)| at.elapsed() < KNOWN_FOR)
        {
            return known.clone();
        }
        let config = self.config.clone();
        let min_insync = match self.min_insync {
            Some(known) => Some(known),
            // The answer may have been late.
            None => limits(&self.config, &self.client_config).await.min_insync,
        };
        let in_sync = min_insync.map_or(InSync::All, InSync::AtLeast);
        let asker = self.together.share();
        let found = apart(move || ask(&asker, &config, ASK_WITHIN, in_sync)).await;
        let found = found.and_then(Result::ok).flatten();
        *asked = Some((Instant::now(), found.clone()));
        found
    }

    fn unreachable(&self, error: &KafkaError) -> BrokerError {
        BrokerError::unreachable(self.watch.with_words(reason(error)))
    }
}
