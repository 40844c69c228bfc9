//! SQS, also behind SNS: an event is sent when the queue has stored it.
//!
//! An event is a CloudEvent in structured mode: the whole of it is the body, as JSON,
//! since ten attributes are too few for the binary mode. A queue whose name ends in
//! `.fifo` keeps the order of each ordering key, also over retries, and drops for five
//! minutes what it has stored before. The guide's chapter [on SQS](crate::guide::sqs) shows
//! it in use.
//!
//! The client is AWS's own, with the program's configuration of it: credentials, region,
//! endpoint and HTTP client.
//!
//! ```no_run
//! use aws_types::SdkConfig;
//! use integration_automation_patterns::broker::sqs::{Sqs, SqsConfig};
//! use integration_automation_patterns::broker::{Broker, Consumer};
//! use integration_automation_patterns::{Envelope, RawEvent};
//!
//! // As `aws_config::load_from_env` makes it.
//! # async fn run(aws: SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
//! let orders = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo";
//! let sqs = Sqs::new(orders, &aws, SqsConfig::default())?; // connects on first use
//!
//! let lead = RawEvent::new("lead.created", b"{}");
//! let event = Envelope::builder("crm", lead).build()?.dispatch();
//! sqs.send(&event).await?;
//!
//! let mut listener = sqs.listen();
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "lead.created");
//! # Ok(())
//! # }
//! ```

mod acker;
mod buffer;
mod collector;
mod config;
mod hold;
mod listener;
mod polling;
mod queue;
mod reading;
mod sending;
mod settling;
mod verdict;
mod writing;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use aws_types::SdkConfig;

pub use self::acker::Acker;
pub use self::config::SqsConfig;
pub use self::listener::Listener;
use self::queue::Queue;
use self::sending::Sender;
use self::writing::Written;
use super::{Broker, BrokerError, Capabilities, ConfigError, DeliveryOrder, RetryWait};
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

/// How long a FIFO queue knows what it has stored.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(5 * 60);

/// One queue of SQS. A clone shares its connections.
#[derive(Clone)]
pub struct Sqs {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Arc<Queue>,
    config: SqsConfig,
    sender: Sender,
}

impl Sqs {
    /// A queue by its URL, with the program's configuration of AWS. The program's time-outs
    /// and retries do not count here: the relay tries again. Nothing is connected before
    /// it is needed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the URL is none of a queue; where the configuration has no
    /// endpoint, and the URL is not of AWS in its region; where that has no region, no credentials provider or no HTTP
    /// client; and where a setting is none.
    ///
    /// ```
    /// use aws_types::SdkConfig;
    /// use integration_automation_patterns::broker::sqs::{Sqs, SqsConfig};
    ///
    /// let nothing = SdkConfig::builder().build();
    /// let orders = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
    /// let refused = Sqs::new(orders, &nothing, SqsConfig::default()).unwrap_err();
    /// assert_eq!(refused.setting(), "region");
    /// ```
    pub fn new(
        queue_url: &str,
        aws: &SdkConfig,
        config: SqsConfig,
    ) -> Result<Self, ConfigError> {
        let config = config.check()?;
        let queue = Arc::new(Queue::new(queue_url, aws, &config)?);
        let sender = Sender::new(Arc::clone(&queue), config.max_message_size);
        Ok(Self { inner: Arc::new(Inner { queue, config, sender }) })
    }

    /// Creates the queue where it is missing, with AWS's defaults; with a name that ends
    /// in `.fifo`, a FIFO queue. One that is there is left as it is.
    ///
    /// # Errors
    ///
    /// [`BrokerError`], as of a send.
    pub async fn create_queue(&self) -> Result<(), BrokerError> {
        let queue = &self.inner.queue;
        let request = queue.client.create_queue().queue_name(&queue.name);
        let request = match queue.is_fifo {
            true => request.attributes(QueueAttributeName::FifoQueue, "true"),
            false => request,
        };
        let created = request.send().await;
        created.map(drop).map_err(|error| verdict::of_request(queue, &error))
    }

    /// A consumer of the queue. Listeners of one queue share its events; for a second
    /// group of consumers, subscribe a second queue to an SNS topic.
    pub fn listen(&self) -> Listener {
        Listener::new(Arc::clone(&self.inner.queue))
    }
}

impl fmt::Debug for Sqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqs")
            .field("queue", &self.inner.queue.url)
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Broker for Sqs {
    const SYSTEM: &'static str = "aws_sqs";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let Inner { queue, config, sender } = &*self.inner;
        sender.send(Written::of(event, queue, config.max_message_size)?).await
    }

    fn destination(&self, _: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        Some(self.inner.queue.name.as_str().into())
    }

    fn capabilities(&self) -> Capabilities {
        let (duplicate_window, order) = match self.inner.queue.is_fifo {
            true => (DUPLICATE_WINDOW, DeliveryOrder::ByKey),
            false => (Duration::ZERO, DeliveryOrder::Unordered),
        };
        Capabilities {
            max_message_size: Some(self.inner.config.max_message_size),
            duplicate_window: Some(duplicate_window),
            order: Some(order),
            marks_redeliveries: Some(true),
            retry_waits_at: Some(RetryWait::Broker),
        }
    }
}
