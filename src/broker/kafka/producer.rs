//! A producer of the client, and that its end blocks nobody.

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::FutureProducer;

use super::blocking::aside;
use super::client::Context;

/// A producer that is dropped in a thread of its own: it waits for its threads, which
/// would block the runtime.
pub(super) struct Producer(Option<FutureProducer<Context>>);

impl Producer {
    pub(super) fn new(
        client_config: &ClientConfig,
        context: Context,
    ) -> Result<Self, KafkaError> {
        Ok(Self(Some(client_config.create_with_context(context)?)))
    }

    pub(super) fn get(&self) -> Result<&FutureProducer<Context>, KafkaError> {
        self.0.as_ref().ok_or(KafkaError::Canceled)
    }

    /// The same producer, for another thread.
    pub(super) fn share(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let producer = self.0.take();
        aside(move || drop(producer));
    }
}
