//! `Settling`: what a person may say of a step, or of an undo, that did not answer.

use super::advance::Advance;
use super::approval::Granted;
use super::instance::Instance;
use super::stage::{GivenUp, Happens, MustSucceed, Stage, Undecided};

/// A person looks at the other system and says what became of a step, or of an undo, that
/// did not answer. Each word exists where it is legal.
///
/// | word | legal for | what follows |
/// |---|---|---|
/// | [`happened`](Self::happened) | every step and undo | as after the reply |
/// | [`did_not_happen`](Self::did_not_happen) | a compensatable step, a pivot | its command is taken back, and what was done before is undone |
/// | [`ask_again`](Self::ask_again) | a retriable step, an undo | the command is sent under a new id |
/// | [`give_up`](Self::give_up) | a retriable step, an undo | the end: what was done stands |
///
/// Each takes the command back where it has not left: what a person has given up, or done
/// by hand, is not asked for later.
#[derive(Debug)]
#[must_use = "nothing is settled yet: say what became of the step"]
pub struct Settling<S: Stage> {
    at: Instance<S>,
    granted: Granted<S>,
}

impl<S: Stage> Settling<S> {
    pub(super) fn new(at: Instance<S>, granted: Granted<S>) -> Self {
        Self { at, granted }
    }

    /// It was done, or undone: here is the reply that the other system would have sent.
    pub fn happened<R: Happens<S>>(self, reply: R) -> R::Then {
        reply.happened(self.at, self.granted)
    }

    /// It was not done and will not be: its command is taken back in the transaction of
    /// this word. The store refuses the word where the command is out already.
    pub fn did_not_happen<Back>(self) -> Back
    where
        S: Undecided<Back>,
    {
        S::did_not_happen(self.at, self.granted, false)
    }

    /// It was not done, although its command is out: the person vouches that it never
    /// will be. A later reply that says otherwise is a late one, in the journal.
    pub fn did_not_happen_though_sent<Back>(self) -> Back
    where
        S: Undecided<Back>,
    {
        S::did_not_happen(self.at, self.granted, true)
    }

    /// The command is sent again, as a new event, `../do/2`: the earlier one may have
    /// been discarded where it went.
    ///
    /// No type can promise that the participant acts once on two events, since they meet
    /// at its side alone: it forestalls the earlier ids, which
    /// [`Correlation::supersedes`](super::Correlation::supersedes) lists, in the
    /// transaction of the new one; one that cannot must know the order by its own key.
    pub fn ask_again<Again>(self) -> Again
    where
        S: MustSucceed<Again>,
    {
        S::ask_again(self.at, self.granted)
    }

    /// The end. The journal lists what stands: the steps that are done, and the one whose
    /// undo cannot be had.
    pub fn give_up<Again>(self) -> Advance<GivenUp<S::Workflow>>
    where
        S: MustSucceed<Again>,
    {
        S::give_up(self.at, self.granted)
    }
}
