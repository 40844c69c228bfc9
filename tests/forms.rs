//! Forms of a value: what systems make of the same value is no edit, and a poorer form
//! never replaces a richer one unasked.

use std::collections::BTreeSet;
use std::convert::Infallible;

use integration_automation_patterns::sync::convert::{
    AsIs, Convert, check, check_together,
};
use integration_automation_patterns::sync::{
    Base, Content, FieldPlan, Found, Kept, NonOwnerEdits, Question, Reading, Reply, Rule,
    Slot, Store, Verdict, Write, WriteStreak,
};
use proptest::prelude::*;

const OWNER: Rule = Rule::Owner(0, NonOwnerEdits::Reject);

fn text(text: &str) -> Slot<String> {
    Slot::Value(text.to_owned())
}

fn known(text: &str) -> Base<String> {
    Base::Known(Some(text.to_owned()))
}

/// A system that says "nothing" by a text of its own.
struct Placeholder(&'static str);

impl Convert<String> for Placeholder {
    type Local = String;
    type Error = Infallible;

    fn encode(&self, value: Option<&String>) -> Option<String> {
        Some(value.map_or_else(|| self.0.to_owned(), String::clone))
    }

    fn decode(&self, local: Option<&String>) -> Result<Option<String>, Infallible> {
        Ok(local.filter(|text| *text != self.0).cloned())
    }

    fn normalize(&self, value: Option<&String>) -> Option<String> {
        value.filter(|text| *text != self.0).cloned()
    }
}

/// One side says "", the other nothing: a difference that nobody made.
#[test]
fn an_empty_text_a_zero_or_a_placeholder_is_nothing() {
    for nothing in ["", "0", "1900-01-01", "n/a"] {
        let converter = Placeholder(nothing);
        assert_eq!(check(&converter, [nothing, "x"].map(str::to_owned)), Ok(()));
        let mut column = nothing.to_owned();
        let (crm, mut base) = (Slot::Empty, Base::Never);
        for _ in 0..6 {
            let erp = Reading::of(&converter, Slot::Value(column.clone())).expect("text");
            let slots = [&crm, erp.slot()];
            let plan = FieldPlan::new(Rule::Shared, &slots, &base);
            assert_eq!(plan.verdict(), Verdict::Agreed(0), "{nothing:?}");
            base = plan.next_base();
        }
        // What the CRM says later arrives, and clearing it writes the placeholder.
        for (crm, wanted) in [(text("x"), "x"), (Slot::Empty, nothing)] {
            let erp = Reading::of(&converter, Slot::Value(column.clone())).expect("text");
            let slots = [&crm, erp.slot()];
            let plan = FieldPlan::new(Rule::Shared, &slots, &base);
            let write = plan.writes().next().expect("an edit");
            let raw = erp.raw_write(&converter, &write).expect("it was read");
            assert_eq!(raw.found(Some(&column)), Found::AsExpected);
            column = raw.value().expect("it has no NULL").clone();
            assert_eq!(column, wanted);
            base = plan.next_base();
        }
    }
}

/// Digits are what all exchange; the ERP keeps what people type.
struct Digits;

impl Convert<String> for Digits {
    type Local = String;
    type Error = Infallible;

    fn encode(&self, value: Option<&String>) -> Option<String> {
        self.normalize(value)
    }

    fn decode(&self, local: Option<&String>) -> Result<Option<String>, Infallible> {
        Ok(self.normalize(local))
    }

    fn normalize(&self, value: Option<&String>) -> Option<String> {
        value.map(|text| text.chars().filter(char::is_ascii_digit).collect())
    }
}

/// The write is planned on the common form, and compared in the system's own.
#[test]
fn a_conditional_write_finds_the_value_that_it_was_planned_on() {
    let samples = ["+49 (30) 123-45", "4930 12345", ""].map(str::to_owned);
    assert_eq!(check(&Digits, samples), Ok(()));
    let mut column = Some("+49 (30) 123-45".to_owned());
    let (crm, mut base) = (text("493099999"), known("493012345"));
    let mut written = Vec::new();
    for _ in 0..5 {
        let erp = Reading::of(&Digits, Slot::from(column.clone())).expect("text");
        let slots = [&crm, erp.slot()];
        let plan = FieldPlan::new(OWNER, &slots, &base);
        for write in plan.writes() {
            let raw = erp.raw_write(&Digits, &write).expect("it was read");
            // `UPDATE contact SET phone = ?1 WHERE phone IS ?2`
            assert_eq!(raw.expects(), column.as_ref());
            assert_eq!(raw.found(raw.value()), Found::AlreadyWritten);
            assert_eq!(raw.found(Some(&"edited".to_owned())), Found::MovedOn);
            let found = raw.found(column.as_ref());
            if found == Found::AsExpected {
                column = raw.value().cloned();
            }
            written.push(found);
        }
        base = plan.next_base();
    }
    assert_eq!(column.as_deref(), Some("493099999"));
    assert_eq!(written, [Found::AsExpected], "once, and never again");
    let erp = Reading::of(&Digits, text("4930 99999")).expect("text");
    let slots = [&crm, erp.slot()];
    let spelled = FieldPlan::new(OWNER, &slots, &base);
    assert_eq!(spelled.verdict(), Verdict::Agreed(0), "only spelled differently");
}

/// A column that holds the first characters of a text.
struct First(usize);

impl Convert<String> for First {
    type Local = String;
    type Error = Infallible;

    fn encode(&self, value: Option<&String>) -> Option<String> {
        self.normalize(value)
    }

    fn decode(&self, local: Option<&String>) -> Result<Option<String>, Infallible> {
        Ok(self.normalize(local))
    }

    fn normalize(&self, value: Option<&String>) -> Option<String> {
        value.map(|text| text.chars().take(self.0).collect())
    }
}

/// Numbers in steps: whole units beside cents, minutes beside seconds.
struct Steps(i64);

impl Convert<i64> for Steps {
    type Local = i64;
    type Error = Infallible;

    fn encode(&self, value: Option<&i64>) -> Option<i64> {
        self.normalize(value)
    }

    fn decode(&self, local: Option<&i64>) -> Result<Option<i64>, Infallible> {
        Ok(self.normalize(local))
    }

    fn normalize(&self, value: Option<&i64>) -> Option<i64> {
        value.map(|value| value.div_euclid(self.0) * self.0)
    }
}

/// Law 51 for one pair of forms: whatever the poorer system shows, a richer value is
/// replaced by an answer alone, and untouched where the common form is the same.
fn a_poorer_form_replaces_no_richer_one<T: Clone + Eq + std::fmt::Debug>(
    form: &impl Convert<T, Local = T, Error = Infallible>,
    rich: T,
    poor: T,
    base: Base<T>,
) -> Result<(), TestCaseError> {
    let crm = Reading::of(form, Slot::Value(rich)).expect("any value");
    let erp = Reading::of(form, Slot::Value(poor)).expect("any value");
    let slots = [crm.slot(), erp.slot()];
    let plan = FieldPlan::new(Rule::Shared, &slots, &base)
        .unless_poorer([crm.is_richer(), erp.is_richer()]);
    for write in plan.writes().filter(|write| write.to() == 0) {
        prop_assert!(!crm.is_richer(), "{write:?} cuts {crm:?}");
    }
    if crm.slot() == erp.slot() {
        prop_assert_eq!(plan.writes().count(), 0);
    }
    Ok(())
}

proptest! {
    #[test]
    fn law_51_a_poorer_form_replaces_no_richer_one(
        texts in ("[ab]{0,6}", "[ab]{0,3}", prop::option::of("[ab]{0,3}")),
        numbers in (0_i64..400, 0_i64..400, prop::option::of(0_i64..400)),
    ) {
        let (rich, poor, base) = texts;
        a_poorer_form_replaces_no_richer_one(&First(3), rich, poor, Base::Known(base))?;
        let (rich, poor, base) = numbers;
        for step in [1, 60, 100] {
            let base = Base::Known(Steps(step).normalize(base.as_ref()));
            a_poorer_form_replaces_no_richer_one(&Steps(step), rich, poor, base)?;
        }
    }
}

#[test]
fn a_correction_in_the_short_system_is_put_to_a_person() {
    let long = format!("Agenda: {}", "x".repeat(400));
    let form = First(255);
    assert_eq!(check_together(&form, &First(4000), [long.clone()]), Ok(()));
    let crm = Reading::of(&form, Slot::Value(long.clone())).expect("text");
    assert!(crm.is_richer());
    let mut short = form.normalize(Some(&long)).expect("a text");
    let base = Base::Known(Some(short.clone()));
    short.replace_range(0..6, "AGENDA");
    let erp = Reading::of(&form, Slot::Value(short)).expect("text");
    let slots = [crm.slot(), erp.slot()];
    let plan = FieldPlan::new(Rule::Shared, &slots, &base);
    assert_eq!(plan.verdict(), Verdict::Write(1), "it would cut the CRM's text");
    let asks = plan.unless_poorer([crm.is_richer(), erp.is_richer()]);
    assert_eq!(asks.verdict(), Verdict::Ask(Question::Poorer));
    assert_eq!(plan.unless_poorer([false, true]).verdict(), Verdict::Write(1));
    let row = asks.review("E-1", "description", ["crm", "erp"]).expect("it is asked");
    assert_eq!(row.sides.len(), 2);
}

/// What a system makes of a text.
type Form = fn(&str) -> String;

/// A system that makes its own form of what it is given, and says so.
struct OwnForm {
    column: String,
    form: Form,
    writes: usize,
}

impl Store<String> for OwnForm {
    type Error = Infallible;

    fn replace(
        &mut self,
        write: &Write<'_, String>,
    ) -> Result<Reply<String>, Infallible> {
        let found = write.found(Some(&self.column));
        if found != Found::AsExpected {
            return Ok(found.into());
        }
        self.writes += 1;
        self.column = (self.form)(write.value().map_or("", String::as_str));
        Ok(Reply::Kept(Some(self.column.clone())))
    }
}

/// The target stores its own form of a value: what it kept is no edit.
#[test]
fn what_a_system_keeps_instead_is_no_edit() {
    let cut = |text: &str| text.chars().take(255).collect::<String>();
    let escape = |text: &str| text.replace('&', "&amp;");
    let trim = |text: &str| text.trim().to_owned();
    let forms: [(Form, String); 3] = [
        (cut, format!("Agenda: {}", "x".repeat(400))),
        (escape, "tea & cake".to_owned()),
        (trim, " Al ".to_owned()),
    ];
    for (form, ours) in forms {
        let crm = Slot::Value(ours.clone());
        let mut erp = OwnForm { column: "old".to_owned(), form, writes: 0 };
        let (mut base, mut kept) = (known("old"), None::<Kept<String>>);
        for _ in 0..8 {
            let shown = Reading::plain(Slot::Value(erp.column.clone()));
            let shown = kept.iter().fold(shown, |shown, kept| shown.as_kept(kept, &base));
            let slots = [&crm, shown.slot()];
            let plan = FieldPlan::new(Rule::Shared, &slots, &base);
            let applied = plan.apply(&mut erp).expect("in memory");
            base = applied.base;
            kept = applied.kept.into_iter().next().or(kept);
        }
        assert_eq!(erp.writes, 1, "{ours:?}");
        assert_eq!(base, Base::Known(Some(ours.clone())), "the full value is agreed");

        // A later value finds the system's own form in its place, and replaces it.
        let shown = Reading::plain(Slot::Value(erp.column.clone()));
        let shown = kept.iter().fold(shown, |shown, kept| shown.as_kept(kept, &base));
        let newer = text("newer");
        let slots = [&newer, shown.slot()];
        let plan = FieldPlan::new(Rule::Shared, &slots, &base);
        let write = plan.writes().next().expect("the CRM has changed it");
        let raw = shown.raw_write(&AsIs, &write).expect("it was read");
        assert_eq!(raw.found(Some(&erp.column)), Found::AsExpected);
        assert_eq!(write.lost(), None, "nobody has edited it there");

        // What somebody does there is an edit still.
        let shown = Reading::plain(text("mine"));
        let shown = kept.iter().fold(shown, |shown, kept| shown.as_kept(kept, &base));
        let slots = [&crm, shown.slot()];
        let plan = FieldPlan::new(Rule::Shared, &slots, &base);
        assert_eq!(plan.outcome(), Some(Content::Value(&"mine".to_owned())));
    }
}

/// Once the systems agree on something else, the old form means what it says.
#[test]
fn an_own_form_counts_only_while_its_value_is_agreed() {
    let kept = Kept {
        place: 1,
        written: Some("a long text".to_owned()),
        held: Some("a long".to_owned()),
    };
    let shown = |base: &Base<String>| Reading::plain(text("a long")).as_kept(&kept, base);
    assert_eq!(shown(&known("a long text")).slot(), &text("a long text"));
    assert_eq!(shown(&known("another")).slot(), &text("a long"));
    assert_eq!(shown(&Base::Never).slot(), &text("a long"));
    assert_eq!(shown(&known("a long text")).raw(), &text("a long"), "for the write");
}

/// A field that is written to the same value in run after run is noticed.
#[test]
fn a_system_that_does_not_keep_what_it_is_given_is_noticed() {
    let count = |erp: fn(u32) -> String| {
        let (crm, base) = (text("a & b"), known("a & b"));
        let mut streak = WriteStreak::default();
        let mut noticed = None;
        for run in 1..=8 {
            let erp = Slot::Value(erp(run));
            let slots = [&crm, &erp];
            let plan = FieldPlan::new(OWNER, &slots, &base);
            for write in plan.writes() {
                streak.count(&write);
            }
            if streak.is_flapping() {
                noticed = noticed.or(Some(run));
            }
        }
        (noticed, streak.times())
    };
    assert_eq!(count(|_| "a &amp; b".to_owned()), (Some(3), 8));
    assert_eq!(count(|run| run.to_string()), (None, 1), "a new edit in every run");
    assert_eq!(count(|_| "a & b".to_owned()), (None, 0));
}

/// Lists whose order does not count are exchanged as sets.
struct AsSet;

impl Convert<BTreeSet<u8>> for AsSet {
    type Local = Vec<u8>;
    type Error = Infallible;

    fn encode(&self, set: Option<&BTreeSet<u8>>) -> Option<Vec<u8>> {
        set.map(|set| set.iter().copied().collect())
    }

    fn decode(&self, list: Option<&Vec<u8>>) -> Result<Option<BTreeSet<u8>>, Infallible> {
        Ok(list.map(|list| list.iter().copied().collect()))
    }

    fn normalize(&self, set: Option<&BTreeSet<u8>>) -> Option<BTreeSet<u8>> {
        set.cloned()
    }
}

proptest! {
    /// A list that comes back in another order is no edit; and two people who add
    /// different entries lose none, where the declared merge is a union.
    #[test]
    fn lists_are_compared_by_content(
        list in prop::collection::vec(any::<u8>(), 0..6),
        shuffled in any::<prop::sample::Index>(),
        added in (any::<u8>(), any::<u8>()),
    ) {
        let set: BTreeSet<u8> = list.iter().copied().collect();
        prop_assert_eq!(check(&AsSet, [set.clone()]), Ok(()));
        let mut turned = list.clone();
        if !turned.is_empty() {
            turned.rotate_left(shuffled.index(list.len()));
        }
        let of = |list: &[u8]| Reading::of(&AsSet, Slot::Value(list.to_vec())).expect("any");
        let base = Base::Known(Some(set.clone()));
        let (crm, erp) = (of(&list), of(&turned));
        let slots = [crm.slot(), erp.slot()];
        prop_assert_eq!(
            FieldPlan::new(Rule::Shared, &slots, &base).verdict(),
            Verdict::Agreed(0)
        );

        let with = |new: u8| of(&[list.as_slice(), &[new]].concat());
        let (crm, erp) = (with(added.0), with(added.1));
        let slots = [crm.slot(), erp.slot()];
        let merged = FieldPlan::new(Rule::Shared, &slots, &base).merge(|_, edits| {
            let all = edits.iter().flatten().flat_map(|set| set.iter().copied());
            Some(Content::Value(all.collect()))
        });
        let mut wanted = set.clone();
        wanted.extend([added.0, added.1]);
        prop_assert_eq!(merged.plan().next_base(), Base::Known(Some(wanted)));
    }
}

#[test]
fn a_system_with_the_common_form_is_given_and_says_values_as_they_are() {
    for value in [None, Some(&7)] {
        assert_eq!(AsIs.encode(value).as_ref(), value);
        assert_eq!(AsIs.decode(value), Ok(value.copied()));
        assert_eq!(AsIs.normalize(value).as_ref(), value);
    }
}

/// A field that was not read, or that the system does not have, has no form.
#[test]
fn a_reading_says_what_the_system_says() {
    let form = First(3);
    for (raw, slot, is_richer) in [
        (Slot::Unread, Slot::Unread, false),
        (Slot::Unsupported, Slot::Unsupported, false),
        (Slot::Empty, Slot::Empty, false),
        (text("tea"), text("tea"), false),
        (text("teapot"), text("tea"), true),
    ] {
        let reading = Reading::of(&form, raw.clone()).expect("text");
        assert_eq!((reading.raw(), reading.slot()), (&raw, &slot));
        assert_eq!(reading.is_richer(), is_richer, "{raw:?}");
    }
}

/// A converter that writes a dash for nothing, and reads the dash as a text.
struct Dash;

impl Convert<String> for Dash {
    type Local = String;
    type Error = Infallible;

    fn encode(&self, value: Option<&String>) -> Option<String> {
        Some(value.map_or("-", String::as_str).to_owned())
    }

    fn decode(&self, local: Option<&String>) -> Result<Option<String>, Infallible> {
        Ok(local.cloned())
    }

    fn normalize(&self, value: Option<&String>) -> Option<String> {
        value.cloned()
    }
}

#[test]
fn a_converter_is_tried_on_the_empty_field_too() {
    assert!(check(&Dash, []).is_err());
}
