//! Without the feature `tls`: what needs it is refused in words that name it.

use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};

use super::super::servers::certificate;
use super::super::suite::in_time;
use super::event;
use super::own::{JETSTREAM, Own};

#[test]
fn an_address_that_asks_for_tls_is_refused() {
    for servers in ["tls://127.0.0.1", "nats://127.0.0.1,tls://s3cr3t@127.0.0.1"] {
        let refused = Nats::new(servers, NatsConfig::new("crm")).unwrap_err().to_string();
        assert!(
            refused.contains("its feature tls") && !refused.contains("s3cr3t"),
            "{refused}"
        );
    }
}

#[tokio::test]
#[ignore = "needs nats-server and TEST_TLS"]
async fn a_server_that_wants_tls_is_not_spoken_to() {
    in_time(async {
        let file = |name: &str| format!("{:?}", certificate(name).display().to_string());
        let (certificate, key) = (file("server.pem"), file("server.key"));
        let own = Own::start(&format!(
            "{JETSTREAM}\ntls {{ cert_file: {certificate}, key_file: {key} }}"
        ))
        .await;
        let refused = own
            .broker(NatsConfig::new("crm"))
            .send(&event("crm.lead.created"))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unreachable);
        assert!(
            refused
                .reason()
                .contains("let integration-automation-patterns have its feature tls"),
            "{refused}"
        );
    })
    .await;
}
