//! What comes of a declared plan that meets other people, forms of a system's own, and
//! stores that fail: one rule for a plan that applies itself, and for one that is carried
//! out by hand.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use integration_automation_patterns::sync::{
    Answer, AnswerError, Base, Bases, Capability, Choice, Found, Kept, Misfit, Question,
    Refusal, Slot, System, Verdict,
};
use integration_automation_patterns::{Decision, boundary};

struct Key(());

macro_rules! systems {
    ($($system:ident $name:literal)*) => {
        $(enum $system {}

        impl System for $system {
            const NAME: &'static str = $name;
            type Key = Key;
        })*
    };
}

systems! { Crm "crm" Erp "erp" Hr "hr" }

fn connect<S: System<Key = Key>>() -> Capability<S> {
    Capability::mint(&Key(()))
}

boundary! {
    mod contact between Crm and Erp and Hr {
        status: u8 => Manual,
        note: String => Crm,
    }
}

type Replied = Result<contact::Taken, &'static str>;

type Meanwhile<'w> = &'w dyn Fn(&mut [u8; 3]);

/// What the status is in each system, and who comes in between.
struct World<'w> {
    status: RefCell<[u8; 3]>,
    /// The most that each system holds: it cuts what is more.
    most: [u8; 3],
    steps: Cell<usize>,
    writes: Cell<usize>,
    at: usize,
    meanwhile: Option<Meanwhile<'w>>,
}

impl<'w> World<'w> {
    fn new(status: [u8; 3]) -> Self {
        Self {
            status: RefCell::new(status),
            most: [u8::MAX; 3],
            steps: Cell::new(0),
            writes: Cell::new(0),
            at: usize::MAX,
            meanwhile: None,
        }
    }

    /// One whose systems cut what is more than they hold.
    fn holding(self, most: [u8; 3]) -> Self {
        Self { most, ..self }
    }

    /// One in which somebody comes in between before a step.
    fn with(self, at: usize, meanwhile: Meanwhile<'w>) -> Self {
        Self { at, meanwhile: Some(meanwhile), ..self }
    }

    /// One that cannot be reached in a step.
    fn failing(self, at: usize) -> Self {
        Self { at, ..self }
    }

    /// A write or a check in the system at a place.
    fn write<S>(&self, place: usize, changes: &contact::Changes<'_, S>) -> Replied {
        let step = self.steps.replace(self.steps.get() + 1);
        let mut status = self.status.borrow_mut();
        match self.meanwhile {
            Some(meanwhile) if step == self.at => meanwhile(&mut status),
            None if step == self.at => return Err("no connection"),
            _ => {}
        }
        let Some(write) = &changes.status else { return Ok(Found::AsExpected.into()) };
        let mut taken = contact::Taken::from(write.found(Some(&status[place])));
        if taken.found == Found::AsExpected && !write.is_check() {
            self.writes.set(self.writes.get() + 1);
            let held = *write.value().expect("never cleared").min(&self.most[place]);
            status[place] = held;
            let kept = Kept::of(write, Some(held));
            kept.into_iter().for_each(|kept| taken.kept.status.add(kept));
        }
        Ok(taken)
    }
}

/// A system of a world, by its place.
struct Of<'w, S>(&'w World<'w>, usize, PhantomData<S>);

impl<'w, S> Of<'w, S> {
    fn new(world: &'w World<'w>, place: usize) -> Self {
        Self(world, place, PhantomData)
    }
}

impl<S> contact::Store for Of<'_, S> {
    type System = S;
    type Error = &'static str;

    fn write(&mut self, changes: &contact::Changes<'_, S>) -> Replied {
        self.0.write(self.1, changes)
    }
}

type Snapshots = (contact::Snapshot<Crm>, contact::Snapshot<Erp>, contact::Snapshot<Hr>);

fn seen(status: [u8; 3]) -> Snapshots {
    let mut all = (
        contact::Snapshot::by(&connect::<Crm>()),
        contact::Snapshot::by(&connect::<Erp>()),
        contact::Snapshot::by(&connect::<Hr>()),
    );
    let [crm, erp, hr] = status.map(Slot::Value);
    (all.0.status, all.1.status, all.2.status) = (crm, erp, hr);
    all
}

fn asked(plan: &contact::Plan<'_>, choice: Choice<u8>, by: &str) -> contact::Answers {
    let row = plan.status.review("C-1", "status", contact::SYSTEMS.iter().copied());
    let decision = Decision::new(by, "asked the customer").expect("not blank");
    let answer = Answer::to(&row.expect("it is asked"), choice, decision);
    contact::Answers { status: Some(answer), ..Default::default() }
}

/// Carries a plan out by itself: whether the answer got through.
fn by_itself(
    plan: contact::Plan<'_>,
    answers: contact::Answers,
    world: &World<'_>,
) -> bool {
    let (mut crm, mut erp, mut hr) =
        (Of::<Crm>::new(world, 0), Of::<Erp>::new(world, 1), Of::<Hr>::new(world, 2));
    let carried = plan.apply(answers, &mut crm, &mut erp, &mut hr).expect("it answers");
    assert_eq!(carried.misfits.is_empty(), carried.answers.status.is_none());
    let status = world.status.borrow();
    for kept in carried.kept.status.as_slice() {
        assert_eq!(kept.held, Some(status[kept.place]), "nothing of what it held before");
    }
    carried.misfits.is_empty()
}

/// Carries it out as a store of one's own would: the checks, the changes, the checks
/// again, and what takes back what was written.
fn by_hand(
    plan: contact::Plan<'_>,
    answers: contact::Answers,
    world: &World<'_>,
) -> bool {
    let (crm, erp, hr) = (connect::<Crm>(), connect::<Erp>(), connect::<Hr>());
    let fits = "the plan has asked it";
    let moved_on = |found: [Found; 3]| found.contains(&Found::MovedOn);
    let found = |taken: Replied| taken.expect("it answers").found;
    macro_rules! each {
        ($step:ident $(, $kept:expr)?) => {
            [
                found(world.write(0, &plan.$step(&crm, &answers $(, $kept)?).expect(fits))),
                found(world.write(1, &plan.$step(&erp, &answers $(, $kept)?).expect(fits))),
                found(world.write(2, &plan.$step(&hr, &answers $(, $kept)?).expect(fits))),
            ]
        };
    }
    if moved_on(each!(checks)) {
        return false;
    }
    let written = each!(changes);
    if !moved_on(written) && !moved_on(each!(checks)) {
        return true;
    }
    let kept = contact::KeptForms::default();
    let back = [
        plan.take_back(&crm, &answers, &kept).expect(fits).status,
        plan.take_back(&erp, &answers, &kept).expect(fits).status,
        plan.take_back(&hr, &answers, &kept).expect(fits).status,
    ];
    for ((place, back), written) in back.iter().enumerate().zip(written) {
        let mut status = world.status.borrow_mut();
        if let (Some(back), Found::AsExpected) = (back, written)
            && back.found(Some(&status[place])) == Found::AsExpected
        {
            status[place] = *back.value().expect("never cleared");
        }
    }
    false
}

type CarryOut = fn(contact::Plan<'_>, contact::Answers, &World<'_>) -> bool;

/// Two people answer the same question at once, and each has planned before the other has
/// written. Whenever one comes in between, all systems end with one value, and whoever did
/// not get through learns it.
#[test]
fn two_answers_given_crosswise_do_not_swap_the_values() {
    let choices = [Choice::Side(0), Choice::Side(1), Choice::Other(Some(3))];
    let pairs = choices.into_iter().flat_map(|one| choices.map(|other| (one, other)));
    let ways: [CarryOut; 2] = [by_itself, by_hand];
    for (one, other) in pairs {
        for at in 0..10 {
            for before in [[1, 2, 1], [1, 2, 4]] {
                for carry_out in ways {
                    crosswise(carry_out, before, [one, other], at);
                }
            }
        }
    }
}

/// Ada answers, and Bob comes in before a step of hers, or after the last.
fn crosswise(carry_out: CarryOut, before: [u8; 3], choices: [Choice<u8>; 2], at: usize) {
    let none = contact::Bases::default();
    let (crm, erp, hr) = seen(before);
    let plan = || contact::reconcile(&crm, &erp, &hr, &none).about("C-1");
    let bobs = Cell::new(None);
    let bob = |status: &mut [u8; 3]| {
        let world = World::new(*status);
        let answers = asked(&plan(), choices[1], "bob");
        bobs.set(Some(carry_out(plan(), answers, &world)));
        *status = world.status.into_inner();
    };
    let world = World::new(before).with(at, &bob);
    let ada = carry_out(plan(), asked(&plan(), choices[0], "ada"), &world);
    let mut status = *world.status.borrow();
    if bobs.get().is_none() {
        bob(&mut status);
    }
    let got_through = [ada, bobs.get().expect("he has answered")];
    assert_eq!(status, [status[0]; 3], "{choices:?} before step {at}");
    assert!(got_through.contains(&true), "{choices:?} before step {at}");
    for (choice, got_through) in choices.into_iter().zip(got_through) {
        let outcome = match choice {
            Choice::Side(place) => before[place],
            _ => 3,
        };
        assert!(!got_through || status[0] == outcome, "{choice:?} before step {at}");
    }
}

fn only(misfits: Vec<Misfit>) -> (&'static str, AnswerError) {
    let [misfit] = misfits.as_slice() else { panic!("one misfit: {misfits:?}") };
    (misfit.field, misfit.cause.clone())
}

/// Wherever a store fails, an answer is carried out everywhere, or comes back with the
/// reason.
#[test]
fn an_answer_outlives_a_store_that_fails_at_any_step() {
    let (before, none) = ([1, 2, 4], contact::Bases::default());
    let (crm, erp, hr) = seen(before);
    let (mut unchecked, mut stopped, mut carried_out) = (0, 0, 0);
    for choice in [Choice::Side(0), Choice::Side(1), Choice::Other(Some(3))] {
        for at in 0..10 {
            let world = World::new(before).failing(at);
            let plan = contact::reconcile(&crm, &erp, &hr, &none).about("C-1");
            let answers = asked(&plan, choice, "ada");
            let answer = answers.status.clone();
            let (mut in_crm, mut in_erp, mut in_hr) = (
                Of::<Crm>::new(&world, 0),
                Of::<Erp>::new(&world, 1),
                Of::<Hr>::new(&world, 2),
            );
            let applied = plan.apply(answers, &mut in_crm, &mut in_erp, &mut in_hr);
            let status = *world.status.borrow();
            match applied {
                Ok(carried) if carried.misfits.is_empty() => {
                    carried_out += 1;
                    assert_eq!(status, [status[0]; 3], "{choice:?} at {at}");
                    let outcome = Base::Known(Some(status[0]));
                    assert_eq!(carried.bases.status, Bases::common(outcome, 3));
                }
                Ok(carried) => {
                    unchecked += 1;
                    let why = "no connection".to_owned();
                    let cause = AnswerError::Unchecked { why };
                    assert_eq!(only(carried.misfits), ("status", cause));
                    assert_eq!((carried.answers.status, status), (answer, before));
                    assert_eq!(carried.bases.status.agreed, Base::Never);
                }
                Err(failed) => {
                    stopped += 1;
                    let unfinished = failed.into_value();
                    assert_eq!(unfinished.answers.status, answer, "{choice:?} at {at}");
                    assert_eq!(unfinished.bases.status.agreed, Base::Never);
                }
            }
        }
    }
    assert_eq!((unchecked, stopped, carried_out), (11, 7, 12));
}

/// A store may fail while an answer is taken back: it comes back all the same.
#[test]
fn an_answer_that_could_not_be_taken_back_comes_back() {
    let (before, none) = ([1, 2, 4], contact::Bases::default());
    let (crm, erp, hr) = seen(before);
    let plan = contact::reconcile(&crm, &erp, &hr, &none).about("C-1");
    let answers = asked(&plan, Choice::Other(Some(3)), "ada");
    let answer = answers.status.clone();
    // It is overtaken in the last system, after it was checked and the others written.
    let world = World::new(before).with(5, &|status| status[2] = 7);
    struct OnceMore<'w>(Of<'w, Crm>, usize);
    impl contact::Store for OnceMore<'_> {
        type System = Crm;
        type Error = &'static str;

        fn write(&mut self, changes: &contact::Changes<'_, Crm>) -> Replied {
            self.1 = self.1.checked_sub(1).ok_or("no connection")?;
            self.0.write(changes)
        }
    }
    let mut in_crm = OnceMore(Of::new(&world, 0), 2);
    let (mut in_erp, mut in_hr) = (Of::<Erp>::new(&world, 1), Of::<Hr>::new(&world, 2));
    let failed = plan.apply(answers, &mut in_crm, &mut in_erp, &mut in_hr);
    let unfinished = failed.expect_err("the CRM cannot be reached").into_value();
    assert_eq!(only(unfinished.misfits), ("status", AnswerError::MovedOn));
    assert_eq!((unfinished.misfit_answers.status, answer.is_some()), (answer, true));
    assert_eq!(unfinished.bases.status.agreed, Base::Never);
}

/// An answer that does not fit, or to which a system shows something else before the
/// writes, is written nowhere: not for a moment, and not to be taken back.
#[test]
fn an_answer_that_falls_before_the_writes_is_never_written() {
    let (before, none) = ([1, 2, 4], contact::Bases::default());
    let (crm, erp, hr) = seen(before);
    let about = |record| contact::reconcile(&crm, &erp, &hr, &none).about(record);
    let answers = || asked(&about("C-1"), Choice::Other(Some(3)), "ada");

    let world = World::new(before);
    assert!(!by_itself(about("C-2"), answers(), &world));
    assert_eq!(world.steps.get(), 0, "no system hears of another record's answer");

    let edit = |status: &mut [u8; 3]| *status = [7; 3];
    for at in 0..3 {
        for world in [World::new(before).failing(at), World::new(before).with(at, &edit)]
        {
            assert!(!by_itself(about("C-1"), answers(), &world));
            assert_eq!(world.writes.get(), 0, "{at}");
        }
    }
}

/// Two systems keep the chosen value in forms of their own, and a third moves on: what
/// they were given is taken back from what they hold.
#[test]
fn what_systems_kept_in_their_own_form_is_taken_back() {
    let (before, none) = ([1, 2, 40], contact::Bases::default());
    let (crm, erp, hr) = seen(before);
    let plan = contact::reconcile(&crm, &erp, &hr, &none).about("C-1");
    let answers = asked(&plan, Choice::Side(2), "ada");
    let edit = |status: &mut [u8; 3]| {
        assert_eq!(*status, [30, 20, 40], "both are written, and have cut it");
        status[2] = 7;
    };
    // Three checks and two writes; then the chosen side is checked once more.
    let world = World::new(before).holding([30, 20, 50]).with(5, &edit);
    assert!(!by_itself(plan, answers, &world));
    assert_eq!(*world.status.borrow(), [1, 2, 7]);
}

/// The form that a system kept of this write counts; that of an earlier one does not.
#[test]
fn a_write_is_taken_back_from_what_its_own_system_kept_of_it() {
    let none = contact::Bases::default();
    let (crm, erp, hr) = seen([1, 2, 40]);
    let plan = contact::reconcile(&crm, &erp, &hr, &none).about("C-1");
    let answers = asked(&plan, Choice::Side(2), "ada");
    let mut kept = contact::KeptForms::default();
    kept.status.add(Kept { place: 0, written: Some(40), held: Some(30) });
    kept.status.add(Kept { place: 1, written: Some(9), held: Some(8) });

    let in_crm = plan.take_back(&connect::<Crm>(), &answers, &kept).expect("it fits");
    let in_erp = plan.take_back(&connect::<Erp>(), &answers, &kept).expect("it fits");
    let [in_crm, in_erp] = [in_crm.status, in_erp.status].map(|back| {
        let back = back.expect("it was written");
        (back.expects().copied(), back.value().copied())
    });
    assert_eq!(in_crm, (Some(30), Some(1)), "it holds 30 of the 40");
    assert_eq!(in_erp, (Some(40), Some(2)), "it took the 40 as they are");
}

/// A system that refuses what it is asked whether it still shows says why, and its words
/// are kept: a locked record.
struct Locked;

impl contact::Store for Locked {
    type System = Erp;
    type Error = &'static str;

    fn write(&mut self, changes: &contact::Changes<'_, Erp>) -> Replied {
        let mut taken = contact::Taken::from(Found::AlreadyWritten);
        if let Some(check) = &changes.status {
            assert!(check.is_check(), "the chosen side is not written");
            taken.refused.status.add(Refusal::of(check, "locked"));
        }
        Ok(taken)
    }
}

#[test]
fn what_a_system_says_to_a_check_is_on_record() {
    let none = contact::Bases::default();
    let (crm, erp, hr) = seen([1, 2, 1]);
    let (mut in_crm, _, mut in_hr) = seen([1, 2, 1]);
    let plan = contact::reconcile(&crm, &erp, &hr, &none).about("C-1");
    let answers = asked(&plan, Choice::Side(1), "ada");
    let carried = plan.apply(answers, &mut in_crm, &mut Locked, &mut in_hr);
    let refused = carried.expect("in memory").refused.status;
    assert_eq!(refused.as_slice()[0].why, "locked");
}

/// A system that cuts what it is given, and says so.
struct Cuts {
    column: String,
    writes: usize,
    kept: contact::KeptForms,
    known: contact::Bases,
}

impl Cuts {
    fn read(&self) -> contact::Snapshot<Erp> {
        let mut erp = contact::Snapshot::by(&connect::<Erp>());
        erp.note = Slot::Value(self.column.clone());
        erp.as_kept(&self.kept, &self.known)
    }
}

impl contact::Store for Cuts {
    type System = Erp;
    type Error = &'static str;

    fn write(&mut self, changes: &contact::Changes<'_, Erp>) -> Replied {
        let mut taken = contact::Taken::from(changes.found_in(&self.read()));
        if let (Some(write), Found::AsExpected) = (&changes.note, taken.found) {
            self.writes += 1;
            self.column = write.value().expect("a note").chars().take(6).collect();
            let kept = Kept::of(write, Some(self.column.clone()));
            kept.into_iter().for_each(|kept| taken.kept.note.add(kept));
        }
        Ok(taken)
    }
}

/// Law 44 for a declared boundary: what a system keeps instead of what it is given is no
/// edit, and is not written again and again.
#[test]
fn what_a_system_keeps_instead_is_no_edit() {
    let (mut in_crm, _, mut in_hr) = seen([1; 3]);
    let mut in_erp = Cuts {
        column: "old".to_owned(),
        writes: 0,
        kept: contact::KeptForms::default(),
        known: contact::Bases::default(),
    };
    for (note, writes) in [("Agenda: tea", 1), ("Agenda: cake", 2), ("tea", 3)] {
        in_crm.note = Slot::Value(note.to_owned());
        for _ in 0..3 {
            let (crm, erp, hr) = (in_crm.clone(), in_erp.read(), in_hr.clone());
            let known = in_erp.known.clone();
            let plan = contact::reconcile(&crm, &erp, &hr, &known);
            assert!(plan.note.writes().all(|write| write.lost().is_none()), "{note}");
            let carried = plan
                .apply(contact::Answers::default(), &mut in_crm, &mut in_erp, &mut in_hr)
                .expect("it answers");
            assert_eq!(carried.moved_on, Vec::<&str>::new(), "{note}");
            in_erp.known = carried.bases;
            for kept in carried.kept.note.as_slice() {
                in_erp.kept.note.add(kept.clone());
            }
        }
        assert_eq!(in_erp.writes, writes, "{note}");
        assert_eq!(in_erp.known.note.agreed, Base::Known(Some(note.to_owned())));
    }

    // Somebody's edit is one still.
    in_crm.note = Slot::Value("Agenda: tea".to_owned());
    in_erp.column = "mine".to_owned();
    let (erp, known) = (in_erp.read(), in_erp.known.clone());
    let plan = contact::reconcile(&in_crm, &erp, &in_hr, &known);
    let write = plan.note.writes().next().expect("the owner says something else");
    assert!(write.refused().is_some(), "the ERP may not change it");
}

boundary! {
    mod crash between Crm and Erp {
        reject: u8 => Crm,
        queue: u8 => Crm (others Queue),
        overwrite: u8 => Crm (others Overwrite),
        shared: u8 => Shared,
    }
}

/// Every field of a system shows this.
fn shows<S: System<Key = Key>, At>(value: u8) -> crash::Snapshot<S>
where
    crash::Parties: integration_automation_patterns::sync::declared::Includes<S, At>,
{
    let mut snapshot = crash::Snapshot::by(&connect::<S>());
    (snapshot.reject, snapshot.queue) = (Slot::Value(value), Slot::Value(value));
    (snapshot.overwrite, snapshot.shared) = (Slot::Value(value), Slot::Value(value));
    snapshot
}

/// The program stores what it is about to write, and is killed before or after the writes:
/// they are nobody's edit, and the edits that people make then are, as ever.
#[test]
fn a_program_that_is_killed_takes_none_of_its_writes_for_an_edit() {
    let (old, new, newer, other) = (1, 2, 3, 4);
    let known: crash::Bases = {
        let (crm, erp) = (shows::<Crm, _>(old), shows::<Erp, _>(old));
        crash::reconcile(&crm, &erp, &crash::Bases::default()).next()
    };
    for is_written in [false, true] {
        let (mut crm, mut erp) = (shows::<Crm, _>(new), shows::<Erp, _>(old));
        let (seen_crm, seen_erp) = (crm.clone(), erp.clone());
        let plan = crash::reconcile(&seen_crm, &seen_erp, &known);
        let intent = plan.intent();
        if is_written {
            let nothing = crash::Answers::default();
            let _lost_with_the_program = plan.apply(nothing, &mut crm, &mut erp);
        }
        let next = |crm: &_, erp: &_| {
            let plan = crash::reconcile(crm, erp, &intent);
            let lost = [
                plan.reject.writes().any(|write| write.lost().is_some()),
                plan.queue.writes().any(|write| write.lost().is_some()),
                plan.overwrite.writes().any(|write| write.lost().is_some()),
                plan.shared.writes().any(|write| write.lost().is_some()),
            ];
            (plan.verdicts().map(|(_, verdict)| verdict).collect::<Vec<_>>(), lost)
        };
        let none = [false; 4];
        let (verdicts, lost) = next(&crm, &erp);
        let rests = |verdict: &Verdict| matches!(verdict, Verdict::Agreed(_));
        assert_eq!((verdicts.iter().all(rests), lost), (is_written, none));

        let (verdicts, lost) = next(&shows(newer), &erp);
        assert_eq!((verdicts, lost), (vec![Verdict::Write(0); 4], none), "edited again");

        let (verdicts, lost) = next(&crm, &shows(other));
        // Nobody knows whether the clerk of the ERP saw what was to be written.
        let in_shared = Verdict::Ask(Question::Conflict);
        let queue = Verdict::Ask(Question::Proposal);
        let owned = [Verdict::Write(0), queue, Verdict::Write(0), in_shared];
        assert_eq!(verdicts, owned, "an edit in the ERP, {is_written}");
        assert_eq!(lost, [true, false, true, false], "on record, or asked");
    }
}

/// The forms that systems keep are stored beside what is known in common.
#[cfg(feature = "serde")]
#[test]
fn what_is_kept_is_stored() {
    let mut forms = contact::KeptForms::default();
    let (written, held) = (Some("a text".to_owned()), Some("a te".to_owned()));
    forms.note.add(Kept { place: 1, written, held });
    let stored = serde_json::to_string(&forms).expect("it is stored");
    let read = serde_json::from_str::<contact::KeptForms>(&stored).expect("it is read");
    assert!(read == forms, "{stored}");
}
