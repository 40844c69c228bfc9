//! What a program declares: an exchange and a queue, made where they are missing, and
//! left as they are where they are there.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{ExchangeKind, Queue};

use super::connection::Line;
use super::refusal::Unanswered;

/// With another one, events would be lost, or come to no queue.
const OF_AN_EXCHANGE: [&str; 2] = ["type", "durable"];
const OF_A_QUEUE: [&str; 2] = ["durable", "auto_delete"];

/// Each question has a channel of its own: a refusal ends it, and harms nothing else.
pub(super) struct Declaration {
    exchange: ShortString,
    line: Line,
}

impl Declaration {
    pub(super) const fn new(exchange: ShortString, line: Line) -> Self {
        Self { exchange, line }
    }

    pub(super) async fn exchange(&self) -> Result<(), Unanswered> {
        made_or_found(
            &OF_AN_EXCHANGE,
            self.ask_exchange(false).await,
            self.ask_exchange(true),
        )
        .await
    }

    pub(super) async fn queue(
        &self,
        queue: ShortString,
        patterns: Vec<ShortString>,
    ) -> Result<(), Unanswered> {
        made_or_found(
            &OF_A_QUEUE,
            self.ask_queue(&queue, false).await,
            self.ask_queue(&queue, true),
        )
        .await?;
        let channel = self.line.channel().await?;
        for pattern in patterns {
            let (queue, exchange) = (queue.clone(), self.exchange.clone());
            let bind = channel.queue_bind(
                queue,
                exchange,
                pattern,
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            self.line.answer(bind).await?;
        }
        Ok(())
    }

    async fn ask_exchange(&self, passive: bool) -> Result<(), Unanswered> {
        let options = ExchangeDeclareOptions {
            durable: true,
            passive,
            ..ExchangeDeclareOptions::default()
        };
        let (name, none) = (self.exchange.clone(), FieldTable::default());
        let channel = self.line.channel().await?;
        self.line
            .answer(channel.exchange_declare(name, ExchangeKind::Topic, options, none))
            .await
    }

    async fn ask_queue(
        &self,
        queue: &ShortString,
        passive: bool,
    ) -> Result<(), Unanswered> {
        let options = QueueDeclareOptions {
            durable: true,
            passive,
            ..QueueDeclareOptions::default()
        };
        ask_queue(&self.line, queue, options).await.map(drop)
    }
}

/// How many messages a queue has for the next consumer that asks. Nothing is made.
pub(super) async fn ready(line: &Line, queue: &ShortString) -> Result<u32, Unanswered> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    ask_queue(line, queue, options).await.map(|queue| queue.message_count())
}

async fn ask_queue(
    line: &Line,
    queue: &ShortString,
    options: QueueDeclareOptions,
) -> Result<Queue, Unanswered> {
    let channel = line.channel().await?;
    line.answer(channel.queue_declare(queue.clone(), options, FieldTable::default()))
        .await
}

/// Asked for as it is wanted, it is made or compared, and what is there does not change.
/// Asked for passively, the server says only whether it is there, also to whoever may not
/// make it.
async fn made_or_found(
    matters: &[&str],
    made: Result<(), Unanswered>,
    look: impl Future<Output = Result<(), Unanswered>>,
) -> Result<(), Unanswered> {
    let Err(refused) = made else { return Ok(()) };
    match refused.differs() {
        Some(argument) if !matters.contains(&argument) => Ok(()),
        None if refused.is_of_permissions() => look.await.or(Err(refused)),
        _ => Err(refused),
    }
}
