//! What the program asks of its two databases, whichever they are: the orders', with the
//! workflows, and the systems'.

use std::time::Duration;

use integration_automation_patterns::ConfigError;
use integration_automation_patterns::broker::Consumer;
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::worker::Summary;
use integration_automation_patterns::outbox::{Admin, Store};
use integration_automation_patterns::retry::{Backoff, RetryPolicy};
use integration_automation_patterns::service::Stop;
use integration_automation_patterns::workflow::{
    ClerkSummary, InstanceHistory, InstanceId, InstanceView, StageCount, WorkflowConfig,
};

use crate::Outcome;
use crate::orders::order_to_cash::{Any, This};
use crate::question::Decided;

/// The two databases. Each call that writes is one transaction.
pub(crate) trait Database: Clone + Send + Sync + 'static {
    type Outbox: Store + Admin;

    /// The outboxes of the orders and of the systems.
    fn outboxes(&self) -> impl Future<Output = Outcome<[Self::Outbox; 2]>> + Send;

    /// Puts the orders into the CRM, and begins an instance with each; says how many of
    /// them are new.
    fn begin(
        &self,
        orders: u32,
        config: &WorkflowConfig,
    ) -> impl Future<Output = Outcome<u32>> + Send;

    /// Receives the replies of the systems.
    fn manage(
        self,
        replies: impl Consumer<Acker: 'static> + 'static,
        config: WorkflowConfig,
        stop: Stop,
    ) -> impl Future<Output = Outcome<Summary>> + Send;

    /// Has the effects of the commands, to the last that was sent. Carl answers what he
    /// is asked, unless people do.
    fn serve(
        self,
        commands: impl Consumer<Acker: 'static> + 'static,
        config: WorkflowConfig,
        carl_answers: bool,
        stop: Stop,
    ) -> impl Future<Output = Outcome<Summary>> + Send;

    /// Runs the deadlines, once what the systems have answered meanwhile had time to come
    /// in.
    fn keep_deadlines(
        self,
        config: WorkflowConfig,
        grace: Duration,
        stop: Stop,
    ) -> impl Future<Output = Outcome<ClerkSummary>> + Send;

    /// Where the instance stands.
    fn load(
        &self,
        id: &InstanceId<This>,
    ) -> impl Future<Output = Outcome<Option<Any>>> + Send;

    /// Takes a decision about the instance as it was at a revision; says whether it still
    /// was.
    fn decide(
        &self,
        decided: Decided,
        config: &WorkflowConfig,
    ) -> impl Future<Output = Outcome<bool>> + Send;

    /// How many instances stand where.
    fn counts(&self) -> impl Future<Output = Outcome<Vec<StageCount>>> + Send;

    /// The instances that have not ended.
    fn waiting(&self) -> impl Future<Output = Outcome<Vec<InstanceView>>> + Send;

    /// The instance with its journal.
    fn look(
        &self,
        id: &InstanceId<This>,
    ) -> impl Future<Output = Outcome<Option<InstanceHistory>>> + Send;

    /// What is wrong with rows and journals, and the dead letters of both inboxes.
    fn findings(&self) -> impl Future<Output = Outcome<Vec<String>>> + Send;

    /// The number that a query of the systems answers.
    fn number(&self, sql: &'static str) -> impl Future<Output = Outcome<i64>> + Send;
}

/// How long the inboxes remember, and how often a system is asked that fails for the
/// moment: on some brokers, an undo waits until that is over.
pub(crate) fn inbox_config() -> Result<InboxConfig, ConfigError> {
    const FEW: RetryPolicy =
        RetryPolicy::retries(10, Backoff::Fixed(Duration::from_millis(200)));
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    Ok(InboxConfig::new(week, RetryPolicy::DEFAULT)?.retry_policy(FEW))
}

/// How often the clerk looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);
