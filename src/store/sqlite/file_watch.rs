//! A bell that rings when a file is written to: the kernel tells, so that nobody has to
//! ask all the time.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::sync::Notify;

/// How long it is silent after each ring: another program that writes all the time keeps
/// nobody busy.
const SILENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Rings while it exists.
#[derive(Debug)]
pub(super) struct FileWatch {
    rung: Arc<Notify>,
    /// Closed with the bell, which ends its thread.
    _hung: PipeWriter,
}

impl FileWatch {
    /// # Errors
    ///
    /// What the system answers: the file is not there, or too many are watched.
    pub(super) fn begin(file: &Path) -> io::Result<Self> {
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        add_watch(&watch, file, WatchFlags::MODIFY)?;
        let (taken_down, hung) = io::pipe()?;
        let rung = Arc::new(Notify::new());
        let rings = Arc::clone(&rung);
        thread::Builder::new()
            .name("outbox-watch".to_owned())
            .spawn(move || ring(&watch, &taken_down, &rings))?;
        Ok(Self { rung, _hung: hung })
    }

    /// Waits for the next ring; one that nobody has heard counts.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }
}

/// Until the bell is taken down.
fn ring(watch: &OwnedFd, taken_down: &PipeReader, rings: &Notify) {
    let mut told = [0; 4096];
    loop {
        let mut both =
            [PollFd::new(watch, PollFlags::IN), PollFd::new(taken_down, PollFlags::IN)];
        if poll(&mut both, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
            return;
        }
        let [_, down] = both;
        if !down.revents().is_empty() {
            return;
        }
        // What was written does not matter, only that something was.
        while rustix::io::read(watch, &mut told).is_ok_and(|length| length > 0) {}
        rings.notify_one();
        if poll(&mut [PollFd::new(taken_down, PollFlags::IN)], Some(&SILENCE))
            .is_ok_and(|ready| ready > 0)
        {
            return;
        }
    }
}
