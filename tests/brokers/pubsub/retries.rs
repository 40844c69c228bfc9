//! What comes again: in the order of its key.

use integration_automation_patterns::broker::Broker;

use super::answers::event;
use super::*;
use crate::suite::{in_time, the_first_failing};

/// While the first event of a key waits for its retry, those behind it wait too, and
/// another key does not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pub/Sub"]
async fn a_retry_changes_no_order_of_a_key() {
    in_time(async {
        // Without ordering, the server hands out all of a key at once.
        for is_ordered in [true, false] {
            let topic = Topic::create(is_ordered).await;
            let home = local(servers::pubsub());
            let orders = topic.broker(home);
            for id in ["1", "2", "3"] {
                orders.send(&event(id, Some("lead-7"))).await.unwrap();
            }
            orders.send(&event("4", Some("lead-8"))).await.unwrap();
            let mut listener = topic.listener(home);
            let ids = the_first_failing(&mut listener, 5).await;
            let of_key: Vec<&String> = ids.iter().filter(|id| *id != "4").collect();
            assert_eq!(of_key, ["1", "1", "2", "3"], "ordered: {is_ordered}");
            assert_eq!(ids[1], "4", "another key goes on: {ids:?}");
            drop(listener);
            topic.delete().await;
        }
    })
    .await;
}
