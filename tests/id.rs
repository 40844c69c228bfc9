//! Event ids: derived ones are the same everywhere, and another system's text stays as it
//! is.

use integration_automation_patterns::EventId;

#[test]
fn a_derived_id_is_the_one_that_any_uuid_library_derives() {
    // uuid5(uuid5(uuid5(NAMESPACE_URL, "urn:integration-automation-patterns"),
    // "payroll"), "1")
    let derived = EventId::derived("payroll", "1").expect("not empty");
    assert_eq!(derived.to_string(), "5a19e608-6148-56a6-9143-3d91fcf2aa7d");
    let namespace = uuid::Uuid::new_v5(
        &uuid::Uuid::NAMESPACE_URL,
        b"urn:integration-automation-patterns",
    );
    assert_eq!(EventId::NAMESPACE, namespace);
    assert!(
        EventId::derived("", "1").is_err() && EventId::derived("payroll", "").is_err()
    );
}

#[test]
fn only_the_canonical_text_of_a_uuid_is_that_uuid() {
    let id = |text: &str| text.parse::<EventId>().expect("not empty");
    let canonical = "5a19e608-6148-56a6-9143-3d91fcf2aa7d";
    assert!(id(canonical).as_uuid().is_some());
    for other in
        [canonical.to_uppercase(), canonical.replace('-', ""), format!("{{{canonical}}}")]
    {
        assert!(id(&other).as_uuid().is_none());
        assert_eq!(id(&other).to_string(), other, "another system's text stays as it is");
    }
    assert!("".parse::<EventId>().is_err());
}
