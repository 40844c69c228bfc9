//! Topics and subscriptions, created where they are missing.

use std::time::Duration;

use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Code;
use tokio::time::timeout;

use super::Inner;
use super::verdict;
use crate::broker::BrokerError;
use crate::reason::reason;

/// The deadline of a subscription's own, which listeners replace.
const ACK_DEADLINE: i32 = 60;

impl Inner {
    pub(super) async fn create_topic(&self) -> Result<(), BrokerError> {
        let topic = &self.topic;
        let about = format!("the topic {}", topic.id);
        let create = async {
            let admin = self.server.topics().await.map_err(unbuilt)?;
            let made = admin.create_topic().set_name(&topic.full_name).send().await;
            made.map(drop).or_else(|error| is_there(&about, &error))
        };
        in_time(&about, self.server.within, create).await
    }

    pub(super) async fn create_subscription(
        &self,
        name: &str,
    ) -> Result<(), BrokerError> {
        let name = self.topic.subscription(name);
        let name = name.map_err(|refused| BrokerError::permanent(refused.to_string()))?;
        let about = format!("the subscription {name}");
        let create = async {
            let admin = self.server.subscriptions().await.map_err(unbuilt)?;
            let request = admin.create_subscription().set_name(&name);
            let request = request
                .set_topic(&self.topic.full_name)
                .set_ack_deadline_seconds(ACK_DEADLINE)
                .set_enable_message_ordering(true);
            request.send().await.map(drop).or_else(|error| is_there(&about, &error))
        };
        in_time(&about, self.server.within, create).await
    }
}

async fn in_time(
    about: &str,
    within: Duration,
    create: impl Future<Output = Result<(), BrokerError>>,
) -> Result<(), BrokerError> {
    let silence =
        || BrokerError::unreachable(format!("{about}: no answer within {within:?}"));
    timeout(within, create).await.unwrap_or_else(|_| Err(silence()))
}

fn is_there(about: &str, error: &Error) -> Result<(), BrokerError> {
    let code = error.status().map(|status| status.code);
    if code == Some(Code::AlreadyExists) {
        return Ok(());
    }
    Err(verdict::of(about, error))
}

fn unbuilt(error: google_cloud_gax::client_builder::Error) -> BrokerError {
    BrokerError::unreachable(reason(&error))
}
