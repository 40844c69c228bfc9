//! What each broker can do: the guide's table says what the adapters say, and whether it
//! was seen in a test or only read.

use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::broker::{
    Broker, Capabilities, Consumer, DeliveryOrder, RetryWait, in_process,
};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{AfterFailure, Envelope, RawEvent};

const GUIDE: &str = include_str!("../../src/guide/brokers.md");

/// How a cell of the table is known.
#[derive(Clone, Copy)]
enum Known {
    /// This test has shown it, on a server.
    Seen(&'static str),
    /// The broker's documentation says so.
    Read,
    /// The adapter does not know it.
    Not,
}

use Known::{Not, Read, Seen};

const TOO_LARGE: Known = Seen("what_is_too_large_is_refused_for_good_and_harms_no_other");
const STORED_TWICE: Known = Seen("an_event_that_is_sent_twice_has_one_effect");
const NO_ORDER: Known = Seen("a_worker_keeps_the_order_that_the_broker_does_not");
const REDELIVERED: Known = Seen("what_was_delivered_before_says_so");
const WAITS: Known = Seen("a_retry_waits_where_the_adapter_says");

/// How each row is known, cell by cell.
const ROWS: [(&str, [Known; 5]); 9] = [
    ("NATS", [Not, Not, NO_ORDER, REDELIVERED, WAITS]),
    ("RabbitMQ", [Read, STORED_TWICE, NO_ORDER, REDELIVERED, WAITS]),
    ("AMQP 1.0", [Read, Not, NO_ORDER, REDELIVERED, WAITS]),
    (
        "Kafka",
        [
            TOO_LARGE,
            STORED_TWICE,
            Seen("a_retry_changes_no_order_within_its_partition"),
            REDELIVERED,
            WAITS,
        ],
    ),
    ("SQS, standard", [Read, STORED_TWICE, NO_ORDER, REDELIVERED, WAITS]),
    (
        "SQS, FIFO",
        [Read, Read, Seen("a_retry_changes_no_order_of_a_key"), REDELIVERED, WAITS],
    ),
    ("Pub/Sub", [TOO_LARGE, STORED_TWICE, Not, Not, WAITS]),
    (
        "a webhook",
        [
            Not,
            Not,
            Not,
            Read,
            Seen("what_is_nacked_or_dropped_comes_again_and_says_when"),
        ],
    ),
    ("in the process", [Not, IN_PROCESS, IN_PROCESS, IN_PROCESS, IN_PROCESS]),
];
const IN_PROCESS: Known = Seen("in_the_process_the_sender_sends_again");

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

/// The cells of a row, as far as the adapter knows them.
fn cells(can: Capabilities) -> [Option<String>; 5] {
    let window = can.duplicate_window.map(|window| match window {
        Duration::ZERO => "never".to_owned(),
        window => format!("{} s", window.as_secs()),
    });
    let order = can.order.map(|order| match order {
        DeliveryOrder::Unordered => "none",
        DeliveryOrder::ByKey => "by key",
        DeliveryOrder::Whole => "whole",
    });
    let marks = can.marks_redeliveries.map(|marks| if marks { "yes" } else { "no" });
    let waits = can.retry_waits_at.map(|place| match place {
        RetryWait::Broker => "the broker",
        RetryWait::Consumer => "the consumer",
        RetryWait::Sender => "the sender",
    });
    let owned = |cell: Option<&str>| cell.map(str::to_owned);
    let size = can.max_message_size.map(grouped);
    [size, window, owned(order), owned(marks), owned(waits)]
}

/// The row of the guide's table.
fn row(broker: &str, can: Capabilities) -> String {
    let (_, known) = ROWS.iter().find(|(of, _)| *of == broker).expect("a row");
    let cells = cells(can).into_iter().zip(known).map(|cell| match cell {
        (Some(cell), Seen(_)) => format!("{cell}, seen"),
        (Some(cell), Read) => format!("{cell}, read"),
        (None, Not) => "not known".to_owned(),
        (cell, _) => panic!("{broker} says {cell:?}: is that known?"),
    });
    format!("| {broker} | {} |", cells.collect::<Vec<_>>().join(" | "))
}

fn is_in_the_guide(broker: &str, of: &impl Broker) {
    let row = row(broker, of.capabilities());
    assert!(GUIDE.lines().any(|line| line == row), "the guide has no row\n{row}");
}

/// The sources of the tests, folder by folder.
fn sources(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = entries.map(|path| match path.is_dir() {
        true => sources(&path),
        false => std::fs::read_to_string(path).unwrap(),
    });
    read.collect()
}

/// Nothing counts as seen that no test shows.
#[test]
fn what_was_seen_has_its_test() {
    let tests = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brokers"));
    for (broker, known) in ROWS {
        for cell in known {
            let Seen(test) = cell else { continue };
            let found =
                ["(", "<"].iter().any(|end| tests.contains(&format!("fn {test}{end}")));
            assert!(found, "{broker}: there is no test {test}");
        }
    }
}

/// What is dropped goes back to its sender, who waits and sends it again; others pass it
/// meanwhile.
#[tokio::test]
async fn in_the_process_the_sender_sends_again() {
    let (broker, mut listener) = in_process(1);
    let mut is_redelivered = async |event: &Envelope<Dispatched>| {
        let (answer, redelivered) = tokio::join!(broker.send(event), async {
            let delivery = listener.next().await.unwrap().unwrap();
            assert_eq!(delivery.facts().id(), event.id());
            delivery.is_redelivered()
        });
        assert!(answer.unwrap_err().retry_after().is_some());
        redelivered
    };
    let event = || Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
    let (first, second) = (event().build().unwrap(), event().build().unwrap());
    let first = first.dispatch();
    assert!(!is_redelivered(&first).await);
    assert!(!is_redelivered(&second.dispatch()).await);
    let AfterFailure::Retrying(first) = first.fail("it was dropped") else { panic!() };
    assert!(is_redelivered(&first.dispatch()).await);
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
