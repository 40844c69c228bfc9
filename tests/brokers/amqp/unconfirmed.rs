//! A queue that confirms nothing stops no other, and its own events not for ever.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use integration_automation_patterns::broker::amqp::Amqp;
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use lapin::options::QueueDeleteOptions;
use tokio::time::timeout;

use super::RabbitMq;
use super::evaluate::{binary, evaluate, here};
use super::routing::event;
use crate::suite::Server;

/// How long the server may take to confirm an event.
const MINUTE: Duration = Duration::from_secs(60);

/// A queue whose process does nothing, until this is dropped.
struct Suspended(String);

impl Suspended {
    fn new(queue: &str) -> Self {
        let suspended = Self(queue.to_owned());
        suspended.tell("suspend");
        suspended
    }

    fn tell(&self, what: &str) {
        let name = binary(&self.0);
        let queue = format!("rabbit_misc:r(<<\"/\">>, queue, {name})");
        let found = format!("{{ok, Q}} = rabbit_amqqueue:lookup({queue})");
        evaluate(&here(), &format!("{found}, sys:{what}(amqqueue:get_pid(Q))"));
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        self.tell("resume");
    }
}

/// Sends 150 events of a type and gives them up, as a relay does, once as many were
/// refused as it takes no more: all others are on their way then.
async fn given_up(broker: &Amqp, event_type: &'static str) {
    let sends = (0..150).map(async |number| {
        broker.send(&event(event_type, &format!("{event_type} {number}"))).await
    });
    let mut answered = sends.collect::<FuturesUnordered<_>>();
    for _ in 0..50 {
        let refused = answered.next().await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unroutable, "{refused}");
        let wanted =
            format!("100 sends of {event_type} wait for the server's confirmation");
        assert_eq!(refused.reason(), wanted);
    }
}

/// The minute passes in a moment, on the test's own clock: the test has that much more.
#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_type_that_is_not_confirmed_stops_no_other_and_is_sent_again_after_a_minute() {
    let test = async {
        let server = RabbitMq::without_a_queue().await;
        let (broker, swift) =
            (server.broker(server.address()), format!("{}-swift", server.name));
        broker.create_queue(&server.name, &["slow.*"]).await.unwrap();
        broker.create_queue(&swift, &["swift"]).await.unwrap();
        let suspended = Suspended::new(&server.name);

        let first = event("slow.1", "first");
        let (first, ()) = tokio::join!(broker.send(&first), async {
            given_up(&broker, "slow.1").await;
            for number in 0..150 {
                broker.send(&event("swift", &number.to_string())).await.unwrap();
            }
            given_up(&broker, "slow.2").await;
            let of_any = broker.send(&event("swift", "one more")).await.unwrap_err();
            assert_eq!(of_any.kind(), BrokerErrorKind::Unavailable, "{of_any}");
            assert_eq!(of_any.reason(), "200 sends wait for the server's confirmation");
            tokio::time::pause();
            tokio::time::advance(MINUTE).await;
            tokio::time::resume();
        });
        let first = first.unwrap_err();
        assert_eq!(first.kind(), BrokerErrorKind::Transient, "{first}");
        assert_eq!(first.reason(), "the server had not confirmed: no answer within 60s");
        drop(suspended);
        broker.send(&event("slow.1", "first")).await.unwrap();
        broker.send(&event("swift", "one more")).await.unwrap();
        server
            .channel
            .queue_delete(swift.as_str().into(), QueueDeleteOptions::default())
            .await
            .unwrap();
        server.remove().await;
    };
    timeout(MINUTE * 4, test).await.expect("the test does not end");
}
