//! The poll: a task of its own, since a request that is given up goes on at the queue,
//! which then hands messages to nobody.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};

use super::hold::Hold;
use super::reading::{group, is_redelivered, read};
use super::settling::seconds;
use super::verdict;
use crate::broker::BrokerError;

/// How long a request may take beyond its wait.
const TO_ANSWER: Duration = Duration::from_secs(5);

/// How long it rests after a failure, so that a loop around `next` does not spin.
pub(super) const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// The most messages of a request.
const MOST: i32 = 10;

/// Fetches messages, one request at a time and only while there is room for them, until
/// the listener is closed: then it ends its request, and what that brings goes back.
pub(super) async fn poll(hold: Arc<Hold>, wait: Duration) {
    loop {
        match hold.has_room() {
            None => return,
            Some(false) => {
                hold.room.notified().await;
                continue;
            }
            Some(true) => {}
        }
        match receive(&hold, wait).await {
            Ok(messages) => keep(&hold, messages),
            Err(failed) => {
                hold.fail(failed);
                tokio::time::sleep(AFTER_A_FAILURE).await;
            }
        }
    }
}

async fn receive(hold: &Hold, wait: Duration) -> Result<Vec<Message>, BrokerError> {
    let queue = &hold.queue;
    let answered = queue
        .client
        .receive_message()
        .queue_url(&queue.url)
        .max_number_of_messages(MOST)
        .wait_time_seconds(seconds(wait))
        .visibility_timeout(seconds(hold.visibility))
        .message_attribute_names("All")
        .message_system_attribute_names(
            MessageSystemAttributeName::ApproximateReceiveCount,
        )
        .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
        .customize()
        .config_override(queue.within(wait.saturating_add(TO_ANSWER)))
        .send()
        .await;
    let answered = answered.map_err(|error| verdict::of_request(queue, &error))?;
    Ok(answered.messages.unwrap_or_default())
}

fn keep(hold: &Hold, messages: Vec<Message>) {
    let name = &hold.queue.name;
    hold.keep(messages.iter().filter_map(|message| {
        let handle = message.receipt_handle()?.into();
        let event = read(message, name);
        Some((group(message).map(Into::into), handle, event, is_redelivered(message)))
    }));
}
