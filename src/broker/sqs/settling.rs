//! What is said of messages that were received: deletes, and when they are visible again,
//! in requests of ten.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry,
};
use tokio::sync::{mpsc, oneshot};

use super::collector::{ENTRIES, Limits, Part, collect};
use super::queue::Queue;
use super::verdict;
use crate::broker::{BrokerError, BrokerErrorKind};

/// The deletes at once. Changes of visibility go one request after the other: a renewal
/// must not overtake the end of what it renews.
const DELETES: usize = 10;

pub(super) type Answer = oneshot::Receiver<Result<(), BrokerError>>;

/// Says what becomes of messages, from tasks that end with the last of its clones.
#[derive(Clone)]
pub(super) struct Settling {
    deletes: mpsc::UnboundedSender<Delete>,
    changes: mpsc::UnboundedSender<Change>,
}

struct Delete {
    handle: Arc<str>,
    answer: oneshot::Sender<Result<(), BrokerError>>,
}

/// When messages are visible again: all in one request, in this order.
struct Change {
    of: Vec<(Arc<str>, i32)>,
    answer: Option<oneshot::Sender<Result<(), BrokerError>>>,
}

impl Part for Delete {
    fn entries(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        0
    }
}

impl Part for Change {
    fn entries(&self) -> usize {
        self.of.len()
    }

    fn bytes(&self) -> usize {
        0
    }
}

impl Settling {
    pub(super) fn start(queue: &Arc<Queue>) -> Self {
        let limits = |requests| Limits { bytes: usize::MAX, requests };
        let (deletes, asked) = mpsc::unbounded_channel();
        let of = Arc::clone(queue);
        tokio::spawn(collect(asked, limits(DELETES), move |asked| {
            delete(Arc::clone(&of), asked)
        }));
        let (changes, asked) = mpsc::unbounded_channel();
        let of = Arc::clone(queue);
        tokio::spawn(collect(asked, limits(1), move |asked| {
            change(Arc::clone(&of), asked)
        }));
        Self { deletes, changes }
    }

    /// Deletes a message. Without its task there is no runtime any more, and no answer.
    pub(super) fn delete(&self, handle: Arc<str>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let _ = self.deletes.send(Delete { handle, answer });
        answered
    }

    /// Lets messages be visible so many seconds from now; the answer is that of the last.
    pub(super) fn change(&self, of: Vec<(Arc<str>, i32)>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let mut answer = Some(answer);
        let parts = of.len().div_ceil(ENTRIES);
        for (number, part) in (1..).zip(of.chunks(ENTRIES)) {
            let answer = if number == parts { answer.take() } else { None };
            let _ = self.changes.send(Change { of: part.to_vec(), answer });
        }
        answered
    }
}

/// Whole seconds, as SQS has them, and no less than was asked for.
pub(super) fn seconds(wait: Duration) -> i32 {
    let more = u64::from(wait.subsec_nanos() > 0);
    i32::try_from(wait.as_secs().saturating_add(more)).unwrap_or(i32::MAX)
}

async fn delete(queue: Arc<Queue>, asked: Vec<Delete>) {
    let entries = asked.iter().enumerate().map(|(place, one)| {
        DeleteMessageBatchRequestEntry::builder()
            .id(place.to_string())
            .receipt_handle(&*one.handle)
            .build()
    });
    let request = queue.client.delete_message_batch().queue_url(&queue.url);
    // An entry that is not built has no id or no handle: each has both.
    let request = request.set_entries(Some(entries.flatten().collect()));
    let answers = match request.send().await {
        Ok(answer) => {
            let done = answer.successful().iter().map(|entry| entry.id());
            answers(&queue, asked.len(), done, answer.failed())
        }
        Err(error) => vec![Err(failed(verdict::of_request(&queue, &error))); asked.len()],
    };
    for (one, answer) in asked.into_iter().zip(answers) {
        let _ = one.answer.send(answer);
    }
}

async fn change(queue: Arc<Queue>, asked: Vec<Change>) {
    let all = asked.iter().flat_map(|change| &change.of);
    let entries = all.enumerate().map(|(place, (handle, seconds))| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(place.to_string())
            .receipt_handle(&**handle)
            .visibility_timeout(*seconds)
            .build()
    });
    let entries: Vec<_> = entries.flatten().collect();
    let count = entries.len();
    let request = queue.client.change_message_visibility_batch().queue_url(&queue.url);
    let answers = match request.set_entries(Some(entries)).send().await {
        Ok(answer) => {
            let done = answer.successful().iter().map(|entry| entry.id());
            answers(&queue, count, done, answer.failed())
        }
        Err(error) => vec![Err(failed(verdict::of_request(&queue, &error))); count],
    };
    let mut answers = answers.into_iter();
    for one in asked {
        let last = answers.by_ref().take(one.of.len()).last();
        if let (Some(answer), Some(last)) = (one.answer, last) {
            let _ = answer.send(last);
        }
    }
}

/// What is refused of messages in hand says nothing of their events for good.
fn failed(error: BrokerError) -> BrokerError {
    match error.kind() {
        BrokerErrorKind::Permanent => BrokerError::transient(error.reason()),
        _ => error,
    }
}

fn answers<'a>(
    queue: &Queue,
    count: usize,
    done: impl Iterator<Item = &'a str>,
    refused: &'a [BatchResultErrorEntry],
) -> Vec<Result<(), BrokerError>> {
    by_entry(count, done, refused)
        .map(|entry| match entry {
            Entry::Done => Ok(()),
            Entry::Failed(entry) if verdict::is_of_an_old_handle(entry) => Ok(()),
            Entry::Failed(entry) => Err(failed(verdict::of_entry(queue, entry))),
            Entry::Unknown => Err(BrokerError::transient(format!(
                "the queue {} has answered, and not for this message",
                queue.name
            ))),
        })
        .collect()
}

/// What a request of several said of one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    Done,
    Failed(&'a BatchResultErrorEntry),
    /// It is in neither list.
    Unknown,
}

/// The answers in the order of the entries, whose ids are their places.
pub(super) fn by_entry<'a>(
    count: usize,
    done: impl Iterator<Item = &'a str>,
    failed: &'a [BatchResultErrorEntry],
) -> impl Iterator<Item = Entry<'a>> {
    let mut entries = vec![Entry::Unknown; count];
    let mut note = |id: &str, entry| {
        let place = id.parse::<usize>().ok();
        if let Some(known) = place.and_then(|place| entries.get_mut(place)) {
            *known = entry;
        }
    };
    done.for_each(|id| note(id, Entry::Done));
    failed.iter().for_each(|one| note(one.id(), Entry::Failed(one)));
    entries.into_iter()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_is_in_neither_list_is_no_success() {
        let refused = BatchResultErrorEntry::builder()
            .id("2")
            .code("InternalError")
            .sender_fault(false)
            .build()
            .unwrap();
        let failed = [refused];
        let found: Vec<&str> = by_entry(4, ["0", "9", "x"].into_iter(), &failed)
            .map(|entry| match entry {
                Entry::Done => "done",
                Entry::Failed(failed) => failed.code(),
                Entry::Unknown => "unknown",
            })
            .collect();
        assert_eq!(found, ["done", "unknown", "InternalError", "unknown"]);
    }

    #[test]
    fn a_wait_is_never_shorter_than_was_asked_for() {
        let waits = [0, 1, 999, 1000, 1001].map(Duration::from_millis);
        assert_eq!(waits.map(seconds), [0, 1, 1, 1, 2]);
        assert_eq!(seconds(Duration::MAX), i32::MAX);
    }
}
