//! A queue that confirms nothing stops no other, and its own events not for ever.

use std::time::Duration;

use futures_util::future::join_all;
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use lapin::options::QueueDeleteOptions;
use tokio::time::timeout;

use super::RabbitMq;
use super::evaluate::{binary, evaluate, here};
use super::routing::event;
use crate::suite::{Server, in_time};

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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_type_that_is_not_confirmed_stops_no_other_and_is_sent_again_after_a_minute() {
    in_time(async {
        let server = RabbitMq::without_a_queue().await;
        let (broker, swift) =
            (server.broker(server.address()), format!("{}-swift", server.name));
        broker.create_queue(&server.name, &["slow.*"]).await.unwrap();
        broker.create_queue(&swift, &["swift"]).await.unwrap();
        let suspended = Suspended::new(&server.name);

        let first = event("slow.1", "first");
        let (first, ()) = tokio::join!(broker.send(&first), async {
            // As a relay gives them up.
            let given_up = async |event_type: &'static str| {
                let sends = (0..150).map(|number| {
                    let broker = &broker;
                    async move {
                        let event = event(event_type, &format!("{event_type} {number}"));
                        timeout(Duration::from_millis(500), broker.send(&event)).await
                    }
                });
                assert!(
                    join_all(sends).await.iter().all(Result::is_err),
                    "nothing is confirmed"
                );
            };
            given_up("slow.1").await;
            let of_this_type =
                broker.send(&event("slow.1", "one more")).await.unwrap_err();
            assert_eq!(
                of_this_type.kind(),
                BrokerErrorKind::Unroutable,
                "{of_this_type}"
            );
            assert_eq!(
                of_this_type.reason(),
                "100 sends of slow.1 wait for the server's confirmation"
            );
            for number in 0..150 {
                broker.send(&event("swift", &number.to_string())).await.unwrap();
            }
            given_up("slow.2").await;
            let of_any = broker.send(&event("swift", "one more")).await.unwrap_err();
            assert_eq!(of_any.kind(), BrokerErrorKind::Unavailable, "{of_any}");
            assert_eq!(of_any.reason(), "200 sends wait for the server's confirmation");
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
    })
    .await;
}
