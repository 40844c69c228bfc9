//! The verdict on a field, from slots, base and authority. A pure kernel: it does nothing
//! but compare.

use std::fmt;

use super::slot::{Base, Slot};

/// Who decides about a field, with the systems as places in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The system at this place, and what the others may do. A place that no system has
    /// decides nothing: the field counts as unread.
    Owner(usize, NonOwnerEdits),
    /// Whichever system changes it.
    Shared,
    /// A person.
    Manual,
}

/// What a system may do with a field that another one owns.
///
/// | | an edit by code (`Edit`) | an edit that its snapshot shows |
/// |---|---|---|
/// | `Reject` | does not compile | is refused: the owner's value is restored, and the [`Write`](super::Write) says so |
/// | `Queue` | compiles: it is a proposal | is put to a person, and nothing is written until then |
/// | `Overwrite` | compiles | gives way to the owner's value, and is on record as lost |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NonOwnerEdits {
    /// Nothing. What it changed all the same is refused.
    #[default]
    Reject,
    /// Propose: a person decides on what it changed.
    Queue,
    /// Change it for itself, until the next synchronisation.
    Overwrite,
}

/// What is to be done about a field.
///
/// The list is complete: a program that carries plans out itself must handle each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing follows: nobody said anything, or the owner did not.
    Unread,
    /// All who said something agree; one of them stands at this place.
    Agreed(usize),
    /// What the system at this place says is written to all who say something else.
    Write(usize),
    /// What the declared function made of the edits is written to all who say something
    /// else.
    Merge,
    /// A person must decide.
    Ask(Question),
}

/// Why a person must decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Question {
    /// A shared field was changed in two ways.
    Conflict,
    /// A field that only a person decides on differs.
    Manual,
    /// On the first synchronisation the owner's field is empty, and another system's is
    /// not.
    BlankOwner,
    /// A system that may only propose has changed what another one owns.
    Proposal,
    /// A system refused what was to be written to it, in its own words
    /// ([`FieldPlan::after_refusals`](super::FieldPlan::after_refusals)).
    Refused,
    /// What would be written is the poorer form of a value that a system holds in full
    /// ([`FieldPlan::unless_poorer`](super::FieldPlan::unless_poorer)).
    Poorer,
    /// A record was deleted in one system and is still in another
    /// ([`Existence::Ask`](super::Existence::Ask)). No plan for a field asks this.
    Deletion,
}

impl fmt::Display for Question {
    /// In words, for a review queue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "changed in two ways",
            Self::Manual => "a person decides on this field",
            Self::BlankOwner => "the owner's field is empty on the first synchronisation",
            Self::Proposal => "changed by a system that does not own the field",
            Self::Refused => "a system refuses to take the value",
            Self::Poorer => {
                "a system holds more of the value than would be written to it"
            }
            Self::Deletion => "deleted in one system and not in another",
        })
    }
}

/// The verdict on one field, from what each system says and what they last agreed on.
///
/// All systems are planned in one shot. To reconcile them pair by pair would depend on
/// the order, and would write before it sees the conflict.
///
/// | the rule | the systems differ | the plan |
/// |---|---|---|
/// | [`Owner`](Rule::Owner) | the owner says something | its value is written to the others |
/// | | the owner is empty, and there is no common state yet | is asked: a first synchronisation clears nothing |
/// | | the owner was not read | nothing |
/// | | another system has changed it, and [`NonOwnerEdits::Queue`] holds | is asked, until a person has answered |
/// | [`Shared`](Rule::Shared) | one edit, or several that agree | it is written to the others |
/// | | edits that differ | are asked |
/// | [`Manual`](Rule::Manual) | in any way | is asked, and never written |
///
/// Values are compared with `Eq`: bring floating-point numbers and times to one precision
/// first, in a type that has it.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Base, NonOwnerEdits, Question, Rule, Slot, Verdict, verdict,
/// };
///
/// let base = Base::Known(Some("Al"));
/// let (old, new, other) =
///     (Slot::Value("Al"), Slot::Value("Alan"), Slot::Value("Ali"));
/// assert_eq!(verdict(Rule::Shared, &[&old, &new], &base), Verdict::Write(1));
/// assert_eq!(
///     verdict(Rule::Shared, &[&other, &new], &base),
///     Verdict::Ask(Question::Conflict)
/// );
/// assert_eq!(
///     verdict(Rule::Owner(0, NonOwnerEdits::Reject), &[&other, &new], &base),
///     Verdict::Write(0)
/// );
/// assert_eq!(
///     verdict(Rule::Owner(0, NonOwnerEdits::Queue), &[&other, &new], &base),
///     Verdict::Ask(Question::Proposal)
/// );
/// assert_eq!(
///     verdict(Rule::Manual, &[&old, &new], &base),
///     Verdict::Ask(Question::Manual)
/// );
/// ```
// Where the rule and the number of systems are known, as in a declared boundary, what is
// left of it is as short as the rules written by hand; as a call, it takes twice their
// time.
#[inline(always)]
pub fn verdict<T: Eq>(rule: Rule, slots: &[&Slot<T>], base: &Base<T>) -> Verdict {
    let mut read = slots.iter().enumerate().filter(|(_, slot)| slot.read().is_some());
    match rule {
        Rule::Owner(owner, others) => {
            let Some(owned) = slots.get(owner).filter(|slot| slot.read().is_some())
            else {
                return Verdict::Unread;
            };
            if read.all(|(place, slot)| place == owner || slot == owned) {
                return Verdict::Agreed(owner);
            }
            match (owned, base) {
                (Slot::Empty, Base::Never) => Verdict::Ask(Question::BlankOwner),
                _ if others == NonOwnerEdits::Queue
                    && is_proposed(owned, slots, base) =>
                {
                    Verdict::Ask(Question::Proposal)
                }
                _ => Verdict::Write(owner),
            }
        }
        Rule::Shared | Rule::Manual => {
            let Some((first, shown)) = read.next() else { return Verdict::Unread };
            if read.all(|(_, slot)| slot == shown) {
                return Verdict::Agreed(first);
            }
            if rule == Rule::Manual {
                return Verdict::Ask(Question::Manual);
            }
            let mut edits =
                slots.iter().enumerate().filter(|(_, slot)| base.is_edited(slot));
            match edits.next() {
                // Of two that do not agree, two edits differ: they need not be compared
                // again.
                Some((place, edit))
                    if edits.all(|(_, other)| slots.len() > 2 && other == edit) =>
                {
                    Verdict::Write(place)
                }
                _ => Verdict::Ask(Question::Conflict),
            }
        }
    }
}

/// Whether a system has changed what another one owns, and that one has not changed it
/// likewise.
fn is_proposed<T: Eq>(owned: &Slot<T>, slots: &[&Slot<T>], base: &Base<T>) -> bool {
    slots.iter().any(|slot| *slot != owned && base.is_edited(slot))
}
