//! The guide: one chapter for each question that people ask. The [front
//! page](crate#the-guide) lists the questions.

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("first_delivery.md")]
pub mod first_delivery {}

#[doc = include_str!("reliability.md")]
pub mod reliability {}

#[doc = include_str!("payloads.md")]
pub mod payloads {}

#[doc = include_str!("retries.md")]
pub mod retries {}

#[doc = include_str!("storing.md")]
pub mod storing {}

#[cfg(feature = "delivery")]
#[cfg_attr(docsrs, doc(cfg(feature = "delivery")))]
#[doc = include_str!("drivers.md")]
pub mod drivers {}

#[doc = include_str!("consuming.md")]
pub mod consuming {}

#[doc = include_str!("audit_line.md")]
pub mod audit_line {}

#[doc = include_str!("audit_boundary.md")]
pub mod audit_boundary {}

#[cfg(all(feature = "delivery", feature = "tracing"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "delivery", feature = "tracing"))))]
#[doc = include_str!("observing.md")]
pub mod observing {}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
#[doc = include_str!("as_data.md")]
pub mod as_data {}

#[doc = include_str!("fields.md")]
pub mod fields {}

#[doc = include_str!("two_systems.md")]
pub mod two_systems {}

#[cfg(all(feature = "delivery", feature = "cloudevents"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "delivery", feature = "cloudevents"))))]
#[doc = include_str!("brokers.md")]
pub mod brokers {}

#[cfg(feature = "amqp1")]
#[cfg_attr(docsrs, doc(cfg(feature = "amqp1")))]
#[doc = include_str!("amqp1.md")]
pub mod amqp1 {}

#[cfg(feature = "sqs")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqs")))]
#[doc = include_str!("sqs.md")]
pub mod sqs {}

#[cfg(feature = "webhook")]
#[cfg_attr(docsrs, doc(cfg(feature = "webhook")))]
#[doc = include_str!("webhooks.md")]
pub mod webhooks {}

#[cfg(feature = "workflow")]
#[cfg_attr(docsrs, doc(cfg(feature = "workflow")))]
#[doc = include_str!("workflow.md")]
pub mod workflow {}

#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
#[cfg_attr(
    docsrs,
    doc(cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite"))))
)]
#[doc = include_str!("running_workflows.md")]
pub mod running_workflows {}

#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
#[cfg_attr(
    docsrs,
    doc(cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite"))))
)]
#[doc = include_str!("engines.md")]
pub mod engines {}

#[doc = include_str!("lead_to_case.md")]
pub mod lead_to_case {}

#[doc = include_str!("operating.md")]
pub mod operating {}

#[doc = include_str!("coming_from_python.md")]
pub mod coming_from_python {}

#[doc = include_str!("bugs_that_do_not_compile.md")]
pub mod bugs_that_do_not_compile {}

#[doc = include_str!("figures.md")]
pub mod figures {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("changelog.md")]
pub mod changelog {}
