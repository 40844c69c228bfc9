//! What each broker can do: the guide's table says what the adapters say, and what a relay
//! or a suite relies on agrees with it.

use std::time::Duration;

use integration_automation_patterns::broker::{
    Broker, Capabilities, DeliveryOrder, RetryWait, in_process,
};

const GUIDE: &str = include_str!("../../src/guide/brokers.md");

/// A number as the guide writes it, with commas.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The row of the guide's table.
fn row(broker: &str, can: Capabilities) -> String {
    let unknown = || "not known".to_owned();
    let size = can.max_message_size.map_or_else(unknown, grouped);
    let window = can.duplicate_window.map_or_else(unknown, |window| match window {
        Duration::ZERO => "never".to_owned(),
        window => format!("{} s", window.as_secs()),
    });
    let order = can.order.map_or_else(unknown, |order| {
        let order = match order {
            DeliveryOrder::Unordered => "none",
            DeliveryOrder::ByKey => "by key",
            DeliveryOrder::Whole => "whole",
        };
        order.to_owned()
    });
    let marks = can
        .marks_redeliveries
        .map_or_else(unknown, |marks| if marks { "yes" } else { "no" }.to_owned());
    let waits = can.retry_waits_at.map_or_else(unknown, |place| {
        let place = match place {
            RetryWait::Broker => "the broker",
            RetryWait::Consumer => "the consumer",
            RetryWait::Sender => "the sender",
        };
        place.to_owned()
    });
    format!("| {broker} | {size} | {window} | {order} | {marks} | {waits} |")
}

fn is_in_the_guide(broker: &str, of: &impl Broker) {
    let row = row(broker, of.capabilities());
    assert!(GUIDE.lines().any(|line| line == row), "the guide has no row\n{row}");
}

#[test]
fn the_guides_table_says_what_the_adapters_say() {
    is_in_the_guide("in the process", &in_process(1).0);
    #[cfg(feature = "nats")]
    {
        use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
        let nats = Nats::new("127.0.0.1", NatsConfig::new("crm")).unwrap();
        is_in_the_guide("NATS", &nats);
    }
    #[cfg(feature = "amqp")]
    {
        use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
        let rabbitmq = Amqp::new("amqp://127.0.0.1", AmqpConfig::new("crm")).unwrap();
        is_in_the_guide("RabbitMQ", &rabbitmq);
    }
    #[cfg(feature = "amqp1")]
    {
        use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
        let orders = Amqp1Config::queue("orders");
        is_in_the_guide("AMQP 1.0", &Amqp1::new("amqp://127.0.0.1", orders).unwrap());
    }
    #[cfg(feature = "kafka")]
    {
        use integration_automation_patterns::broker::kafka::{Kafka, KafkaConfig};
        let kafka = Kafka::new("127.0.0.1:9092", KafkaConfig::new("crm")).unwrap();
        is_in_the_guide("Kafka", &kafka);
    }
    #[cfg(feature = "pubsub")]
    {
        use integration_automation_patterns::broker::pubsub::{PubSub, PubSubConfig};
        let (topic, config) = ("projects/shop/topics/orders", PubSubConfig::default());
        let orders = PubSub::at_emulator("127.0.0.1:8085", topic, config).unwrap();
        is_in_the_guide("Pub/Sub", &orders);
    }
    #[cfg(feature = "sqs")]
    {
        let queue = |name| crate::sqs::at_aws(name);
        is_in_the_guide("SQS, standard", &queue("orders"));
        is_in_the_guide("SQS, FIFO", &queue("orders.fifo"));
    }
    #[cfg(feature = "webhook")]
    {
        use integration_automation_patterns::broker::webhook::{Webhook, WebhookConfig};
        let config = WebhookConfig::unsigned();
        let webhook = Webhook::new("https://example.com/", config).unwrap();
        is_in_the_guide("a webhook", &webhook);
    }
}

/// A program that chooses its broker at run time sees the same.
#[test]
fn a_broker_that_is_chosen_at_run_time_says_the_same() {
    use integration_automation_patterns::broker::AnyBroker;
    let broker = in_process(1).0;
    let erased = AnyBroker::new(broker.clone());
    assert_eq!(erased.capabilities(), broker.capabilities());
    assert_ne!(erased.capabilities(), Capabilities::UNKNOWN);
}
