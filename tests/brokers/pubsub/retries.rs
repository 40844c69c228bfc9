//! What comes again: in the order of its key, and to the server before its lease ends.

use std::time::Duration;

use integration_automation_patterns::broker::{Broker, Consumer};

use super::answers::event;
use super::fake::Fake;
use super::*;
use crate::suite::{Effects, in_time, the_first_failing};

/// While the first event of a key waits for its retry, those behind it wait too, and
/// another key does not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pub/Sub"]
async fn a_retry_changes_no_order_of_a_key() {
    in_time(async {
        // Without ordering, the server hands out all of a key at once.
        let [cloudbox, googles] = [servers::pubsub(), servers::pubsub_emulator()];
        for (home, is_ordered) in
            [(cloudbox, true), (cloudbox, false), (googles, true), (googles, false)]
        {
            let home = local(home);
            let topic = Topic::create_at(home, is_ordered).await;
            let orders = topic.broker(home);
            for id in ["1", "2", "3"] {
                orders.send(&event(id, Some("lead-7"))).await.unwrap();
            }
            let mut listener = topic.listener(home);
            let ids = the_first_failing(&mut listener, 4).await;
            assert_eq!(ids, ["1", "1", "2", "3"], "ordered: {is_ordered}");

            orders.send(&event("4", Some("lead-7"))).await.unwrap();
            let (fourth, hour) = (listener.next().await, Duration::from_secs(3600));
            let waits = Effects::new().fail_for(hour, fourth.unwrap().unwrap());
            waits.settle().await.unwrap();
            orders.send(&event("5", Some("lead-8"))).await.unwrap();
            let another = listener.next().await.unwrap().unwrap();
            assert_eq!(another.facts().id().to_string(), "5", "another key goes on");
            drop(another);
            drop(listener);
            topic.delete().await;
        }
    })
    .await;
}

/// The server delivers a message anew whose lease has ended, while its retry waits here:
/// so it goes back before, and all of its key that wait behind it with it, whether or not
/// somebody asks for the next message.
#[tokio::test]
#[ignore = "needs PyPI"]
async fn a_retry_that_outlasts_its_lease_goes_back_to_the_server() {
    in_time(async {
        for is_asked in [true, false] {
            let server = Fake::start();
            let lease = Duration::from_secs(60);
            let orders = broker("orders", server.address);
            let listener = orders.listen("two-of-a-key").unwrap();
            let mut listener = listener.max_lease(lease).unwrap();
            let delivery = listener.next().await.unwrap().unwrap();
            tokio::time::pause();
            tokio::time::advance(lease / 2).await;
            tokio::time::resume();
            drop(delivery); // to come again in a second
            tokio::select! {
                next = listener.next(), if is_asked => panic!("handed out: {next:?}"),
                () = server.given_back(&["ack-1", "ack-2"]) => {}
            }
        }
    })
    .await;
}

/// A program that ends closes its listener, and leaves no message to its deadline.
#[test]
#[ignore = "needs PyPI"]
fn what_a_closed_listener_had_is_back_before_its_runtime_ends() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let server = Fake::start();
    runtime().block_on(in_time(async {
        let listener = broker("orders", server.address).listen("two-of-a-key");
        let mut listener = listener.unwrap();
        drop(listener.next().await.unwrap().unwrap());
        listener.close().await;
    }));
    runtime().block_on(in_time(server.given_back(&["ack-1", "ack-2"])));
}
