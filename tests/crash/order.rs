//! A worker that keeps the order of each key is killed while it holds events that its
//! broker delivered too early.

use std::time::Duration;

use integration_automation_patterns::RetryPolicy;
use integration_automation_patterns::broker::{BrokerError, Consumer, Delivery};
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::worker::{ByKey, WorkerConfig};
use integration_automation_patterns::testing::{FileBroker, FileListener};
use tokio::time::timeout;

use crate::Side;

pub(crate) const ROLE: &str = "ordered";

/// Consumes until the process is killed.
pub(crate) async fn play<S: Side>(side: &S, broker: &FileBroker) {
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let inbox = InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap();
    let config = WorkerConfig::default().lanes(1).order(ByKey::default());
    let backwards = Backwards { inner: broker.listen(), waiting: Vec::new() };
    side.work(inbox.retry_policy(crate::poison::policy()), backwards, config).await;
}

/// A broker that keeps no order: of what waits, the last comes first.
struct Backwards {
    inner: FileListener,
    waiting: Vec<Delivery<<FileListener as Consumer>::Acker>>,
}

impl Consumer for Backwards {
    type Acker = <FileListener as Consumer>::Acker;

    async fn next(&mut self) -> Result<Option<Delivery<Self::Acker>>, BrokerError> {
        const MOST: usize = 30;
        while self.waiting.len() < MOST {
            let patience = Duration::from_millis(50);
            match timeout(patience, self.inner.next()).await {
                Ok(next) => self.waiting.extend(next?),
                Err(_) if self.waiting.is_empty() => {}
                Err(_) => break,
            }
        }
        Ok(self.waiting.pop())
    }
}
