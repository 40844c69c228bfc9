//! The ways between two systems, there and back, on whichever broker.

use integration_automation_patterns::broker::{self, Broker, Consumer};

#[cfg(feature = "sqs")]
#[path = "aws.rs"]
mod aws;

/// What one direction is called, in the program and at the broker.
#[allow(dead_code, reason = "within the process, nothing has a name")]
pub(crate) struct Names {
    pub(crate) name: &'static str,
    /// The stream, exchange or topic, or the beginning of its name.
    pub(crate) source: String,
    /// The queue.
    pub(crate) queue: String,
    /// The consumer or group that listens.
    pub(crate) listener: String,
}

/// From one system to the other: where its relay sends, and where the other listens.
pub(crate) struct Way<B, C> {
    pub(crate) name: &'static str,
    pub(crate) broker: B,
    pub(crate) consumer: C,
}

/// Both directions.
pub(crate) struct Ways<B, C> {
    pub(crate) there: Way<B, C>,
    pub(crate) back: Way<B, C>,
}

/// Within the process: a send is confirmed when the other system has committed the
/// effect.
pub(crate) fn in_process(
    [there, back]: [Names; 2],
) -> Ways<impl Broker, impl Consumer<Acker: 'static>> {
    let way = |names: Names| {
        let (broker, consumer) = broker::in_process(64);
        Way { name: names.name, broker, consumer }
    };
    Ways { there: way(there), back: way(back) }
}

/// Over files: for tests that kill processes, without a server.
#[cfg(feature = "testing")]
pub(crate) fn files(
    folder: &std::path::Path,
    [there, back]: [Names; 2],
) -> crate::Outcome<
    Ways<
        integration_automation_patterns::testing::FileBroker,
        integration_automation_patterns::testing::FileListener,
    >,
> {
    use integration_automation_patterns::testing::FileBroker;
    std::fs::create_dir_all(folder)?;
    let way = |names: Names| {
        let broker = FileBroker::open(folder.join(format!("{}.db", names.queue)))?;
        let consumer = broker.listen();
        crate::Outcome::Ok(Way { name: names.name, broker, consumer })
    };
    Ok(Ways { there: way(there)?, back: way(back)? })
}

/// Over NATS: a stream for each direction.
#[cfg(feature = "nats")]
pub(crate) async fn nats(
    url: &str,
    [there, back]: [Names; 2],
) -> crate::Outcome<Ways<broker::nats::Nats, broker::nats::Listener>> {
    use broker::nats::{Nats, NatsConfig};
    let way = async |names: Names| {
        let broker = Nats::new(url, NatsConfig::new(&*names.source))?;
        broker.create_stream(std::time::Duration::from_secs(2 * 60)).await?;
        let consumer = broker.listen(&names.listener)?;
        crate::Outcome::Ok(Way { name: names.name, broker, consumer })
    };
    Ok(Ways { there: way(there).await?, back: way(back).await? })
}

/// Over RabbitMQ: an exchange for each direction, and the queue of the system that
/// listens.
#[cfg(feature = "amqp")]
pub(crate) async fn amqp(
    url: &str,
    [there, back]: [Names; 2],
) -> crate::Outcome<Ways<broker::amqp::Amqp, broker::amqp::Listener>> {
    use broker::amqp::{Amqp, AmqpConfig};
    let way = async |names: Names| {
        let broker = Amqp::new(url, AmqpConfig::new(&*names.source))?;
        broker.create_queue(&names.queue, &["#"]).await?;
        let consumer = broker.listen(&names.queue)?;
        crate::Outcome::Ok(Way { name: names.name, broker, consumer })
    };
    Ok(Ways { there: way(there).await?, back: way(back).await? })
}

/// Over AMQP 1.0: a queue for each direction, which most servers make for whoever asks.
#[cfg(feature = "amqp1")]
pub(crate) async fn amqp1(
    url: &str,
    [there, back]: [Names; 2],
) -> crate::Outcome<Ways<broker::amqp1::Amqp1, broker::amqp1::Listener>> {
    use broker::amqp1::{Amqp1, Amqp1Config};
    let way = async |names: Names| {
        let broker = Amqp1::new(url, Amqp1Config::queue(&*names.queue))?;
        let consumer = broker.listen(&names.queue)?;
        crate::Outcome::Ok(Way { name: names.name, broker, consumer })
    };
    Ok(Ways { there: way(there).await?, back: way(back).await? })
}

/// Over Kafka: a topic for each direction, and a group of the system that listens.
#[cfg(feature = "kafka")]
pub(crate) async fn kafka(
    servers: &str,
    [there, back]: [Names; 2],
) -> crate::Outcome<Ways<broker::kafka::Kafka, broker::kafka::Listener>> {
    use broker::kafka::{Kafka, KafkaConfig};
    let way = async |names: Names| {
        let broker = Kafka::new(servers, KafkaConfig::new(&*names.source))?;
        broker.create_topic(3, 1).await?;
        let consumer = broker.listen(&*names.listener)?;
        crate::Outcome::Ok(Way { name: names.name, broker, consumer })
    };
    Ok(Ways { there: way(there).await?, back: way(back).await? })
}

/// Over Pub/Sub, at an emulator: a topic for each direction, and a subscription of the
/// system that listens.
#[cfg(feature = "pubsub")]
pub(crate) async fn pubsub(
    address: &str,
    project: &str,
    [there, back]: [Names; 2],
) -> crate::Outcome<Ways<broker::pubsub::PubSub, broker::pubsub::Listener>> {
    use broker::pubsub::{PubSub, PubSubConfig};
    let way = async |names: Names| {
        let topic = format!("projects/{project}/topics/{}", names.source);
        let broker = PubSub::at_emulator(address, &topic, PubSubConfig::default())?;
        broker.create_topic().await?;
        broker.create_subscription(&names.queue).await?;
        let consumer = broker.listen(&names.queue)?;
        crate::Outcome::Ok(Way { name: names.name, broker, consumer })
    };
    Ok(Ways { there: way(there).await?, back: way(back).await? })
}

/// Over SQS: a queue for each direction, which keeps the order of each key.
#[cfg(feature = "sqs")]
pub(crate) async fn sqs(
    host: &str,
    [there, back]: [Names; 2],
) -> crate::Outcome<Ways<broker::sqs::Sqs, broker::sqs::Listener>> {
    use broker::sqs::{Sqs, SqsConfig};
    let way = async |names: Names| {
        let (url, aws) = aws::queue(host, &format!("{}.fifo", names.queue));
        let broker = Sqs::new(&url, &aws, SqsConfig::default())?;
        broker.create_queue().await?;
        let consumer = broker.listen();
        crate::Outcome::Ok(Way { name: names.name, broker, consumer })
    };
    Ok(Ways { there: way(there).await?, back: way(back).await? })
}
