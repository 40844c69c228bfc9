//! The rules that settle a plan without a person, each where it must settle, and where it
//! must not.

use std::time::Duration;

use chrono::DateTime;
use integration_automation_patterns::sync::{
    Base, Bases, FieldPlan, NonOwnerEdits, Past, Question, Rule, Slot, Stamp, Verdict,
};

const OWNED: Rule = Rule::Owner(0, NonOwnerEdits::Reject);

/// The verdict on a field, and the one of the plan in which a blank decides nothing.
fn unless_blank(rule: Rule, slots: [Slot<u8>; 2], base: Base<u8>) -> [Verdict; 2] {
    let slots = slots.each_ref();
    let plan = FieldPlan::new(rule, &slots, &base);
    [plan.verdict(), plan.unless_blank().verdict()]
}

#[test]
fn a_blank_owner_decides_nothing_and_asks_nothing() {
    let blank = [Slot::Empty, Slot::Value(1)];
    assert_eq!(
        unless_blank(OWNED, blank, Base::Never),
        [Verdict::Ask(Question::BlankOwner), Verdict::Unread]
    );
    assert_eq!(
        unless_blank(OWNED, blank, Base::Known(Some(1))),
        [Verdict::Write(0), Verdict::Unread]
    );
    let proposed = Rule::Owner(0, NonOwnerEdits::Queue);
    assert_eq!(
        unless_blank(proposed, [Slot::Value(2), Slot::Value(1)], Base::Known(Some(2))),
        [Verdict::Ask(Question::Proposal); 2],
        "an owner with a value does"
    );
}

#[test]
fn a_value_wins_over_a_blank_where_both_were_edited() {
    let asked = Verdict::Ask(Question::Conflict);
    let (blank, base) = ([Slot::Empty, Slot::Value(2)], Base::Known(Some(1)));
    assert_eq!(unless_blank(Rule::Shared, blank, base), [asked, Verdict::Write(1)]);
    let values = [Slot::Value(3), Slot::Value(2)];
    assert_eq!(unless_blank(Rule::Shared, values, base), [asked; 2], "two values do not");
}

#[test]
fn a_field_that_all_have_cleared_stays_clear() {
    assert_eq!(
        unless_blank(Rule::Shared, [Slot::Empty, Slot::Empty], Base::Known(Some(1))),
        [Verdict::Agreed(0); 2]
    );
}

/// A system that missed what was agreed has edited the field, and nobody else was read:
/// nobody stands against it, and yet its edit may undo what it does not know.
#[test]
fn recency_settles_nothing_with_one_side() {
    let (edited, unread) = (Slot::Value(3), Slot::Unread);
    let slots = [&edited, &unread];
    let (old, agreed) = (Base::Known(Some(1)), Base::Known(Some(2)));
    let known = Bases { agreed, confirmed: vec![old, agreed] };
    let plan = FieldPlan::with_bases(Rule::Shared, &slots, &known);
    let asked = Verdict::Ask(Question::Conflict);
    assert_eq!(plan.verdict(), asked);
    let at = DateTime::UNIX_EPOCH;
    let stamps = [Stamp::OfField(at), Stamp::Unknown];
    let settled = plan.prefer_last_writer(&stamps, Duration::ZERO, at);
    assert_eq!(settled.verdict(), asked);
}

/// A value that comes and goes takes one place among those that are kept.
#[test]
fn a_past_holds_each_value_once_and_not_the_present_one() {
    let mut past = Past::new(3);
    let [a, b] = [1, 2].map(|value| Base::Known(Some(value)));
    for (before, now, kept) in [(a, b, 1), (b, a, 2), (a, b, 1)] {
        past.replaced(&before, &now);
        assert_eq!(past.values().collect::<Vec<_>>(), [Some(&kept)]);
    }
}
