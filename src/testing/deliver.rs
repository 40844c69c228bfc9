//! Delivering one event to a consumer under test, and what it answers.

use std::time::Duration;

use crate::Envelope;
use crate::broker::{BrokerError, InProcess};
use crate::state::Pending;

/// How a consumer answered a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivered {
    /// What became of the event is stored: it was processed, is a duplicate, or is a dead
    /// letter of the inbox.
    Acked,
    /// The consumer wants the event again, not before this time is over.
    Nacked(Duration),
    /// The delivery was dropped, as by a database error, and comes again.
    Dropped,
}

/// Delivers an event to the consumer at the other end of an [in-process
/// broker](crate::broker::in_process), and waits for the answer. It keeps the event:
/// delivered twice, the second is a duplicate.
///
/// # Errors
///
/// [`BrokerError`] if no consumer listens.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// # use integration_automation_patterns::broker::in_process;
/// # use integration_automation_patterns::inbox::{InboxConfig, sqlite};
/// # use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
/// # use std::time::Duration;
/// use integration_automation_patterns::testing::{Delivered, deliver};
///
/// # let path = std::env::temp_dir().join(format!("deliver-{}.db", std::process::id()));
/// # let mut runtime = tokio::runtime::Builder::new_current_thread();
/// # runtime.enable_time().build()?.block_on(async {
/// # let week = Duration::from_secs(7 * 24 * 60 * 60);
/// # let inbox = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
/// # let handlers = sqlite::handlers().otherwise(|_, _| Ok(()));
/// # let config = Default::default();
/// let (broker, listener) = in_process(1);
/// let worker = sqlite::Worker::open(&path, inbox, listener, handlers, config)?;
/// let running = tokio::spawn(worker.run(std::future::pending::<()>()));
///
/// let lead = RawEvent::new("crm.lead.created", br#"{"name":"Ada"}"#);
/// let event = Envelope::builder("crm", lead).build()?;
/// assert_eq!(deliver(&broker, &event).await?, Delivered::Acked);
/// assert_eq!(deliver(&broker, &event).await?, Delivered::Acked);
/// drop(broker); // ends the worker
/// let summary = running.await?;
/// assert_eq!((summary.processed, summary.duplicates), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # std::fs::remove_file(&path)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn deliver(
    broker: &InProcess,
    event: &Envelope<Pending>,
) -> Result<Delivered, BrokerError> {
    Ok(match broker.hand_over(event, false).await?.await {
        Ok(Ok(())) => Delivered::Acked,
        Ok(Err(asked)) => Delivered::Nacked(asked.retry_after().unwrap_or_default()),
        Err(_) => Delivered::Dropped,
    })
}
