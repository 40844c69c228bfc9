//! `Definition`: a workflow's table as data, and its fingerprint.

use std::time::Duration;

use super::id::{FNV_BASIS, fnv};
use super::role::Role;
use super::stage::Status;

/// A workflow as data: what [`workflow!`](crate::workflow!) was given.
///
/// ```
/// # mod shop {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
/// # }
/// # use shop::order_to_cash;
/// use integration_automation_patterns::workflow::{Kind, Workflow};
///
/// let definition = order_to_cash::This::DEFINITION;
/// assert_eq!((definition.name, definition.version), ("order_to_cash", 1));
/// let kinds = definition.steps.iter().map(|step| step.kind).collect::<Vec<_>>();
/// assert_eq!(kinds[2..4], [Kind::Approval, Kind::Pivot]);
/// let order = definition.step("create_order").ok_or("there is such a step")?;
/// assert_eq!(order.needs, Some("over_limit"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// The name.
    pub name: &'static str,
    /// The version.
    pub version: u32,
    /// The role that begins an instance, where the table names one.
    pub requested_by: Option<&'static str>,
    /// The steps, in their order.
    pub steps: &'static [Step],
}

/// A step, as its row of the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: Kind,
    /// The event that asks the participant to do it; an approval has none.
    pub command: Option<&'static str>,
    /// The reply that it is done.
    pub done: Option<&'static str>,
    /// The reply that it is refused.
    pub refused: Option<&'static str>,
    /// The command that undoes it.
    pub undo: Option<&'static str>,
    /// The reply that it is undone.
    pub undone: Option<&'static str>,
    /// How long its reply is waited for.
    pub within: Option<Duration>,
    /// Whom an approval asks, or whom a step asks that does not answer.
    pub asks: &'static [Level],
    /// How long the participant of a silent pivot has to say whether it was done.
    pub forestall_within: Option<Duration>,
    /// How long the reply to its undo is waited for.
    pub undo_within: Option<Duration>,
    /// Whom an undo asks that does not answer.
    pub undo_asks: &'static [Level],
    /// The approval without which it is not sent.
    pub needs: Option<&'static str>,
    /// The condition of an approval.
    pub when: Option<&'static str>,
}

/// The kind of a step, which decides what may follow from its answer, and from silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It can be undone.
    Compensatable,
    /// People decide.
    Approval,
    /// Once it is done there is no way back.
    Pivot,
    /// It succeeds in the end.
    Retriable,
}

impl Kind {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compensatable => "compensatable",
            Self::Approval => "approval",
            Self::Pivot => "pivot",
            Self::Retriable => "retriable",
        }
    }
}

/// One level of a question: whom it asks, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The name of the role.
    pub role: &'static str,
    /// How many people of the role must agree.
    pub wanted: u32,
    /// Until the next level is asked.
    pub within: Duration,
    /// When the same people are reminded.
    pub remind_after: Option<Duration>,
}

impl Level {
    /// A level that asks one person of a role.
    pub const fn of<R: Role>(wanted: u32, within: Duration) -> Self {
        Self { role: R::NAME, wanted, within, remind_after: None }
    }

    /// The same level, with a reminder.
    #[must_use = "this gives the changed level back"]
    pub const fn remind_after(mut self, span: Duration) -> Self {
        self.remind_after = Some(span);
        self
    }
}

impl Step {
    // A row, word by word: what the macro calls.

    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            command: None,
            done: None,
            refused: None,
            undo: None,
            undone: None,
            within: None,
            asks: &[],
            forestall_within: None,
            undo_within: None,
            undo_asks: &[],
            needs: None,
            when: None,
        }
    }

    #[doc(hidden)]
    pub const fn does(
        mut self,
        command: &'static str,
        done: &'static str,
        within: Duration,
    ) -> Self {
        self.command = Some(command);
        self.done = Some(done);
        self.within = Some(within);
        self
    }

    #[doc(hidden)]
    pub const fn refused(mut self, reply: &'static str) -> Self {
        self.refused = Some(reply);
        self
    }

    #[doc(hidden)]
    pub const fn undone(
        mut self,
        undo: &'static str,
        undone: &'static str,
        within: Duration,
        asks: &'static [Level],
    ) -> Self {
        self.undo = Some(undo);
        self.undone = Some(undone);
        self.undo_within = Some(within);
        self.undo_asks = asks;
        self
    }

    #[doc(hidden)]
    pub const fn asks(mut self, asks: &'static [Level]) -> Self {
        self.asks = asks;
        self
    }

    #[doc(hidden)]
    pub const fn forestall_within(mut self, within: Duration) -> Self {
        self.forestall_within = Some(within);
        self
    }

    #[doc(hidden)]
    pub const fn needs(mut self, approval: &'static str) -> Self {
        self.needs = Some(approval);
        self
    }

    #[doc(hidden)]
    pub const fn when(mut self, condition: &'static str) -> Self {
        self.when = Some(condition);
        self
    }

    /// What a stage of this step waits for.
    pub(crate) fn waits(&self, status: Status) -> Wait {
        let reply = |within: Option<Duration>| within.map_or(Wait::Nothing, Wait::Reply);
        match status {
            Status::Awaiting if self.kind == Kind::Approval => Wait::People(self.asks),
            Status::Awaiting => reply(self.within),
            Status::Forestalling => reply(self.forestall_within),
            Status::Parked if self.kind != Kind::Approval => people(self.asks),
            Status::Undoing => reply(self.undo_within),
            Status::Stuck => people(self.undo_asks),
            Status::Parked | Status::Completed | Status::Undone | Status::GivenUp => {
                Wait::Nothing
            }
        }
    }
}

fn people(asks: &'static [Level]) -> Wait {
    if asks.is_empty() { Wait::Nothing } else { Wait::People(asks) }
}

/// What a stage waits for: a wait that has no deadline cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It is over, or there is no such stage.
    Nothing,
    /// A participant's reply, within this span.
    Reply(Duration),
    /// People, level by level.
    People(&'static [Level]),
}

impl Definition {
    /// The step of this name.
    pub fn step(&self, name: &str) -> Option<&'static Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// The steps before this one, in their order.
    pub fn before(&self, name: &str) -> impl Iterator<Item = &'static Step> + use<'_> {
        let name = name.to_owned();
        self.steps.iter().take_while(move |step| step.name != name)
    }

    /// A hash over what running instances depend on: kinds, names, the types of events,
    /// undos, needs, whether an approval has a condition, and where a person or the
    /// participant is asked about a silent step. Times, roles and what a condition says are
    /// free to change under a version. What people have voted counts by the chain of today
    /// until the command that needs it has left.
    ///
    /// The compiler computes it, and compares it with the one that a table is `sealed`
    /// with.
    pub const fn fingerprint(&self) -> u64 {
        let (mut hash, mut steps) = (text(FNV_BASIS, self.name), self.steps);
        while let [step, rest @ ..] = steps {
            hash = text(hash, step.kind.as_str());
            hash = text(hash, step.name);
            hash = optional(hash, step.command);
            hash = optional(hash, step.done);
            hash = optional(hash, step.refused);
            hash = optional(hash, step.undo);
            hash = optional(hash, step.undone);
            hash = optional(hash, step.needs);
            hash = fnv(hash, if step.asks.is_empty() { 0 } else { 1 });
            hash = fnv(hash, if step.forestall_within.is_none() { 0 } else { 1 });
            // Without one, an instance that has passed the approval over is none of the table.
            if step.when.is_some() {
                hash = fnv(hash, 2);
            }
            steps = rest;
        }
        hash
    }
}

/// One text of a fingerprint. No UTF-8 text holds the byte that ends it.
const fn text(mut hash: u64, text: &str) -> u64 {
    let mut bytes = text.as_bytes();
    while let [byte, rest @ ..] = bytes {
        hash = fnv(hash, *byte);
        bytes = rest;
    }
    fnv(hash, 0xFF)
}

const fn optional(hash: u64, word: Option<&'static str>) -> u64 {
    match word {
        Some(word) => text(hash, word),
        None => text(hash, ""),
    }
}
