//! The delivery: both outboxes are carried over, and what arrives has its effect once.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_automation_patterns::DeliveryStatus;
use integration_automation_patterns::audit::{AuditRecord, AuditTrail, Lines, Observer};
use integration_automation_patterns::broker::{Broker, Consumer, Lag};
use integration_automation_patterns::inbox::{Handled, InboxConfig};
use integration_automation_patterns::outbox::{Admin, Filter};
use integration_automation_patterns::relay::{Relay, RelayConfig, Summary};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, interval_at, timeout};

use crate::contract::{RecordChanged, RecordCreated, RecordDeleted};
use crate::database::Database;
use crate::reason::chain;
use crate::step::POLICY;
use crate::stop::Stop;
use crate::ways::{Way, Ways};
use crate::{Outcome, report};

/// How long a system rests that could not apply what arrived.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the broker is asked how far its consumer is behind.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long nothing may arrive any more before all counts as received: longer than the
/// broker is not asked.
const QUIET: Duration = Duration::from_secs(5);

/// How long a consumer that is told to end may take for the effect that it has begun, and
/// for its last look.
const TO_END: Duration = Duration::from_secs(10);

/// What the relays and the inboxes did.
pub(crate) struct Delivered {
    pub(crate) relays: [Summary; 2],
    pub(crate) duplicates: u64,
    pub(crate) dead: Vec<String>,
    pub(crate) log: Vec<AuditRecord>,
    /// What a run that was told to stop has left at the broker.
    pub(crate) behind: Vec<Lag>,
}

/// What became of the deliveries of one direction.
#[derive(Default)]
struct Received {
    duplicates: u64,
    behind: Vec<Lag>,
}

/// Carries both outboxes over until nothing is under way, or the program is told to stop.
pub(crate) async fn deliver<D: Database, B: Broker, C: Consumer + 'static>(
    crm: &D,
    erp: &D,
    ways: Ways<B, C>,
    folder: &Path,
    stop: &Stop,
) -> Outcome<Delivered> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (audit, file) = (Arc::clone(&told), folder.join("audit.log"));
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&file)?;
    let lines = Lines::new(file);
    let observer = Arc::new(move |record: &AuditRecord| {
        audit.lock().map_err(|_| "poisoned")?.push(record.clone());
        lines.observe(record)
    });
    let Ways { there: to_erp, back: to_crm } = ways;
    let trails = |system: &str| {
        ["relay", "inbox"]
            .map(|part| AuditTrail::new(format!("{system}-{part}"), observer.clone()))
    };
    let ([crm_relay, crm_inbox], [erp_relay, erp_inbox]) = (trails("crm"), trails("erp"));
    let one =
        carry([crm.clone(), erp.clone()], to_erp, [crm_relay, erp_inbox], stop.clone());
    let other =
        carry([erp.clone(), crm.clone()], to_crm, [erp_relay, crm_inbox], stop.clone());
    let (one, other) = tokio::try_join!(one, other)?;
    let mut dead = Vec::new();
    for outbox in [crm.outbox(), erp.outbox()] {
        for letter in outbox.dead_letters(&Filter::default(), 20).await? {
            let why = letter.event.failure().map(ToString::to_string).unwrap_or_default();
            dead.push(format!(
                "{} {}: {why}",
                letter.event.id(),
                letter.event.event_type()
            ));
        }
    }
    Ok(Delivered {
        relays: [one.0, other.0],
        duplicates: one.1.duplicates + other.1.duplicates,
        dead,
        log: std::mem::take(&mut *told.lock().map_err(|_| "poisoned")?),
        behind: [one.1.behind, other.1.behind].concat(),
    })
}

/// One direction: a relay at the source, a consumer at the target, each with its trail.
async fn carry<D: Database, B: Broker, C: Consumer + 'static>(
    [source, target]: [D; 2],
    way: Way<B, C>,
    [relays, receives]: [AuditTrail; 2],
    stop: Stop,
) -> Outcome<(Summary, Received)> {
    let config = RelayConfig::default()
        .lease(Duration::from_secs(6))
        .store_timeout(Duration::from_secs(1))
        .poll_interval(Duration::from_millis(100))
        .in_flight(32);
    let relay = Relay::new(
        format!("relay-{}", std::process::id()),
        source.outbox().clone(),
        way.broker,
        config,
    )?;
    let relay =
        relay.with_audit_trail(relays).on_incident(|incident| eprintln!("{incident}"));
    let (tell_lag, lag) = watch::channel(Vec::new());
    let (end, ended) = oneshot::channel();
    let inbox_config = InboxConfig::new(Duration::from_secs(7 * 24 * 60 * 60), POLICY)?;
    let inbox_config = inbox_config
        .accept::<RecordChanged>()
        .accept::<RecordCreated>()
        .accept::<RecordDeleted>()
        .retry_policy(POLICY);
    let (trail, stopped) = (receives, stop.clone());
    let receiving = Receiving {
        target: target.clone(),
        consumer: way.consumer,
        inbox_config,
        trail,
        stop: stopped,
    };
    let receiving = tokio::spawn(receiving.run(ended, tell_lag));
    let mut told = stop;
    let summary = relay
        .run(async {
            tokio::select! {
                () = all_is_delivered(way.name, &source, target, lag) => {}
                () = told.told() => {}
            }
        })
        .await;
    drop(relay);
    drop(end);
    Ok((
        summary,
        timeout(TO_END, receiving).await.ok().and_then(Result::ok).unwrap_or_default(),
    ))
}

/// Ready when nothing is under way and all that was sent has been received; or nothing
/// more arrives, and the broker holds nothing back: an inbox that was restored from a
/// backup never counts up to what was sent.
async fn all_is_delivered<D: Database>(
    way: &str,
    source: &D,
    mut target: D,
    lag: watch::Receiver<Vec<Lag>>,
) {
    let mut still = (0, Instant::now());
    loop {
        let counts = source.outbox().counts().await;
        let sent =
            counts.as_ref().map_or(0, |counts| counts.of(DeliveryStatus::Acknowledged));
        let is_over = counts.as_ref().is_ok_and(|counts| counts.under_way() == 0);
        if let Ok(counts) = &counts {
            report::progress(way, sent, counts.total(), &lag.borrow());
        }
        let handled = target.handled().await;
        if is_over && handled.as_ref().is_ok_and(|handled| *handled >= sent) {
            return;
        }
        let handled = handled.unwrap_or_default();
        let is_behind = lag.borrow().iter().any(|lag| lag.behind > 0);
        if !is_over || is_behind || handled != still.0 {
            still = (handled, Instant::now());
        } else if still.1.elapsed() > QUIET {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What keeps a system from applying what it receives: said once, tried again in pauses,
/// and its end is said too. (A worker does this by itself.)
#[derive(Default)]
struct Trouble {
    said: Option<String>,
    tries: u64,
}

impl Trouble {
    async fn met(&mut self, reason: String) {
        if self.said.as_ref() != Some(&reason) {
            eprintln!("{reason}");
            self.said = Some(reason);
        }
        self.tries += 1;
        tokio::time::sleep(PAUSE).await;
    }

    fn is_over(&mut self) {
        if self.said.take().is_some() {
            eprintln!("what arrives is applied again, after {} tries", self.tries);
            self.tries = 0;
        }
    }
}

/// The receiving end of one direction.
struct Receiving<D, C> {
    target: D,
    consumer: C,
    inbox_config: InboxConfig,
    trail: AuditTrail,
    stop: Stop,
}

impl<D: Database, C: Consumer + 'static> Receiving<D, C> {
    /// Receives until it is told to end.
    async fn run(
        mut self,
        mut ended: oneshot::Receiver<()>,
        lag: watch::Sender<Vec<Lag>>,
    ) -> Received {
        let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        let (mut received, mut trouble) = (Received::default(), Trouble::default());
        loop {
            tokio::select! {
                biased;
                _ = &mut ended => break,
                _ = look.tick() => drop(lag.send_replace(self.look().await)),
                delivery = self.consumer.next() => match delivery {
                    Ok(Some(delivery)) => match self.target.apply(delivery, &self.inbox_config).await {
                        Ok(handled) => {
                            trouble.is_over();
                            received.duplicates += u64::from(matches!(handled, Handled::Duplicate(_)));
                            if let Err(error) = handled.settle().await {
                                eprintln!("{}", chain(&error));
                            }
                        }
                        // The broker gives it again.
                        Err(error) => trouble.met(chain(&*error)).await,
                    },
                    Ok(None) => break,
                    Err(error) => {
                        if let Some(lost) = error.loss() {
                            self.trail.record_with(|system| lost.record(system, chrono::Utc::now()));
                        }
                        eprintln!("{}", chain(&error));
                    }
                },
            }
        }
        if self.stop.is_told() {
            received.behind = self.look().await;
        }
        received
    }

    async fn look(&mut self) -> Vec<Lag> {
        self.consumer.lag().await.unwrap_or_else(|error| {
            eprintln!("how far the consumer is behind is not known: {}", chain(&error));
            Vec::new()
        })
    }
}
