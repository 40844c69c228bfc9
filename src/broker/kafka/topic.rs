//! The topic itself: whether it takes anything, what it allows, and making it. All by an
//! administrator's client, where the sender's own cannot ask.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::Producer as _;
use tokio::time::timeout;

use super::blocking::aside;
use super::client::Context;
use super::config::KafkaConfig;
use super::producer::Producer;
use super::verdict::{InSync, sick};
use crate::broker::BrokerError;

/// How long the cluster is asked about a topic, beside what is waited for anyhow.
pub(super) const ASK_WITHIN: Duration = Duration::from_millis(500);

/// Why the topic takes nothing, where it does not. Blocks the thread.
pub(super) fn ask(
    producer: &Producer,
    config: &KafkaConfig,
    within: Duration,
    wanted: InSync,
) -> Result<Option<String>, KafkaError> {
    let metadata =
        producer.get()?.client().fetch_metadata(Some(&config.topic), within)?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == config.topic);
    Ok(topic.map_or_else(|| Some(UNKNOWN.to_owned()), |topic| sick(topic, wanted)))
}

/// What is said of a topic that is not among those which the cluster tells of.
const UNKNOWN: &str = "the cluster does not know it";

/// The partitions of a topic; or why nothing can be known of them. Blocks the thread.
pub(super) fn partitions<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    within: Duration,
) -> Result<Result<Vec<i32>, String>, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), within)?;
    let Some(topic) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(Err(UNKNOWN.to_owned()));
    };
    Ok(sick(topic, InSync::Any).map_or_else(
        || Ok(topic.partitions().iter().map(MetadataPartition::id).collect()),
        Err,
    ))
}

/// What the topic has set, as far as the program may know it.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) max_message_size: Option<usize>,
    pub(super) min_insync: Option<usize>,
}

/// The client library asks the program for no token where it is an administrator's
/// client.
fn gets_no_token(client_config: &ClientConfig) -> bool {
    client_config.get("sasl.mechanism") == Some("OAUTHBEARER")
}

pub(super) async fn limits(config: &KafkaConfig, client_config: &ClientConfig) -> Limits {
    if gets_no_token(client_config) {
        return Limits::default();
    }
    let Ok(admin) = client_config
        .create_with_context::<_, AdminClient<Context>>(config.context(&Arc::default()))
    else {
        return Limits::default();
    };
    let topic = [ResourceSpecifier::Topic(&config.topic)];
    let options = AdminOptions::new().request_timeout(Some(ASK_WITHIN));
    let asked = timeout(ASK_WITHIN, admin.describe_configs(&topic, &options)).await;
    aside(move || drop(admin));
    let found = asked
        .ok()
        .and_then(Result::ok)
        .and_then(|mut found| found.pop())
        .and_then(Result::ok);
    let number = |name: &str| found.as_ref()?.get(name)?.value.as_ref()?.parse().ok();
    Limits {
        max_message_size: number("max.message.bytes"),
        min_insync: number("min.insync.replicas"),
    }
}

/// Makes the topic; one that is there meanwhile is left as it is.
pub(super) async fn create(
    config: &KafkaConfig,
    client_config: &ClientConfig,
    partitions: u16,
    replicas: u16,
) -> Result<(), BrokerError> {
    let failed = |why: String| {
        BrokerError::unavailable(format!(
            "the topic {} cannot be made: {why}",
            config.topic
        ))
    };
    if gets_no_token(client_config) {
        let no_token = "the client library gives an administrator no token (OAUTHBEARER): let the topic be made by its operator";
        return Err(failed(no_token.to_owned()));
    }
    let admin: AdminClient<Context> = client_config
        .create_with_context(config.context(&Arc::default()))
        .map_err(|error| failed(error.to_string()))?;
    let new = NewTopic::new(
        &config.topic,
        partitions.into(),
        TopicReplication::Fixed(replicas.into()),
    );
    let options = AdminOptions::new().request_timeout(Some(config.request_timeout));
    let made =
        timeout(config.request_timeout, admin.create_topics([&new], &options)).await;
    aside(move || drop(admin));
    let made = made
        .map_err(|_| failed(format!("no answer within {:?}", config.request_timeout)))?;
    match made.map_err(|error| failed(error.to_string()))?.pop() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            Err(failed(code.to_string()))
        }
        _ => Ok(()),
    }
}
