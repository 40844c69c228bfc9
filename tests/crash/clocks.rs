//! Two relays whose clocks are two hours apart, and a clock that jumps: the clock of a
//! process is set by libfaketime.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
#[cfg(feature = "postgres")]
use integration_automation_patterns::outbox::Admin;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::testing::FileBroker;
use tokio::signal::unix::{SignalKind, signal};

use crate::broker::{Slow, ids, is_held, release};
#[cfg(feature = "postgres")]
use crate::broker::{is_patient, is_refused};
use crate::process::{Process, until};
use crate::sqlite::Files;
use crate::{Place, Side, assert_balanced, is_done, runtime};

/// The relay that holds events.
pub(crate) const FIRST: &str = "relay-that-holds";
/// The relay that could take them for lost.
pub(crate) const SECOND: &str = "relay-that-looks";

const EVENTS: u32 = 200;

/// How many events the first relay has on its way before the second one starts: so many
/// that it claims no more.
const HELD: i64 = 5;

/// A relay that writes down what its clock says, and works until SIGTERM.
pub(crate) async fn play<S: Side>(
    role: &str,
    side: &S,
    broker: FileBroker,
    folder: &Path,
) {
    let mut told = signal(SignalKind::terminate()).unwrap();
    let config = RelayConfig::default()
        .lease(Duration::from_secs(15))
        .store_timeout(Duration::from_millis(2500))
        .send_timeout(Duration::from_secs(3600))
        .poll_interval(Duration::from_millis(50))
        .in_flight(if role == FIRST { 8 } else { 100 });
    let relay = Relay::new(
        role,
        side.outbox().await,
        Slow::holding(broker, folder).refusing(),
        config,
    )
    .unwrap();
    std::fs::write(folder.join(role), Utc::now().to_rfc3339()).unwrap();
    let stop = async {
        told.recv().await;
    };
    relay.run(stop).await;
}

/// The wall clock of a process, and no other clock of it, differs by so many hours.
fn at_hours(mut command: Command, hours: i32) -> Command {
    const MISSING: &str =
        "`faketime` is missing: install libfaketime (Debian: apt-get install faketime)";
    // The program says where its library is, which is asked for without it: a signal is
    // for the process itself.
    let library = Command::new("faketime")
        .args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"])
        .output()
        .expect(MISSING);
    assert!(library.status.success(), "{MISSING}");
    command.env("LD_PRELOAD", String::from_utf8(library.stdout).unwrap().trim());
    command.env("FAKETIME", format!("{hours:+}h"));
    command.envs([("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("DONT_FAKE_MONOTONIC", "1")]);
    command
}

/// Starts a relay at another time, and sees that it is there.
fn start(place: &Place, role: &str, hours: i32) -> Process {
    let said = place.folder.join(role);
    let _ = std::fs::remove_file(&said);
    let process = Process::start(role, at_hours(place.role(role, EVENTS)(), hours));
    let read = || std::fs::read_to_string(&said).ok()?.parse::<DateTime<Utc>>().ok();
    until("the relay says what time it is", || read().is_some());
    let ahead = read().unwrap() - Utc::now() - TimeDelta::hours(hours.into());
    assert!(ahead.abs() < TimeDelta::minutes(30), "the clock of {role} is set: {ahead}");
    process
}

/// A first relay holds events; a second one looks at them, with another clock, and
/// delivers what it can.
fn hold_and_look<S: Side>(
    side: &S,
    place: &Place,
    hours: (i32, i32),
) -> (Process, Process) {
    let count = |sql: &str| runtime().block_on(side.count(sql));
    let ids = ids(EVENTS, is_held);
    let held = format!(
        "SELECT count(*) FROM outbox_event WHERE status = 'dispatched' AND claimed_by = '{FIRST}' AND id IN ({ids})"
    );
    let mut first = start(place, FIRST, hours.0);
    until("the first relay holds events", || count(&held) >= HELD);
    let mut second = start(place, SECOND, hours.1);
    let done = format!(
        "SELECT count(*) FROM outbox_event WHERE status = 'acknowledged' AND claimed_by = '{SECOND}'"
    );
    until("the second relay claims again and again", || count(&done) >= 30);
    first.assert_running();
    second.assert_running();
    (first, second)
}

fn stop(relay: Process) {
    relay.tell_to_stop();
    assert!(relay.end().success());
}

/// On one machine there is one clock. Where it is set while relays work, leases may look
/// ended that are not: that costs second sends, and no second effect.
#[test]
#[ignore = "needs libfaketime"]
fn a_clock_that_jumps_an_hour_costs_second_sends_alone() {
    let place = Place::new("clock-jumps", vec![]);
    let side = Files(place.folder.clone());
    runtime().block_on(side.set_up());
    place.broker();
    assert!(place.role("producer", EVENTS)().status().unwrap().success());
    let _consumer = Process::start("consumer", place.role("consumer", EVENTS)());
    let (first, second) = hold_and_look(&side, &place, (0, 1));

    let count = |sql: &str| runtime().block_on(side.count(sql));
    let taken = count("SELECT count(*) FROM outbox_history WHERE action = 'expire'");
    assert!(
        taken >= HELD,
        "after the jump the leases of the first relay have ended: {taken}"
    );
    release(&place.folder);
    let done = "SELECT count(*) FROM outbox_event WHERE status = 'acknowledged'";
    until("everything is delivered", || {
        count(done) == i64::from(EVENTS) && is_done(&side, EVENTS)
    });
    stop(first);
    stop(second);
    assert_balanced(&side, EVENTS);
}

/// On many machines the clock of the database is the one that counts: the producer's is
/// an hour ahead, the relays' are an hour ahead and an hour behind, and nobody could
/// tell.
#[cfg(feature = "postgres")]
fn two_hours_apart(hours: (i32, i32)) {
    let side = crate::postgres::Schema::new(if hours.0 < 0 {
        "clocks_ahead"
    } else {
        "clocks_behind"
    });
    let place = Place::new(&format!("clocks-postgres{}", hours.0), side.environment());
    runtime().block_on(side.set_up());
    place.broker();
    let count = |sql: &str| runtime().block_on(side.count(sql));
    let of = |status: &str| {
        count(&format!("SELECT count(*) FROM outbox_event WHERE status = '{status}'"))
    };
    let now =
        || count("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    let began = now();
    assert!(at_hours(place.role("producer", EVENTS)(), 1).status().unwrap().success());
    let patient =
        i64::try_from((0..EVENTS).filter(|number| is_patient(*number)).count()).unwrap();
    let rest = i64::from(EVENTS) - patient;
    let patience = format!(
        "UPDATE outbox_event SET retry_policy = '3 fixed 1800s' WHERE id IN ({})",
        ids(EVENTS, is_patient)
    );
    runtime().block_on(side.execute(&patience));
    let _consumer = Process::start("consumer", place.role("consumer", EVENTS)());

    let (first, second) = hold_and_look(&side, &place, hours);
    let taken = "SELECT count(*) FROM outbox_history WHERE action <> 'fail'";
    assert_eq!(count(taken), 0, "no lease was taken for ended");
    let renewed = format!(
        "SELECT count(*) FROM outbox_event WHERE status = 'dispatched' AND claimed_by = '{FIRST}' \
         AND due_at > claimed_at + interval '16 s'"
    );
    until("the first relay renews its leases", || count(&renewed) >= HELD);
    release(&place.folder);
    until("all is delivered but what is due in half an hour", || {
        (of("acknowledged"), of("retrying")) == (rest, patient)
    });
    stop(first);
    stop(second);
    assert_eq!(sends(&place), rest, "no event was sent twice");
    assert_eq!(count(taken), 0, "no lease was taken for ended");
    let due = "SELECT count(*) FROM outbox_event WHERE status = 'retrying' AND due_at = failed_at + interval '30 minutes'";
    assert_eq!(count(due), patient, "by the clock of the database");

    // By the clock of this relay, they are due in an hour.
    runtime().block_on(side.execute(
        "UPDATE outbox_event SET due_at = clock_timestamp() WHERE status = 'retrying'",
    ));
    let behind = start(&place, SECOND, -1);
    until("the rest is delivered", || {
        of("acknowledged") == i64::from(EVENTS) && is_done(&side, EVENTS)
    });
    stop(behind);
    assert_eq!(sends(&place), i64::from(EVENTS));
    assert_balanced(&side, EVENTS);
    runtime().block_on(assert_in_order(&side, began, now()));
    runtime().block_on(side.drop());
}

/// How often something was sent.
#[cfg(feature = "postgres")]
fn sends(place: &Place) -> i64 {
    let broker = crate::sqlite::open(&place.folder.join("broker.db"));
    broker
        .query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'broker_message'",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

/// The history of every event has its moments in their order, between two moments, and no
/// retry before its time.
#[cfg(feature = "postgres")]
async fn assert_in_order<S: Side>(side: &S, began: i64, ended: i64) {
    use integration_automation_patterns::audit::Action;

    let outbox = side.outbox().await;
    for number in 0..EVENTS {
        let found = outbox
            .get(&format!("change-{number}").parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        let (event, moments) = (found.event, found.entries);
        assert_eq!(event.attempts(), 1 + u32::from(is_refused(number)), "{moments:?}");
        let times: Vec<i64> =
            moments.iter().map(|moment| moment.at.timestamp_micros()).collect();
        assert!(
            times.is_sorted() && times[0] >= began && times[times.len() - 1] <= ended,
            "{moments:?}"
        );
        for pair in moments
            .windows(2)
            .filter(|pair| pair[0].action == Action::Fail && !is_patient(number))
        {
            assert!(
                pair[1].at >= pair[0].at + event.retry_policy().wait(0),
                "{moments:?}"
            );
        }
    }
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs libfaketime, and PostgreSQL"]
fn a_relay_an_hour_ahead_takes_nothing_from_one_an_hour_behind() {
    two_hours_apart((-1, 1));
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs libfaketime, and PostgreSQL"]
fn a_relay_an_hour_behind_takes_nothing_from_one_an_hour_ahead() {
    two_hours_apart((1, -1));
}
