//! Many hands over time: edits, echoes and plans in any order; and the laws that only a
//! sequence can break.

use integration_automation_patterns::sync::convert::{
    Convert, Law, check, check_together,
};
use integration_automation_patterns::sync::{
    Authority, Base, Contract, FieldPlan, HighWaterMark, News, NonOwnerEdits, Rule, Slot,
    Verdict, Version,
};
use proptest::prelude::*;

const SYSTEMS: [&str; 3] = ["crm", "erp", "billing"];

/// Three systems that hold one field, what they said so far, and what was synchronised.
struct World {
    rule: Rule,
    now: [Slot<u8>; 3],
    /// Every state that a system was in: an observation of it may be delivered at any
    /// time, and again.
    said: [Vec<Slot<u8>>; 3],
    latest: HighWaterMark<usize>,
    base: Base<u8>,
    writes: usize,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Deed {
    /// Somebody edits a system from outside.
    Edit(usize, Option<u8>),
    /// An observation arrives, perhaps not for the first time, perhaps overtaken.
    Arrives(usize, prop::sample::Index),
    /// All systems are read, and meanwhile somebody edits one of them.
    Overtaken(usize, Option<u8>),
    /// All systems but one are read.
    Missing(usize),
    /// The plan is applied, and the common state is not stored: a crash.
    Crash,
}

impl World {
    fn new(rule: Rule, start: [Option<u8>; 3]) -> Self {
        let now = start.map(Slot::from);
        let said = now.map(|slot| vec![slot]);
        Self {
            rule,
            now,
            said,
            latest: HighWaterMark::default(),
            base: Base::Never,
            writes: 0,
        }
    }

    fn edit(&mut self, system: usize, value: Option<u8>) {
        let slot = Slot::from(value);
        if self.now[system] != slot {
            self.now[system] = slot;
            self.said[system].push(slot);
        }
    }

    /// Plans on what was seen and applies it to what is there now; whether the common
    /// state is stored is up to the caller.
    fn plan(&mut self, seen: [Slot<u8>; 3]) -> Base<u8> {
        let slots = seen.each_ref();
        let plan = FieldPlan::new(self.rule, &slots, &self.base);
        let applied = plan.apply(&mut self.now[..]).expect("a store in memory");
        for write in plan.writes().filter(|write| !applied.moved_on.contains(&write.to()))
        {
            if self.said[write.to()].last() != Some(&self.now[write.to()]) {
                self.said[write.to()].push(self.now[write.to()]);
            }
        }
        self.writes += applied.written;
        applied.base
    }

    fn perform(&mut self, deed: &Deed) {
        match deed {
            Deed::Edit(system, value) => self.edit(*system, *value),
            Deed::Arrives(system, which) => {
                let version = which.index(self.said[*system].len());
                if self.latest.look(SYSTEMS[*system], version) == News::Newer {
                    self.latest.processed(SYSTEMS[*system], version);
                    let mut seen = self.now;
                    seen[*system] = self.said[*system][version];
                    self.base = self.plan(seen);
                }
            }
            Deed::Overtaken(system, value) => {
                let seen = self.now;
                self.edit(*system, *value);
                self.base = self.plan(seen);
            }
            Deed::Missing(system) => {
                let mut seen = self.now;
                seen[*system] = Slot::Unread;
                self.base = self.plan(seen);
            }
            Deed::Crash => drop(self.plan(self.now)),
        }
    }

    fn verdict(&self) -> Verdict {
        FieldPlan::new(self.rule, &self.now.each_ref(), &self.base).verdict()
    }
}

fn value() -> impl Strategy<Value = Option<u8>> {
    prop::option::weighted(0.8, 0_u8..4)
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0_usize..3, value()).prop_map(|(system, value)| Deed::Edit(system, value)),
        3 => (0_usize..3, any::<prop::sample::Index>()).prop_map(|(system, which)| Deed::Arrives(system, which)),
        1 => (0_usize..3, value()).prop_map(|(system, value)| Deed::Overtaken(system, value)),
        1 => (0_usize..3).prop_map(Deed::Missing),
        1 => Just(Deed::Crash),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let others = [NonOwnerEdits::Reject, NonOwnerEdits::Queue, NonOwnerEdits::Overwrite];
    let owned = (0_usize..3, prop::sample::select(others.to_vec()))
        .prop_map(|(owner, others)| Rule::Owner(owner, others));
    prop_oneof![2 => owned, 2 => Just(Rule::Shared), 1 => Just(Rule::Manual)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Laws 29, 30 and 35: after the last outside edit, whatever else arrives again or
    /// late, writing stops within as many rounds as there are systems; then all agree, or
    /// a person is asked.
    #[test]
    fn any_schedule_comes_to_rest(
        rule in rule(),
        start in prop::array::uniform3(value()),
        deeds in prop::collection::vec(deed(), 0..40),
        late in prop::collection::vec((0_usize..3, any::<prop::sample::Index>()), 0..20),
    ) {
        let mut world = World::new(rule, start);
        deeds.iter().for_each(|deed| world.perform(deed));
        let mut writing = 0;
        for _ in 0..4 {
            let before = world.writes;
            world.base = world.plan(world.now);
            writing += usize::from(world.writes > before);
            for (system, said) in SYSTEMS.iter().zip(&world.said) {
                world.latest.processed(system, said.len() - 1);
            }
        }
        prop_assert!(writing <= 3, "{writing} rounds wrote");
        let (before, now) = (world.writes, world.now);
        for (system, which) in late {
            world.perform(&Deed::Arrives(system, which));
        }
        prop_assert_eq!((world.writes, world.now), (before, now), "an echo wrote");
        let agree = now.windows(2).all(|pair| pair[0] == pair[1]);
        prop_assert!(matches!(world.verdict(), Verdict::Agreed(_)) == agree);
        prop_assert!(agree || matches!(world.verdict(), Verdict::Ask(_)), "{:?}", world.verdict());
    }

    /// Law 35, for the one who keeps the versions: history is news to nobody, in whatever
    /// order it arrives and however often its processing fails; but a count that starts
    /// again in a later epoch is no history.
    #[test]
    fn a_mark_only_ever_grows(
        versions in prop::collection::vec((0_usize..3, 0_u64..3, 0_u32..9, any::<bool>()), 0..60),
    ) {
        let mut latest = HighWaterMark::<u32>::default();
        let mut newest = [None; 3];
        for (system, epoch, number, fails) in versions {
            let version = Version { epoch, number };
            let expected = match newest[system] {
                Some(Version { epoch: newest, .. }) if epoch > newest => News::Restarted,
                known if Some(version) > known => News::Newer,
                _ => News::Processed,
            };
            prop_assert_eq!(latest.look(SYSTEMS[system], version), expected);
            if !fails {
                latest.processed(SYSTEMS[system], version);
                newest[system] = newest[system].max(Some(version));
            }
        }
        let stored = latest.versions().map(|(system, version)| (system, *version)).collect::<HighWaterMark<_>>();
        prop_assert_eq!(stored, latest);
    }

    /// Laws 18 and 19: a field's plan is that of the same field alone, wherever it stands
    /// in the contract.
    #[test]
    fn a_field_is_planned_alone(
        authorities in Just(vec!["crm", "erp", "shared", "manual"]).prop_shuffle(),
        said in prop::array::uniform3(value()),
        agreed in prop::option::of(value()),
    ) {
        let authority = |name: &str| match name {
            "shared" => Authority::Shared,
            "manual" => Authority::Manual,
            system => Authority::system(system),
        };
        let systems = || SYSTEMS.iter().fold(Contract::builder("contact"), |builder, system| builder.system(*system));
        let all = authorities.iter().fold(systems(), |builder, name| builder.field(*name, authority(name)));
        let all = all.build().expect("sound");
        let slots = said.map(Slot::from);
        let base = agreed.map_or(Base::Never, Base::Known);
        for name in authorities {
            let alone = systems().field(name, authority(name)).build().expect("sound");
            let [all, alone] = [&all, &alone].map(|contract| {
                let sides = slots.each_ref();
                let plan = contract.plan(name, &sides, &base).expect("exchanged");
                (plan.verdict(), plan.writes().map(|write| (write.to(), write.value().copied())).collect::<Vec<_>>())
            });
            prop_assert_eq!(all, alone);
        }
    }

    /// Law 34: another authority writes nothing where the systems agree, and is a plan,
    /// not a write, where they do not.
    #[test]
    fn a_change_of_authority_writes_nothing_by_itself(first in rule(), then in rule(), start in prop::array::uniform3(value())) {
        let mut world = World::new(first, start);
        world.base = world.plan(world.now);
        let settled = matches!(world.verdict(), Verdict::Agreed(_));
        let (now, writes) = (world.now, world.writes);
        world.rule = then;
        prop_assert_eq!(world.now, now);
        if settled {
            world.base = world.plan(world.now);
            prop_assert_eq!(world.writes, writes);
        }
    }

    /// Law 22: a group of fields in one struct has one winner; no plan mixes two of them.
    #[test]
    fn a_group_has_one_winner(rule in rule(), said in prop::array::uniform3(prop::option::of((0_u8..3, 0_u8..3))), agreed in (0_u8..3, 0_u8..3)) {
        let slots = said.map(Slot::from);
        let base = Base::Known(Some(agreed));
        let sides = slots.each_ref();
        let plan = FieldPlan::new(rule, &sides, &base);
        for write in plan.writes() {
            prop_assert!(said.contains(&write.value().copied()), "a whole that was read, and no other");
        }
        // Two systems that change different parts of the whole have changed it in two
        // ways.
        let parts = [Slot::Value((9, agreed.1)), Slot::Value((agreed.0, 9))];
        let verdict = FieldPlan::new(Rule::Shared, &parts.each_ref(), &base).verdict();
        prop_assert!(matches!(verdict, Verdict::Ask(_)));
    }

    /// Laws 27 and 28: of two systems that hold more and less, none is written again once
    /// all were brought to one form; without it, the difference that nobody made is
    /// written for ever.
    #[test]
    fn converted_values_do_not_flap(cents in -10_000_i64..10_000) {
        prop_assert_eq!(check(&Cents, [cents]), Ok(()));
        prop_assert_eq!(check(&Units, [cents]), Ok(()));
        prop_assert_eq!(check_together(&Cents, &Units, [cents]), Ok(()));
        let in_units = Convert::encode(&Units, Some(&cents));
        let plan = |normed: bool| {
            let common = |cents: i64| Units.normalize(Cents.normalize(Some(&cents)).as_ref()).expect("a value");
            let one_form = |cents: i64| if normed { common(cents) } else { cents };
            let crm = Slot::Value(cents).map(one_form);
            let erp = Slot::from(Convert::decode(&Units, in_units.as_ref()).expect("a number")).map(one_form);
            FieldPlan::new(Rule::Owner(0, NonOwnerEdits::Reject), &[&crm, &erp], &Base::Known(Some(one_form(cents)))).writes().count()
        };
        prop_assert_eq!(plan(true), 0);
        prop_assert_eq!(plan(false), usize::from(cents % 100 != 0), "what this protects from");
    }
}

struct Cents;
struct Units;
/// It rounds what it reads, and so what it wrote itself never stays.
struct Drifting;
struct Bold;

macro_rules! convert {
    ($($system:ident: |$to:ident| $written:expr, |$from:ident| $read:expr, |$norm:ident| $normed:expr;)*) => {
        $(impl Convert<i64> for $system {
            type Local = String;
            type Error = std::num::ParseIntError;

            fn encode(&self, value: Option<&i64>) -> Option<String> {
                value.map(|$to| ($written).to_string())
            }

            fn decode(&self, local: Option<&String>) -> Result<Option<i64>, Self::Error> {
                let Some(local) = local else { return Ok(None) };
                let $from = local.parse::<i64>()?;
                Ok(Some($read))
            }

            fn normalize(&self, value: Option<&i64>) -> Option<i64> {
                value.map(|$norm| $normed)
            }
        })*
    };
}

convert! {
    Cents: |x| *x, |x| x, |x| *x;
    Units: |x| x / 100, |x| x * 100, |x| x / 100 * 100;
    Drifting: |x| *x, |x| x, |x| x + 1;
    Bold: |x| format!("<b>{x}</b>"), |x| x, |x| *x;
}

#[test]
fn a_converter_that_breaks_a_law_is_told_which_and_for_which_value() {
    let law = |broken: Result<
        (),
        integration_automation_patterns::sync::convert::ConvertError<i64>,
    >| {
        let broken = broken.expect_err("a broken law");
        (broken.law, broken.value)
    };
    assert_eq!(law(check(&Drifting, [7])), (Law::NormalizeOnce, Some(7)));
    assert_eq!(
        law(check(&Bold, [7])),
        (Law::ReadsBack, Some(7)),
        "what it writes, it cannot read"
    );
    assert_eq!(
        law(check_together(&Drifting, &Units, [100, 199])),
        (Law::OneForm, Some(100))
    );

    struct Float;
    impl Convert<f64> for Float {
        type Local = f64;
        type Error = std::convert::Infallible;

        fn encode(&self, value: Option<&f64>) -> Option<f64> {
            value.copied()
        }

        fn decode(&self, local: Option<&f64>) -> Result<Option<f64>, Self::Error> {
            Ok(local.copied())
        }

        fn normalize(&self, value: Option<&f64>) -> Option<f64> {
            value.copied()
        }
    }
    assert!(check(&Float, [0.0, -0.0, f64::INFINITY]).is_ok());
    assert_eq!(check(&Float, [f64::NAN]).map_err(|broken| broken.law), Err(Law::Equal));
}
