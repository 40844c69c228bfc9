//! `Settled`: a question that a person has answered, with the writes that only the answer
//! permits and the audit of each.

use super::answer::Answer;
use super::bases::Bases;
use super::plan::FieldPlan;
use super::reconcile::Rule;
use super::slot::{Base, Content};
use super::write::Write;
use crate::Decision;

/// A question that a person has answered: the writes, and the decision that permits them.
///
/// Only [`FieldPlan::settle`] makes it.
///
/// ```
/// use integration_automation_patterns::Decision;
/// use integration_automation_patterns::sync::{
///     Answer, Base, Choice, FieldPlan, Rule, Slot,
/// };
///
/// let (crm, erp) = (Slot::Value("active"), Slot::Value("closed"));
/// let (slots, base) = ([&crm, &erp], Base::Known(Some("active")));
/// let asked = FieldPlan::new(Rule::Manual, &slots, &base);
/// assert_eq!(asked.writes().count(), 0);
/// let row = asked.review("C-1", "status", ["crm", "erp"]).ok_or("it is asked")?;
///
/// let decision = Decision::new("on-call", "the customer has left")?;
/// let answer = Answer::to(&row, Choice::Side(1), decision);
/// let settled = asked.settle("C-1", "status", answer)?;
/// let write = settled.writes().next().ok_or("the CRM says something else")?;
/// assert_eq!(
///     (write.to(), write.value(), write.expects()),
///     (0, Some(&"closed"), Some(&"active"))
/// );
/// let audit = write.audit("C-1", "status", "crm").ok_or("a person decided")?;
/// assert_eq!(
///     (audit.old, audit.new, audit.decision.reason()),
///     (Some("active"), Some("closed"), "the customer has left")
/// );
/// assert_eq!(settled.next_base(), Base::Known(Some("closed")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an answer writes nothing itself"]
pub struct Settled<'a, T> {
    plan: FieldPlan<'a, T>,
    answer: Answer<T>,
}

impl<'a, T> Settled<'a, T> {
    pub(super) fn new(plan: FieldPlan<'a, T>, answer: Answer<T>) -> Self {
        Self { plan, answer }
    }

    /// The answer.
    pub fn answer(&self) -> &Answer<T> {
        &self.answer
    }

    /// Who decided, why, and when.
    pub fn decision(&self) -> &Decision {
        self.answer.decision()
    }

    /// What the field must hold everywhere; `None` if the systems stay different.
    pub fn outcome(&self) -> Option<Content<&T>> {
        self.answer.outcome(&self.plan).map(Content::from)
    }

    /// What is to be written where, each with what the system must still show, the edit
    /// that it overrides, and the decision.
    pub fn writes(&self) -> impl Iterator<Item = Write<'_, T>>
    where
        T: PartialEq,
    {
        self.all().filter(|write| !write.is_check())
    }

    /// The checks that the systems that get no write still show what the person saw:
    /// above all, the chosen side.
    ///
    /// Make these before the writes, and again after them. Without them, two people who
    /// choose crosswise at the same moment would make two systems swap their values.
    pub fn checks(&self) -> impl Iterator<Item = Write<'_, T>>
    where
        T: PartialEq,
    {
        self.all().filter(Write::is_check)
    }

    fn all(&self) -> impl Iterator<Item = Write<'_, T>>
    where
        T: PartialEq,
    {
        answered(&self.plan, &self.answer)
    }

    /// The common state once every write is carried out; as it was if a system was not
    /// read, or if the systems stay different.
    pub fn next_base(&self) -> Base<T>
    where
        T: Clone,
    {
        self.plan.common_after(self.answer.outcome(&self.plan))
    }

    /// What is known in common once every write is carried out, except those to the
    /// systems at these places: as [`FieldPlan::next_without`]. What these show is no
    /// news, since the person has decided about it: the next plan writes what was
    /// decided.
    ///
    /// If an owner is among them, it still shows what it is to give up: nothing moves,
    /// and the next plan asks again.
    pub fn next_without(&self, not_made: &[usize]) -> Bases<T>
    where
        T: PartialEq + Clone,
    {
        let outcome = self.answer.outcome(&self.plan);
        let shows = |place: usize| {
            let slot = self.plan.slots().get(place)?;
            slot.read().map(Content::into_option)
        };
        if let Rule::Owner(owner, _) = self.plan.rule()
            && not_made.contains(&owner)
            && shows(owner) != outcome
        {
            return self.plan.after(None, &[]);
        }
        let mut next = self.plan.after(outcome, &[]);
        let left = not_made.iter().filter(|_| outcome.is_some());
        for place in left.copied() {
            if let (Some(shown), Some(base)) =
                (shows(place), next.confirmed.get_mut(place))
            {
                *base = Base::Known(shown.cloned());
            }
        }
        next
    }

    pub(super) fn plan(&self) -> &FieldPlan<'a, T> {
        &self.plan
    }
}

/// A write for every system that said something; it is a check if the system says what
/// was chosen.
pub(super) fn answered<'p, T: PartialEq>(
    plan: &FieldPlan<'p, T>,
    answer: &'p Answer<T>,
) -> impl Iterator<Item = Write<'p, T>> + use<'p, T> {
    let outcome = answer.outcome(plan);
    let plan = *plan;
    outcome
        .map(|value| Write::of_all(value, Some(answer.decision()), &plan))
        .into_iter()
        .flatten()
}

/// What a person's answer changed in one system: for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audited<V> {
    /// The record.
    pub record_id: String,
    /// The field.
    pub field: String,
    /// The system that was written to.
    pub system: String,
    /// What it held.
    pub old: Option<V>,
    /// What it holds now.
    pub new: Option<V>,
    /// Who decided, why, and when.
    pub decision: Decision,
}

impl<T: Clone> Write<'_, T> {
    /// The audit entry for this write; `None` if no person decided on it.
    pub fn audit(
        &self,
        record_id: impl Into<String>,
        field: impl Into<String>,
        system: impl Into<String>,
    ) -> Option<Audited<T>> {
        Some(Audited {
            record_id: record_id.into(),
            field: field.into(),
            system: system.into(),
            old: self.expects().cloned(),
            new: self.value().cloned(),
            decision: self.decision()?.clone(),
        })
    }
}
