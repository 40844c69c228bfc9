//! A relay gets SIGTERM while events are on their way: it ends by itself, and leaves
//! nothing for a lease to end.

use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::testing::FileBroker;
use tokio::signal::unix::{SignalKind, signal};

use crate::broker::{Slow, ids, is_held, release};
use crate::process::{Process, until};
use crate::sqlite::Files;
use crate::{Place, Side, assert_balanced, is_done, runtime};

pub(crate) const ROLE: &str = "relay-that-is-stopped";

/// The milliseconds that the relay has to stop.
const GRACE: &str = "CRASH_GRACE";

/// So long that a test which waits for it has failed: no lease ends, and no send times
/// out.
const FAR: Duration = Duration::from_secs(3600);

const EVENTS: u32 = 300;

/// A relay that works until SIGTERM.
pub(crate) async fn play<S: Side>(side: &S, broker: FileBroker, folder: &Path) {
    let mut told = signal(SignalKind::terminate()).unwrap();
    let config = RelayConfig::default()
        .lease(FAR)
        .send_timeout(FAR)
        .poll_interval(Duration::from_millis(50));
    let grace = std::env::var(GRACE)
        .map_or(FAR, |grace| Duration::from_millis(grace.parse().unwrap()));
    let relay = Relay::new(
        ROLE,
        side.outbox().await,
        Slow::holding(broker, folder),
        config.shutdown_timeout(grace),
    )
    .unwrap();
    relay
        .run(async {
            told.recv().await;
            std::fs::write(folder.join("told"), "").unwrap();
        })
        .await;
}

/// What the broker does with the events that it holds, once the relay has been told to
/// stop.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    Confirmed,
    /// And the relay has a grace of 300 ms.
    ForEver,
}

fn stop<S: Side>(side: &S, place: &Place, held: Held) {
    let count = |sql: &str| runtime().block_on(side.count(sql));
    let of = |status: &str| {
        count(&format!("SELECT count(*) FROM outbox_event WHERE status = '{status}'"))
    };
    runtime().block_on(side.set_up());
    place.broker();
    let producer = Process::start("producer", place.role("producer", EVENTS)());
    let _consumer = Process::start("consumer", place.role("consumer", EVENTS)());
    let mut command = place.role(ROLE, EVENTS)();
    if held == Held::ForEver {
        command.env(GRACE, "300");
    }
    let relay = Process::start(ROLE, command);
    let held_ids = ids(EVENTS, is_held);
    let on_their_way = format!(
        "SELECT count(*) FROM outbox_event WHERE status = 'dispatched' AND id IN ({held_ids})"
    );
    until("events are delivered, and others on their way", || {
        of("acknowledged") >= 40 && count(&on_their_way) >= 10
    });

    relay.tell_to_stop();
    if held == Held::Confirmed {
        until("the relay knows that it is told", || place.folder.join("told").exists());
        release(&place.folder);
    }
    assert!(relay.end().success());

    assert_eq!(of("dispatched"), 0, "nothing waits for a lease to end");
    let released = count("SELECT count(*) FROM outbox_history WHERE action = 'release'");
    match held {
        Held::Confirmed => assert_eq!(released, 0, "it waited for its sends"),
        Held::ForEver => {
            assert!(released >= 10, "it gave back what was held: {released}")
        }
    }
    assert_eq!(count("SELECT count(*) FROM outbox_history WHERE action <> 'release'"), 0);
    let miscounted = "SELECT count(*) FROM outbox_event WHERE attempts <> CASE status WHEN 'acknowledged' THEN 1 ELSE 0 END";
    assert_eq!(count(miscounted), 0, "what was sent has an attempt, and nothing else");

    assert!(producer.end().success());
    assert!(of("pending") > 0, "there is work left");
    release(&place.folder);
    // Its leases do not end either: what it delivers was given back.
    let next = Process::start("the next relay", place.role(ROLE, EVENTS)());
    until("the next relay delivers the rest", || is_done(side, EVENTS));
    until("it has settled the last", || of("acknowledged") == i64::from(EVENTS));
    next.tell_to_stop();
    assert!(next.end().success());
    assert_eq!(
        count("SELECT count(*) FROM outbox_event WHERE attempts <> 1"),
        0,
        "each was sent at one attempt"
    );
    assert_balanced(side, EVENTS);
}

#[test]
fn sigterm_waits_for_sends_that_end_within_the_grace() {
    let place = Place::new("stop-confirmed", vec![]);
    stop(&Files(place.folder.clone()), &place, Held::Confirmed);
}

#[test]
fn sigterm_gives_back_what_the_broker_holds() {
    let place = Place::new("stop-held", vec![]);
    stop(&Files(place.folder.clone()), &place, Held::ForEver);
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn sigterm_under_load_on_postgres() {
    for held in [Held::Confirmed, Held::ForEver] {
        let side = crate::postgres::Schema::new("stop");
        let place = Place::new("stop-postgres", side.environment());
        stop(&side, &place, held);
        runtime().block_on(side.drop());
    }
}
