//! The two ways between the systems, on whichever broker.

use integration_automation_patterns::broker::{self, Broker, Consumer};

#[cfg(feature = "sqs")]
#[path = "../support/aws.rs"]
mod aws;

/// From one system to the other: where its relay sends, and where the other listens.
pub(crate) struct Way<B, C> {
    pub(crate) name: &'static str,
    pub(crate) broker: B,
    pub(crate) consumer: C,
}

/// Both directions.
pub(crate) struct Ways<B, C> {
    pub(crate) to_erp: Way<B, C>,
    pub(crate) to_crm: Way<B, C>,
}

/// Within the process: a send is confirmed when the other system has committed the
/// effect.
pub(crate) fn in_process() -> Ways<impl Broker, impl Consumer> {
    let way = |name| {
        let (broker, consumer) = broker::in_process(64);
        Way { name, broker, consumer }
    };
    Ways { to_erp: way("crm to erp"), to_crm: way("erp to crm") }
}

/// Over NATS: a stream for each direction.
#[cfg(feature = "nats")]
pub(crate) async fn nats(
    url: &str,
) -> crate::Outcome<Ways<broker::nats::Nats, broker::nats::Listener>> {
    use broker::nats::{Nats, NatsConfig};
    let way = async |name, stream: &str, consumer: &str| {
        let broker = Nats::new(url, NatsConfig::new(stream))?;
        broker.create_stream(std::time::Duration::from_secs(2 * 60)).await?;
        let consumer = broker.listen(consumer)?;
        crate::Outcome::Ok(Way { name, broker, consumer })
    };
    let to_erp = way("crm to erp", "sync_crm", "erp").await?;
    Ok(Ways { to_erp, to_crm: way("erp to crm", "sync_erp", "crm").await? })
}

/// Over RabbitMQ: an exchange for each direction, and the queue of the system that
/// listens.
#[cfg(feature = "amqp")]
pub(crate) async fn amqp(
    url: &str,
) -> crate::Outcome<Ways<broker::amqp::Amqp, broker::amqp::Listener>> {
    use broker::amqp::{Amqp, AmqpConfig};
    let way = async |name, exchange: &str, queue: &str| {
        let broker = Amqp::new(url, AmqpConfig::new(exchange))?;
        broker.create_queue(queue, &["#"]).await?;
        let consumer = broker.listen(queue)?;
        crate::Outcome::Ok(Way { name, broker, consumer })
    };
    let to_erp = way("crm to erp", "sync_crm", "sync_crm_to_erp").await?;
    Ok(Ways { to_erp, to_crm: way("erp to crm", "sync_erp", "sync_erp_to_crm").await? })
}

/// Over AMQP 1.0: a queue for each direction, which most servers make for whoever asks.
#[cfg(feature = "amqp1")]
pub(crate) async fn amqp1(
    url: &str,
) -> crate::Outcome<Ways<broker::amqp1::Amqp1, broker::amqp1::Listener>> {
    use broker::amqp1::{Amqp1, Amqp1Config};
    let way = async |name, queue: &str| {
        let broker = Amqp1::new(url, Amqp1Config::queue(queue))?;
        let consumer = broker.listen(queue)?;
        crate::Outcome::Ok(Way { name, broker, consumer })
    };
    let to_erp = way("crm to erp", "sync_crm_to_erp").await?;
    Ok(Ways { to_erp, to_crm: way("erp to crm", "sync_erp_to_crm").await? })
}

/// Over Kafka: a topic for each direction, and a group of the system that listens.
#[cfg(feature = "kafka")]
pub(crate) async fn kafka(
    servers: &str,
) -> crate::Outcome<Ways<broker::kafka::Kafka, broker::kafka::Listener>> {
    use broker::kafka::{Kafka, KafkaConfig};
    let way = async |name, topic: &str, group: &str| {
        let broker = Kafka::new(servers, KafkaConfig::new(topic))?;
        broker.create_topic(3, 1).await?;
        let consumer = broker.listen(group)?;
        crate::Outcome::Ok(Way { name, broker, consumer })
    };
    let to_erp = way("crm to erp", "sync_crm", "erp").await?;
    Ok(Ways { to_erp, to_crm: way("erp to crm", "sync_erp", "crm").await? })
}

/// Over SQS: a queue for each direction, which keeps the order of each record.
#[cfg(feature = "sqs")]
pub(crate) async fn sqs(
    host: &str,
) -> crate::Outcome<Ways<broker::sqs::Sqs, broker::sqs::Listener>> {
    use broker::sqs::{Sqs, SqsConfig};
    let way = async |name, queue: &str| {
        let (url, aws) = aws::queue(host, queue);
        let broker = Sqs::new(&url, &aws, SqsConfig::default())?;
        broker.create_queue().await?;
        let consumer = broker.listen();
        crate::Outcome::Ok(Way { name, broker, consumer })
    };
    let to_erp = way("crm to erp", "sync_crm_to_erp.fifo").await?;
    Ok(Ways { to_erp, to_crm: way("erp to crm", "sync_erp_to_crm.fifo").await? })
}

/// Over Pub/Sub, at an emulator: a topic for each direction, and a subscription of the
/// system that listens.
#[cfg(feature = "pubsub")]
pub(crate) async fn pubsub(
    address: &str,
    project: &str,
) -> crate::Outcome<Ways<broker::pubsub::PubSub, broker::pubsub::Listener>> {
    use broker::pubsub::{PubSub, PubSubConfig};
    let way = async |name, topic: &str, subscription: &str| {
        let topic = format!("projects/{project}/topics/{topic}");
        let broker = PubSub::at_emulator(address, &topic, PubSubConfig::default())?;
        broker.create_topic().await?;
        broker.create_subscription(subscription).await?;
        let consumer = broker.listen(subscription)?;
        crate::Outcome::Ok(Way { name, broker, consumer })
    };
    let to_erp = way("crm to erp", "sync_crm", "sync_crm_to_erp").await?;
    Ok(Ways { to_erp, to_crm: way("erp to crm", "sync_erp", "sync_erp_to_crm").await? })
}
