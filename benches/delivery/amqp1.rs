//! Sends to a broker of AMQP 1.0 and deliveries from it, at ActiveMQ Artemis, beside the
//! bare loops of the client.

use std::time::{Duration, Instant};

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Body, Data, Header, Message, Source, Target,
};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue, Symbol, Value};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
use integration_automation_patterns::broker::{
    Broker as _, BrokerError, Consumer, Delivery,
};
use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::{Envelope, EventId, RetryPolicy, state};
use tokio::net::TcpStream;

use super::sqlite::{begin, connect, fresh};
use super::{Amount, Outcome, event, ratio, servers};

/// How many are on their way at once.
const IN_FLIGHT: usize = 100;

pub(super) async fn measure(amount: Amount) -> Outcome {
    let port = servers::artemis()[0];
    let url = format!("amqp://app:s3cr3t%2Fp%40ss%3Aword@127.0.0.1:{port}");
    let name = format!("bench.{}", EventId::generate());
    let queue = Amqp1::new(&url, Amqp1Config::queue(&name))?;
    let mut bare = Bare::connect(port, &format!("{name}.bare")).await?;
    let (pairs, events) = (amount.pairs / 15, 1_000);
    let fresh = || (0..events).map(|_| event().dispatch()).collect::<Vec<_>>();
    // Each side has a queue of its own, and takes from it what it has sent.
    let by_us = async || send(&queue, &fresh()).await;
    let sent = ratio(pairs, by_us, async || bare.send(&fresh()).await).await?;
    println!(
        "| AMQP 1.0: events per second sent with {IN_FLIGHT} in flight, beside the bare \
         client | {sent:.2} | at least 0.7 |"
    );
    let by_us = async || consume(&queue, &name, events).await;
    let pairs_taken = pairs / 3;
    for (statements, reach) in [
        (Statements::Effect, "at least 0.7"),
        (Statements::AttemptAndEffect, "at least 0.75"),
    ] {
        let bare = async || bare.consume(events, statements).await;
        let taken = ratio(pairs_taken, &by_us, bare).await?;
        let beside = statements.name();
        println!(
            "| AMQP 1.0: events per second into a SQLite inbox, beside the bare client \
             and {beside} | {taken:.2} | {reach} |"
        );
    }
    for _ in 0..=pairs_taken {
        send(&queue, &fresh()).await?;
        bare.send(&fresh()).await?;
    }
    let by_us = async || work(&queue, &name, events).await;
    let bare_loop = async || bare.consume(events, Statements::Effect).await;
    let taken = ratio(pairs_taken, by_us, bare_loop).await?;
    println!(
        "| AMQP 1.0: events per second through a worker into a SQLite inbox, beside the \
         bare client and the bare statement | {taken:.2} | at least 0.7 |"
    );
    let left = events * (pairs - 1 - 2 * pairs_taken);
    consume(&queue, &name, left).await?;
    bare.consume(left, Statements::Effect).await?;
    Ok(())
}

/// Sends each event, as many at once as may be on their way.
async fn send(
    queue: &Amqp1,
    events: &[Envelope<state::Dispatched>],
) -> Outcome<Duration> {
    let (start, mut on_their_way) = (Instant::now(), FuturesUnordered::new());
    for event in events {
        on_their_way.push(queue.send(event));
        if on_their_way.len() >= IN_FLIGHT {
            on_their_way.next().await.transpose()?;
        }
    }
    while on_their_way.next().await.transpose()?.is_some() {}
    Ok(start.elapsed())
}

/// Handles as many events as there are, each in a transaction of its own.
async fn consume(queue: &Amqp1, name: &str, events: usize) -> Outcome<Duration> {
    let mut erp = connect(&fresh("amqp1")?)?;
    inbox::install(&mut erp)?;
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
    let mut listener = queue.listen(name)?;
    let (start, mut acks) = (Instant::now(), FuturesUnordered::new());
    for _ in 0..events {
        let delivery = listener.next().await?.ok_or("a delivery")?;
        let handled = inbox::process(&mut erp, delivery, &config, |_, _| Ok(()))?;
        acks.push(handled.settle());
        while acks.len() >= IN_FLIGHT {
            acks.next().await.transpose()?;
        }
    }
    while acks.next().await.transpose()?.is_some() {}
    Ok(start.elapsed())
}

/// Handles as many events as there are through a worker.
async fn work(queue: &Amqp1, name: &str, events: usize) -> Outcome<Duration> {
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let worker = inbox::Worker::open(
        fresh("amqp1-worker")?,
        InboxConfig::new(week, RetryPolicy::DEFAULT)?,
        First { consumer: queue.listen(name)?, left: events },
        inbox::handlers().otherwise(|_, _| Ok(())),
        WorkerConfig::default(),
    )?;
    let start = Instant::now();
    let summary = worker.run(std::future::pending::<()>()).await;
    assert_eq!(summary.processed, u64::try_from(events)?);
    Ok(start.elapsed())
}

/// The first deliveries of a consumer, which then ends.
struct First<C> {
    consumer: C,
    left: usize,
}

impl<C: Consumer> Consumer for First<C> {
    type Acker = C::Acker;

    fn ack_wait(&self) -> Option<Duration> {
        self.consumer.ack_wait()
    }

    async fn next(&mut self) -> Result<Option<Delivery<C::Acker>>, BrokerError> {
        if self.left == 0 {
            return Ok(None);
        }
        let next = self.consumer.next().await?;
        self.left -= 1;
        Ok(next)
    }
}

/// What the bare loop writes of each event.
#[derive(Clone, Copy)]
enum Statements {
    /// Its id and its body, in one transaction.
    Effect,
    /// Before that, in a transaction of its own, that an attempt has begun: as the inbox
    /// does of what may be delivered again, and of this protocol that is everything.
    AttemptAndEffect,
}

impl Statements {
    const fn name(self) -> &'static str {
        match self {
            Self::Effect => "the bare statement",
            Self::AttemptAndEffect => "the bare statements that count each attempt ahead",
        }
    }

    fn run(self, erp: &mut rusqlite::Connection, id: &str, body: &[u8]) -> Outcome {
        if matches!(self, Self::AttemptAndEffect) {
            let transaction = begin(erp)?;
            let attempt = "INSERT INTO seen (id, attempts) VALUES (?1, 1) \
                           ON CONFLICT DO UPDATE SET attempts = attempts + 1";
            transaction.execute(attempt, [id])?;
            transaction.commit()?;
        }
        let transaction = begin(erp)?;
        let effect = "INSERT INTO seen (id, body) VALUES (?1, ?2) \
                      ON CONFLICT DO UPDATE SET body = ?2";
        transaction.execute(effect, (id, body))?;
        transaction.commit()?;
        Ok(())
    }
}

/// The client alone.
struct Bare {
    port: u16,
    queue: String,
    sender: Sender,
    _connection: Client,
}

/// A connection with its session.
type Client = (SessionHandle<()>, ConnectionHandle<()>);

async fn client(port: u16) -> Outcome<Client> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let login = SaslProfile::Plain {
        username: "app".to_owned(),
        password: "s3cr3t/p@ss:word".to_owned(),
    };
    let mut connection = Connection::builder()
        .container_id(EventId::generate().to_string())
        .hostname("127.0.0.1")
        .sasl_profile(login)
        .open_with_stream(stream)
        .await?;
    Ok((Session::begin(&mut connection).await?, connection))
}

fn as_queue() -> Vec<Symbol> {
    vec![Symbol::from("queue")]
}

impl Bare {
    async fn connect(port: u16, queue: &str) -> Outcome<Self> {
        let mut connection = client(port).await?;
        let target = Target::builder().address(queue).capabilities(as_queue());
        let sender = Sender::builder()
            .name("bare sender")
            .target(target.build())
            .attach(&mut connection.0)
            .await?;
        Ok(Self { port, queue: queue.to_owned(), sender, _connection: connection })
    }

    async fn send(
        &mut self,
        events: &[Envelope<state::Dispatched>],
    ) -> Outcome<Duration> {
        let (start, mut on_their_way) = (Instant::now(), FuturesUnordered::new());
        for event in events {
            on_their_way.push(self.sender.send_batchable(message(event)).await?);
            if on_their_way.len() >= IN_FLIGHT {
                on_their_way.next().await.transpose()?;
            }
        }
        while on_their_way.next().await.transpose()?.is_some() {}
        Ok(start.elapsed())
    }

    async fn consume(
        &mut self,
        events: usize,
        statements: Statements,
    ) -> Outcome<Duration> {
        let mut erp = connect(&fresh("amqp1-bare")?)?;
        erp.execute_batch(
            "CREATE TABLE seen (id TEXT PRIMARY KEY, attempts INTEGER, body BLOB)",
        )?;
        let start = Instant::now();
        let (mut session, _connection) = client(self.port).await?;
        let source = Source::builder().address(&*self.queue).capabilities(as_queue());
        let mut receiver = Receiver::builder()
            .name("bare receiver")
            .source(source.build())
            .credit_mode(CreditMode::Auto(IN_FLIGHT as u32))
            .attach(&mut session)
            .await?;
        for _ in 0..events {
            let delivery = receiver.recv::<Body<Value>>().await?;
            let message = delivery.message();
            let headers = message.application_properties.as_ref().ok_or("headers")?;
            let Some(SimpleValue::String(id)) = headers.0.get("cloudEvents_id") else {
                return Err("an id".into());
            };
            let body = message.body.try_as_data().ok().and_then(|mut data| data.next());
            let body = body.ok_or("a body")?;
            statements.run(&mut erp, id, body.as_slice())?;
            receiver.accept(&delivery).await?;
        }
        let time = start.elapsed();
        receiver.close().await?;
        Ok(time)
    }
}

fn message(event: &Envelope<state::Dispatched>) -> Message<Data> {
    let mut headers = ApplicationProperties::builder();
    for (name, value) in CloudEvent::of(event).headers(Binding::Amqp) {
        headers = headers.insert(name, SimpleValue::String(value.into_owned()));
    }
    Message::builder()
        .header(Header { durable: true, ..Header::default() })
        .application_properties(headers.build())
        .data(Data(Binary::from(event.payload().bytes().to_vec())))
        .build()
}
