//! The broker in a file, with some events that it holds, and some that it refuses the
//! first time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::broker::{Broker, BrokerError};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::testing::FileBroker;

pub(crate) struct Slow {
    file: FileBroker,
    released: PathBuf,
    refuses: bool,
}

impl Slow {
    /// It holds some events until the test [releases](release) them.
    pub(crate) fn holding(file: FileBroker, folder: &Path) -> Self {
        Self { file, released: folder.join("released"), refuses: false }
    }

    /// It also refuses the first attempt of some.
    pub(crate) fn refusing(self) -> Self {
        Self { refuses: true, ..self }
    }
}

/// The ids of the events for which a test asks, as SQL has a list.
pub(crate) fn ids(events: u32, which: fn(u32) -> bool) -> String {
    let ids: Vec<String> = (0..events)
        .filter(|number| which(*number))
        .map(|number| format!("'change-{number}'"))
        .collect();
    ids.join(", ")
}

/// Whether this event is held: with its ordering key, where it shares one.
pub(crate) fn is_held(number: u32) -> bool {
    number % 7 == 3
}

/// Whether the first attempt of this event is refused.
pub(crate) fn is_refused(number: u32) -> bool {
    number % 5 == 2 || is_patient(number)
}

/// Whether this event is one that a test gives half an hour between two attempts. It has
/// a key of its own.
pub(crate) fn is_patient(number: u32) -> bool {
    number % 30 == 9
}

/// Lets the held events go.
pub(crate) fn release(folder: &Path) {
    std::fs::write(folder.join("released"), "").unwrap();
}

impl Broker for Slow {
    const SYSTEM: &'static str = FileBroker::SYSTEM;

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let number: u32 =
            event.id().to_string().trim_start_matches("change-").parse().unwrap();
        while is_held(number) && !self.released.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if self.refuses && is_refused(number) && event.attempts() == 1 {
            return Err(BrokerError::transient("busy"));
        }
        self.file.send(event).await
    }
}
