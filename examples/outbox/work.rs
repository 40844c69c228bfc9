//! The commands on an outbox, in whichever database it is.

use integration_automation_patterns::EventId;
use integration_automation_patterns::outbox::{Admin, EventHistory, Filter, StoreError};

use crate::arguments::Ask;
use crate::report::{Outcome, Report, Torn};

/// Does what was asked.
pub(crate) async fn run<D: Admin>(admin: &D, ask: &Ask) -> Result<Report, StoreError> {
    Ok(match ask {
        Ask::Counts => Report::Counts(admin.counts().await?),
        Ask::List { filter, limit } => {
            let mut letters = admin.dead_letters(filter, limit.saturating_add(1)).await?;
            let more = letters.len() > *limit;
            letters.truncate(*limit);
            Report::Dead { letters, unreadable: torn(admin, filter).await?, more }
        }
        Ask::Waiting { filter, limit } => {
            let mut events = admin.waiting(filter, limit.saturating_add(1)).await?;
            let more = events.len() > *limit;
            events.truncate(*limit);
            Report::Waiting { events, more }
        }
        Ask::Show { id, with_payload } => show(admin, id, *with_payload).await?,
        Ask::Redrive { filter, order } => {
            let verdicts = admin.redrive(filter, order).await?.into_iter();
            decided(
                admin,
                filter,
                verdicts.map(|(id, verdict)| (id, Outcome::Redrive(verdict))).collect(),
            )
            .await?
        }
        Ask::Discard { filter, decision } => {
            let ids = admin.discard(filter, decision).await?.into_iter();
            decided(admin, filter, ids.map(|id| (id, Outcome::Discarded)).collect())
                .await?
        }
        Ask::Purge { age, batch } => {
            let mut removed = 0_u64;
            loop {
                let gone = admin.purge(*age, *batch).await?;
                removed = removed.saturating_add(gone);
                if usize::try_from(gone).is_ok_and(|gone| gone < *batch) {
                    break Report::Purged(removed);
                }
            }
        }
        Ask::Verify => Report::Verified(admin.verify().await?),
    })
}

async fn show<D: Admin>(
    admin: &D,
    id: &EventId,
    with_payload: bool,
) -> Result<Report, StoreError> {
    match admin.get(id).await {
        Ok(Some(EventHistory { event, entries, .. })) => {
            let event = Box::new(event);
            Ok(Report::Event { event, moments: entries, with_payload })
        }
        Ok(None) => Ok(Report::NoneSuch { id: id.clone(), wanted: "event" }),
        Err(error) => match torn(admin, &Filter::id(id.clone())).await? {
            found if found.is_empty() => Err(error),
            unreadable => {
                Ok(Report::Dead { letters: Vec::new(), unreadable, more: false })
            }
        },
    }
}

async fn torn<D: Admin>(admin: &D, filter: &Filter) -> Result<Vec<Torn>, StoreError> {
    Ok(admin.unreadable(filter).await?.into_iter().map(Torn::from).collect())
}

/// What was decided, with the dead letters that no decision reaches.
async fn decided<D: Admin>(
    admin: &D,
    filter: &Filter,
    decided: Vec<(EventId, Outcome)>,
) -> Result<Report, StoreError> {
    let unreadable = torn(admin, filter).await?;
    Ok(match &filter.id {
        Some(id) if decided.is_empty() && unreadable.is_empty() => {
            Report::NoneSuch { id: id.clone(), wanted: "dead letter (of this filter)" }
        }
        _ => Report::Decided { decided, unreadable },
    })
}
