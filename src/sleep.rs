//! Moments that the loops wait for.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Waits for a moment, where there is one.
pub(crate) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Now and so long, or what for a process is never.
pub(crate) fn after(wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(wait).or_else(|| now.checked_add(NEVER)).unwrap_or(now)
}
