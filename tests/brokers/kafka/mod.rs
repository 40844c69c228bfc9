//! The suite on Kafka, and what is Kafka's own.

mod cluster;
mod faults;
mod foreign;
mod groups;
mod kills;
mod mock;
mod receiving;
#[cfg(feature = "tls")]
mod secure;
mod sending;

use cluster::{Behind, Cluster};

crate::suite_on!(Cluster, #[ignore = "needs Kafka"]);
crate::suite_on!(counted Cluster, #[ignore = "needs Kafka"]);
#[cfg(feature = "postgres")]
crate::suite_on!(postgres Cluster, #[ignore = "needs Kafka and PostgreSQL"]);

mod lossy {
    crate::suite_on!(lossy super::Behind, #[ignore = "needs Kafka"]);
    #[cfg(feature = "postgres")]
    crate::suite_on!(postgres lossy super::Behind, #[ignore = "needs Kafka and PostgreSQL"]);
}
