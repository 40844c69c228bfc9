//! Whatever a message is, it comes out as an event or a dead letter of its own, and holds
//! nothing up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration_automation_patterns::broker::nats::{Listener, NatsConfig};
use integration_automation_patterns::broker::{
    Broker, BrokerError, Consumer, UNREADABLE,
};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::retry::RetryPolicy;
use integration_automation_patterns::{Envelope, RawEvent};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::suite::{Server, in_time};
use super::own::{JETSTREAM, Own};
use super::{JetStream, event};

/// Headers as they go over the wire: well formed, strange, or none at all.
fn block() -> impl Strategy<Value = Option<Vec<u8>>> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec!["ce-id", "ce-source", "ce-type", "ce-specversion", "ce-time", "content-type", "Nats-Rollup-Not"])
            .prop_map(|name| name.as_bytes().to_vec()),
        1 => "[ -9;-~]{0,20}".prop_map(String::into_bytes),
        1 => "[a-zü ]{1,9}".prop_map(String::into_bytes),
    ];
    let value = prop_oneof![
        4 => Just(b"1.0".to_vec()),
        2 => ".{0,30}".prop_map(|text| text.replace(['\r', '\n'], " ").into_bytes()),
        1 => proptest::collection::vec(128_u8..=255, 0..9),
        1 => Just(vec![b'x'; 5000]),
    ];
    let line =
        (name, value, prop_oneof![9 => Just(b": ".to_vec()), 1 => Just(b" ".to_vec())])
            .prop_map(|(name, value, colon)| {
                [name, colon, value, b"\r\n".to_vec()].concat()
            });
    let first = prop_oneof![
        9 => Just("NATS/1.0\r\n"),
        1 => Just("NATS/1.0 503 No Responders\r\n"),
        1 => Just("NATS/1.0 what\r\n"),
        1 => Just("HTTP/1.1\r\n")
    ];
    let block =
        (first, proptest::collection::vec(line, 0..6)).prop_map(|(first, lines)| {
            Some([first.as_bytes().to_vec(), lines.concat(), b"\r\n".to_vec()].concat())
        });
    prop_oneof![6 => block, 1 => Just(None)]
}

/// A program that writes the protocol itself, and as it likes.
async fn publish(
    server: SocketAddr,
    subject: &str,
    messages: &[(Option<Vec<u8>>, Vec<u8>)],
) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let mut said =
        b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n".to_vec();
    for (block, body) in messages {
        let head = match block {
            Some(block) => {
                format!("HPUB {subject} {} {}\r\n", block.len(), block.len() + body.len())
            }
            None => format!("PUB {subject} {}\r\n", body.len()),
        };
        said.extend(
            [head.as_bytes(), block.as_deref().unwrap_or_default(), body, b"\r\n"]
                .concat(),
        );
    }
    said.extend(b"PING\r\n");
    stream.write_all(&said).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"PONG\r\n") {
        assert!(
            stream.read_buf(&mut heard).await.unwrap() > 0,
            "{}",
            String::from_utf8_lossy(&heard)
        );
    }
}

/// Everything up to the event that was sent last, with the text of each body; each
/// confirmed.
async fn consumed(
    listener: &mut Listener,
    last: &str,
    count: usize,
) -> BTreeMap<String, BTreeSet<Vec<u8>>> {
    let mut erp = Connection::open_in_memory().unwrap();
    inbox::install(&mut erp).unwrap();
    let inbox_config =
        InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT).unwrap();
    let mut found: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    while found.values().map(BTreeSet::len).sum::<usize>() < count
        || !found.contains_key(last)
    {
        let delivery = match listener.next().await {
            Ok(delivery) => delivery.unwrap(),
            Err(error) => {
                println!("{error}");
                continue;
            }
        };
        let facts = delivery.facts();
        found
            .entry(facts.event_type().to_owned())
            .or_default()
            .insert(facts.payload().bytes().to_vec());
        let handled =
            inbox::process(&mut erp, delivery, &inbox_config, |_, _| Ok(())).unwrap();
        if let Err(error) = handled.settle().await {
            println!("{error}");
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn whatever_a_message_says_it_comes_out_and_what_follows_too() {
    in_time(async {
        let mut runner = TestRunner::new(Config::default());
        let blocks = proptest::collection::vec(block(), 60)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let server = JetStream::fresh().await;
        let messages: Vec<_> = blocks
            .into_iter()
            .enumerate()
            .map(|(n, block)| (block, n.to_string().into_bytes()))
            .collect();
        publish(server.address(), &server.subject("foreign"), &messages).await;
        server.broker(server.address()).send(&event("crm.lead.created")).await.unwrap();
        assert_eq!(server.stored().await, 61);
        let mut listener = server.consumer().await;
        let found = consumed(&mut listener, "crm.lead.created", 61).await;
        let bodies: BTreeSet<_> = found.into_values().flatten().collect();
        for (block, body) in &messages {
            let block = String::from_utf8_lossy(block.as_deref().unwrap_or_default())
                .into_owned();
            assert!(bodies.contains(body), "{block:?}");
        }
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn headers_that_the_client_library_cannot_read_stop_nobody() {
    in_time(async {
        let server = JetStream::fresh().await;
        let blocks: [&[u8]; 5] = [
            b"NATS/1.0\r\nname: Gr\xfc\xdfe\r\n\r\n",
            b"NATS/1.0\r\nmy name: x\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0 status\r\n\r\n",
            b"NATS/1.0\r\nce-specversion: 1.0\r\nce-id: 7\r\nce-source: shop\r\nce-type: order\r\nmy note: \xff\r\n\r\n",
        ];
        let messages: Vec<_> = blocks.iter().zip('a'..).map(|(block, n)| (Some(block.to_vec()), vec![n as u8])).collect();
        publish(server.address(), &server.subject("foreign"), &messages).await;
        server.broker(server.address()).send(&event("crm.lead.created")).await.unwrap();
        let mut listener = server.consumer().await;
        let found = consumed(&mut listener, "crm.lead.created", 6).await;
        let bodies = |bodies: &[&[u8]]| bodies.iter().map(|body| body.to_vec()).collect::<BTreeSet<_>>();
        assert_eq!(found[UNREADABLE], bodies(&[b"a", b"b", b"c", b"d"]));
        assert_eq!(found["order"], bodies(&[b"e"]), "what can be read of it says enough");
        let consumer = server.context.get_stream(&server.stream).await.unwrap().consumer_info("erp").await.unwrap();
        assert_eq!((consumer.num_ack_pending, consumer.num_pending), (0, 0), "each is answered");
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn what_the_client_library_cannot_read_is_found_however_far_it_lies_and_no_other_types_message_is()
 {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        let unreadable = |body: &[u8]| {
            vec![(Some(b"NATS/1.0\r\nmy name: x\r\n\r\n".to_vec()), body.to_vec())]
        };
        let mut listener = broker
            .listen("erp")
            .unwrap()
            .filter_subject("crm.lead.>")
            .unwrap()
            .max_ack_pending(1)
            .unwrap();
        broker.send(&event("crm.lead.created")).await.unwrap();
        consumed(&mut listener, "crm.lead.created", 1).await;
        publish(
            server.address(),
            &server.subject("crm.order.placed"),
            &vec![(None, b"{}".to_vec()); 300],
        )
        .await;
        publish(
            server.address(),
            &server.subject("crm.order.odd"),
            &unreadable(b"another's"),
        )
        .await;
        publish(server.address(), &server.subject("crm.lead.odd"), &unreadable(b"ours"))
            .await;
        let last = Envelope::builder("crm", RawEvent::new("crm.lead.updated", b"{}"))
            .build()
            .unwrap()
            .dispatch();
        broker.send(&last).await.unwrap();
        let found = consumed(&mut listener, "crm.lead.updated", 2).await;
        assert_eq!(found[UNREADABLE], BTreeSet::from([b"ours".to_vec()]), "{found:?}");
        let consumer = server
            .context
            .get_stream(&server.stream)
            .await
            .unwrap()
            .consumer_info("erp")
            .await
            .unwrap();
        assert_eq!(
            (consumer.num_ack_pending, consumer.num_pending),
            (0, 0),
            "each is answered"
        );
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn what_was_confirmed_of_the_unreadable_is_not_handed_out_again_though_one_before_it_is_unanswered()
 {
    in_time(async {
        let server = JetStream::fresh().await;
        let unreadable = |body: &[u8]| {
            (Some(b"NATS/1.0\r\nmy name: x\r\n\r\n".to_vec()), body.to_vec())
        };
        let patience = Duration::from_secs(60 * 60);
        let mut listener = server
            .broker(server.address())
            .listen("erp")
            .unwrap()
            .ack_wait(patience)
            .unwrap();
        publish(
            server.address(),
            &server.subject("foreign"),
            &[(None, b"in hand".to_vec())],
        )
        .await;
        let in_hand = listener.next().await.unwrap().unwrap();
        let mut bodies = Vec::new();
        for body in [b"a", b"b", b"c"] {
            publish(server.address(), &server.subject("foreign"), &[unreadable(body)])
                .await;
            bodies.extend(bodies_until(&mut listener, body).await);
        }
        assert_eq!(bodies, [b"a", b"b", b"c"], "each once");
        drop((in_hand, listener));
        server.remove().await;
    })
    .await;
}

/// The bodies of what comes up to this one; each confirmed.
async fn bodies_until(listener: &mut Listener, last: &[u8]) -> Vec<Vec<u8>> {
    let mut erp = Connection::open_in_memory().unwrap();
    inbox::install(&mut erp).unwrap();
    let inbox_config =
        InboxConfig::new(Duration::from_secs(3600), RetryPolicy::DEFAULT).unwrap();
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    while bodies.last().is_none_or(|body| body != last) {
        let Ok(delivery) = listener.next().await else { continue };
        let delivery = delivery.unwrap();
        bodies.push(delivery.facts().payload().bytes().to_vec());
        inbox::process(&mut erp, delivery, &inbox_config, |_, _| Ok(()))
            .unwrap()
            .settle()
            .await
            .unwrap();
    }
    bodies
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn what_ends_a_listeners_connection_ends_no_send() {
    in_time(async {
        let server = JetStream::fresh().await;
        let broker = server.broker(server.address());
        let mut listener =
            broker.listen("erp").unwrap().filter_subject("foreign").unwrap();
        let messages =
            vec![(Some(b"NATS/1.0\r\nmy name: x\r\n\r\n".to_vec()), b"a".to_vec())];
        let over = Arc::new(AtomicBool::new(false));
        let sends: Vec<_> = (0..100)
            .map(|_| {
                let (broker, over) = (broker.clone(), Arc::clone(&over));
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        let event = Envelope::builder(
                            "crm",
                            RawEvent::new("crm.lead.created", b"{}"),
                        )
                        .build()
                        .unwrap();
                        broker.send(&event.dispatch()).await?;
                    }
                    Ok::<_, BrokerError>(())
                })
            })
            .collect();
        for _ in 0..5 {
            publish(server.address(), &server.subject("foreign"), &messages).await;
            assert!(listener.next().await.is_err(), "its connection is cut");
            consumed(&mut listener, UNREADABLE, 1).await;
        }
        over.store(true, Ordering::Relaxed);
        for sends in sends {
            assert_eq!(sends.await.unwrap(), Ok(()), "a send was cut off");
        }
        drop(listener);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn who_may_not_look_at_the_stream_is_told_so_where_a_message_cuts_it_off() {
    in_time(async {
        let own = Own::start(&format!(
            "{JETSTREAM}\nno_auth_user: admin\nauthorization {{ users = [
                {{ user: blind, password: a, permissions: {{ publish: {{ deny: [\"$JS.API.STREAM.MSG.GET.>\"] }} }} }}
                {{ user: admin, password: a }}
            ] }}"
        ))
        .await;
        own.broker(NatsConfig::new("crm").user("admin", "a")).create_stream(Duration::from_secs(60)).await.unwrap();
        let message = (Some(b"NATS/1.0\r\nmy name: x\r\n\r\n".to_vec()), b"a".to_vec());
        publish(own.address(), "crm.foreign", &[message]).await;
        let listener = own.broker(NatsConfig::new("crm").user("blind", "a")).listen("erp").unwrap();
        let mut listener = listener.ack_wait(Duration::from_secs(1)).unwrap();
        let forbidden = "Permissions Violation for Publish to \"$JS.API.STREAM.MSG.GET.crm\"";
        while !listener.next().await.unwrap_err().reason().contains(forbidden) {}
    })
    .await;
}
