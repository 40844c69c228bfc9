//! A service: all of its parts stop together, whatever stopped them, and each is reported.
#![cfg(feature = "delivery")]

use std::error::Error;
use std::future::{pending, ready};
use std::time::Duration;

use integration_automation_patterns::service::{PartEnd, Service, Stop};
use tokio::sync::oneshot;

/// A part that ends once it is told to, and says so.
async fn obeys(stop: Stop, ended: oneshot::Sender<()>) {
    stop.await;
    ended.send(()).expect("the test waits for it");
}

/// Protects a graceful end: every part is told, and waited for.
#[tokio::test]
async fn all_parts_are_told_to_stop_and_reported_in_their_order() {
    let ((one, first), (other, second)) = (oneshot::channel(), oneshot::channel());
    let service = Service::new()
        .part("one", |stop| obeys(stop, one))
        .part("other", |stop| obeys(stop, other));
    let summary = service.run(ready("SIGTERM")).await.expect("both end well");
    assert_eq!(summary.to_string(), "one: done\nother: done");
    assert_eq!((first.await, second.await), (Ok(()), Ok(())));
}

/// Protects the others from the panic of one, and its words from being lost.
#[tokio::test]
async fn a_panic_stops_the_others_gracefully_and_is_reported() {
    let (told, ended) = oneshot::channel();
    let service = Service::new()
        .part("sound", |stop| obeys(stop, told))
        .part("broken", async |_| -> () { panic!("no such table: {}", "leads") });
    let error = service.run(pending::<()>()).await.expect_err("one panicked");
    assert_eq!(
        error.to_string(),
        "a part of the service did not end well: broken: panicked: no such table: leads"
    );
    assert_eq!(
        error.summary().to_string(),
        "sound: done\nbroken: panicked: no such table: leads"
    );
    assert_eq!(ended.await, Ok(()));
}

/// Protects the cause of a failure from being lost.
#[tokio::test]
async fn an_error_stops_the_others_gracefully_and_is_the_source() {
    let (told, ended) = oneshot::channel();
    let service = Service::new()
        .part("refused", async |_| Err::<(), _>("the port is taken"))
        .part("sound", |stop| obeys(stop, told));
    let error = service.run(pending::<()>()).await.expect_err("one failed");
    assert_eq!(
        error.to_string(),
        "a part of the service did not end well: refused: failed"
    );
    let cause = error.source().map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("the port is taken"));
    let summary = error.summary().to_string();
    assert_eq!(summary, "refused: failed: the port is taken\nsound: done");
    assert_eq!(ended.await, Ok(()));
}

/// Protects the end of the process from a part that does not hear.
#[tokio::test(start_paused = true)]
async fn a_part_that_does_not_end_in_time_is_aborted() {
    let minute = Duration::from_secs(60);
    let (told, ended) = oneshot::channel();
    let service = Service::new()
        .part("deaf", async |_| pending::<()>().await)
        .part("sound", |stop| obeys(stop, told))
        .shutdown_timeout(minute);
    let before = tokio::time::Instant::now();
    let error = service.run(ready(())).await.expect_err("one does not end");
    assert_eq!(before.elapsed(), minute);
    let [deaf, sound] = &error.summary().parts[..] else { panic!("two parts") };
    assert!(matches!(deaf.end, PartEnd::Aborted(time) if time == minute), "{error}");
    assert!(sound.end.is_well());
    assert_eq!(ended.await, Ok(()));

    let forever = Service::new().shutdown_timeout(Duration::MAX);
    let (told, ended) = oneshot::channel();
    let forever = forever.part("sound", |stop| obeys(stop, told)).run(ready(())).await;
    assert!(forever.is_ok() && ended.await.is_ok(), "no limit is none");
}

/// Protects the report of a part that ended in time, where another one did not.
#[tokio::test(start_paused = true)]
async fn a_part_that_ends_just_before_the_deadline_is_reported_as_it_ended() {
    let service = Service::new()
        .part("done", async |_| ())
        .part("deaf", async |_| pending::<()>().await)
        .shutdown_timeout(Duration::ZERO);
    let error = service.run(tokio::task::yield_now()).await.expect_err("one is deaf");
    assert_eq!(
        error.summary().to_string(),
        "done: done\ndeaf: did not end within 0ns, and was aborted"
    );
}

/// Protects parts that go on from one that has done its work.
#[tokio::test]
async fn a_part_that_ends_well_leaves_the_others_alone() {
    let (stop, stopped) = oneshot::channel::<()>();
    let (told, ended) = oneshot::channel();
    let service = Service::new().part("migration", async |_| ()).part(
        "server",
        async |told_to_stop| {
            // Were it told now, there would be nobody to send to.
            stop.send(()).expect("the service still runs");
            obeys(told_to_stop, told).await;
        },
    );
    let summary = service.run(stopped).await.expect("both end well");
    assert_eq!(summary.to_string(), "migration: done\nserver: done");
    assert_eq!(ended.await, Ok(()));
}

/// Protects from tasks that outlive the service which a `select!` or a timeout has dropped.
#[tokio::test]
async fn a_service_that_is_dropped_takes_its_parts_with_it() {
    let (held, dropped) = oneshot::channel::<()>();
    let service = Service::new().part("deaf", async |_| {
        let _held = held;
        pending::<()>().await
    });
    let run = tokio::time::timeout(Duration::ZERO, service.run(pending::<()>()));
    assert!(run.await.is_err(), "it runs on");
    assert!(dropped.await.is_err(), "its part is gone");
}

/// Protects what a supervisor asks for: SIGTERM, then an end that leaves nothing behind.
#[cfg(all(unix, feature = "signal"))]
#[tokio::test]
async fn sigterm_and_ctrl_c_stop_a_service() {
    use integration_automation_patterns::service::terminated;

    for signal in ["SIGTERM", "SIGINT"] {
        let (told, ended) = oneshot::channel();
        let service = Service::new().part("sound", |stop| obeys(stop, told));
        let terminated = terminated().expect("signals are reported");
        let told_by = async {
            let me = std::process::id().to_string();
            let mut kill = std::process::Command::new("kill");
            let killed = kill.args(["-s", &signal[3..], &me]).status();
            assert!(killed.expect("there is a kill").success());
            terminated.await
        };
        let (say, said) = oneshot::channel();
        let stop = async { say.send(told_by.await).expect("the test waits for it") };
        assert!(service.run(stop).await.is_ok());
        assert_eq!((said.await, ended.await), (Ok(signal), Ok(())));
    }
}
