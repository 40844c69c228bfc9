//! Which database is meant, and what is asked beside it.

use integration_automation_patterns::EventId;
use integration_automation_patterns::inbox::{
    Filter, Held, Remembered, Stalled, Unreadable,
};
use integration_automation_patterns::outbox::DeadLetter;

use crate::arguments::{AskInbox, Command, Request};
#[cfg(feature = "postgres")]
use crate::line;
use crate::place::{Place, refusal};
use crate::report::{Outcome, Report, Torn};
use crate::sqlite;

/// Does what was asked, on the database that was named, and on the broker where one is.
pub(crate) async fn run(request: &Request) -> Result<Report, String> {
    let report = on_database(request).await?;
    match (&request.command, report) {
        (
            Command::Inbox(AskInbox::Counts { reads: Some(place), .. }),
            Report::InboxCounts { counts, .. },
        ) => Ok(Report::InboxCounts { counts, lag: Some(place.lag().await) }),
        (_, report) => Ok(report),
    }
}

async fn on_database(request: &Request) -> Result<Report, String> {
    let Request { database, way, command, .. } = request;
    match Place::of(database, way)? {
        #[cfg(feature = "postgres")]
        Place::Server { url, way } => {
            let (config, ca) =
                (line::config(&url, way.schema.as_deref())?, way.ca.as_deref());
            let name = crate::place::name(&config);
            let done = crate::postgres::run(config, ca, command).await;
            done.map_err(|error| refusal(&name, &*error))
        }
        Place::File(path) => sqlite::run(path, command)
            .await
            .map_err(|error| refusal(&path.display().to_string(), &*error)),
    }
}

/// What an inbox answers that was asked for one dead letter more than is wanted.
pub(crate) fn listed(
    mut letters: Vec<DeadLetter>,
    unreadable: Vec<Unreadable>,
    limit: usize,
) -> Report {
    let more = letters.len() > limit;
    letters.truncate(limit);
    Report::Dead { letters, unreadable: torn(unreadable), more }
}

fn torn(unreadable: Vec<Unreadable>) -> Vec<Torn> {
    unreadable.into_iter().map(Torn::from).collect()
}

/// The same, of what is stalled.
pub(crate) fn stalled(mut events: Vec<Stalled>, limit: usize) -> Report {
    let more = events.len() > limit;
    events.truncate(limit);
    Report::Stalled { events, more }
}

/// The same, of what the inbox holds.
pub(crate) fn held(mut events: Vec<Held>, limit: usize) -> Report {
    let more = events.len() > limit;
    events.truncate(limit);
    Report::Held { events, more }
}

/// What an inbox has of one event.
pub(crate) struct Found {
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) retrying: Vec<Stalled>,
    pub(crate) held: Vec<Held>,
    pub(crate) remembered: Option<Remembered>,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// One event of an inbox, which keeps no moments; of one that is processed it keeps when.
pub(crate) fn shown(found: Found, id: &EventId, with_payload: bool) -> Report {
    let dead = found.letters.into_iter().map(|letter| letter.event.into());
    let retrying = found.retrying.into_iter().map(|stalled| stalled.event.into());
    let held = found.held.into_iter().map(|held| held.event.into());
    let mut remembered = found.remembered;
    let done = remembered.as_mut().and_then(|remembered| remembered.event.take());
    match (dead.chain(retrying).chain(held).chain(done).next(), remembered) {
        (Some(event), _) => {
            Report::Event { event: Box::new(event), moments: Vec::new(), with_payload }
        }
        (None, Some(remembered)) => {
            Report::Remembered { id: id.clone(), remembered: Box::new(remembered) }
        }
        (None, None) if found.unreadable.is_empty() => Report::NoneSuch {
            id: id.clone(),
            wanted: "event in the inbox (of this source, since it was purged last)",
        },
        (None, None) => Report::Dead {
            letters: Vec::new(),
            unreadable: torn(found.unreadable),
            more: false,
        },
    }
}

/// The event of an inbox that has this source and id.
pub(crate) fn one(source: &str, id: &EventId) -> Filter {
    let mut filter = Filter::id(id.clone());
    filter.source_system = Some(source.to_owned());
    filter
}

/// What became of a discard: no decision reaches what is unreadable.
pub(crate) fn discarded(
    was_there: bool,
    unreadable: Vec<Unreadable>,
    id: &EventId,
) -> Report {
    if was_there || !unreadable.is_empty() {
        let decided = was_there.then(|| (id.clone(), Outcome::Discarded));
        Report::Decided {
            decided: decided.into_iter().collect(),
            unreadable: torn(unreadable),
        }
    } else {
        Report::NoneSuch { id: id.clone(), wanted: "dead letter (of this source)" }
    }
}
