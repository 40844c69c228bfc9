//! The word to stop, SIGINT or SIGTERM, as every step of the program hears it.

use std::io;

use tokio::sync::watch;

/// Whether the program was told to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens from here on: the signals do not end the process any more.
    pub(crate) fn listen() -> io::Result<Self> {
        let (tell, told) = watch::channel(false);
        #[cfg(unix)]
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        #[cfg(unix)]
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        tokio::spawn(async move {
            #[cfg(unix)]
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            #[cfg(not(unix))]
            let _ = tokio::signal::ctrl_c().await;
            tell.send_replace(true);
        });
        Ok(Self(told))
    }

    pub(crate) fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Ready once it is told.
    pub(crate) async fn told(&mut self) {
        if self.0.wait_for(|told| *told).await.is_err() {
            std::future::pending().await
        }
    }
}
