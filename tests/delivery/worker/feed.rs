//! A broker's end that delivers what a test says, and remembers how it was answered.

use std::time::Duration;

use integration_automation_patterns::Envelope;
use integration_automation_patterns::broker::{Ack, BrokerError, Consumer, Delivery};
use integration_automation_patterns::state::Pending;
use tokio::sync::{mpsc, watch};

use super::until;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    Ack(String),
    Nack(String, Duration),
    /// It was dropped without an answer, and comes again with a real broker.
    Dropped(String),
}

type Next = Result<(Envelope<Pending>, bool), BrokerError>;

/// The broker's side.
pub(super) struct Feed {
    next: mpsc::UnboundedSender<Next>,
    told: watch::Sender<Vec<Told>>,
}

/// The consumer's side.
pub(super) struct Fed {
    next: mpsc::UnboundedReceiver<Next>,
    told: watch::Sender<Vec<Told>>,
    hangs: bool,
    ack_wait: Option<Duration>,
}

pub(super) fn feed() -> (Feed, Fed) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let told = watch::Sender::new(Vec::new());
    let fed = Fed { next: receiver, told: told.clone(), hangs: false, ack_wait: None };
    (Feed { next: sender, told }, fed)
}

impl Feed {
    pub(super) fn deliver(&self, event: Envelope<Pending>) {
        self.deliver_as(false, event);
    }

    /// A delivery that may be a redelivery, or is the first.
    pub(super) fn deliver_as(&self, again: bool, event: Envelope<Pending>) {
        self.next.send(Ok((event, again))).expect("a worker listens");
    }

    pub(super) fn deliver_again(&self, event: Envelope<Pending>) {
        self.deliver_as(true, event);
    }

    pub(super) fn fail(&self, reason: &str) {
        self.next.send(Err(BrokerError::unreachable(reason))).expect("a worker listens");
    }

    /// How it was answered, when it was answered so often.
    pub(super) async fn told(&self, answers: usize) -> Vec<Told> {
        until(&self.told, |told| told.len() >= answers).await
    }
}

impl Fed {
    /// The same, whose answers never arrive.
    pub(super) fn without_answers(self) -> Self {
        Self { hangs: true, ..self }
    }

    /// The same, which waits no longer for an answer.
    pub(super) fn with_ack_wait(self, ack_wait: Duration) -> Self {
        Self { ack_wait: Some(ack_wait), ..self }
    }
}

impl Consumer for Fed {
    type Acker = Answer;

    fn ack_wait(&self) -> Option<Duration> {
        self.ack_wait
    }

    async fn next(&mut self) -> Result<Option<Delivery<Answer>>, BrokerError> {
        let Some(next) = self.next.recv().await else { return Ok(None) };
        let (event, redelivered) = next?;
        let answer = Answer {
            id: Some(event.id().to_string()),
            told: self.told.clone(),
            hangs: self.hangs,
        };
        Ok(Some(Delivery::new(event, answer).redelivered(redelivered)))
    }
}

/// The answer to a delivery.
pub(super) struct Answer {
    id: Option<String>,
    told: watch::Sender<Vec<Told>>,
    hangs: bool,
}

impl Answer {
    async fn say(mut self, said: impl FnOnce(String) -> Told) {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let id = self.id.take().expect("it is answered once");
        self.told.send_modify(|told| told.push(said(id)));
    }
}

impl Ack for Answer {
    async fn ack(self) -> Result<(), BrokerError> {
        self.say(Told::Ack).await;
        Ok(())
    }

    async fn nack(self, after: Duration) -> Result<(), BrokerError> {
        self.say(|id| Told::Nack(id, after)).await;
        Ok(())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.told.send_modify(|told| told.push(Told::Dropped(id)));
        }
    }
}
