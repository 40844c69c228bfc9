//! What no real cluster can be made to do, on the mock cluster of the client: to answer a send with an error of the test's choice.

use std::time::Duration;

use integration_automation_patterns::broker::kafka::{Kafka, Settings};
use integration_automation_patterns::broker::{Broker, SendErrorKind};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::cluster::event;
use crate::suite::{in_time, refusal};

/// The mock answers so many requests to store a batch with the error.
fn refusing(error: RDKafkaRespErr, times: usize) -> (MockCluster<'static, DefaultProducerContext>, Kafka) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("crm", 1, 1).unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &vec![error; times]);
    let kafka = Kafka::new(&cluster.bootstrap_servers(), Settings::new("crm")).unwrap();
    (cluster, kafka)
}
