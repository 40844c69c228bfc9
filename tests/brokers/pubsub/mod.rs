//! The suite on Pub/Sub, as cloudbox speaks it, with and without message ordering, and as
//! Google's own emulator does; and what is Pub/Sub's own.

mod answers;
mod dead_letters;
mod fake;
mod faults;
mod foreign;
#[cfg(all(feature = "testing", unix))]
mod killed;
mod retries;
mod settings;

use std::net::SocketAddr;

use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::{BasePublisher, SubscriptionAdmin, TopicAdmin};
use google_cloud_pubsub::model::{DeadLetterPolicy, Message};
use integration_automation_patterns::broker::BrokerErrorKind;
use integration_automation_patterns::broker::pubsub::{
    Acker, Listener, PubSub, PubSubConfig,
};
use uuid::Uuid;

use super::servers;
use super::suite::Server;

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn name(topic: &str) -> String {
    format!("projects/tests/topics/{topic}")
}

fn broker(topic: &str, address: SocketAddr) -> PubSub {
    let config = PubSubConfig::default();
    PubSub::at_emulator(&address.to_string(), &name(topic), config).unwrap()
}

/// A topic of its own for one test, with a subscription.
struct Topic {
    home: SocketAddr,
    id: String,
    subscriptions: SubscriptionAdmin,
    topics: TopicAdmin,
}

/// One of Google's clients, at the emulator.
macro_rules! at_home {
    ($client:ident, $home:expr) => {
        $client::builder()
            .with_endpoint(format!("http://{}", $home))
            .with_credentials(anonymous::Builder::new().build())
            .build()
            .await
            .unwrap()
    };
}

impl Topic {
    /// The deadline is the shortest that Google allows: the emulator goes by that of the
    /// subscription, whatever a listener asks for.
    async fn create(is_ordered: bool) -> Self {
        Self::create_at(local(servers::pubsub()), is_ordered).await
    }

    async fn create_at(home: SocketAddr, is_ordered: bool) -> Self {
        Self::create_with(home, is_ordered, 10, None).await
    }

    /// With message ordering, and with a topic for what was delivered so often in vain.
    async fn with_dead_letters(dead: &Self, attempts: i32) -> Self {
        let policy = DeadLetterPolicy::new().set_dead_letter_topic(dead.name());
        let policy = policy.set_max_delivery_attempts(attempts);
        Self::create_with(local(servers::pubsub()), true, 10, Some(policy)).await
    }

    async fn create_with(
        home: SocketAddr,
        is_ordered: bool,
        ack_deadline: i32,
        policy: Option<DeadLetterPolicy>,
    ) -> Self {
        let id = format!("test-{}", Uuid::now_v7().simple());
        // First, since it installs what Google's own clients need.
        broker(&id, home).create_topic().await.unwrap();
        let subscriptions = at_home!(SubscriptionAdmin, home);
        let topics = at_home!(TopicAdmin, home);
        let topic = Self { home, id, subscriptions, topics };
        let subscription = topic.subscriptions.create_subscription();
        let subscription = subscription
            .set_name(topic.subscription())
            .set_topic(topic.name())
            .set_ack_deadline_seconds(ack_deadline)
            .set_enable_message_ordering(is_ordered)
            .set_or_clear_dead_letter_policy(policy);
        subscription.send().await.unwrap();
        topic
    }

    fn name(&self) -> String {
        name(&self.id)
    }

    fn subscription(&self) -> String {
        format!("projects/tests/subscriptions/{}", self.id)
    }

    fn broker(&self, address: SocketAddr) -> PubSub {
        broker(&self.id, address)
    }

    fn listener(&self, address: SocketAddr) -> Listener {
        self.broker(address).listen(&self.id).unwrap()
    }

    async fn put(&self, attributes: &[(&str, &str)], body: &[u8]) {
        let attributes = attributes.iter().map(|(name, value)| (*name, *value));
        let message = Message::new().set_attributes(attributes).set_data(body.to_vec());
        let publisher = at_home!(BasePublisher, self.home);
        let publisher = publisher.publisher(self.name()).build();
        publisher.publish(message).await.unwrap();
    }

    async fn delete(&self) {
        let request = self.subscriptions.delete_subscription();
        request.set_subscription(self.subscription()).send().await.unwrap();
        self.topics.delete_topic().set_topic(self.name()).send().await.unwrap();
    }
}

/// The suite on one kind of subscription.
macro_rules! server {
    ($kind:ident, $home:expr, $is_ordered:literal) => {
        struct $kind(Topic);

        impl Server for $kind {
            type Broker = PubSub;
            type Acker = Acker;
            type Consumer = Listener;
            const TOO_LARGE: usize = 4_000_000;
            const CLOSED: BrokerErrorKind = BrokerErrorKind::Transient;

            async fn fresh() -> Self {
                Self(Topic::create_at(local($home), $is_ordered).await)
            }

            fn address(&self) -> SocketAddr {
                self.0.home
            }

            fn broker(&self, address: SocketAddr) -> PubSub {
                self.0.broker(address)
            }

            async fn consumer_at(&self, address: SocketAddr) -> Listener {
                self.0.listener(address)
            }

            async fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) {
                self.0.put(headers, body).await;
            }

            fn header(attribute: &str) -> String {
                format!("ce-{attribute}")
            }

            fn place(&self) -> [String; 2] {
                [format!("pubsub://{}", self.address()), self.0.id.clone()]
            }

            async fn remove(self) {
                self.0.delete().await;
            }
        }
    };
}

mod ordered {
    use super::*;

    server!(Ordered, servers::pubsub(), true);
    crate::suite_on!(Ordered, #[ignore = "needs Pub/Sub"]);
    crate::suite_on!(lossy Ordered, #[ignore = "needs Pub/Sub"]);
    #[cfg(feature = "postgres")]
    crate::suite_on!(postgres Ordered, #[ignore = "needs Pub/Sub and PostgreSQL"]);
    #[cfg(feature = "postgres")]
    crate::suite_on!(postgres lossy Ordered, #[ignore = "needs Pub/Sub and PostgreSQL"]);
}

mod unordered {
    use super::*;

    server!(Unordered, servers::pubsub(), false);
    crate::suite_on!(Unordered, #[ignore = "needs Pub/Sub"]);
    crate::suite_on!(unordered Unordered, #[ignore = "needs Pub/Sub"]);
}

/// What Google's own emulator adds to that. It does not notice a stream that has ended, so
/// that nothing is here in which one listener follows another.
mod emulator {
    use super::*;

    server!(Emulator, servers::pubsub_emulator(), true);
    crate::suite_on! { @each Emulator, [#[ignore = "needs Pub/Sub"]],
        an_event_arrives_with_all_it_says_about_itself
        a_schema_version_and_an_empty_payload_arrive
        an_event_that_is_sent_twice_has_one_effect
        a_retry_is_delivered_again_and_then_it_is_the_first_still
        failures_in_a_row_starve_no_consumer
        what_a_transaction_commits_has_its_effect_once_and_in_order
        a_worker_has_every_effect_once_and_what_fails_falls_alone
    }
}
