//! Relay and receiver over a topic of Pub/Sub with message ordering, killed.

use integration_automation_patterns::broker::pubsub::{Listener, PubSub};

use super::{Topic, broker, local, servers};
use crate::suite::Ends;

/// The id of a topic, and of its subscription.
struct End(String);

impl Ends for End {
    type Broker = PubSub;
    type Consumer = Listener;
    const PAUSES: [u64; 2] = [20, 200];

    fn named(name: String) -> Self {
        Self(name)
    }

    /// With a deadline that the emulator allows, and Google does not: what one held that
    /// was killed is soon seen again.
    async fn make() -> String {
        Topic::create_with(local(servers::pubsub()), true, 1, None).await.id
    }

    fn broker(&self) -> PubSub {
        broker(&self.0, local(servers::pubsub()))
    }

    async fn consumer(&mut self) -> Listener {
        self.broker().listen(&self.0).unwrap()
    }
}

crate::killed_on!(End, #[ignore = "needs Pub/Sub"]);
