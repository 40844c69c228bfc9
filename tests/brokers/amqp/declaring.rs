//! What is missing is made, and what is there is its operator's.

use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use lapin::ExchangeKind;
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};

use super::user::User;
use super::{RabbitMq, event};
use crate::suite::{Server, in_time, refusal};

const DURABLE: QueueDeclareOptions = QueueDeclareOptions {
    durable: true,
    passive: false,
    exclusive: false,
    auto_delete: false,
    nowait: false,
};
const DURABLE_EXCHANGE: ExchangeDeclareOptions = ExchangeDeclareOptions {
    durable: true,
    passive: false,
    auto_delete: false,
    internal: false,
    nowait: false,
};

fn with(name: &str, value: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    arguments
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn an_exchange_and_a_queue_of_an_operator_are_used_and_left_as_they_are() {
    in_time(async {
        let server = RabbitMq::without_a_queue().await;
        let name = || server.name.as_str().into();
        let exchange = async || {
            let (topic, arguments) =
                (ExchangeKind::Topic, with("alternate-exchange", "amq.fanout"));
            server
                .channel
                .exchange_declare(name(), topic, DURABLE_EXCHANGE, arguments)
                .await
                .unwrap();
        };
        let queue = async || {
            let quorum = with("x-queue-type", "quorum");
            server.channel.queue_declare(name(), DURABLE, quorum).await.unwrap();
        };
        exchange().await;
        queue().await;
        let broker = server.broker(server.address());
        broker.create_exchange().await.unwrap();
        broker.create_queue(&server.name, &["#"]).await.unwrap();
        broker.send(&event("1")).await.unwrap();
        // What is the same as it was is declared again without a word.
        exchange().await;
        queue().await;
        assert_eq!(server.ids(1).await, ["1"]);
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn what_would_lose_events_is_refused_with_what_is_there_and_what_was_wanted() {
    in_time(async {
        let server = RabbitMq::without_a_queue().await;
        let (broker, name) =
            (server.broker(server.address()), || server.name.as_str().into());
        let fanout = ExchangeKind::Fanout;
        server
            .channel
            .exchange_declare(name(), fanout, DURABLE_EXCHANGE, FieldTable::default())
            .await
            .unwrap();
        let refused = broker.create_queue(&server.name, &["#"]).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Permanent), "{refused:?}");
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("received 'topic' but current is 'fanout'"), "{said}");

        server
            .channel
            .exchange_delete(name(), ExchangeDeleteOptions::default())
            .await
            .unwrap();
        let goes = QueueDeclareOptions { auto_delete: true, ..DURABLE };
        server.channel.queue_declare(name(), goes, FieldTable::default()).await.unwrap();
        let refused = broker.create_queue(&server.name, &["#"]).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Permanent), "{refused:?}");
        assert!(refused.unwrap_err().to_string().contains("'auto_delete'"));

        server.channel.queue_delete(name(), QueueDeleteOptions::default()).await.unwrap();
        broker.create_queue(&server.name, &["#"]).await.unwrap();
        broker.send(&event("1")).await.unwrap();
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn who_may_make_nothing_binds_what_is_there() {
    in_time(async {
        let server = RabbitMq::without_a_queue().await;
        let user = User::new(&server);
        user.may("", ".*", ".*");
        let broker = Amqp::new(
            &user.address("amqp", server.address()),
            AmqpConfig::new(&server.name),
        )
        .unwrap();
        let refused = broker.create_queue(&server.name, &["#"]).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Unavailable), "{refused:?}");
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("ACCESS_REFUSED") && said.contains(&server.name), "{said}");
        server
            .broker(server.address())
            .create_queue(&server.name, &["nothing"])
            .await
            .unwrap();
        broker.create_queue(&server.name, &["crm.#"]).await.unwrap();
        broker.send(&event("1")).await.unwrap();
        drop(user);
        server.remove().await;
    })
    .await;
}
