//! The suite on SQS, as ElasticMQ speaks it, with standard queues and FIFO queues; and
//! what is SQS's own.

mod answers;
mod bodies;
mod fake;
mod faults;
mod foreign;
mod groups;
#[cfg(all(feature = "testing", unix))]
mod killed;
mod settings;

use std::net::SocketAddr;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use aws_types::SdkConfig;
use aws_types::region::Region;
use integration_automation_patterns::broker::BrokerErrorKind;
use integration_automation_patterns::broker::sqs::{Acker, Listener, Sqs, SqsConfig};
use uuid::Uuid;

use super::servers;
use super::suite::Server;

/// A program's configuration of AWS, for the server at this address.
fn aws(address: SocketAddr) -> SdkConfig {
    let credentials = Credentials::new("key", "secret", None, None, "tests");
    SdkConfig::builder()
        .region(Region::new("eu-central-1"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// A queue of AWS, with the settings that a program gets where it says nothing.
pub(crate) fn at_aws(name: &str) -> Sqs {
    let url = format!("https://sqs.eu-central-1.amazonaws.com/123456789012/{name}");
    Sqs::new(&url, &aws(local(1)), SqsConfig::default()).unwrap()
}

/// What ElasticMQ takes at the most.
fn config() -> SqsConfig {
    SqsConfig::default().max_message_size(256 * 1024)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A queue of its own for one test.
struct Queue {
    name: String,
    client: Client,
}

impl Queue {
    async fn create(suffix: &str) -> Self {
        let queue = Self::called(format!("test-{}{suffix}", Uuid::now_v7().simple()));
        queue.broker(local(servers::sqs())).create_queue().await.unwrap();
        queue
    }

    fn called(name: String) -> Self {
        Self { name, client: Client::new(&aws_at_home()) }
    }

    fn url(&self) -> String {
        format!("http://{}/000000000000/{}", local(servers::sqs()), self.name)
    }

    fn broker(&self, address: SocketAddr) -> Sqs {
        Sqs::new(&self.url(), &aws(address), config()).unwrap()
    }

    fn listener(&self, address: SocketAddr) -> Listener {
        // The shortest of both: so long is hidden what a lost answer took with it.
        let second = Duration::from_secs(1);
        let listener = self.broker(address).listen().wait_time(second).unwrap();
        listener.visibility_timeout(2 * second).unwrap()
    }

    async fn put(&self, attributes: &[(&str, &str)], body: &str) {
        let mut request =
            self.client.send_message().queue_url(self.url()).message_body(body);
        for (name, value) in attributes {
            let value =
                MessageAttributeValue::builder().data_type("String").string_value(*value);
            request = request.message_attributes(*name, value.build().unwrap());
        }
        if self.name.ends_with(".fifo") {
            // The group of the event 1, so that one comes before the other.
            let id = Uuid::now_v7().to_string();
            request = request.message_group_id("1").message_deduplication_id(id);
        }
        request.send().await.unwrap();
    }

    /// How many messages somebody holds.
    async fn in_flight(&self) -> u64 {
        let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let request = self.client.get_queue_attributes().queue_url(self.url());
        let answer = request.attribute_names(name.clone()).send().await.unwrap();
        answer.attributes.unwrap()[&name].parse().unwrap()
    }

    async fn delete(&self) {
        self.client.delete_queue().queue_url(self.url()).send().await.unwrap();
    }
}

fn aws_at_home() -> SdkConfig {
    let behavior = aws_sdk_sqs::config::BehaviorVersion::latest();
    aws(local(servers::sqs())).into_builder().behavior_version(behavior).build()
}

/// The suite on one kind of queue.
macro_rules! server {
    ($kind:ident, $suffix:literal) => {
        struct $kind(Queue);

        impl Server for $kind {
            type Broker = Sqs;
            type Acker = Acker;
            type Consumer = Listener;
            const TOO_LARGE: usize = 256 * 1024;
            const NO_EVENT: &[u8] = b"hello"; // a body is a text
            const CLOSED: BrokerErrorKind = BrokerErrorKind::Transient;
            const CUT: usize = 300;

            async fn fresh() -> Self {
                Self(Queue::create($suffix).await)
            }

            fn address(&self) -> SocketAddr {
                local(servers::sqs())
            }

            fn broker(&self, address: SocketAddr) -> Sqs {
                self.0.broker(address)
            }

            async fn consumer_at(&self, address: SocketAddr) -> Listener {
                self.0.listener(address)
            }

            async fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) {
                self.0.put(headers, str::from_utf8(body).unwrap()).await;
            }

            fn header(attribute: &str) -> String {
                format!("ce-{attribute}")
            }

            fn place(&self) -> [String; 2] {
                [format!("sqs://{}", self.address()), self.0.name.clone()]
            }

            async fn remove(self) {
                self.0.delete().await;
            }
        }
    };
}

mod standard {
    use super::*;

    server!(Standard, "");
    crate::suite_on!(Standard, #[ignore = "needs SQS"]);
    crate::suite_on!(counted Standard, #[ignore = "needs SQS"]);
    crate::suite_on!(unordered Standard, #[ignore = "needs SQS"]);
    crate::suite_on!(lossy Standard, #[ignore = "needs SQS"]);
    #[cfg(feature = "postgres")]
    crate::suite_on!(postgres Standard, #[ignore = "needs SQS and PostgreSQL"]);
    #[cfg(feature = "postgres")]
    crate::suite_on!(postgres lossy Standard, #[ignore = "needs SQS and PostgreSQL"]);
}

mod fifo {
    use super::*;

    server!(Fifo, ".fifo");
    crate::suite_on!(Fifo, #[ignore = "needs SQS"]);
    crate::suite_on!(counted Fifo, #[ignore = "needs SQS"]);
    crate::suite_on!(lossy Fifo, #[ignore = "needs SQS"]);
}
