//! The operating system's request to end the process: SIGTERM, or ctrl-c.

use std::future::Future;
use std::io;

/// Waits for SIGTERM or ctrl-c (SIGINT), on Windows for ctrl-c alone, and returns the
/// name of the signal.
///
/// It listens from the call on, not from the first await. From then on, these signals
/// no longer end the process by themselves.
///
/// # Errors
///
/// The operating system refuses to report the signals.
///
/// # Panics
///
/// Tokio panics outside a runtime with I/O enabled.
///
/// ```
/// use integration_automation_patterns::service::{Service, terminated};
///
/// # let mut runtime = tokio::runtime::Builder::new_current_thread();
/// # runtime.enable_all().build()?.block_on(async {
/// let service = Service::new().part("at once", async |_| ());
/// let summary = service.run(terminated()?).await?; // here, until all parts have ended
/// assert_eq!(summary.to_string(), "at once: done");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn terminated()
-> io::Result<impl Future<Output = &'static str> + Send + Sync + 'static> {
    let mut signals = Signals::listen()?;
    Ok(async move { signals.next().await })
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> &'static str {
        let _ = self.0.recv().await;
        "ctrl-c"
    }
}
