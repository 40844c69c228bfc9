//! How far the plan of a declared boundary was carried out, and what follows from what
//! each system replies.

use super::answer::AnswerError;
use super::apply::Found;
use super::carried::{ApplyError, Carried, Misfit, Unfinished};
use crate::Refused;
use crate::reason::reason;

/// Why a store did not take its changes.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The steps of carrying out a plan; every system makes one before any makes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Does each answer fit the plan?
    Fit,
    /// Does each system still show what the answers are to?
    Before,
    /// The changes are written.
    Write,
    /// Does each system that an answer leaves as it is still show the same? Otherwise two
    /// people who choose crosswise would make two systems swap their values.
    Check,
    /// The writes of the answers that fell are taken back.
    TakeBack,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::Fit, Self::Before, Self::Write, Self::Check, Self::TakeBack];
}

/// What makes an answer fall after it was found to fit.
#[derive(Debug, Default)]
pub struct Missed {
    /// The places of the systems that got nothing.
    pub not_made: Vec<usize>,
    /// The places of the systems in which a check failed, and why.
    pub unfit: Vec<(usize, AnswerError)>,
}

/// How far a plan was carried out: with its answers (`A`), refusals (`R`) and own forms
/// (`K`).
#[derive(Debug)]
pub struct Progress<A, R, K> {
    /// The answers that fit.
    pub given: A,
    /// The answers that do not.
    pub aside: A,
    /// Why not.
    pub misfits: Vec<Misfit>,
    /// What makes further answers fall.
    pub missed: Missed,
    /// What systems refused.
    pub refused: R,
    /// What systems hold instead of what was written.
    pub kept: K,
    written: Vec<usize>,
}

impl<A, R, K> Progress<A, R, K> {
    /// Nothing so far.
    pub fn begin(given: A, aside: A, refused: R, kept: K) -> Self {
        let (misfits, missed, written) = (Vec::new(), Missed::default(), Vec::new());
        Self { given, aside, misfits, missed, refused, kept, written }
    }

    /// Whether this step is none of the system's at this place: nothing was written there
    /// that could be taken back.
    pub fn skips(&self, step: Step, to: usize) -> bool {
        step == Step::TakeBack && !self.written.contains(&to)
    }

    /// Notes what the changes found in the system at this place.
    pub fn found(&mut self, step: Step, to: usize, found: Found) {
        match (step, found) {
            (Step::Write, Found::MovedOn) => self.missed.not_made.push(to),
            (Step::Write, Found::AsExpected) => self.written.push(to),
            (Step::Before | Step::Check, Found::MovedOn) => {
                self.missed.unfit.push((to, AnswerError::MovedOn));
            }
            _ => {}
        }
    }

    /// Notes that the store of the system at this place, one of so many, failed.
    ///
    /// # Errors
    ///
    /// The cause, if that is the end: a check can be made again with its answer.
    pub fn failed(
        &mut self,
        step: Step,
        to: usize,
        systems: usize,
        cause: impl Into<Cause>,
    ) -> Result<(), Cause> {
        let cause = cause.into();
        match step {
            Step::Before | Step::Check => {
                let why = reason(&*cause);
                self.missed.unfit.push((to, AnswerError::Unchecked { why }));
                return Ok(());
            }
            Step::Write => self.missed.not_made.extend(to..systems),
            Step::Fit | Step::TakeBack => {}
        }
        Err(cause)
    }

    /// No further, for this reason.
    pub fn stopped<B>(
        self,
        bases: B,
        system: &'static str,
        cause: Cause,
    ) -> Refused<Unfinished<B, A, R, K>, ApplyError> {
        let Self {
            given: answers, aside: misfit_answers, misfits, refused, kept, ..
        } = self;
        Refused::new(
            Unfinished { answers, bases, misfits, misfit_answers, refused, kept },
            ApplyError::Store { system, cause },
        )
    }

    /// To the end.
    pub fn carried<B>(
        self,
        bases: B,
        systems: &'static [&'static str],
    ) -> Carried<B, A, R, K> {
        let Self { aside: answers, misfits, missed, refused, kept, .. } = self;
        let names = missed.not_made.iter();
        let moved_on = names.filter_map(|place| systems.get(*place).copied()).collect();
        Carried { bases, moved_on, misfits, answers, refused, kept }
    }
}
