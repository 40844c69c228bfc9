//! A process of a test: told to stop as a supervisor does, and never left behind.

use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// So long that a test which waits for it has failed.
const FAR: Duration = Duration::from_secs(120);

pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child }
    }

    /// Sends SIGTERM.
    pub(crate) fn tell_to_stop(&self) {
        assert!(
            Command::new("kill")
                .args(["-TERM", &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) fn assert_running(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{} ended by itself: {}", self.name, ended.unwrap());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(mut self) -> ExitStatus {
        let mut status = None;
        until(&format!("{} ends by itself", self.name), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again whether something has come about.
pub(crate) fn until(what: &str, mut has_come: impl FnMut() -> bool) {
    let began = Instant::now();
    while !has_come() {
        assert!(began.elapsed() < FAR, "within {FAR:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}
