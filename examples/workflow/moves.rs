//! What a person wants of one instance, as a step of it: pure, and the same for both
//! databases.

use std::error::Error;

use integration_automation_patterns::RawEvent;
use integration_automation_patterns::workflow::{
    AnyAdvance, Choice, DeskError, Driven, LoadError, Standing, Status, StepError,
    Workflow,
};

use crate::arguments::{Move, Wanted};
use crate::company::This;
use crate::reason::chain;

/// Why a move was not made. Nothing has changed.
pub(crate) enum NotMade {
    NoneSuch,
    /// It is not legal, or no longer.
    Refused(String),
    Failed(Box<dyn Error + Send + Sync>),
}

impl From<LoadError> for NotMade {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => Self::Failed(error.into()),
            refused => Self::Refused(chain(&refused)),
        }
    }
}

impl From<StepError> for NotMade {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Store(error) => Self::Failed(error.into()),
            refused => Self::Refused(chain(&refused)),
        }
    }
}

impl From<DeskError> for NotMade {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::NoSuchInstance { .. } => Self::NoneSuch,
            DeskError::Step(error) => error.into(),
            refused => Self::Refused(chain(&refused)),
        }
    }
}

/// The step of the instance that was found, where it is legal there.
pub(crate) fn step(
    at: <This as Workflow>::Any,
    wanted: &Move,
) -> Result<AnyAdvance<This>, NotMade> {
    let (at, standing) = This::standing(at);
    let (rests_on, found) = (wanted.revision, standing.revision);
    if rests_on != found {
        return Err(NotMade::Refused(format!(
            "wanted the instance at revision {rests_on}, and found revision {found}: it \
             has moved, look at it again"
        )));
    }
    let choice = choice(&wanted.wanted, &standing)?;
    This::decide(at, choice, wanted.ruling.clone())
        .map_err(|refused| NotMade::Refused(chain(refused.cause())))
}

fn choice(wanted: &Wanted, standing: &Standing<This>) -> Result<Choice, NotMade> {
    let payload = match wanted {
        Wanted::Choice(choice) => return Ok(choice.clone()),
        Wanted::Happened { payload } => payload,
    };
    let step = standing.step.and_then(|name| This::DEFINITION.step(name));
    let reply = step.and_then(|step| match standing.status {
        Status::Stuck => step.undone,
        _ => step.done,
    });
    let Some(reply) = reply else {
        let why = "wanted a step that may have happened, and it waits for none";
        return Err(NotMade::Refused(why.to_owned()));
    };
    Ok(Choice::Happened(RawEvent::new(reply, payload.clone())))
}
