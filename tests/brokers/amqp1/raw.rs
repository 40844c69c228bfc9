//! A client of the protocol alone, for what other programs send, and what only they do.

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Body, Data, Header, Message, MessageId, Properties,
    SerializableBody, Source, Target,
};
use fe2o3_amqp::types::primitives::{Binary, SimpleValue, Symbol, Value};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use tokio::net::TcpStream;
use uuid::Uuid;

pub(super) struct Raw {
    session: SessionHandle<()>,
    _connection: ConnectionHandle<()>,
}

impl Raw {
    pub(super) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut connection = Connection::builder()
            .container_id(Uuid::now_v7().to_string())
            .hostname("127.0.0.1")
            .sasl_profile(SaslProfile::Plain {
                username: "app".to_owned(),
                password: "s3cr3t/p@ss:word".to_owned(),
            })
            .open_with_stream(stream)
            .await
            .unwrap();
        let session = Session::begin(&mut connection).await.unwrap();
        Self { session, _connection: connection }
    }

    pub(super) async fn send<B: SerializableBody>(
        &mut self,
        address: &str,
        message: Message<B>,
    ) {
        let target = Target::builder().address(address).capabilities(queue());
        let mut sender = Sender::builder()
            .name(Uuid::now_v7().to_string())
            .target(target.build())
            .attach(&mut self.session)
            .await
            .unwrap();
        let outcome = sender.send(message).await.unwrap();
        assert!(outcome.is_accepted(), "{outcome:?}");
        // RabbitMQ answers with a detach that closes nothing.
        let _ = sender.close().await;
    }

    /// What is in a queue, taken out, until a second brings no more.
    pub(super) async fn take(&mut self, address: &str) -> Vec<Message<Body<Value>>> {
        let source = Source::builder().address(address).capabilities(queue());
        let mut receiver = Receiver::builder()
            .name(Uuid::now_v7().to_string())
            .source(source.build())
            .attach(&mut self.session)
            .await
            .unwrap();
        let mut taken = Vec::new();
        let second = std::time::Duration::from_secs(1);
        while let Ok(received) = tokio::time::timeout(second, receiver.recv()).await {
            let received = received.unwrap();
            receiver.accept(&received).await.unwrap();
            taken.push(received.into_message());
        }
        receiver.close().await.unwrap();
        taken
    }

    /// The ids of what is in a queue, taken out.
    pub(super) async fn ids(&mut self, address: &str) -> Vec<String> {
        let taken = self.take(address).await;
        let id = |message: Message<_>| match message.properties?.message_id? {
            MessageId::String(id) => Some(id),
            _ => None,
        };
        taken.into_iter().map(|message| id(message).expect("an id")).collect()
    }

    /// Asks ActiveMQ Artemis to change something of itself.
    pub(super) async fn manage(&mut self, operation: &str, with: &[serde_json::Value]) {
        let mut answers = Receiver::builder()
            .name(Uuid::now_v7().to_string())
            .source(Source::builder().dynamic(true).build())
            .attach(&mut self.session)
            .await
            .unwrap();
        let source = answers.source().as_ref().unwrap();
        let reply_to = source.address.clone().unwrap();
        let text = |text: &str| SimpleValue::String(text.to_owned());
        let asked = Message::builder()
            .properties(Properties::builder().reply_to(reply_to).build())
            .application_properties(
                ApplicationProperties::builder()
                    .insert("_AMQ_ResourceName", text("broker"))
                    .insert("_AMQ_OperationName", text(operation))
                    .build(),
            )
            .value(serde_json::to_string(with).unwrap())
            .build();
        self.send("activemq.management", asked).await;
        let answer = answers.recv::<Body<Value>>().await.unwrap();
        answers.accept(&answer).await.unwrap();
        let said = &answer.message().application_properties.as_ref().unwrap().0;
        let done = said.get("_AMQ_OperationSucceeded");
        assert_eq!(done, Some(&SimpleValue::Bool(true)), "{operation}: {answer:?}");
        answers.close().await.unwrap();
    }
}

fn queue() -> Vec<Symbol> {
    vec![Symbol::from("queue")]
}

/// A message of bytes, with its application properties.
pub(super) fn message(headers: &[(&str, &str)], body: &[u8]) -> Message<Data> {
    let mut all = ApplicationProperties::builder();
    for (name, value) in headers {
        all = all.insert(*name, SimpleValue::String((*value).to_owned()));
    }
    Message::builder()
        .header(Header { durable: true, ..Header::default() })
        .application_properties(all.build())
        .data(Data(Binary::from(body.to_vec())))
        .build()
}
