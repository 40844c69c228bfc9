//! A worker behind an endpoint: what the sender is answered is what the inbox has stored.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use http::StatusCode;
use integration_automation_patterns::broker::webhook::{
    EndpointConfig, Route, Scheme, Webhook, WebhookConfig, endpoint,
};
use integration_automation_patterns::broker::{
    Broker, BrokerErrorKind, Consumer, Delivery,
};
use integration_automation_patterns::inbox::worker::{Summary, WorkerConfig};
use integration_automation_patterns::inbox::{
    Handled, HandlerError, InboxConfig, sqlite as inbox,
};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use rusqlite::Connection;
use tokio::sync::watch;
use uuid::Uuid;

use super::peer::mount;
use super::signed::{body, now, request};
use super::{SECRET, event};
use crate::suite::{in_time, refusal};

fn config() -> InboxConfig {
    let policy =
        RetryPolicy::new(5, Backoff::Fixed(Duration::from_millis(1500))).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    InboxConfig::new(day, RetryPolicy::DEFAULT).unwrap().retry_policy(policy)
}

/// An inbox, and a table for effects.
pub(super) fn inbox() -> Connection {
    let mut inbox = Connection::open_in_memory().unwrap();
    self::inbox::install(&mut inbox).unwrap();
    inbox.execute_batch("CREATE TABLE effect (id TEXT NOT NULL)").unwrap();
    inbox
}

pub(super) fn process<A>(inbox: &mut Connection, delivery: Delivery<A>) -> Handled<A> {
    let effect = |transaction: &rusqlite::Transaction<'_>,
                  event: &integration_automation_patterns::Envelope<_>| {
        let id = event.id().to_string();
        transaction.execute("INSERT INTO effect VALUES (?1)", [id])?;
        Ok(())
    };
    self::inbox::process(inbox, delivery, &config(), effect).unwrap()
}

fn effects(inbox: &Connection) -> i64 {
    inbox.query_row("SELECT count(*) FROM effect", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn the_sender_is_answered_when_the_inbox_has_committed_and_not_before() {
    let github = Route::new("/GitHub", Scheme::GitHub, super::signed::TEXT);
    let (endpoint, mut hooks) = endpoint([github], EndpointConfig::default()).unwrap();
    let mut inbox = inbox();
    let sent = request(Scheme::GitHub, body(Scheme::GitHub).as_bytes(), now());
    for (time, wanted) in [("the first", "Processed"), ("the second", "Duplicate")] {
        let mut answer = std::pin::pin!(endpoint.receive(&sent));
        let delivery = tokio::select! {
            biased;
            early = &mut answer => panic!("answered before it was stored: {early:?}"),
            delivery = hooks.next() => delivery.unwrap().unwrap(),
        };
        let handled = process(&mut inbox, delivery);
        assert!(format!("{handled:?}").starts_with(wanted), "{time}: {handled:?}");
        tokio::select! {
            biased;
            early = &mut answer => panic!("answered before the ack: {early:?}"),
            () = std::future::ready(()) => {}
        }
        handled.settle().await.unwrap();
        let answer = answer.await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{time}");
        assert_eq!(answer.body(), "");
        assert_eq!(effects(&inbox), 1, "{time}");
    }
}

#[tokio::test]
async fn what_is_nacked_or_dropped_comes_again_and_says_when() {
    let github = Route::new("/GitHub", Scheme::GitHub, super::signed::TEXT);
    let (endpoint, mut hooks) = endpoint([github], EndpointConfig::default()).unwrap();
    let sent = request(Scheme::GitHub, body(Scheme::GitHub).as_bytes(), now());
    let mut inbox = inbox();
    for (what, wanted) in [("fails", "2"), ("is dropped", "1")] {
        let handle = async {
            let delivery = hooks.next().await.unwrap().unwrap();
            if what == "is dropped" {
                return drop(delivery);
            }
            let fail =
                |_: &rusqlite::Transaction<'_>,
                 _: &integration_automation_patterns::Envelope<_>| {
                    Err(HandlerError::transient("the ERP is closed"))
                };
            let failed = self::inbox::process(&mut inbox, delivery, &config(), fail);
            failed.unwrap().settle().await.unwrap();
        };
        let (answer, ()) = tokio::join!(endpoint.receive(&sent), handle);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{what}");
        assert_eq!(answer.headers()["retry-after"], wanted, "{what}");
    }
    drop(hooks);
    let answer = endpoint.receive(&sent).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "no worker");
}

/// Those whose senders have gone are not worked on: they come again.
#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_too_long_is_answered_and_its_event_is_not_delivered() {
    let github = Route::new("/GitHub", Scheme::GitHub, super::signed::TEXT);
    let config = EndpointConfig::default().capacity(2);
    let (endpoint, mut hooks) = endpoint([github], config).unwrap();
    let sent = request(Scheme::GitHub, body(Scheme::GitHub).as_bytes(), now());
    let (one, two, three) = tokio::join!(
        endpoint.receive(&sent),
        endpoint.receive(&sent),
        endpoint.receive(&sent)
    );
    let statuses = [one, two, three].map(|answer| {
        assert_eq!(answer.headers()["retry-after"], "1");
        answer.status().as_u16()
    });
    assert_eq!(statuses, [503, 503, 429], "for the third there was no room");
    assert_eq!(hooks.lag().await.unwrap()[0].behind, 2);
    tokio::select! {
        biased;
        delivery = hooks.next() => panic!("nobody waits for {delivery:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(hooks.lag().await.unwrap()[0].behind, 0);
}

/// An ack that comes too late says why, and what to do.
#[tokio::test]
async fn an_ack_for_a_sender_that_has_gone_has_a_reason() {
    let github = Route::new("/GitHub", Scheme::GitHub, super::signed::TEXT);
    let (endpoint, mut hooks) = endpoint([github], EndpointConfig::default()).unwrap();
    let sent = request(Scheme::GitHub, body(Scheme::GitHub).as_bytes(), now());
    let delivery = tokio::select! {
        biased;
        early = endpoint.receive(&sent) => panic!("{early:?}"),
        delivery = hooks.next() => delivery.unwrap().unwrap(),
    };
    let mut inbox = inbox();
    let late = process(&mut inbox, delivery).settle().await.unwrap_err();
    assert_eq!(late.kind(), BrokerErrorKind::Transient);
    assert!(late.reason().contains("`answer_timeout`"), "{late}");
    assert_eq!(effects(&inbox), 1, "and the effect is there");
}

struct File(PathBuf);

impl File {
    fn new() -> Self {
        let name = format!("webhook-{}.db", Uuid::now_v7().simple());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

/// The effect takes longer than the sender waits: it is answered 503, comes again, and has
/// its effect once.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_effect_is_answered_503_comes_again_and_happens_once() {
    in_time(async {
        let file = File::new();
        let route = Route::new("/erp", Scheme::CloudEvents, SECRET);
        let config = EndpointConfig::default().answer_timeout(Duration::from_millis(500));
        let (endpoint, hooks) = endpoint([route], config).unwrap();
        let mounted = mount(endpoint).await;
        let (finish, finished) = mpsc::channel::<()>();
        let finished = std::sync::Mutex::new(finished);
        let handlers = self::inbox::handlers().otherwise(move |transaction, event| {
            // The first time, until the sender has got its answer.
            let _ = finished.lock().unwrap().recv();
            let id = event.id().to_string();
            transaction.execute("INSERT INTO effect VALUES (?1)", [id])?;
            Ok(())
        });
        let worker = self::inbox::Worker::open(
            &file.0,
            self::config(),
            hooks,
            handlers,
            WorkerConfig::default(),
        )
        .unwrap();
        let table = "CREATE TABLE effect (id TEXT NOT NULL)";
        let watching = Connection::open(&file.0).unwrap();
        watching.execute_batch(table).unwrap();

        let webhook_config = WebhookConfig::new(SECRET).allow_http().allow_private();
        let url = format!("http://{}/erp", mounted.address);
        let webhook = Webhook::new(&url, webhook_config).unwrap();
        let (stop, mut stopped) = watch::channel(false);
        let run = worker.run(async move { drop(stopped.wait_for(|stop| *stop).await) });
        let sender = async {
            let slow = webhook.send(&event("1")).await;
            assert_eq!(refusal(&slow), Some(BrokerErrorKind::Transient), "{slow:?}");
            let slow = slow.unwrap_err();
            assert!(slow.reason().contains("503"), "{slow}");
            drop(finish);
            while let Err(again) = webhook.send(&event("1")).await {
                assert_eq!(again.kind(), BrokerErrorKind::Transient, "{again}");
            }
            stop.send(true).unwrap();
        };
        let (summary, ()): (Summary, ()) = tokio::join!(run, sender);
        assert_eq!(summary.processed, 1, "{summary:?}");
        assert_eq!(effects(&watching), 1);
    })
    .await;
}

/// A worker whose transactions last longer than a sender is let wait is none.
#[test]
fn a_worker_that_is_slower_than_the_senders_patience_is_refused() {
    let file = File::new();
    let config = EndpointConfig::default().answer_timeout(Duration::from_millis(10));
    let (_endpoint, hooks) = endpoint([], config).unwrap();
    let handlers = self::inbox::handlers().otherwise(|_, _| Ok(()));
    let worker = self::inbox::Worker::open(
        &file.0,
        self::config(),
        hooks,
        handlers,
        WorkerConfig::default(),
    );
    let refused = worker.unwrap_err().to_string();
    assert!(refused.contains("ack_wait"), "{refused}");
}
