//! The commands on a desk, in whichever database it is.

use std::error::Error;

use integration_automation_patterns::EventId;
use integration_automation_patterns::workflow::{
    Desk, Status, Workflow, WorkflowDatabase,
};

use crate::arguments::{Ask, Order};
use crate::company::This;
use crate::database::Database;
use crate::moves::NotMade;
use crate::report::Report;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Asks the desk.
pub(crate) async fn run(database: &impl Database, asked: &Ask) -> Outcome<Report> {
    let desk = database.desk();
    Ok(match asked {
        Ask::Counts => Report::Counts(desk.counts().await?),
        Ask::Stuck { older_than, limit } => {
            let most = limit.saturating_add(1);
            let mut instances = desk.stuck(*older_than, most).await?;
            let more = instances.len() > *limit;
            instances.truncate(*limit);
            Report::Stuck { instances, more }
        }
        Ask::Look(id) => match desk.look(id).await? {
            Some(found) => Report::Instance(Box::new(found)),
            None => none_such(id),
        },
        Ask::Verify => Report::Verified(desk.verify().await?),
        Ask::Diagram => diagram(desk).await?,
        Ask::Move(wanted) => {
            let made = database.make(wanted).await;
            moved(desk, &wanted.id, made).await?
        }
        Ask::Postpone { order: Order { id, revision, decision }, until } => {
            let asked = desk.postpone(id, *revision, *until, decision).await;
            moved(desk, id, asked.map_err(NotMade::from)).await?
        }
        Ask::Reassign(Order { id, revision, decision }) => {
            let asked = desk.reassign(id, *revision, decision).await;
            moved(desk, id, asked.map_err(NotMade::from)).await?
        }
        Ask::TakeUp { id, decision } => {
            if !desk.take_up(id, decision).await? {
                let wanted = "instance whose turn has failed,";
                return Ok(Report::NoneSuch { id: id.clone(), wanted });
            }
            done(desk, id).await?
        }
        Ask::Purge { age, batch, decision } => {
            let mut removed = 0_usize;
            loop {
                let gone = desk.purge(*age, *batch, decision).await?;
                removed = removed.saturating_add(gone);
                if gone < *batch {
                    break Report::Purged(removed);
                }
            }
        }
    })
}

/// What came of a move that the database was asked for.
pub(crate) async fn moved(
    desk: &Desk<impl WorkflowDatabase>,
    id: &EventId,
    made: Result<(), NotMade>,
) -> Outcome<Report> {
    match made {
        Ok(()) => done(desk, id).await,
        Err(NotMade::NoneSuch) => Ok(none_such(id)),
        Err(NotMade::Refused(why)) => Ok(Report::Refused { id: id.clone(), why }),
        Err(NotMade::Failed(error)) => Err(error),
    }
}

/// Where the instance stands after what was done.
async fn done(desk: &Desk<impl WorkflowDatabase>, id: &EventId) -> Outcome<Report> {
    Ok(match desk.look(id).await? {
        Some(found) => Report::Done(Box::new(found.instance)),
        None => none_such(id),
    })
}

fn none_such(id: &EventId) -> Report {
    Report::NoneSuch { id: id.clone(), wanted: "instance" }
}

/// The table's diagram, with a note at each stage where instances stand.
async fn diagram(desk: &Desk<impl WorkflowDatabase>) -> Outcome<Report> {
    let mut diagram = This::DEFINITION.mermaid();
    for count in desk.counts().await? {
        if count.workflow != This::NAME {
            continue;
        }
        let stage = match (count.status, count.step) {
            (Status::Awaiting, Some(step)) => step,
            (status, Some(step)) => format!("{status}_{step}"),
            (status, None) => status.to_string(),
        };
        let overdue = match count.overdue {
            0 => String::new(),
            overdue => format!(", {overdue} overdue"),
        };
        let note = format!("    note right of {stage}: {}{overdue}\n", count.instances);
        diagram.push_str(&note);
    }
    Ok(Report::Diagram(diagram))
}
