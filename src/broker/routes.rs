//! `Routes`: many endpoints behind one relay, each for its own types of event.

use std::borrow::Cow;
use std::fmt;

use super::{AnyBroker, Broker, BrokerError, BrokerErrorKind, Capabilities};
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

/// Sends each type of event to a broker of its own.
///
/// When one of them cannot be reached or takes nothing, the relay pauses for the types
/// that go there, and for no other: the failure becomes
/// [`Unroutable`](BrokerErrorKind::Unroutable). A type without a route is unroutable too,
/// until the program has one.
///
/// ```
/// use integration_automation_patterns::broker::{
///     Broker, BrokerErrorKind, Consumer, Routes, in_process,
/// };
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (billing, gone) = in_process(16);
/// drop(gone);
/// let (rest, mut listener) = in_process(16);
/// let routes = Routes::new().route("crm.invoice.*", billing).otherwise(rest);
///
/// let event = |event_type: &'static str| {
///     let event = Envelope::builder("crm", RawEvent::new(event_type, b"{}")).build();
///     event.map(|event| event.dispatch())
/// };
/// let refused = routes.send(&event("crm.invoice.issued")?).await.unwrap_err();
/// assert_eq!(refused.kind(), BrokerErrorKind::Unroutable);
/// let lead = event("crm.lead.created")?;
/// let (_, taken) = tokio::join!(routes.send(&lead), async {
///     listener.next().await.map(|delivery| delivery.is_some())
/// });
/// assert!(taken?, "the other endpoint goes on");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
#[doc(alias("router", "content-based router", "fan-out"))]
pub struct Routes {
    routes: Vec<(String, AnyBroker)>,
    otherwise: Option<AnyBroker>,
}

impl Routes {
    /// No route.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends events of this type there; with `*` at the end, all whose type begins so. A
    /// `*` elsewhere is one in the type itself. Of several routes that match, the first
    /// counts.
    #[must_use = "this returns the changed routes; the original is consumed"]
    pub fn route(mut self, event_type: impl Into<String>, to: impl Broker) -> Self {
        self.routes.push((event_type.into(), AnyBroker::new(to)));
        self
    }

    /// Sends every event there that no route matches.
    #[must_use = "this returns the changed routes; the original is consumed"]
    pub fn otherwise(self, to: impl Broker) -> Self {
        Self { otherwise: Some(AnyBroker::new(to)), ..self }
    }

    fn of(&self, event_type: &str) -> Option<&AnyBroker> {
        let is_for = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => event_type.starts_with(beginning),
            None => event_type == pattern,
        };
        let route = self.routes.iter().find(|(pattern, _)| is_for(pattern));
        route.map(|(_, broker)| broker).or(self.otherwise.as_ref())
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("routes", &self.routes)
            .field("otherwise", &self.otherwise)
            .finish()
    }
}

impl Broker for Routes {
    const SYSTEM: &'static str = "routes";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let event_type = event.event_type();
        let Some(broker) = self.of(event_type) else {
            return Err(BrokerError::unroutable(format!("no route for {event_type}")));
        };
        broker.send(event).await.map_err(of_one_endpoint)
    }

    fn destination(&self, event: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        self.of(event.event_type())?.destination(event)
    }

    /// What all its brokers have in common. Where they differ, as in the largest message,
    /// it depends on the type of the event.
    fn capabilities(&self) -> Capabilities {
        let brokers = self.routes.iter().map(|(_, broker)| broker).chain(&self.otherwise);
        let each = brokers.map(AnyBroker::capabilities);
        each.reduce(Capabilities::in_common).unwrap_or_default()
    }
}

/// What is out of order is one endpoint among many.
fn of_one_endpoint(error: BrokerError) -> BrokerError {
    match error.kind() {
        BrokerErrorKind::Unreachable | BrokerErrorKind::Unavailable => {
            let narrowed = BrokerError::unroutable(error.to_string());
            match error.retry_after() {
                Some(wait) => narrowed.with_retry_after(wait),
                None => narrowed,
            }
        }
        BrokerErrorKind::Unroutable
        | BrokerErrorKind::Transient
        | BrokerErrorKind::Permanent => error,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::broker::{DeliveryOrder, RetryWait, in_process};

    #[test]
    fn the_first_route_that_matches_counts() {
        let to = || in_process(1).0;
        let routes = Routes::new().route("crm.lead.created", to()).route("crm.*", to());
        let found = |event_type: &str| {
            let broker = routes.of(event_type)?;
            routes.routes.iter().position(|(_, route)| std::ptr::eq(route, broker))
        };
        let types = ["crm.lead.created", "crm.lead.lost", "crm.", "erp.crm.x", ""];
        assert_eq!(types.map(found), [Some(0), Some(1), Some(1), None, None]);
        let in_the_middle = Routes::new().route("crm.*.created", to());
        let types = ["crm.lead.created", "crm.*.created"];
        assert_eq!(types.map(|one| in_the_middle.of(one).is_some()), [false, true]);
        let routes = routes.otherwise(to());
        assert!(routes.of("erp.crm.x").is_some());
    }

    /// Else a limit of one is taken for that of all, or one that all have for none.
    #[test]
    fn routes_can_do_what_all_their_brokers_can() {
        struct To(Capabilities);
        impl Broker for To {
            const SYSTEM: &'static str = "to";
            async fn send(&self, _: &Envelope<Dispatched>) -> Result<(), BrokerError> {
                Ok(())
            }
            fn capabilities(&self) -> Capabilities {
                self.0
            }
        }
        let ours = Capabilities {
            max_message_size: Some(1000),
            duplicate_window: Some(Duration::ZERO),
            order: Some(DeliveryOrder::ByKey),
            marks_redeliveries: Some(true),
            retry_waits_at: Some(RetryWait::Broker),
        };
        let theirs = Capabilities { max_message_size: Some(2000), order: None, ..ours };
        let routes = || Routes::new().route("crm.*", To(ours));
        assert_eq!(routes().capabilities(), ours);
        assert_eq!(routes().otherwise(To(ours)).capabilities(), ours);
        let wanted = Capabilities { max_message_size: None, order: None, ..ours };
        assert_eq!(routes().otherwise(To(theirs)).capabilities(), wanted);
        let unknown = Capabilities::UNKNOWN;
        assert_eq!(routes().otherwise(To(unknown)).capabilities(), unknown);
        assert_eq!(Routes::new().capabilities(), unknown);
    }

    /// Neither the reason nor the wait is lost, and a failure of the event stays one.
    #[test]
    fn a_failure_of_the_place_concerns_the_types_that_go_there() {
        let wait = Duration::from_secs(30);
        let throttled = BrokerError::unavailable("429").with_retry_after(wait);
        let narrowed = of_one_endpoint(throttled);
        assert_eq!(
            (narrowed.kind(), narrowed.retry_after(), narrowed.reason()),
            (
                BrokerErrorKind::Unroutable,
                Some(wait),
                "the broker cannot take any event now: 429"
            )
        );
        let gone = of_one_endpoint(BrokerError::unreachable("connection refused"));
        assert_eq!(
            gone,
            BrokerError::unroutable("cannot reach the broker: connection refused")
        );
        for error in [
            BrokerError::unroutable("full"),
            BrokerError::transient("reset").with_retry_after(wait),
            BrokerError::permanent("too large"),
        ] {
            assert_eq!(of_one_endpoint(error.clone()), error);
        }
    }
}
