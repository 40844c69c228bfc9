//! Relay and receiver of webhooks, killed.

use std::net::SocketAddr;

use integration_automation_patterns::broker::webhook::{
    EndpointConfig, Hooks, Route, Scheme, Webhook, WebhookConfig, endpoint,
};
use tokio::net::TcpListener;

use super::SECRET;
use super::peer::{Mounted, mount_at};
use crate::suite::Ends;

/// Named by the address of the receiver.
struct Pair {
    address: SocketAddr,
    mounted: Option<Mounted>,
}

impl Ends for Pair {
    type Broker = Webhook;
    type Consumer = Hooks;

    fn named(name: String) -> Self {
        Self { address: name.parse().unwrap(), mounted: None }
    }

    async fn make() -> String {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        free.local_addr().unwrap().to_string()
    }

    fn broker(&self) -> Webhook {
        let config = WebhookConfig::new(SECRET).allow_http().allow_private();
        Webhook::new(&format!("http://{}/erp", self.address), config).unwrap()
    }

    async fn consumer(&mut self) -> Hooks {
        let route = Route::new("/erp", Scheme::CloudEvents, SECRET);
        let (endpoint, hooks) = endpoint([route], EndpointConfig::default()).unwrap();
        self.mounted = Some(mount_at(self.address, endpoint).await);
        hooks
    }
}

crate::killed_on!(Pair);
