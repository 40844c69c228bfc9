//! A webhook out and one in, as a broker and its consumer. It stores nothing: a send ends
//! when the consumer has answered, so that only those tests of the suite fit in which both
//! are at work.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use integration_automation_patterns::broker::webhook::{
    Acker, EndpointConfig, Hooks, Route, Scheme, Webhook, WebhookConfig, endpoint,
};

use super::SECRET;
use super::peer::{Mounted, mount};
use crate::suite::Server;

struct Pair {
    mounted: Mounted,
    hooks: Mutex<Option<Hooks>>,
}

impl Server for Pair {
    type Broker = Webhook;
    type Acker = Acker;
    type Consumer = Hooks;
    const TOO_LARGE: usize = 25 * 1024 * 1024 + 1;
    const FIRST_MAY_BE_AGAIN: bool = true;

    async fn fresh() -> Self {
        let route = Route::new("/erp", Scheme::CloudEvents, SECRET);
        let (endpoint, hooks) = endpoint([route], EndpointConfig::default()).unwrap();
        let hooks = Mutex::new(Some(hooks));
        Self { mounted: mount(endpoint).await, hooks }
    }

    fn address(&self) -> SocketAddr {
        self.mounted.address
    }

    fn broker(&self, address: SocketAddr) -> Webhook {
        let config = WebhookConfig::new(SECRET).allow_http().allow_private();
        let config = config.request_timeout(Duration::from_secs(9));
        Webhook::new(&format!("http://{address}/erp"), config).unwrap()
    }

    async fn consumer_at(&self, _: SocketAddr) -> Hooks {
        self.hooks.lock().unwrap().take().expect("one worker listens to it")
    }

    async fn foreign(&self, _: &[(&str, &str)], _: &[u8]) {
        unreachable!("`receiving.rs` has what other senders send")
    }

    fn header(attribute: &str) -> String {
        format!("ce-{attribute}")
    }

    fn place(&self) -> [String; 2] {
        unreachable!("nothing is stored, and so nothing is behind")
    }

    async fn remove(self) {}
}

crate::suite_on!(direct Pair);
