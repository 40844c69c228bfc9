//! A watch on a file: the kernel tells of writes, so that nobody has to ask all the time.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::sync::Notify;

/// How long it is silent after each write that it tells of: another program that writes
/// all the time keeps nobody busy.
const SILENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Tells of writes while it exists.
#[derive(Debug)]
pub(super) struct FileWatch {
    written: Arc<Notify>,
    /// Closed with the watch, which ends its thread.
    _open: PipeWriter,
}

impl FileWatch {
    /// # Errors
    ///
    /// What the system answers: the file is not there, or too many are watched.
    pub(super) fn begin(file: &Path) -> io::Result<Self> {
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        add_watch(&watch, file, WatchFlags::MODIFY)?;
        let (ended, open) = io::pipe()?;
        let written = Arc::new(Notify::new());
        let tells = Arc::clone(&written);
        thread::Builder::new()
            .name("outbox-watch".to_owned())
            .spawn(move || tell(&watch, &ended, &tells))?;
        Ok(Self { written, _open: open })
    }

    /// Waits for the next write; one that nobody has waited for counts.
    pub(super) async fn written(&self) {
        self.written.notified().await;
    }
}

/// Until the watch ends.
fn tell(watch: &OwnedFd, ended: &PipeReader, written: &Notify) {
    let mut events = [0; 4096];
    loop {
        let mut both =
            [PollFd::new(watch, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        if poll(&mut both, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
            return;
        }
        let [_, end] = both;
        if !end.revents().is_empty() {
            return;
        }
        // What was written does not matter, only that something was.
        while rustix::io::read(watch, &mut events).is_ok_and(|length| length > 0) {}
        written.notify_one();
        if poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(&SILENCE))
            .is_ok_and(|ready| ready > 0)
        {
            return;
        }
    }
}
