//! A dead-letter topic of Pub/Sub's own: what no listener answers goes there in the end,
//! as it was sent.

use integration_automation_patterns::broker::{Broker, Consumer};
use integration_automation_patterns::{Envelope, RawEvent};

use super::answers::answer;
use super::*;
use crate::suite::in_time;

/// As often as Google allows at least.
const ATTEMPTS: i32 = 5;

/// Each listener ends before its delivery is answered, as that of a process which fails
/// on it. What they give back must not come to the one that is about to end: there it
/// would stay until its deadline is over, and this test would not end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pub/Sub"]
async fn what_no_listener_answers_goes_to_the_dead_letter_topic_as_it_was_sent() {
    in_time(async {
        let home = local(servers::pubsub());
        let dead = Topic::create(false).await;
        let topic = Topic::with_dead_letters(&dead, ATTEMPTS).await;
        let orders = topic.broker(home);
        for id in ["poison", "good"] {
            let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", id))
                .id(id.parse().unwrap())
                .ordering_key("lead-7")
                .tag("region", "eu-west-1");
            orders.send(&event.build().unwrap().dispatch()).await.unwrap();
        }
        for attempt in 1..=ATTEMPTS {
            let mut listener = topic.listener(home);
            let delivery = listener.next().await.unwrap().unwrap();
            assert_eq!(delivery.facts().id().to_string(), "poison");
            assert_eq!(delivery.is_redelivered(), attempt > 1, "a policy counts");
            if attempt % 2 == 0 {
                drop(delivery);
                drop(listener);
            } else {
                drop(listener);
                drop(delivery);
            }
        }
        let mut listener = topic.listener(home);
        let next = listener.next().await.unwrap().unwrap();
        assert_eq!(next.facts().id().to_string(), "good", "the key goes on");
        answer(next).await.unwrap();

        let mut letters = dead.listener(home);
        let letter = letters.next().await.unwrap().unwrap();
        assert_eq!(letter.facts().id().to_string(), "poison");
        assert_eq!(letter.facts().event_type(), "crm.lead.created");
        assert_eq!(letter.facts().payload().bytes(), b"poison");
        assert_eq!(letter.facts().ordering_key(), Some("lead-7"));
        assert_eq!(letter.facts().tags()["region"], "eu-west-1");
        answer(letter).await.unwrap();
        drop((listener, letters));
        topic.delete().await;
        dead.delete().await;
    })
    .await;
}
