//! A worker is killed while its effect forestalls another event: the effect is had again,
//! and hears the same answer.

use integration_automation_patterns::EventId;
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::testing::FileBroker;

use crate::{Side, inbox_config};

pub(crate) const ROLE: &str = "forestaller";

/// Consumes until the process is killed.
pub(crate) async fn play<S: Side>(side: &S, broker: FileBroker) {
    side.work(inbox_config(), broker.listen(), WorkerConfig::default().lanes(1)).await;
}

/// The event that the effect of this one forestalls, where this process does so. Nobody
/// sends it.
pub(crate) fn undone_by(id: &str) -> Option<EventId> {
    let forestalls = std::env::var(crate::ROLE).is_ok_and(|role| role == ROLE);
    forestalls.then(|| format!("undone-by-{id}").parse().unwrap())
}
