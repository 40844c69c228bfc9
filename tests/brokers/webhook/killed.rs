//! Processes that are killed: a receiver between the commit of the effect and its answer,
//! and relay and receiver at random moments. Each event has one effect.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use integration_automation_patterns::broker::webhook::{
    EndpointConfig, Hooks, Route, Scheme, Webhook, WebhookConfig, endpoint,
};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};
use integration_automation_patterns::inbox::{Handled, InboxConfig, sqlite as inbox};
use integration_automation_patterns::retry::RetryPolicy;
use rusqlite::Connection;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::peer::{Mounted, mount_at};
use super::{SECRET, event};
use crate::suite::in_time;

/// What a started process does.
const ROLE: &str = "WEBHOOK_ROLE";
/// Where its databases are.
const PLACE: &str = "WEBHOOK_PLACE";
/// Where the receiver listens.
const ADDRESS: &str = "WEBHOOK_ADDRESS";

/// A folder of the test's own, and an address for its receiver.
struct Place {
    folder: PathBuf,
    address: SocketAddr,
}

impl Place {
    async fn new() -> Self {
        let name = format!("webhook-{}", Uuid::now_v7().simple());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir(&folder).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { folder, address: free.local_addr().unwrap() }
    }

    fn of_environment() -> Self {
        let folder = std::env::var(PLACE).unwrap().into();
        Self { folder, address: std::env::var(ADDRESS).unwrap().parse().unwrap() }
    }

    /// The command that starts this program in one of its roles.
    fn role(&self, role: &'static str) -> impl Fn() -> Command + use<> {
        let (folder, address) = (self.folder.clone(), self.address.to_string());
        move || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "webhook::killed::play_the_role", "--quiet"]);
            command.env(ROLE, role).env(PLACE, &folder).env(ADDRESS, &address);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        }
    }

    fn webhook(&self) -> Webhook {
        let config = WebhookConfig::new(SECRET).allow_http().allow_private();
        Webhook::new(&format!("http://{}/erp", self.address), config).unwrap()
    }

    /// The receiver's database.
    fn erp(&self) -> Connection {
        let mut erp = Connection::open(self.folder.join("erp.db")).unwrap();
        inbox::install(&mut erp).unwrap();
        let table = "CREATE TABLE IF NOT EXISTS effect (id TEXT NOT NULL, key TEXT)";
        erp.execute_batch(table).unwrap();
        erp
    }

    async fn mounted(&self) -> (Mounted, Hooks) {
        let route = Route::new("/erp", Scheme::CloudEvents, SECRET);
        let (endpoint, hooks) = endpoint([route], EndpointConfig::default()).unwrap();
        (mount_at(self.address, endpoint).await, hooks)
    }

    fn remove(self) {
        std::fs::remove_dir_all(self.folder).unwrap();
    }
}

fn inbox_config() -> InboxConfig {
    let day = Duration::from_secs(24 * 60 * 60);
    InboxConfig::new(day, RetryPolicy::DEFAULT).unwrap()
}

/// Not a test of its own: what the started processes do. Started by nobody, it does
/// nothing.
#[tokio::test]
async fn play_the_role() {
    match std::env::var(ROLE).as_deref() {
        Ok("relay") => crashes::relay().await,
        Ok(role) => receive(role == "dies").await,
        Err(_) => {}
    }
}

/// Has the effect of each event, for ever, or until it dies between the first effect and
/// its answer.
async fn receive(dies: bool) {
    let place = Place::of_environment();
    let (_mounted, mut hooks) = place.mounted().await;
    let mut erp = place.erp();
    while let Ok(Some(delivery)) = hooks.next().await {
        let handled = inbox::process(&mut erp, delivery, &inbox_config(), |t, event| {
            let row = (event.id().to_string(), event.ordering_key());
            t.execute("INSERT INTO effect VALUES (?1, ?2)", row)?;
            Ok(())
        });
        let handled = handled.unwrap();
        if dies && matches!(handled, Handled::Processed(_)) {
            std::process::abort();
        }
        let _ = handled.settle().await;
    }
}

struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends until the receiver is there.
async fn sent(webhook: &Webhook) -> Result<(), BrokerErrorKind> {
    loop {
        match webhook.send(&event("1")).await.map_err(|error| error.kind()) {
            Err(BrokerErrorKind::Unreachable) => tokio::task::yield_now().await,
            sent => return sent,
        }
    }
}

#[tokio::test]
async fn killed_between_commit_and_answer_there_is_one_effect() {
    in_time(async {
        let place = Place::new().await;
        let webhook = place.webhook();
        let mut receiver = Receiver(place.role("dies")().spawn().unwrap());
        assert_eq!(sent(&webhook).await, Err(BrokerErrorKind::Transient));
        assert!(!receiver.0.wait().unwrap().success(), "it was to die");
        let _receiver = Receiver(place.role("lives")().spawn().unwrap());
        assert_eq!(sent(&webhook).await, Ok(()));
        let count = "SELECT count(*) FROM effect";
        let effects: i64 = place.erp().query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(effects, 1);
        place.remove();
    })
    .await;
}

#[cfg(not(all(feature = "testing", unix)))]
mod crashes {
    pub(super) async fn relay() {}
}

#[cfg(all(feature = "testing", unix))]
mod crashes {
    use std::future::pending;

    use integration_automation_patterns::outbox::sqlite as outbox;
    use integration_automation_patterns::relay::{Relay, RelayConfig};
    use integration_automation_patterns::retry::Backoff;
    use integration_automation_patterns::testing::CrashTest;
    use integration_automation_patterns::{Envelope, RawEvent};

    use super::*;

    const EVENTS: i64 = 200;
    const KEYS: i64 = 10;

    /// With a lease that ends soon, so that what a relay held when it died does not wait
    /// for long.
    pub(super) async fn relay() {
        let place = Place::of_environment();
        let crm = outbox::Outbox::open(place.folder.join("crm.db")).unwrap();
        let config = RelayConfig::default()
            .lease(Duration::from_millis(900))
            .store_timeout(Duration::from_millis(150))
            .poll_interval(Duration::from_millis(50))
            .in_flight(8);
        let relay = Relay::new("relay-1", crm, place.webhook(), config).unwrap();
        relay.run(pending::<()>()).await;
    }

    fn enqueue(place: &Place) {
        let mut crm = Connection::open(place.folder.join("crm.db")).unwrap();
        outbox::install(&mut crm).unwrap();
        let again = Backoff::Fixed(Duration::from_millis(5));
        let policy = RetryPolicy::new(1000, again).unwrap();
        let business = crm.transaction().unwrap();
        for number in 0..EVENTS {
            let lead = RawEvent::new("crm.lead.created", b"{}");
            let event = Envelope::builder("crm", lead)
                .id(format!("{number:04}").parse().unwrap())
                .ordering_key((number % KEYS).to_string())
                .retry_policy(policy);
            outbox::enqueue(&business, event.build().unwrap()).unwrap();
        }
        business.commit().unwrap();
    }

    /// Protects the promise of the whole way: nothing lost, nothing twice, nothing
    /// overtaken.
    #[test]
    fn a_hundred_kills_cost_no_event_no_order_and_no_second_effect() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let place = runtime.unwrap().block_on(Place::new());
        enqueue(&place);
        let erp = place.erp();
        let effects = || {
            let mut rows = erp.prepare("SELECT id, key FROM effect ORDER BY rowid")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<Vec<(String, String)>, _>>()
        };
        let report = CrashTest::new(15)
            .actor("relay", place.role("relay"))
            .actor("receiver", place.role("receiver"))
            .kills(100)
            .run(|| Ok(effects()?.len() >= EVENTS as usize))
            .unwrap();
        assert_eq!(report.kills(), 100);
        println!("{report}");
        let effects = effects().unwrap();
        for key in 0..KEYS {
            let of_key = effects.iter().filter(|(_, of)| *of == key.to_string());
            let ids: Vec<&str> = of_key.map(|(id, _)| id.as_str()).collect();
            let wanted: Vec<String> = (0..EVENTS)
                .filter(|number| number % KEYS == key)
                .map(|number| format!("{number:04}"))
                .collect();
            assert_eq!(ids, wanted, "of the key {key}");
        }
        drop(erp);
        place.remove();
    }
}
