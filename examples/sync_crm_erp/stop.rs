//! The word to stop, SIGINT or SIGTERM, as every step of the program hears it.

use std::fmt;
use std::io;

use integration_automation_patterns::service::terminated;
use tokio::sync::watch;

use crate::Outcome;

/// What a program ends with that is told a second time.
const AT_ONCE: i32 = 130;

/// Whether the program was told to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// A step was not done: the program was told to stop.
#[derive(Debug)]
pub(crate) struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped: what is left is for the next run")
    }
}

impl std::error::Error for Stopped {}

impl Stop {
    /// Listens from here on: the first signal does not end the process any more, and the
    /// second one does.
    pub(crate) fn listen() -> io::Result<Self> {
        let (tell, told) = watch::channel(false);
        let first = terminated()?;
        tokio::spawn(async move {
            first.await;
            let second = terminated();
            tell.send_replace(true);
            if let Ok(second) = second {
                second.await;
                std::process::exit(AT_ONCE);
            }
        });
        Ok(Self(told))
    }

    /// What comes of a step; given up in the middle, it does the rest when it is begun
    /// again.
    pub(crate) async fn or<T>(
        &self,
        step: impl Future<Output = Outcome<T>>,
    ) -> Outcome<T> {
        let mut stop = self.clone();
        tokio::select! {
            biased;
            () = stop.told() => Err(Stopped.into()),
            done = step => done,
        }
    }

    /// Whether it is told already.
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
