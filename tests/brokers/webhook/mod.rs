//! Webhooks: out to a server of the tests' own, in from senders that sign as the services
//! do, and both at once, by the tests of the suite that fit a broker which stores nothing.

mod foreign;
#[cfg(all(feature = "testing", unix))]
mod killed;
mod outages;
mod pair;
mod peer;
mod receiving;
mod sending;
#[path = "../../../examples/support/serve.rs"]
mod serve;
mod serving;
mod signed;
#[cfg(unix)]
mod tls;
mod worker;

use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};

/// A secret of the Standard Webhooks specification, and another one.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_c3dvcmRmaXNoIHN3b3JkZmlzaCBzd29yZGZpc2g=";

fn event(id: &str) -> Envelope<Dispatched> {
    let payload = RawEvent::new("crm.lead.created", br#"{"lead":7}"#);
    let event = Envelope::builder("crm", payload).id(id.parse().unwrap());
    event.build().unwrap().dispatch()
}
