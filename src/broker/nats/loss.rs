//! Messages that the stream deleted before the consumer had read them: its limits were
//! reached, or somebody purged it.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{Info, RetentionPolicy};
use tokio::time::Instant;

use super::connection::{API, Connection, Unanswered};
use super::durable::Durable;
use super::subject::takes_in;
use crate::broker::Lost;

/// How often is looked, at the most.
const BETWEEN: Duration = Duration::from_secs(1);

/// What is known of such losses. A consumer that reads only some of the subjects has none
/// that can be told from messages which were not for it.
#[derive(Debug)]
pub(super) struct Losses {
    /// When is looked next; never where the login may not look, or nothing is to be seen.
    due: Option<Instant>,
    /// The last place that was reported.
    reported: u64,
}

impl Losses {
    pub(super) fn new(durable: &Durable) -> Self {
        let due = durable.only.is_none().then(Instant::now);
        Self { due, reported: 0 }
    }

    /// The messages that are gone and were not reported yet, if it is time to look.
    pub(super) async fn look(
        &mut self,
        connection: &Connection,
        durable: &Durable,
    ) -> Option<Lost> {
        self.due.filter(|due| *due <= Instant::now())?;
        self.due = Instant::now().checked_add(BETWEEN);
        // The stream first: what it had deleted then, and the consumer has not had later,
        // nobody will have.
        let asked = format!("{API}.STREAM.INFO.{}", durable.stream);
        let stream = match connection.ask(&asked, HeaderMap::new(), Vec::new()).await {
            Ok(answer) => answer.payload,
            Err(Unanswered::Forbidden(_)) => {
                self.due = None;
                return None;
            }
            Err(_) => return None,
        };
        let Ok(Response::Ok(stream)) = serde_json::from_slice::<Response<Info>>(&stream)
        else {
            return None;
        };
        let filter = durable.filter();
        let subjects = &stream.config.subjects;
        let reads_all = subjects.iter().all(|subject| takes_in(&filter, subject));
        if stream.config.retention != RetentionPolicy::Limits || !reads_all {
            self.due = None;
            return None;
        }
        let consumer = durable.look_up(connection).await.ok()??;
        let read = consumer.delivered.stream_sequence.max(self.reported);
        let (from, to) =
            (read.checked_add(1)?, stream.state.first_sequence.checked_sub(1)?);
        if from > to {
            return None;
        }
        self.reported = to;
        let (of, reader) = (&durable.stream, &durable.name);
        Some(Lost::new(
            format!("the stream {of}"),
            format!("the consumer {reader}"),
            from,
            to,
        ))
    }
}
