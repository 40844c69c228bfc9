//! What is legal, read back out of trait resolution: every stage of a table with a step of
//! each kind, with every reply, every role and every stage that might follow. It is what
//! the definition says as data, what the diagram shows, and what the guide prints.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use integration_automation_patterns::workflow::{
    Advance, Amends, Answers, Asked, Cancels, Cleared, Completed, Decides, Edge,
    Escalated, Forestalled, GivenUp, Happens, Level, MaySettle, MustSucceed, Refuses,
    Role, Stage, Status, Undecided, Undoes, Undone, Voted, Waits, Workflow,
};
use integration_automation_patterns::{Event, workflow};

use crate::orders::*;

workflow! {
    /// A step of each kind, and both ways out of a silent compensatable one.
    pub(crate) mod every_kind of Order requested by Sales, version 1 {
        compensatable reserve_credit: ReserveCredit => CreditReserved | CreditRefused,
            undone by ReleaseCredit => CreditReleased within 1 h else asks CreditDesk within 4 h,
            within 15 min else undo;
        compensatable hold_stock: HoldStock => StockHeld | StockRefused,
            undone by FreeStock => StockFreed within 1 h else asks ErpDesk within 4 h,
            within 15 min else asks ErpDesk within 4 h then CreditDesk within 4 h;
        approval over_limit of Quote when Order::is_over_limit:
            asks 2 of Controller within 24 h then HeadOfFinance within 24 h else refuse;
        pivot create_order needs over_limit: CreateOrder => OrderCreated | OrderRefused,
            within 1 h else forestall within 10 min, then asks ErpDesk within 4 h;
        retriable notify_billing: IssueInvoice => InvoiceIssued,
            within 2 d else asks BillingDesk within 1 d;
    }
}
use self::every_kind::{Awaiting, Forestalling, Parked, Stuck, This, Undoing, step};

impl every_kind::Ask for Order {
    fn reserve_credit(&self) -> ReserveCredit {
        ReserveCredit
    }

    fn hold_stock(&self) -> HoldStock {
        HoldStock
    }

    fn over_limit(&self) -> Quote {
        Quote { total: self.total }
    }

    fn create_order(&self, cleared: &Cleared<step::over_limit>) -> CreateOrder {
        CreateOrder { total: cleared.shown().total }
    }

    fn notify_billing(&self) -> IssueInvoice {
        IssueInvoice
    }
}

impl every_kind::Undo for Order {
    fn reserve_credit(&self) -> ReleaseCredit {
        ReleaseCredit
    }

    fn hold_stock(&self) -> FreeStock {
        FreeStock
    }
}

impl every_kind::Learn for Order {
    fn reserve_credit(&mut self, _: CreditReserved) {}

    fn hold_stock(&mut self, _: StockHeld) {}

    fn create_order(&mut self, _: OrderCreated) {}

    fn notify_billing(&mut self, _: InvoiceIssued) {}
}

/// A stage: its status and its step, which an end does not have.
type Place = (Status, &'static str);

/// Where what a verb gives back may lead.
trait Leads {
    fn to() -> Vec<Place>;
}

fn place<S: Stage>() -> Place {
    (S::STATUS, S::STEP.map_or("", |step| step.name))
}

impl<S: Stage> Leads for Advance<S> {
    fn to() -> Vec<Place> {
        vec![place::<S>()]
    }
}

impl<A: Stage, Rest: Leads> Leads for Asked<A, Rest> {
    fn to() -> Vec<Place> {
        [vec![place::<A>()], Rest::to()].concat()
    }
}

impl<A: Stage, Then: Leads> Leads for Voted<A, Then> {
    fn to() -> Vec<Place> {
        [vec![place::<A>()], Then::to()].concat()
    }
}

impl<A: Stage, B: Stage> Leads for Escalated<A, B> {
    fn to() -> Vec<Place> {
        vec![place::<A>(), place::<B>()]
    }
}

/// Where a verb leads that is legal; none is not.
type Legal = Option<fn() -> Vec<Place>>;

/// Whether a verb is legal at a stage, with a reply, a role or what follows: an inherent
/// constant takes the place of the one of the trait where its bound holds.
struct Probe<Verb, At, With>(PhantomData<(Verb, At, With)>);

trait Illegal {
    const LEGAL: Legal = None;
}

impl<Verb, At, With> Illegal for Probe<Verb, At, With> {}

macro_rules! verbs {
    ($($verb:ident $name:literal, $at:ident $with:ident: [$($bounds:tt)+] $to:ty;)+) => { $(
        struct $verb;

        impl<$at: Stage, $with> Probe<$verb, $at, $with>
        where
            $($bounds)+
        {
            const LEGAL: Legal = Some(<$to as Leads>::to);
        }

        impl Named for $verb {
            const NAME: &'static str = $name;
        }
    )+ };
}

/// A verb, as code calls it.
trait Named {
    const NAME: &'static str;
}

verbs! {
    Done "done", At R: [R: Answers<At, Then: Leads>] R::Then;
    Refused "refused", At R: [R: Refuses<At>] Advance<R::Back>;
    Reverted "undone", At R: [R: Undoes<At>] Advance<R::Back>;
    Late "timed_out", At To: [At: Waits<To>, To: Leads] To;
    Cancelled "cancel", At To: [At: Cancels<To>, To: Leads] To;
    Approved "approve", At R: [R: Decides<At, Then: Leads>] R::Then;
    Declined "refuse", At R: [R: Decides<At>] Advance<R::Back>;
    Amended "amend", At Any: [At: Amends, Any: Sized] Advance<At>;
    Settled "settle", At R: [R: MaySettle<At>] Advance<At>;
    Happened "happened", At R: [R: Happens<At, Then: Leads>] R::Then;
    DidNotHappen "did_not_happen", At To: [At: Undecided<To>, To: Leads] To;
    AskedAgain "ask_again", At To: [At: MustSucceed<To>, To: Leads] To;
    Closed "give_up", At To: [At: MustSucceed<To>, To: Leads] Advance<GivenUp<This>>;
}

/// A verb that is legal at a stage.
#[derive(Debug)]
struct Way {
    from: Place,
    verb: &'static str,
    /// The type of the reply, or the name of the role.
    with: &'static str,
    to: Vec<Place>,
}

macro_rules! ways {
    ($([$($verbs:ident)+] $name:ident with $withs:tt;)+ at $stages:tt) => { {
        let mut ways = Vec::new();
        $(ways!(@stages ways [$($verbs)+] $name $withs $stages);)+
        ways
    } };
    (@stages $ways:ident $verbs:tt $name:ident $withs:tt [$($at:ty),+]) => {
        $(ways!(@withs $ways $verbs $name $withs $at);)+
    };
    (@withs $ways:ident $verbs:tt $name:ident [$($with:ty),+] $at:ty) => {
        $(ways!(@verbs $ways $verbs $name $with, $at);)+
    };
    (@verbs $ways:ident [$($verb:ident)+] $name:ident $with:ty, $at:ty) => { $(
        if let Some(to) = <Probe<$verb, $at, $with>>::LEGAL {
            let (from, verb, to) = (place::<$at>(), $verb::NAME, to());
            $ways.push(Way { from, verb, with: $name::<$with>(), to });
        }
    )+ };
}

fn event<E: Event>() -> &'static str {
    E::TYPE
}

fn role<R: Role>() -> &'static str {
    R::NAME
}

#[allow(clippy::extra_unused_type_parameters, reason = "called as the others are")]
fn nothing<T>() -> &'static str {
    ""
}

/// Hands the stages to a macro, alone and as what may follow.
macro_rules! with_stages {
    ($($at:ty),+ $(,)?) => {
        fn legal() -> Vec<Way> {
            ways! {
                [Done Refused Reverted Happened] event with [
                    CreditReserved, CreditRefused, CreditReleased, StockHeld, StockRefused,
                    StockFreed, OrderCreated, OrderRefused, InvoiceIssued, Forestalled
                ];
                [Approved Declined Settled] role with [
                    Sales, Controller, HeadOfFinance, CreditDesk, ErpDesk, BillingDesk
                ];
                [Amended] nothing with [()];
                [Late Cancelled DidNotHappen AskedAgain Closed] nothing with
                    [$(Advance<$at>),+, $(Escalated<Awaiting<step::over_limit>, $at>),+];
                at [$($at),+]
            }
        }

        fn stages() -> Vec<Place> {
            vec![$(place::<$at>()),+]
        }
    };
}

with_stages! {
    Awaiting<step::reserve_credit>, Undoing<step::reserve_credit>,
    Stuck<step::reserve_credit>, Awaiting<step::hold_stock>, Parked<step::hold_stock>,
    Undoing<step::hold_stock>, Stuck<step::hold_stock>, Awaiting<step::over_limit>,
    Awaiting<step::create_order>, Forestalling<step::create_order>,
    Parked<step::create_order>, Awaiting<step::notify_billing>,
    Parked<step::notify_billing>, Completed<This>, Undone<This>, GivenUp<This>,
}

/// The ways that lead from one stage to another, as the definition has them.
fn edges() -> BTreeSet<Edge> {
    let mut edges = BTreeSet::new();
    for Way { from, verb, with, to } in legal() {
        let by = match verb {
            "done" | "refused" | "undone" => with,
            verb => verb,
        };
        let others = to.into_iter().filter(|to| *to != from);
        edges.extend(others.map(|to| Edge { from, to, by }));
    }
    edges
}

/// Protects whoever reads the table as data: it says of every stage, verb, reply and target
/// what the compiler says.
#[test]
fn the_definition_and_the_diagram_say_what_the_compiler_does() {
    let (legal, declared) = (edges(), This::DEFINITION.edges());
    assert_eq!(declared.len(), legal.len(), "no way stands twice");
    assert_eq!(legal, declared.into_iter().collect());
    let diagram = This::DEFINITION.mermaid();
    let mut lines = diagram.lines().map(str::trim);
    assert_eq!(lines.next(), Some("stateDiagram-v2"));
    assert_eq!(lines.next(), Some("[*] --> reserve_credit"));
    let drawn = lines.map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(drawn, legal.iter().map(Edge::to_string).collect());
}

/// Protects people from a question that is put to one role and answered by another.
#[test]
fn the_roles_that_decide_are_those_of_the_chain_and_they_alone() {
    let mut asked = BTreeMap::<_, BTreeSet<_>>::new();
    for way in legal() {
        if ["approve", "refuse", "settle"].contains(&way.verb) {
            asked.entry((way.from, way.verb)).or_default().insert(way.with);
        }
    }
    let mut declared = BTreeMap::new();
    for (status, step) in stages() {
        let Some(row) = This::DEFINITION.step(step) else { continue };
        let (verbs, chain): (&[&str], &[Level]) = match status {
            Status::Awaiting => (&["approve", "refuse"], row.asks),
            Status::Stuck => (&["settle"], row.undo_asks),
            _ => (&["settle"], row.asks),
        };
        let asks_people = match status {
            Status::Awaiting => row.command.is_none(),
            status => matches!(status, Status::Parked | Status::Stuck),
        };
        let roles = chain.iter().map(|level| level.role).collect::<BTreeSet<_>>();
        let verbs = verbs.iter().filter(|_| asks_people);
        declared.extend(verbs.map(|verb| (((status, step), *verb), roles.clone())));
    }
    assert_eq!(asked, declared);
}

/// Protects who reads the guide: its table is the compiler's.
#[test]
fn the_guide_prints_what_is_legal() {
    const ORDER: [&str; 13] = [
        "done",
        "refused",
        "undone",
        "approve",
        "refuse",
        "amend",
        "timed_out",
        "cancel",
        "settle",
        "happened",
        "did_not_happen",
        "ask_again",
        "give_up",
    ];
    let mut verbs = stages()
        .into_iter()
        .map(|place| (place, BTreeSet::new()))
        .collect::<BTreeMap<_, _>>();
    for way in legal() {
        let place = ORDER.iter().position(|verb| *verb == way.verb).unwrap();
        verbs.get_mut(&way.from).unwrap().insert(place);
    }
    let row = |((status, step), verbs): (Place, BTreeSet<usize>)| {
        let kind = This::DEFINITION.step(step).map_or("", |step| step.kind.as_str());
        let verbs = verbs.into_iter().map(|verb| format!("`{}`", ORDER[verb]));
        let verbs = verbs.collect::<Vec<_>>().join(", ");
        format!("| {kind} | {status} | {verbs} |")
    };
    let legal = verbs.into_iter().map(row).collect::<BTreeSet<_>>();
    let guide = include_str!("../../src/guide/workflow.md");
    let table = guide.split("| kind | status | verbs |\n|---|---|---|\n").nth(1).unwrap();
    let printed = table.lines().take_while(|line| line.starts_with('|'));
    assert_eq!(printed.map(str::to_owned).collect::<BTreeSet<_>>(), legal);
}
