//! No wait is without an end, and what is given up leaves nothing behind.

use std::time::Duration;

#[cfg(target_os = "linux")]
use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
use integration_automation_patterns::broker::{Broker, Consumer};
use tokio::time::timeout;

use super::{RabbitMq, ack, event, tell};
use crate::proxy::{Mode, Proxy};
use crate::suite::{Server, in_time};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_listener_that_is_asked_for_three_milliseconds_at_a_time_gets_every_event() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let broker = server.broker(server.address());
        for number in 0..50 {
            broker.send(&event(&number.to_string())).await.unwrap();
        }
        let (mut listener, mut ids) = (server.consumer().await, Vec::new());
        while ids.len() < 50 {
            if let Ok(delivery) = timeout(Duration::from_millis(3), listener.next()).await
            {
                let delivery = delivery.unwrap().unwrap();
                ids.push(delivery.facts().id().to_string());
                ack(delivery).await;
            }
        }
        assert_eq!(ids, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn an_answer_whose_connection_is_cut_meanwhile_has_an_end() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let proxy = Proxy::start(server.address()).await;
        server.broker(server.address()).send(&event("1")).await.unwrap();
        for round in 0..20 {
            proxy.set(Mode::Open);
            let mut listener = server.broker(proxy.address).listen(&server.name).unwrap();
            let delivery = listener.next().await.unwrap().unwrap();
            let cut = async {
                for _ in 0..round * 5 {
                    tokio::task::yield_now().await;
                }
                proxy.set(Mode::Cut);
            };
            // Whether it arrived is known to nobody: what counts is that it ends.
            let ((), told) =
                tokio::join!(cut, timeout(Duration::from_secs(20), tell(delivery)));
            assert!(told.is_ok(), "an answer without an end, in round {round}");
            server.broker(server.address()).send(&event("1")).await.unwrap();
        }
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_server_that_falls_silent_is_waited_for_no_longer_than_its_time_by_whoever_asks_for_the_lag()
 {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let proxy = Proxy::start(server.address()).await;
        server.broker(server.address()).send(&event("1")).await.unwrap();
        let mut listener = server.broker(proxy.address).listen(&server.name).unwrap();
        let _held = listener.next().await.unwrap().unwrap();
        assert_eq!(
            listener.lag().await.unwrap()[0].behind,
            0,
            "it was sent to this listener"
        );
        proxy.set(Mode::Deaf);
        let asked =
            timeout(Duration::from_secs(20), listener.lag()).await.expect("an end");
        assert!(asked.is_err(), "{asked:?}");
        server.remove().await;
    })
    .await;
}

/// What this process holds that a connection may leave behind.
#[cfg(target_os = "linux")]
fn held() -> (usize, usize) {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Waits until no more is held than before, and says what is.
#[cfg(target_os = "linux")]
async fn held_again(before: (usize, usize)) -> (usize, usize) {
    for _ in 0..150 {
        let now = held();
        if now.0 <= before.0 && now.1 <= before.1 {
            return before;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    held()
}

/// What is held once nothing has been opened or closed for a second.
#[cfg(target_os = "linux")]
async fn settled() -> (usize, usize) {
    let (mut last, mut since) = (held(), 0);
    while since < 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = held();
        since = if now == last { since + 1 } else { 0 };
        last = now;
    }
    last
}

/// By its name a test runs in a process of its own, where nothing else opens and closes.
#[cfg(target_os = "linux")]
async fn alone(name: &str) {
    let program = std::env::current_exe().unwrap();
    let mut test = tokio::process::Command::new(program);
    test.args(["--exact", name, "--include-ignored", "--nocapture"]).env(ALONE, "yes");
    let done = test.output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[cfg(target_os = "linux")]
const ALONE: &str = "TEST_ALONE";

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs a server that is silent, and makes one"]
async fn a_connection_that_does_not_come_about_leaves_no_thread_and_no_socket() {
    if std::env::var(ALONE).is_err() {
        return alone("amqp::waits::a_connection_that_does_not_come_about_leaves_no_thread_and_no_socket").await;
    }
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let (mut before, mut taken) = (held(), Vec::new());
    for number in 0..21 {
        let config = AmqpConfig::new("crm").connect_timeout(Duration::from_millis(50));
        let broker = Amqp::new(&format!("amqp://{address}"), config).unwrap();
        let asked = async {
            match number % 2 {
                0 => broker.send(&event("1")).await.unwrap_err(),
                _ => broker.listen("erp").unwrap().next().await.unwrap_err(),
            }
        };
        let (failed, stream) = tokio::join!(asked, silent.accept());
        assert!(
            failed
                .reason()
                .contains(&format!("amqp://{address}: no connection within 50ms")),
            "{failed}"
        );
        taken.push(stream.unwrap().0);
        if number == 0 {
            // With the first try the client's library starts a thread of its own, once.
            before = settled().await;
        } else {
            // The server's own end of it.
            before.1 += 1;
        }
    }
    assert_eq!(held_again(before).await, before, "threads and files");
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_connection_that_is_dropped_leaves_nothing_where_the_server_has_gone_silent() {
    if std::env::var(ALONE).is_err() {
        return alone("amqp::waits::a_connection_that_is_dropped_leaves_nothing_where_the_server_has_gone_silent")
            .await;
    }
    let server = RabbitMq::fresh().await;
    let proxy = Proxy::start(server.address()).await;
    server.broker(server.address()).send(&event("0")).await.unwrap();
    let before = settled().await;
    let broker = server.broker(proxy.address);
    broker.send(&event("1")).await.unwrap();
    let mut listener = broker.listen(&server.name).unwrap();
    let delivery = listener.next().await.unwrap().unwrap();
    assert!(held() > before);
    proxy.set(Mode::Deaf);
    drop((broker, listener, delivery));
    assert_eq!(held_again(before).await, before, "threads and files");
}
