//! A file with orders as somebody on call finds them, made with the library itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::{Handled, InboxConfig};
use integration_automation_patterns::workflow::sqlite::{self as workflows, Clerk};
use integration_automation_patterns::workflow::{
    AnyAdvance, Driven, InstanceId, Seen, Verdict, WorkflowConfig,
};
use integration_automation_patterns::{
    Envelope, RawEvent, RetryPolicy, inbox, outbox, testing,
};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::OnceCell;

use crate::orders::order_to_cash::{self, Any, This};
use crate::orders::{Order, Sales, login};

/// A folder for one test, that is gone with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("workflow-cli-{name}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The total of every order that is above the limit: no output repeats it.
const SECRET: u64 = 31_415;

/// The fingerprint of what the approval of such an order shows.
pub(crate) fn seen() -> String {
    Seen::of(SECRET.to_string().as_bytes()).to_string()
}

pub(crate) fn id(key: &str) -> String {
    InstanceId::<This>::of(key).unwrap().to_string()
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// `orders.db`: an order whose credit does not answer, one that waits for its approval, one
/// that the ERP desk is asked about, one that is done, one whose turn fails, and one at a
/// step that the table does not have.
pub(crate) async fn orders(folder: &Path) {
    static FILE: OnceCell<Vec<u8>> = OnceCell::const_new();
    let made_once = async || {
        let template = Folder::new("template");
        let path = template.path().join("orders.db");
        make_orders(&path).await;
        std::fs::read(path).unwrap()
    };
    let bytes = FILE.get_or_init(made_once).await;
    std::fs::write(folder.join("orders.db"), bytes).unwrap();
}

async fn make_orders(path: &Path) {
    let mut shop = Shop::new(path);
    shop.begin("order 4713", 900);
    shop.replies("order 4713", &["crm.credit.reserved", "erp.stock.held"]);
    for _ in 0..2 {
        shop.clerk_after(2 * HOUR).await;
    }
    shop.begin("order 4714", 900);
    let all = [
        "crm.credit.reserved",
        "erp.stock.held",
        "erp.order.created",
        "billing.invoice.issued",
    ];
    shop.replies("order 4714", &all);
    testing::sqlite::pass_time(&shop.connection, HOUR).unwrap();
    shop.begin("order 4712", SECRET);
    shop.replies("order 4712", &all[..2]);
    testing::sqlite::pass_time(&shop.connection, HOUR).unwrap();
    for key in ["order 4711", "order 4715", "order 4716"] {
        shop.begin(key, 900);
        testing::sqlite::pass_time(&shop.connection, HOUR).unwrap();
    }
    shop.change("order 4715", "turn_failures = 3, turn_failure = 'no holidays of 2027'");
    shop.change("order 4716", "step = 'charge_card'");
}

pub(crate) struct Shop {
    path: PathBuf,
    pub(crate) connection: Connection,
}

impl Shop {
    pub(crate) fn new(path: &Path) -> Self {
        let mut connection = Connection::open(path).unwrap();
        outbox::sqlite::install(&mut connection).unwrap();
        inbox::sqlite::install(&mut connection).unwrap();
        workflows::install(&mut connection).unwrap();
        Self { path: path.to_owned(), connection }
    }

    pub(crate) fn begin(&mut self, key: &str, total: u64) {
        let transaction = self.connection.transaction().unwrap();
        let anna = login::seat::<Sales>("anna").unwrap();
        let id = InstanceId::of(key).unwrap();
        let first = order_to_cash::start(id, Order::of(total), &anna);
        let _ =
            workflows::begin(&transaction, first, &WorkflowConfig::default()).unwrap();
        transaction.commit().unwrap();
    }

    /// The replies to the steps of an order, one after another.
    pub(crate) fn replies(&mut self, key: &str, replies: &[&'static str]) {
        for reply in replies {
            self.step(key, |at| {
                let (at, standing) = This::standing(at);
                let step = standing.step.unwrap();
                let to = format!("order_to_cash/{}/{step}/do", standing.id);
                let event = RawEvent::new(*reply, b"{}");
                match This::reply(at, &to.parse().unwrap(), &event).unwrap() {
                    Verdict::Moved(step) => step,
                    Verdict::Late(at, _) => panic!("{at:?} does not await {reply}"),
                }
            });
        }
    }

    fn step(&mut self, key: &str, step: impl FnOnce(Any) -> AnyAdvance<This>) {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        let id = InstanceId::<This>::of(key).unwrap();
        let step = step(workflows::load(&transaction, &id).unwrap().unwrap());
        workflows::store(&transaction, step, &WorkflowConfig::default()).unwrap();
        transaction.commit().unwrap();
    }

    /// A participant's reply to the first step, which is one of another step.
    pub(crate) fn answers_of_another_step(&mut self, key: &str) {
        let to = format!("order_to_cash/{}/reserve_credit/do", id(key));
        let reply = Envelope::builder("erp", RawEvent::new("erp.stock.held", b"{}"));
        let reply = Delivery::new(reply.correlation_id(to).build().unwrap(), ());
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let config = InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap();
        let receive = |transaction: &Transaction<'_>, event: &_| {
            let config = WorkflowConfig::default();
            workflows::receive::<This, _>(transaction, event, &config).map(drop)
        };
        let handled =
            inbox::sqlite::process(&mut self.connection, reply, &config, receive);
        assert!(matches!(handled, Ok(Handled::DeadLettered(_))), "{handled:?}");
    }

    async fn clerk_after(&self, time: Duration) {
        testing::sqlite::pass_time(&self.connection, time).unwrap();
        let clerk = Clerk::open(&self.path, WorkflowConfig::default()).unwrap();
        let summary = clerk.of::<This>().run_until_idle().await.unwrap();
        assert_eq!(summary.moved, 1);
    }

    pub(crate) fn change(&self, key: &str, set: &str) {
        let id = id(key);
        let sql = format!("UPDATE workflow_instance SET {set} WHERE id = ?1");
        assert_eq!(self.connection.execute(&sql, [id]).unwrap(), 1);
    }
}
