//! The server: where it is, who signs in, and the clients that speak to it. None of them
//! tries again by itself, since the relay and the listener do.

use std::time::Duration;

use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::client_builder::Result;
use google_cloud_gax::retry_policy::{NeverRetry, RetryPolicyExt};
use google_cloud_pubsub::client::{
    BasePublisher, Subscriber, SubscriptionAdmin, TopicAdmin,
};

/// A server. Each client that it makes has a connection of its own.
pub(super) struct Server {
    /// Nothing stands for the global endpoint.
    endpoint: Option<String>,
    credentials: Credentials,
    pub(super) within: Duration,
}

/// The settings that all of the client's builders have.
macro_rules! client {
    ($server:expr, $client:ident) => {{
        let builder = $client::builder().with_credentials($server.credentials.clone());
        match &$server.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint),
            None => builder,
        }
    }};
}

impl Server {
    /// Both clients of the vendor's want a provider of cryptography for the process, and
    /// one of them panics without it: where the program has installed none, it is ring.
    pub(super) fn new(
        endpoint: Option<String>,
        credentials: Credentials,
        within: Duration,
    ) -> Self {
        // One that is installed already stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { endpoint, credentials, within }
    }

    pub(super) async fn publisher(&self) -> Result<BasePublisher> {
        let once = NeverRetry.with_time_limit(self.within);
        client!(self, BasePublisher).with_retry_policy(once).build().await
    }

    pub(super) async fn subscriber(&self) -> Result<Subscriber> {
        client!(self, Subscriber).build().await
    }

    pub(super) async fn topics(&self) -> Result<TopicAdmin> {
        let once = NeverRetry.with_time_limit(self.within);
        client!(self, TopicAdmin).with_retry_policy(once).build().await
    }

    pub(super) async fn subscriptions(&self) -> Result<SubscriptionAdmin> {
        let once = NeverRetry.with_time_limit(self.within);
        client!(self, SubscriptionAdmin).with_retry_policy(once).build().await
    }
}
