//! What came of a command, before it is written as text or as JSON.

use integration_automation_patterns::EventId;
use integration_automation_patterns::workflow::{
    InstanceFinding, InstanceHistory, InstanceView, StageCount, Workflow,
};

use crate::company::This;

pub(crate) enum Report {
    Counts(Vec<StageCount>),
    Stuck {
        instances: Vec<InstanceView>,
        more: bool,
    },
    Instance(Box<InstanceHistory>),
    NoneSuch {
        id: EventId,
        wanted: &'static str,
    },
    Verified(Vec<InstanceFinding>),
    /// The table's diagram, with how many instances stand where.
    Diagram(String),
    /// It is done, and here the instance stands now.
    Done(Box<InstanceView>),
    Refused {
        id: EventId,
        why: String,
    },
    Purged(usize),
}

impl Report {
    /// Whether something is left that this program cannot settle. A list of what waits is
    /// in order as a list.
    pub(crate) fn needs_a_person(&self) -> bool {
        match self {
            Self::Counts(_) | Self::Stuck { .. } | Self::Instance(_) => false,
            Self::Diagram(_) | Self::Done(_) | Self::Purged(_) => false,
            Self::NoneSuch { .. } | Self::Refused { .. } => true,
            Self::Verified(findings) => !findings.is_empty(),
        }
    }

    /// What is to be said beside the output.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            Self::Stuck { instances, more: true } => Some(format!(
                "the first {} are shown, and there are more: --limit shows them",
                instances.len()
            )),
            Self::NoneSuch { id, wanted } => Some(format!(
                "there is no {wanted} {id} (--key was looked for among those of {}, the \
                 workflow that this program knows: name any other by its id)",
                This::NAME
            )),
            _ => None,
        }
    }
}
