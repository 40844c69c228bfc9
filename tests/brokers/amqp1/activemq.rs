//! ActiveMQ Classic: the suite, and its topics.

use std::time::Duration;

use integration_automation_patterns::broker::amqp1::Amqp1Config;
use integration_automation_patterns::broker::{Broker, Consumer};

use super::{Peer, Queue, event};
use crate::servers;
use crate::suite::in_time;

pub(super) struct ActiveMq;

impl Peer for ActiveMq {
    fn port() -> u16 {
        servers::activemq()
    }
}

type Server = Queue<ActiveMq>;

crate::suite_on!(Server, #[ignore = "needs ActiveMQ Classic"]);
crate::suite_on!(lossy Server, #[ignore = "needs ActiveMQ Classic"]);

/// This server goes by the prefix alone: without it, it makes a queue of the topic.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ActiveMQ Classic"]
async fn a_subscription_of_a_topic_gets_what_was_sent_while_nobody_listened() {
    in_time(async {
        let queue = Server::named("VirtualTopic");
        let topic = &queue.name;
        let config = Amqp1Config::topic(topic).topic_prefix("topic://");
        let news = queue.amqp1(config);
        let listen = || news.listen(format!("Consumer.erp.{topic}")).unwrap();
        news.send(&event("before it is made")).await.unwrap();
        let second = Duration::from_secs(1);
        let made = tokio::time::timeout(second, listen().next()).await;
        assert!(made.is_err(), "it is only made: {made:?}");
        news.send(&event("while nobody listens")).await.unwrap();
        let mut listener = listen();
        let delivery = listener.next().await.unwrap().unwrap();
        assert_eq!(delivery.facts().id().to_string(), "while nobody listens");
    })
    .await;
}
