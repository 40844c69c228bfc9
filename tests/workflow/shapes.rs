//! Workflows of every shape up to four steps, declared: `c` a compensatable step, `q` one
//! that asks a person when it is silent, `a` an approval, `p` a pivot, `f` one that is
//! forestalled, `r` a retriable step.

use integration_automation_patterns::workflow::memory::Memory;
use integration_automation_patterns::workflow::{
    Cleared, Driven, InstanceId, InstanceRecord, RecordError, Wire, WireError,
};
use integration_automation_patterns::{Event, workflow};

use crate::orders::{Controller, ErpDesk as Desk, Sales, login};

/// What every instance is about.
#[derive(Debug)]
pub(crate) struct Trip;

macro_rules! wire {
    ($($name:ident)*) => { $(
        impl Wire for $name {
            fn write(&self) -> Result<Vec<u8>, WireError> {
                Ok(Vec::new())
            }

            fn read(_: &[u8]) -> Result<Self, WireError> {
                Ok(Self)
            }
        }
    )* };
}
wire!(Trip);

macro_rules! events {
    ($($name:ident $text:literal)*) => { $(
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Event for $name {
            const TYPE: &'static str = $text;
        }
        wire!($name);
    )* };
}

events! {
    Do0 "step.a.do" Ok0 "step.a.ok" No0 "step.a.no" Undo0 "step.a.undo" Gone0 "step.a.gone"
    Do1 "step.b.do" Ok1 "step.b.ok" No1 "step.b.no" Undo1 "step.b.undo" Gone1 "step.b.gone"
    Do2 "step.c.do" Ok2 "step.c.ok" No2 "step.c.no" Undo2 "step.c.undo" Gone2 "step.c.gone"
    Do3 "step.d.do" Ok3 "step.d.ok" No3 "step.d.no" Undo3 "step.d.undo" Gone3 "step.d.gone"
}

/// Declares a workflow of one shape, row by row: the table, and what its three traits say.
macro_rules! shape {
    ($name:ident: $($kind:ident)+) => {
        shape! { @row $name [] [] [] [] []
            [(a Do0 Ok0 No0 Undo0 Gone0) (b Do1 Ok1 No1 Undo1 Gone1) (c Do2 Ok2 No2 Undo2 Gone2) (d Do3 Ok3 No3 Undo3 Gone3)]
            $($kind)+ }
    };
    (@row $name:ident [$($t:tt)*] [$($ask:tt)*] [$($undo:tt)*] [$($learn:tt)*] $needs:tt
        [($n:ident $do:ident $ok:ident $no:ident $un:ident $gone:ident) $($left:tt)*] c $($rest:ident)*) => {
        shape! { @row $name [$($t)* compensatable $n: $do => $ok | $no,
                undone by $un => $gone within 1 h else asks Desk within 1 h, within 1 h else undo;]
            [$($ask)* fn $n(&self) -> $do { $do }] [$($undo)* fn $n(&self) -> $un { $un }]
            [$($learn)* fn $n(&mut self, _: $ok) {}] $needs [$($left)*] $($rest)* }
    };
    (@row $name:ident [$($t:tt)*] [$($ask:tt)*] [$($undo:tt)*] [$($learn:tt)*] $needs:tt
        [($n:ident $do:ident $ok:ident $no:ident $un:ident $gone:ident) $($left:tt)*] q $($rest:ident)*) => {
        shape! { @row $name [$($t)* compensatable $n: $do => $ok | $no,
                undone by $un => $gone within 1 h else asks Desk within 1 h, within 1 h else asks Desk within 1 h;]
            [$($ask)* fn $n(&self) -> $do { $do }] [$($undo)* fn $n(&self) -> $un { $un }]
            [$($learn)* fn $n(&mut self, _: $ok) {}] $needs [$($left)*] $($rest)* }
    };
    (@row $name:ident [$($t:tt)*] [$($ask:tt)*] $undo:tt $learn:tt $needs:tt
        [($n:ident $($events:ident)+) $($left:tt)*] a $($rest:ident)*) => {
        shape! { @row $name [$($t)* approval $n of Trip: asks Controller within 1 h else refuse;]
            [$($ask)* fn $n(&self) -> Trip { Trip }] $undo $learn [$n] [$($left)*] $($rest)* }
    };
    (@row $name:ident [$($t:tt)*] [$($ask:tt)*] $undo:tt [$($learn:tt)*] []
        [($n:ident $do:ident $ok:ident $no:ident $un:ident $gone:ident) $($left:tt)*] p $($rest:ident)*) => {
        shape! { @row $name [$($t)* pivot $n: $do => $ok | $no, within 1 h else asks Desk within 1 h;]
            [$($ask)* fn $n(&self) -> $do { $do }] $undo
            [$($learn)* fn $n(&mut self, _: $ok) {}] [] [$($left)*] $($rest)* }
    };
    (@row $name:ident [$($t:tt)*] [$($ask:tt)*] $undo:tt [$($learn:tt)*] [$a:ident]
        [($n:ident $do:ident $ok:ident $no:ident $un:ident $gone:ident) $($left:tt)*] p $($rest:ident)*) => {
        shape! { @row $name [$($t)* pivot $n needs $a: $do => $ok | $no, within 1 h else asks Desk within 1 h;]
            [$($ask)* fn $n(&self, _: &Cleared<step::$a>) -> $do { $do }] $undo
            [$($learn)* fn $n(&mut self, _: $ok) {}] [] [$($left)*] $($rest)* }
    };
    (@row $name:ident [$($t:tt)*] [$($ask:tt)*] $undo:tt [$($learn:tt)*] []
        [($n:ident $do:ident $ok:ident $no:ident $un:ident $gone:ident) $($left:tt)*] f $($rest:ident)*) => {
        shape! { @row $name [$($t)* pivot $n: $do => $ok | $no,
                within 1 h else forestall within 1 h, then asks Desk within 1 h;]
            [$($ask)* fn $n(&self) -> $do { $do }] $undo
            [$($learn)* fn $n(&mut self, _: $ok) {}] [] [$($left)*] $($rest)* }
    };
    (@row $name:ident [$($t:tt)*] [$($ask:tt)*] $undo:tt [$($learn:tt)*] $needs:tt
        [($n:ident $do:ident $ok:ident $no:ident $un:ident $gone:ident) $($left:tt)*] r $($rest:ident)*) => {
        shape! { @row $name [$($t)* retriable $n: $do => $ok, within 1 h else asks Desk within 1 h;]
            [$($ask)* fn $n(&self) -> $do { $do }] $undo
            [$($learn)* fn $n(&mut self, _: $ok) {}] $needs [$($left)*] $($rest)* }
    };
    (@row $name:ident [$($t:tt)*] [$($ask:tt)*] [$($undo:tt)*] [$($learn:tt)*] $needs:tt $left:tt) => {
        pub(crate) mod $name {
            use super::*;

            workflow! {
                pub(crate) mod trip of Trip requested by Sales, version 1 { $($t)* }
            }
            #[allow(unused_imports)]
            use trip::step;

            impl trip::Ask for Trip { $($ask)* }
            impl trip::Undo for Trip { $($undo)* }
            impl trip::Learn for Trip { $($learn)* }
        }
    };
}

/// The shapes, handed to the macro that is named.
macro_rules! shapes {
    ($read_by:ident) => {
        $read_by! {
            c: c; p: p; r: r;
            cc: c c; cp: c p; cr: c r; pr: p r; rr: r r;
            ccc: c c c; ccp: c c p; ccr: c c r; cpr: c p r; crr: c r r; prr: p r r; rrr: r r r;
            cccc: c c c c; cccp: c c c p; cccr: c c c r; ccpr: c c p r; ccrr: c c r r;
            cprr: c p r r; crrr: c r r r; prrr: p r r r; rrrr: r r r r;
            q: q; qc: q c; cq: c q; qp: q p; f: f; cf: c f; cfr: c f r; qf: q f;
            ap: a p; cap: c a p; acp: a c p; aap: a a p; caq: c a q;
        }
    };
}
pub(crate) use shapes;

macro_rules! declare {
    ($($name:ident: $($kind:ident)+;)+) => { $(shape! { $name: $($kind)+ })+ };
}
shapes!(declare);

/// How a record is refused, where it is.
pub(crate) type Refusal = fn(InstanceRecord) -> Option<RecordError>;

/// The record of an instance whose approval is given, and whose next step does not use it.
pub(crate) fn cleared_and_not_used() -> (Refusal, InstanceRecord) {
    use caq::trip::{self, Any, This, at};

    let (now, id) = (crate::walk::now(), InstanceId::of("trip 7").unwrap());
    let anna = login::seat::<Sales>("anna").unwrap();
    let mut store = Memory::default();
    store.begin(trip::start(id.clone(), Trip, &anna), now).unwrap();
    let Some(Any::Awaiting(at::Awaiting::a(at))) = store.load(&id).unwrap() else {
        panic!("the first step is awaited")
    };
    store.store(at.done(Ok0), now).unwrap();
    let Some(Any::Awaiting(at::Awaiting::b(at))) = store.load(&id).unwrap() else {
        panic!("the approval is awaited")
    };
    let carl = login::seat::<Controller>("carl").unwrap().decide("fine").unwrap();
    let seen = at.asked();
    store.store(at.approve(carl, seen).unwrap(), now).unwrap();
    let refusal = |row| This::rehydrate(row).err().map(|refused| refused.into_cause());
    (refusal, store.record(id.as_event_id()).unwrap().clone())
}
