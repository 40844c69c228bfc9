//! `WorkflowDatabase`: the databases that a clerk and a desk work in.

use super::clerk::Turns;
use super::desk::Instances;

/// A database whose workflows a [`Clerk`](super::Clerk) runs and a [`Desk`](super::Desk)
/// asks: SQLite's file and PostgreSQL's schema, and no other. A function names it that
/// takes those of either.
///
/// ```
/// use integration_automation_patterns::outbox::StoreError;
/// use integration_automation_patterns::workflow::{Clerk, Desk, WorkflowDatabase};
///
/// /// Runs every deadline that has passed, and says how many have not moved.
/// async fn overdue<D: WorkflowDatabase>(
///     clerk: &Clerk<D>,
///     desk: &Desk<D>,
/// ) -> Result<u64, StoreError> {
///     clerk.run_until_idle().await?;
///     Ok(desk.counts().await?.iter().map(|count| count.overdue).sum())
/// }
/// # #[cfg(feature = "sqlite")] {
/// # use integration_automation_patterns::workflow::{WorkflowConfig, sqlite};
/// # let path = std::env::temp_dir().join(format!("overdue-{}.db", std::process::id()));
/// # let mut runtime = tokio::runtime::Builder::new_current_thread();
/// # runtime.enable_all().build()?.block_on(async {
/// # let clerk = sqlite::Clerk::open(&path, WorkflowConfig::default())?;
/// assert_eq!(overdue(&clerk, &sqlite::Desk::open(&path)?).await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # std::fs::remove_file(&path)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[allow(private_bounds, reason = "the databases of this crate are all there are")]
pub trait WorkflowDatabase: Turns + Instances + Send + Sync {}

impl<D: Turns + Instances + Send + Sync> WorkflowDatabase for D {}
