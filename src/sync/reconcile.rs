//! The verdict on a field, from slots, base and authority. A pure kernel: it does nothing
//! but compare.

use std::fmt;

use super::bases::Bases;
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
    /// What the systems agreed on is written to those that have not got it yet: a write
    /// to them failed, or they were away. Nobody has edited anything since.
    Behind,
    /// A person must decide.
    Ask(Question),
}

/// Why a person must decide.
// As wide as a place: a `Verdict` is two words then, and stays in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(usize)]
pub enum Question {
    /// A shared field was changed in two ways.
    Conflict,
    /// A shared field differs on the first synchronisation of one of the systems: nobody
    /// is known to have changed anything.
    FirstDiffers,
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
    /// A system shows an older common value again, as one does that was restored from a
    /// backup ([`Past`](super::Past)).
    GoesBack,
    /// The same write has failed twice: another record may hold the value
    /// ([`FailedWrites`](super::FailedWrites)).
    Stuck,
    /// A record was deleted in one system and is still in another
    /// ([`Existence::Ask`](super::Existence::Ask)). No plan for a field asks this.
    Deletion,
    /// A record was merged into another one in one system, and not in the others. No plan
    /// for a field asks this.
    Merged,
}

impl fmt::Display for Question {
    /// In words, for a review queue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "changed in two ways",
            Self::FirstDiffers => "different on the first synchronisation",
            Self::Manual => "a person decides on this field",
            Self::BlankOwner => "the owner's field is empty on the first synchronisation",
            Self::Proposal => "changed by a system that does not own the field",
            Self::Refused => "a system refuses to take the value",
            Self::Poorer => {
                "a system holds more of the value than would be written to it"
            }
            Self::GoesBack => "an older common value has come back",
            Self::Stuck => "the same write has failed twice",
            Self::Deletion => "deleted in one system and not in another",
            Self::Merged => "merged into another record in one system",
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
// Inlined where the rule and the number of systems are known, as in a declared
// boundary, it is as short as rules written by hand; as a call, it takes twice their
// time.
#[inline(always)]
pub fn verdict<T: Eq>(rule: Rule, slots: &[&Slot<T>], base: &Base<T>) -> Verdict {
    decide(rule, slots, |_| base, base)
}

/// The verdict on one field, with a base of its own for each system: what was agreed
/// last, and what each system was last known to have of that.
///
/// Where all bases are what was agreed, it is the [`verdict`]. Where one is not, its
/// system has missed something: it is [`Behind`](Verdict::Behind) while it has edited
/// nothing, and an edit that it made meanwhile was made without knowing what the others
/// agreed on, and so is asked about. What we wrote there ourselves is no edit.
///
/// A system without a base has never been synchronised.
///
/// ```
/// use integration_automation_patterns::sync::{
///     Base, Bases, Question, Rule, Slot, Verdict, verdict_with_bases,
/// };
///
/// // The write of "new" to the second system has failed.
/// let (old, new) = (Base::Known(Some("old")), Base::Known(Some("new")));
/// let known = Bases { agreed: new, confirmed: vec![new, old] };
/// let shared =
///     |slots: [&Slot<&str>; 2]| verdict_with_bases(Rule::Shared, &slots, &known);
/// let (shows_new, shows_old) = (Slot::Value("new"), Slot::Value("old"));
/// assert_eq!(shared([&shows_new, &shows_old]), Verdict::Behind);
///
/// let edited = Slot::Value("edited");
/// assert_eq!(shared([&edited, &shows_old]), Verdict::Write(0));
/// assert_eq!(
///     shared([&shows_new, &edited]),
///     Verdict::Ask(Question::Conflict),
///     "an edit by someone who had not seen \"new\""
/// );
/// ```
pub fn verdict_with_bases<T: Eq>(
    rule: Rule,
    slots: &[&Slot<T>],
    known: &Bases<T>,
) -> Verdict {
    decide(rule, slots, |place| known.of(place), &known.agreed)
}

#[inline(always)]
pub(super) fn decide<'a, 's, T: PartialEq + 'a + 's>(
    rule: Rule,
    said: &(impl AsRef<[&'s Slot<T>]> + ?Sized),
    base: impl Fn(usize) -> &'a Base<T> + Copy,
    agreed: &Base<T>,
) -> Verdict {
    let slots = said.as_ref();
    let mut read = slots.iter().enumerate().filter(|(_, slot)| slot.read().is_some());
    match rule {
        Rule::Owner(owner, others) => {
            let Some(owned) = slots.get(owner).filter(|slot| slot.read().is_some())
            else {
                return Verdict::Unread;
            };
            // All of these were read, and so are equal where their values are.
            if read.all(|(place, slot)| place == owner || slot.value() == owned.value()) {
                return Verdict::Agreed(owner);
            }
            let is_proposed = || {
                slots.iter().enumerate().any(|(place, slot)| {
                    *slot != *owned && is_edit(slot, base(place), agreed)
                })
            };
            match (owned, base(owner)) {
                (Slot::Empty, Base::Never) => Verdict::Ask(Question::BlankOwner),
                _ if others == NonOwnerEdits::Queue && is_proposed() => {
                    Verdict::Ask(Question::Proposal)
                }
                _ => Verdict::Write(owner),
            }
        }
        Rule::Shared | Rule::Manual => {
            let Some((first, shown)) = read.next() else { return Verdict::Unread };
            let equal = read.all(|(_, slot)| slot.value() == shown.value());
            match rule {
                Rule::Manual if !equal => Verdict::Ask(Question::Manual),
                Rule::Shared
                    if !equal
                        || slots.iter().any(|slot| matches!(slot, Slot::Unread)) =>
                {
                    decide_shared(said, base, agreed, equal.then_some(first))
                }
                _ => Verdict::Agreed(first),
            }
        }
    }
}

/// The verdict on a shared field that differs, or that was not read in every system. If
/// those that were read say the same, `equal` is the place of one.
// A call, since most records agree and never come here: inlined, it would take the
// registers that they need. `slots` is generic, since the loop over an array unrolls.
#[inline(never)]
fn decide_shared<'a, 's, T: PartialEq + 'a + 's>(
    slots: &(impl AsRef<[&'s Slot<T>]> + ?Sized),
    base: impl Fn(usize) -> &'a Base<T> + Copy,
    agreed: &Base<T>,
    equal: Option<usize>,
) -> Verdict {
    let slots = slots.as_ref();
    let (mut said, mut differ, mut is_first) = (None, false, false);
    for (place, slot) in slots.iter().enumerate() {
        let base = base(place);
        if is_news(slot, base, agreed) {
            is_first |= matches!(base, Base::Never);
            match said {
                // Two systems that both have news are known to differ, or they would
                // not come here.
                Some((_, other)) => differ |= slots.len() == 2 || *slot != other,
                None => said = Some((place, *slot)),
            }
        }
    }
    let ask =
        Verdict::Ask(if is_first { Question::FirstDiffers } else { Question::Conflict });
    let Some((first, _)) = said else {
        return decide_without_news(slots, agreed, equal);
    };
    if differ {
        return ask;
    }
    let is_fresh = |(place, slot): &(usize, &&Slot<T>)| {
        let base = base(*place);
        is_same(base, agreed) && (*place == first || is_news(slot, base, agreed))
    };
    match (slots.iter().enumerate().skip(first).find(is_fresh), equal) {
        (Some((place, _)), None) => Verdict::Write(place),
        (Some((place, _)), Some(_)) => Verdict::Agreed(place),
        (None, _) => ask,
    }
}

/// The verdict on a shared field on which no system says anything new.
#[inline]
fn decide_without_news<T: PartialEq>(
    slots: &[&Slot<T>],
    agreed: &Base<T>,
    equal: Option<usize>,
) -> Verdict {
    match (agreed, equal) {
        (Base::Known(_), Some(place))
            if slots.get(place).is_some_and(|slot| holds(agreed, slot)) =>
        {
            Verdict::Agreed(place)
        }
        (Base::Known(_), _) => Verdict::Behind,
        (Base::Never, Some(place)) => Verdict::Agreed(place),
        (Base::Never, None) => Verdict::Ask(Question::FirstDiffers),
    }
}

/// Whether a system says something that is neither what it was known to have nor what was
/// agreed since. On its first synchronisation, that is any value.
#[inline]
pub(super) fn is_news<T: PartialEq>(
    slot: &Slot<T>,
    base: &Base<T>,
    agreed: &Base<T>,
) -> bool {
    base.is_edited(slot) && !holds(agreed, slot)
}

/// Whether somebody has changed the field in a system that was synchronised before.
#[inline]
pub(super) fn is_edit<T: PartialEq>(
    slot: &Slot<T>,
    base: &Base<T>,
    agreed: &Base<T>,
) -> bool {
    *base != Base::Never && is_news(slot, base, agreed)
}

/// Whether a system was known to have what was agreed last: an edit that it shows was
/// then made in the knowledge of it.
#[inline]
pub(super) fn is_same<T: PartialEq>(base: &Base<T>, agreed: &Base<T>) -> bool {
    std::ptr::eq(base, agreed) || base == agreed
}

/// Whether a system shows what was agreed.
#[inline]
pub(super) fn holds<T: PartialEq>(agreed: &Base<T>, slot: &Slot<T>) -> bool {
    match (agreed, slot) {
        (Base::Known(Some(agreed)), Slot::Value(shown)) => agreed == shown,
        (Base::Known(None), Slot::Empty) => true,
        _ => false,
    }
}
