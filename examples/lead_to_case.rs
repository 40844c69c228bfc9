//! Leads from a web form become cases at a service desk: validate, map, deduplicate, create or update, log, follow up.
//!
//!     cargo run --example lead_to_case
//!
//! It prints the audit trail of every change, then what became of each lead, and the figures.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::audit::{Action, AuditTrail, Lines};
use integration_automation_patterns::state::{Acknowledged, Dispatched, Processed};
use integration_automation_patterns::sync::{Authority, Base, Contract, Slot};
use integration_automation_patterns::{
    AfterFailure, AnyEnvelope, Envelope, Event, RawEvent,
};
use serde_json::Value;

/// What the web form sends. The second comes from an older form, without a phone number; the fourth is the first again.
const LEADS: [(&str, &str); 6] = [
    ("web-1", r#"{"email":"a@x.org","topic":"invoice","phone":"555-0101"}"#),
    ("web-2", r#"{"email":"b@x.org","topic":"delivery"}"#),
    ("web-3", r#"{"email":"a@x.org","topic":"invoice","phone":"555-0199"}"#),
    ("web-1", r#"{"email":"a@x.org","topic":"invoice","phone":"555-0101"}"#),
    ("web-4", r#"{"topic":"refund","phone":"555-0104"}"#),
    ("web-5", r#"{"email":"c@x.org","topic":"refund","phone":"555-0105"}"#),
];

struct Lead {
    email: String,
    topic: String,
    phone: Slot<String>,
}

impl Event for Lead {
    const TYPE: &'static str = "web.lead.submitted";
}

/// Validate: what makes no sense is refused here, in words for the person who must decide about it.
fn validate(bytes: &[u8]) -> Result<Lead, Box<dyn Error>> {
    let fields: BTreeMap<String, Value> = serde_json::from_slice(bytes)?;
    let text = |name: &str| {
        fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    Ok(Lead {
        email: text("email")
            .ok_or("a lead needs an email address, and this one has none")?
            .to_owned(),
        topic: text("topic")
            .ok_or("a lead needs a topic, and this one has none")?
            .to_owned(),
        // That a form did not send it does not say that there is none.
        phone: text("phone").map_or(Slot::Unread, |phone| Slot::Value(phone.to_owned())),
    })
}

/// A case at the service desk; its status is the desk's own, and no lead touches it.
struct Case {
    topic: String,
    phone: Slot<String>,
}

/// What the service desk holds, and how it behaves.
#[derive(Default)]
struct Desk {
    /// By the customer's address: a second lead of one customer about one topic is the same case.
    cases: BTreeMap<(String, String), Case>,
    tasks: Vec<String>,
    seen: BTreeSet<String>,
    calls: u32,
}

enum Outcome {
    Created,
    Updated,
    Unchanged,
}

impl Desk {
    /// Map, and create or update: what the contract says is written, and nothing else.
    fn take(
        &mut self,
        lead: &Lead,
        contract: &Contract,
    ) -> Result<Outcome, Box<dyn Error>> {
        self.calls += 1;
        if self.calls == 4 {
            return Err("the service desk did not answer within 5 s".into());
        }
        let Some(case) = self.cases.get_mut(&(lead.email.clone(), lead.topic.clone()))
        else {
            let case = Case { topic: lead.topic.clone(), phone: lead.phone.clone() };
            if case.phone == Slot::Unread {
                self.tasks.push(format!(
                    "ask {} for a phone number ({})",
                    lead.email, case.topic
                ));
            }
            self.cases.insert((lead.email.clone(), lead.topic.clone()), case);
            return Ok(Outcome::Created);
        };
        let (slots, base) = ([&lead.phone, &case.phone], Base::Never);
        let plan = contract.plan("phone", &slots, &base)?;
        let phone = plan
            .writes()
            .find(|write| write.to() == 1)
            .and_then(|write| write.value().cloned());
        Ok(match phone {
            Some(phone) => {
                case.phone = Slot::Value(phone);
                Outcome::Updated
            }
            None => Outcome::Unchanged,
        })
    }
}

/// The time of this run: each look at the clock is a second later.
struct Clock(DateTime<Utc>);

impl Clock {
    fn now(&mut self) -> DateTime<Utc> {
        self.0 += TimeDelta::seconds(1);
        self.0
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let contract = Contract::builder("case")
        .system("web")
        .system("desk")
        .field("phone", Authority::system("web"))
        .excluded("status")
        .build()?;
    let trail = AuditTrail::new("lead-to-case", Arc::new(Lines::new(io::stdout())));
    let mut clock = Clock("2026-01-05T08:00:00Z".parse()?);
    let (mut desk, mut ends, mut figures) =
        (Desk::default(), Vec::new(), BTreeMap::new());

    for (id, bytes) in LEADS {
        let payload = RawEvent::new(Lead::TYPE, bytes);
        let event =
            Envelope::builder("web", payload).id(id.parse()?).build_at(clock.now())?;
        trail.record(Action::Create, &event, event.status(), event.created_at());

        // Deduplicate: one id, one effect.
        let (end, what) = if desk.seen.contains(id) {
            (
                trail.step_at(event, |event| event.skip("duplicate"), clock.now()).into(),
                "a duplicate",
            )
        } else {
            deliver(event.into(), &mut desk, &contract, &trail, &mut clock)?
        };
        *figures.entry(what).or_insert(0) += 1;
        ends.push((id, end, what));
    }

    println!();
    for (id, end, what) in &ends {
        let reason = end
            .failure()
            .map(|failure| format!(" (last failure: {})", failure.reason))
            .unwrap_or_default();
        println!(
            "{id}  {:<9}  attempts {}  {what}{reason}",
            end.status(),
            end.attempts()
        );
    }
    println!();
    for task in &desk.tasks {
        println!("follow-up: {task}");
    }
    for (what, count) in figures {
        println!("{what}: {count}");
    }
    println!(
        "cases: {}, records lost by the audit trail: {}",
        desk.cases.len(),
        trail.lost()
    );
    Ok(())
}

/// One event, until no program takes it further.
fn deliver(
    mut event: AnyEnvelope,
    desk: &mut Desk,
    contract: &Contract,
    trail: &AuditTrail,
    clock: &mut Clock,
) -> Result<(AnyEnvelope, &'static str), Box<dyn Error>> {
    loop {
        let sent: Envelope<Dispatched> = match event {
            AnyEnvelope::Pending(event) => {
                trail.step_at(event, Envelope::dispatch, clock.now())
            }
            AnyEnvelope::Retrying(event) => {
                clock.0 = clock.0.max(event.next_attempt_at());
                trail.step_at(event, Envelope::dispatch, clock.now())
            }
            end => return Ok((end, "for a person to decide")),
        };
        let held: Envelope<Acknowledged> =
            trail.step_at(sent, Envelope::acknowledge, clock.now());
        let at = clock.now();
        let lead = match validate(held.payload().bytes()) {
            Ok(lead) => lead,
            Err(wrong) => {
                event = trail
                    .step_at(held, |event| event.reject_at(wrong.to_string(), at), at)
                    .into();
                continue;
            }
        };
        match desk.take(&lead, contract) {
            Ok(outcome) => {
                desk.seen.insert(held.id().to_string());
                let done: Envelope<Processed> =
                    trail.step_at(held, Envelope::process, at);
                let what = match outcome {
                    Outcome::Created => "a case created",
                    Outcome::Updated => "a case updated",
                    Outcome::Unchanged => "nothing new",
                };
                return Ok((done.into(), what));
            }
            Err(error) => {
                let after: AfterFailure =
                    trail.step_at(held, |event| event.fail_at(error.to_string(), at), at);
                event = after.into();
            }
        }
    }
}
