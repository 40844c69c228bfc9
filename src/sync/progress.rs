//! How far the plan of a declared boundary was carried out, and what follows from what
//! each system replies.

use super::answer::AnswerError;
use super::apply::Found;
use super::carried::{ApplyError, Carried, Misfit, Unfinished};
use super::plan::Write;
use super::visit::Visit;
use crate::Refused;
use crate::reason::reason;

/// Why a store did not take its changes.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The steps of carrying out a plan; every system makes one before any makes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Does each system still show what the answers are to?
    Before,
    /// The changes are written.
    Write,
    /// Does each system that an answer leaves as it is still show the same? Otherwise two
    /// people who choose crosswise would make two systems swap their values.
    Check,
    /// What was written of the answers that fell is taken back.
    TakeBack,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Before, Self::Write, Self::Check, Self::TakeBack];

    /// Whether only the answers that fit so far take part.
    pub fn wants_what_fits(self) -> bool {
        matches!(self, Self::Before | Self::Write)
    }
}

/// Collects the fields whose writes a person has decided on.
#[derive(Debug)]
pub struct Decided(Vec<&'static str>);

impl Decided {
    /// Nothing so far: inherent, for code without a prelude.
    pub const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Whether the write of a field was taken back by a step that found this.
    pub fn is_taken_back(&self, field: &str, step: Step, found: Found) -> bool {
        step == Step::TakeBack && found != Found::MovedOn && self.0.contains(&field)
    }
}

impl<T> Visit<&Option<Write<'_, T>>> for Decided {
    fn visit(&mut self, field: &'static str, write: &Option<Write<'_, T>>) {
        if write.as_ref().is_some_and(|write| write.decision().is_some()) {
            self.0.push(field);
        }
    }
}

/// How far a plan was carried out: with its answers (`A`), refusals (`R`) and own forms
/// (`K`).
#[derive(Debug)]
pub struct Progress<A, R, K> {
    /// The answers that fit, or have fallen and are not set aside yet.
    pub given: A,
    /// The answers that do not fit.
    pub aside: A,
    /// Why not.
    pub misfits: Vec<Misfit>,
    /// Why answers have fallen that are not set aside yet.
    pub fallen: Vec<Misfit>,
    /// The places of the systems that got nothing.
    pub not_made: Vec<usize>,
    /// What systems refused.
    pub refused: R,
    /// What systems hold instead of what was written, and not taken back.
    pub kept: K,
    written: Vec<usize>,
}

impl<A, R, K> Progress<A, R, K> {
    /// Nothing so far.
    pub fn begin(given: A, aside: A, refused: R, kept: K) -> Self {
        let (misfits, fallen) = (Vec::new(), Vec::new());
        let (not_made, written) = (Vec::new(), Vec::new());
        Self { given, aside, misfits, fallen, not_made, refused, kept, written }
    }

    /// Why answers have fallen, if something was written in the system at this place that
    /// could be taken back.
    pub fn fallen_in(&self, to: usize) -> &[Misfit] {
        if self.written.contains(&to) { &self.fallen } else { &[] }
    }

    /// Notes what the changes found in the system at this place.
    pub fn found(&mut self, step: Step, to: usize, found: Found, decided: &Decided) {
        match (step, found) {
            (Step::Write, Found::AsExpected) => self.written.push(to),
            (Step::Write, Found::MovedOn) => self.not_made.push(to),
            _ => {}
        }
        if found == Found::MovedOn && step != Step::TakeBack {
            self.fall(decided, &AnswerError::MovedOn);
        }
    }

    /// Notes that the store of the system at this place, one of so many, failed.
    ///
    /// # Errors
    ///
    /// The cause, if that is the end: a check is made again with its answer.
    pub fn failed(
        &mut self,
        step: Step,
        to: usize,
        systems: usize,
        cause: impl Into<Cause>,
        decided: &Decided,
    ) -> Result<(), Cause> {
        let cause = cause.into();
        match step {
            Step::Before | Step::Check => {
                let why = reason(&*cause);
                self.fall(decided, &AnswerError::Unchecked { why });
                return Ok(());
            }
            Step::Write => self.not_made.extend(to..systems),
            Step::TakeBack => {}
        }
        Err(cause)
    }

    fn fall(&mut self, decided: &Decided, cause: &AnswerError) {
        let misfit = |field: &&'static str| Misfit { field, cause: cause.clone() };
        self.fallen.extend(decided.0.iter().map(misfit));
    }

    /// No further, for this reason.
    pub fn stopped<B>(
        self,
        bases: B,
        system: Option<&'static str>,
        cause: Cause,
    ) -> Refused<Unfinished<B, A, R, K>, ApplyError> {
        let Self {
            given: answers, aside: misfit_answers, misfits, refused, kept, ..
        } = self;
        Refused::new(
            Unfinished { answers, bases, misfits, misfit_answers, refused, kept },
            ApplyError::Store { system: system.unwrap_or_default(), cause },
        )
    }

    /// To the end.
    pub fn carried<B>(
        self,
        bases: B,
        systems: &'static [&'static str],
    ) -> Carried<B, A, R, K> {
        let Self { aside: answers, misfits, not_made, refused, kept, .. } = self;
        let names = not_made.iter().filter_map(|place| systems.get(*place).copied());
        let moved_on = names.collect();
        Carried { bases, moved_on, misfits, answers, refused, kept }
    }
}
