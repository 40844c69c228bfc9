//! The stream: created where it is missing, left as it is where it is there; and whether
//! it still has a message.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{Config, Info, RawMessage, RetentionPolicy};
use async_nats::jetstream::{self, ErrorCode};
use serde_json::{Value, json};

use super::Inner;
use super::config::LONGEST_WAIT;
use super::connection::{API, Connection, Unanswered};
use super::sending::is_of_the_place;
use super::subject::takes_in;
use crate::broker::{BrokerError, BrokerErrorKind};
use crate::reason::reason;

impl Inner {
    pub(super) async fn create_stream(
        &self,
        duplicate_window: Duration,
    ) -> Result<(), BrokerError> {
        let (stream, subject) =
            (self.config.stream.as_str(), format!("{}.>", self.config.prefix));
        if duplicate_window < SHORTEST_WINDOW || duplicate_window > LONGEST_WAIT {
            return Err(BrokerError::permanent(format!(
                "the duplicate window of the stream {stream}: expected between \
                 {SHORTEST_WINDOW:?} and a year, found {duplicate_window:?}"
            )));
        }
        let connection = self.connection().await?;
        let mut found = look_up(&connection, stream).await?;
        if found.is_none() {
            let wanted = Config {
                name: stream.to_owned(),
                subjects: vec![subject.clone()],
                duplicate_window,
                ..Config::default()
            };
            found = create(&connection, &wanted).await?;
        }
        let found = match found {
            Some(found) => found,
            // Another program was faster.
            None => look_up(&connection, stream).await?.ok_or_else(|| gone(stream))?,
        };
        check(&found, &subject, duplicate_window).map_err(BrokerError::permanent)
    }
}

const SHORTEST_WINDOW: Duration = Duration::from_millis(100);

/// What matters of a stream that somebody else may have made.
fn check(
    found: &Config,
    subject: &str,
    duplicate_window: Duration,
) -> Result<(), String> {
    let stream = &found.name;
    if found.no_ack {
        return Err(format!(
            "the stream {stream} was to confirm what it stores, and has no_ack"
        ));
    }
    if found.duplicate_window != duplicate_window
        || !found.subjects.iter().any(|wide| takes_in(wide, subject))
    {
        return Err(format!(
            "the stream {stream} was to have the duplicate window {duplicate_window:?} and the subject {subject}, and has \
             {:?} and {}: change it at the server, or the window and the prefix that this program says",
            found.duplicate_window,
            found.subjects.join(", ")
        ));
    }
    Ok(())
}

/// Whether there is no such stream, or no JetStream; not, where this login may not look.
pub(super) async fn is_missing(connection: &Connection, stream: &str) -> bool {
    match connection
        .ask(&format!("{API}.STREAM.INFO.{stream}"), HeaderMap::new(), Vec::new())
        .await
    {
        Ok(answer) => read(stream, &answer.payload).is_ok_and(|found| found.is_none()),
        Err(unanswered) => matches!(unanswered, Unanswered::NoResponders),
    }
}

pub(super) async fn look_up(
    connection: &Connection,
    stream: &str,
) -> Result<Option<Config>, BrokerError> {
    read(stream, &connection.api(&format!("STREAM.INFO.{stream}"), Vec::new()).await?)
}

fn read(stream: &str, answer: &[u8]) -> Result<Option<Config>, BrokerError> {
    match serde_json::from_slice::<Response<Info>>(answer) {
        Ok(Response::Ok(info)) => Ok(Some(info.config)),
        Ok(Response::Err { error })
            if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
        {
            Ok(None)
        }
        Ok(Response::Err { error }) => Err(refused("stream", stream, &error)),
        Err(error) => Err(not_understood("stream", stream, &error)),
    }
}

async fn create(
    connection: &Connection,
    wanted: &Config,
) -> Result<Option<Config>, BrokerError> {
    let stream = wanted.name.as_str();
    let wanted = serde_json::to_vec(wanted)
        .map_err(|error| not_understood("stream", stream, &error))?;
    let answer = connection.api(&format!("STREAM.CREATE.{stream}"), wanted).await?;
    match serde_json::from_slice::<Response<Info>>(&answer) {
        Ok(Response::Ok(info)) => Ok(Some(info.config)),
        Ok(Response::Err { error })
            if error.error_code() == ErrorCode::STREAM_NAME_EXIST =>
        {
            Ok(None)
        }
        Ok(Response::Err { error }) => Err(refused("stream", stream, &error)),
        Err(error) => Err(not_understood("stream", stream, &error)),
    }
}

fn gone(stream: &str) -> BrokerError {
    BrokerError::unavailable(format!(
        "the stream {stream} was there a moment ago, and is gone"
    ))
}

/// What the server answers where it does not do what it is asked.
pub(super) fn refused(what: &str, name: &str, error: &jetstream::Error) -> BrokerError {
    let why = format!("the {what} {name}: {error}");
    if is_of_the_place(error.error_code()) {
        BrokerError::unavailable(why)
    } else {
        BrokerError::transient(why)
    }
}

pub(super) fn not_understood(
    what: &str,
    name: &str,
    error: &serde_json::Error,
) -> BrokerError {
    BrokerError::transient(format!(
        "the {what} {name}: the answer is not JetStream's: {}",
        reason(error)
    ))
}

/// Whether a stream has a message that it has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Yes,
    /// It was purged, deleted, or fell to the stream's limits.
    Gone,
    /// Whoever should get it has had it: the stream keeps only what nobody has confirmed.
    Consumed,
    /// This login may not look.
    Unknown,
}

pub(super) async fn held(
    connection: &Connection,
    stream: &str,
    sequence: u64,
) -> Result<Held, BrokerError> {
    match look_for(connection, stream, sequence).await {
        // Not to be looked at: the stream has said that it has it.
        Err(error) if error.kind() == BrokerErrorKind::Unavailable => Ok(Held::Unknown),
        found => found,
    }
}

async fn look_for(
    connection: &Connection,
    stream: &str,
    sequence: u64,
) -> Result<Held, BrokerError> {
    if message(connection, stream, sequence).await?.is_some() {
        return Ok(Held::Yes);
    }
    Ok(match look_up(connection, stream).await?.map(|found| found.retention) {
        Some(RetentionPolicy::WorkQueue | RetentionPolicy::Interest) => Held::Consumed,
        Some(RetentionPolicy::Limits) | None => Held::Gone,
    })
}

/// The message of a stream at this place, where there is one.
pub(super) async fn message(
    connection: &Connection,
    stream: &str,
    sequence: u64,
) -> Result<Option<RawMessage>, BrokerError> {
    get(connection, stream, &json!({ "seq": sequence })).await
}

/// The first message of a stream from this place on, of those whose subject is of this
/// pattern.
pub(super) async fn next_message(
    connection: &Connection,
    stream: &str,
    from: u64,
    pattern: &str,
) -> Result<Option<RawMessage>, BrokerError> {
    get(connection, stream, &json!({ "seq": from, "next_by_subj": pattern })).await
}

async fn get(
    connection: &Connection,
    stream: &str,
    asked: &Value,
) -> Result<Option<RawMessage>, BrokerError> {
    let answer = connection
        .api(&format!("STREAM.MSG.GET.{stream}"), asked.to_string().into_bytes())
        .await?;
    let read = serde_json::from_slice::<Response<HashMap<String, Value>>>(&answer);
    match read.map_err(|error| not_understood("stream", stream, &error))? {
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
            Ok(None)
        }
        Response::Err { error } => Err(refused("stream", stream, &error)),
        Response::Ok(mut found) => {
            let found =
                serde_json::from_value(found.remove("message").unwrap_or_default());
            found.map(Some).map_err(|error| not_understood("stream", stream, &error))
        }
    }
}
