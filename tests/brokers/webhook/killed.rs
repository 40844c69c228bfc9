//! A receiver that is killed between the commit of the effect and its answer: the sender
//! sends again, and there is one effect.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use integration_automation_patterns::broker::webhook::{
    EndpointConfig, Route, Scheme, Webhook, WebhookConfig, endpoint,
};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind, Consumer};
use integration_automation_patterns::inbox::{Handled, InboxConfig, sqlite as inbox};
use integration_automation_patterns::retry::RetryPolicy;
use rusqlite::Connection;
use uuid::Uuid;

use super::peer::mount;
use super::{SECRET, event};
use crate::suite::in_time;

/// Where the receiver has its database, and writes its address.
const PLACE: &str = "WEBHOOK_PLACE";
/// Whether it dies before it answers for the first time.
const DIES: &str = "WEBHOOK_DIES";

fn database(place: &Path) -> Connection {
    let mut database = Connection::open(place.join("erp.db")).unwrap();
    inbox::install(&mut database).unwrap();
    let table = "CREATE TABLE IF NOT EXISTS effect (id TEXT NOT NULL)";
    database.execute_batch(table).unwrap();
    database
}

/// Not a test of its own: what the started process does. Started by nobody, it does
/// nothing.
#[tokio::test]
async fn play_the_receiver() {
    let Ok(place) = std::env::var(PLACE).map(PathBuf::from) else { return };
    let dies = std::env::var(DIES).is_ok();
    let route = Route::new("/erp", Scheme::CloudEvents, SECRET);
    let (endpoint, mut hooks) = endpoint([route], EndpointConfig::default()).unwrap();
    let mounted = mount(endpoint).await;
    let written = place.join("address.new");
    std::fs::write(&written, mounted.address.to_string()).unwrap();
    std::fs::rename(written, place.join("address")).unwrap();
    let mut database = database(&place);
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    let config = InboxConfig::new(day, RetryPolicy::DEFAULT).unwrap();
    while let Ok(Some(delivery)) = hooks.next().await {
        let handled = inbox::process(&mut database, delivery, &config, |t, event| {
            let id = event.id().to_string();
            t.execute("INSERT INTO effect VALUES (?1)", [id])?;
            Ok(())
        });
        let handled = handled.unwrap();
        if dies && matches!(handled, Handled::Processed(_)) {
            std::process::abort();
        }
        handled.settle().await.unwrap();
    }
}

struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The receiver as a process of its own, and a webhook to it.
async fn start(place: &Path, dies: bool) -> (Receiver, Webhook) {
    let address = place.join("address");
    let _ = std::fs::remove_file(&address);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "webhook::killed::play_the_receiver"]).env(PLACE, place);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if dies {
        command.env(DIES, "1");
    }
    let mut receiver = Receiver(command.spawn().unwrap());
    let address = loop {
        if let Ok(address) = std::fs::read_to_string(&address) {
            break address;
        }
        assert!(receiver.0.try_wait().unwrap().is_none(), "it has ended by itself");
        tokio::task::yield_now().await;
    };
    let config = WebhookConfig::new(SECRET).allow_http().allow_private();
    (receiver, Webhook::new(&format!("http://{address}/erp"), config).unwrap())
}

#[tokio::test]
async fn killed_between_commit_and_answer_there_is_one_effect() {
    in_time(async {
        let name = format!("webhook-{}", Uuid::now_v7().simple());
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir(&place).unwrap();
        let (mut receiver, webhook) = start(&place, true).await;
        let lost = webhook.send(&event("1")).await.unwrap_err();
        assert_eq!(lost.kind(), BrokerErrorKind::Transient, "{lost}");
        assert!(!receiver.0.wait().unwrap().success(), "it was to die");
        let (_receiver, webhook) = start(&place, false).await;
        webhook.send(&event("1")).await.unwrap();
        let count = "SELECT count(*) FROM effect";
        let effects: i64 =
            database(&place).query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(effects, 1);
        std::fs::remove_dir_all(place).unwrap();
    })
    .await;
}
