//! How far a consumer is behind, as its broker says. It is only asked: nothing is made,
//! taken or joined there.

use integration_automation_patterns::broker::Lag;
#[cfg(any(feature = "amqp", feature = "kafka", feature = "nats", feature = "sqs"))]
use integration_automation_patterns::broker::{self, Consumer};

#[cfg(feature = "sqs")]
#[path = "../support/aws.rs"]
mod aws;

use crate::reason::chain;

/// Where a consumer reads. An address may hold a password, so no error repeats it.
pub(crate) enum Place {
    #[cfg(feature = "amqp")]
    Amqp { url: String, queue: String },
    #[cfg(feature = "kafka")]
    Kafka { url: String, topic: String, group: String },
    #[cfg(feature = "nats")]
    Nats { url: String, stream: String, consumer: String },
    #[cfg(feature = "sqs")]
    Sqs { host: String, queue: String },
}

impl Place {
    /// Of a broker's address, and what is read there.
    pub(crate) fn new(url: String, from: &str) -> Result<Self, String> {
        match url.split_once("://").map_or("", |(scheme, _)| scheme) {
            #[cfg(feature = "amqp")]
            "amqp" | "amqps" => Ok(Self::Amqp { url, queue: from.to_owned() }),
            #[cfg(feature = "kafka")]
            "kafka" => both(from, "TOPIC/GROUP").map(|(topic, group)| Self::Kafka {
                url,
                topic,
                group,
            }),
            #[cfg(feature = "nats")]
            "nats" | "tls" => both(from, "STREAM/CONSUMER")
                .map(|(stream, consumer)| Self::Nats { url, stream, consumer }),
            #[cfg(feature = "sqs")]
            "sqs" => Ok(Self::Sqs {
                host: url.trim_start_matches("sqs://").to_owned(),
                queue: from.to_owned(),
            }),
            found => Err(format!(
                "wanted nats://..., amqp://..., kafka://... or sqs://... as the broker of {from:?}, and the program built with the feature \
                 of that name; found the scheme {found:?}"
            )),
        }
    }

    pub(crate) async fn lag(&self) -> Result<Vec<Lag>, String> {
        self.ask().await.map_err(|error| format!("the broker: {}", chain(&*error)))
    }

    async fn ask(&self) -> Result<Vec<Lag>, Box<dyn std::error::Error>> {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp { ref url, ref queue } => {
                use broker::amqp::{Amqp, AmqpConfig};
                // Nothing is sent, and so no exchange is looked at.
                Ok(Amqp::new(url, AmqpConfig::new("none"))?.listen(queue)?.lag().await?)
            }
            #[cfg(feature = "kafka")]
            Self::Kafka { ref url, ref topic, ref group } => {
                use broker::kafka::{Kafka, KafkaConfig};
                let servers = url.trim_start_matches("kafka://");
                Ok(Kafka::new(servers, KafkaConfig::new(topic))?
                    .listen(group.as_str())?
                    .lag()
                    .await?)
            }
            #[cfg(feature = "nats")]
            Self::Nats { ref url, ref stream, ref consumer } => {
                use broker::nats::{Nats, NatsConfig};
                Ok(Nats::new(url, NatsConfig::new(stream))?
                    .listen(consumer)?
                    .lag()
                    .await?)
            }
            #[cfg(feature = "sqs")]
            Self::Sqs { ref host, ref queue } => {
                use broker::sqs::{Sqs, SqsConfig};
                let (url, aws) = aws::queue(host, queue);
                Ok(Sqs::new(&url, &aws, SqsConfig::default())?.listen().lag().await?)
            }
        }
    }
}

#[cfg(any(feature = "kafka", feature = "nats"))]
fn both(from: &str, wanted: &str) -> Result<(String, String), String> {
    let both = from.split_once('/').filter(|(of, by)| !of.is_empty() && !by.is_empty());
    let (of, by) =
        both.ok_or_else(|| format!("wanted --from {wanted}, and found {from:?}"))?;
    Ok((of.to_owned(), by.to_owned()))
}
