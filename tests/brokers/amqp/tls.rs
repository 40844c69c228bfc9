//! `amqps://`: whom the adapter trusts, what it says where it does not, and that nothing
//! goes over the wire in clear.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
use integration_automation_patterns::broker::{
    Broker, BrokerError, BrokerErrorKind, Consumer,
};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::tls::Tls;
use integration_automation_patterns::{Envelope, RawEvent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::RabbitMq;
use super::user::{ENCODED, PASSWORD, User};
use crate::servers::{certificate, rabbitmq, rabbitmq_tls};
use crate::suite::{Server, in_time};

const BODY: &str = "a word that nobody else shall read";

fn event() -> Envelope<Dispatched> {
    Envelope::builder("crm", RawEvent::new("lead.created", BODY.as_bytes()))
        .build()
        .unwrap()
        .dispatch()
}

fn trusting(authority: &str) -> Tls {
    Tls::with_authorities(&std::fs::read(certificate(authority)).unwrap()).unwrap()
}

fn config(server: &RabbitMq, authority: &str) -> AmqpConfig {
    AmqpConfig::new(&server.name).tls(trusting(authority))
}

async fn refused(address: &str, config: AmqpConfig) -> BrokerError {
    let refused = Amqp::new(address, config).unwrap().send(&event()).await.unwrap_err();
    assert_eq!(refused.kind(), BrokerErrorKind::Unreachable, "{refused}");
    assert!(
        !refused.reason().contains(PASSWORD) && !refused.reason().contains(ENCODED),
        "{refused}"
    );
    refused
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_server_that_a_known_authority_has_signed_is_spoken_to_and_no_other() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let user = User::new(&server);
        let port = rabbitmq_tls();
        let at = |host: &str, port: u16| {
            format!("amqps://{}:{ENCODED}@{host}:{port}", user.name)
        };

        let broker =
            Amqp::new(&at("127.0.0.1", port), config(&server, "authority.pem")).unwrap();
        broker.send(&event()).await.unwrap();
        let mut listener = broker.listen(&server.name).unwrap();
        assert_eq!(
            listener.next().await.unwrap().unwrap().facts().payload().bytes(),
            BODY.as_bytes()
        );

        let stranger =
            refused(&at("127.0.0.1", port), config(&server, "stranger.pem")).await;
        assert!(stranger.reason().contains("UnknownIssuer"), "{stranger}");
        let other_host =
            refused(&at("localhost", port), config(&server, "authority.pem")).await;
        assert!(other_host.reason().contains("not valid for name"), "{other_host}");
        let plain =
            refused(&at("127.0.0.1", rabbitmq()), config(&server, "authority.pem")).await;
        assert!(plain.reason().contains("no TLS is spoken there"), "{plain}");

        let wrong = format!("amqps://{}:wrong@127.0.0.1:{port}", user.name);
        let wrong = refused(&wrong, config(&server, "authority.pem")).await;
        assert!(wrong.reason().contains("ACCESS_REFUSED"), "{wrong}");
        let unknown = format!("amqps://nobody-{}@127.0.0.1:{port}", user.name);
        let unknown = refused(&unknown, config(&server, "authority.pem")).await;
        assert!(unknown.reason().contains("ACCESS_REFUSED"), "{unknown}");

        let clear = format!("amqp://{}:{ENCODED}@127.0.0.1:{port}", user.name);
        let clear = refused(&clear, AmqpConfig::new(&server.name)).await;
        assert!(
            clear.reason().contains("no AMQP is spoken there, or only within TLS"),
            "{clear}"
        );

        drop((listener, broker, user));
        server.remove().await;
    })
    .await;
}

#[test]
#[ignore = "needs the certificates of `.ci/servers`"]
fn settings_for_tls_and_an_address_without_are_refused_together() {
    let refused = Amqp::new(
        "amqp://127.0.0.1",
        AmqpConfig::new("crm").tls(trusting("authority.pem")),
    )
    .unwrap_err();
    assert!(refused.to_string().contains("amqps://"), "{refused}");
}

/// A proxy that writes down all that goes through it.
struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heard) =
            (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let tap = Self { address, heard: Arc::clone(&heard) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_client, to_server, Arc::clone(&heard)));
                tokio::spawn(pass(from_server, to_client, Arc::clone(&heard)));
            }
        });
        tap
    }

    fn heard(&self, text: &str) -> bool {
        self.heard
            .lock()
            .unwrap()
            .windows(text.len())
            .any(|heard| heard == text.as_bytes())
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    heard: Arc<Mutex<Vec<u8>>>,
) {
    let mut room = vec![0; 65536];
    while let Ok(length @ 1..) = from.read(&mut room).await {
        heard.lock().unwrap().extend_from_slice(&room[..length]);
        if to.write_all(&room[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_sniffer_between_hears_no_word() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let user = User::new(&server);
        for (scheme, port, in_clear) in
            [("amqps", rabbitmq_tls(), false), ("amqp", rabbitmq(), true)]
        {
            let tap = Tap::start(port).await;
            let config = if in_clear {
                AmqpConfig::new(&server.name)
            } else {
                config(&server, "authority.pem")
            };
            let address = user.address(scheme, tap.address);
            let broker = Amqp::new(&address, config).unwrap();
            broker.send(&event()).await.unwrap();
            let mut listener = broker.listen(&server.name).unwrap();
            drop(listener.next().await.unwrap().unwrap());
            for word in [PASSWORD, &user.name, BODY, "lead.created", "AMQP"] {
                assert_eq!(tap.heard(word), in_clear, "{scheme}: {word}");
            }
        }
        drop(user);
        server.remove().await;
    })
    .await;
}
