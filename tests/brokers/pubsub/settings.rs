//! What is refused where it is stated, and what is never shown.

use std::time::Duration;

use google_cloud_auth::credentials::anonymous;
use integration_automation_patterns::broker::Consumer;

use super::*;

#[test]
fn each_setting_is_kept_or_refused() {
    let orders = || broker("orders", local(1));
    let refused = |config: PubSubConfig| {
        let new = PubSub::at_emulator("127.0.0.1:1", &name("orders"), config);
        new.unwrap_err().setting()
    };
    let config = PubSubConfig::default;
    assert_eq!(refused(config().request_timeout(Duration::ZERO)), "request_timeout");
    assert_eq!(refused(config().max_message_size(1023)), "max_message_size");
    assert_eq!(refused(config().max_message_size(10_000_001)), "max_message_size");
    assert_eq!(refused(config().endpoint("https://example.com")), "endpoint");

    let seconds = Duration::from_secs;
    let listener = || orders().listen("erp").unwrap();
    assert!(listener().max_outstanding(0).is_err());
    for wrong in [seconds(9), seconds(601), Duration::from_millis(10_500)] {
        assert!(listener().ack_deadline(wrong).is_err(), "{wrong:?}");
    }
    for wrong in [seconds(59), seconds(24 * 60 * 60 + 1)] {
        assert!(listener().max_lease(wrong).is_err(), "{wrong:?}");
    }
    let patient = listener().max_lease(seconds(2 * 60 * 60)).unwrap();
    assert_eq!(patient.ack_wait(), Some(seconds(2 * 60 * 60)));
}

/// Credentials go over TLS alone, and nowhere else.
#[test]
fn credentials_are_never_in_clear() {
    let new =
        |config| PubSub::new(&name("orders"), anonymous::Builder::new().build(), config);
    let orders = new(PubSubConfig::default()).unwrap();
    let shown = format!("{orders:?} {:?}", orders.listen("erp").unwrap());
    assert!(!shown.to_lowercase().contains("credentials"), "{shown}");
    let refused = new(PubSubConfig::default().endpoint("http://127.0.0.1:8085"));
    assert_eq!(refused.unwrap_err().setting(), "endpoint");
    let refused = new(PubSubConfig::default().endpoint("https://user:secret@host"));
    let refused = refused.unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("secret"), "{refused:?}");
}
