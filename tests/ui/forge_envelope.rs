//! Making up an envelope from its parts
//@ code: E0451
//@ error: fields `facts` and `state` of struct `Envelope` are private
//@ twin: Envelope => Parcel

use std::marker::PhantomData;

use integration_automation_patterns::state::Processed;
use integration_automation_patterns::{Envelope, Facts, RawEvent};

pub struct Parcel<S> {
    facts: Facts<RawEvent>,
    state: PhantomData<S>,
}

impl<S> Parcel<S> {
    pub fn open(self) -> (Facts<RawEvent>, PhantomData<S>) {
        (self.facts, self.state)
    }
}

pub fn never_sent(envelope: &Envelope<Processed>, facts: Facts<RawEvent>) {
    let _ = Envelope { facts, state: PhantomData::<Processed> }; //@ here
}
