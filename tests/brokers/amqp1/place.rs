//! The place that events are sent to: full, missing, closed to the account, taken away;
//! and topics with their subscriptions. What is the place's costs no event an attempt.

use std::time::Duration;

use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
use integration_automation_patterns::broker::{
    Broker, BrokerError, BrokerErrorKind, Consumer,
};

use super::artemis::Artemis;
use super::raw::Raw;
use super::{Peer, Queue, ack, event, sized, url};
use crate::suite::{Server, in_time, refusal};

/// Sends until the place takes no more, and says what that send was told.
async fn filled(broker: &Amqp1) -> BrokerError {
    for number in 0..1_000 {
        match broker.send(&sized(&number.to_string(), 5_000)).await {
            Ok(()) => {}
            // The machine was busy: no link was made in time.
            Err(error) if error.kind() == BrokerErrorKind::Unreachable => {}
            Err(error) => return error,
        }
    }
    panic!("it is never full");
}

fn is_of_the_place(sent: &Result<(), BrokerError>, said: &str) {
    assert_eq!(refusal(sent), Some(BrokerErrorKind::Unavailable), "{sent:?}");
    assert!(sent.as_ref().is_err_and(|error| error.reason().contains(said)), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_place_that_is_full_refuses_and_takes_events_again_once_it_is_read() {
    in_time(async {
        let queue = Queue::<Artemis>::named("full");
        let broker = queue.broker(queue.address());
        let full = Err(filled(&broker).await);
        is_of_the_place(&full, "amqp:resource-limit-exceeded");
        Raw::connect(Artemis::port()).await.take(&queue.name).await;
        broker.send(&event("after")).await.unwrap();
    })
    .await;
}

/// A sender without credit waits for ever, if nobody counts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_place_that_blocks_is_unavailable_to_all_that_wait_for_it() {
    in_time(async {
        let queue = Queue::<Artemis>::named("blocked");
        let config = queue.config().connect_timeout(Duration::from_secs(1));
        let broker = queue.amqp1(config);
        is_of_the_place(&Err(filled(&broker).await), "it took no event within 1s");
        let events: Vec<_> = (0..5).map(|id| event(&format!("waits-{id}"))).collect();
        let sends = events.iter().map(|event| broker.send(event));
        for sent in futures_util::future::join_all(sends).await {
            is_of_the_place(&sent, "it took no event within 1s");
        }
        let mut raw = Raw::connect(Artemis::port()).await;
        raw.take(&queue.name).await;
        broker.send(&event("after")).await.unwrap();
        let ids = raw.ids(&queue.name).await;
        assert_eq!(ids, ["after"], "what waited was not sent");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_place_that_is_missing_or_closed_to_the_account_is_unavailable() {
    in_time(async {
        let absent = Queue::<Artemis>::named("absent");
        let sent = absent.broker(absent.address()).send(&event("1")).await;
        is_of_the_place(&sent, "amqp:not-found");
        let listened = absent.consumer().await.next().await.map(|_| ());
        is_of_the_place(&listened, "amqp:not-found");
        let closed = Queue::<Artemis>::named("closed");
        let sent = closed.broker(closed.address()).send(&event("1")).await;
        is_of_the_place(&sent, "amqp:unauthorized-access");
    })
    .await;
}

/// The link stays, and each event is rejected: no reason to make dead letters of them all.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_right_that_is_taken_away_pauses_and_one_that_is_given_back_goes_on() {
    in_time(async {
        let queue = Queue::<Artemis>::fresh().await;
        let broker = queue.broker(queue.address());
        broker.send(&event("1")).await.unwrap();
        let mut raw = Raw::connect(Artemis::port()).await;
        let all_but_sending: Vec<_> = [queue.name.as_str(), "nobody"]
            .into_iter()
            .chain(["amq"; 9])
            .map(serde_json::Value::from)
            .collect();
        raw.manage("addSecuritySettings", &all_but_sending).await;
        let mut last = broker.send(&event("2")).await;
        while last.is_ok() {
            last = broker.send(&event("2")).await;
        }
        is_of_the_place(&last, "amqp:unauthorized-access");
        let of_this = [queue.name.as_str().into()];
        raw.manage("removeSecuritySettings", &of_this).await;
        while let Err(error) = broker.send(&event("3")).await {
            assert_eq!(error.kind(), BrokerErrorKind::Unavailable, "{error}");
        }
    })
    .await;
}

/// The server rejects in words of its own, which say nothing; a new link is told why.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_queue_that_is_deleted_under_a_link_is_missing_to_the_next_one() {
    in_time(async {
        let queue = Queue::<Artemis>::named("absent");
        let mut raw = Raw::connect(Artemis::port()).await;
        let name = &queue.name;
        raw.manage("createAddress", &[name.as_str().into(), "ANYCAST".into()]).await;
        let made =
            serde_json::json!([name, "ANYCAST", name, null, true, -1, false, false]);
        raw.manage("createQueue", made.as_array().unwrap()).await;
        let broker = queue.broker(queue.address());
        broker.send(&event("1")).await.unwrap();
        let mut listener = queue.consumer().await;
        ack(listener.next().await.unwrap().unwrap()).await.unwrap();
        let with_consumers_and_address = [name.as_str().into(), true.into(), true.into()];
        raw.manage("destroyQueue", &with_consumers_and_address).await;
        let ended = listener.next().await.map(|_| ());
        is_of_the_place(&ended, "amqp:resource-deleted");
        let first = broker.send(&event("2")).await;
        if refusal(&first) == Some(BrokerErrorKind::Transient) {
            is_of_the_place(&broker.send(&event("2")).await, "amqp:not-found");
        } else {
            is_of_the_place(&first, "amqp:not-found");
        }
    })
    .await;
}

/// A queue that was asked for is one, and a topic too: asked for neither, the server
/// accepts events and keeps none.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn each_subscription_of_a_topic_gets_every_event_also_while_nobody_listens() {
    in_time(async {
        let topic = Queue::<Artemis>::fresh().await;
        let news = topic.amqp1(Amqp1Config::topic(&topic.name));
        let subscriptions = ["erp", "crm"].map(|name| format!("{}::{name}", topic.name));
        for subscription in &subscriptions {
            let mut listener = news.listen(subscription).unwrap();
            // It is made once something comes by it.
            let made = loop {
                news.send(&event("made")).await.unwrap();
                let moment = Duration::from_millis(100);
                if let Ok(made) = tokio::time::timeout(moment, listener.next()).await {
                    break made;
                }
            };
            ack(made.unwrap().unwrap()).await.unwrap();
        }
        for id in ["1", "2"] {
            news.send(&event(id)).await.unwrap();
        }
        for subscription in &subscriptions {
            let (mut listener, mut ids) =
                (news.listen(subscription).unwrap(), Vec::new());
            while ids.len() < 2 {
                let delivery = listener.next().await.unwrap().unwrap();
                ids.push(delivery.facts().id().to_string());
                ids.retain(|id| id != "made");
                ack(delivery).await.unwrap();
            }
            assert_eq!(ids, ["1", "2"]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn with_its_source_and_id_an_event_that_is_sent_again_is_stored_once() {
    in_time(async {
        let queue = Queue::<Artemis>::fresh().await;
        let once = queue.amqp1(queue.config().duplicate_ids(true));
        for id in ["1", "1", "2", "1"] {
            once.send(&event(id)).await.unwrap();
        }
        let mut raw = Raw::connect(Artemis::port()).await;
        assert_eq!(raw.ids(&queue.name).await, ["1", "2"]);
        for id in ["3", "3"] {
            queue.broker(queue.address()).send(&event(id)).await.unwrap();
        }
        assert_eq!(raw.ids(&queue.name).await, ["3", "3"], "not asked for, twice");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Artemis"]
async fn a_login_that_is_refused_is_said_and_shown_without_its_password() {
    in_time(async {
        let queue = Queue::<Artemis>::fresh().await;
        let right = url(queue.address());
        for (wrong, said) in [
            (right.replace("s3cr3t", "wr0ng"), "refuses the login"),
            (format!("amqp://{}", queue.address()), "unauthorized-access"),
        ] {
            let broker = Amqp1::new(&wrong, queue.config()).unwrap();
            let sent = broker.send(&event("1")).await;
            assert_eq!(refusal(&sent), Some(BrokerErrorKind::Unreachable), "{sent:?}");
            let reason = sent.unwrap_err().reason().to_owned();
            assert!(reason.contains(said) && !reason.contains("wr0ng"), "{reason}");
        }
    })
    .await;
}
