//! What no real cluster can be made to do, on the mock cluster of the client: to answer a
//! batch with an error of the test's choice.

use std::time::Duration;

use futures_util::future::join_all;
use integration_automation_patterns::broker::kafka::{Kafka, KafkaConfig};
use integration_automation_patterns::broker::{Broker as _, BrokerErrorKind};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::cluster::event;
use crate::suite::{in_time, refusal};

/// What the cluster says of a batch in which it does not take one event or another.
const OF_A_BATCH: [RDKafkaRespErr; 4] = [
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
];

/// A mock that answers so many batches with the error.
fn answering(
    error: RDKafkaRespErr,
    times: usize,
) -> (MockCluster<'static, DefaultProducerContext>, Kafka) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("crm", 1, 1).unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &vec![error; times]);
    let kafka =
        Kafka::new(&cluster.bootstrap_servers(), KafkaConfig::new("crm")).unwrap();
    (cluster, kafka)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_batch_is_no_answer_to_the_events_in_it() {
    in_time(async {
        for error in OF_A_BATCH {
            let (_cluster, kafka) = answering(error, 1);
            let events: Vec<_> =
                (0..20).map(|number| event(&number.to_string(), "")).collect();
            for sent in join_all(events.iter().map(|event| kafka.send(event))).await {
                sent.unwrap_or_else(|refused| panic!("{error:?}: {refused}"));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_an_event_that_was_alone_is_its_own_and_one_to_all_spends_no_attempt()
 {
    in_time(async {
        let cases = [
            (
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD,
                BrokerErrorKind::Permanent,
            ),
            (
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                BrokerErrorKind::Permanent,
            ),
            (
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
                BrokerErrorKind::Unavailable,
            ),
            (
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                BrokerErrorKind::Unavailable,
            ),
        ];
        for (error, wanted) in cases {
            let (_cluster, kafka) = answering(error, 2);
            let sent = kafka.send(&event("1", "")).await;
            assert_eq!(refusal(&sent), Some(wanted), "{error:?}: {sent:?}");
        }
    })
    .await;
}

/// A batch that is refused at the last moment, and a cluster that is silent then: the
/// send has an end all the same, before a relay gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_batch_is_refused_late_takes_no_second_time_for_an_answer() {
    in_time(async {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("crm", 1, 1).unwrap();
        let config = KafkaConfig::new("crm")
            .connect_timeout(Duration::from_secs(1))
            .request_timeout(Duration::from_secs(6));
        let kafka = Kafka::new(&cluster.bootstrap_servers(), config).unwrap();
        kafka.send(&event("connected", "")).await.unwrap();
        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD],
        );
        cluster.broker_round_trip_time(1, Duration::from_secs(5)).unwrap();
        let began = std::time::Instant::now();
        let sent = kafka.send(&event("1", "")).await;
        assert_eq!(refusal(&sent), Some(BrokerErrorKind::Transient), "{sent:?}");
        assert!(
            sent.unwrap_err().reason().contains("its batch was refused"),
            "or the test shows nothing"
        );
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}, and 7 s were promised",
            began.elapsed()
        );
    })
    .await;
}
