//! Audit records as events of a subscriber.

use std::sync::Arc;

use integration_automation_patterns::audit::{AuditTrail, TracingEvents};
use integration_automation_patterns::{Decision, Envelope, RawEvent};
use tracing::Level;

use crate::subscriber::{Heard, Listener};

#[test]
fn each_record_is_one_event_with_its_fields_and_never_the_payload() {
    let heard = Heard::default();
    let trail = AuditTrail::new("relay-1", Arc::new(TracingEvents));
    let at = "2026-01-05T08:00:00Z".parse().expect("a time");
    let gone = tracing::subscriber::with_default(Listener(heard.clone()), || {
        let builder = Envelope::builder(
            "crm",
            RawEvent::new("crm.lead.created", br#"{"secret":"s3cr3t"}"#),
        );
        let builder = builder
            .id("evt-001".parse().expect("not empty"))
            .correlation_id("import-7")
            .tag("token", "s3cr3t");
        let sent = trail.step_at(
            builder.build_at(at).expect("well formed"),
            Envelope::dispatch,
            at,
        );
        let dead =
            trail.step_at(sent, |event| event.reject_at("no such account", at), at);
        let decision =
            Decision::new_at("on-call", "it exists now", at).expect("not blank");
        trail.step_at(dead, |dead| dead.redrive(decision), at).skip("out of date")
    });
    assert!(gone.status().is_terminal());
    let heard = heard.events.lock().expect("nobody panicked");
    assert_eq!(
        heard.iter().map(|(level, ..)| *level).collect::<Vec<_>>(),
        [Level::INFO, Level::WARN, Level::INFO]
    );
    assert!(heard.iter().all(|(_, target, _)| target == "integration_event"));
    let (_, _, rejected) = &heard[1];
    let expected = [
        ("action", "reject"),
        ("at", "2026-01-05T08:00:00+00:00"),
        ("attempts", "1"),
        ("correlation_id", "import-7"),
        ("created_at", "2026-01-05T08:00:00+00:00"),
        ("event_id", "evt-001"),
        ("event_type", "crm.lead.created"),
        ("failure_class", "permanent"),
        ("failure_reason", "no such account"),
        ("schema_version", "1.0"),
        ("source_system", "crm"),
        ("status", "failed"),
        ("system", "relay-1"),
    ];
    let found = rejected
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect::<Vec<_>>();
    assert_eq!(found, expected);
    let (_, _, redriven) = &heard[2];
    assert_eq!(
        (redriven["decided_by"].as_str(), redriven["decision_reason"].as_str()),
        ("on-call", "it exists now")
    );
    assert!(!format!("{heard:?}").contains("s3cr3t"));
}
