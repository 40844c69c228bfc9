//! A place of its own at each broker: its two ends, and its removal.

#![cfg(any(feature = "amqp", feature = "amqp1", feature = "kafka", feature = "nats"))]

#[cfg(feature = "nats")]
use std::time::Duration;

use integration_automation_patterns::EventId;

use crate::{Outcome, servers};

fn name() -> String {
    format!("bench-{}", EventId::generate())
}

#[cfg(feature = "nats")]
pub(super) struct Nats {
    stream: String,
    broker: nats::Nats,
}

#[cfg(feature = "nats")]
use integration_automation_patterns::broker::nats;

#[cfg(feature = "nats")]
impl Nats {
    pub(super) async fn new() -> Outcome<Self> {
        let (stream, server) = (name(), format!("127.0.0.1:{}", servers::nats()));
        let broker = nats::Nats::new(&server, nats::NatsConfig::new(&stream))?;
        broker.create_stream(Duration::from_secs(120)).await?;
        Ok(Self { stream, broker })
    }

    pub(super) fn ends(&self) -> Outcome<(nats::Nats, nats::Listener)> {
        Ok((self.broker.clone(), self.broker.listen("bench")?))
    }

    pub(super) async fn remove(self) -> Outcome {
        let server = format!("127.0.0.1:{}", servers::nats());
        let context = async_nats::jetstream::new(async_nats::connect(server).await?);
        context.delete_stream(&self.stream).await?;
        Ok(())
    }
}

#[cfg(feature = "amqp")]
use integration_automation_patterns::broker::amqp;

#[cfg(feature = "amqp")]
pub(super) struct RabbitMq {
    name: String,
    broker: amqp::Amqp,
}

#[cfg(feature = "amqp")]
impl RabbitMq {
    fn address() -> String {
        format!("amqp://127.0.0.1:{}", servers::rabbitmq())
    }

    pub(super) async fn new() -> Outcome<Self> {
        let name = name();
        let broker = amqp::Amqp::new(&Self::address(), amqp::AmqpConfig::new(&name))?;
        broker.create_queue(&name, &["#"]).await?;
        Ok(Self { name, broker })
    }

    pub(super) fn ends(&self) -> Outcome<(amqp::Amqp, amqp::Listener)> {
        Ok((self.broker.clone(), self.broker.listen(&self.name)?))
    }

    pub(super) async fn remove(self) -> Outcome {
        use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
        use lapin::{Connection, ConnectionProperties};
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&Self::address(), properties).await?;
        let channel = connection.create_channel().await?;
        let name = || self.name.as_str().into();
        channel.exchange_delete(name(), ExchangeDeleteOptions::default()).await?;
        channel.queue_delete(name(), QueueDeleteOptions::default()).await?;
        Ok(())
    }
}

/// ActiveMQ Artemis, whose queue of the bench goes once it is empty and nobody listens.
#[cfg(feature = "amqp1")]
pub(super) fn artemis() -> Outcome<(amqp1::Amqp1, amqp1::Listener)> {
    let name = name();
    let [port, _] = servers::artemis();
    let server = format!("amqp://app:s3cr3t%2Fp%40ss%3Aword@127.0.0.1:{port}");
    let broker = amqp1::Amqp1::new(&server, amqp1::Amqp1Config::queue(&name))?;
    let listener = broker.listen(&name)?;
    Ok((broker, listener))
}

#[cfg(feature = "amqp1")]
use integration_automation_patterns::broker::amqp1;

#[cfg(feature = "kafka")]
use integration_automation_patterns::broker::kafka;

#[cfg(feature = "kafka")]
pub(super) struct Kafka {
    topic: String,
    admin: Admin,
    broker: kafka::Kafka,
}

#[cfg(feature = "kafka")]
type Admin = rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext>;

#[cfg(feature = "kafka")]
impl Kafka {
    pub(super) async fn new() -> Outcome<Self> {
        use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
        let (topic, server) = (name(), format!("127.0.0.1:{}", servers::kafka()));
        let mut config = rdkafka::config::ClientConfig::new();
        let admin: Admin = config.set("bootstrap.servers", &server).create()?;
        let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
        admin.create_topics([&new], &AdminOptions::new()).await?;
        let broker = kafka::Kafka::new(&server, kafka::KafkaConfig::new(&topic))?;
        Ok(Self { topic, admin, broker })
    }

    pub(super) fn ends(&self) -> Outcome<(kafka::Kafka, kafka::Listener)> {
        Ok((self.broker.clone(), self.broker.listen("bench")?))
    }

    pub(super) async fn remove(self) -> Outcome {
        let options = rdkafka::admin::AdminOptions::new();
        self.admin.delete_topics(&[&self.topic], &options).await?;
        Ok(())
    }
}
