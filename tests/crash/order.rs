//! A worker that keeps the order of each key is killed while it holds events that its
//! broker delivered too early.

use std::time::Duration;

use integration_automation_patterns::RetryPolicy;
use integration_automation_patterns::broker::{BrokerError, Consumer, Delivery};
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::worker::{ByKey, WorkerConfig};
use integration_automation_patterns::testing::{FileBroker, FileListener, Random};
use tokio::time::timeout;

use crate::Side;

pub(crate) const ROLE: &str = "ordered";

/// Consumes until the process is killed.
pub(crate) async fn play<S: Side>(side: &S, broker: &FileBroker) {
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let inbox = InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap();
    let order = ByKey::default().hold(8);
    let config = WorkerConfig::default().lanes(1).order(order);
    let seed = u64::from(std::process::id());
    let shuffled = Shuffled {
        inner: broker.listen(),
        waiting: Vec::new(),
        random: Random::new(seed),
    };
    side.work(inbox.retry_policy(crate::poison::policy()), shuffled, config).await;
}

/// A broker that keeps no order: of what waits, any comes next.
struct Shuffled {
    inner: FileListener,
    waiting: Vec<Delivery<<FileListener as Consumer>::Acker>>,
    random: Random,
}

impl Consumer for Shuffled {
    type Acker = <FileListener as Consumer>::Acker;

    async fn next(&mut self) -> Result<Option<Delivery<Self::Acker>>, BrokerError> {
        const MOST: usize = 12;
        while self.waiting.len() < MOST {
            let patience = Duration::from_millis(20);
            match timeout(patience, self.inner.next()).await {
                Ok(next) => self.waiting.extend(next?),
                Err(_) if self.waiting.is_empty() => {}
                Err(_) => break,
            }
        }
        let place = self.random.below(self.waiting.len());
        Ok(Some(self.waiting.swap_remove(place)))
    }
}
