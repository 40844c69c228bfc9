//! On every database and broker the orders end as they do on files within the process.

use std::process::Stdio;

use crate::place::{Place, ends, printed, program};

/// Protects the account and the story of each order: killed or not, a second run finds
/// nothing to do and says the same.
#[test]
fn run_again_it_says_the_same() {
    let place = Place::files("again");
    let first = place.run(&[]);
    assert_eq!(ends(&first).len(), 25, "{first}");
    let again = place.run(&[]);
    assert!(again.contains("0 orders begin, 24 were there before"), "{again}");
    assert_eq!(ends(&again), ends(&first));
}

/// The addresses of the brokers whose features are on.
#[allow(clippy::vec_init_then_push, reason = "each push has a feature of its own")]
fn brokers() -> Vec<String> {
    #[allow(unused_mut, reason = "where no feature of a broker is on")]
    let mut brokers = vec![];
    #[cfg(feature = "webhook")]
    brokers.push("webhook://127.0.0.1".to_owned());
    #[cfg(feature = "nats")]
    brokers.push(format!("nats://127.0.0.1:{}", crate::servers::nats()));
    #[cfg(feature = "amqp")]
    brokers.push(format!("amqp://127.0.0.1:{}", crate::servers::rabbitmq()));
    #[cfg(feature = "amqp1")]
    brokers.push(format!(
        "amqp1://app:s3cr3t%2Fp%40ss%3Aword@127.0.0.1:{}",
        crate::servers::artemis()[0]
    ));
    #[cfg(feature = "kafka")]
    brokers.push(format!("kafka://127.0.0.1:{}", crate::servers::kafka()));
    #[cfg(feature = "pubsub")]
    brokers.push(format!("pubsub://127.0.0.1:{}/otc", crate::servers::pubsub()));
    #[cfg(feature = "sqs")]
    brokers.push(format!("sqs://127.0.0.1:{}", crate::servers::sqs()));
    brokers
}

/// Protects a workflow from a database or a broker on which it ends in another way.
#[test]
#[ignore = "needs PostgreSQL and the brokers"]
fn on_every_database_and_broker_the_orders_end_the_same() {
    let id = std::process::id();
    let wanted = program().args(["--hour", "20"]).stdout(Stdio::piped()).spawn();
    let mut runs = vec![];
    for (number, broker) in brokers().iter().enumerate() {
        let place = Place::files(&format!("broker-{number}"));
        let name = format!("otc_{id}_{number}");
        let mut command =
            place.command(&["--broker", broker, "--name", &name, "--hour", "20"]);
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        runs.push((broker.clone(), place, run.expect("the example is built")));
    }
    #[cfg(feature = "postgres")]
    for broker in [None, brokers().get(1)] {
        let place = Place::schemas(if broker.is_some() { "broker" } else { "process" });
        let mut command = place.command(&["--hour", "20"]);
        if let Some(broker) = broker {
            command.args(["--broker", broker]);
        }
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let name = format!("PostgreSQL with {broker:?}");
        runs.push((name, place, run.expect("the example is built")));
    }
    let wanted = wanted.expect("the example is built").wait_with_output();
    let wanted = ends(&printed(wanted.expect("it ends")));
    assert_eq!(wanted.len(), 25);
    for (name, _place, run) in runs {
        let output = run.wait_with_output().expect("it ends");
        assert_eq!(ends(&printed(output)), wanted, "{name}");
    }
}
