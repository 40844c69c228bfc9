//! How far a consumer is behind: asked by itself, by one that only looks, and by the
//! operator's program.

use integration_automation_patterns::broker::{
    Broker, BrokerError, BrokerErrorKind, Consumer,
};
use integration_automation_patterns::inbox::sqlite as inbox;
use rusqlite::Connection;

use super::{Effects, File, Server, consume, event, soon};

/// What waits for a consumer is counted, also by one that only looks and takes nothing;
/// and nothing is left when all is confirmed.
pub(crate) async fn how_far_a_consumer_is_behind_is_known<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    broker.send(&event("0")).await.unwrap();
    consume(&mut consumer, &mut effects, 1).await;
    drop(consumer);
    for number in 1..=5 {
        broker.send(&event(&number.to_string())).await.unwrap();
    }
    let mut looks = server.consumer().await;
    soon("what is behind", behind(&mut looks, 5)).await;
    let mut consumer = server.consumer().await;
    consume(&mut consumer, &mut effects, 5).await;
    soon("that nothing is", behind(&mut looks, 0)).await;
    soon("the same, asked by whoever consumes,", behind(&mut consumer, 0)).await;
    let mut ids = effects.ids();
    ids.sort(); // what was on its way to the first consumer, which has ended, may come last
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5"]);
    drop((looks, consumer));
    server.remove().await;
}

/// Asks until the consumer is as far behind as is wanted.
async fn behind<C: Consumer>(consumer: &mut C, wanted: u64) {
    loop {
        let lag = consumer.lag().await.unwrap();
        assert_eq!(lag.len(), 1, "one thing is read: {lag:?}");
        assert!(!lag[0].of.is_empty() && lag[0].held_back == 0, "{lag:?}");
        if lag[0].behind == wanted {
            return;
        }
    }
}

/// The example `outbox`, which is built with the tests, asks the same.
pub(crate) async fn the_operators_program_says_how_far_a_consumer_is_behind<S: Server>() {
    let server = S::fresh().await;
    let broker = server.broker(server.address());
    let (mut consumer, mut effects) = (server.consumer().await, Effects::new());
    broker.send(&event("0")).await.unwrap();
    consume(&mut consumer, &mut effects, 1).await;
    drop(consumer);
    for number in 1..=3 {
        broker.send(&event(&number.to_string())).await.unwrap();
    }
    let file = File::new("operator");
    inbox::install(&mut Connection::open(&file.0).unwrap()).unwrap();
    let [url, from] = server.place();
    let ask = || {
        let mut program = std::env::current_exe().unwrap();
        program.pop();
        program.pop();
        let mut program = std::process::Command::new(program.join("examples/outbox"));
        let asked = program
            .arg(&file.0)
            .args(["inbox", "counts", "--json", "--broker", &url, "--from", &from]);
        let output =
            asked.output().expect("the example, which `cargo build --examples` builds");
        assert!(output.status.success(), "{output:?}");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["lag"][0]["held_back"], 0, "{found}");
        found["lag"][0]["behind"].as_u64().unwrap()
    };
    soon("what is behind", async {
        while tokio::task::block_in_place(ask) != 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.remove().await;
}

/// Where nobody answers, the question has an end, and its reason.
pub(crate) async fn how_far_a_consumer_is_behind_of_a_server_that_is_gone_has_a_reason<
    S: Server,
>() {
    let server = S::fresh().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let asked = server.consumer_at(address).await.lag().await;
    assert_eq!(
        asked.as_ref().map_err(BrokerError::kind),
        Err(BrokerErrorKind::Unreachable),
        "{asked:?}"
    );
    server.remove().await;
}

/// One that takes a connection and says nothing holds nobody up for longer than some
/// seconds.
pub(crate) async fn how_far_a_consumer_is_behind_of_a_server_that_is_silent_has_an_end<
    S: Server,
>() {
    let server = S::fresh().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let holds = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
        }
    });
    let mut consumer = server.consumer_at(address).await;
    let asked = soon("an answer about a silent server", consumer.lag()).await;
    assert_eq!(
        asked.as_ref().map_err(BrokerError::kind),
        Err(BrokerErrorKind::Unreachable),
        "{asked:?}"
    );
    holds.abort();
    server.remove().await;
}
