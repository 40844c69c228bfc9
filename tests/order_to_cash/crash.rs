//! Each part is a process of its own, and is killed: at random moments, and at every place
//! that an instance passes. Then the account balances, and every order has an end.

use std::cell::Cell;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use integration_automation_patterns::testing::{CRASH_AT, CrashReport, CrashTest};

use crate::place::{Place, ends};

/// The processes, by their names and parts: two participants share the systems.
const PROCESSES: [(&str, &str); 6] = [
    ("sales", "sales"),
    ("relay", "relay"),
    ("manager", "manager"),
    ("systems-1", "systems"),
    ("systems-2", "systems"),
    ("clerk", "clerk"),
];

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |number| number.parse().expect("a number"))
}

/// The command that starts a part.
fn part(place: &Place, part: &str, orders: &str) -> Command {
    let broker = place.broker();
    let options = ["--only", part, "--orders", orders, "--broker", &broker];
    // A clerk that is killed all the time would never work after its grace.
    let options = [options.as_slice(), &["--grace", "0"]].concat();
    let mut command = place.command(&options);
    command.stdout(Stdio::null());
    if std::env::var_os("CRASH_VERBOSE").is_none() {
        command.stderr(Stdio::null());
    }
    command
}

/// Has the processes work until every order has an end: then each ends by itself, and so
/// does a relay that nobody kills.
fn run(test: CrashTest, place: &Place, orders: &str) -> CrashReport {
    let mut witness = part(place, "relay", orders).spawn().expect("it is built");
    let report = test.run(|| {
        let ended = witness.try_wait()?;
        Ok(ended.is_some_and(|status| status.success()))
    });
    report.unwrap_or_else(|failed| panic!("{failed}"))
}

/// Runs the whole program after its processes, and checks what it prints: it fails where
/// its account does not balance, an order has no end, or a journal is not true.
fn ends_well(place: &Place, orders: u32) {
    let count = orders.to_string();
    let printed = place.run(&["--orders", &count, "--broker", &place.broker()]);
    let ends = ends(&printed);
    assert_eq!(ends.len(), usize::try_from(orders).expect("few") + 1, "{printed}");
    for (number, line) in ends.iter().take(ends.len() - 1).enumerate() {
        // A deadline may have passed while its participant was dead; nothing else changes
        // an end.
        let completes = [0, 3, 6].contains(&(number % 8));
        let passed = ["timed_out", "expired"].iter().any(|what| line.contains(what));
        let late = line.contains("undone") && passed;
        let is_right = line.contains(if completes { "completed" } else { "undone" });
        assert!(is_right || late, "{line}");
    }
}

fn killed_at_random(place: Place) {
    let (kills, orders) =
        (from_environment("CRASH_KILLS", 100), from_environment("CRASH_ORDERS", 80));
    let (place, count) = (Rc::new(place), orders.to_string());
    let mut test = CrashTest::new(u64::from(std::process::id()))
        .kills(kills)
        .pauses(Duration::from_millis(30), Duration::from_millis(170))
        .limit(Duration::from_secs(600));
    for (name, what) in PROCESSES {
        let (place, count) = (Rc::clone(&place), count.clone());
        test = test.actor(name, move || part(&place, what, &count));
    }
    let report = run(test, &place, &count);
    let database = if place.is_files() { "SQLite" } else { "PostgreSQL" };
    println!("{database}: {report}; {orders} orders");
    ends_well(&place, orders);
}

/// Each process dies at one place, once, and is started again.
fn killed_at_named_places(place: &Rc<Place>, points: &[(&str, &'static str)]) {
    const ORDERS: &str = "16";
    let mut test = CrashTest::new(1).kills(0).limit(Duration::from_secs(600));
    let mut started = vec![];
    for (name, what) in PROCESSES.into_iter().filter(|(name, _)| *name != "systems-2") {
        let point = points.iter().find(|(of, _)| *of == name).map(|(_, point)| *point);
        let (place, starts) = (Rc::clone(place), Rc::new(Cell::new(0)));
        started.extend(point.map(|point| (point, Rc::clone(&starts))));
        test = test.actor(name, move || {
            let mut command = part(&place, what, ORDERS);
            if let Some(point) = point.filter(|_| starts.get() == 0) {
                command.env(CRASH_AT, point);
            }
            starts.set(starts.get() + 1);
            command
        });
    }
    run(test, place, ORDERS);
    for (point, starts) in started {
        assert!(starts.get() > 1, "a process dies {point}");
    }
    ends_well(place, 16);
}

/// The places where a transaction of a workflow has not been committed yet, or just has;
/// that of the recall is in `approve.rs`.
fn killed_at_every_place(first: Place, second: Place) {
    let before = [
        ("sales", "before the instance commits#5"),
        ("manager", "before the instance commits#20"),
        ("clerk", "before the clerk commits#2"),
        ("systems-1", "before the forestall commits#2"),
    ];
    killed_at_named_places(&Rc::new(first), &before);
    let after = [
        ("manager", "after the effect#20"),
        ("clerk", "after the clerk commits#2"),
        ("systems-1", "after the effect#20"),
    ];
    killed_at_named_places(&Rc::new(second), &after);
}

/// Protects the money: what is reserved and not released is that of the orders that were
/// created, whenever a process dies.
#[test]
fn the_account_balances_whenever_a_process_is_killed() {
    killed_at_random(Place::files("random"));
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn the_account_balances_whenever_a_process_is_killed_on_postgres() {
    killed_at_random(Place::schemas("random"));
}

/// Protects each transaction of a workflow from being committed in part.
#[test]
fn the_account_balances_after_a_death_at_every_named_place() {
    killed_at_every_place(Place::files("before"), Place::files("after"));
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL"]
fn the_account_balances_after_a_death_at_every_named_place_on_postgres() {
    killed_at_every_place(Place::schemas("before"), Place::schemas("after"));
}
