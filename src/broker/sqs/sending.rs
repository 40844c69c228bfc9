//! Sending: events that are sent at once go to the queue in tens, and each gets its own
//! answer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sqs::error::{BuildError, SdkError};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use tokio::sync::{mpsc, oneshot};

use super::collector::{Limits, Part, collect};
use super::queue::Queue;
use super::settling::{Entry, by_entry};
use super::verdict;
use super::writing::Written;
use crate::broker::{BrokerError, BrokerErrorKind};

/// The requests at once.
const REQUESTS: usize = 20;

/// So many requests in a row without an answer are no accident of one event.
const SILENT: u32 = 3;

pub(super) struct Sender {
    sending: Arc<Sending>,
    most_bytes: usize,
    asks: Mutex<Option<mpsc::UnboundedSender<Asked>>>,
}

/// A message on its way, and who waits for the answer.
struct Asked {
    message: Written,
    answer: oneshot::Sender<Result<(), BrokerError>>,
}

impl Part for Asked {
    fn entries(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        self.message.size()
    }
}

impl Sender {
    pub(super) fn new(queue: Arc<Queue>, most_bytes: usize) -> Self {
        let sending = Arc::new(Sending { queue, unanswered: AtomicU32::new(0) });
        Self { sending, most_bytes, asks: Mutex::default() }
    }

    pub(super) async fn send(&self, message: Written) -> Result<(), BrokerError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Asked { message, answer });
        let ended = "the runtime that sent it has ended";
        answered.await.unwrap_or_else(|_| Err(BrokerError::transient(ended)))
    }

    /// The task that sends begins with the first event, and again where the runtime of
    /// the last one has ended.
    fn ask(&self, mut asked: Asked) {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*asks {
            match open.send(asked) {
                Ok(()) => return,
                Err(mpsc::error::SendError(back)) => asked = back,
            }
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let sending = Arc::clone(&self.sending);
        let limits = Limits { bytes: self.most_bytes, requests: REQUESTS };
        tokio::spawn(collect(receiver, limits, move |messages| {
            Arc::clone(&sending).request(messages)
        }));
        // The receiver is in the task that has just begun.
        let _ = sender.send(asked);
        *asks = Some(sender);
    }
}

struct Sending {
    queue: Arc<Queue>,
    /// How many requests in a row got no answer.
    unanswered: AtomicU32,
}

impl Sending {
    async fn request(self: Arc<Self>, mut asked: Vec<Asked>) {
        // Nobody waits for what was given up: the relay sends it again.
        asked.retain(|one| !one.answer.is_closed());
        let answers = match self.together(&asked).await {
            Ok(answers) => answers,
            // One of them is refused, and the queue does not say which.
            Err(refused)
                if refused.kind() == BrokerErrorKind::Permanent && asked.len() > 1 =>
            {
                let mut answers = Vec::new();
                for one in &asked {
                    let alone = self.together(std::slice::from_ref(one)).await;
                    answers.extend(alone.unwrap_or_else(|refused| vec![Err(refused)]));
                }
                answers
            }
            Err(failed) => vec![Err(failed); asked.len()],
        };
        for (one, answer) in asked.into_iter().zip(answers) {
            let _ = one.answer.send(answer);
        }
    }

    /// Sends them in one request, and says of each what came of it.
    async fn together(
        &self,
        asked: &[Asked],
    ) -> Result<Vec<Result<(), BrokerError>>, BrokerError> {
        let Some(first) = asked.first() else { return Ok(Vec::new()) };
        let queue = &self.queue;
        if asked.len() == 1 {
            // Only this one is judged by its own code.
            self.alone(&first.message).await?;
            return Ok(vec![Ok(())]);
        }
        let entries =
            asked.iter().enumerate().map(|(place, one)| entry(place, &one.message));
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(unbuilt)?;
        let request = queue.client.send_message_batch().queue_url(&queue.url);
        let answer = request.set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|error| self.failed(&error))?;
        self.unanswered.store(0, Ordering::Relaxed);
        let done = answer.successful().iter().map(|entry| entry.id());
        let of_each = by_entry(asked.len(), done, answer.failed());
        Ok(of_each
            .map(|entry| match entry {
                Entry::Done => Ok(()),
                Entry::Failed(failed) => Err(verdict::of_entry(queue, failed)),
                Entry::Unknown => Err(BrokerError::transient(format!(
                    "the queue {} has answered, and not for this event",
                    queue.name
                ))),
            })
            .collect())
    }

    async fn alone(&self, message: &Written) -> Result<(), BrokerError> {
        let queue = &self.queue;
        let mut request =
            queue.client.send_message().queue_url(&queue.url).message_body(&message.body);
        for attribute in message.attributes() {
            let (name, value) = attribute.map_err(unbuilt)?;
            request = request.message_attributes(name, value);
        }
        if let Some((group, id)) = &message.fifo {
            request = request.message_group_id(group).message_deduplication_id(id);
        }
        request.send().await.map_err(|error| self.failed(&error))?;
        self.unanswered.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// A server that answers nobody is out of order, and no event is to pay for that with
    /// its attempts. What it may have stored it gets again, and the inbox knows it.
    fn failed<E>(&self, error: &SdkError<E>) -> BrokerError
    where
        E: std::error::Error + aws_sdk_sqs::error::ProvideErrorMetadata + 'static,
    {
        let failed = verdict::of_request(&self.queue, error);
        let SdkError::TimeoutError(_) = error else {
            self.unanswered.store(0, Ordering::Relaxed);
            return failed;
        };
        let before = self.unanswered.fetch_add(1, Ordering::Relaxed);
        if before < SILENT { failed } else { BrokerError::unavailable(failed.reason()) }
    }
}

fn entry(
    place: usize,
    message: &Written,
) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(place.to_string())
        .message_body(&message.body);
    for attribute in message.attributes() {
        let (name, value) = attribute?;
        entry = entry.message_attributes(name, value);
    }
    if let Some((group, id)) = &message.fifo {
        entry = entry.message_group_id(group).message_deduplication_id(id);
    }
    entry.build()
}

/// A field is missing that this adapter always sets.
fn unbuilt(error: BuildError) -> BrokerError {
    BrokerError::transient(crate::reason::reason(&error))
}
