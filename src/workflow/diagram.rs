//! The ways through a workflow, as data and as a diagram: read from its definition.

use std::fmt;

use super::definition::{Definition, Kind, Step};
use super::reply::Forestalled;
use super::stage::Status;
use crate::Event;

/// One way on: from which stage, to which, and what leads there.
///
/// Its text is a line of a Mermaid state diagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The stage that it leaves: its status, and the step.
    pub from: (Status, &'static str),
    /// The stage that it leads to; an end has no step.
    pub to: (Status, &'static str),
    /// The type of the reply, or the verb.
    pub by: &'static str,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |(status, step): (Status, &str)| match status {
            Status::Awaiting => step.to_owned(),
            status if status.is_end() => status.to_string(),
            status => format!("{status}_{step}"),
        };
        write!(f, "{} --> {}: {}", name(self.from), name(self.to), self.by)
    }
}

impl Definition {
    /// Every way from a stage to another one.
    ///
    /// ```
    /// # mod shop {
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
    /// # }
    /// # use shop::order_to_cash;
    /// use integration_automation_patterns::workflow::{Status, Workflow};
    ///
    /// let edges = order_to_cash::This::DEFINITION.edges();
    /// let silent = |edge: &&_| {
    ///     let edge: &integration_automation_patterns::workflow::Edge = edge;
    ///     edge.from == (Status::Awaiting, "hold_stock") && edge.by == "timed_out"
    /// };
    /// let edge = edges.iter().find(silent).ok_or("a wait ends")?;
    /// assert_eq!(edge.to, (Status::Undoing, "hold_stock"), "it may have been done");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let (on, back) = (self.on(index), self.back(index));
            let mut ways = Ways { step, on, back, edges: &mut edges };
            match step.kind {
                Kind::Compensatable => ways.of_compensatable(),
                Kind::Approval => ways.of_approval(),
                Kind::Pivot => ways.of_pivot(),
                Kind::Retriable => ways.of_retriable(),
            }
        }
        edges
    }

    /// The stages and what leads from one to the next, as a Mermaid state diagram.
    ///
    /// ```
    /// # mod shop {
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
    /// # }
    /// # use shop::order_to_cash;
    /// use integration_automation_patterns::workflow::Workflow;
    ///
    /// let diagram = order_to_cash::This::DEFINITION.mermaid();
    /// assert!(diagram.starts_with("stateDiagram-v2\n    [*] --> reserve_credit\n"));
    /// assert!(diagram.contains("create_order --> notify_billing: erp.order.created\n"));
    /// ```
    pub fn mermaid(&self) -> String {
        let mut lines = vec!["stateDiagram-v2".to_owned()];
        let first = self.steps.first().map(|step| format!("    [*] --> {}", step.name));
        lines.extend(first);
        lines.extend(self.edges().iter().map(|edge| format!("    {edge}")));
        lines.push(String::new());
        lines.join("\n")
    }

    /// The stages that may follow the step at this place: a conditional approval may be
    /// passed over.
    fn on(&self, index: usize) -> Vec<(Status, &'static str)> {
        let mut on = Vec::new();
        for step in self.steps.iter().skip(index.saturating_add(1)) {
            on.push((Status::Awaiting, step.name));
            if step.when.is_none() {
                return on;
            }
        }
        on.push((Status::Completed, ""));
        on
    }

    /// What is undone first, where the step at this place was not done.
    fn back(&self, index: usize) -> (Status, &'static str) {
        let before = self.steps.iter().take(index);
        let last = before.rev().find(|step| step.kind == Kind::Compensatable);
        last.map_or((Status::Undone, ""), |step| (Status::Undoing, step.name))
    }
}

/// The ways out of the stages of one step.
struct Ways<'a> {
    step: &'a Step,
    on: Vec<(Status, &'static str)>,
    back: (Status, &'static str),
    edges: &'a mut Vec<Edge>,
}

impl Ways<'_> {
    fn add(&mut self, from: Status, by: &'static str, to: (Status, &'static str)) {
        self.edges.push(Edge { from: (from, self.step.name), to, by });
    }

    fn here(&self, status: Status) -> (Status, &'static str) {
        (status, self.step.name)
    }

    fn on(&mut self, from: Status, by: &'static str) {
        for to in self.on.clone() {
            self.add(from, by, to);
        }
    }

    /// The replies to the command, wherever it is listened to.
    fn replies(&mut self, from: Status) {
        if let Some(done) = self.step.done {
            self.on(from, done);
        }
        if let Some(refused) = self.step.refused {
            self.add(from, refused, self.back);
        }
    }

    fn of_compensatable(&mut self) {
        use Status::{Awaiting, GivenUp, Parked, Stuck, Undoing};

        let undoing = self.here(Undoing);
        self.replies(Awaiting);
        self.add(Awaiting, "cancel", undoing);
        if self.step.asks.is_empty() {
            self.add(Awaiting, "timed_out", undoing);
        } else {
            self.add(Awaiting, "timed_out", self.here(Parked));
            self.replies(Parked);
            self.on(Parked, "happened");
            self.add(Parked, "did_not_happen", self.back);
            self.add(Parked, "cancel", undoing);
        }
        for from in [Undoing, Stuck] {
            if let Some(undone) = self.step.undone {
                self.add(from, undone, self.back);
            }
        }
        self.add(Undoing, "timed_out", self.here(Stuck));
        self.add(Stuck, "happened", self.back);
        self.add(Stuck, "ask_again", undoing);
        self.add(Stuck, "give_up", (GivenUp, ""));
    }

    fn of_approval(&mut self) {
        self.on(Status::Awaiting, "approve");
        for by in ["refuse", "timed_out", "cancel"] {
            self.add(Status::Awaiting, by, self.back);
        }
    }

    fn of_pivot(&mut self) {
        use Status::{Awaiting, Forestalling, Parked};

        self.replies(Awaiting);
        if self.step.forestall_within.is_some() {
            self.add(Awaiting, "timed_out", self.here(Forestalling));
            self.replies(Forestalling);
            for from in [Forestalling, Parked] {
                self.add(from, Forestalled::TYPE, self.back);
            }
            self.add(Forestalling, "timed_out", self.here(Parked));
        } else {
            self.add(Awaiting, "timed_out", self.here(Parked));
        }
        self.replies(Parked);
        self.on(Parked, "happened");
        self.add(Parked, "did_not_happen", self.back);
    }

    fn of_retriable(&mut self) {
        use Status::{Awaiting, GivenUp, Parked};

        self.replies(Awaiting);
        self.add(Awaiting, "timed_out", self.here(Parked));
        self.replies(Parked);
        self.on(Parked, "happened");
        self.add(Parked, "ask_again", self.here(Awaiting));
        self.add(Parked, "give_up", (GivenUp, ""));
    }
}
