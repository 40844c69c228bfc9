//! Whether a record exists: what follows when one system has it and another has not.

use super::bases::Bases;
use super::plan::FieldPlan;
use super::presence::{Presence, RecordBase};
use super::reconcile::{Question, Rule, Verdict};
use super::record_run::RecordRun;
use super::slot::{Base, Content};

/// What becomes of a record that one system has deleted. It is declared, never picked
/// silently.
#[doc(alias("tombstone", "soft delete"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deletions {
    /// A person decides.
    Ask,
    /// The record is made again where it was deleted.
    Restore,
    /// The record is left as it is everywhere, and no longer synchronised: leave it out
    /// of the runs that follow, since its [base](RecordBase) does not say so.
    Detach,
    /// The record is deleted everywhere, unless somebody has edited it since; then a
    /// person decides.
    Propagate,
}

/// What is to be done about a record as a whole.
///
/// The list is complete: a program that carries it out must handle each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Existence {
    /// Too little is known: the systems that were read do not have it, and others were
    /// not read.
    Unread,
    /// No system has it.
    Gone,
    /// Every system has it: its fields are planned.
    Everywhere,
    /// It is new in a system that creates no records for the others, and stays there.
    Local,
    /// The systems that lack it get it: it is new, or is restored.
    Create,
    /// The systems that have it delete it.
    Delete,
    /// It stays where it is, and is no longer synchronised: for the program to remember,
    /// since a later run would ask again.
    Detach,
    /// A person must decide.
    Ask,
}

/// What is declared about records as a whole: what becomes of a deletion, who may create
/// and delete, and how many records may be gone at once.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Deletions, Existence, Existed, Presence, RecordBase, RecordRules,
/// };
///
/// // The ERP gets the CRM's records, and makes none of its own.
/// let rules = RecordRules::new(Deletions::Propagate, 50).created_by([0]);
/// let mut run = rules.run();
/// let never = RecordBase::never(2);
/// run.plan("C-1", vec![Presence::There(1), Presence::Absent], &never, false)?;
/// run.plan("E-1", vec![Presence::Absent, Presence::There(1)], &never, false)?;
/// let both = RecordBase::common(Existed::There, 2);
/// run.plan("C-2", vec![Presence::Absent, Presence::There(1)], &both, false)?;
/// run.plan("C-3", vec![Presence::Absent, Presence::There(1)], &both, true)?;
///
/// let plans = run.finish()?;
/// assert_eq!(
///     plans.iter().map(|(key, plan)| (*key, plan.existence())).collect::<Vec<_>>(),
///     [
///         ("C-1", Existence::Create),
///         ("E-1", Existence::Local),
///         ("C-2", Existence::Delete),
///         ("C-3", Existence::Ask), // deleted here, and edited there
///     ]
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRules {
    deletions: Deletions,
    most_gone: usize,
    creators: Option<Vec<usize>>,
    deleters: Option<Vec<usize>>,
}

impl RecordRules {
    /// What becomes of a deletion, and how many records may be gone in one run.
    pub fn new(deletions: Deletions, most_gone: usize) -> Self {
        Self { deletions, most_gone, creators: None, deleters: None }
    }

    /// Only the systems at these places create records for the others. A record that is
    /// new in another system stays there.
    #[must_use = "this gives the rules back"]
    pub fn created_by(self, places: impl IntoIterator<Item = usize>) -> Self {
        Self { creators: Some(places.into_iter().collect()), ..self }
    }

    /// Only the systems at these places delete records for the others. A record that
    /// another system deletes is made again there.
    #[must_use = "this gives the rules back"]
    pub fn deleted_by(self, places: impl IntoIterator<Item = usize>) -> Self {
        Self { deleters: Some(places.into_iter().collect()), ..self }
    }

    /// Begins a run over many records.
    pub fn run<K, E>(&self) -> RecordRun<K, E> {
        RecordRun::new(self.clone())
    }

    /// What becomes of a deletion.
    pub fn deletions(&self) -> Deletions {
        self.deletions
    }

    /// How many records may be gone in one run.
    pub fn most_gone(&self) -> usize {
        self.most_gone
    }

    /// The places of the systems that create records for the others; `None`: each does.
    pub fn creators(&self) -> Option<&[usize]> {
        self.creators.as_deref()
    }

    /// The places of the systems that delete records for the others; `None`: each does.
    pub fn deleters(&self) -> Option<&[usize]> {
        self.deleters.as_deref()
    }

    /// The first place that lies beyond this many systems.
    pub(super) fn no_party(&self, systems: usize) -> Option<usize> {
        let places = self.creators.iter().chain(&self.deleters).flatten().copied();
        places.into_iter().find(|place| *place >= systems)
    }

    /// The rules in words, with the systems by their names.
    pub(super) fn words(&self, systems: &[String]) -> String {
        let names = |places: &Option<Vec<usize>>| match places {
            None => "any system".to_owned(),
            Some(places) if places.is_empty() => "no system".to_owned(),
            Some(places) => {
                let names = places.iter().filter_map(|place| systems.get(*place));
                names.map(String::as_str).collect::<Vec<_>>().join(", ")
            }
        };
        let follows = match self.deletions {
            Deletions::Ask => "put to a person",
            Deletions::Restore => "undone",
            Deletions::Detach => "the end of the synchronisation of the record",
            Deletions::Propagate => {
                "carried out everywhere, unless somebody has edited it"
            }
        };
        format!(
            "Records are made by {} and deleted by {}. A deletion is {follows}. At most {} \
             may be gone at once.",
            names(&self.creators),
            names(&self.deleters),
            self.most_gone
        )
    }

    /// What is to be done about a record, and why a person must decide, if one must.
    ///
    /// `edited` says whether a system that still has it has changed it since.
    pub(super) fn decide<E>(
        &self,
        presence: &[Presence<E>],
        base: &RecordBase,
        known: &Bases<()>,
        edited: bool,
    ) -> (Existence, Option<Question>) {
        let says = |of: fn(&Presence<E>) -> bool| presence.iter().any(of);
        let is_there = says(Presence::is_there);
        if is_there && says(|says| matches!(says, Presence::Merged)) {
            return (Existence::Ask, Some(Question::Merged));
        }
        let creators = presence.iter().enumerate();
        let is_made = creators
            .filter(|(_, says)| says.is_there())
            .any(|(place, _)| may(&self.creators, place));
        if is_there && !is_made && !base.has_existed() {
            return (Existence::Local, None);
        }
        let slots = presence.iter().map(Presence::slot).collect::<Vec<_>>();
        let slots = slots.iter().collect::<Vec<_>>();
        let plan = FieldPlan::with_bases(Rule::Shared, &slots, known);
        match (plan.verdict(), plan.outcome()) {
            (Verdict::Ask(_), _) => (Existence::Ask, Some(Question::Deletion)),
            // What the others have is not known: what follows from the deletion waits.
            (Verdict::Agreed(_), Some(Content::Empty))
                if says(|says| matches!(says, Presence::Unread)) =>
            {
                (Existence::Unread, None)
            }
            (Verdict::Agreed(_), Some(Content::Empty)) => (Existence::Gone, None),
            (Verdict::Agreed(_), Some(Content::Value(()))) => {
                (Existence::Everywhere, None)
            }
            (_, Some(Content::Value(()))) => (Existence::Create, None),
            (Verdict::Behind, Some(Content::Empty)) if !edited => {
                (Existence::Delete, None)
            }
            (Verdict::Behind, Some(Content::Empty)) => {
                (Existence::Ask, Some(Question::Deletion))
            }
            (_, Some(Content::Empty)) => self.of_a_deletion(edited),
            (_, None) => (Existence::Unread, None),
        }
    }

    fn of_a_deletion(&self, edited: bool) -> (Existence, Option<Question>) {
        match self.deletions {
            Deletions::Restore => (Existence::Create, None),
            Deletions::Detach => (Existence::Detach, None),
            Deletions::Propagate if !edited => (Existence::Delete, None),
            Deletions::Propagate | Deletions::Ask => {
                (Existence::Ask, Some(Question::Deletion))
            }
        }
    }

    /// What is known in common of a record's existence, as a shared field that is empty
    /// or not.
    ///
    /// A deletion by a system that may not delete does not count: the system has yet to
    /// get the record.
    pub(super) fn known<E>(
        &self,
        presence: &[Presence<E>],
        base: &RecordBase,
    ) -> Bases<()> {
        let mut known = base.bases(presence.len());
        let places = presence.iter().zip(&mut known.confirmed).enumerate();
        for (place, (says, base)) in places {
            if matches!(says, Presence::Absent) && !may(&self.deleters, place) {
                *base = Base::Known(None);
            }
        }
        known
    }
}

/// Whether the system at a place may: every system may if no places are given.
fn may(places: &Option<Vec<usize>>, place: usize) -> bool {
    places.as_ref().is_none_or(|places| places.contains(&place))
}
